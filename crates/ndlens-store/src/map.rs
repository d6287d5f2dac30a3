//! Bytes of a file as memory.
//!
//! | mode | Python's name | view | mapping | a write through the view |
//! |---|---|---|---|---|
//! | [`MapMode::Read`] | `"r"` | read-only | private | is refused |
//! | [`MapMode::CopyOnWrite`] | `"c"` | writable | private | stays in this process |
//! | [`MapMode::ReadWrite`] | `"r+"` | writable | shared | goes to the file |
//!
//! # Rationale
//!
//! `"r"` and `"c"` are the same mapping: private, with pages that the system lets anyone write. Only our
//! [`Access::ReadOnly`] tells them apart. Pages without write permission would be the obvious choice for `"r"`, but
//! a consumer that ignores the flag, as torch does, would then die of SIGSEGV; so it touches a private page, and
//! the file is as safe as before. Such pages could all be written, so the system would set aside swap for the whole
//! file; `MAP_NORESERVE` asks it not to.
//!
//! # Limitations
//!
//! - A file that someone else shortens takes its pages along: touching them is SIGBUS, but for threads that are guarded
//!   (`guard.rs`). [`Owner::verify`] asks right before a long read, which leaves a window; whoever can, should replace files
//!   rather than shorten them.
//! - A private page is private from the first write to it; until then it may show what others write to the file.
//! - Where the system never overcommits memory (`vm.overcommit_memory = 2`), it ignores `MAP_NORESERVE`, and a file larger
//!   than memory opens in `"r+"` alone.
//! - A write in `"r+"` to a hole of a sparse file on a full disk is SIGBUS too.
//! - Each mapped file holds a file descriptor, for [`Owner::verify`].

#![expect(unsafe_code, reason = "maps files, which others can change and shorten; see UNSAFE.md")]

use std::fmt;
use std::fs::{self, File, FileType, OpenOptions};
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::str::FromStr;
use std::sync::Arc;

use memmap2::{MmapOptions, MmapRaw};
use ndlens_core::{ALIGNMENT, Access, Buffer, Owner};

use crate::error::{Error, Result};
use crate::file_handle::{self, FileIdentity, MappingId};
use crate::guard::{Guarded, page_bytes};
use crate::shared::random_bits;

/// Who sees what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MapMode {
    /// Nobody writes.
    Read,
    /// This process alone; the file stays as it is.
    #[default]
    CopyOnWrite,
    /// Everyone: writes go to the file.
    ReadWrite,
}

impl FromStr for MapMode {
    type Err = Error;

    fn from_str(mode: &str) -> Result<Self> {
        match mode {
            "r" => Ok(MapMode::Read),
            "c" => Ok(MapMode::CopyOnWrite),
            "r+" => Ok(MapMode::ReadWrite),
            _ => Err(Error::UnknownMode { got: mode.to_owned() }),
        }
    }
}

impl fmt::Display for MapMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MapMode::Read => "r",
            MapMode::CopyOnWrite => "c",
            MapMode::ReadWrite => "r+",
        })
    }
}

/// The owner of bytes that are a file's: from its first byte to the last one an array needs.
///
/// ```text
///  file     |header|......data......|whatever follows|
///  buffer   |<-------- len -------->|                     nothing at all for an array without elements
/// ```
#[derive(Debug)]
pub struct MappedFile {
    /// None where nothing is mapped, or too much. Before the map, since fields are dropped in order.
    guarded: Option<Guarded>,
    map: Option<MmapRaw>,
    file: File,
    path: PathBuf,
    mode: MapMode,
    id: MappingId,
    identity: FileIdentity,
}

impl MappedFile {
    /// Maps the first `len` bytes of a file that [`open_regular`] opened in the same mode.
    pub(crate) fn map(file: File, path: &Path, mode: MapMode, len: usize) -> Result<Buffer> {
        let id = random_bits().map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Ok(MappedFile::map_as(id, file, path, mode, len)?.buffer())
    }

