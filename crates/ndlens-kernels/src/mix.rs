//! Two arrays of floats mixed into one, in place: what `MixUp` does to neighbours in a batch.
//!
//! torch computes `other.mul(1 - share).add_(own.mul(share))`, and so does this, to the bit: each
//! product and the sum are rounded to the dtype, and a share to `f32` for dtypes that are narrower
//! than 64 bits. Plain loops without branches, which compilers turn into vector code of any width,
//! are faster than memory for 32 and 64 bits and about as fast for 16.

#![expect(unsafe_code, reason = "calls bodies compiled for instruction sets; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a body has not its instructions enabled"
)]

use ndlens_core::DType;

use crate::error::{Error, Result};
use crate::simd::level::Isa;

/// How much of an element stays, beside so much of another.
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
    /// Elements of which `share` stays, and the rest comes from others.
    ///
    /// # Errors
    ///
    /// [`Error::BlendDType`] for elements that are no floats of 16 to 64 bits.
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
        self.apply_with(own, other, Isa::chosen().unwrap_or(Isa::Scalar));
    }

    fn apply_with(&self, own: &mut [u8], other: &[u8], isa: Isa) {
        match isa.min(Isa::best()) {
            // SAFETY: `best` says that the machine has the body's instructions.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512_body(*self, own, other) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2_body(*self, own, other) },
            _ => body(*self, own, other),
        }
    }
}

/// # Safety
///
/// The machine must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_body(blend: Blend, own: &mut [u8], other: &[u8]) {
    body(blend, own, other);
}

/// # Safety
///
/// The machine must have AVX-512 F, BW, VL and VBMI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn avx512_body(blend: Blend, own: &mut [u8], other: &[u8]) {
    body(blend, own, other);
}

/// The one body. Loops are no closures, which would be functions of their own, without the
/// instructions.
#[inline(always)]
fn body(Blend { width, own: share, other: rest }: Blend, own: &mut [u8], other: &[u8]) {
    let (narrow_share, narrow_rest) = (share as f32, rest as f32);
    match width {
        Width::Half => halves::<Binary>(own, other, narrow_share, narrow_rest),
        Width::Brain => halves::<Brain>(own, other, narrow_share, narrow_rest),
        Width::Single => {
            for (own, other) in own.as_chunks_mut().0.iter_mut().zip(other.as_chunks().0) {
                let mixed = f32::from_le_bytes(*other) * narrow_rest
                    + f32::from_le_bytes(*own) * narrow_share;
                *own = mixed.to_le_bytes();
            }
        }
        Width::Double => {
            for (own, other) in own.as_chunks_mut().0.iter_mut().zip(other.as_chunks().0) {
                let mixed = f64::from_le_bytes(*other) * rest + f64::from_le_bytes(*own) * share;
                *own = mixed.to_le_bytes();
            }
        }
    }
}

/// Products and the sum in `f32`, each rounded to the dtype.
#[inline(always)]
fn halves<H: Half>(own: &mut [u8], other: &[u8], share: f32, rest: f32) {
    for (own, other) in own.as_chunks_mut().0.iter_mut().zip(other.as_chunks().0) {
        let ours = H::round(H::widen(u16::from_le_bytes(*own)) * share);
        let theirs = H::round(H::widen(u16::from_le_bytes(*other)) * rest);
        *own = H::narrow(H::round(theirs + ours)).to_le_bytes();
    }
}

/// Floats of 16 bits, computed with as `f32`: without branches, so that loops over them become
/// vector code.
trait Half {
    fn widen(bits: u16) -> f32;
    /// The nearest that has 16 bits; halfway, the even one.
    fn round(wide: f32) -> f32;
    /// The bits of one that was rounded.
    fn narrow(rounded: f32) -> u16;
}

const SIGN: u32 = 1 << 31;

/// A power of two.
const fn two_to(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent) as u32) << 23)
}

/// float16: 5 bits of exponent, whose bias is 112 less than that of `f32`, and 10 of mantissa,
/// which are 13 less.
struct Binary;

