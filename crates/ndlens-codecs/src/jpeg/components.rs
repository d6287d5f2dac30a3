//! What the components of a JPEG file are, and the conversion of their samples to a [`Mode`].
//!
//! The choice is libjpeg's: a JFIF segment means luma and chroma; Adobe's segment says; without
//! either, the components' names do. The arithmetic is libjpeg's too (ITU-T T.871 in 16 bits of
//! fixed point), and Pillow's for CMYK.

use super::markers::Markers;
use crate::error::{Error, Result};
use crate::header::{Coding, Depth};
use crate::mode::Mode;
use crate::samples::{Samples, each};

/// The colours of a JPEG file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// One component.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Luma and two differences of colours.
    YCbCr,
    /// Cyan, magenta, yellow, black, stored inverted, as Adobe's programs do.
    Cmyk,
    /// Inverted CMYK, of which the first three are coded as luma and differences.
    Ycck,
}

impl Colours {
    /// The colours that the markers say.
    pub(crate) fn of(markers: &Markers<'_>) -> Result<Colours> {
        let components = markers.frame.components();
        match components.len() {
            1 => Ok(Colours::Grey),
            3 => {
                let named_rgb = components.iter().map(|component| component.id).eq(*b"RGB");
                let rgb = markers.adobe_transform.map_or(named_rgb, |transform| transform == 0);
                Ok(if rgb && !markers.jfif { Colours::Rgb } else { Colours::YCbCr })
            }
            4 => Ok(match markers.adobe_transform {
                Some(2) => Colours::Ycck,
                _ => Colours::Cmyk,
            }),
            count => {
                let what = format!("it has {count} components, expected 1, 3 or 4");
                Err(Error::Unsupported { coding: Coding::Jpeg, what })
            }
        }
    }

    /// Channels of a pixel: those of the file.
    pub(crate) fn channels(self) -> usize {
        match self {
            Colours::Grey => 1,
            Colours::Rgb | Colours::YCbCr => 3,
            Colours::Cmyk | Colours::Ycck => 4,
        }
    }

    /// Converts a row of pixels, whose samples are those of the components.
    pub(crate) fn convert(self, pixels: &[u8], mode: Mode, out: &mut [u8]) {
        let channels = self.channels();
        let samples = Samples { channels, depth: Depth::Eight };
        // Of colours, those of the file are RGB or CMYK.
        let of_three = match mode {
            Mode::Unchanged => Mode::Rgb,
            Mode::Rgb | Mode::L | Mode::Rgba => mode,
        };
        match (self, mode) {
            (Colours::Grey | Colours::Rgb, _) => samples.convert(pixels, mode, out),
            (Colours::YCbCr, Mode::L) => {
                for (out, [luma, _, _]) in out.iter_mut().zip(pixels.as_chunks().0) {
                    *out = *luma;
                }
            }
            (Colours::YCbCr, _) => each(pixels, of_three, out, |[luma, blue, red]| {
                let [red, green, blue] = rgb(*luma, *blue, *red);
                [red, green, blue, 255]
            }),
            (Colours::Cmyk, Mode::Unchanged) => each(pixels, mode, out, |pixel| inverted(*pixel)),
            (Colours::Ycck, Mode::Unchanged) => each(pixels, mode, out, |pixel| ycck(*pixel)),
            (Colours::Cmyk, _) => each(pixels, mode, out, |pixel| seen(inverted(*pixel))),
            (Colours::Ycck, _) => each(pixels, mode, out, |pixel| seen(ycck(*pixel))),
        }
    }
}

/// Luma and differences of colours to red, green and blue, to the bit as libjpeg.
pub(crate) fn rgb(luma: u8, blue_difference: u8, red_difference: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let luma = i32::from(luma);
    let blue = i32::from(blue_difference) - 128;
    let red = i32::from(red_difference) - 128;
    // 1.402, 0.344136, 0.714136 and 1.772, times 2^16.
    [
        luma + ((91881 * red + HALF) >> 16),
        luma + ((-22554 * blue - 46802 * red + HALF) >> 16),
        luma + ((116_130 * blue + HALF) >> 16),
    ]
    .map(|sample| sample.clamp(0, 255) as u8)
}

fn inverted(pixel: [u8; 4]) -> [u8; 4] {
    pixel.map(|sample| 255 - sample)
}

/// CMYK as Pillow shows it. libjpeg inverts the colours once, Pillow all four once more.
fn ycck([luma, blue, red, black]: [u8; 4]) -> [u8; 4] {
    let [cyan, magenta, yellow] = rgb(luma, blue, red);
    [cyan, magenta, yellow, 255 - black]
}

/// The opaque colour of CMYK, by Pillow's `cmyk2rgb`.
fn seen([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 4] {
    let light = 255 - u32::from(black);
    let colour = |ink: u8| {
        let product = u32::from(ink) * light + 128;
        // A division by 255 that rounds.
        light.saturating_sub((product + (product >> 8)) >> 8) as u8
    };
    [colour(cyan), colour(magenta), colour(yellow), 255]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_without_colour_is_grey() {
        for luma in 0..=255 {
            assert_eq!(rgb(luma, 128, 128), [luma; 3]);
        }
    }

    #[test]
    fn colours_are_within_half_a_step_of_t_871() {
        for luma in (0..=255u8).step_by(5) {
            for blue in (0..=255u8).step_by(3) {
                for red in (0..=255u8).step_by(3) {
                    let (y, cb) = (f64::from(luma), f64::from(blue) - 128.0);
                    let cr = f64::from(red) - 128.0;
                    let exact = [
                        y + 1.402 * cr,
                        y - 0.114 * 1.772 / 0.587 * cb - 0.299 * 1.402 / 0.587 * cr,
                        y + 1.772 * cb,
                    ];
                    for (got, exact) in rgb(luma, blue, red).into_iter().zip(exact) {
                        assert!((f64::from(got) - exact.clamp(0.0, 255.0)).abs() < 0.502);
                    }
                }
            }
        }
    }

    #[test]
    fn black_ink_darkens_every_colour() {
        assert_eq!(seen([0, 0, 0, 0]), [255; 4]);
        assert_eq!(seen([0, 0, 0, 255]), [0, 0, 0, 255]);
        assert_eq!(seen([255, 0, 0, 0]), [0, 255, 255, 255]);
        assert_eq!(seen([128, 0, 0, 127]), [64, 128, 128, 255]);
    }
}
