//! Handles of arenas that another process holds.
//!
//! A process that holds an arena has a descriptor of it, and the system shows a process's
//! descriptors to other processes of the same user as `/proc/<pid>/fd/<number>`. So a handle is a
//! process, a descriptor, and the identity of the arena, since another file may have that number
//! when the handle is opened.
//!
//! # Limitations
//!
//! - The process must live, and hold the arena, when the handle is opened; otherwise another must
//!   hold it, which is found by a search through all of the user's processes. A process that opened
//!   it can make its own handle.
//! - Processes must be of one user, or the opener privileged, and see each other's `/proc`: those
//!   in two containers do not, unless the containers share their process ids.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::encoding::{from_bytes, to_bytes};
use crate::error::{Error, Result, is_shortage};
use crate::os::shared::{self, SharedFile};
use crate::shm::arena::{Arena, ArenaId};

/// A handle of an [`Arena`]: some 30 bytes that any process of the same user can open while this
/// one holds the arena.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    process: u32,
    descriptor: u32,
    device: u64,
    inode: u64,
    id: ArenaId,
}

impl Arena {
    /// A handle by which other processes find this arena, as long as this process holds it.
    ///
    /// # Errors
    ///
    /// [`Error::SharedMemoryGone`] if other code in this process closed the arena's descriptor.
    pub fn handle(&self) -> Result<Handle> {
        let process = process::id();
        let file = self.file().ok_or(Error::SharedMemoryGone { process })?;
        let descriptor = file.as_raw_fd().cast_unsigned();
        Ok(Handle {
            process,
            descriptor,
            device: self.device(),
            inode: self.inode(),
            id: *self.id(),
        })
    }
}

