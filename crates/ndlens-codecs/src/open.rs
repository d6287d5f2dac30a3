//! The choice of a decoder by the first bytes.

use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// Reads the header of an encoded image.
///
/// # Errors
///
/// [`Error::UnknownFormat`], [`Error::TooLarge`], [`Error::Truncated`], [`Error::Damaged`],
/// [`Error::Unsupported`].
pub fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Box<dyn Decoder + 'a>> {
    let _ = limits;
    Err(Error::UnknownFormat { first: bytes[..bytes.len().min(8)].to_vec() })
}
