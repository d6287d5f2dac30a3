//! Registers of NEON, by their content: floats, floats of 16 bits, integers.
//!
//! A register of these files is four of NEON's, which have 16 bytes each. So 16 elements are one of
//! them as bytes and four as words, and one shuffle serves all. Compilers for this architecture use
//! NEON in all code, so no function needs to be compiled for it separately.

pub(crate) mod half;
pub(crate) mod vector;
pub(crate) mod words;
