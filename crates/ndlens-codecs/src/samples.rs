//! Samples of decoded pixels, converted to a [`Mode`].
//!
//! The conversions are Pillow's: alpha is left out, grey is repeated, and grey of colours is ITU-R
//! BT.601 in fixed point. Samples of 16 bits become their high byte, as Pillow makes those of RGB.

use crate::header::Depth;
use crate::mode::Mode;

/// The pixels of a decoder: packed samples; those of 16 bits are big-endian, as PNG stores them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Samples {
    /// 1 (grey), 2 (grey and alpha), 3 (RGB), 4 (RGBA).
    pub(crate) channels: usize,
    pub(crate) depth: Depth,
}

/// ITU-R BT.601 luma, as Pillow's `L24`.
pub(crate) fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    ((sum + 0x8000) >> 16) as u8
}

impl Samples {
    /// Bytes of a pixel.
    pub(crate) fn pixel_bytes(self) -> usize {
        self.channels * self.depth.bytes()
    }

    /// Converts a row of pixels.
    pub(crate) fn convert(self, pixels: &[u8], mode: Mode, out: &mut [u8]) {
        match (self.depth, mode) {
            (Depth::Eight, Mode::Unchanged) => out.copy_from_slice(pixels),
            (Depth::Sixteen, Mode::Unchanged) => {
                for (out, sample) in out.as_chunks_mut().0.iter_mut().zip(pixels.as_chunks().0) {
                    *out = u16::from_be_bytes(*sample).to_ne_bytes();
                }
            }
            // A pixel's high bytes are two apart.
            (Depth::Eight, _) => match self.channels {
                1 => each::<1>(pixels, mode, out, |[grey]| [*grey, *grey, *grey, 255]),
                2 => each::<2>(pixels, mode, out, |[grey, alpha]| [*grey, *grey, *grey, *alpha]),
                3 => each::<3>(pixels, mode, out, |[red, green, blue]| [*red, *green, *blue, 255]),
                _ => each::<4>(pixels, mode, out, |pixel| *pixel),
            },
            (Depth::Sixteen, _) => match self.channels {
                1 => each::<2>(pixels, mode, out, |p| [p[0], p[0], p[0], 255]),
                2 => each::<4>(pixels, mode, out, |p| [p[0], p[0], p[0], p[2]]),
                3 => each::<6>(pixels, mode, out, |p| [p[0], p[2], p[4], 255]),
                _ => each::<8>(pixels, mode, out, |p| [p[0], p[2], p[4], p[6]]),
            },
        }
    }
}

/// Converts pixels of N bytes, given their red, green, blue and alpha.
pub(crate) fn each<const N: usize>(
    pixels: &[u8],
    mode: Mode,
    out: &mut [u8],
    rgba: impl Fn(&[u8; N]) -> [u8; 4],
) {
    let pixels = pixels.as_chunks::<N>().0.iter().map(rgba);
    match mode {
        Mode::L => {
            for (out, [red, green, blue, _]) in out.iter_mut().zip(pixels) {
                *out = luma(red, green, blue);
            }
        }
        Mode::Rgb => {
            for (out, [red, green, blue, _]) in out.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                *out = [red, green, blue];
            }
        }
        Mode::Rgba | Mode::Unchanged => {
            for (out, pixel) in out.as_chunks_mut::<4>().0.iter_mut().zip(pixels) {
                *out = pixel;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_pixels_keep_their_value() {
        for grey in 0..=255 {
            assert_eq!(luma(grey, grey, grey), grey);
        }
    }

    #[test]
    fn every_layout_of_samples_is_converted_to_every_mode() {
        let (grey, rgb) = ([10, 10, 10], [10, 20, 30]);
        for (channels, colours, alpha) in
            [(1, grey, 255), (2, grey, 40), (3, rgb, 255), (4, rgb, 40)]
        {
            let mut pixel = match channels {
                1 | 2 => vec![10],
                _ => rgb.to_vec(),
            };
            if alpha == 40 {
                pixel.push(40);
            }
            let wide: Vec<u8> = pixel.iter().flat_map(|high| [*high, 99]).collect();
            for (depth, pixel) in [(Depth::Eight, &pixel), (Depth::Sixteen, &wide)] {
                let samples = Samples { channels, depth };
                assert_eq!(samples.pixel_bytes(), pixel.len());
                let row = [&pixel[..], pixel].concat();
                let converted = |mode, bytes: usize| {
                    let mut out = vec![0; 2 * bytes];
                    samples.convert(&row, mode, &mut out);
                    assert_eq!(out[..bytes], out[bytes..]);
                    out[..bytes].to_vec()
                };
                let [red, green, blue] = colours;
                assert_eq!(converted(Mode::Rgb, 3), colours);
                assert_eq!(converted(Mode::L, 1), [luma(red, green, blue)]);
                assert_eq!(converted(Mode::Rgba, 4), [red, green, blue, alpha]);
                let unchanged = converted(Mode::Unchanged, pixel.len());
                match depth {
                    Depth::Eight => assert_eq!(unchanged, *pixel),
                    Depth::Sixteen => {
                        let first = u16::from_ne_bytes([unchanged[0], unchanged[1]]);
                        assert_eq!(first, 10 * 256 + 99);
                    }
                }
            }
        }
    }
}
