//! How much memory a thread claims.
//!
//! A header of a few bytes can describe an array of many gigabytes. So every allocation of this
//! thread is counted, and one above [`LIMIT`] fails, as on a machine with little memory: code that
//! allocates before it checks is then found whatever the size.

#![expect(unsafe_code, reason = "is an allocator; see UNSAFE.md")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The largest allocation that succeeds, in bytes.
const LIMIT: usize = 1 << 28;

thread_local! {
    /// Bytes that this thread allocated, less what it freed.
    static HELD: Cell<isize> = const { Cell::new(0) };
    /// The most of [`HELD`] and of what was refused.
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

/// Counts a request, and says whether it is granted.
fn request(len_bytes: usize) -> bool {
    // While a thread ends there is nothing to count with, and nothing to count.
    let _ = HELD.try_with(|held| {
        let asked = held.get().saturating_add_unsigned(len_bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(asked)));
        if len_bytes <= LIMIT {
            held.set(asked);
        }
    });
    len_bytes <= LIMIT
}

fn release(len_bytes: usize) {
    let _ = HELD.try_with(|held| held.set(held.get().saturating_sub_unsigned(len_bytes)));
}

// SAFETY: every block is the system allocator's, with the layout that the caller gave; a null
// pointer says that there is no memory, which the trait allows.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !request(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !request(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        release(layout.size());
        // SAFETY: passed on; all blocks are the system's.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, len_bytes: usize) -> *mut u8 {
        if !request(len_bytes) {
            return std::ptr::null_mut();
        }
        release(layout.size());
        // SAFETY: passed on; all blocks are the system's.
        unsafe { System.realloc(block, layout, len_bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the function returns, and the most bytes that it held at one time, or asked for.
pub(crate) fn claimed<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, (PEAK.get() - before).max(0).cast_unsigned())
}

/// Runs the function, and asserts that it claims no more than `per_byte` times the bytes of its
/// input and a part that is the same for every input.
pub(crate) fn within<T>(input_len: usize, per_byte: usize, work: impl FnOnce() -> T) -> T {
    /// Buffers of a fixed size: of the readers of archives, and of errors' texts.
    const FIXED: usize = 1 << 19;
    let (result, claimed) = claimed(work);
    let most = FIXED + per_byte * input_len;
    assert!(claimed <= most, "an input of {input_len} bytes claims {claimed} bytes of memory");
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_was_held_at_one_time_is_counted() {
        let ((), most) = claimed(|| {
            drop(vec![0u8; 1000]);
            drop(vec![0u8; 500]);
        });
        assert_eq!(most, 1000);
    }

    #[test]
    fn memory_beyond_the_limit_is_refused_and_counted() {
        let (refused, most) = claimed(|| Vec::<u8>::new().try_reserve_exact(1 << 40).is_err());
        assert!(refused && most >= 1 << 40);
    }
}
