//! The file under a map, found again without a descriptor.
//!
//! A map needs no open file, and a process has far fewer descriptors than it may have maps. The
//! file's length is read by path, and an answer counts only if the path leads to the same device
//! and inode.
//!
//! | the file, since it was opened | how it is found |
//! |---|---|
//! | is at its old path | by its absolute path |
//! | was moved | by the name that the system has for the map: Linux has one, in `/proc/self/maps` |
//! | had no path when it was opened, as one of `memfd_create` | by its descriptor, which is kept in this case alone |
//! | was replaced or deleted | not at all: [`Origin::size`] is None |
//!
//! That file has a line for each map, some milliseconds for ten thousand, and every read of
//! an element needs the answer. So the search for a file that has left its path is repeated only
//! after a hundred times the duration of the last search, and 100 ms at least. Until then the
//! result of the last search counts.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::os::{files, kernel};

/// The identity of a file, with its size and time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileIdentity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified_s: i64,
    pub(crate) modified_ns: i64,
}

impl FileIdentity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified_s: metadata.mtime(),
            modified_ns: metadata.mtime_nsec(),
        }
    }

    /// Whether this is the same file, with any contents.
    fn is_file(&self, metadata: &Metadata) -> bool {
        (metadata.dev(), metadata.ino()) == (self.device, self.inode)
    }
}

/// The path and the identity of a mapped file.
#[derive(Debug)]
pub(crate) struct Origin {
    /// The path as given.
    path: PathBuf,
    /// The absolute path, independent of the working directory.
    absolute: CString,
    identity: FileIdentity,
    /// The descriptor of a file without a path.
    kept: Option<File>,
    /// The last search in the maps.
    last: Mutex<Option<Look>>,
}

/// A search in the maps, and its result.
#[derive(Debug)]
struct Look {
    path: Option<PathBuf>,
    /// Earliest time of the next search.
    again: Instant,
}

/// Minimum time between two searches in the maps.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum part of the time that searches take.
const LOOK_PART: u32 = 100;

impl Origin {
    /// The origin of an open file; closes it if its path suffices.
    ///
    /// # Errors
    ///
    /// The system's errors about the file.
    pub(crate) fn of(file: File, path: &Path) -> io::Result<Self> {
        let identity = FileIdentity::of(&file.metadata()?);
        let absolute = std::path::absolute(path)?;
        let found = fs::metadata(&absolute).is_ok_and(|metadata| identity.is_file(&metadata));
        let absolute = CString::new(absolute.into_os_string().into_vec())?;
        let kept = (!found).then_some(file);
        Ok(Origin { path: path.to_owned(), absolute, identity, kept, last: Mutex::default() })
    }

    /// The path as given when the file was opened.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path for a signal handler.
    pub(crate) fn absolute(&self) -> &CString {
        &self.absolute
    }

    /// The identity of the file when it was opened.
    pub(crate) fn identity(&self) -> &FileIdentity {
        &self.identity
    }

    /// The present size of the file whose map holds `address`; None if no path leads to it any
    /// more.
    ///
    /// # Errors
    ///
    /// The system's errors about a descriptor that is kept.
    pub(crate) fn size(&self, address: usize) -> io::Result<Option<u64>> {
        if let Some(file) = &self.kept {
            return file.metadata().map(|metadata| Some(metadata.len()));
        }
        // First without an allocation, since every read of an element calls this.
        match rustix::fs::stat(self.absolute.as_c_str()) {
            Ok(stat) if files::identity(&stat) == (self.identity.device, self.identity.inode) => {
                Ok(Some(stat.st_size as u64))
            }
            _ => Ok(self.locate_mapped(address).map(|(_, metadata)| metadata.len())),
        }
    }

    /// An absolute path that leads to the file now.
    pub(crate) fn current_path(&self, address: usize) -> Option<PathBuf> {
        self.locate(address).map(|(path, _)| path)
    }

    /// The file, open for reading.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if no path leads to it any more; those of the system.
    pub(crate) fn open(&self, address: usize) -> io::Result<File> {
        if let Some(file) = &self.kept {
            return file.try_clone();
        }
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the file was replaced or deleted");
        let (path, _) = self.locate(address).ok_or_else(gone)?;
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        if self.identity.is_file(&metadata) { Ok(file) } else { Err(gone()) }
    }

