//! Encoded images: what every decoder promises.

use ndlens_codecs::{
    Coding, DecodeRegion, DecodeScratch, Decoder, Error, Header, ImageMut, Limits, Mode, Scale,
    open,
};
use ndlens_core::ErrorKind;

use crate::memory;

/// Few pixels, so that an input takes little time.
const LIMITS: Limits = Limits { max_pixels: 1 << 14 };
/// Memory that an image within the limits may claim, beside a multiple of its bytes: pixels, as
/// they are stored and in every mode, and what a decoder holds, of WebP 16 MiB that are claimed by
/// 24 bits.
const MOST_BYTES: usize = 32 << 20;
const PER_BYTE: usize = 8;

const MODES: [Mode; 4] = [Mode::Rgb, Mode::L, Mode::Rgba, Mode::Unchanged];
const SCALES: [Scale; 4] = [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth];

/// What is between the rows of an image.
const GAP: usize = 5;
const UNTOUCHED: u8 = 0xA5;

/// The rows of a region, packed. Strip by strip they are the same.
pub(crate) fn decode(
    decoder: &mut dyn Decoder,
    region: DecodeRegion,
    scale: Scale,
    mode: Mode,
    scratch: &mut DecodeScratch,
) -> Result<Vec<u8>, Error> {
    let (rows, columns) = region.size_at(scale);
    let row_bytes = columns * mode.pixel_bytes(decoder.header());
    let row_stride_bytes = row_bytes + GAP;
    let mut bytes = vec![UNTOUCHED; rows * row_stride_bytes];
    let out = ImageMut { bytes: &mut bytes, row_stride_bytes };
    let made = decoder.decode(region, scale, mode, out, scratch);
    let mut strips = vec![];
    let mut take = |rows: &[u8]| strips.extend_from_slice(rows);
    let by_strips = decoder.decode_strips(region, scale, mode, scratch, &mut take);
    assert_eq!(made.is_ok(), by_strips.is_ok(), "{made:?}, {by_strips:?}");
    made?;
    let mut packed = vec![];
    for row in bytes.chunks_exact(row_stride_bytes) {
        let (pixels, gap) = row.split_at(row_bytes);
        packed.extend(pixels);
        assert_eq!(gap, [UNTOUCHED; GAP], "a row is longer than it is");
    }
    assert!(strips == packed, "strips of {region:?} at {scale:?} in {mode:?}");
    Ok(packed)
}

pub(crate) fn whole(header: &Header) -> DecodeRegion {
    DecodeRegion { top: 0, left: 0, height: header.height, width: header.width }
}

/// A part of a decoded image of packed rows.
fn part(image: &[u8], row_bytes: usize, top: usize, left: usize, size: (usize, usize)) -> Vec<u8> {
    let rows = image.chunks_exact(row_bytes.max(1)).skip(top).take(size.0);
    rows.flat_map(|row| row[left..left + size.1].iter().copied()).collect()
}

/// Asserts that a failure is one of the image, and says so.
fn is_of_the_image(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Image, "{error}");
    assert!(!error.to_string().contains("panicked"), "{error}");
}

/// Choices that depend on the bytes of an image, and are the same for the same bytes.
struct Choices(u64);

impl Choices {
    fn of(bytes: &[u8]) -> Self {
        Choices(bytes.iter().fold(0x9E37_79B9, |state, byte| {
            (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
        }))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % limit
    }

    fn region(&mut self, header: &Header, step: usize) -> DecodeRegion {
        let top = self.below(header.height) / step * step;
        let left = self.below(header.width) / step * step;
        let height = self.below(header.height - top + 1);
        DecodeRegion { top, left, height, width: self.below(header.width - left + 1) }
    }
}

/// Opens an image, if it is one, and asserts that regions at a scale are those parts of the whole.
/// Returns the header, and the pixels in RGB or why there are none.
pub(crate) fn check(bytes: &[u8], coding: Coding) -> Option<(Header, Result<Vec<u8>, Error>)> {
    let (checked, claimed) = memory::claimed(|| check_parts(bytes, coding));
    let most = MOST_BYTES + PER_BYTE * bytes.len();
    assert!(claimed <= most, "an image of {} bytes claims {claimed} bytes", bytes.len());
    checked
}

fn check_parts(bytes: &[u8], coding: Coding) -> Option<(Header, Result<Vec<u8>, Error>)> {
    let mut decoder = match open(bytes, &LIMITS) {
        Ok(decoder) => decoder,
        Err(error) => {
            is_of_the_image(&error);
            return None;
        }
    };
    let header = *decoder.header();
    assert_eq!(header.coding, coding);
    assert!(header.height > 0 && header.width > 0 && (1..=4).contains(&header.channels));
    assert!((header.height as u64) * (header.width as u64) <= LIMITS.max_pixels);
    let mut scratch = DecodeScratch::default();
    let rgb = decode(&mut *decoder, whole(&header), Scale::Full, Mode::Rgb, &mut scratch);
    // One mode and one scale of an input: all of them would take sixteen times as long.
    let mut choices = Choices::of(bytes);
    let (mode, scale) = (MODES[choices.below(MODES.len())], SCALES[choices.below(SCALES.len())]);
    let scale = if decoder.decodes_at(scale) { scale } else { Scale::Full };
    let step = scale.step();
    let pixel_bytes = mode.pixel_bytes(&header);
    let all = decode(&mut *decoder, whole(&header), scale, mode, &mut scratch);
    let row_bytes = header.width.div_ceil(step) * pixel_bytes;
    for _ in 0..2 {
        let region = choices.region(&header, step);
        let got = decode(&mut *decoder, region, scale, mode, &mut scratch);
        let (rows, columns) = region.size_at(scale);
        match (&all, got) {
            (Ok(all), got) => {
                let (top, left) = (region.top / step, region.left / step);
                let size = (rows, columns * pixel_bytes);
                let expected = part(all, row_bytes, top, left * pixel_bytes, size);
                let got = got.unwrap_or_else(|error| panic!("{region:?}: {error}"));
                assert!(got == expected, "{region:?} at {scale:?} in {mode:?}");
            }
            // The region may need less of the file than the whole.
            (Err(_), Ok(_)) => {}
            (Err(_), Err(error)) => is_of_the_image(&error),
        }
    }
    if let Err(error) = all {
        is_of_the_image(&error);
    }
    Some((header, rgb))
}
