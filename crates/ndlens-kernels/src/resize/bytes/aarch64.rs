//! The horizontal filter of NEON for images that get so much smaller that the lanes of a register
//! are not in one load.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::aarch64::*;

use crate::resize::bytes::lanes::{LONG, Lanes, PADDING};
use crate::resize::bytes::vector::FilterBody;
use crate::simd::aarch64::vector::QUAD;
use crate::simd::aarch64::words::join_quad;
use crate::simd::level::{Isa, Level};

/// The body of a level for these lanes, if they are long.
pub(crate) fn filter_long(level: Level, lanes: &Lanes) -> Option<FilterBody> {
    match (level.isa(), lanes.pairs) {
        (Isa::Neon, 0) => Some(long),
        (Isa::Scalar | Isa::Neon, _) => None,
    }
}

/// Long lanes, four after the other.
///
/// # Safety
///
/// As [`FilterBody`].
unsafe fn long(lanes: &Lanes, upper: &[u8], lower: &[u8], words: &mut [u32]) {
    assert!(words.len() == lanes.starts.len() && lanes.long.len() == words.len() * lanes.stride);
    // SAFETY: every machine of the architecture has the instructions.
    let (half, shift) = unsafe {
        (vdupq_n_s32(1 << lanes.precision >> 1), vdupq_n_s32(-lanes.precision.cast_signed()))
    };
    for (quad, words) in words.as_chunks_mut::<QUAD>().0.iter_mut().enumerate() {
        // SAFETY: by invariant 3 of `Lanes` there are `stride` weights for a lane, a multiple of
        // LONG, of which none but zeros reach beyond the row; so less than LONG bytes beyond it are
        // read, and there are PADDING. The words are as many as a register has.
        unsafe {
            const { assert!(LONG == 16 && LONG < PADDING) };
            let mut above = [vdupq_n_s32(0); QUAD];
            let mut below = above;
            for i in 0..QUAD {
                let lane = quad * QUAD + i;
                let start = lanes.starts[lane] as usize;
                let weights = lanes.long.as_ptr().add(lane * lanes.stride);
                for tap in (0..lanes.stride).step_by(LONG) {
                    let weights =
                        [vld1q_s16(weights.add(tap)), vld1q_s16(weights.add(tap + LONG / 2))];
                    let load = |row: &[u8]| vld1q_u8(row.as_ptr().add(start + tap));
                    above[i] = add_products(above[i], load(upper), weights);
                    below[i] = add_products(below[i], load(lower), weights);
                }
            }
            let joined =
                join_quad(vaddq_s32(totals(above), half), vaddq_s32(totals(below), half), shift);
            vst1q_u32(words.as_mut_ptr(), vreinterpretq_u32_s32(joined));
        }
    }
}

/// Adds the products of bytes and weights, in four separate sums.
///
/// # Safety
///
/// None: every machine of the architecture has the instructions.
#[inline]
unsafe fn add_products(sums: int32x4_t, bytes: uint8x16_t, weights: [int16x8_t; 2]) -> int32x4_t {
    // SAFETY: arithmetic on registers.
    unsafe {
        let low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes)));
        let high = vreinterpretq_s16_u16(vmovl_high_u8(bytes));
        let sums = vmlal_s16(sums, vget_low_s16(low), vget_low_s16(weights[0]));
        let sums = vmlal_high_s16(sums, low, weights[0]);
        let sums = vmlal_s16(sums, vget_low_s16(high), vget_low_s16(weights[1]));
        vmlal_high_s16(sums, high, weights[1])
    }
}

/// For each of four registers, the sum of its lanes.
///
/// # Safety
///
/// None: every machine of the architecture has the instructions.
#[inline]
unsafe fn totals([a, b, c, d]: [int32x4_t; QUAD]) -> int32x4_t {
    // SAFETY: arithmetic on registers.
    unsafe { vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)) }
}