    fn locate(&self, address: usize) -> Option<(PathBuf, Metadata)> {
        self.there(Path::new(OsStr::from_bytes(self.absolute.to_bytes())))
            .or_else(|| self.look(address, self.last_look().as_deref_mut()))
    }

    /// The path of the file in the maps, or the result of the last search; see the module's
    /// documentation.
    fn locate_mapped(&self, address: usize) -> Option<(PathBuf, Metadata)> {
        let mut last = self.last_look();
        if let Some(Some(Look { path, again })) = last.as_deref() {
            let there = path.as_deref().and_then(|path| self.there(path));
            if there.is_some() || Instant::now() < *again {
                return there;
            }
        }
        self.look(address, last.as_deref_mut())
    }

    /// The last search; None while another thread searches, which a fork may have left behind.
    fn last_look(&self) -> Option<MutexGuard<'_, Option<Look>>> {
        match self.last.try_lock() {
            Ok(last) => Some(last),
            Err(TryLockError::Poisoned(last)) => Some(last.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn look(&self, address: usize, last: Option<&mut Option<Look>>) -> Option<(PathBuf, Metadata)> {
        let start = Instant::now();
        let path = kernel::path_of_map(address);
        let pause = LOOK_INTERVAL.max(start.elapsed() * LOOK_PART);
        let there = path.as_deref().and_then(|path| self.there(path));
        if let Some(last) = last {
            *last = Some(Look { path, again: Instant::now() + pause });
        }
        there
    }

    /// The path and its metadata, if it leads to the file.
    fn there(&self, path: &Path) -> Option<(PathBuf, Metadata)> {
        let metadata =
            fs::metadata(path).ok().filter(|metadata| self.identity.is_file(metadata))?;
        Some((path.to_owned(), metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_path_keeps_its_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, b"0123").unwrap();
        let open = || File::open(&path).unwrap();
        let by_path = Origin::of(open(), &path).unwrap();
        let unlinked = open();
        fs::remove_file(&path).unwrap();
        let by_descriptor = Origin::of(unlinked, &path).unwrap();
        assert!(by_path.kept.is_none() && by_descriptor.kept.is_some());
        assert_eq!((by_path.size(0).unwrap(), by_descriptor.size(0).unwrap()), (None, Some(4)));
        assert_eq!(by_path.open(0).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(by_descriptor.open(0).unwrap().metadata().unwrap().len(), 4);
    }

    #[test]
    fn another_file_at_the_same_path_is_not_taken_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, b"0123").unwrap();
        let origin = Origin::of(File::open(&path).unwrap(), &path).unwrap();
        assert_eq!(origin.size(0).unwrap(), Some(4));
        fs::write(directory.path().join("other"), b"0").unwrap();
        fs::rename(directory.path().join("other"), &path).unwrap();
        assert_eq!((origin.size(0).unwrap(), origin.current_path(0)), (None, None));
    }

    #[test]
    fn a_file_that_was_deleted_is_not_looked_for_at_every_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, b"0123").unwrap();
        let origin = Origin::of(File::open(&path).unwrap(), &path).unwrap();
        fs::remove_file(&path).unwrap();
        let next_look = || origin.last.lock().unwrap().as_ref().map(|look| look.again);
        let look_again_at = |time| origin.last.lock().unwrap().as_mut().unwrap().again = time;
        assert_eq!((origin.size(0).unwrap(), next_look().is_some()), (None, true));
        // As if the last search had taken long.
        let later = Instant::now() + Duration::from_hours(1);
        look_again_at(later);
        assert_eq!((origin.size(0).unwrap(), next_look()), (None, Some(later)));
        look_again_at(Instant::now());
        assert_eq!(origin.size(0).unwrap(), None);
        assert!(next_look().is_some_and(|again| again > Instant::now() && again < later));
        // Opening the file itself starts a new search.
        look_again_at(later);
        assert_eq!((origin.current_path(0), next_look() == Some(later)), (None, false));
    }
}
