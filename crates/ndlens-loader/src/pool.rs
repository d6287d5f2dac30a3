//! Batch memory: leased, written, handed out, and given back when the last view or tensor on it dies.
//!
//! Fresh pages cost several times the work of filling them, so slabs are kept and used again. A slab is never reused while
//! anything can still see it: keep ten batches and there are ten slabs.
//!
//! ```text
//!            lease              freeze                  last view dropped
//!   free ---------->  Slab  ---------->  Buffer + Lease ------------------> free
//!     ^     (written by workers)   (the user's, as long as wanted)           |
//!     +----------------------------------------------------------------------+
//! ```

#![expect(unsafe_code, reason = "hands out exclusive pieces of raw memory; see UNSAFE.md")]

use std::slice;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ndlens_core::{Access, Buffer, Owner};

use crate::error::Result;

/// Slabs of one size.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    slab_bytes: usize,
    /// Whose lock it is: a fork may copy it locked, for good.
    process: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: Vec<Buffer>,
    /// Slabs that exist, free or not.
    slabs: usize,
}

/// How much memory a pool has, and how much of it is out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Slabs that exist, one for each batch that is being made, waiting, kept by the user, or free for the next.
    pub slabs: usize,
    /// Those being written or kept.
    pub leased: usize,
    /// Bytes of all slabs.
    pub bytes: usize,
}

impl Pool {
    pub(crate) fn new(slab_bytes: usize) -> Self {
        Pool(Arc::new(Shared { slab_bytes, process: std::process::id(), state: Mutex::default() }))
    }

    /// A slab to write, used before if one is free. In a process forked from the pool's, each is new.
    pub(crate) fn lease(&self) -> Result<Slab> {
        if self.0.is_foreign() {
            let memory = Buffer::zeroed(self.0.slab_bytes)?;
            return Ok(Slab(Lease { memory: Some(memory), home: Weak::new() }));
        }
        let free = self.0.lock().free.pop();
        let memory = if let Some(memory) = free {
            memory
        } else {
            let memory = Buffer::zeroed(self.0.slab_bytes)?;
            self.0.lock().slabs += 1;
            prefer_huge_pages(&memory);
            memory
        };
        Ok(Slab(Lease { memory: Some(memory), home: Arc::downgrade(&self.0) }))
    }

    pub(crate) fn usage(&self) -> PoolUse {
        if self.0.is_foreign() {
            return PoolUse::default();
        }
        let state = self.0.lock();
        PoolUse {
            slabs: state.slabs,
            leased: state.slabs - state.free.len(),
            bytes: state.slabs * self.0.slab_bytes,
        }
    }
}

impl Shared {
    /// Whether this is a copy that a fork made.
    fn is_foreign(&self) -> bool {
        self.process != std::process::id()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; were it so, a list of free slabs has no broken state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The claim on a slab; dropping it gives the slab back, or frees it where the pool is gone.
#[derive(Debug)]
struct Lease {
    memory: Option<Buffer>,
    home: Weak<Shared>,
}

impl Owner for Lease {}

impl Drop for Lease {
    fn drop(&mut self) {
        // Elsewhere the memory is freed, as one process of the two has no use for it.
        if let (Some(memory), Some(home)) = (self.memory.take(), self.home.upgrade())
            && !home.is_foreign()
        {
            home.lock().free.push(memory);
        }
    }
}

/// Memory being written: nobody else can see it.
#[derive(Debug)]
pub(crate) struct Slab(Lease);

impl Slab {
    fn memory(&self) -> &Buffer {
        self.0.memory.as_ref().expect("a lease holds its memory until it is dropped")
    }

    /// `len` bytes from `start` on, to write.
    ///
    /// # Safety
    ///
    /// No two slices that live at the same time may overlap.
    #[expect(
        clippy::mut_from_ref,
        reason = "disjoint pieces go to different threads; the caller keeps them disjoint"
    )]
    pub(crate) unsafe fn piece(&self, start: usize, len: usize) -> &mut [u8] {
        let memory = self.memory();
        assert!(start.checked_add(len).is_some_and(|end| end <= memory.len()), "a piece lies in its slab");
        // SAFETY: in bounds, initialised (slabs start zeroed), alive as long as self; a lease is the only one on its
        // memory, and the caller keeps pieces apart.
        unsafe { slice::from_raw_parts_mut(memory.as_ptr().as_ptr().add(start), len) }
    }

    /// The memory as a buffer whose last drop gives the slab back.
    pub(crate) fn freeze(self) -> Buffer {
        let (ptr, len) = (self.memory().as_ptr(), self.memory().len());
        // SAFETY: the lease becomes the owner and keeps the memory until it is dropped; a `Slab` by value has no pieces
        // left, so the user is the only writer.
        unsafe { Buffer::from_raw(ptr, len, Access::ReadWrite, Arc::new(self.0)) }
    }
}

/// Asks the kernel for 2 MiB pages under a large slab: fewer faults when it is first written, fewer TLB misses after.
#[cfg(target_os = "linux")]
fn prefer_huge_pages(memory: &Buffer) {
    const HUGE_PAGE: usize = 2 << 20;
    let start = memory.as_ptr().as_ptr().addr().next_multiple_of(HUGE_PAGE);
    let end = (memory.as_ptr().as_ptr().addr() + memory.len()) / HUGE_PAGE * HUGE_PAGE;
    if start < end {
        // SAFETY: whole pages inside a block of ours. The advice changes no contents, and may be refused.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn prefer_huge_pages(_memory: &Buffer) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_comes_back_when_its_last_buffer_dies_and_not_before() {
        let pool = Pool::new(128);
        let first = pool.lease().unwrap().freeze();
        let address = first.as_ptr();
        let clone = first.clone();
        drop(first);
        let second = pool.lease().unwrap().freeze();
        assert_ne!(second.as_ptr(), address);
        drop(clone);
        assert_eq!(pool.lease().unwrap().freeze().as_ptr(), address);
        assert_eq!(pool.usage(), PoolUse { slabs: 2, leased: 1, bytes: 256 });
    }

    #[test]
    fn a_slab_given_up_half_written_comes_back_too() {
        let pool = Pool::new(128);
        drop(pool.lease().unwrap());
        assert_eq!(pool.usage(), PoolUse { slabs: 1, leased: 0, bytes: 128 });
    }

    #[test]
    fn a_batch_outlives_its_pool() {
        let pool = Pool::new(64);
        let slab = pool.lease().unwrap();
        // SAFETY: the only piece.
        unsafe { slab.piece(0, 64) }.fill(7);
        let buffer = slab.freeze();
        drop(pool);
        // SAFETY: byte 63 of 64, which nobody writes.
        assert_eq!(unsafe { *buffer.as_ptr().as_ptr().add(63) }, 7);
    }
}
