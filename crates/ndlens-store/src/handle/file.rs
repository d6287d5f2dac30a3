//! Handles of files that another process has mapped: the path and the identity of the file.
//!
//! A path may lead to another file by the time it is followed. So a handle holds the file's device
//! and inode, its size and the time of its last change, and opens no other file.
//!
//! Each mapping has an id of its own, by which a process finds it again: a handle that comes back
//! to the process that made it, or to its forked children, gives the very same mapping, and in any
//! other process all handles to one mapping share one.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::file::map::{MAPPED, MappedFile, MappingId};
use crate::file::origin::FileIdentity;
use crate::file::regular::open_regular;
use crate::mode::MapMode;

/// A mapped file, as any process can map it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileHandle {
    id: MappingId,
    /// The bytes of an absolute path.
    path: Vec<u8>,
    mode: Mode,
    /// Bytes mapped, from the first on.
    len: u64,
    identity: FileIdentity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Mode {
    Read,
    CopyOnWrite,
    ReadWrite,
}

impl FileHandle {
    /// # Errors
    ///
    /// [`Error::FileReplaced`] if no path leads to the file any more.
    pub(crate) fn of(file: &MappedFile) -> Result<Self> {
        // The present path of the file: it may have been moved, or opened from another working
        // directory.
        let replaced = || Error::FileReplaced { path: file.path().to_owned() };
        let path = file.current_path().ok_or_else(replaced)?;
        let mode = match file.mode() {
            MapMode::Read => Mode::Read,
            MapMode::CopyOnWrite => Mode::CopyOnWrite,
            MapMode::ReadWrite => Mode::ReadWrite,
        };
        let path = path.into_os_string().into_vec();
        Ok(FileHandle {
            id: file.id(),
            path,
            mode,
            len: file.len() as u64,
            identity: *file.identity(),
        })
    }

    /// The mapping: that of this process if there is one, otherwise a new one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::NotRegular`] if there is no file to map, [`Error::FileChanged`]
    /// if it has changed.
    pub(crate) fn open(&self) -> Result<Arc<MappedFile>> {
        let mode = match self.mode {
            Mode::Read => MapMode::Read,
            Mode::CopyOnWrite => MapMode::CopyOnWrite,
            Mode::ReadWrite => MapMode::ReadWrite,
        };
        let known = MAPPED.lock().find(&self.id);
        let same = |file: &Arc<MappedFile>| {
            let (ours, its) = (&self.identity, file.identity());
            (its.device, its.inode, file.mode(), file.len() as u64)
                == (ours.device, ours.inode, mode, self.len)
        };
        if let Some(file) = known.filter(same) {
            return Ok(file);
        }
        let path = PathBuf::from(OsString::from_vec(self.path.clone()));
        let (file, _) = open_regular(&path, mode)?;
        let metadata =
            file.metadata().map_err(|source| Error::Io { path: path.clone(), source })?;
        self.check(&path, mode, &FileIdentity::of(&metadata))?;
        MappedFile::map_as(self.id, file, &path, mode, self.len as usize)
    }

    /// Checks that the file has not changed. Writes to its mapping change a file; such a file must
    /// only be as long as the mapping.
    fn check(&self, path: &Path, mode: MapMode, got: &FileIdentity) -> Result<()> {
        let expected = &self.identity;
        let changed = |what: &'static str, got: i128, expected: i128| {
            Err(Error::FileChanged { path: path.to_owned(), what, got, expected })
        };
        let time = |identity: &FileIdentity| {
            i128::from(identity.modified_s) * 1_000_000_000 + i128::from(identity.modified_ns)
        };
        let written = mode == MapMode::ReadWrite;
        if got.device != expected.device {
            return changed("device", got.device.into(), expected.device.into());
        }
        if got.inode != expected.inode {
            return changed("inode", got.inode.into(), expected.inode.into());
        }
        if got.size != expected.size && !written || got.size < self.len {
            return changed("size in bytes", got.size.into(), expected.size.into());
        }
        if time(got) != time(expected) && !written {
            return changed("time of modification in ns", time(got), time(expected));
        }
        Ok(())
    }
}

