//! The ground that every operation stands on: instruction sets and their registers.

pub(crate) mod level;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;
