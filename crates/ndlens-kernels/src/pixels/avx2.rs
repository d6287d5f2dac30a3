//! Pixels of 2 to 4 bytes, split into planes, and planes joined to pixels: the AVX2 bodies.
//! `avx512.rs` splits with AVX-512.
//!
//! A block of pixels is as many loads as a pixel has bytes, and a plane's block takes its bytes
//! from all of them:
//!
//! ```text
//!  loads    RGBRGBRG BRGBRGBR GBRGBRGB
//!  plane R  R..R..R. .R..R..R ..R..R..
//! ```

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;

use crate::pixels::body::{JOINED, Join, Split};
use crate::simd::level::avx2;

/// The body for pixels of this many bytes, if there is one.
pub(crate) fn split(channels: usize) -> Option<Split> {
    match channels {
        2 => Some(avx2_split::<2>),
        3 => Some(avx2_split::<3>),
        4 => Some(avx2_split::<4>),
        _ => None,
    }
}

/// The body for pixels of this many bytes, if there is one.
pub(crate) fn join(channels: usize) -> Option<Join> {
    match channels {
        2 => Some(avx2_join::<2>),
        3 => Some(avx2_join::<3>),
        4 => Some(avx2_join::<4>),
        _ => None,
    }
}

avx2! {
    /// # Safety
    ///
    /// As [`Join`].
    unsafe fn avx2_join<const C: usize>(planes: *const u8, plane: usize, pixels: &mut [u8]) {
        /// For each store and channel, the bytes of the channel that the store takes; 0x80 takes
        /// none.
        const fn shuffles<const C: usize>() -> [[[u8; JOINED]; C]; C] {
            let mut shuffles = [[[0x80; JOINED]; C]; C];
            let mut at = 0;
            while at < JOINED * C {
                shuffles[at / JOINED][at % C][at % JOINED] = (at / C) as u8;
                at += 1;
            }
            shuffles
        }
        let shuffles = const { shuffles::<C>() };
        for (block, pixels) in pixels.chunks_exact_mut(JOINED * C).enumerate() {
            for (to, shuffles) in pixels.chunks_exact_mut(JOINED).zip(&shuffles) {
                let mut bytes = _mm_setzero_si128();
                for (channel, shuffle) in shuffles.iter().enumerate() {
                    // SAFETY: the arrays are as long as a register; the caller guarantees the
                    // planes.
                    bytes = unsafe {
                        let shuffle = _mm_loadu_si128(shuffle.as_ptr().cast());
                        let from =
                            _mm_loadu_si128(planes.add(channel * plane + block * JOINED).cast());
                        _mm_or_si128(bytes, _mm_shuffle_epi8(from, shuffle))
                    };
                }
                // SAFETY: the chunk is as long as a register.
                unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), bytes) };
            }
        }
    }
}

/// The pixels of a block, and the bytes of a load.
const LEN: usize = 16;

avx2! {
    /// # Safety
    ///
    /// As [`Split`].
    unsafe fn avx2_split<const C: usize>(
        from: *const u8,
        width: usize,
        ahead: isize,
        planes: *mut u8,
        plane: usize,
    ) {
        if width < LEN {
            for at in 0..width * C {
                // SAFETY: this is a byte of the caller's pixels, and goes to its plane.
                unsafe { *planes.add(at % C * plane + at / C) = *from.add(at) };
            }
            return;
        }
        let row = Avx2Row::<C> { from, width, ahead, planes, plane };
        for x in (0..width).step_by(16 * LEN) {
            // Each block has separate instructions; `BLOCKS` of `avx512.rs` gives the reason.
            macro_rules! blocks {
                ($($block:literal)*) => {
                    // SAFETY: this function has the instructions; the caller guarantees the row,
                    // which is at least a block.
                    unsafe { $(row.block(x + $block * LEN);)* }
                };
            }
            blocks!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
    }
}

/// A row of pixels that are split.
#[derive(Clone, Copy)]
struct Avx2Row<const C: usize> {
    from: *const u8,
    width: usize,
    ahead: isize,
    planes: *mut u8,
    plane: usize,
}

impl<const C: usize> Avx2Row<C> {
    /// For each channel and load, the bytes of the load that a block of the channel takes; 0x80
    /// takes none.
    const SHUFFLES: [[[u8; LEN]; C]; C] = {
        let mut shuffles = [[[0x80; LEN]; C]; C];
        let mut at = 0;
        while at < LEN * C {
            shuffles[at % C][at / LEN][at / C] = (at % LEN) as u8;
            at += 1;
        }
        shuffles
    };

    /// Splits the block that begins with pixel `x`, if there is such a pixel. The last block ends
    /// with the row, and does some pixels again.
    ///
    /// # Safety
    ///
    /// As [`Split`], and the row must be at least a block.
    #[inline(always)]
    unsafe fn block(self, x: usize) {
        if x >= self.width {
            return;
        }
        let start = x.min(self.width - LEN);
        // SAFETY: the block's pixels are before `width`; the arrays are as long as a register. A
        // prefetch may point anywhere.
        unsafe {
            let bytes = self.from.add(start * C);
            _mm_prefetch::<_MM_HINT_T0>(bytes.wrapping_offset(self.ahead).cast());
            let mut loads = [_mm_setzero_si128(); C];
            for (i, load) in loads.iter_mut().enumerate() {
                *load = _mm_loadu_si128(bytes.add(i * LEN).cast());
            }
            for (channel, shuffles) in Self::SHUFFLES.iter().enumerate() {
                let mut block = _mm_setzero_si128();
                for (load, shuffle) in loads.iter().zip(shuffles) {
                    let shuffle = _mm_loadu_si128(shuffle.as_ptr().cast());
                    block = _mm_or_si128(block, _mm_shuffle_epi8(*load, shuffle));
                }
                _mm_storeu_si128(self.planes.add(channel * self.plane + start).cast(), block);
            }
        }
    }
}
