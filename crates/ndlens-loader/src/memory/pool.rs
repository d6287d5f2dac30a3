//! Batch memory: leased, written, handed out, and given back when the last view or tensor on it is
//! dropped.
//!
//! New pages cost several times the work of filling them, so slabs are kept and reused, and consist
//! of huge pages if possible. A slab is not reused while a view of it exists: a user who keeps ten
//! batches keeps ten slabs.
//!
//! ```text
//!            lease              freeze                  last view dropped
//!   free ---------->  Slab  ---------->  Buffer + Lease ------------------> free
//!     ^     (written by workers)   (the user's, as long as wanted)           |
//!     +----------------------------------------------------------------------+
//! ```

#![expect(unsafe_code, reason = "hands out exclusive pieces of raw memory; see UNSAFE.md")]

use std::slice;
use std::sync::{Arc, PoisonError, Weak};

use ndlens_core::{Access, Buffer, Owner};

use crate::error::Result;
use crate::sync::{Mutex, MutexGuard};

/// Slabs of one size.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    slab_bytes: usize,
    /// The process that made the lock. A fork may copy it while it is held; the copy is then never
    /// released.
    process: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    free: Vec<Buffer>,
    /// Slabs that exist, free or not.
    slabs: usize,
}

/// The memory of a pool, and the part of it that is leased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolUse {
    /// Slabs that exist, one for each batch that is being made, waiting, kept by the user, or free
    /// for the next.
    pub slabs: usize,
    /// Slabs that are being written or kept.
    pub leased: usize,
    /// Bytes of all slabs.
    pub bytes: usize,
}

impl Pool {
    pub(crate) fn new(slab_bytes: usize) -> Self {
        Pool(Arc::new(Shared { slab_bytes, process: std::process::id(), state: Mutex::default() }))
    }

    /// A slab to write, used before if one is free. In a process forked from the pool's, each is
    /// new.
    pub(crate) fn lease(&self) -> Result<Slab> {
        if self.0.is_foreign() {
            let memory = allocate(self.0.slab_bytes)?;
            return Ok(Slab(Lease { memory: Some(memory), home: Weak::new() }));
        }
        let free = self.0.lock().free.pop();
        let memory = if let Some(memory) = free {
            memory
        } else {
            let memory = allocate(self.0.slab_bytes)?;
            self.0.lock().slabs += 1;
            memory
        };
        Ok(Slab(Lease { memory: Some(memory), home: Arc::downgrade(&self.0) }))
    }

    /// Whether the next lease is of a slab used before.
    pub(crate) fn has_free(&self) -> bool {
        !self.0.is_foreign() && !self.0.lock().free.is_empty()
    }

    /// Frees the slabs that are not in use, except for `most` of them.
    pub(crate) fn keep_free(&self, most: usize) {
        if self.0.is_foreign() {
            return;
        }
        let mut state = self.0.lock();
        let surplus = state.free.len().saturating_sub(most);
        let freed: Vec<_> = state.free.drain(..surplus).collect();
        state.slabs -= freed.len();
        drop(state);
        drop(freed);
    }

