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
//! `"r"` and `"c"` are the same mapping: private, with pages that the system allows writes to. Only
//! our [`Access::ReadOnly`] distinguishes them. Pages without write permission would be the obvious
//! choice for `"r"`, but a consumer that ignores the flag, as torch does, would then die of
//! SIGSEGV; with these it writes to a private page, and the file does not change. Such pages could
//! all be written, so the system would set aside swap for the whole file; `MAP_NORESERVE` asks it
//! not to.
//!
//! Some systems set swap aside nevertheless: under `ulimit -d`, and where memory is never
//! overcommitted (`vm.overcommit_memory = 2`). There `"r"` falls back to a shared map without write
//! permission, which takes nothing; `"c"` is refused, by an error that names `"r"`.
//! [`MappedFile::is_protected`] tells the fallback.
//!
//! No descriptor is kept: `origin.rs` finds the file again. The number of maps of a process is
//! limited too (`vm.max_map_count`), so this crate takes three quarters at most, and reads further
//! files into memory. Their views differ in nothing else: they pickle to handles like those of
//! maps.
//!
//! # Limitations
//!
//! - If another process shortens a file, its pages are lost: an access to them is SIGBUS, except in
//!   threads that are guarded, where the platform has a guard (`os::guard`). [`Owner::verify`]
//!   checks right before a long read, which leaves a window; replace files rather than shorten
//!   them.
//! - For a file that was deleted or replaced since, lost whole pages are detected, but not a lost
//!   end of the last one. Before Linux 5.14 neither is.
//! - A private page is private from the first write to it; until then it may show the writes of
//!   other processes to the file.
//! - A write in `"r+"` to a hole of a sparse file on a full disk is SIGBUS too. Our own writes ask
//!   first ([`Owner::prepare_write`]).

#![expect(unsafe_code, reason = "maps files, which others can change and shorten; see UNSAFE.md")]

use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use memmap2::{MmapOptions, MmapRaw};
use ndlens_core::{ALIGNMENT, Access, Buffer, Owner};

use crate::error::{Error, Result};
use crate::file::origin::{FileIdentity, Origin};
use crate::mode::MapMode;
use crate::os::guard::{Guarded, MAPS_MAX};
use crate::os::ids::random_bits;
use crate::os::page::page_bytes;
use crate::os::process::PerProcess;
use crate::os::reading::{self, Section};
use crate::os::registry::Registry;
use crate::os::{advice, kernel};

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

/// The unique id of a mapping, in all processes: 128 random bits.
pub(crate) type MappingId = [u8; 16];

/// The mappings of this process, for handles to find. A forked child has them too.
pub(crate) static MAPPED: PerProcess<Registry<MappedFile>> = PerProcess::new(mem::take);

/// Registers a mapping for handles to find. Returns the one to use, which is another if two threads
/// opened one handle.
///
/// # Errors
///
/// [`ndlens_core::Error::OutOfMemory`].
fn register(id: MappingId, file: MappedFile) -> Result<Arc<MappedFile>> {
    let mut mapped = MAPPED.lock();
    let is_same = |first: &Arc<MappedFile>| {
        (first.identity(), first.mode(), first.len()) == (file.identity(), file.mode(), file.len())
    };
    match mapped.find(&id).filter(is_same) {
        Some(first) => Ok(first),
        None => Ok(mapped.insert(id, || Arc::new(file))?),
    }
}

/// The owner of a file's bytes: from its first byte to the last one that an array needs.
///
/// ```text
///  file     |header|......data......|whatever follows|
///  buffer   |<-------- len -------->|             empty for an array without elements
/// ```
#[derive(Debug)]
pub struct MappedFile {
    memory: FileMemory,
    origin: Origin,
    mode: MapMode,
    id: MappingId,
}

/// The bytes.
#[derive(Debug)]
enum FileMemory {
    /// No memory, for an array without elements.
    Nothing,
    Mapped(Map),
    /// Memory that the file was read into, if the maximum number of maps is reached.
    Read {
        buffer: Buffer,
        /// The place of the file's first byte in the buffer.
        start: usize,
        len: usize,
    },
}

