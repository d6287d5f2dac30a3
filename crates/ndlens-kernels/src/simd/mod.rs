//! The ground that every operation stands on. It knows no operation.
//!
//! - `level.rs`: which instructions this machine has, and the one way to a body that needs them.
//! - `vector.rs`: what a register can do; `x86_64/` has the registers of AVX2 and AVX-512. Those of
//!   another architecture go into a folder beside it.
//! - `affine.rs`: scale and normalise, as numbers and in registers.
//! - `half.rs`: floats of 16 bits, one at a time.
//! - `stores.rs`: stores past the cache, and lines asked for ahead.

pub(crate) mod affine;
pub(crate) mod half;
pub(crate) mod level;
pub(crate) mod stores;
pub(crate) mod vector;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;
