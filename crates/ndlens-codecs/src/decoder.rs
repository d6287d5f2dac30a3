//! The trait of decoders, and the choice of one by the first bytes.

use crate::error::{Error, Result};
use crate::header::Header;
use crate::limits::Limits;
use crate::mode::Mode;
use crate::region::{DecodeRegion, Scale};

/// Memory for pixels, with packed pixels in rows that may be further apart.
#[derive(Debug)]
pub struct ImageMut<'a> {
    /// The memory; row r starts at byte `r * row_stride_bytes`.
    pub bytes: &'a mut [u8],
    /// From the start of a row to that of the next one.
    pub row_stride_bytes: usize,
}

/// Memory that one thread needs to decode images. It grows to what the largest image needs, and
/// does not shrink.
#[derive(Debug, Default)]
pub struct DecodeScratch {}

/// An encoded image whose header was read.
pub trait Decoder {
    /// The header.
    fn header(&self) -> &Header;

    /// Whether a region, or a scale, takes less work than the whole image at full size.
    fn decodes_parts(&self) -> bool;

    /// Writes the pixels of a region at a scale: [`DecodeRegion::size_at`] rows and columns, of
    /// [`Mode::pixel_bytes`] each, samples of 16 bits in the machine's byte order. The region lies
    /// within the image, and its first row and column are multiples of the scale's step.
    ///
    /// # Errors
    ///
    /// [`Error::Region`], [`Error::Memory`]; [`Error::Truncated`], [`Error::Damaged`],
    /// [`Error::Unsupported`], [`Error::OutOfMemory`]. What `out` holds then is unspecified.
    fn decode(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        out: ImageMut<'_>,
        scratch: &mut DecodeScratch,
    ) -> Result<()>;
}

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
