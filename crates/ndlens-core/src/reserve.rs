//! An allocator with a reserve for small allocations, so that code which cannot fail small does not
//! end the process where memory runs out.
//!
//! Rust has no fallible `Arc::new`, `Box::new` or `format!`: without memory they abort. One such
//! allocation is a few bytes, but an operation on a million arrays makes millions of them. With
//! [`Reserve`] as the global allocator, small allocations that the allocator below refuses come
//! from a fixed piece of memory, and [`room`](crate::room), which every growing list goes through,
//! returns [`Error::OutOfMemory`](crate::Error::OutOfMemory) from then on. The operation ends with
//! that error and frees what it made.
//!
//! ```text
//!  used:   one word for each 64 slots, one bit for each slot
//!  slots:  |SLOT_BYTES|SLOT_BYTES|..                    a block is slots side by side, of one word
//! ```
//!
//! # Limitations
//!
//! - A loop that makes small allocations and never asks `room` can use up the reserve. Then it
//!   aborts, as it would without one. Such loops call [`room::check`](crate::room::check).
//! - The reserve is memory of the process image: it takes addresses always, and pages once used.

#![expect(unsafe_code, reason = "is a global allocator; see UNSAFE.md")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::room;

/// Bytes of a slot.
const SLOT_BYTES: usize = 256;
/// Slots for which one word says which are used.
const SLOTS_OF_WORD: usize = u64::BITS as usize;
/// The number of words: the reserve is 256 KiB. The largest block is the slots of one word, 16 KiB.
const WORDS: usize = 16;
const BYTES: usize = WORDS * SLOTS_OF_WORD * SLOT_BYTES;

/// An allocator with a reserve for allocations of up to 16 KiB.
///
/// ```
/// use ndlens_core::Reserve;
///
/// #[global_allocator]
/// static ALLOCATOR: Reserve = Reserve::new(std::alloc::System);
/// ```
pub struct Reserve<A = System> {
    inner: A,
    used: [AtomicU64; WORDS],
    slots: Slots,
}

/// The memory, at a multiple of the size of a slot.
#[repr(align(256))]
struct Slots(UnsafeCell<[u8; BYTES]>);

// SAFETY: no reference to the bytes is formed. A slot is written only by the owner of its block,
// which `Reserve::take` gives to one caller until `Reserve::give` takes it back.
unsafe impl Sync for Slots {}

impl<A> Reserve<A> {
    /// A reserve above an allocator.
    #[expect(clippy::large_stack_arrays, reason = "it is evaluated into a static")]
    pub const fn new(inner: A) -> Self {
        Reserve {
            inner,
            used: [const { AtomicU64::new(0) }; WORDS],
            slots: Slots(UnsafeCell::new([0; BYTES])),
        }
    }

    /// A block of the reserve; null if it has none that fits.
    #[cold]
    fn take(&self, layout: Layout) -> *mut u8 {
        let count = slots_of(layout.size());
        if count > SLOTS_OF_WORD || layout.align() > SLOT_BYTES {
            return ptr::null_mut();
        }
        room::note_shortage();
        for (place, word) in self.used.iter().enumerate() {
            // Relaxed: the exchange reads it again.
            let mut used = word.load(Ordering::Relaxed);
            while let Some(first) = free_run(used, count) {
                let taken = used | (run(count) << first);
                // Acquire: what the slots' last owner did to them is done; see `give`.
                match word.compare_exchange_weak(used, taken, Ordering::Acquire, Ordering::Relaxed)
                {
                    Ok(_) => {
                        let start = (place * SLOTS_OF_WORD + first) * SLOT_BYTES;
                        return self.start().wrapping_add(start);
                    }
                    Err(now) => used = now,
                }
            }
        }
        ptr::null_mut()
    }

    fn start(&self) -> *mut u8 {
        self.slots.0.get().cast()
    }

    /// The byte of the reserve at which a block starts; None if it is of the allocator below.
    fn offset_of(&self, block: *mut u8) -> Option<usize> {
        let offset = block.addr().wrapping_sub(self.start().addr());
        (offset < BYTES).then_some(offset)
    }

