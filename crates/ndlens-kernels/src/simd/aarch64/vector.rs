//! Registers of floats of NEON.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body passes its registers through memory"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::aarch64::*;
use std::ptr;

use crate::simd::vector::{SHUFFLES, Vector, byte_of_lane, shuffle_index};

/// Bytes of a register of NEON.
pub(crate) const QUAD_BYTES: usize = 16;

/// Words of a register of NEON.
pub(crate) const QUAD: usize = 4;

/// Registers of NEON that hold 16 words.
pub(crate) const QUADS: usize = 4;

#[derive(Clone, Copy)]
pub(crate) struct Neon;

#[derive(Clone, Copy)]
pub(crate) struct NeonShuffle {
    /// For each lane, the byte among those of all loads that it comes from.
    bytes: uint8x16_t,
    /// Number of loads of 16 bytes.
    loads: usize,
}

impl NeonShuffle {
    /// The first loads follow each other from the block's start on; the last ends with the block:
    ///
    /// | stride | block | loads |
    /// |---|---|---|
    /// | 1 | 0..16 | 0..16 |
    /// | 2 | 0..31 | 0..16, 15..31 |
    /// | 3 | 0..46 | 0..16, 16..32, 30..46 |
    /// | 4 | 0..61 | 0..16, 16..32, 32..48, 45..61 |
    #[inline(always)]
    const fn last_start(stride: isize) -> usize {
        (Neon::LANES - 1) * stride.unsigned_abs() + 1 - QUAD_BYTES
    }

    /// Where a byte of the block is among those of the loads.
    const fn place(byte: usize, stride: isize) -> usize {
        let whole = (stride.unsigned_abs() - 1) * QUAD_BYTES;
        if byte < whole { byte } else { whole + byte - NeonShuffle::last_start(stride) }
    }
}

/// Applies an intrinsic to each register of NEON.
macro_rules! each {
    ($intrinsic:ident, $a:expr) => {{
        let a = $a;
        [$intrinsic(a[0]), $intrinsic(a[1]), $intrinsic(a[2]), $intrinsic(a[3])]
    }};
    ($intrinsic:ident, $a:expr, $b:expr) => {{
        let (a, b) = ($a, $b);
        [
            $intrinsic(a[0], b[0]),
            $intrinsic(a[1], b[1]),
            $intrinsic(a[2], b[2]),
            $intrinsic(a[3], b[3]),
        ]
    }};
    ($intrinsic:ident, $a:expr, $b:expr, $c:expr) => {{
        let (a, b, c) = ($a, $b, $c);
        [
            $intrinsic(a[0], b[0], c[0]),
            $intrinsic(a[1], b[1], c[1]),
            $intrinsic(a[2], b[2], c[2]),
            $intrinsic(a[3], b[3], c[3]),
        ]
    }};
}
pub(crate) use each;

impl Vector for Neon {
    const LANES: usize = QUADS * QUAD;
    type Floats = [float32x4_t; QUADS];
    type Shuffle = NeonShuffle;

