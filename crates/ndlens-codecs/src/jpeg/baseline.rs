//! A region of a baseline JPEG.

use super::markers::Markers;
use crate::decoder::{Decoder, ImageMut};
use crate::error::{Error, Result};
use crate::header::{Coding, Header};
use crate::mode::Mode;
use crate::region::{DecodeRegion, Scale};
use crate::scratch::DecodeScratch;

/// A JPEG of Huffman-coded sequential DCT, 8 bits, 1 or 3 components in one scan.
#[derive(Debug)]
pub(crate) struct Baseline<'a> {
    header: Header,
    bytes: &'a [u8],
    markers: Markers<'a>,
}

impl<'a> Baseline<'a> {
    /// The decoder of a file, whose markers are read and whose header is checked against limits.
    /// `None` if it is of another form.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if a table is missing or wrong.
    pub(crate) fn new(
        bytes: &'a [u8],
        markers: Markers<'a>,
        header: Header,
    ) -> Result<Option<Baseline<'a>>> {
        let frame = &markers.frame;
        let sequential = matches!(frame.process, 0xC0 | 0xC1) && frame.precision == 8;
        let count = frame.components().len();
        if !sequential || !matches!(count, 1 | 3) || markers.scan.components().len() != count {
            return Ok(None);
        }
        Ok(Some(Baseline { header, bytes, markers }))
    }
}

impl Decoder for Baseline<'_> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn decodes_parts(&self) -> bool {
        true
    }

    fn decode(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        out: ImageMut<'_>,
        scratch: &mut DecodeScratch,
    ) -> Result<()> {
        let _ = (region, scale, mode, out, &mut scratch.jpeg, self.bytes, self.markers.data_start);
        Err(Error::Unsupported { coding: Coding::Jpeg, what: "not yet".to_owned() })
    }
}
