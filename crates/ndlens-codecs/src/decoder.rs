//! The trait of decoders, and the memory that they write to.

use crate::error::{Error, Result};
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

impl ImageMut<'_> {
    /// The bytes of a row.
    pub(crate) fn row(&mut self, row: usize, row_bytes: usize) -> &mut [u8] {
        &mut self.bytes[row * self.row_stride_bytes..][..row_bytes]
    }
}

/// Checks the arguments of [`Decoder::decode`] for an image with this header.
pub(crate) fn check_request(
    header: &Header,
    region: DecodeRegion,
    scale: Scale,
    mode: Mode,
    out: &ImageMut<'_>,
) -> Result<()> {
    let (height, width) = (header.height, header.width);
    let step = scale.step();
    let fits = |start: usize, len: usize, size: usize| {
        start.is_multiple_of(step) && start.checked_add(len).is_some_and(|end| end <= size)
    };
    if !fits(region.top, region.height, height) || !fits(region.left, region.width, width) {
        return Err(Error::Region { region, step, height, width });
    }
    let (rows, columns) = region.size_at(scale);
    let row_bytes = columns.saturating_mul(mode.pixel_bytes(header));
    let stride = out.row_stride_bytes;
    let bytes = match rows {
        0 => 0,
        rows => (rows - 1).saturating_mul(stride.max(row_bytes)).saturating_add(row_bytes),
    };
    if bytes > out.bytes.len() || (rows > 1 && stride < row_bytes) {
        return Err(Error::Memory { row_bytes, bytes, got: out.bytes.len() });
    }
    Ok(())
}

/// An encoded image whose header was read.
pub trait Decoder {
    /// The header.
    fn header(&self) -> &Header;

    /// Whether [`decode`](Self::decode) takes a scale. Every decoder takes [`Scale::Full`].
    fn decodes_at(&self, scale: Scale) -> bool {
        scale == Scale::Full
    }

    /// Writes the pixels of a region at a scale: [`DecodeRegion::size_at`] rows and columns, of
    /// [`Mode::pixel_bytes`] each, samples of 16 bits in the machine's byte order. The region lies
    /// within the image, and its first row and column are multiples of the scale's step.
    ///
    /// # Errors
    ///
    /// [`Error::Region`], [`Error::Memory`], [`Error::Scale`]; [`Error::Truncated`],
    /// [`Error::Damaged`], [`Error::Unsupported`], [`Error::OutOfMemory`]. What `out` holds then is
    /// unspecified.
    fn decode(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        out: ImageMut<'_>,
        scratch: &mut DecodeScratch,
    ) -> Result<()>;
}
