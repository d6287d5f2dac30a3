//! Memory whose size depends on an image, with an error if there is none.

use ndlens_core::room;

use crate::error::{Error, Result};

/// The first `len` bytes of a list that grows to hold them. They hold what was there before.
pub(crate) fn part(list: &mut Vec<u8>, len: usize) -> Result<&mut [u8]> {
    if list.len() < len {
        room::resize(list, len, 0).map_err(|_| Error::OutOfMemory { bytes: len })?;
    }
    Ok(&mut list[..len])
}
