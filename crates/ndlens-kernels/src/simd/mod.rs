//! The base of all operations. It has no operation itself.
//!
//! - `level.rs`: the instruction sets of this machine, and the one way to the bodies that need
//!   them.
//! - `vector.rs`: the operations of a register; `x86_64/` has the registers of AVX2 and AVX-512,
//!   `aarch64/` those of NEON.
//! - `affine.rs`: scaling and normalising, as numbers and in registers.
//! - `half.rs`: floats of 16 bits, one at a time.
//! - `stores.rs`: stores past the cache, and prefetches.

#[cfg(target_arch = "aarch64")]
pub(crate) mod aarch64;
pub(crate) mod affine;
pub(crate) mod half;
pub(crate) mod level;
pub(crate) mod stores;
pub(crate) mod vector;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86_64;
