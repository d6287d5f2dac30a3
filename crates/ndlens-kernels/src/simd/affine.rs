//! Scaling and normalising: `(x * scale - mean) / std`, as numbers and in registers.
//!
//! The division is done by multiply, residual, correct if that gives the bits of a division for
//! every input.

#![expect(unsafe_code, reason = "arithmetic on registers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use crate::simd::half::{Bf16, F16, Half};
use crate::simd::vector::{Form, Halves, Vector};

/// The most lanes of a vector, which is also how far [`Affine`]'s cyclic values reach beyond one
/// cycle.
pub(crate) const MAX_LANES: usize = 16;

/// `(x * scale - mean) / std` in `f32`, for `uint8` x.
#[derive(Debug, Clone)]
pub(crate) struct Affine {
    pub(crate) rounding: Rounding,
    pub(crate) scale: f32,
    pub(crate) normalize: Option<AffineNormalize>,
}

/// Rounding of the results: only of the last, or of `each` operation. No result that becomes a
/// bfloat16 is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Single,
    Float16 { each: bool },
    Bfloat16 { each: bool },
}

/// Values by channel. Each vector continues cyclically for [`MAX_LANES`] more values, so that a
/// register can be loaded from any channel on.
#[derive(Debug, Clone)]
pub(crate) struct AffineNormalize {
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
    pub(crate) inverse: Vec<f32>,
    /// Whether multiply, residual, correct gives the bits of a division for every input.
    pub(crate) by_inverse: bool,
}

/// The computation of a row.
pub(crate) mod arithmetic {
    pub(crate) const SCALE: u8 = 0;
    pub(crate) const BY_INVERSE: u8 = 1;
    pub(crate) const DIVIDE: u8 = 2;
}
use arithmetic::{BY_INVERSE, SCALE};

impl Rounding {
    /// The bytes of a result.
    pub(crate) fn size(self) -> usize {
        if self == Rounding::Single { 4 } else { 2 }
    }

    /// Rounding of the last result.
    fn last(self, value: f32) -> f32 {
        match self {
            Rounding::Single => value,
            Rounding::Float16 { .. } => F16::round(value),
            Rounding::Bfloat16 { .. } => Bf16::round(value),
        }
    }

    /// Rounding of the results before it.
    fn each(self, value: f32) -> f32 {
        match self {
            Rounding::Float16 { each: true } | Rounding::Bfloat16 { each: true } => {
                self.last(value)
            }
            Rounding::Single
            | Rounding::Float16 { each: false }
            | Rounding::Bfloat16 { each: false } => value,
        }
    }
}

impl AffineNormalize {
    /// The affine map; None if results are NaN, which cannot be rounded.
    pub(crate) fn new(
        scale: f32,
        mean: &[f64],
        std: &[f64],
        rounding: Rounding,
        channels: usize,
    ) -> Option<Self> {
        let cyclic = |values: &[f64]| -> Vec<f32> {
            let values = values.iter().map(|&value| value as f32);
            values.cycle().take(channels + MAX_LANES).collect()
        };
        let (mean, std) = (cyclic(mean), cyclic(std));
        let inverse: Vec<f32> = std.iter().map(|std| 1.0 / std).collect();
        let (mut by_inverse, mut numbers) = (true, true);
        for channel in 0..channels {
            let (mean, std, inverse) = (mean[channel], std[channel], inverse[channel]);
            for byte in 0u8..=255 {
                let scaled = rounding.each(f32::from(byte) * scale);
                let centered = rounding.each(scaled - mean);
                let divided = rounding.last(centered / std);
                let quotient = centered * inverse;
                let residual = (-quotient).mul_add(std, centered);
                let corrected = rounding.last(residual.mul_add(inverse, quotient));
                by_inverse &= corrected.to_bits() == divided.to_bits();
                numbers &= !divided.is_nan();
            }
        }
        let rounds = !matches!(rounding, Rounding::Bfloat16 { .. }) || numbers;
        rounds.then_some(AffineNormalize { mean, std, inverse, by_inverse })
    }
}

/// The values that normalise a block.
#[derive(Clone, Copy)]
pub(crate) struct Constants<V: Vector> {
    mean: V::Floats,
    std: V::Floats,
    inverse: V::Floats,
}

impl<V: Halves> Constants<V> {
    /// The values of one channel, or, if `CYCLIC`, of the channels from that one on.
    ///
    /// # Safety
    ///
    /// `V`'s instructions; `channel` must be one that the affine's values were made for.
    #[inline(always)]
    pub(crate) unsafe fn new<const ARITHMETIC: u8, const CYCLIC: bool>(
        affine: &Affine,
        channel: usize,
    ) -> Self {
        // SAFETY: the caller guarantees the channel.
        unsafe {
            match &affine.normalize {
                Some(AffineNormalize { mean, std, inverse, .. }) if ARITHMETIC != SCALE => {
                    Constants {
                        mean: Self::load::<CYCLIC>(mean, channel),
                        std: Self::load::<CYCLIC>(std, channel),
                        inverse: Self::load::<CYCLIC>(inverse, channel),
                    }
                }
                _ => Constants { mean: V::splat(0.0), std: V::splat(1.0), inverse: V::splat(1.0) },
            }
        }
    }

    /// # Safety
    ///
    /// As [`new`](Self::new).
    #[inline(always)]
    unsafe fn load<const CYCLIC: bool>(values: &[f32], channel: usize) -> V::Floats {
        debug_assert!(channel + MAX_LANES <= values.len());
        // SAFETY: the values go on for MAX_LANES beyond the channels, so a register's fit from any
        // channel on.
        unsafe {
            let first = values.as_ptr().add(channel);
            if CYCLIC { V::load(first) } else { V::splat(*first) }
        }
    }

    /// The results, of which the last is not rounded.
    ///
    /// # Safety
    ///
    /// `V`'s instructions.
    #[inline(always)]
    pub(crate) unsafe fn normalize<F: Form, const ARITHMETIC: u8>(
        self,
        scaled: V::Floats,
    ) -> V::Floats {
        // SAFETY: arithmetic on registers.
        unsafe {
            match ARITHMETIC {
                SCALE => scaled,
                BY_INVERSE => {
                    let centered = F::round::<V>(V::sub(scaled, self.mean));
                    let quotient = V::mul(centered, self.inverse);
                    let residual = V::negated_mul_add(quotient, self.std, centered);
                    V::mul_add(residual, self.inverse, quotient)
                }
                _ => V::div(F::round::<V>(V::sub(scaled, self.mean)), self.std),
            }
        }
    }
}
