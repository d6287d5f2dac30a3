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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_no_format_are_shown() {
        let refused = |bytes| open(bytes, &Limits::default()).err().unwrap().to_string();
        assert_eq!(
            refused(b"BM\x01\x02"),
            "not a JPEG, PNG or WebP image: it begins with [42, 4d, 01, 02]"
        );
        assert_eq!(refused(b""), "not a JPEG, PNG or WebP image: it begins with []");
        // An AVI file begins with RIFF, too.
        let text = refused(b"RIFF\x04\0\0\0AVI LIST");
        assert_eq!(
            text,
            "not a JPEG, PNG or WebP image: it begins with [52, 49, 46, 46, 04, 00, 00, 00]"
        );
    }

    #[test]
    #[cfg(not(feature = "webp"))]
    fn webp_without_its_feature_is_refused_by_the_feature_s_name() {
        let error = open(b"RIFF\x04\0\0\0WEBP", &Limits::default()).err().unwrap().to_string();
        assert_eq!(
            error,
            "the WebP image cannot be decoded: this build of ndlens-codecs is without the feature \
             `webp`"
        );
    }

    #[test]
    fn a_start_alone_is_truncated() {
        for start in [JPEG, PNG] {
            let error = open(start, &Limits::default()).err().unwrap();
            assert!(matches!(error, Error::Truncated { .. }), "{error}");
        }
    }
}
