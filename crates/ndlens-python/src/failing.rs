//! An allocator that fails on request, for `make memory-sweep`, which tests every allocation.
//!
//! Only a build with the feature `failing-allocator` has it. No published build does.

#![expect(unsafe_code, reason = "is a global allocator; see UNSAFE.md")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ndlens::Reserve;
use pyo3::prelude::*;

/// Size below which allocations are not counted.
static LEAST_BYTES: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Allocations of that size so far.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Number of the allocation that fails.
static FAILING: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Whether those after it fail as well.
static LASTING: AtomicBool = AtomicBool::new(false);

/// The system's allocator, which fails as the statics above say.
struct Failing;

impl Failing {
    fn fails(bytes: usize) -> bool {
        // Relaxed: each is one number, and the order in which two threads count does not matter.
        if bytes < LEAST_BYTES.load(Ordering::Relaxed) {
            return false;
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let failing = FAILING.load(Ordering::Relaxed);
        count == failing || (count > failing && LASTING.load(Ordering::Relaxed))
    }
}

// SAFETY: a null pointer is how an allocator says that it has no memory; all else is the system's
// allocator.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::fails(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: passed on; the caller guarantees the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Self::fails(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: passed on; the caller guarantees the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && Self::fails(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: passed on; the caller guarantees the same; what `alloc` gave is the system's.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: passed on; the caller guarantees the same; what `alloc` gave is the system's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Reserve<Failing> = Reserve::new(Failing);

/// Makes allocation number `nth`, from 0 on, of those of at least `least_bytes` fail, and with
/// `lasting` all that follow.
#[pyfunction]
#[pyo3(name = "_fail_allocation", signature = (nth, least_bytes, /, lasting = false))]
pub(crate) fn fail_allocation(nth: usize, least_bytes: usize, lasting: bool) {
    LASTING.store(lasting, Ordering::Relaxed);
    COUNT.store(0, Ordering::Relaxed);
    FAILING.store(nth, Ordering::Relaxed);
    LEAST_BYTES.store(least_bytes, Ordering::Relaxed);
}

/// The number of allocations that were that large since. After the call none fails.
#[pyfunction]
#[pyo3(name = "_count_allocations")]
pub(crate) fn count_allocations() -> usize {
    LEAST_BYTES.store(usize::MAX, Ordering::Relaxed);
    COUNT.load(Ordering::Relaxed)
}
