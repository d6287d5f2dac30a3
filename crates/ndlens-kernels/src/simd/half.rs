//! Floats of 16 bits, with arithmetic as `f32`: this file widens, rounds and narrows them.
//!
//! The functions have no branches, so that compilers turn loops over them into vector code.
//! `x86_64/half.rs` and `aarch64/half.rs` do the same with the instructions of registers.

#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

#[cfg(target_arch = "aarch64")]
use crate::simd::aarch64;
use crate::simd::level::{Isa, Level};
#[cfg(target_arch = "x86_64")]
use crate::simd::x86_64;

/// A float of 16 bits, with arithmetic as `f32`.
///
/// NaN stays NaN, with its sign and the upper bits of its mantissa.
///
/// ```
/// use ndlens_kernels::{F16, Half};
///
/// assert_eq!(F16::nearest(1.0 / 3.0), 0x3555);
/// assert_eq!(F16::widen(0x3555), 0.333_251_95);
/// ```
pub trait Half {
    /// The number of these bits.
    fn widen(bits: u16) -> f32;
    /// The nearest float of 16 bits; of two equally near ones, the even one.
    fn round(wide: f32) -> f32;
    /// The bits of a rounded float.
    fn narrow(rounded: f32) -> u16;

    /// The bits of the nearest float of 16 bits; of two equally near ones, of the even one.
    #[inline(always)]
    fn nearest(wide: f32) -> u16 {
        Self::narrow(Self::round(wide))
    }

    /// As [`nearest`](Self::nearest), rounded once.
    #[inline]
    fn nearest_to_f64(wide: f64) -> u16 {
        Self::nearest(odd_f32(wide))
    }
}

/// A number as `f32`: itself, or of its two neighbours the one whose last bit is 1. The last bit
/// tells the rounding that follows on which side of a tie the number is.
#[expect(clippy::float_cmp, reason = "whether a cast is exact is a question of equality")]
fn odd_f32(wide: f64) -> f32 {
    let single = wide as f32;
    let (bits, back) = (single.to_bits(), f64::from(single));
    if wide.is_nan() || back == wide || bits & 1 == 1 {
        return single;
    }
    f32::from_bits(if back.abs() > wide.abs() { bits - 1 } else { bits + 1 })
}

const SIGN: u32 = 1 << 31;

/// A power of two.
const fn two_to(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent) as u32) << 23)
}

/// float16: 5 bits of exponent, whose bias is 112 less than that of `f32`, and 10 of mantissa,
/// which are 13 less.
#[derive(Debug, Clone, Copy)]
pub struct F16;

impl Half for F16 {
    #[inline(always)]
    fn widen(bits: u16) -> f32 {
        const EXPONENT: u32 = 0x7c00;
        let bits = u32::from(bits);
        // Subnormal numbers become normal by this factor.
        let scaled = f32::from_bits((bits & 0x7fff) << 13) * two_to(112);
        let infinite = if bits & EXPONENT == EXPONENT { f32::INFINITY.to_bits() } else { 0 };
        f32::from_bits(scaled.to_bits() | infinite | (bits & 0x8000) << 16)
    }

    #[inline(always)]
    fn round(wide: f32) -> f32 {
        let (sign, magnitude) = (wide.to_bits() & SIGN, f32::from_bits(wide.to_bits() & !SIGN));
        // A power of two whose last bit is worth what the last bit of the float16 would be: adding
        // it rounds to that. Below 2^-14 that power is the same for all; from 2^16 on there is no
        // bit to round.
        let exponent = (magnitude.to_bits() >> 23).clamp(127 - 14, 127 + 16);
        let magic = f32::from_bits((exponent + 13) << 23);
        let rounded = magnitude + magic - magic;
        let rounded = if rounded >= two_to(16) { f32::INFINITY } else { rounded };
        f32::from_bits(rounded.to_bits() | sign)
    }

    #[inline(always)]
    fn narrow(rounded: f32) -> u16 {
        let scaled = f32::from_bits(rounded.to_bits() & !SIGN) * two_to(-112);
        // The bits of infinity are larger here, and become those of infinity.
        let finite = (scaled.to_bits() >> 13).min(0x7c00);
        let quiet = 0x7e00 | rounded.to_bits() >> 13 & 0x3ff;
        let bits = if rounded.is_nan() { quiet } else { finite };
        (bits | (rounded.to_bits() & SIGN) >> 16) as u16
    }
}

/// bfloat16: the upper half of an `f32`.
#[derive(Debug, Clone, Copy)]
pub struct Bf16;

