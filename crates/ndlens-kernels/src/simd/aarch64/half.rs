//! Registers of floats of 16 bits.
//!
//! Every machine of the architecture converts between `f32` and float16. Arithmetic on float16 is
//! an extension, which these bodies do not need: torch computes in `f32` and rounds.
//!
//! bfloat16 is an extension too. As in `x86_64/half.rs` an addition rounds off the low bits; one
//! instruction adds and keeps the upper halves.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body passes its registers through memory"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::aarch64::*;
use std::ptr;

use crate::simd::aarch64::vector::{Neon, QUAD_BYTES, each};
use crate::simd::vector::{Halves, Vector};

/// The bits of a bfloat16, and the half of its last place less a bit.
const UPPER: u32 = 0xffff_0000;
const HALF: u32 = 0x7fff;

/// The bits of the nearest float16 of each float.
#[inline(always)]
pub(crate) fn nearest_float16<const N: usize>(from: &[f32; N], to: &mut [u16; N]) {
    const { assert!(N.is_multiple_of(Neon::LANES)) };
    for (to, from) in to.as_chunks_mut::<16>().0.iter_mut().zip(from.as_chunks::<16>().0) {
        // SAFETY: both arrays have as many elements as a register has lanes.
        unsafe {
            let floats = Neon::load(from.as_ptr());
            Neon::store_halves(to.as_mut_ptr().cast(), Neon::to_float16(floats));
        }
    }
}

impl Halves for Neon {
    type Halves = [uint16x8_t; 2];

    #[inline(always)]
    unsafe fn to_float16([a, b, c, d]: Self::Floats) -> Self::Halves {
        // SAFETY: touches no memory; every machine of the architecture has the instructions.
        unsafe {
            [
                vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(a), b)),
                vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(c), d)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn round_to_float16(floats: Self::Floats) -> Self::Floats {
        // SAFETY: as above.
        unsafe {
            let halves = each!(vcvt_f16_f32, floats);
            each!(vcvt_f32_f16, halves)
        }
    }
    #[inline(always)]
    unsafe fn to_bfloat16(floats: Self::Floats) -> Self::Halves {
        // SAFETY: as above.
        unsafe {
            let bits = each!(vreinterpretq_u32_f32, floats);
            let [a, b, c, d] = each!(addend, bits);
            [
                vaddhn_high_u32(vaddhn_u32(bits[0], a), bits[1], b),
                vaddhn_high_u32(vaddhn_u32(bits[2], c), bits[3], d),
            ]
        }
    }
    #[inline(always)]
    unsafe fn round_to_bfloat16(floats: Self::Floats) -> Self::Floats {
        // SAFETY: as above.
        unsafe {
            let bits = each!(vreinterpretq_u32_f32, floats);
            let rounded = each!(vaddq_u32, bits, each!(addend, bits));
            let upper = each!(vandq_u32, rounded, [vdupq_n_u32(UPPER); 4]);
            each!(vreinterpretq_f32_u32, upper)
        }
    }
    #[inline(always)]
    unsafe fn store_halves(to: *mut u8, [low, high]: Self::Halves) {
        // SAFETY: the caller guarantees 16 halves, that is twice 16 bytes.
        unsafe {
            vst1q_u8(to, vreinterpretq_u8_u16(low));
            vst1q_u8(to.add(QUAD_BYTES), vreinterpretq_u8_u16(high));
        }
    }
    #[inline(always)]
    unsafe fn stream_halves(to: *mut u8, halves: Self::Halves) {
        // SAFETY: passed on. `simd/stores.rs` says why this is a plain store.
        unsafe { Self::store_halves(to, halves) }
    }
    #[inline(always)]
    unsafe fn store_half_lanes(to: *mut u8, halves: Self::Halves, start: usize, end: usize) {
        // NEON has no masked stores.
        let mut lanes = [0u16; Self::LANES];
        // SAFETY: the array is as long as the registers; of it lanes `start..end` are copied, which
        // the caller guarantees.
        unsafe {
            Self::store_halves(lanes.as_mut_ptr().cast(), halves);
            let from = lanes.as_ptr().add(start).cast::<u8>();
            ptr::copy_nonoverlapping(from, to.add(2 * start), 2 * (end - start));
        }
    }
}

/// The number that rounds the bits of floats to the nearest bfloat16, or to the even one of two
/// equally near, when it is added.
///
/// # Safety
///
/// None: every machine of the architecture has the instructions.
#[inline(always)]
unsafe fn addend(bits: uint32x4_t) -> uint32x4_t {
    // SAFETY: arithmetic on registers.
    unsafe {
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        vaddq_u32(odd, vdupq_n_u32(HALF))
    }
}
