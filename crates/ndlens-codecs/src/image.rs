//! Whole images in memory of their own.

use ndlens_core::room;

use crate::decoder::ImageMut;
use crate::error::{Error, Result};
use crate::header::{Depth, Orientation};
use crate::limits::Limits;
use crate::mode::Mode;
use crate::open::open;
use crate::orientation::decode_upright;
use crate::region::{DecodeRegion, Scale};
use crate::scratch::DecodeScratch;

/// A decoded image: packed pixels in packed rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedImage {
    /// The samples; those of 16 bits in the machine's byte order.
    pub bytes: Vec<u8>,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Samples of a pixel.
    pub channels: usize,
    /// The samples' type.
    pub depth: Depth,
}

impl DecodedImage {
    /// Decodes an image; if `orient`, turned upright as its EXIF orientation says.
    ///
    /// # Errors
    ///
    /// As [`open`] and [`Decoder::decode`](crate::Decoder::decode).
    pub fn decode(bytes: &[u8], mode: Mode, orient: bool, limits: &Limits) -> Result<Self> {
        let mut decoder = open(bytes, limits)?;
        let header = *decoder.header();
        let orientation = if orient { header.orientation } else { Orientation::Upright };
        let (height, width) = orientation.upright_size(header.height, header.width);
        let row_stride_bytes = width.saturating_mul(mode.pixel_bytes(&header));
        let len = row_stride_bytes.saturating_mul(height);
        let mut pixels = room::repeated(0, len).map_err(|_| Error::OutOfMemory { bytes: len })?;
        let region = DecodeRegion { top: 0, left: 0, height, width };
        let out = ImageMut { bytes: &mut pixels, row_stride_bytes };
        let scratch = &mut DecodeScratch::default();
        if orient {
            decode_upright(&mut *decoder, region, mode, out, scratch)?;
        } else {
            decoder.decode(region, Scale::Full, mode, out, scratch)?;
        }
        let (channels, depth) = (mode.channels(&header), mode.depth(&header));
        Ok(DecodedImage { bytes: pixels, height, width, channels, depth })
    }
}