impl FileHandle {
    /// The path, for messages.
    #[cfg(test)]
    fn path(&self) -> PathBuf {
        OsString::from_vec(self.path.clone()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::encoding::{from_bytes, to_bytes};
    use crate::os::HAS_LINUX;
    use ndlens_core::Buffer;

    fn mapped(path: &Path, mode: MapMode) -> Buffer {
        let (file, len) = open_regular(path, mode).unwrap();
        MappedFile::map(file, path, mode, len as usize).unwrap()
    }

    fn handle(buffer: &Buffer) -> FileHandle {
        FileHandle::of(buffer.owner::<MappedFile>().unwrap()).unwrap()
    }

    /// As another process sees it: with no mapping of its own.
    fn elsewhere(handle: &FileHandle) -> Result<Arc<MappedFile>> {
        MAPPED.lock().forget(&handle.id);
        handle.open()
    }

    fn write(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_handle_gives_the_mapping_that_is_there_and_a_new_one_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a file");
        write(&path, b"0123456789");
        for mode in [MapMode::Read, MapMode::CopyOnWrite, MapMode::ReadWrite] {
            let (buffer, other) = (mapped(&path, mode), mapped(&path, mode));
            assert_ne!(handle(&buffer).id, handle(&other).id);
            let handle: FileHandle = from_bytes(&to_bytes(&handle(&buffer))).unwrap();
            assert_eq!(handle.path(), path.canonicalize().unwrap());
            assert_eq!(handle.open().unwrap().buffer().as_ptr(), buffer.as_ptr());
            let copy = elsewhere(&handle).unwrap();
            assert_eq!((copy.mode(), copy.len()), (mode, 10));
            assert_ne!(copy.clone().buffer().as_ptr(), buffer.as_ptr());
            assert!(Arc::ptr_eq(&copy, &handle.open().unwrap()));
        }
    }

    #[test]
    fn a_file_that_is_not_what_it_was_is_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write(&path, b"0123456789");
        let buffer = mapped(&path, MapMode::Read);
        let handle = handle(&buffer);
        let message = |what: &str| {
            let error = elsewhere(&handle).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{}: {what}", path.display())), "{error}");
        };

        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH)
            .unwrap();
        message(
            "file has changed since it was opened: its time of modification in ns is 0, expected 1",
        );
        write(&path, b"0123456789x");
        message("file has changed since it was opened: its size in bytes is 11, expected 10");
        // Moved, it is found where the system says the path of a map; the path then leads to
        // another.
        let moved = directory.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        if HAS_LINUX {
            assert_eq!(
                FileHandle::of(buffer.owner().unwrap()).unwrap().path(),
                moved.canonicalize().unwrap()
            );
        }
        message("No such file");
        write(&path, b"0123456789");
        message("file has changed since it was opened: its inode is ");
        fs::remove_file(&moved).unwrap();
        assert_eq!(
            FileHandle::of(buffer.owner().unwrap()).unwrap_err().to_string(),
            format!(
                "{}: the file was replaced or deleted since it was opened, so no other process \
                 can open it; call .copy() first",
                path.display()
            )
        );
    }

    #[test]
    fn a_file_that_is_written_through_its_mapping_may_change_but_not_shrink() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), b"0123456789");
        let handle = handle(&mapped(file.path(), MapMode::ReadWrite));
        write(file.path(), b"9876543210 and more");
        assert_eq!(elsewhere(&handle).unwrap().len(), 10);
        write(file.path(), b"987654321");
        assert!(matches!(elsewhere(&handle), Err(Error::FileChanged { got: 9, expected: 10, .. })));
    }

    #[test]
    fn the_registry_forgets_what_is_gone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write(file.path(), b"0");
        for _ in 0..200 {
            mapped(file.path(), MapMode::Read);
        }
        // Other tests run meanwhile.
        assert!(MAPPED.lock().len() < 160);
    }
}
