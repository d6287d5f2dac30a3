//! The choice of a decoder by the first bytes.

use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::{jpeg, png, webp};

/// The first bytes of a JPEG file: the markers SOI, and the start of the next.
const JPEG: &[u8] = b"\xff\xd8\xff";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Reads the header of an encoded image.
///
/// # Errors
///
/// [`Error::UnknownFormat`], [`Error::TooLarge`], [`Error::Truncated`], [`Error::Damaged`],
/// [`Error::Unsupported`], [`Error::OutOfMemory`].
pub fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Box<dyn Decoder + 'a>> {
    if bytes.starts_with(JPEG) {
        jpeg::open::open(bytes, *limits)
    } else if bytes.starts_with(PNG) {
        png::open(bytes, *limits)
    } else if bytes.len() >= 12 && bytes.starts_with(b"RIFF") && bytes[8..12] == *b"WEBP" {
        webp::open(bytes, *limits)
    } else {
        Err(Error::UnknownFormat { first: bytes[..bytes.len().min(8)].to_vec() })
    }
}
