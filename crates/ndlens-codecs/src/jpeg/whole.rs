//! The forms of JPEG that are not decoded in parts, by the crate `zune-jpeg`: progressive, CMYK,
//! and components in scans of their own.
//!
//! It gives the samples of the components, each at full size; [`Colours`] makes pixels of them. The
//! whole image is decoded into scratch memory, and the region is taken from there.
//!
//! A progressive file without its end decodes to a blurred image, so a file without the end of
//! image marker is refused as truncated before it is decoded.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::components::Colours;
use super::markers::{Frame, damaged};
use crate::decoder::{Decoder, ImageMut, check_request};
use crate::error::{Error, Result};
use crate::header::{Coding, Header};
use crate::memory;
use crate::mode::Mode;
use crate::region::{DecodeRegion, Scale};
use crate::scratch::DecodeScratch;

const CODING: Coding = Coding::Jpeg;

/// Scans of a progressive file. Encoders write about ten; each may take the time of a whole image.
const MOST_SCANS: usize = 100;
/// Bytes of buffers that do not grow with the number of pixels.
const FIXED_BYTES: usize = 1 << 20;

/// A JPEG file whose markers before the first scan were read.
#[derive(Debug)]
pub(crate) struct WholeJpeg<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) header: Header,
    pub(crate) frame: Frame,
    pub(crate) colours: Colours,
    /// Where the first scan's data starts.
    pub(crate) data_start: usize,
}

/// Refuses what no decoder here takes.
pub(crate) fn check(frame: &Frame) -> Result<()> {
    let what = match frame.process {
        0xC0..=0xC2 if frame.precision != 8 => {
            format!("its samples have {} bits, expected 8", frame.precision)
        }
        0xC0..=0xC2 => return check_sampling(frame),
        0xC3 => "it is lossless".to_owned(),
        0xC9 | 0xCA => "its coding is arithmetic, expected Huffman's".to_owned(),
        0xCB => "it is lossless and its coding is arithmetic".to_owned(),
        0xC5..=0xC7 | 0xCD..=0xCF => "it is hierarchical".to_owned(),
        process => format!("its frame is of the unknown process 0x{process:02X}"),
    };
    Err(Error::Unsupported { coding: CODING, what })
}

/// The samples of each component must be a whole number of pixels apart, as for libjpeg.
fn check_sampling(frame: &Frame) -> Result<()> {
    let factors = frame.components().iter().map(|component| component.horizontal);
    let most_horizontal = factors.max().unwrap_or(1);
    let factors = frame.components().iter().map(|component| component.vertical);
    let most_vertical = factors.max().unwrap_or(1);
    for component in frame.components() {
        let (horizontal, vertical) = (component.horizontal, component.vertical);
        if most_horizontal % horizontal != 0 || most_vertical % vertical != 0 {
            let what = format!(
                "a component's sampling factors are {horizontal} x {vertical}, which do not divide \
                 the largest, {most_horizontal} x {most_vertical}"
            );
            return Err(Error::Unsupported { coding: CODING, what });
        }
    }
    Ok(())
}