    /// As [`map`](Self::map), as the mapping that handles call `id`.
    pub(crate) fn map_as(
        id: MappingId,
        file: File,
        path: &Path,
        mode: MapMode,
        len: usize,
    ) -> Result<Arc<Self>> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let identity = FileIdentity::of(&file.metadata().map_err(io)?);
        let mut options = MmapOptions::new();
        options.len(len).no_reserve_swap();
        let map = match mode {
            // A mapping of no bytes is an error to the system.
            _ if len == 0 => Ok(None),
            MapMode::ReadWrite => options.map_raw(&file).map(Some),
            MapMode::Read | MapMode::CopyOnWrite => {
                // SAFETY: what others do to the file changes these bytes under us, which is undefined behaviour for
                // references to them. None is formed: the map becomes an MmapRaw here, and its bytes are reached
                // through Buffer's raw pointers alone.
                unsafe { options.map_copy(&file) }.map(|map| Some(MmapRaw::from(map)))
            }
        };
        let map = map.map_err(io)?;
        let guard = |map: &MmapRaw| Guarded::register(map.as_mut_ptr().addr(), map.len(), file.as_raw_fd());
        let guarded = map.as_ref().and_then(guard);
        let file = MappedFile { guarded, map, file, path: path.to_owned(), mode, id, identity };
        Ok(file_handle::register(id, Arc::new(file)))
    }

    /// All that is mapped.
    pub(crate) fn buffer(self: Arc<Self>) -> Buffer {
        let access = if self.mode == MapMode::Read { Access::ReadOnly } else { Access::ReadWrite };
        let start = self.map.as_ref().and_then(|map| NonNull::new(map.as_mut_ptr()));
        // Without a map, any aligned address is the start of no bytes.
        let start = start.unwrap_or(NonNull::<Aligned>::dangling().cast());
        // SAFETY: the map is `len` bytes from `start` on, at most isize::MAX as mmap gave them; readable and writable in
        // every mode, at this address until `self`, which holds it, drops. Pages beyond the end of a file that was
        // shortened since are mapped but not readable: that hazard is the file's, and `verify` is there for it.
        unsafe { Buffer::from_raw(start, self.len(), access, self) }
    }

    /// What handles call this mapping.
    pub(crate) fn id(&self) -> MappingId {
        self.id
    }

    /// What the file was when it was mapped.
    pub(crate) fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// The file, as it was named when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is mapped.
    pub fn mode(&self) -> MapMode {
        self.mode
    }

    /// The bytes that are mapped, from the file's first on: 0 for an array without elements.
    pub fn len(&self) -> usize {
        self.map.as_ref().map_or(0, MmapRaw::len)
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.map.is_none()
    }
}

impl MappedFile {
    /// Bytes of the buffer are at the same places of the file.
    fn advise_file(&self, bytes: Range<usize>, advice: rustix::fs::Advice) -> ndlens_core::Result<()> {
        // A length of zero would mean all of the file.
        let Some(len) = NonZero::new(bytes.len() as u64) else { return Ok(()) };
        rustix::fs::fadvise(&self.file, bytes.start as u64, Some(len), advice).map_err(|error| {
            let path = self.path.display().to_string();
            ndlens_core::Error::Unavailable { path, message: std::io::Error::from(error).to_string() }
        })
    }
}

impl Owner for MappedFile {
    fn verify(&self, len: usize) -> ndlens_core::Result<()> {
        let path = || self.path.display().to_string();
        let got = match self.file.metadata() {
            Ok(metadata) => metadata.len(),
            Err(e) => return Err(ndlens_core::Error::Unavailable { path: path(), message: e.to_string() }),
        };
        let expected = len as u64;
        if got < expected {
            return Err(ndlens_core::Error::Truncated { path: path(), got, expected });
        }
        // Last: where the file still is shorter, to say so says more.
        if self.is_damaged() {
            return Err(ndlens_core::Error::Damaged { path: path() });
        }
        Ok(())
    }

    fn can_shrink(&self) -> bool {
        true
    }

    fn prefetch(&self, bytes: Range<usize>) -> ndlens_core::Result<()> {
        let mut pieces = bytes.clone().step_by(PREFETCH_BYTES);
        pieces.try_for_each(|start| {
            let end = bytes.end.min(start + PREFETCH_BYTES);
            self.advise_file(start..end, rustix::fs::Advice::WillNeed)
        })
    }