impl Half for Binary {
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        const EXPONENT: u32 = 0x7c00;
        let bits = u32::from(bits);
        // Subnormal numbers become normal by it.
        let scaled = f32::from_bits((bits & 0x7fff) << 13) * two_to(112);
        let infinite = if bits & EXPONENT == EXPONENT { f32::INFINITY.to_bits() } else { 0 };
        f32::from_bits(scaled.to_bits() | infinite | (bits & 0x8000) << 16)
    }

    #[inline(always)]
    fn round(wide: f32) -> f32 {
        let (sign, magnitude) = (wide.to_bits() & SIGN, f32::from_bits(wide.to_bits() & !SIGN));
        // A power of two whose last bit is worth what the last bit of the float16 would be: adding
        // it rounds to that. Below 2^-14 that is the same for all; from 2^16 on nothing is left to
        // round.
        let exponent = (magnitude.to_bits() >> 23).clamp(127 - 14, 127 + 16);
        let magic = f32::from_bits((exponent + 13) << 23);
        let rounded = magnitude + magic - magic;
        let rounded = if rounded >= two_to(16) { f32::INFINITY } else { rounded };
        f32::from_bits(rounded.to_bits() | sign)
    }

    #[inline(always)]
    fn narrow(rounded: f32) -> u16 {
        let scaled = f32::from_bits(rounded.to_bits() & !SIGN) * two_to(-112);
        // Infinity comes out as more.
        let finite = (scaled.to_bits() >> 13).min(0x7c00);
        let bits = if rounded.is_nan() { 0x7e00 } else { finite };
        (bits | (rounded.to_bits() & SIGN) >> 16) as u16
    }
}

/// bfloat16: the upper half of an `f32`.
struct Brain;

impl Half for Brain {
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        f32::from_bits(u32::from(bits) << 16)
    }

    #[inline(always)]
    fn round(wide: f32) -> f32 {
        let bits = wide.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
        let quiet = bits | 0x40 << 16;
        f32::from_bits(if wide.is_nan() { quiet } else { rounded } & !0xffff)
    }

    #[inline(always)]
    fn narrow(rounded: f32) -> u16 {
        (rounded.to_bits() >> 16) as u16
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
            isa in prop::sample::select(vec![Isa::Scalar, Isa::Avx2, Isa::Avx512]),
        ) {
            macro_rules! check {
                ($dtype:ident, $narrow:expr, $wide:expr, $bytes:expr, $read:expr) => {{
                    let (own, other): (Vec<_>, Vec<_>) = numbers.iter().map(|&(a, b)| ($narrow(a), $narrow(b))).unzip();
                    let mut mixed: Vec<u8> = own.iter().flat_map(|&x| $bytes(x)).collect();
                    let others: Vec<u8> = other.iter().flat_map(|&x| $bytes(x)).collect();
                    Blend::new(&DType::$dtype, share).unwrap().apply_with(&mut mixed, &others, isa);
                    let expected: Vec<f64> = own
                        .iter()
                        .zip(&other)
                        .map(|(&a, &b)| oracle(Float::$dtype, $wide(a), $wide(b), share))
                        .collect();
                    let got: Vec<f64> = mixed.as_chunks().0.iter().map(|&x| $wide($read(x))).collect();
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
    fn halves_are_widened_and_narrowed_as_the_half_crate_does_it() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (Binary::widen(bits), f16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
                "{bits:x}"
            );
            let (ours, theirs) = (Brain::widen(bits), bf16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
                "{bits:x}"
            );
        }
        // All exponents, and around all ties: the 13 or 16 bits that are given up, near none, half
        // and all.
        for upper in 0..=u32::from(u16::MAX) {
            for lower in [
                0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x3000, 0x5000, 0x7fff, 0x8000, 0x8001, 0xffff,
            ] {
                let wide = f32::from_bits(upper << 16 | lower);
                let (ours, theirs) = (Binary::narrow(Binary::round(wide)), f16::from_f32(wide));
                assert!(
                    ours == theirs.to_bits() || f16::from_bits(ours).is_nan() && theirs.is_nan(),
                    "{wide:e}"
                );
                let (ours, theirs) = (Brain::narrow(Brain::round(wide)), bf16::from_f32(wide));
                assert!(
                    ours == theirs.to_bits() || bf16::from_bits(ours).is_nan() && theirs.is_nan(),
                    "{wide:e}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_float_is_refused() {
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
