//! Services of the system: available memory, random bits, forks, state of a process, reads of
//! files.

pub(crate) mod available;
pub(crate) mod forks;
pub(crate) mod ids;
pub(crate) mod process;
pub(crate) mod reading;
pub(crate) mod registry;