    /// Bytes of a slab.
    pub(crate) fn slab_bytes(&self) -> usize {
        self.0.slab_bytes
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

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; and a list of free slabs has no broken state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The claim on a slab; dropping it gives the slab back, or frees it if the pool is gone.
#[derive(Debug)]
struct Lease {
    memory: Option<Buffer>,
    home: Weak<Shared>,
}

impl Owner for Lease {
    fn description(&self) -> String {
        "memory of a loader's batch".to_owned()
    }

    fn is_held_by_others(&self) -> bool {
        false
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // In another process the memory is freed, since that process has no pool for it.
        if let (Some(memory), Some(home)) = (self.memory.take(), self.home.upgrade())
            && !home.is_foreign()
        {
            home.lock().free.push(memory);
        }
    }
}

/// Memory that is being written, without any other reference to it.
#[derive(Debug)]
pub(crate) struct Slab(Lease);

impl Slab {
    /// Memory that the caller lends for one batch; it goes back when the batch is dropped.
    ///
    /// # Safety
    ///
    /// The memory must be initialised and writable, and nothing else may access it until the slab
    /// is dropped or frozen.
    pub(crate) unsafe fn supplied(memory: Buffer) -> Self {
        Slab(Lease { memory: Some(memory), home: Weak::new() })
    }

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
        assert!(
            start.checked_add(len).is_some_and(|end| end <= memory.len()),
            "a piece lies in its slab"
        );
        // SAFETY: in bounds, initialised (slabs start zeroed, or the supplier guarantees it),
        // alive as long as self; a lease is the only one on its memory, and the caller keeps pieces
        // apart.
        unsafe { slice::from_raw_parts_mut(memory.as_ptr().as_ptr().add(start), len) }
    }

    /// `len` bytes from `start` on, to read what was written.
    ///
    /// # Safety
    ///
    /// Nothing writes them while the slice lives.
    pub(crate) unsafe fn written(&self, start: usize, len: usize) -> &[u8] {
        let memory = self.memory();
        assert!(
            start.checked_add(len).is_some_and(|end| end <= memory.len()),
            "a piece lies in its slab"
        );
        // SAFETY: as for `piece`, with no writer, which the caller guarantees.
        unsafe { slice::from_raw_parts(memory.as_ptr().as_ptr().add(start), len) }
    }

    /// The memory as a buffer whose last drop gives the slab back.
    pub(crate) fn freeze(self) -> Buffer {
        let (ptr, len) = (self.memory().as_ptr(), self.memory().len());
        // SAFETY: the lease becomes the owner and keeps the memory until it is dropped; a `Slab` by
        // value has no pieces left, so the user is the only writer.
        unsafe { Buffer::from_raw(ptr, len, Access::ReadWrite, Arc::new(self.0)) }
    }
}

/// Zeroed memory for a slab, at a multiple of [`ALIGNMENT`](ndlens_core::ALIGNMENT).
fn allocate(len: usize) -> Result<Buffer> {
    if let Some(buffer) = ndlens_store::in_huge_pages(len) {
        return Ok(buffer);
    }
    Ok(Buffer::zeroed(len)?)
}

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
    fn a_pool_keeps_no_more_free_slabs_than_it_is_told_to() {
        let pool = Pool::new(128);
        let slabs: Vec<_> = (0..5).map(|_| pool.lease().unwrap()).collect();
        pool.keep_free(2);
        assert_eq!(pool.usage(), PoolUse { slabs: 5, leased: 5, bytes: 640 });
        drop(slabs);
        pool.keep_free(2);
        assert_eq!(pool.usage(), PoolUse { slabs: 2, leased: 0, bytes: 256 });
    }

    #[test]
    fn a_slab_given_up_half_written_comes_back_too() {
        let pool = Pool::new(128);
        drop(pool.lease().unwrap());
        assert_eq!(pool.usage(), PoolUse { slabs: 1, leased: 0, bytes: 128 });
    }

    #[test]
    fn slabs_of_any_size_are_aligned_zeroed_and_whole() {
        for len in [0, 1, 63, 4097, (2 << 20) - 1, 2 << 20, (5 << 20) + 3] {
            let slab = Pool::new(len).lease().unwrap();
            // SAFETY: the only piece.
            let piece = unsafe { slab.piece(0, len) };
            assert_eq!(piece.as_ptr().addr() % ndlens_core::ALIGNMENT, 0);
            assert!(piece.iter().all(|&byte| byte == 0));
            piece.fill(1);
        }
    }

    #[test]
    fn a_slab_that_cannot_be_is_an_error() {
        for len in [isize::MAX as usize, 1 << 60] {
            let error = Pool::new(len).lease().unwrap_err();
            assert_eq!(error.to_string(), format!("cannot allocate {len} bytes"));
        }
    }

    #[test]
    fn a_batch_outlives_its_pool() {
        let pool = Pool::new(64);
        let slab = pool.lease().unwrap();
        // SAFETY: the only piece.
        unsafe { slab.piece(0, 64) }.fill(7);
        let buffer = slab.freeze();
        drop(pool);
        // SAFETY: byte 63 of 64, which nothing writes.
        assert_eq!(unsafe { *buffer.as_ptr().as_ptr().add(63) }, 7);
    }
}
