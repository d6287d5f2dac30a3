//! Registers of AVX2 and AVX-512, by their content: floats, floats of 16 bits, integers.

pub(crate) mod half;
pub(crate) mod vector;
pub(crate) mod words;