impl Handle {
    /// The handle as bytes to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The handle of bytes that were sent.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedHandle`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        from_bytes(bytes)
    }

    /// The arena: the one that is mapped here already, or else the other process's.
    ///
    /// # Errors
    ///
    /// [`Error::SharedMemoryGone`] if the process that made the handle is gone or no longer holds
    /// the arena, and no other process does; [`Error::SharedMemoryRefused`] and
    /// [`Error::SharedMemoryHidden`] if the system refuses; [`Error::NoProcesses`] if `/proc`
    /// cannot be read.
    pub fn open(&self) -> Result<Arc<Arena>> {
        self.open_as(true)
    }

    /// As [`open`](Self::open), without a descriptor of the arena, which this process then cannot
    /// make handles of.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_map(&self) -> Result<Arc<Arena>> {
        self.open_as(false)
    }

    fn open_as(&self, keeps_descriptor: bool) -> Result<Arc<Arena>> {
        if let Some(arena) =
            Arena::mapped(&self.id).filter(|arena| arena.is_inode(self.device, self.inode))
        {
            return Ok(arena);
        }
        // The number may now be that of any file of any program, and opening some files has
        // effects.
        let mut refusal = match self.open_at(&self.path(), keeps_descriptor) {
            Ok(Some(arena)) => return Ok(arena),
            Ok(None) => None,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(error),
        };
        // The process that made the handle is gone, but others may hold the memory.
        for path in shared::paths_of_file(self.device, self.inode) {
            match self.open_at(&path, keeps_descriptor) {
                Ok(Some(arena)) => return Ok(arena),
                // It exists, but this process may not open it.
                Err(error) if is_shortage(&error) => refusal = Some(error),
                Ok(None) | Err(_) => {}
            }
        }
        let unseen = |source| Error::NoProcesses {
            what: format!("process {}", self.process),
            place: shared::PLACE,
            source,
        };
        Err(match refusal {
            Some(ref error) if !is_shortage(error) && shared::is_hidden(self.process) => {
                Error::SharedMemoryHidden { process: self.process }
            }
            Some(source) => Error::SharedMemoryRefused { process: self.process, source },
            None => shared::check().map_or_else(unseen, |()| self.gone()),
        })
    }

    /// The error for an arena that cannot be opened.
    pub(crate) fn gone(&self) -> Error {
        Error::SharedMemoryGone { process: self.process }
    }

    /// The arena, if the file is the one of the handle.
    fn open_at(&self, path: &Path, keeps_descriptor: bool) -> io::Result<Option<Arc<Arena>>> {
        if !self.is_inode(&fs::metadata(path)?) || !shared::is_ours(path) {
            return Ok(None);
        }
        let file = SharedFile::open(path)?;
        if !self.is_inode(&file.file().metadata()?) {
            return Ok(None);
        }
        Ok(Arena::adopt_as(file, keeps_descriptor)?.filter(|arena| *arena.id() == self.id))
    }

    fn path(&self) -> PathBuf {
        shared::path_of(self.process, self.descriptor, &self.id)
    }

    fn is_inode(&self, metadata: &fs::Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The arena that a handle opens if it is not mapped yet, as in another process.
    fn forget(arena: &Arena) -> Handle {
        let handle = arena.handle().unwrap();
        crate::shm::arena::forget(arena.id());
        handle
    }

    #[test]
    fn a_handle_is_short_and_comes_back_from_bytes() {
        let handle = Arena::create(1 << 20).unwrap().handle().unwrap();
        assert!(handle.to_bytes().len() < 40);
        assert_eq!(Handle::from_bytes(&handle.to_bytes()).unwrap(), handle);
    }

    #[test]
    fn a_handle_opens_the_arena_that_is_mapped_already() {
        let arena = Arena::create(10).unwrap();
        assert!(Arc::ptr_eq(&arena.handle().unwrap().open().unwrap(), &arena));
    }

    #[test]
    fn a_handle_opens_another_map_of_the_same_memory() {
        let arena = Arena::create(10).unwrap();
        let other = forget(&arena).open().unwrap();
        assert!(!Arc::ptr_eq(&arena, &other));
        arena.words()[3].store(42, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(other.words()[3].load(std::sync::atomic::Ordering::Relaxed), 42);
        assert_eq!((other.id(), other.len()), (arena.id(), 10));
        // It can be passed on, also if the first process is gone.
        drop(arena);
        assert!(forget(&other).open().is_ok());
    }

    #[test]
    fn a_handle_to_what_is_not_there_any_more_says_so() {
        let handle = forget(&Arena::create(10).unwrap());
        let gone = format!(
            "shared memory of process {} is gone: keep the view alive there until it has been \
             unpickled here",
            process::id()
        );
        assert_eq!(handle.open().unwrap_err().to_string(), gone);

        let arena = Arena::create(10).unwrap();
        let right = forget(&arena);
        // An inode, a device and an id of another file.
        let wrong = [
            Handle { inode: right.inode + 1, ..right.clone() },
            Handle { device: right.device + 1, ..right.clone() },
            Handle { id: [7; 16], ..right.clone() },
        ];
        for handle in wrong {
            assert!(matches!(handle.open(), Err(Error::SharedMemoryGone { .. })), "{handle:?}");
        }
        assert!(right.open().is_ok());
    }

    #[test]
    fn memory_is_found_at_any_holder_if_the_maker_of_the_handle_is_gone() {
        let arena = Arena::create(10).unwrap();
        let right = forget(&arena);
        for elsewhere in [
            Handle { process: u32::MAX, ..right.clone() },
            Handle { descriptor: 1, ..right.clone() },
            Handle { descriptor: u32::MAX, ..right.clone() },
        ] {
            crate::shm::arena::forget(arena.id());
            assert_eq!(elsewhere.open().unwrap().id(), arena.id());
        }
    }

    #[test]
    fn bytes_that_are_no_handle_are_refused() {
        let bytes = Arena::create(10).unwrap().handle().unwrap().to_bytes();
        for end in 0..bytes.len() {
            assert!(matches!(Handle::from_bytes(&bytes[..end]), Err(Error::DamagedHandle { .. })));
        }
        let longer = [&bytes[..], b"xy"].concat();
        let error = Handle::from_bytes(&longer).unwrap_err();
        assert_eq!(error.to_string(), "damaged handle: 2 bytes after its end");
    }
}