impl Half for Bf16 {
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

/// Writes the nearest float16 of each float, as many as `to` has room for, by the level's
/// instruction if it has one.
#[inline(always)]
pub(crate) fn write_float16<const N: usize>(level: Level, from: &[f32; N], to: &mut [u8]) {
    let mut halves = [0; N];
    match level.isa() {
        Isa::Scalar => nearest_float16(from, &mut halves),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => x86_64::half::nearest_float16(level, from, &mut halves),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => aarch64::half::nearest_float16(from, &mut halves),
    }
    for (to, half) in to.as_chunks_mut().0.iter_mut().zip(halves) {
        *to = half.to_le_bytes();
    }
}

#[inline(always)]
fn nearest_float16<const N: usize>(from: &[f32; N], to: &mut [u16; N]) {
    to.iter_mut().zip(from).for_each(|(to, &wide)| *to = F16::nearest(wide));
}

/// Writes the nearest bfloat16 of each float, as many as `to` has room for.
#[inline(always)]
pub(crate) fn write_bfloat16<const N: usize>(from: &[f32; N], to: &mut [u8]) {
    for (to, &wide) in to.as_chunks_mut().0.iter_mut().zip(from) {
        *to = Bf16::nearest(wide).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All exponents, and around all ties: the 13 or 16 dropped bits, near none, half and all.
    fn floats() -> impl Iterator<Item = f32> {
        const LOWER: [u32; 13] = [
            0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x2fff, 0x3000, 0x5000, 0x7fff, 0x8000, 0x8001,
            0xffff,
        ];
        (0..=u32::from(u16::MAX))
            .flat_map(|upper| LOWER.map(|lower| f32::from_bits(upper << 16 | lower)))
    }

    #[test]
    fn halves_are_widened_as_the_half_crate_does_it() {
        // Conversions of the half crate make a signalling NaN quiet.
        const QUIET: u32 = 1 << 22;
        for bits in 0..=u16::MAX {
            for (ours, theirs) in [
                (F16::widen(bits), half::f16::from_bits(bits).to_f32()),
                (Bf16::widen(bits), half::bf16::from_bits(bits).to_f32()),
            ] {
                let quiet = if ours.is_nan() { QUIET } else { 0 };
                assert_eq!(ours.to_bits() | quiet, theirs.to_bits() | quiet, "{bits:x}");
            }
        }
    }

    #[test]
    fn floats_are_narrowed_to_the_bits_that_the_half_crate_gives() {
        for wide in floats() {
            let bits = wide.to_bits();
            assert_eq!(F16::nearest(wide), half::f16::from_f32(wide).to_bits(), "{bits:x}");
            assert_eq!(Bf16::nearest(wide), half::bf16::from_f32(wide).to_bits(), "{bits:x}");
        }
    }

    #[test]
    fn blocks_are_narrowed_to_the_same_bits_at_every_level() {
        let floats: Vec<f32> = floats().collect();
        let (blocks, rest) = floats.as_chunks::<256>();
        assert!(rest.is_empty());
        for level in Level::all() {
            for block in blocks {
                let mut bytes = [0; 512];
                write_float16(level, block, &mut bytes);
                let halves = bytes.as_chunks().0.iter().map(|&half| u16::from_le_bytes(half));
                for (half, &wide) in halves.zip(block) {
                    assert_eq!(half, F16::nearest(wide), "{level:?} {:x}", wide.to_bits());
                }
            }
        }
    }

    #[test]
    fn numbers_of_64_bits_are_rounded_once() {
        for wide in floats() {
            let number = f64::from(wide);
            assert_eq!(F16::nearest_to_f64(number), F16::nearest(wide));
            assert_eq!(Bf16::nearest_to_f64(number), Bf16::nearest(wide));
        }
        // Neighbours, and a tie between them: by the last bit of the number a tie or not.
        for (low, tie, widen, nearest) in [
            (
                0x3c00,
                1.0 + 1.0 / 2048.0,
                F16::widen as fn(u16) -> f32,
                F16::nearest_to_f64 as fn(f64) -> u16,
            ),
            (0, f64::from(two_to(-25)), F16::widen, F16::nearest_to_f64),
            (0x3f80, 1.0 + 1.0 / 256.0, Bf16::widen, Bf16::nearest_to_f64),
            (0x7f7e, f64::from(f32::from_bits(0x7f7e_8000)), Bf16::widen, Bf16::nearest_to_f64),
        ] {
            let middle = f64::midpoint(widen(low).into(), widen(low + 1).into());
            assert_eq!(tie.to_bits(), middle.to_bits());
            let (below, above) = (tie.next_down(), tie.next_up());
            assert_eq!([below, tie, above].map(nearest), [low, low, low + 1], "{tie:e}");
            let negative = [below, tie, above].map(|x| nearest(-x) & 0x7fff);
            assert_eq!(negative, [low, low, low + 1], "{tie:e}");
        }
        assert_eq!(F16::nearest_to_f64(1e300), 0x7c00);
        assert_eq!(F16::nearest_to_f64(-1e-300), 0x8000);
        assert_eq!(Bf16::nearest_to_f64(f64::MAX), 0x7f80);
    }
}
