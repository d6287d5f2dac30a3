//! Memory that several processes share.
//!
//! An [`Arena`] is a memfd, a file in memory without a path. It needs no `/dev/shm`, and is freed
//! with the last process that holds it, whatever ends that process.
//!
//! ```text
//!  0         one page        DATA_START                                   DATA_START + len
//!  |Header: magic, id, ready, ..|array 0 ....|array 1 ....|..             |
//!  |                            |<--- buffer(offset, len) are bytes of this --->|
//! ```
//!
//! # Rationale
//!
//! - The file is sealed: no process, not even its creator, can change its length, so no access to
//!   it is a SIGBUS for a missing page at the end.
//! - Its pages are set aside before they are handed out, in pieces, with a check of the available
//!   memory before each: too little is an error here, not a signal at the first write.
//! - It is mapped once in a process: a registry finds an arena by its id for every further handle.
//!
//! # Limitations
//!
//! - A process that holds the file may punch holes into it, as its creator does for bytes without
//!   an array. They read as zeros; nothing breaks.
//! - Huge pages are the system's decision (`/sys/kernel/mm/transparent_hugepage/shmem_enabled`).

#![expect(unsafe_code, reason = "maps memory that other processes write; see UNSAFE.md")]

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsFd, IntoRawFd};
use std::os::unix::fs::MetadataExt;
use std::process;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use memmap2::{Advice, MmapOptions, MmapRaw};
use ndlens_core::{ALIGNMENT, Access, Buffer, Owner};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};

use crate::error::{Error, Result};
use crate::os::available::reserve;
use crate::os::ids::{halves, joined, random_bits};
use crate::os::process::PerProcess;
use crate::os::registry::Registry;
use crate::shm::claims::BlockHeader;

/// Start of the bytes that are handed out. The bytes before it are the header.
const DATA_START: usize = 4096;

/// "ndlens", and two bytes that do not occur in text.
const MAGIC: u64 = u64::from_le_bytes(*b"ndlens\x93\x01");

/// Version of the header. A process with another version of ndlens must not misread it.
const VERSION: u32 = 2;

/// Memory is set aside and given back by pages of this size, unless the system's are larger.
pub(crate) const PAGE: usize = 4096;

/// Minimum size for populating pages: below it, faults cost less than the call.
const POPULATE_BYTES: usize = 1 << 20;

/// Maximum number of processes that can have unreceived messages about one arena.
pub(crate) const SENDERS: usize = 128;

/// The number of [`Arena::words`].
pub const ARENA_WORDS: usize = 256;

/// The seals of every arena: a file with these keeps its length.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// The first page. Other processes write to it too, and could write any value. Values that must be
/// valid are copied and checked when the arena is mapped; only values that may be arbitrary are
/// read later.
#[repr(C)]
struct Header {
    magic: AtomicU64,
    version: AtomicU32,
    /// 1 once the arrays and the manifest are in.
    ready: AtomicU32,
    id: [AtomicU64; 2],
    /// Bytes from `DATA_START` on.
    len: AtomicU64,
    /// The place of the manifest among those bytes; an arena without a name has none.
    manifest_start: AtomicU64,
    manifest_len: AtomicU64,
    /// See `transit.rs`.
    senders: [AtomicU64; SENDERS],
    /// Words for the users of the arena.
    words: [AtomicU64; ARENA_WORDS],
}

const _: () = assert!(size_of::<Header>() <= DATA_START);

/// The unique id of an arena, across machines: 128 random bits.
pub type ArenaId = [u8; 16];

/// The arenas that are mapped in this process. A forked child has them mapped too.
static MAPPED: PerProcess<Registry<Arena>> = PerProcess::new(mem::take);

