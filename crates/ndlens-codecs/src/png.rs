//! PNG, by the crate `png`: W3C Portable Network Graphics, third edition.
//!
//! Rows are decoded from the first to the last that the region needs, since each is coded as its
//! difference to the one above; those outside of the region are not stored. So memory is a few
//! rows, whatever the size of the image. Of an interlaced image, all seven passes are decoded, up
//! to the last row of the last one. Of an animation, the image before its other frames is decoded.
//!
//! Opening a file walks over all its chunks, without decompressing any, and refuses it if the last
//! one is not there. Checksums are verified as far as the region reaches.

use std::io::{Cursor, ErrorKind};

use ::png::{BitDepth, ColorType, DecodeOptions, DecodingError, Limits as Allowed};
use ::png::{InterlaceInfo, Reader, Transformations};

use crate::decoder::{Decoder, RowsMut};
use crate::error::{Error, Result};
use crate::exif;
use crate::foreign;
use crate::header::{Coding, Depth, Header, Orientation};
use crate::limits::Limits;
use crate::memory;
use crate::mode::Mode;
use crate::region::{DecodeRegion, Scale};
use crate::samples::Samples;
use crate::scratch::DecodeScratch;

const CODING: Coding = Coding::Png;

/// Buffers of a fixed size: the window of the decompression, tables.
const FIXED_BYTES: usize = 512 << 10;
/// Rows that the crate may hold at a time: it makes room once four are used up.
const HELD_ROWS: usize = 10;

/// The first column and row of each pass of Adam7, and the steps between them: table 9 of the
/// standard.
const PASSES: [(usize, usize, usize, usize); 7] = [
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
];

/// A PNG file whose chunks before the image data were read.
struct PngImage<'a> {
    bytes: &'a [u8],
    header: Header,
    samples: Samples,
    interlaced: bool,
    /// At the first row; none once rows were read.
    reader: Option<Reader<Cursor<&'a [u8]>>>,
}

/// Reads the header of a PNG file, which begins with the signature.
pub(crate) fn open<'a>(bytes: &'a [u8], limits: Limits) -> Result<Box<dyn Decoder + 'a>> {
    let orientation = walk(bytes)?;
    let reader = read_info(bytes, limits)?;
    let info = reader.info();
    let (height, width) = (info.height as usize, info.width as usize);
    let (colours, bits) = reader.output_color_type();
    let channels = match colours {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb | ColorType::Indexed => 3,
        ColorType::Rgba => 4,
    };
    let depth = match bits {
        BitDepth::One | BitDepth::Two | BitDepth::Four | BitDepth::Eight => Depth::Eight,
        BitDepth::Sixteen => Depth::Sixteen,
    };
    let samples = Samples { channels, depth };
    let header = Header { coding: CODING, height, width, channels, depth, orientation };
    let interlaced = info.interlaced;
    Ok(Box::new(PngImage { bytes, header, samples, interlaced, reader: Some(reader) }))
}

/// Finds the last chunk, and on the way the one with the orientation. `eXIf` may stand behind the
/// image data.
fn walk(bytes: &[u8]) -> Result<Orientation> {
    let truncated = Error::Truncated { coding: CODING, len: bytes.len() };
    let mut orientation = Orientation::Upright;
    let mut rest = &bytes[8..];
    loop {
        let Some(([length @ .., _, _, _, _], after)) = rest.split_first_chunk::<8>() else {
            return Err(truncated);
        };
        let name = &rest[4..8];
        let len = u32::from_be_bytes(*length) as usize;
        let Some((data, [_, _, _, _, next @ ..])) = after.split_at_checked(len) else {
            return Err(truncated);
        };
        match name {
            b"IEND" => return Ok(orientation),
            b"eXIf" => orientation = exif::orientation(data),
            // The crate takes the last colour for whole.
            b"PLTE" if !len.is_multiple_of(3) => {
                let what = format!("its palette has {len} bytes, which are no whole colours");
                return Err(Error::Damaged { coding: CODING, what });
            }
            _ => {}
        }
        rest = next;
    }
}

/// Reads all chunks before the image data.
fn read_info(bytes: &[u8], limits: Limits) -> Result<Reader<Cursor<&[u8]>>> {
    let mut options = DecodeOptions::default();
    options.set_ignore_adler32(false);
    options.set_skip_ancillary_crc_failures(false);
    // They may be compressed, and nothing reads them.
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = ::png::Decoder::new_with_options(Cursor::new(bytes), options);
    let refuse = |error| refusal(&error, bytes.len());
    let (height, width) = foreign::run(CODING, FIXED_BYTES, || {
        let info = decoder.read_header_info().map_err(refuse)?;
        Ok((info.height as usize, info.width as usize))
    })?;
    limits.check(height, width)?;
    let held = held_bytes(width);
    foreign::run(CODING, held, move || {
        // What the crate keeps of other chunks is no larger than the file.
        decoder.set_limits(Allowed { bytes: held.saturating_add(bytes.len()) });
        decoder.set_transformations(Transformations::EXPAND);
        decoder.read_info().map_err(refuse)
    })
}

