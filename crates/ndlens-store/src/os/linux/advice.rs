//! Advice about the pages of a map and of a file.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::num::NonZero;
use std::ops::Range;

use memmap2::MmapRaw;
use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};

/// `madvise`: maps pages, or fails for those whose access would raise a signal. Linux 5.14.
pub(crate) const POPULATE_READ: Option<c_int> = Some(libc::MADV_POPULATE_READ);

/// `madvise`: as [`POPULATE_READ`], for writes.
pub(crate) const POPULATE_WRITE: Option<c_int> = Some(libc::MADV_POPULATE_WRITE);

/// `madvise`: writes out what must be kept, and unmaps the pages. Linux 5.4.
pub(crate) const PAGE_OUT: Option<c_int> = Some(libc::MADV_PAGEOUT);

/// The error of `madvise` for pages whose access would raise a signal.
pub(crate) fn is_fault(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EFAULT | libc::EHWPOISON))
}

/// Takes a range of a file out of the system's cache.
pub(crate) fn drop_from_cache(file: &File, bytes: Range<usize>) -> io::Result<()> {
    // A length of zero would mean all of the file.
    let Some(len) = NonZero::new(bytes.len() as u64) else { return Ok(()) };
    Ok(fadvise(file, bytes.start as u64, Some(len), Advice::DontNeed)?)
}

/// Whether the start of a file is in the system's cache; false if the file system cannot tell.
pub(crate) fn is_cached(file: &File) -> bool {
    let mut first = [0];
    let read = preadv2(file, &mut [IoSliceMut::new(&mut first)], 0, ReadWriteFlags::NOWAIT);
    matches!(read, Ok(1..))
}

/// Asks the system to read a file that will be read soon.
pub(crate) fn read_ahead(file: &File) {
    let _ = fadvise(file, 0, None, Advice::WillNeed);
}

/// Maps pages of shared memory that are about to be written: one call in place of a fault for each.
/// Systems before Linux 5.14 cannot; the faults come then.
pub(crate) fn populate(map: &MmapRaw, start: usize, len: usize) {
    let _ = map.advise_range(memmap2::Advice::PopulateWrite, start, len);
}

/// Whether system and file system tell what is in the cache.
#[cfg(test)]
pub(crate) fn tells_cached(path: &std::path::Path) -> bool {
    let file = File::open(path).unwrap();
    let read = preadv2(&file, &mut [IoSliceMut::new(&mut [0])], 0, ReadWriteFlags::NOWAIT);
    !matches!(read, Err(rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP))
}