/// Shared memory, mapped here and perhaps in other processes. Every buffer on it owns it.
///
/// ```
/// use ndlens_store::{Arena, Handle};
///
/// let arena = Arena::create(1000)?;
/// let handle: Vec<u8> = arena.handle()?.to_bytes();
/// // .. in any process of the same user, while this one holds the arena:
/// let same = Handle::from_bytes(&handle)?.open()?;
/// assert_eq!(same.buffer(0, 1000)?.as_ptr(), arena.buffer(0, 1000)?.as_ptr());
/// # Ok::<(), ndlens_store::Error>(())
/// ```
#[derive(Debug)]
pub struct Arena {
    mapping: Mapping,
    id: ArenaId,
    /// For holders of an `Arc<dyn Owner>` that need an `Arc<Arena>`.
    this: Weak<Arena>,
}

/// A sealed file, mapped from its header to its end.
#[derive(Debug)]
struct Mapping {
    map: MmapRaw,
    /// None if the map is enough.
    file: Option<File>,
    /// Bytes after the header.
    len: usize,
    device: u64,
    inode: u64,
}

impl Mapping {
    fn new(file: File, len: usize) -> io::Result<Self> {
        let map = MmapOptions::new().len(DATA_START + len).map_raw(&file)?;
        let metadata = file.metadata()?;
        Ok(Mapping { map, file: Some(file), len, device: metadata.dev(), inode: metadata.ino() })
    }

    #[expect(clippy::cast_ptr_alignment, reason = "a map starts at a page")]
    fn header(&self) -> &Header {
        // SAFETY: the map starts at a page and is at least DATA_START bytes, which holds a Header,
        // and lives as long as `self`. All of a Header is atomic, so that other processes may write
        // it.
        unsafe { &*self.map.as_ptr().cast::<Header>() }
    }

    fn into_arena(self, id: ArenaId) -> Arc<Arena> {
        Arc::new_cyclic(|this| Arena { mapping: self, id, this: this.clone() })
    }

    /// The file, unless its descriptor is another file's now. A daemon closes all descriptors and
    /// opens files of its own.
    fn own_file(&self) -> Option<&File> {
        let is_own = |file: &&File| {
            file.metadata()
                .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (self.device, self.inode))
        };
        self.file.as_ref().filter(is_own)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.own_file().is_none()
            && let Some(file) = self.file.take()
        {
            // The descriptor belongs to other code, which closes it.
            let _ = file.into_raw_fd();
        }
    }
}

impl Owner for Arena {
    fn description(&self) -> String {
        "shared memory".to_owned()
    }
}

impl Arena {
    /// `len` zeroed bytes of shared memory, all set aside.
    ///
    /// # Errors
    ///
    /// [`Error::SharedMemoryExhausted`] if there is too little memory; [`Error::SharedMemory`] if
    /// the system refuses.
    pub fn create(len: usize) -> Result<Arc<Self>> {
        let arena = Arena::create_sparse("ndlens", len)?;
        arena.reserve(0, len)?;
        arena.set_ready();
        Ok(arena)
    }

    /// As [`create`](Self::create), but not set aside yet, and not ready: the caller does both.
    /// `/proc/<pid>/fd` and `/proc/<pid>/maps` show `label`.
    pub(crate) fn create_sparse(label: &str, len: usize) -> Result<Arc<Self>> {
        let failed = |operation| {
            move |source: io::Error| Error::SharedMemory { operation, len_bytes: len, source }
        };
        let too_long = || failed("create")(io::ErrorKind::FileTooLarge.into());
        let file_len = DATA_START.checked_add(len).filter(|&len| isize::try_from(len).is_ok());
        let file_len = file_len.ok_or_else(too_long)?;
        // Beyond this limit, ftruncate sends SIGXFSZ.
        let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        if limit.is_some_and(|limit| limit < file_len as u64) {
            return Err(too_long());
        }
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file =
            rustix::fs::memfd_create(label, flags).map_err(|e| failed("create")(e.into()))?;
        let file = File::from(file);
        file.set_len(file_len as u64).map_err(failed("create"))?;
        rustix::fs::fcntl_add_seals(&file, SEALS | SealFlags::SEAL)
            .map_err(|e| failed("seal")(e.into()))?;
        reserve(&file, 0, DATA_START).map_err(|e| e.of(len))?;
        let id = random_bits().map_err(failed("name"))?;

        let mapping = Mapping::new(file, len).map_err(failed("map"))?;
        let header = mapping.header();
        let [low, high] = halves(id);
        // Relaxed: no other process knows the arena before it gets a handle. A handle itself orders
        // no memory, but the kernel passes it, and that does. For a named one `ready` is stored
        // last, with Release.
        header.magic.store(MAGIC, Ordering::Relaxed);
        header.version.store(VERSION, Ordering::Relaxed);
        header.id[0].store(low, Ordering::Relaxed);
        header.id[1].store(high, Ordering::Relaxed);
        header.len.store(len as u64, Ordering::Relaxed);
        Ok(MAPPED.lock().insert(id, || mapping.into_arena(id))?)
    }

