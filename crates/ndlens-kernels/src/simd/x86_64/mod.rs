//! Registers of x86-64.

pub(crate) mod half;
pub(crate) mod vector;
