//! Registers of 32-bit integers.
//!
//! A multiplication of NEON takes four numbers of 16 bits from one half of a register. So of four
//! lanes the first numbers stand in the lower half and the second ones in the upper half:
//!
//! ```text
//!  x86-64   lane 0     lane 1     lane 2     lane 3
//!           a0 b0      a1 b1      a2 b2      a3 b3
//!  NEON     a0 a1 a2 a3           b0 b1 b2 b3
//! ```

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body passes its registers through memory"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::aarch64::*;

use crate::simd::aarch64::vector::{Neon, QUAD, QUADS, each};
use crate::simd::vector::Words;

impl Words for Neon {
    type Ints = [int32x4_t; QUADS];
    /// The number, negative: NEON shifts to the left, or to the right by a negative number.
    type Shift = int32x4_t;
    const LOADS: usize = QUADS;
    const PAIR_DISTANCE: usize = QUAD;

    #[inline(always)]
    unsafe fn load_window(row: *const u8, bases: *const u32) -> Self::Ints {
        // SAFETY: the caller guarantees four bases and 16 bytes from each on.
        unsafe {
            let load = |i| vreinterpretq_s32_u8(vld1q_u8(row.add(*bases.add(i) as usize)));
            [load(0), load(1), load(2), load(3)]
        }
    }
    #[inline(always)]
    unsafe fn pick(window: Self::Ints, shuffle: Self::Ints) -> Self::Ints {
        // SAFETY: touches no memory; every machine of the architecture has the instruction. A place
        // beyond the register makes a 0.
        unsafe {
            let (window, shuffle) =
                (each!(vreinterpretq_u8_s32, window), each!(vreinterpretq_u8_s32, shuffle));
            each!(vreinterpretq_s32_u8, each!(vqtbl1q_u8, window, shuffle))
        }
    }
    #[inline(always)]
    unsafe fn load_words(from: *const u32) -> Self::Ints {
        let from = from.cast::<i32>();
        // SAFETY: the caller guarantees 16 words, aligned as words are.
        unsafe {
            [
                vld1q_s32(from),
                vld1q_s32(from.add(QUAD)),
                vld1q_s32(from.add(2 * QUAD)),
                vld1q_s32(from.add(3 * QUAD)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store_words(to: *mut u32, [a, b, c, d]: Self::Ints) {
        let to = to.cast::<i32>();
        // SAFETY: as above.
        unsafe {
            vst1q_s32(to, a);
            vst1q_s32(to.add(QUAD), b);
            vst1q_s32(to.add(2 * QUAD), c);
            vst1q_s32(to.add(3 * QUAD), d);
        }
    }
    #[inline(always)]
    unsafe fn splat_word(word: i32) -> Self::Ints {
        // SAFETY: as `pick`.
        unsafe { [vdupq_n_s32(word); QUADS] }
    }
    #[inline(always)]
    unsafe fn splat_pair(pair: u32) -> Self::Ints {
        let (first, second) = (pair as i16, (pair >> 16) as i16);
        // SAFETY: as `pick`.
        unsafe {
            [vreinterpretq_s32_s16(vcombine_s16(vdup_n_s16(first), vdup_n_s16(second))); QUADS]
        }
    }
    #[inline(always)]
    unsafe fn add_products(sum: Self::Ints, a: Self::Ints, b: Self::Ints) -> Self::Ints {
        // SAFETY: as `pick`.
        unsafe {
            let (a, b) = (each!(vreinterpretq_s16_s32, a), each!(vreinterpretq_s16_s32, b));
            let (first_a, first_b) = (each!(vget_low_s16, a), each!(vget_low_s16, b));
            let sum = each!(vmlal_s16, sum, first_a, first_b);
            each!(vmlal_high_s16, sum, a, b)
        }
    }
    #[inline(always)]
    unsafe fn shift(bits: u32) -> int32x4_t {
        // SAFETY: as `pick`.
        unsafe { vdupq_n_s32(-bits.cast_signed()) }
    }
    #[inline(always)]
    unsafe fn join(first: Self::Ints, second: Self::Ints, shift: int32x4_t) -> Self::Ints {
        // SAFETY: as `pick`.
        unsafe { each!(join_quad, first, second, [shift; QUADS]) }
    }
    #[inline(always)]
    unsafe fn to_floats(sum: Self::Ints, shift: int32x4_t) -> Self::Floats {
        // SAFETY: as `pick`.
        unsafe {
            let shifted = each!(vshlq_s32, sum, [shift; QUADS]);
            let above = each!(vmaxq_s32, shifted, [vdupq_n_s32(0); QUADS]);
            each!(vcvtq_f32_s32, each!(vminq_s32, above, [vdupq_n_s32(255); QUADS]))
        }
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, sum: Self::Ints, shift: int32x4_t) {
        // SAFETY: arithmetic on registers, and a store of 16 bytes, which the caller guarantees.
        unsafe {
            let [a, b, c, d] = each!(vshlq_s32, sum, [shift; QUADS]);
            let low = vqmovun_high_s32(vqmovun_s32(a), b);
            let high = vqmovun_high_s32(vqmovun_s32(c), d);
            vst1q_u8(to, vqmovn_high_u16(vqmovn_u16(low), high));
        }
    }
}

/// Four lanes of [`Words::join`].
///
/// # Safety
///
/// None: every machine of the architecture has the instructions.
#[inline(always)]
pub(crate) unsafe fn join_quad(first: int32x4_t, second: int32x4_t, shift: int32x4_t) -> int32x4_t {
    // SAFETY: arithmetic on registers. A negative number becomes 0 when it is narrowed.
    unsafe {
        let (first, second) = (vshlq_s32(first, shift), vshlq_s32(second, shift));
        let numbers = vqmovun_high_s32(vqmovun_s32(first), second);
        vreinterpretq_s32_u16(vminq_u16(numbers, vdupq_n_u16(255)))
    }
}
