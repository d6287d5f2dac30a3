//! Mixing of two arrays of floats, in place, as `MixUp` does with neighbours in a batch.
//!
//! The result is that of torch's `other.mul(1 - share).add_(own.mul(share))`, to the bit: each
//! product and the sum are rounded to the dtype, and a share to `f32` for dtypes that are narrower
//! than 64 bits. Plain loops without branches, which compilers turn into vector code of any width,
//! are faster than memory for 32 and 64 bits and about as fast for 16.

#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use ndlens_core::DType;

use crate::error::{Error, Result};
use crate::simd::half::{Bf16, F16, Half};
use crate::simd::level::{Body, Level};

/// The shares of an element and of another in a mixture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blend {
    width: Width,
    own: f64,
    other: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Width {
    Half,
    Brain,
    Single,
    Double,
}

impl Blend {
    /// A blend that keeps `share` of each element, and takes the rest from another.
    ///
    /// # Errors
    ///
    /// [`Error::BlendDType`] for elements that are not floats of 16 to 64 bits.
    pub fn new(dtype: &DType, share: f64) -> Result<Self> {
        let width = match dtype {
            DType::F16 => Width::Half,
            DType::Bf16 => Width::Brain,
            DType::F32 => Width::Single,
            DType::F64 => Width::Double,
            other => return Err(Error::BlendDType { got: other.to_string() }),
        };
        Ok(Blend { width, own: share, other: 1.0 - share })
    }

    /// Mixes elements with as many others. Bytes beyond the last whole element stay as they are.
    pub fn apply(&self, own: &mut [u8], other: &[u8]) {
        self.apply_at_level(own, other, Level::chosen().unwrap_or(Level::SCALAR));
    }

    fn apply_at_level(&self, own: &mut [u8], other: &[u8], level: Level) {
        level.run(Mix { blend: *self, own, other });
    }
}

/// Elements that are mixed with others.
struct Mix<'a> {
    blend: Blend,
    own: &'a mut [u8],
    other: &'a [u8],
}

impl Body for Mix<'_> {
    type Output = ();

    // Loops are no closures, which would be functions of their own, without the instructions.
    #[inline(always)]
    fn run(self) {
        let Mix { blend: Blend { width, own: share, other: rest }, own, other } = self;
        let (narrow_share, narrow_rest) = (share as f32, rest as f32);
        match width {
            Width::Half => halves::<F16>(own, other, narrow_share, narrow_rest),
            Width::Brain => halves::<Bf16>(own, other, narrow_share, narrow_rest),
            Width::Single => {
                for (own, other) in own.as_chunks_mut().0.iter_mut().zip(other.as_chunks().0) {
                    let mixed = f32::from_le_bytes(*other) * narrow_rest
                        + f32::from_le_bytes(*own) * narrow_share;
                    *own = mixed.to_le_bytes();
                }
            }
            Width::Double => {
                for (own, other) in own.as_chunks_mut().0.iter_mut().zip(other.as_chunks().0) {
                    let mixed =
                        f64::from_le_bytes(*other) * rest + f64::from_le_bytes(*own) * share;
                    *own = mixed.to_le_bytes();
                }
            }
        }
    }
}

/// Computes products and the sum in `f32`, each rounded to the dtype.
#[inline(always)]
fn halves<H: Half>(own: &mut [u8], other: &[u8], share: f32, rest: f32) {
    for (own, other) in own.as_chunks_mut().0.iter_mut().zip(other.as_chunks().0) {
        let ours = H::round(H::widen(u16::from_le_bytes(*own)) * share);
        let theirs = H::round(H::widen(u16::from_le_bytes(*other)) * rest);
        *own = H::narrow(H::round(theirs + ours)).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::program::Float;
    use half::{bf16, f16};
    use proptest::prelude::*;

    /// One element at a time, rounded by way of `f64`, which holds every product of two `f32`.
    fn oracle(dtype: Float, own: f64, other: f64, share: f64) -> f64 {
        let round = |x: f64| match dtype {
            Float::F64 => x,
            Float::F32 => f64::from(x as f32),
            Float::F16 => f16::from_f32(x as f32).to_f64(),
            Float::Bf16 => bf16::from_f32(x as f32).to_f64(),
        };
        let factor = |x: f64| if dtype == Float::F64 { x } else { f64::from(x as f32) };
        round(round(other * factor(1.0 - share)) + round(own * factor(share)))
    }

    proptest! {
        #[test]
        fn every_width_is_mixed_as_one_element_at_a_time_by_every_body(
            numbers in prop::collection::vec((-300.0f32..300.0, -300.0f32..300.0), 0..600),
            share in 0.0..=1.0f64,
            level in prop::sample::select(Level::all().collect::<Vec<_>>()),
        ) {
            macro_rules! check {
                ($dtype:ident, $narrow:expr, $wide:expr, $bytes:expr, $read:expr) => {{
                    let (own, other): (Vec<_>, Vec<_>) =
                        numbers.iter().map(|&(a, b)| ($narrow(a), $narrow(b))).unzip();
                    let mut mixed: Vec<u8> = own.iter().flat_map(|&x| $bytes(x)).collect();
                    let others: Vec<u8> = other.iter().flat_map(|&x| $bytes(x)).collect();
                    let blend = Blend::new(&DType::$dtype, share).unwrap();
                    blend.apply_at_level(&mut mixed, &others, level);
                    let expected: Vec<f64> = own
                        .iter()
                        .zip(&other)
                        .map(|(&a, &b)| oracle(Float::$dtype, $wide(a), $wide(b), share))
                        .collect();
                    let got: Vec<f64> =
                        mixed.as_chunks().0.iter().map(|&x| $wide($read(x))).collect();
                    prop_assert_eq!(got, expected);
                }};
            }
            check!(F16, f16::from_f32, f16::to_f64, f16::to_le_bytes, f16::from_le_bytes);
            check!(Bf16, bf16::from_f32, bf16::to_f64, bf16::to_le_bytes, bf16::from_le_bytes);
            check!(F32, |x: f32| x, f64::from, f32::to_le_bytes, f32::from_le_bytes);
            check!(F64, f64::from, |x: f64| x, f64::to_le_bytes, f64::from_le_bytes);
        }
    }

    #[test]
    fn elements_that_are_not_floats_are_refused() {
        let error = Blend::new(&DType::U8, 0.5).unwrap_err();
        assert_eq!(
            error.to_string(),
            "elements of uint8 cannot be mixed, expected float16, bfloat16, float32 or float64"
        );
    }

    #[test]
    fn bytes_beyond_the_last_element_stay() {
        let mut own = [1, 2, 3];
        Blend::new(&DType::F32, 0.5).unwrap().apply(&mut own, &[9; 3]);
        assert_eq!(own, [1, 2, 3]);
    }
}
