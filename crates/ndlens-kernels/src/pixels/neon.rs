//! Pixels of 2 to 4 bytes, split into planes, and planes joined to pixels: the NEON bodies.
//!
//! NEON has an instruction for each: a load that deals the bytes of 16 pixels out to a register for
//! each channel, and a store that gathers them.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::aarch64::*;

use crate::pixels::body::{JOINED, Join, Split};
use crate::simd::stores::prefetch;

/// The body for pixels of this many bytes, if there is one.
pub(crate) fn split(channels: usize) -> Option<Split> {
    match channels {
        2 => Some(split_2),
        3 => Some(split_3),
        4 => Some(split_4),
        _ => None,
    }
}

/// The body for pixels of this many bytes, if there is one.
pub(crate) fn join(channels: usize) -> Option<Join> {
    match channels {
        2 => Some(join_2),
        3 => Some(join_3),
        4 => Some(join_4),
        _ => None,
    }
}

/// The pixels of a block, and the bytes of a register.
const LEN: usize = 16;

/// The bodies for pixels of `$channels` bytes, and their instructions.
macro_rules! bodies {
    (
        $channels:literal, $split:ident, $join:ident, $load:ident, $store:ident,
        $registers:ident, $($channel:tt)+
    ) => {
        /// # Safety
        ///
        /// As [`Split`].
        unsafe fn $split(
            from: *const u8,
            width: usize,
            ahead: isize,
            planes: *mut u8,
            plane: usize,
        ) {
            const C: usize = $channels;
            if width < LEN {
                for at in 0..width * C {
                    // SAFETY: this is a byte of the caller's pixels, and goes to its plane.
                    unsafe { *planes.add(at % C * plane + at / C) = *from.add(at) };
                }
                return;
            }
            for x in (0..width).step_by(LEN) {
                // The last block ends with the row, and does some pixels again.
                let start = x.min(width - LEN);
                // SAFETY: the block's pixels are before `width`, the caller's; they go to their
                // planes.
                unsafe {
                    let bytes = from.add(start * C);
                    prefetch(bytes.wrapping_offset(ahead));
                    let block = $load(bytes);
                    $(vst1q_u8(planes.add($channel * plane + start), block.$channel);)+
                }
            }
        }

        /// # Safety
        ///
        /// As [`Join`].
        unsafe fn $join(planes: *const u8, plane: usize, pixels: &mut [u8]) {
            const { assert!(JOINED == LEN) };
            for (i, pixels) in pixels.chunks_exact_mut(LEN * $channels).enumerate() {
                // SAFETY: the caller guarantees the planes; the chunk is as long as the registers.
                unsafe {
                    let block = $registers(
                        $(vld1q_u8(planes.add($channel * plane + i * LEN))),+
                    );
                    $store(pixels.as_mut_ptr(), block);
                }
            }
        }
    };
}

bodies! { 2, split_2, join_2, vld2q_u8, vst2q_u8, uint8x16x2_t, 0 1 }
bodies! { 3, split_3, join_3, vld3q_u8, vst3q_u8, uint8x16x3_t, 0 1 2 }
bodies! { 4, split_4, join_4, vld4q_u8, vst4q_u8, uint8x16x4_t, 0 1 2 3 }