    /// The arena that an open file is, mapped at most once in this process; None if the file is not
    /// an arena.
    pub(crate) fn adopt(file: File) -> io::Result<Option<Arc<Self>>> {
        Arena::adopt_as(file, true)
    }

    /// As [`adopt`](Self::adopt). A map needs no descriptor, but other processes find the arena by
    /// one.
    pub(crate) fn adopt_as(file: File, keeps_descriptor: bool) -> io::Result<Option<Arc<Self>>> {
        // Only a memfd has seals, and with these its map stays valid.
        let sealed = rustix::fs::fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(SEALS));
        let file_len = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        let Some(len) = file_len.checked_sub(DATA_START).filter(|_| sealed) else {
            return Ok(None);
        };
        let mut mapping = Mapping::new(file, len)?;
        if !keeps_descriptor {
            mapping.file = None;
        }
        let header = mapping.header();
        // Relaxed, as in `create_sparse`.
        let ours = header.magic.load(Ordering::Relaxed) == MAGIC
            && header.version.load(Ordering::Relaxed) == VERSION
            && header.len.load(Ordering::Relaxed) == len as u64;
        if !ours {
            return Ok(None);
        }
        let id = joined([&header.id[0], &header.id[1]].map(|half| half.load(Ordering::Relaxed)));
        let mut mapped = MAPPED.lock();
        if let Some(there) = mapped.find(&id) {
            // Two files with one id: a process copied a header.
            return Ok(Some(there).filter(|there| there.is_inode(mapping.device, mapping.inode)));
        }
        let shortage = |_| io::Error::from(io::ErrorKind::OutOfMemory);
        mapped.insert(id, || mapping.into_arena(id)).map(Some).map_err(shortage)
    }

    /// The arena with this id, if it is mapped in this process.
    pub(crate) fn mapped(id: &ArenaId) -> Option<Arc<Self>> {
        MAPPED.lock().find(id)
    }

    /// Sets memory aside for bytes that are about to be handed out, so that writing them cannot
    /// fail.
    pub(crate) fn reserve(&self, offset: usize, len: usize) -> Result<()> {
        // Memory that is mapped without a descriptor was set aside by its creator.
        if self.mapping.file.is_none() {
            return Ok(());
        }
        let file = self.file().ok_or(Error::SharedMemoryGone { process: process::id() })?;
        reserve(file, DATA_START + offset, len).map_err(|error| error.of(len))
    }

    /// Makes bytes that were set aside, and are about to be written, quick to write: one call in
    /// place of a fault for each page.
    pub(crate) fn populate(&self, offset: usize, len: usize) {
        if len >= POPULATE_BYTES {
            // Systems before Linux 5.14 cannot; the faults come then.
            let _ = self.mapping.map.advise_range(Advice::PopulateWrite, DATA_START + offset, len);
        }
    }

    fn header(&self) -> &Header {
        self.mapping.header()
    }

    /// The number of bytes that can be handed out.
    pub fn len(&self) -> usize {
        self.mapping.len
    }

    /// Whether there is no such byte.
    pub fn is_empty(&self) -> bool {
        self.mapping.len == 0
    }

    /// The unique id.
    pub fn id(&self) -> &ArenaId {
        &self.id
    }

    /// The file by which other processes find the arena; None without a descriptor, or if other
    /// code closed it.
    pub(crate) fn file(&self) -> Option<&File> {
        self.mapping.own_file()
    }

    pub(crate) fn device(&self) -> u64 {
        self.mapping.device
    }

    pub(crate) fn inode(&self) -> u64 {
        self.mapping.inode
    }

    /// Whether it is this file of the system's.
    pub(crate) fn is_inode(&self, device: u64, inode: u64) -> bool {
        (self.mapping.device, self.mapping.inode) == (device, inode)
    }

    /// `len` bytes from `offset` on. They may be written, in every process; the buffer owns the
    /// arena.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::OutOfBuffer`] if they are out of bounds.
    pub fn buffer(&self, offset: usize, len: usize) -> Result<Buffer> {
        let owner = self.to_arc().ok_or_else(|| self.out(offset, len))?;
        self.buffer_of(offset, len, owner)
    }

    /// As [`buffer`](Self::buffer), with an owner that holds the arena.
    pub(crate) fn buffer_of(
        &self,
        offset: usize,
        len: usize,
        owner: Arc<dyn Owner>,
    ) -> Result<Buffer> {
        let out = || self.out(offset, len);
        offset.checked_add(len).filter(|&end| end <= self.len()).ok_or_else(out)?;
        let start = NonNull::new(self.mapping.map.as_mut_ptr().wrapping_add(DATA_START + offset))
            .ok_or_else(out)?;
        // SAFETY: the map is DATA_START + `len` bytes, less than isize::MAX, readable and writable
        // until the arena drops, which `owner` is or, as a Part, holds; the file under it cannot
        // become shorter. No reference is formed over what is beyond the header, except to words of
        // blocks' headers, which are atomic.
        Ok(unsafe { Buffer::from_raw(start, len, Access::ReadWrite, owner) })
    }

    fn out(&self, offset: usize, len: usize) -> Error {
        let (start, end) = (offset as i128, offset as i128 + len as i128);
        Error::Core(ndlens_core::Error::OutOfBuffer { start, end, len: self.len() })
    }

    /// The arena as an `Arc`.
    pub(crate) fn to_arc(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    /// The header of the block at a byte of the arena; None if no block can be there.
    pub(crate) fn block_header(&self, at: usize) -> Option<BlockHeader<'_>> {
        let fits = at.checked_add(size_of::<[AtomicU64; 3]>()).is_some_and(|end| end <= self.len());
        if !fits || !at.is_multiple_of(ALIGNMENT) {
            return None;
        }
        #[expect(clippy::cast_ptr_alignment, reason = "the map starts at a page")]
        let start =
            self.mapping.map.as_ptr().wrapping_add(DATA_START + at).cast::<[AtomicU64; 3]>();
        // SAFETY: within the map, which lives as long as `self`, and at a multiple of 64 bytes.
        // Atomics may hold any bits, and may be changed by other processes. Only a forged handle
        // leads to bytes of an array instead of a header, and its sender then reads torn values.
        Some(BlockHeader::of(unsafe { &*start }))
    }

    /// Zeroes bytes that were handed out before, and that no process has now.
    pub(crate) fn zero(&self, offset: usize, len: usize) {
        if offset.checked_add(len).is_some_and(|end| end <= self.len()) {
            // SAFETY: within the map, which may be written; no reference is formed.
            unsafe {
                self.mapping.map.as_mut_ptr().add(DATA_START + offset).write_bytes(0, len);
            }
        }
    }

    /// Gives pages back to the system, if it can take them: they are zeros from then on, and not
    /// set aside.
    pub(crate) fn give_pages_back(&self, offset: usize, len: usize) -> bool {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let start = (DATA_START + offset) as u64;
        // Without a descriptor they cannot be given back, and stay until the arena is freed.
        self.file().is_some_and(|file| {
            rustix::fs::fallocate(file.as_fd(), flags, start, len as u64).is_ok()
        })
    }

    /// Words by which processes synchronise, all 0 at first. They are not among the bytes that are
    /// handed out.
    ///
    /// Other processes of the user can store any value in them, so a reader must accept any number.
    pub fn words(&self) -> &[AtomicU64; ARENA_WORDS] {
        &self.header().words
    }

    pub(crate) fn senders(&self) -> &[AtomicU64; SENDERS] {
        &self.header().senders
    }

    pub(crate) fn set_ready(&self) {
        // Release: a process that sees it sees what was written before, arrays and manifest.
        self.header().ready.store(1, Ordering::Release);
    }

    pub(crate) fn is_ready(&self) -> bool {
        // Acquire: see `set_ready`.
        self.header().ready.load(Ordering::Acquire) == 1
    }

    pub(crate) fn set_manifest(&self, start: usize, len: usize) {
        // Relaxed: `set_ready` comes after.
        self.header().manifest_start.store(start as u64, Ordering::Relaxed);
        self.header().manifest_len.store(len as u64, Ordering::Relaxed);
    }

    /// The place of the manifest in the header. The caller checks it, and the contents.
    pub(crate) fn manifest(&self) -> (usize, usize) {
        // Relaxed: `is_ready` came before.
        let number =
            |word: &AtomicU64| usize::try_from(word.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        (number(&self.header().manifest_start), number(&self.header().manifest_len))
    }
}