    #[inline(always)]
    unsafe fn shuffle(stride: isize) -> NeonShuffle {
        /// For each stride and lane, the place of its byte.
        static BYTES: [[u8; Neon::LANES]; SHUFFLES] = {
            let mut bytes = [[0; Neon::LANES]; SHUFFLES];
            let mut stride = -4;
            while stride <= 4 {
                let mut lane = 0;
                while lane < Neon::LANES && stride != 0 {
                    let byte = byte_of_lane(lane, Neon::LANES, stride);
                    let place = NeonShuffle::place(byte, stride);
                    bytes[shuffle_index(stride)][lane] = place as u8;
                    lane += 1;
                }
                stride += 1;
            }
            bytes
        };
        // SAFETY: the row of the table is 16 bytes long.
        let bytes = unsafe { vld1q_u8(BYTES[shuffle_index(stride)].as_ptr()) };
        NeonShuffle { bytes, loads: stride.unsigned_abs() }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8, shuffle: &NeonShuffle) -> Self::Floats {
        // SAFETY: by the table above all loads lie between the block's first byte and its last,
        // which the caller guarantees.
        unsafe {
            let load = |start| vld1q_u8(from.add(start));
            let bytes = match shuffle.loads {
                1 => vqtbl1q_u8(load(0), shuffle.bytes),
                2 => {
                    let last = NeonShuffle::last_start(2);
                    vqtbl2q_u8(uint8x16x2_t(load(0), load(last)), shuffle.bytes)
                }
                3 => {
                    let last = NeonShuffle::last_start(3);
                    let loads = uint8x16x3_t(load(0), load(QUAD_BYTES), load(last));
                    vqtbl3q_u8(loads, shuffle.bytes)
                }
                _ => {
                    let last = NeonShuffle::last_start(4);
                    let (second, third) = (load(QUAD_BYTES), load(2 * QUAD_BYTES));
                    vqtbl4q_u8(uint8x16x4_t(load(0), second, third, load(last)), shuffle.bytes)
                }
            };
            let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
            let words = [
                vmovl_u16(vget_low_u16(low)),
                vmovl_high_u16(low),
                vmovl_u16(vget_low_u16(high)),
                vmovl_high_u16(high),
            ];
            each!(vcvtq_f32_u32, words)
        }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::Floats {
        // SAFETY: touches no memory; every machine of the architecture has the instruction.
        unsafe { [vdupq_n_f32(value); QUADS] }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::Floats {
        // SAFETY: the caller guarantees 16 floats, aligned as floats are.
        unsafe {
            [
                vld1q_f32(from),
                vld1q_f32(from.add(QUAD)),
                vld1q_f32(from.add(2 * QUAD)),
                vld1q_f32(from.add(3 * QUAD)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: as `splat`.
        unsafe { each!(vmulq_f32, a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: as `splat`.
        unsafe { each!(vsubq_f32, a, b) }
    }

    #[inline(always)]
    unsafe fn div(a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: as `splat`.
        unsafe { each!(vdivq_f32, a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats {
        // SAFETY: as `splat`. The intrinsic adds to its first argument.
        unsafe { each!(vfmaq_f32, c, a, b) }
    }

    #[inline(always)]
    unsafe fn negated_mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats {
        // SAFETY: as `splat`. The intrinsic subtracts from its first argument.
        unsafe { each!(vfmsq_f32, c, a, b) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, floats: Self::Floats) {
        // Stored as bytes, since floats may be misaligned.
        let to = to.cast::<u8>();
        // SAFETY: the caller guarantees 16 floats, that is four times 16 bytes.
        unsafe {
            let [a, b, c, d] = each!(vreinterpretq_u8_f32, floats);
            vst1q_u8(to, a);
            vst1q_u8(to.add(QUAD_BYTES), b);
            vst1q_u8(to.add(2 * QUAD_BYTES), c);
            vst1q_u8(to.add(3 * QUAD_BYTES), d);
        }
    }

    #[inline(always)]
    unsafe fn stream(to: *mut f32, floats: Self::Floats) {
        // SAFETY: passed on. `simd/stores.rs` says why this is a plain store.
        unsafe { Self::store(to, floats) }
    }

    #[inline(always)]
    unsafe fn store_lanes(to: *mut f32, floats: Self::Floats, start: usize, end: usize) {
        // NEON has no masked stores.
        let mut lanes = [0f32; Self::LANES];
        // SAFETY: the array is as long as the registers; of it lanes `start..end` are copied, which
        // the caller guarantees.
        unsafe {
            Self::store(lanes.as_mut_ptr(), floats);
            let from = lanes.as_ptr().add(start).cast::<u8>();
            let size = size_of::<f32>();
            ptr::copy_nonoverlapping(from, to.cast::<u8>().add(size * start), size * (end - start));
        }
    }
}