impl WholeJpeg<'_> {
    /// Fails if the file has no end of image, or too many scans.
    fn check_end(&self) -> Result<()> {
        let truncated = Error::Truncated { coding: CODING, len: self.bytes.len() };
        let mut rest = self.bytes.get(self.data_start..).unwrap_or_default();
        let mut scans = 1;
        while let Some(place) = rest.iter().position(|&byte| byte == 0xFF) {
            let Some((&marker, after)) = rest[place + 1..].split_first() else { break };
            match marker {
                0xD9 => return Ok(()),
                // A byte 0xFF of the data, and markers without a segment.
                0x00 | 0x01 | 0xD0..=0xD8 => rest = after,
                // A fill byte.
                0xFF => rest = &rest[place + 1..],
                _ => {
                    let Some((length, _)) = after.split_first_chunk() else { break };
                    let length = usize::from(u16::from_be_bytes(*length));
                    let Some(behind) = after.get(length..) else { break };
                    scans += usize::from(marker == 0xDA);
                    if scans > MOST_SCANS {
                        return Err(damaged(format!("it has more than {MOST_SCANS} scans")));
                    }
                    rest = behind;
                }
            }
        }
        Err(truncated)
    }

    /// Bytes that the crate holds at a time: coefficients and samples of all components, of whole
    /// MCUs, and bands of rows at full size.
    fn held_bytes(&self) -> usize {
        let components = self.frame.components();
        let most = components.iter().map(|c| (c.horizontal, c.vertical));
        let (horizontal, vertical) =
            most.fold((1, 1), |most, factors| (most.0.max(factors.0), most.1.max(factors.1)));
        let columns = self.frame.width.next_multiple_of(8 * horizontal);
        let rows = self.frame.height.next_multiple_of(8 * vertical);
        // Two bytes for each, and bands of as many rows as an MCU has, some four times.
        2 * components.len() * columns * (rows + 4 * 8 * vertical) + FIXED_BYTES
    }

    /// Decodes the samples of all components into packed pixels.
    fn samples<'s>(&self, scratch: &'s mut DecodeScratch) -> Result<&'s mut [u8]> {
        self.check_end()?;
        memory::ask_for(self.held_bytes())?;
        let (height, width) = (self.header.height, self.header.width);
        let samples = memory::part(&mut scratch.pixels, height * width * self.header.channels)?;
        let as_stored = match self.colours {
            Colours::Grey => ColorSpace::Luma,
            Colours::Rgb => ColorSpace::RGB,
            Colours::YCbCr => ColorSpace::YCbCr,
            Colours::Cmyk => ColorSpace::CMYK,
            Colours::Ycck => ColorSpace::YCCK,
        };
        let options = DecoderOptions::default()
            .set_strict_mode(true)
            .set_max_width(usize::from(u16::MAX))
            .set_max_height(usize::from(u16::MAX))
            .jpeg_set_max_scans(MOST_SCANS)
            .jpeg_set_out_colorspace(as_stored);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(self.bytes), options);
        decoder.decode_headers().map_err(|error| self.refusal(&error))?;
        decoder.decode_into(samples).map_err(|error| self.refusal(&error))?;
        Ok(samples)
    }

    fn refusal(&self, error: &DecodeErrors) -> Error {
        match error {
            DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
                Error::Truncated { coding: CODING, len: self.bytes.len() }
            }
            DecodeErrors::Format(what)
            | DecodeErrors::HuffmanDecode(what)
            | DecodeErrors::DqtError(what)
            | DecodeErrors::SosError(what)
            | DecodeErrors::SofError(what)
            | DecodeErrors::MCUError(what) => damaged(what.trim_end()),
            DecodeErrors::FormatStatic(what) => damaged(*what),
            DecodeErrors::IllegalMagicBytes(_)
            | DecodeErrors::ZeroError
            | DecodeErrors::Unsupported(_)
            | DecodeErrors::LargeDimensions(_)
            | DecodeErrors::TooSmallOutput(..) => damaged(error.to_string()),
        }
    }
}

impl Decoder for WholeJpeg<'_> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn decodes_parts(&self) -> bool {
        false
    }

    fn decode(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        mut out: ImageMut<'_>,
        scratch: &mut DecodeScratch,
    ) -> Result<()> {
        check_request(&self.header, region, scale, mode, &out)?;
        if scale != Scale::Full {
            return Err(Error::Scale { coding: CODING, step: scale.step() });
        }
        let samples = self.samples(scratch)?;
        let channels = self.header.channels;
        let out_bytes = region.width * mode.pixel_bytes(&self.header);
        for row in 0..region.height {
            let start = ((region.top + row) * self.header.width + region.left) * channels;
            let pixels = &samples[start..][..region.width * channels];
            self.colours.convert(pixels, mode, out.row(row, out_bytes));
        }
        Ok(())
    }
}