    /// Takes back `count` slots side by side, from that at a byte of the reserve on; at least one.
    fn give(&self, offset: usize, count: usize) {
        let slot = offset / SLOT_BYTES;
        if let Some(word) = self.used.get(slot / SLOTS_OF_WORD) {
            // Release: see `take`.
            word.fetch_and(!(run(count) << (slot % SLOTS_OF_WORD)), Ordering::Release);
        }
    }
}

/// The slots of a block of so many bytes.
fn slots_of(size: usize) -> usize {
    size.div_ceil(SLOT_BYTES).max(1)
}

/// So many bits, from the lowest on; at most those of a word.
fn run(count: usize) -> u64 {
    u64::MAX >> (SLOTS_OF_WORD - count)
}

/// The first of `count` zeros side by side.
fn free_run(used: u64, count: usize) -> Option<usize> {
    // A bit stays set if those above it are; beyond the word are zeros.
    let starts = (1..count).fold(!used, |starts, _| starts & (starts >> 1));
    (starts != 0).then_some(starts.trailing_zeros() as usize)
}

// SAFETY: a block is the inner allocator's, or slots that `take` marked as used in one atomic step,
// and that no other block has until `give`; they are at least the layout's size, and lie at a
// multiple of 256, so of its alignment. Neither way unwinds.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Reserve<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on; the caller guarantees the same.
        let block = unsafe { self.inner.alloc(layout) };
        if block.is_null() { self.take(layout) } else { block }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: passed on; the caller guarantees the same.
        let block = unsafe { self.inner.alloc_zeroed(layout) };
        if !block.is_null() {
            return block;
        }
        let block = self.take(layout);
        if !block.is_null() {
            // SAFETY: the block is new, ours, and has that many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if let Some(offset) = self.offset_of(block) {
            let (had, needs) = (slots_of(layout.size()), slots_of(size));
            // In place, also where the reserve is used up: to shrink a list must not fail.
            if needs <= had {
                if needs < had {
                    self.give(offset + needs * SLOT_BYTES, had - needs);
                }
                return block;
            }
        } else {
            // SAFETY: passed on; the caller guarantees the same, and the block is the inner
            // allocator's.
            let grown = unsafe { self.inner.realloc(block, layout, size) };
            if !grown.is_null() {
                return grown;
            }
        }
        // SAFETY: the caller guarantees that `size` is a size for this alignment.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller guarantees that `size` is not 0.
        let target = unsafe { self.alloc(new) };
        if !target.is_null() {
            // SAFETY: both blocks have that many bytes, and the target is new. The old block is the
            // caller's, with this layout, and is not used afterwards.
            unsafe {
                target.copy_from_nonoverlapping(block, size.min(layout.size()));
                self.dealloc(block, layout);
            }
        }
        target
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match self.offset_of(block) {
            Some(offset) => self.give(offset, slots_of(layout.size())),
            // SAFETY: passed on; the caller guarantees the same, and the block is the inner
            // allocator's.
            None => unsafe { self.inner.dealloc(block, layout) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// An allocator without memory.
    struct Empty;

    // SAFETY: null is how an allocator says that it has no memory.
    unsafe impl GlobalAlloc for Empty {
        unsafe fn alloc(&self, _: Layout) -> *mut u8 {
            ptr::null_mut()
        }
        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {
            unreachable!("it gave no block")
        }
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).unwrap()
    }

    /// The test's own reserve, and the shortage that the rest of the process sees meanwhile, which
    /// ends with the next question since there is memory.
    fn reserve() -> Box<Reserve<Empty>> {
        Box::new(Reserve::new(Empty))
    }

    #[test]
    fn blocks_do_not_overlap_and_come_back() {
        let reserve = reserve();
        for round in 0..3 {
            let sizes = (1..400).map(|k| (k * 37 + round) % 1500 + 1);
            let mut blocks = vec![];
            for size in sizes {
                // SAFETY: the size is not 0.
                let block = unsafe { reserve.alloc(layout(size)) };
                if !block.is_null() {
                    // SAFETY: the block is ours.
                    unsafe { block.write_bytes(size as u8, size) };
                    blocks.push((block, size));
                }
            }
            assert!(blocks.len() > 200, "{}", blocks.len());
            for &(block, size) in &blocks {
                // SAFETY: the block is ours.
                let bytes = unsafe { std::slice::from_raw_parts(block, size) };
                assert!(bytes.iter().all(|&byte| byte == size as u8));
            }
            for (block, size) in blocks {
                // SAFETY: the block is ours, of that layout.
                unsafe { reserve.dealloc(block, layout(size)) };
            }
            assert!(reserve.used.iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
    }

    #[test]
    fn it_ends_and_large_blocks_are_refused() {
        let reserve = reserve();
        let largest = SLOTS_OF_WORD * SLOT_BYTES;
        // SAFETY: the sizes are not 0.
        let blocks: HashSet<_> =
            (0..WORDS).map(|_| unsafe { reserve.alloc(layout(largest)) }).collect();
        assert_eq!((blocks.len(), blocks.contains(&ptr::null_mut())), (WORDS, false));
        // SAFETY: as above.
        assert!(unsafe { reserve.alloc(layout(1)) }.is_null());
        let reserve = self::reserve();
        // SAFETY: as above.
        assert!(unsafe { reserve.alloc(layout(largest + 1)) }.is_null());
        let wide = Layout::from_size_align(8, 512).unwrap();
        // SAFETY: as above.
        assert!(unsafe { reserve.alloc(wide) }.is_null());
    }

    #[test]
    fn a_block_that_grows_keeps_its_bytes_and_a_used_one_is_zeroed() {
        let reserve = reserve();
        // SAFETY: blocks are ours, of the layouts they were made with, sizes are not 0, and reads
        // and writes are within them.
        unsafe {
            let block = reserve.alloc(layout(256));
            block.write_bytes(7, 256);
            let grown = reserve.realloc(block, layout(256), 5000);
            assert!((0..256).all(|at| grown.add(at).read() == 7));
            assert!(reserve.realloc(grown, layout(5000), 1 << 20).is_null());
            assert_eq!(grown.read(), 7);
            reserve.dealloc(grown, layout(5000));
            let zeros = reserve.alloc_zeroed(layout(5000));
            assert_eq!(zeros, grown.wrapping_sub(256));
            assert!((0..5000).all(|at| zeros.add(at).read() == 0));
        }
    }

    #[test]
    fn a_block_shrinks_in_place_where_the_reserve_is_used_up() {
        let reserve = reserve();
        let largest = SLOTS_OF_WORD * SLOT_BYTES;
        // SAFETY: the sizes are not 0, and the block is ours, of the layouts it was made with.
        unsafe {
            let blocks: Vec<_> = (0..WORDS).map(|_| reserve.alloc(layout(largest))).collect();
            assert!(reserve.alloc(layout(1)).is_null());
            let block = blocks[3];
            assert_eq!(reserve.realloc(block, layout(largest), 300), block);
            assert_eq!(reserve.realloc(block, layout(300), 512), block);
            // What it gave up is free: all but two slots of its word.
            let rest = reserve.alloc(layout(largest - 512));
            assert_eq!(rest, block.wrapping_add(512));
            reserve.dealloc(block, layout(512));
            assert_eq!(reserve.alloc(layout(512)), block);
            reserve.dealloc(rest, layout(largest - 512));
            reserve.dealloc(block, layout(512));
            assert_eq!(reserve.used[3].load(Ordering::Relaxed), 0);
        }
    }

    #[test]
    fn blocks_of_the_allocator_below_go_back_to_it() {
        let reserve = Box::new(Reserve::new(System));
        // SAFETY: the block is ours, of that layout; the sizes are not 0.
        unsafe {
            let block = reserve.alloc(layout(10));
            assert_eq!(reserve.offset_of(block), None);
            let grown = reserve.realloc(block, layout(10), 100_000);
            assert_eq!(reserve.offset_of(grown), None);
            reserve.dealloc(grown, layout(100_000));
        }
    }

    #[test]
    fn threads_never_get_the_same_slots() {
        let reserve = reserve();
        std::thread::scope(|scope| {
            for thread in 1..5u8 {
                let reserve = &*reserve;
                scope.spawn(move || {
                    for round in 0..2000usize {
                        let size = round % 700 + 1;
                        // SAFETY: the block is ours until it is given back.
                        unsafe {
                            let block = reserve.alloc(layout(size));
                            assert!(!block.is_null());
                            block.write_bytes(thread, size);
                            assert!((0..size).all(|at| block.add(at).read() == thread));
                            reserve.dealloc(block, layout(size));
                        }
                    }
                });
            }
        });
    }
}
