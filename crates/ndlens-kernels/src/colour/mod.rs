//! Changes of colour, in place on packed images: torchvision's `adjust_brightness`,
//! `adjust_contrast`, `adjust_saturation`, `adjust_hue` and `rgb_to_grayscale`.
//!
//! torchvision makes each of them in several passes over float images. Here a block of pixels is
//! split into planes of `f32`, goes through all adjustments while it is in the first-level cache,
//! and is joined again. Only a contrast needs an earlier pass over the whole image, for its mean:
//!
//! ```text
//!  [Saturation, Contrast, Hue]    pass 1: Saturation, and the sum of the grays
//!                                 pass 2: Contrast, Hue
//! ```
//!
//! After each adjustment a `uint8` image is cut to whole numbers and a float image clamped to 0..1,
//! as torchvision does.
//!
//! - `adjustment.rs`: one change of colour.
//! - `passes.rs`: passes over an image.
//! - `planes.rs`: a block of pixels, and the arithmetic on it.

mod adjustment;
mod passes;
pub(crate) mod planes;

use ndlens_core::DType;

use crate::colour::passes::run;
use crate::error::{Error, Result};
use crate::simd::level::Level;

pub use crate::colour::adjustment::Adjustment;

impl Adjustment {
    /// Checks that images of this dtype and number of channels can be adjusted.
    ///
    /// # Errors
    ///
    /// [`Error::ColourDType`], [`Error::ColourChannels`].
    pub fn check(dtype: &DType, channels: usize) -> Result<()> {
        if !matches!(dtype, DType::U8 | DType::F32) {
            return Err(Error::ColourDType { got: dtype.to_string() });
        }
        if channels != 1 && channels != 3 {
            return Err(Error::ColourChannels { got: channels });
        }
        Ok(())
    }

    /// Changes an image by all of `adjustments`, one after the other. `pixels` are packed, with the
    /// channels (1, or red, green and blue) of a pixel adjacent. With one channel, saturation, hue
    /// and grayscale change nothing.
    ///
    /// # Rationale
    ///
    /// A `uint8` image comes out bit for bit as torchvision makes it on a CPU with fused
    /// multiply-add, if the grays that a contrast sums are less than 2^24 in all, as those of 256 x
    /// 256 pixels always are. Beyond that torch's own sum rounds, and a value may differ by one
    /// level. A `float32` image differs in the last bits of a contrast's mean only.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); [`Error::DestinationSize`] if `pixels` are not whole pixels;
    /// [`Error::UnknownLevel`].
    pub fn apply(
        adjustments: &[Adjustment],
        pixels: &mut [u8],
        dtype: &DType,
        channels: usize,
    ) -> Result<()> {
        Adjustment::apply_at_level(adjustments, pixels, dtype, channels, Level::chosen()?)
    }

    /// As [`apply`](Self::apply), by the bodies of a level.
    pub(crate) fn apply_at_level(
        adjustments: &[Adjustment],
        pixels: &mut [u8],
        dtype: &DType,
        channels: usize,
        level: Level,
    ) -> Result<()> {
        Adjustment::check(dtype, channels)?;
        let pixel_bytes = dtype.itemsize() * channels;
        if !pixels.len().is_multiple_of(pixel_bytes) {
            let (got, expected) = (pixels.len(), pixels.len() / pixel_bytes * pixel_bytes);
            return Err(Error::DestinationSize { got, expected });
        }
        match (dtype, channels) {
            (DType::U8, 1) => run::<u8, 1>(adjustments, pixels, level),
            (DType::U8, _) => run::<u8, 3>(adjustments, pixels, level),
            (_, 1) => run::<f32, 1>(adjustments, pixels, level),
            (_, _) => run::<f32, 3>(adjustments, pixels, level),
        }
        Ok(())
    }
}
