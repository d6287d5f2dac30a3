//! Advice about the pages of a map and of a file, as far as POSIX has some.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::ops::Range;

use memmap2::MmapRaw;

/// None: the first access maps a page, and raises a signal if there is none.
pub(crate) const POPULATE_READ: Option<c_int> = None;

/// None, as [`POPULATE_READ`].
pub(crate) const POPULATE_WRITE: Option<c_int> = None;

/// None: mapped pages stay until the system needs the memory.
pub(crate) const PAGE_OUT: Option<c_int> = None;

/// The error of `madvise` for pages whose access would raise a signal.
pub(crate) fn is_fault(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EFAULT)
}

/// # Errors
///
/// [`io::ErrorKind::Unsupported`], always.
pub(crate) fn drop_from_cache(_file: &File, _bytes: Range<usize>) -> io::Result<()> {
    let problem = "this platform has no call that takes a part of a file out of its cache";
    Err(io::Error::new(io::ErrorKind::Unsupported, problem))
}

/// Whether the start of a file is in the system's cache: false, since no call tells.
pub(crate) fn is_cached(_file: &File) -> bool {
    false
}

/// Asks the system to read a file that will be read soon.
pub(crate) fn read_ahead(file: &File) {
    #[cfg(target_vendor = "apple")]
    if let Ok(metadata) = file.metadata() {
        let _ = rustix::fs::fcntl_rdadvise(file, 0, metadata.len());
    }
    #[cfg(not(target_vendor = "apple"))]
    let _ = file;
}

/// Nothing: pages of shared memory are mapped by the first write.
pub(crate) fn populate(_map: &MmapRaw, _start: usize, _len: usize) {}

/// Whether system and file system tell what is in the cache.
#[cfg(test)]
pub(crate) fn tells_cached(_path: &std::path::Path) -> bool {
    false
}
