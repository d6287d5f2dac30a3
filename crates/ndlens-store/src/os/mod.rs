//! What the system gives: memory that is available, random bits, forks, state of a process, bytes
//! read from files.

pub(crate) mod available;
pub(crate) mod forks;
pub(crate) mod ids;
pub(crate) mod process;
pub(crate) mod reading;
pub(crate) mod registry;
