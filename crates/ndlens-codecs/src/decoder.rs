//! The trait of decoders.

use crate::error::Result;
use crate::header::Header;
use crate::mode::Mode;
use crate::region::{DecodeRegion, Scale};
use crate::scratch::DecodeScratch;

/// Memory for pixels, with packed pixels in rows that may be further apart.
#[derive(Debug)]
pub struct ImageMut<'a> {
    /// The memory; row r starts at byte `r * row_stride_bytes`.
    pub bytes: &'a mut [u8],
    /// From the start of a row to that of the next one.
    pub row_stride_bytes: usize,
}

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
    /// [`Region`](crate::Error::Region), [`Memory`](crate::Error::Memory),
    /// [`Truncated`](crate::Error::Truncated), [`Damaged`](crate::Error::Damaged),
    /// [`Unsupported`](crate::Error::Unsupported), [`OutOfMemory`](crate::Error::OutOfMemory). What `out` holds then is unspecified.
    fn decode(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        out: ImageMut<'_>,
        scratch: &mut DecodeScratch,
    ) -> Result<()>;
}
