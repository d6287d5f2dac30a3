//! Unique ids, also across machines: 128 random bits each.

use std::io;

use crate::os::kernel;

/// A unique id.
pub(crate) fn random_bits() -> io::Result<[u8; 16]> {
    let mut bits = [0; 16];
    kernel::fill_with_random(&mut bits)?;
    Ok(bits)
}

pub(crate) fn halves(id: [u8; 16]) -> [u64; 2] {
    let whole = u128::from_le_bytes(id);
    [whole as u64, (whole >> 64) as u64]
}

pub(crate) fn joined([low, high]: [u64; 2]) -> [u8; 16] {
    (u128::from(low) | u128::from(high) << 64).to_le_bytes()
}
