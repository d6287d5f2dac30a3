//! Changes of colour, in place on packed images: torchvision's `adjust_brightness`,
//! `adjust_contrast`, `adjust_saturation`, `adjust_hue` and `rgb_to_grayscale`.
//!
//! torchvision makes each of them in several passes over float images. Here a block of pixels is
//! taken apart into planes of `f32`, goes through all adjustments while it is in the first-level
//! cache, and is put together again. Only a contrast needs a look at the whole image before, for
//! its mean:
//!
//! ```text
//!  [Saturation, Contrast, Hue]    pass 1: Saturation, and the sum of the grays
//!                                 pass 2: Contrast, Hue
//! ```
//!
//! After each adjustment a `uint8` image is cut to whole numbers and a float image clamped to 0..1,
//! as torchvision does.
//!
//! - `passes.rs`: passes over an image, compiled for each instruction set.
//! - `planes.rs`: a block of pixels, and the arithmetic on it.
//! - `tests.rs`: the oracle, one pixel at a time.

mod passes;
pub(crate) mod planes;

use ndlens_core::DType;

use crate::error::{Error, Result};
use crate::simd::level::Isa;
use passes::run;

/// One change of colour. Factors are torchvision's: 1 leaves an image as it is, 0 of a hue.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Adjustment {
    /// Every value times a factor.
    Brightness(f64),
    /// Away from the mean gray of the image, or towards it.
    Contrast(f64),
    /// Away from each pixel's gray, or towards it.
    Saturation(f64),
    /// The hue turned by so many circles, from -0.5 to 0.5.
    Hue(f64),
    /// Every channel the pixel's gray.
    Grayscale,
}

impl Adjustment {
    /// Whether images of this dtype and number of channels can be adjusted.
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

    /// Changes an image by all of `adjustments`, one after the other. `pixels` are packed, the
    /// channels (1, or red, green and blue) of a pixel side by side. With one channel, saturation,
    /// hue and grayscale change nothing.
    ///
    /// # Rationale
    ///
    /// A `uint8` image comes out bit for bit as torchvision makes it on a CPU with fused
    /// multiply-add, if its grays sum to less than 2^24 where a contrast looks at them, which those
    /// of 256 x 256 pixels always do; beyond, torch's own sum rounds, and a value may differ by one
    /// level. A `float32` image differs in the last bits of a contrast's mean only.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); [`Error::DestinationSize`] where `pixels` are not whole pixels;
    /// [`Error::UnknownIsa`].
    pub fn apply(
        adjustments: &[Adjustment],
        pixels: &mut [u8],
        dtype: &DType,
        channels: usize,
    ) -> Result<()> {
        Adjustment::apply_with_isa(adjustments, pixels, dtype, channels, Isa::chosen()?)
    }

    /// As [`apply`](Self::apply), for an instruction set that this machine has.
    pub(crate) fn apply_with_isa(
        adjustments: &[Adjustment],
        pixels: &mut [u8],
        dtype: &DType,
        channels: usize,
        isa: Isa,
    ) -> Result<()> {
        Adjustment::check(dtype, channels)?;
        let pixel_bytes = dtype.itemsize() * channels;
        if !pixels.len().is_multiple_of(pixel_bytes) {
            let (got, expected) = (pixels.len(), pixels.len() / pixel_bytes * pixel_bytes);
            return Err(Error::DestinationSize { got, expected });
        }
        match (dtype, channels) {
            (DType::U8, 1) => run::<u8, 1>(adjustments, pixels, isa),
            (DType::U8, _) => run::<u8, 3>(adjustments, pixels, isa),
            (_, 1) => run::<f32, 1>(adjustments, pixels, isa),
            (_, _) => run::<f32, 3>(adjustments, pixels, isa),
        }
        Ok(())
    }

    /// The mean that it needs to know is of the whole image.
    pub(crate) fn needs_mean(self) -> bool {
        matches!(self, Adjustment::Contrast(_))
    }
}
