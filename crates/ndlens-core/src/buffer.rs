//! A range of bytes, its owner, and whether it may be written.
//!
//! A [`Buffer`] is a range of memory together with the [`Owner`] that keeps it valid. The owner may
//! be anything: a heap block, a mapped file, a Python object held by its buffer export, a batch
//! leased from a pool. A clone of a buffer shares the owner and copies no bytes.
//!
//! # Rationale
//!
//! The bytes may belong to Python, to another process or to a file, and may change during a read.
//! So no reference to them is ever formed: reads and writes use raw pointers, and the worst outcome
//! is a torn value.

#![expect(unsafe_code, reason = "holds and allocates raw memory; see UNSAFE.md")]

use std::alloc::{Layout as AllocLayout, alloc_zeroed, dealloc};
use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::dtype::Element;
use crate::error::{Error, Result};

/// Alignment of the memory that ndlens allocates: one cache line, and one AVX-512 register.
pub const ALIGNMENT: usize = 64;

/// Whether the bytes may be written through the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// The owner of a buffer's bytes, which stay valid until its last clone is dropped.
///
/// The drop may run on any thread. `Branch` in `spread.rs` passes every method on.
pub trait Owner: Any + Send + Sync {
    /// The owner in words, such as "memory of ndlens".
    fn description(&self) -> String {
        "foreign memory".to_owned()
    }

    /// Checks, before a long read, that the first `len` bytes still exist and that no earlier read
    /// found any missing.
    ///
    /// Memory cannot shrink, so the default succeeds. A mapped file checks its size.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], [`Error::Damaged`], [`Error::Moved`] or [`Error::Unavailable`].
    fn verify(&self, len: usize) -> Result<()> {
        let _ = len;
        Ok(())
    }

    /// Whether bytes may go missing while they are read, so that a reader needs a guard.
    fn can_shrink(&self) -> bool {
        false
    }

    /// Whether bytes have gone missing during a guarded read, up to what this thread has read so
    /// far. Such a read may have returned zeros, and [`verify`](Self::verify) fails. The check is
    /// cheap enough for every read.
    fn is_damaged(&self) -> bool {
        false
    }

    /// Whether a write to the bytes ends the process, also a write by a consumer that ignores
    /// [`Access`].
    fn is_protected(&self) -> bool {
        false
    }

    /// Whether [`prepare_write`](Self::prepare_write) must be called before bytes are written.
    fn may_lack_room(&self) -> bool {
        false
    }

    /// Ensures, right before a write, that the bytes can be written. Memory can always be written;
    /// a file may have holes, and the disk may lack the room to fill them.
    ///
    /// # Errors
    ///
    /// [`Error::Unwritable`].
    fn prepare_write(&self, bytes: Range<usize>) -> Result<()> {
        let _ = bytes;
        Ok(())
    }

    /// Requests bytes that will soon be read, without waiting until they are in memory. The default
    /// does nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the system refuses.
    fn prefetch(&self, bytes: Range<usize>) -> Result<()> {
        let _ = bytes;
        Ok(())
    }

    /// Whether code that ndlens does not know may hold the memory too, so that it lives on without
    /// this owner.
    fn is_held_by_others(&self) -> bool {
        true
    }

    /// Releases memory whose bytes can be loaded again, such as those of a file. Written bytes are
    /// never lost.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the system refuses.
    fn drop_cache(&self, bytes: Range<usize>) -> Result<()> {
        let _ = bytes;
        Ok(())
    }
}

/// A range of bytes and the owner that keeps it valid.
///
/// ```text
///  ptr                       ptr + len
///   |<---------- len ---------->|        valid while `owner` lives
/// ```
#[derive(Clone)]
pub struct Buffer {
    ptr: NonNull<u8>,
    len: usize,
    access: Access,
    /// Whether `owner` is a branch of the owner; see `spread.rs`.
    pub(crate) is_spread: bool,
    pub(crate) owner: Arc<dyn Owner>,
}

// SAFETY: a Buffer is a pointer, which threads may hold, and an owner that is Send and Sync itself.
// The bytes are reached only through the unsafe reads and writes of this crate, which form no
// references.
unsafe impl Send for Buffer {}
// SAFETY: as above; no method writes through `&self` without an unsafe block that carries its own
// proof.
unsafe impl Sync for Buffer {}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("ptr", &self.ptr)
            .field("len", &self.len)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

impl Buffer {
    /// A buffer of foreign memory.
    ///
    /// # Safety
    ///
    /// `ptr..ptr + len` must be valid for reads, and for writes if `access` says so, until `owner`
    /// is dropped; `len` must not exceed `isize::MAX`. No `&mut` may be formed over the bytes while
    /// the buffer lives.
    pub unsafe fn from_raw(
        ptr: NonNull<u8>,
        len: usize,
        access: Access,
        owner: Arc<dyn Owner>,
    ) -> Self {
        debug_assert!(isize::try_from(len).is_ok());
        Buffer { ptr, len, access, is_spread: false, owner }
    }

    /// A buffer of a vector's memory, without a copy.
    pub fn from_vec<T: Element>(vec: Vec<T>) -> Self {
        let len = size_of_val(vec.as_slice());
        let mut owner = VecOwner(vec);
        let ptr = NonNull::from(owner.0.as_mut_slice()).cast();
        // SAFETY: the vector's block is `len` initialised bytes, since elements have no padding,
        // does not move with the Vec, and lives in the owner.
        unsafe { Buffer::from_raw(ptr, len, Access::ReadWrite, Arc::new(owner)) }
    }