/// Bytes that the crate may hold at a time, of pixels of at most four samples of 16 bits.
fn held_bytes(width: usize) -> usize {
    width.saturating_mul(8 * HELD_ROWS).saturating_add(FIXED_BYTES)
}

fn refusal(error: &DecodingError, len: usize) -> Error {
    match error {
        DecodingError::IoError(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
            Error::Truncated { coding: CODING, len }
        }
        DecodingError::IoError(_)
        | DecodingError::Format(_)
        | DecodingError::Parameter(_)
        | DecodingError::LimitsExceeded => {
            Error::Damaged { coding: CODING, what: error.to_string() }
        }
    }
}

impl Decoder for PngImage<'_> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn makes_rows_in_order(&self) -> bool {
        !self.interlaced
    }

    fn decode_rows(
        &mut self,
        region: DecodeRegion,
        _: Scale,
        mode: Mode,
        out: &mut dyn RowsMut,
        scratch: &mut DecodeScratch,
    ) -> Result<()> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            // The size was checked when the file was opened.
            None => read_info(self.bytes, Limits { max_pixels: u64::MAX })?,
        };
        let row_bytes = self.header.width * self.samples.pixel_bytes();
        let row = memory::part(&mut scratch.pixels, row_bytes)?;
        foreign::run(CODING, held_bytes(self.header.width), || {
            let mut rows = Rows { reader, row, len: self.bytes.len() };
            if self.interlaced {
                rows.interlaced(&self.header, self.samples, region, mode, out)?;
            } else {
                rows.in_order(&self.header, self.samples, region, mode, out)?;
            }
            if region.top + region.height == self.header.height {
                // The checksums of the end.
                let _no_row = rows.read()?;
            }
            Ok(())
        })
    }
}

/// The rows of an image, in the order of the file.
struct Rows<'a, 'row> {
    reader: Reader<Cursor<&'a [u8]>>,
    row: &'row mut [u8],
    /// Bytes of the file.
    len: usize,
}

impl Rows<'_, '_> {
    /// Decodes the next row into [`row`](Self::row).
    fn next(&mut self) -> Result<()> {
        let more = || Error::Damaged { coding: CODING, what: "it has too few rows".to_owned() };
        self.read()?.map(drop).ok_or_else(more)
    }

    fn read(&mut self) -> Result<Option<InterlaceInfo>> {
        self.reader.read_row(self.row).map_err(|error| refusal(&error, self.len))
    }

    fn in_order(
        &mut self,
        header: &Header,
        samples: Samples,
        region: DecodeRegion,
        mode: Mode,
        out: &mut dyn RowsMut,
    ) -> Result<()> {
        let pixel_bytes = samples.pixel_bytes();
        let columns = region.left * pixel_bytes..(region.left + region.width) * pixel_bytes;
        let out_bytes = region.width * mode.pixel_bytes(header);
        for row in 0..region.top + region.height {
            self.next()?;
            if let Some(place) = row.checked_sub(region.top) {
                samples.convert(&self.row[columns.clone()], mode, out.row(place, out_bytes));
            }
        }
        Ok(())
    }

