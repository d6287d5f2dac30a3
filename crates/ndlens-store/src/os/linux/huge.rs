//! Memory in huge pages.

#![expect(unsafe_code, reason = "maps memory; see UNSAFE.md")]

use std::ptr::{self, NonNull};
use std::sync::Arc;

use ndlens_core::{Access, Buffer, Owner};

/// Size of a huge page of x86-64, and of aarch64 with pages of 4 KiB.
const HUGE_PAGE: usize = 2 << 20;

/// Zeroed memory, in huge pages if the kernel gives them. These save faults when it is first
/// written and look-ups in the page table from then on. None below one huge page, and if the kernel
/// has no room.
pub fn in_huge_pages(len: usize) -> Option<Buffer> {
    // Room to move the start; pages that are not touched take no memory.
    let mapped = len.checked_add(HUGE_PAGE).filter(|&mapped| isize::try_from(mapped).is_ok())?;
    if len < HUGE_PAGE {
        return None;
    }
    let (access, kind) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new anonymous memory, where the kernel likes.
    let start = unsafe { libc::mmap(ptr::null_mut(), mapped, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let owner = Arc::new(HugePages { start: start.expose_provenance(), len: mapped });
    let first = start.cast::<u8>().map_addr(|address| address.next_multiple_of(HUGE_PAGE));
    // Not populated here, where other threads may wait for the caller: the threads that write it
    // share the work of making its pages. SAFETY: `len` bytes within the mapping, since `first` is
    // less than a huge page beyond its start. It is advice, changes no contents and may be refused.
    unsafe { libc::madvise(first.cast(), len, libc::MADV_HUGEPAGE) };
    // SAFETY: `len` zeroed bytes within the mapping, which lives in the owner; nothing else has
    // seen them.
    NonNull::new(first)
        .map(|first| unsafe { Buffer::from_raw(first, len, Access::ReadWrite, owner) })
}

#[derive(Debug)]
struct HugePages {
    start: usize,
    len: usize,
}

impl Owner for HugePages {}

impl Drop for HugePages {
    fn drop(&mut self) {
        // SAFETY: mapped above, and unmapped only here.
        unsafe { libc::munmap(ptr::with_exposed_provenance_mut(self.start), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_memory_starts_with_a_huge_page_and_small_memory_is_not_made() {
        let buffer = in_huge_pages(HUGE_PAGE + 1).unwrap();
        assert_eq!(buffer.len(), HUGE_PAGE + 1);
        assert!(buffer.as_ptr().as_ptr().addr().is_multiple_of(HUGE_PAGE));
        for len in [0, 1, HUGE_PAGE - 1, usize::MAX, isize::MAX as usize] {
            assert!(in_huge_pages(len).is_none());
        }
    }
}
