//! JPEG. Bytes as they are, or an image that they describe, which is encoded first.
//!
//! A damaged file may decode to anything, so pixels are compared where the file is one of an
//! encoder: those of a progressive file with those of the same image in one scan, and these with
//! those of zune-jpeg, if no component is sampled less than others. It interpolates otherwise than
//! libjpeg; `tests/images` compares all samplings with Pillow and torchvision.

use arbitrary::{Result, Unstructured};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use ndlens_codecs::Coding;
use zune_core::bytestream::ZCursor;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

use crate::images;
use crate::numbers;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "jpeg",
    promise: "a region of a JPEG is that part of the whole, progressive or not",
    run,
    max_len: 2048,
};

const SAMPLINGS: [SamplingFactor; 9] = [
    SamplingFactor::F_1_1,
    SamplingFactor::F_2_1,
    SamplingFactor::F_1_2,
    SamplingFactor::F_2_2,
    SamplingFactor::F_4_1,
    SamplingFactor::F_4_2,
    SamplingFactor::F_1_4,
    SamplingFactor::F_2_4,
    SamplingFactor::R_4_4_4,
];

/// How far two inverse DCTs and two conversions to RGB may be apart: both round.
const APART: u8 = 4;

fn run(data: &[u8]) {
    match data.split_first() {
        Some((kind, data)) if kind % 2 == 1 => numbers::read(data, encoded),
        Some((_, data)) => drop(images::check(data, Coding::Jpeg)),
        None => {}
    }
}

/// An image that an encoder wrote is decoded, and as by zune-jpeg.
fn encoded(u: &mut Unstructured<'_>) -> Result<()> {
    let (width, height) = (u.int_in_range(1..=70u16)?, u.int_in_range(1..=50u16)?);
    let (colours, channels) =
        *u.choose(&[(ColorType::Luma, 1), (ColorType::Rgb, 3), (ColorType::Cmyk, 4)])?;
    let sampling = *u.choose(&SAMPLINGS)?;
    let (quality, restarts) = (u.int_in_range(1..=100u8)?, u.int_in_range(0..=9u16)?);
    // The encoder counts symbols as if there were no restarts.
    let optimized = u.arbitrary::<bool>()? && restarts == 0;
    let noise = u.bytes(u.len())?;
    let samples = usize::from(width) * usize::from(height) * channels;
    let noise = if noise.is_empty() { &[128] } else { noise };
    let pixels: Vec<u8> = noise.iter().copied().cycle().take(samples).collect();
    let mut decoded = [false, true].map(|progressive| {
        let mut bytes = vec![];
        let mut encoder = Encoder::new(&mut bytes, quality);
        encoder.set_sampling_factor(sampling);
        encoder.set_progressive(progressive);
        encoder.set_optimized_huffman_tables(optimized);
        encoder.set_restart_interval(restarts);
        encoder.encode(&pixels, width, height, colours).expect("an image of a valid size");
        let (header, rgb) = images::check(&bytes, Coding::Jpeg).expect("a JPEG");
        assert_eq!((header.width, header.height), (width.into(), height.into()));
        assert_eq!(header.channels, channels);
        (bytes, rgb.expect("an image that can be decoded"))
    });
    let [(bytes, rgb), (_, progressive)] = &mut decoded;
    assert!(rgb == progressive, "an image differs if it is progressive");
    let is_full = matches!(sampling, SamplingFactor::F_1_1 | SamplingFactor::R_4_4_4);
    // With tables of its own the encoder writes a scan for each component, of which zune-jpeg makes
    // other pixels than libjpeg; `tests/images` has such files.
    let is_one_scan = channels == 1 || !optimized;
    if is_one_scan && (channels == 1 || (channels == 3 && is_full)) {
        let options = DecoderOptions::default().set_strict_mode(true);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(&*bytes), options);
        let theirs = decoder.decode().expect("an image that zune-jpeg decodes");
        let apart = rgb.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        assert!(rgb.len() == theirs.len() && apart <= APART, "{apart} apart");
    }
    Ok(())
}