    fn interlaced(
        &mut self,
        header: &Header,
        samples: Samples,
        region: DecodeRegion,
        mode: Mode,
        out: &mut dyn RowsMut,
    ) -> Result<()> {
        let pixel_bytes = samples.pixel_bytes();
        let out_pixel = mode.pixel_bytes(header);
        let out_bytes = region.width * out_pixel;
        for (pass, (first_column, first_row, column_step, row_step)) in
            PASSES.into_iter().enumerate()
        {
            // A pass without columns has no rows.
            if first_column >= header.width {
                continue;
            }
            let last_pass = pass + 1 == PASSES.len();
            // The first of this pass's columns within the region.
            let skipped = region.left.saturating_sub(first_column).div_ceil(column_step);
            let first = first_column + skipped * column_step;
            for row in (first_row..header.height).step_by(row_step) {
                if last_pass && row >= region.top + region.height {
                    return Ok(());
                }
                self.next()?;
                if !(region.top..region.top + region.height).contains(&row) {
                    continue;
                }
                let pixels = self.row.chunks_exact(pixel_bytes).skip(skipped);
                let columns = (first..region.left + region.width).step_by(column_step);
                let out = out.row(row - region.top, out_bytes);
                for (column, pixel) in columns.zip(pixels) {
                    let place = (column - region.left) * out_pixel;
                    samples.convert(pixel, mode, &mut out[place..][..out_pixel]);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::ImageMut;

    /// A grey image whose pixels are the sums of their row and column.
    fn sums(height: usize, width: usize) -> Vec<u8> {
        let mut file = vec![];
        let mut encoder = ::png::Encoder::new(&mut file, width as u32, height as u32);
        encoder.set_color(ColorType::Grayscale);
        let pixels: Vec<u8> = (0..height)
            .flat_map(|row| (0..width).map(move |column| (row + column) as u8))
            .collect();
        encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
        file
    }

    fn decode(decoder: &mut dyn Decoder, region: DecodeRegion) -> Result<Vec<u8>> {
        let mut bytes = vec![0; region.height * region.width];
        let out = ImageMut { bytes: &mut bytes, row_stride_bytes: region.width };
        decoder.decode(region, Scale::Full, Mode::L, out, &mut DecodeScratch::default())?;
        Ok(bytes)
    }

    #[test]
    fn any_region_can_be_decoded_again_and_again() {
        let file = sums(20, 30);
        let mut decoder = open(&file, Limits::default()).unwrap();
        for (top, left, height, width) in [(3, 4, 5, 6), (0, 0, 20, 30), (19, 29, 1, 1)] {
            let region = DecodeRegion { top, left, height, width };
            let got = decode(&mut *decoder, region).unwrap();
            for (place, pixel) in got.into_iter().enumerate() {
                let (row, column) = (top + place / width, left + place % width);
                assert_eq!(usize::from(pixel), row + column);
            }
        }
        let empty = DecodeRegion { top: 20, left: 30, height: 0, width: 0 };
        assert_eq!(decode(&mut *decoder, empty).unwrap(), []);
    }

    #[test]
    fn rows_below_the_region_are_not_read() {
        let mut file = sums(4000, 1000);
        // In the checksum of the data, before that of the chunk and the last chunk.
        let place = file.len() - 17;
        file[place] ^= 1;
        let mut decoder = open(&file, Limits::default()).unwrap();
        let upper = DecodeRegion { top: 0, left: 0, height: 2000, width: 1000 };
        let all = DecodeRegion { height: 4000, ..upper };
        decode(&mut *decoder, upper).unwrap();
        let error = decode(&mut *decoder, all).unwrap_err().to_string();
        assert!(error.starts_with("the PNG image is damaged: "), "{error}");
    }

    #[test]
    fn requests_that_do_not_fit_are_refused() {
        let file = sums(4, 5);
        let mut decoder = open(&file, Limits::default()).unwrap();
        let beyond = DecodeRegion { top: 3, left: 0, height: 2, width: 5 };
        assert_eq!(
            decode(&mut *decoder, beyond).unwrap_err().to_string(),
            format!("the region {beyond:?} at scale 1/1 is not one of an image of 4 x 5")
        );
        let region = DecodeRegion { top: 0, left: 0, height: 4, width: 5 };
        let mut request = |scale, row_stride_bytes, len: usize| {
            let bytes = &mut vec![0; len][..];
            let out = ImageMut { bytes, row_stride_bytes };
            let scratch = &mut DecodeScratch::default();
            decoder.decode(region, scale, Mode::L, out, scratch).map_err(|error| error.to_string())
        };
        assert_eq!(request(Scale::Full, 6, 23), Ok(()));
        let few = "the pixels need rows of 5 bytes and 23 bytes in all, got 22";
        assert_eq!(request(Scale::Full, 6, 22), Err(few.to_owned()));
        let short = "the pixels need rows of 5 bytes and 20 bytes in all, got 100";
        assert_eq!(request(Scale::Full, 4, 100), Err(short.to_owned()));
        let scale = "the PNG decoder has no scale of 1/2: decode at full size and resize";
        assert_eq!(request(Scale::Half, 5, 100), Err(scale.to_owned()));
    }

    #[test]
    fn a_size_beyond_the_limit_is_refused_before_memory_is_taken() {
        let mut header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        header.extend([0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60, 8, 6, 0, 0, 0]);
        let mut checksum = flate2::Crc::new();
        checksum.update(&header[12..]);
        header.extend(checksum.sum().to_be_bytes());
        header.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
        let error = open(&header, Limits::default()).err().unwrap().to_string();
        let text = "the image has 60000 x 60000 pixels, more than the limit of 178956970";
        assert_eq!(error, text);
    }
}
