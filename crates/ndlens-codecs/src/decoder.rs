//! The trait of decoders, and the memory that they write to.

use crate::error::{Error, Result};
use crate::header::Header;
use crate::memory;
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

/// Where a decoder writes the rows of a region.
pub trait RowsMut {
    /// The place of a row of the region, of so many bytes. If the decoder makes
    /// [rows in order](Decoder::makes_rows_in_order), the rows before it are complete.
    fn row(&mut self, row: usize, row_bytes: usize) -> &mut [u8];
}

impl RowsMut for ImageMut<'_> {
    fn row(&mut self, row: usize, row_bytes: usize) -> &mut [u8] {
        &mut self.bytes[row * self.row_stride_bytes..][..row_bytes]
    }
}

/// Bytes of a strip, if a row is not longer than a part of it: so many stay in the cache.
const STRIP_BYTES: usize = 48 << 10;

/// The least and the most rows of a strip.
const STRIP_ROWS: (usize, usize) = (2, 16);

/// Memory for some rows, which are handed on once they are complete.
struct Strips<'a> {
    bytes: &'a mut [u8],
    row_bytes: usize,
    /// The rows in the memory.
    first: usize,
    end: usize,
    take: &'a mut dyn FnMut(&[u8]),
}

impl Strips<'_> {
    /// Hands the last rows on.
    fn finish(&mut self) {
        let filled = (self.end - self.first) * self.row_bytes;
        if filled > 0 {
            (self.take)(&self.bytes[..filled]);
        }
        self.first = self.end;
    }
}

impl RowsMut for Strips<'_> {
    fn row(&mut self, row: usize, row_bytes: usize) -> &mut [u8] {
        if (row - self.first) * self.row_bytes >= self.bytes.len() {
            self.finish();
        }
        self.end = self.end.max(row + 1);
        &mut self.bytes[(row - self.first) * self.row_bytes..][..row_bytes]
    }
}

/// Checks the region of a request to decode an image with this header.
fn check_region(header: &Header, region: DecodeRegion, scale: Scale) -> Result<()> {
    let (height, width) = (header.height, header.width);
    let step = scale.step();
    let fits = |start: usize, len: usize, size: usize| {
        start.is_multiple_of(step) && start.checked_add(len).is_some_and(|end| end <= size)
    };
    if !fits(region.top, region.height, height) || !fits(region.left, region.width, width) {
        return Err(Error::Region { region, step, height, width });
    }
    Ok(())
}

/// Checks the arguments of [`Decoder::decode`] for an image with this header.
pub(crate) fn check_request(
    header: &Header,
    region: DecodeRegion,
    scale: Scale,
    mode: Mode,
    out: &ImageMut<'_>,
) -> Result<()> {
    check_region(header, region, scale)?;
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

/// An encoded image whose header was read. A decoder of a format has
/// [`header`](Self::header) and [`decode_rows`](Self::decode_rows).
pub trait Decoder {
    /// The header.
    fn header(&self) -> &Header;

    /// Whether [`decode`](Self::decode) takes a scale. Every decoder takes [`Scale::Full`].
    fn decodes_at(&self, scale: Scale) -> bool {
        scale == Scale::Full
    }

    /// Whether each row is complete before the next one is asked for.
    fn makes_rows_in_order(&self) -> bool {
        true
    }

    /// Writes the rows of a region that was checked, and is not empty, at a scale that the decoder
    /// has.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode) but for the checks.
    fn decode_rows(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        rows: &mut dyn RowsMut,
        scratch: &mut DecodeScratch,
    ) -> Result<()>;

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
        mut out: ImageMut<'_>,
        scratch: &mut DecodeScratch,
    ) -> Result<()> {
        check_request(self.header(), region, scale, mode, &out)?;
        if is_nothing(self, region, scale)? {
            return Ok(());
        }
        self.decode_rows(region, scale, mode, &mut out, scratch)
    }

    /// As [`decode`](Self::decode), without memory for all pixels where the decoder makes rows in
    /// order: `take` gets the rows of the region in order, some at a time, packed.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode). The rows that `take` got before are those of the image.
    fn decode_strips(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        scratch: &mut DecodeScratch,
        take: &mut dyn FnMut(&[u8]),
    ) -> Result<()> {
        check_region(self.header(), region, scale)?;
        if is_nothing(self, region, scale)? {
            return Ok(());
        }
        let (rows, columns) = region.size_at(scale);
        let row_bytes = columns * mode.pixel_bytes(self.header());
        let (least, most) = STRIP_ROWS;
        let count = if self.makes_rows_in_order() {
            (STRIP_BYTES / row_bytes).clamp(least, most).min(rows)
        } else {
            rows
        };
        // Decoders use the other lists of the scratch.
        let mut memory = std::mem::take(&mut scratch.strip);
        let made = memory::part(&mut memory, count.saturating_mul(row_bytes)).and_then(|bytes| {
            let mut strips = Strips { bytes, row_bytes, first: 0, end: 0, take };
            self.decode_rows(region, scale, mode, &mut strips, scratch)?;
            strips.finish();
            Ok(())
        });
        scratch.strip = memory;
        made
    }
}

/// Whether a region is empty.
///
/// # Errors
///
/// [`Error::Scale`] if the decoder does not have the scale.
fn is_nothing<D: Decoder + ?Sized>(
    decoder: &D,
    region: DecodeRegion,
    scale: Scale,
) -> Result<bool> {
    if !decoder.decodes_at(scale) {
        return Err(Error::Scale { coding: decoder.header().coding, step: scale.step() });
    }
    Ok(region.height == 0 || region.width == 0)
}
