//! Stores through the cache or past it, and prefetches.
//!
//! A store past the cache fills a line that goes to memory in one piece. A line that is streamed in
//! part, or next to a line that is written through the cache, costs more than caching all lines. So
//! bodies stream whole lines only. A [`fence`] must follow before another thread may read them.
//!
//! On aarch64 there are no such stores: cores recognise that whole lines are written one after
//! another, and then write past the cache themselves. (`stnp` is a hint about a pair of registers,
//! which no published core is known to need.) Its bodies store plainly, so they need no fence.

#![expect(unsafe_code, reason = "stores and prefetches by raw pointers; see UNSAFE.md")]

use crate::simd::level::Level;

/// The kind of stores that write results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stores {
    /// Through the cache: for a consumer that reads them at once.
    Cached,
    /// Past the cache, if a body has such stores (those over the registers of x86-64 have) and rows
    /// of results are whole cache lines: for more results than the cache holds. Results are visible
    /// to other threads once the call that writes them has returned, like those of plain stores.
    Stream,
}

/// Bytes of a cache line, or a divisor of them: some cores of aarch64 have lines of 128 or 256, for
/// which prefetches ask twice or more, and nothing else changes.
pub(crate) const LINE: usize = 64;

/// Makes streaming stores visible to threads that synchronise with this one afterwards.
pub(crate) fn fence() {
    // SAFETY: every x86-64 has SSE.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_sfence();
    }
}

/// Prefetches the cache line of a byte. This is a hint, so the byte may be anywhere.
#[expect(clippy::inline_always, reason = "one instruction")]
#[inline(always)]
pub(crate) fn prefetch(byte: *const u8) {
    // SAFETY: a prefetch touches no memory that a program could notice, and every x86-64 has it.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(byte.cast());
    }
    // SAFETY: as above, for every aarch64. Rust has no stable intrinsic for it.
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    unsafe {
        std::arch::asm!(
            "prfm pldl1keep, [{byte}]",
            byte = in(reg) byte.addr(),
            options(nomem, nostack, preserves_flags)
        );
    }
    let _ = byte;
}

/// As [`prefetch`], into the second-level cache, for which a core has more pending lines than for
/// the first.
#[expect(clippy::inline_always, reason = "one instruction")]
#[inline(always)]
pub(crate) fn prefetch_second_level(byte: *const u8) {
    // SAFETY: as `prefetch`.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(byte.cast());
    }
    // SAFETY: as `prefetch`.
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    unsafe {
        std::arch::asm!(
            "prfm pldl2keep, [{byte}]",
            byte = in(reg) byte.addr(),
            options(nomem, nostack, preserves_flags)
        );
    }
    let _ = byte;
}

/// A copy past the cache, of as many bytes as the second argument has. A [`fence`] must follow
/// before another thread may read them.
///
/// # Safety
///
/// The machine must have the body's instructions. As many bytes must be readable at the first
/// argument, apart from the second.
pub(crate) type StreamCopy = unsafe fn(*const u8, &mut [u8]);

/// The body of a level, if it has one.
pub(crate) fn stream_copy(level: Level) -> Option<StreamCopy> {
    #[cfg(target_arch = "x86_64")]
    if level > Level::SCALAR {
        return Some(x86_64::avx2_copy);
    }
    let _ = level;
    None
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{_mm256_loadu_si256, _mm256_stream_si256};
    use std::ptr;

    use super::LINE;
    use crate::simd::level::avx2;

    avx2! {
        /// # Safety
        ///
        /// As [`StreamCopy`](super::StreamCopy).
        pub(super) unsafe fn avx2_copy(from: *const u8, to: &mut [u8]) {
            let (count, to) = (to.len(), to.as_mut_ptr());
            let head = to.align_offset(LINE).min(count);
            // SAFETY: `x` never exceeds `count`, and lines are only written where one fits; from
            // `head` on, each is aligned.
            unsafe {
                ptr::copy_nonoverlapping(from, to, head);
                let mut x = head;
                while x + LINE <= count {
                    let low = _mm256_loadu_si256(from.add(x).cast());
                    let high = _mm256_loadu_si256(from.add(x + LINE / 2).cast());
                    _mm256_stream_si256(to.add(x).cast(), low);
                    _mm256_stream_si256(to.add(x + LINE / 2).cast(), high);
                    x += LINE;
                }
                ptr::copy_nonoverlapping(from.add(x), to.add(x), count - x);
            }
        }
    }
}