    /// Two steps, since a page that is mapped here stays in the system's cache. `MADV_DONTNEED` would be the obvious way to unmap it,
    /// and would throw away what was written to private pages; `MADV_PAGEOUT` writes what must be kept and frees only the rest.
    fn drop_cache(&self, bytes: Range<usize>) -> ndlens_core::Result<()> {
        if let (Some(map), false) = (&self.map, bytes.is_empty()) {
            // The map starts with a page; the system rounds the end up by itself.
            let start = bytes.start - bytes.start % page_bytes();
            // SAFETY: from a page of the map to at most its end, which is there as long as `self`. The advice changes no contents.
            // Systems before Linux 5.4 do not know it; mapped pages stay there until they are needed for something else.
            unsafe {
                libc::madvise(map.as_mut_ptr().add(start).cast(), bytes.end - start, libc::MADV_PAGEOUT)
            };
        }
        self.advise_file(bytes, rustix::fs::Advice::DontNeed)
    }

    fn is_damaged(&self) -> bool {
        self.guarded.as_ref().is_some_and(Guarded::is_damaged)
    }
}

/// What the system reads ahead at most in one go, where nobody has set it to more: it takes no notice of what is asked for beyond.
const PREFETCH_BYTES: usize = 128 << 10;

/// As aligned as what ndlens allocates.
#[repr(align(64))]
struct Aligned;

const _: () = assert!(align_of::<Aligned>() == ALIGNMENT);

/// A regular file, open for `mode`, and its size.
pub(crate) fn open_regular(path: &Path, mode: MapMode) -> Result<(File, u64)> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    // Asked twice: before, since opening a device can do things; after, since it may be another file by then. A FIFO
    // that slips in between does not block.
    regular(path, fs::metadata(path).map_err(io)?.file_type())?;
    let mut options = OpenOptions::new();
    options.read(true).write(mode == MapMode::ReadWrite).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    regular(path, metadata.file_type())?;
    Ok((file, metadata.len()))
}

/// Refuses everything that is not a file of bytes.
pub(crate) fn regular(path: &Path, kind: FileType) -> Result<()> {
    match kind_name(kind) {
        Some(kind) => Err(Error::NotRegular { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

fn kind_name(kind: FileType) -> Option<&'static str> {
    match kind {
        _ if kind.is_file() => None,
        _ if kind.is_dir() => Some("a directory"),
        _ if kind.is_fifo() => Some("a FIFO"),
        _ if kind.is_socket() => Some("a socket"),
        _ => Some("a device"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_the_names_numpy_gives_them() {
        for (name, mode) in [("r", MapMode::Read), ("c", MapMode::CopyOnWrite), ("r+", MapMode::ReadWrite)] {
            assert_eq!(name.parse::<MapMode>().unwrap(), mode);
            assert_eq!(mode.to_string(), name);
        }
        assert_eq!(MapMode::default(), MapMode::CopyOnWrite);
        let error = "w".parse::<MapMode>().unwrap_err();
        assert_eq!(error.to_string(), "unknown mode \"w\": expected \"r\", \"c\" or \"r+\"");
        assert!(error.path().is_none() && error.io().is_none());
    }

    #[test]
    fn a_buffer_knows_its_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"0123456789").unwrap();
        let (open, len) = open_regular(file.path(), MapMode::Read).unwrap();
        assert_eq!(len, 10);
        let buffer = MappedFile::map(open, file.path(), MapMode::Read, 7).unwrap();
        let owner = buffer.owner::<MappedFile>().unwrap();
        assert_eq!((owner.path(), owner.mode(), owner.len()), (file.path(), MapMode::Read, 7));
        assert!(!owner.is_empty());
    }

    #[test]
    fn no_bytes_need_no_mapping_and_start_aligned() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for mode in [MapMode::Read, MapMode::CopyOnWrite, MapMode::ReadWrite] {
            let (open, _) = open_regular(file.path(), mode).unwrap();
            let buffer = MappedFile::map(open, file.path(), mode, 0).unwrap();
            assert!(buffer.is_empty() && buffer.owner::<MappedFile>().unwrap().is_empty());
            assert_eq!(buffer.as_ptr().as_ptr() as usize % ALIGNMENT, 0);
            buffer.verify().unwrap();
        }
    }
}