    /// Allocates zeroed bytes at a multiple of [`ALIGNMENT`].
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`] if the allocator has no such block.
    pub fn zeroed(len: usize) -> Result<Self> {
        let out_of_memory = Error::OutOfMemory { len_bytes: len };
        let Ok(block) = AllocLayout::from_size_align(len.max(1), ALIGNMENT) else {
            return Err(out_of_memory);
        };
        // SAFETY: the block's size is at least 1.
        let Some(ptr) = NonNull::new(unsafe { alloc_zeroed(block) }) else {
            return Err(out_of_memory);
        };
        // SAFETY: `alloc_zeroed` gave `len` zeroed bytes that HeapOwner frees when dropped, with
        // the same layout.
        Ok(unsafe {
            Buffer::from_raw(ptr, len, Access::ReadWrite, Arc::new(HeapOwner { ptr, block }))
        })
    }

    /// The first byte.
    pub fn as_ptr(&self) -> NonNull<u8> {
        self.ptr
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the buffer has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether writes are allowed.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The same bytes, read-only.
    #[must_use]
    pub fn to_read_only(&self) -> Self {
        Buffer { access: Access::ReadOnly, ..self.clone() }
    }

    /// The same bytes, held by a branch of the owner.
    #[inline]
    pub(crate) fn held_by(&self, branch: Arc<dyn Owner>) -> Self {
        Buffer { is_spread: true, owner: branch, ..*self }
    }

    /// Whether the bytes of both are the same, and may be written through both or neither.
    #[inline]
    pub(crate) fn has_bytes_of(&self, other: &Buffer) -> bool {
        (self.ptr, self.len, self.access) == (other.ptr, other.len, other.access)
    }

    /// The owner in words; see [`Owner::description`].
    pub fn owner_description(&self) -> String {
        self.owner.description()
    }

    /// Whether memory may be held by others too; see [`Owner::is_held_by_others`].
    pub fn is_held_by_others(&self) -> bool {
        self.owner.is_held_by_others()
    }

    /// Asks the owner whether the first `len` bytes still exist.
    pub(crate) fn verify_start(&self, len: usize) -> Result<()> {
        self.owner.verify(len)
    }

    /// Whether bytes may go missing while they are read; see [`Owner::can_shrink`].
    pub fn can_shrink(&self) -> bool {
        self.owner.can_shrink()
    }

    /// Whether bytes went missing under a guarded read; see [`Owner::is_damaged`].
    pub fn is_damaged(&self) -> bool {
        self.owner.is_damaged()
    }

    /// Whether a write to the bytes ends the process; see [`Owner::is_protected`].
    pub fn is_protected(&self) -> bool {
        self.owner.is_protected()
    }

    pub(crate) fn may_lack_room(&self) -> bool {
        self.owner.may_lack_room()
    }

    pub(crate) fn prepare_write(&self, bytes: Range<usize>) -> Result<()> {
        self.owner.prepare_write(bytes)
    }

    pub(crate) fn prefetch(&self, bytes: Range<usize>) -> Result<()> {
        self.owner.prefetch(bytes)
    }

    pub(crate) fn drop_cache(&self, bytes: Range<usize>) -> Result<()> {
        self.owner.drop_cache(bytes)
    }

    /// Fails, after a read, if it may have returned zeros in place of bytes that went missing.
    pub(crate) fn verify_read(&self) -> Result<()> {
        if self.is_damaged() { self.verify() } else { Ok(()) }
    }

    /// Asks the owner whether all bytes still exist.
    ///
    /// # Errors
    /// The errors of [`Owner::verify`].
    pub fn verify(&self) -> Result<()> {
        self.verify_start(self.len)
    }
}

struct VecOwner<T>(Vec<T>);

impl<T: Send + Sync + 'static> Owner for VecOwner<T> {
    fn description(&self) -> String {
        "memory of ndlens".to_owned()
    }

    fn is_held_by_others(&self) -> bool {
        false
    }
}

struct HeapOwner {
    ptr: NonNull<u8>,
    block: AllocLayout,
}

impl Owner for HeapOwner {
    fn description(&self) -> String {
        "memory of ndlens".to_owned()
    }

    fn is_held_by_others(&self) -> bool {
        false
    }
}

// SAFETY: the block is plain memory, freed once, by whichever thread drops the owner.
unsafe impl Send for HeapOwner {}
// SAFETY: `&HeapOwner` gives no access to the block.
unsafe impl Sync for HeapOwner {}

impl Drop for HeapOwner {
    fn drop(&mut self) {
        // SAFETY: `ptr` came from the global allocator with this very layout and is freed only
        // here.
        unsafe { dealloc(self.ptr.as_ptr(), self.block) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocated_memory_is_aligned_and_zeroed() {
        for len in [0, 1, 63, 64, 65, 4096] {
            let buffer = Buffer::zeroed(len).unwrap();
            assert_eq!(buffer.as_ptr().as_ptr() as usize % ALIGNMENT, 0);
            for i in 0..len {
                // SAFETY: i < len.
                assert_eq!(unsafe { *buffer.as_ptr().as_ptr().add(i) }, 0);
            }
        }
    }

    #[test]
    fn an_impossible_allocation_is_an_error_not_an_abort() {
        let error = Buffer::zeroed(isize::MAX as usize).unwrap_err();
        assert_eq!(error.to_string(), format!("cannot allocate {} bytes", isize::MAX));
    }

    #[test]
    fn a_vector_is_taken_without_a_copy() {
        let vec = vec![1u32, 2, 3];
        let ptr = vec.as_ptr() as usize;
        let buffer = Buffer::from_vec(vec);
        assert_eq!((buffer.as_ptr().as_ptr() as usize, buffer.len()), (ptr, 12));
    }
}