/// One map, which counts among [`MAPS`].
#[derive(Debug)]
struct Map {
    /// None if too many maps are guarded. Before the map, since fields are dropped in order.
    guarded: Option<Guarded>,
    memory: MmapRaw,
    /// Whether a write to the pages is SIGSEGV.
    is_protected: bool,
}

/// The number of maps.
static MAPS: AtomicUsize = AtomicUsize::new(0);

/// Maximum number of maps of this crate, each of which is guarded. A quarter of the process's maps
/// is left to other code, such as allocators.
fn maps_allowed() -> usize {
    static ALLOWED: OnceLock<usize> = OnceLock::new();
    /// The default of Linux.
    const DEFAULT: usize = 65_530;
    if let Some(&allowed) = ALLOWED.get() {
        return allowed;
    }
    // Not while other threads wait: a fork could copy that state.
    let said = kernel::setting("vm/max_map_count");
    let allowed = said.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(DEFAULT);
    *ALLOWED.get_or_init(|| (allowed / 4 * 3).min(MAPS_MAX))
}

impl Map {
    /// Maps the first `len` bytes, of which there is at least one; None if there are too many maps.
    fn new(file: &File, mode: MapMode, len: usize) -> io::Result<Option<Self>> {
        // Relaxed: a count, which orders nothing.
        let counted = MAPS.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |maps| {
            (maps < maps_allowed()).then_some(maps + 1)
        });
        if counted.is_err() {
            return Ok(None);
        }
        let mut options = MmapOptions::new();
        options.len(len).no_reserve_swap();
        let map = match mode {
            MapMode::ReadWrite => options.map_raw(file).map(|map| (map, false)),
            MapMode::Read | MapMode::CopyOnWrite => {
                // SAFETY: what others do to the file changes these bytes under us, which is
                // undefined behaviour for references to them. None is formed: the map becomes an
                // MmapRaw here, and its bytes are reached through Buffer's raw pointers alone.
                unsafe { options.map_copy(file) }.map(|map| (MmapRaw::from(map), false))
            }
        };
        let map = map.or_else(|error| match mode {
            MapMode::Read if error.raw_os_error() == Some(libc::ENOMEM) => {
                options.map_raw_read_only(file).map(|map| (map, true))
            }
            MapMode::Read | MapMode::CopyOnWrite | MapMode::ReadWrite => Err(error),
        });
        match map {
            Ok((map, is_protected)) => Ok(Some(Map { guarded: None, memory: map, is_protected })),
            Err(error) => {
                MAPS.fetch_sub(1, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    fn start(&self) -> usize {
        self.memory.as_mut_ptr().addr()
    }

    /// Advises the system about a range of the map, which starts with a page; nothing happens
    /// without such advice on this platform.
    fn advise(&self, bytes: Range<usize>, advice: Option<i32>) -> io::Result<()> {
        let Some(advice) = advice.filter(|_| !bytes.is_empty()) else { return Ok(()) };
        let start = bytes.start - bytes.start % page_bytes();
        // SAFETY: from a page of the map to at most its end, which is there as long as `self`; the
        // system rounds the end up by itself. The advice given here changes no contents.
        let done = unsafe {
            libc::madvise(self.memory.as_mut_ptr().add(start).cast(), bytes.end - start, advice)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        MAPS.fetch_sub(1, Ordering::Relaxed);
    }
}

impl MappedFile {
    /// Maps the first `len` bytes of a file that `open_regular` opened in the same mode.
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
        let memory = FileMemory::of(&file, path, mode, len)?;
        let origin =
            Origin::of(file, path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let mut file = MappedFile { memory, origin, mode, id };
        if let FileMemory::Mapped(map) = &mut file.memory {
            let shared = mode == MapMode::ReadWrite;
            let identity = (file.origin.identity().device, file.origin.identity().inode);
            let (start, len) = (map.start(), map.memory.len());
            map.guarded = Guarded::register(start, len, shared, file.origin.absolute(), identity);
        }
        register(id, file)
    }

    /// All mapped bytes as a buffer.
    pub(crate) fn buffer(self: Arc<Self>) -> Buffer {
        let access = if self.mode == MapMode::Read { Access::ReadOnly } else { Access::ReadWrite };
        let start = match &self.memory {
            FileMemory::Nothing => None,
            FileMemory::Mapped(map) => NonNull::new(map.memory.as_mut_ptr()),
            // SAFETY: `start` is at most the buffer's length.
            FileMemory::Read { buffer, start, .. } => Some(unsafe { buffer.as_ptr().add(*start) }),
        };
        // Without memory, any aligned address is the start of no bytes.
        let start = start.unwrap_or(NonNull::<Aligned>::dangling().cast());
        // SAFETY: the memory is `len` bytes from `start` on, at most isize::MAX as mmap or the
        // allocator gave them; readable and, unless they are read-only, writable, at this address
        // until `self`, which holds it, drops. Pages beyond the end of a file that was shortened
        // since are mapped but not readable: that hazard is the file's, and `verify` is there for
        // it.
        unsafe { Buffer::from_raw(start, self.len(), access, self) }
    }

    /// The id of this mapping in handles.
    pub(crate) fn id(&self) -> MappingId {
        self.id
    }

    /// The identity of the file when it was mapped.
    pub(crate) fn identity(&self) -> &FileIdentity {
        self.origin.identity()
    }

    /// The file, open for reading; [`Error::FileReplaced`] if it cannot be found.
    pub(crate) fn open(&self) -> Result<File> {
        self.origin.open(self.address()).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::FileReplaced { path: self.path().to_owned() },
            _ => Error::Io { path: self.path().to_owned(), source },
        })
    }

    /// An absolute path that leads to the file now.
    pub(crate) fn current_path(&self) -> Option<PathBuf> {
        self.origin.current_path(self.address())
    }

    /// The address of the map, by which the system finds the file; 0 without a map.
    fn address(&self) -> usize {
        if let FileMemory::Mapped(map) = &self.memory { map.start() } else { 0 }
    }

    /// The path as given when the file was opened.
    pub fn path(&self) -> &Path {
        self.origin.path()
    }

    /// The mode of the map.
    pub fn mode(&self) -> MapMode {
        self.mode
    }

    /// The number of mapped bytes, from the file's first on: 0 for an array without elements.
    pub fn len(&self) -> usize {
        match &self.memory {
            FileMemory::Nothing => 0,
            FileMemory::Mapped(map) => map.memory.len(),
            FileMemory::Read { len, .. } => *len,
        }
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the bytes were read into memory, since the maximum number of maps was reached.
    pub fn is_read(&self) -> bool {
        matches!(self.memory, FileMemory::Read { .. })
    }
}

impl FileMemory {
    fn of(file: &File, path: &Path, mode: MapMode, len: usize) -> Result<Self> {
        if len == 0 {
            // A mapping of no bytes is an error to the system.
            return Ok(FileMemory::Nothing);
        }
        let path = || path.to_owned();
        match Map::new(file, mode, len) {
            Ok(Some(map)) => Ok(FileMemory::Mapped(map)),
            Ok(None) if mode == MapMode::ReadWrite => {
                Err(Error::TooManyMaps { path: path(), most: maps_allowed() })
            }
            Ok(None) => {
                let bytes =
                    reading::read_bytes(&mut Section::new(file, 0, len as u64), &path(), len)?;
                let got = bytes.len();
                if got == len {
                    let (buffer, start) = bytes.into_buffer()?;
                    return Ok(FileMemory::Read { buffer, start, len });
                }
                let (path, got, expected) = (path().display().to_string(), got as u64, len as u64);
                Err(ndlens_core::Error::Truncated { path, got, expected }.into())
            }
            Err(source) => Err(Error::Map { path: path(), mode, len, source }),
        }
    }
}

impl Owner for MappedFile {
    fn description(&self) -> String {
        let how = match (&self.memory, self.mode) {
            (FileMemory::Nothing, _) => "of no bytes",
            (FileMemory::Read { .. }, _) => "read into memory",
            (FileMemory::Mapped(_), MapMode::Read) => "mapped for reading",
            (FileMemory::Mapped(_), MapMode::CopyOnWrite) => "mapped copy-on-write",
            (FileMemory::Mapped(_), MapMode::ReadWrite) => "mapped for writing",
        };
        format!("file {}, {how}", self.path().display())
    }

    fn is_held_by_others(&self) -> bool {
        false
    }

    fn verify(&self, len: usize) -> ndlens_core::Result<()> {
        let FileMemory::Mapped(map) = &self.memory else { return Ok(()) };
        let path = || self.path().display().to_string();
        let size = self.origin.size(map.start());
        let size = size.map_err(|e| ndlens_core::Error::Unavailable {
            path: path(),
            message: e.to_string(),
        })?;
        let expected = len as u64;
        match size {
            Some(got) if got < expected => {
                return Err(ndlens_core::Error::Truncated { path: path(), got, expected });
            }
            // The last byte's page exists only if the file reaches it.
            None if len > 0
                && map
                    .advise(len - 1..len, advice::POPULATE_READ)
                    .is_err_and(|e| advice::is_fault(&e)) =>
            {
                return Err(ndlens_core::Error::Damaged { path: path() });
            }
            _ => {}
        }
        // Last: if the file is still shorter, that error is more precise.
        if self.is_damaged() {
            return Err(ndlens_core::Error::Damaged { path: path() });
        }
        Ok(())
    }

    fn can_shrink(&self) -> bool {
        matches!(self.memory, FileMemory::Mapped(_))
    }

    fn is_protected(&self) -> bool {
        matches!(&self.memory, FileMemory::Mapped(map) if map.is_protected)
    }

    fn may_lack_room(&self) -> bool {
        self.mode == MapMode::ReadWrite && matches!(self.memory, FileMemory::Mapped(_))
    }

    /// A page of a hole gets space on the disk when it is written to. If there is none left, the
    /// write raises a signal.
    fn prepare_write(&self, bytes: Range<usize>) -> ndlens_core::Result<()> {
        let FileMemory::Mapped(map) = &self.memory else { return Ok(()) };
        if !self.may_lack_room() {
            return Ok(());
        }
        match map.advise(bytes, advice::POPULATE_WRITE) {
            Err(error) if advice::is_fault(&error) => {
                Err(ndlens_core::Error::Unwritable { path: self.path().display().to_string() })
            }
            // Systems before Linux 5.14 do not know it.
            _ => Ok(()),
        }
    }

    fn prefetch(&self, bytes: Range<usize>) -> ndlens_core::Result<()> {
        let FileMemory::Mapped(map) = &self.memory else { return Ok(()) };
        let mut pieces = bytes.clone().step_by(PREFETCH_BYTES);
        pieces.try_for_each(|start| {
            let end = bytes.end.min(start + PREFETCH_BYTES);
            map.advise(start..end, Some(libc::MADV_WILLNEED))
                .map_err(|error| self.unavailable(&error))
        })
    }

    /// Two steps, since a page that is mapped here stays in the system's cache. `MADV_DONTNEED`
    /// would be the obvious way to unmap it, but it discards writes to private pages;
    /// `MADV_PAGEOUT` writes out what must be kept and frees only the rest.
    fn drop_cache(&self, bytes: Range<usize>) -> ndlens_core::Result<()> {
        let FileMemory::Mapped(map) = &self.memory else { return Ok(()) };
        // Systems before Linux 5.4 do not know it; mapped pages stay there until they are needed
        // for something else.
        let _ = map.advise(bytes.clone(), advice::PAGE_OUT);
        let file = self.origin.open(map.start()).map_err(|error| self.unavailable(&error))?;
        advice::drop_from_cache(&file, bytes).map_err(|error| self.unavailable(&error))
    }

    fn is_damaged(&self) -> bool {
        let FileMemory::Mapped(map) = &self.memory else { return false };
        map.guarded.as_ref().is_some_and(Guarded::is_damaged)
    }
}

impl MappedFile {
    fn unavailable(&self, error: &io::Error) -> ndlens_core::Error {
        let path = self.path().display().to_string();
        ndlens_core::Error::Unavailable { path, message: error.to_string() }
    }
}

/// Maximum number of bytes that the system reads ahead in one call by default. It ignores a request
/// for more.
const PREFETCH_BYTES: usize = 128 << 10;

/// A type with the alignment of ndlens's allocations.
#[repr(align(64))]
struct Aligned;

const _: () = assert!(align_of::<Aligned>() == ALIGNMENT);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::file::regular::open_regular;

    #[test]
    fn modes_have_the_names_numpy_gives_them() {
        for (name, mode) in
            [("r", MapMode::Read), ("c", MapMode::CopyOnWrite), ("r+", MapMode::ReadWrite)]
        {
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
