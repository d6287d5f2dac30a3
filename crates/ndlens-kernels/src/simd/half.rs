//! Floats of 16 bits, with arithmetic as `f32`: this file widens, rounds and narrows them.
//!
//! The functions have no branches, so that compilers turn loops over them into vector code.
//! `x86_64/half.rs` does the same with the instructions of registers.

#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use half::f16;
use half::slice::HalfFloatSliceExt;

/// A float of 16 bits, with arithmetic as `f32`.
pub(crate) trait Half {
    fn widen(bits: u16) -> f32;
    /// The nearest float of 16 bits; of two equally near ones, the even one.
    fn round(wide: f32) -> f32;
    /// The bits of a rounded float.
    fn narrow(rounded: f32) -> u16;
}

const SIGN: u32 = 1 << 31;

/// A power of two.
const fn two_to(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent) as u32) << 23)
}

/// float16: 5 bits of exponent, whose bias is 112 less than that of `f32`, and 10 of mantissa,
/// which are 13 less.
pub(crate) struct F16;

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
        let bits = if rounded.is_nan() { 0x7e00 } else { finite };
        (bits | (rounded.to_bits() & SIGN) >> 16) as u16
    }
}

/// bfloat16: the upper half of an `f32`.
pub(crate) struct Bf16;

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

/// Writes the nearest float16 of each float, as many as `to` has room for, by the machine's
/// instruction if it has one.
#[inline(always)]
pub(crate) fn write_float16<const N: usize>(from: &[f32; N], to: &mut [u8]) {
    let mut halves = [f16::ZERO; N];
    halves.convert_from_f32_slice(from);
    for (to, half) in to.as_chunks_mut().0.iter_mut().zip(halves) {
        *to = half.to_le_bytes();
    }
}

/// Writes the nearest bfloat16 of each float, as many as `to` has room for.
#[inline(always)]
pub(crate) fn write_bfloat16<const N: usize>(from: &[f32; N], to: &mut [u8]) {
    for (to, &wide) in to.as_chunks_mut().0.iter_mut().zip(from) {
        *to = Bf16::narrow(Bf16::round(wide)).to_le_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_widened_and_narrowed_as_the_half_crate_does_it() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (F16::widen(bits), half::f16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
                "{bits:x}"
            );
            let (ours, theirs) = (Bf16::widen(bits), half::bf16::from_bits(bits).to_f32());
            assert!(
                ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(),
                "{bits:x}"
            );
        }
        // All exponents, and around all ties: the 13 or 16 dropped bits, near none, half and all.
        for upper in 0..=u32::from(u16::MAX) {
            for lower in [
                0, 1, 0xfff, 0x1000, 0x1001, 0x1fff, 0x3000, 0x5000, 0x7fff, 0x8000, 0x8001, 0xffff,
            ] {
                let wide = f32::from_bits(upper << 16 | lower);
                let (ours, theirs) = (F16::narrow(F16::round(wide)), half::f16::from_f32(wide));
                assert!(
                    ours == theirs.to_bits()
                        || half::f16::from_bits(ours).is_nan() && theirs.is_nan(),
                    "{wide:e}"
                );
                let (ours, theirs) = (Bf16::narrow(Bf16::round(wide)), half::bf16::from_f32(wide));
                assert!(
                    ours == theirs.to_bits()
                        || half::bf16::from_bits(ours).is_nan() && theirs.is_nan(),
                    "{wide:e}"
                );
            }
        }
    }
}