/// The byte of its arena at which a buffer starts.
pub(crate) fn offset_in(arena: &Arena, buffer: &Buffer) -> usize {
    buffer.as_ptr().as_ptr().addr() - arena.mapping.map.as_ptr().addr() - DATA_START
}

/// As if the arena had been made by another process.
#[cfg(test)]
pub(crate) fn forget(id: &ArenaId) {
    MAPPED.lock().forget(id);
}

/// Replaces an arena's descriptor by a file, like a program that closes descriptors of other code.
/// Returns the new descriptor.
#[cfg(test)]
pub(crate) fn replace_descriptor(arena: &Arena, file: &File) -> File {
    use std::os::fd::{AsRawFd, FromRawFd};

    let descriptor = arena.file().unwrap().as_raw_fd();
    // SAFETY: both descriptors are open. The arena no longer closes this one, so it belongs to the
    // caller, which gets it.
    unsafe {
        assert_eq!(libc::dup2(file.as_raw_fd(), descriptor), descriptor);
        File::from_raw_fd(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::available::available_bytes;

    fn write(buffer: &Buffer, at: usize, byte: u8) {
        assert!(at < buffer.len());
        // SAFETY: within the buffer, which may be written.
        unsafe { buffer.as_ptr().as_ptr().add(at).write_volatile(byte) };
    }

    fn read(buffer: &Buffer, at: usize) -> u8 {
        assert!(at < buffer.len());
        // SAFETY: within the buffer.
        unsafe { buffer.as_ptr().as_ptr().add(at).read_volatile() }
    }

    #[test]
    fn an_arena_is_zeroed_aligned_and_as_long_as_asked_for() {
        for len in [0, 1, 4095, 4096, 4097, 1 << 20] {
            let arena = Arena::create(len).unwrap();
            let buffer = arena.buffer(0, len).unwrap();
            assert_eq!((arena.len(), buffer.len()), (len, len));
            assert_eq!(buffer.as_ptr().as_ptr().addr() % ndlens_core::ALIGNMENT, 0);
            assert!((0..len).all(|at| read(&buffer, at) == 0));
            assert!(arena.words().iter().all(|word| word.load(Ordering::Relaxed) == 0));
        }
    }

    #[test]
    fn no_buffer_reaches_beyond_its_arena() {
        let arena = Arena::create(100).unwrap();
        assert_eq!(arena.buffer(100, 0).unwrap().len(), 0);
        for (offset, len) in [(0, 101), (101, 0), (60, 41), (usize::MAX, 2), (1, usize::MAX)] {
            assert!(matches!(arena.buffer(offset, len), Err(Error::Core(_))));
        }
    }

    #[test]
    fn the_memory_lives_as_long_as_the_last_buffer() {
        let arena = Arena::create(10).unwrap();
        let (id, buffer) = (*arena.id(), arena.buffer(2, 3).unwrap());
        drop(arena);
        write(&buffer, 1, 7);
        assert_eq!(read(&Arena::mapped(&id).unwrap().buffer(0, 10).unwrap(), 3), 7);
        drop(buffer);
        assert!(Arena::mapped(&id).is_none());
    }

    #[test]
    fn nobody_can_make_it_shorter_or_longer() {
        let arena = Arena::create(5000).unwrap();
        for len in [0, 1 << 20] {
            assert_eq!(
                arena.file().unwrap().set_len(len).unwrap_err().kind(),
                io::ErrorKind::PermissionDenied
            );
        }
        let grow =
            rustix::fs::fallocate(arena.file().unwrap(), FallocateFlags::empty(), 0, 1 << 20);
        assert_eq!(grow, Err(rustix::io::Errno::PERM));
    }

    #[test]
    fn a_file_that_took_the_place_of_the_descriptor_is_neither_written_nor_closed() {
        use std::io::{Read, Seek, Write};

        let arena = Arena::create(3 * PAGE).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[7; 2 * PAGE]).unwrap();
        let duplicate = replace_descriptor(&arena, &file);

        assert!(!arena.give_pages_back(0, PAGE));
        assert!(matches!(arena.reserve(0, 3 * PAGE), Err(Error::SharedMemoryGone { .. })));
        assert!(matches!(arena.handle(), Err(Error::SharedMemoryGone { .. })));
        drop(arena);
        let mut bytes = vec![];
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, [7; 2 * PAGE]);
        assert_eq!(duplicate.metadata().unwrap().ino(), file.metadata().unwrap().ino());
    }

    #[test]
    fn an_arena_is_mapped_once_in_a_process() {
        let arena = Arena::create(10).unwrap();
        let again = Arena::adopt(arena.file().unwrap().try_clone().unwrap()).unwrap().unwrap();
        assert!(Arc::ptr_eq(&arena, &again));
    }

    #[test]
    fn a_file_that_is_no_arena_is_not_mapped_as_one() {
        let plain = tempfile::tempfile().unwrap();
        plain.set_len(1 << 16).unwrap();
        assert!(Arena::adopt(plain).unwrap().is_none());

        let memfd = |len, seals| {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let file = File::from(rustix::fs::memfd_create("ndlens", flags).unwrap());
            file.set_len(len).unwrap();
            rustix::fs::fcntl_add_seals(&file, seals).unwrap();
            file
        };
        for (len, seals) in [(1 << 16, SealFlags::GROW), (1 << 16, SEALS), (100, SEALS), (0, SEALS)]
        {
            assert!(Arena::adopt(memfd(len, seals)).unwrap().is_none());
        }

        let arena = Arena::create(10).unwrap();
        arena.header().version.store(VERSION + 1, Ordering::Relaxed);
        assert!(Arena::adopt(arena.file().unwrap().try_clone().unwrap()).unwrap().is_none());
    }

    #[test]
    fn more_memory_than_there_is_is_an_error() {
        // Not more than fits the addresses of a process, which have 39 bits on some aarch64.
        let len = 2 * available_bytes() as usize;
        let error = Arena::create(len).unwrap_err();
        let Error::SharedMemoryExhausted { available, .. } = error else { panic!("{error}") };
        let expected =
            format!("cannot share {len} bytes: only {available} bytes of memory are available");
        assert_eq!(error.to_string(), expected);
        for len in [usize::MAX, isize::MAX as usize, isize::MAX as usize - DATA_START] {
            assert!(matches!(
                Arena::create(len),
                Err(Error::SharedMemory { .. } | Error::SharedMemoryExhausted { .. })
            ));
        }
    }

    #[test]
    fn the_registry_forgets_what_is_gone() {
        for _ in 0..100 {
            Arena::create(1).unwrap();
        }
        // Other tests run meanwhile.
        assert!(MAPPED.lock().len() < 80);
    }
}
