//! Entries of directories, disks and attributes.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

/// Opens a directory that may be searched and not read.
pub(crate) const SEARCH: OFlags = OFlags::PATH;

/// An entry of a directory, which is not followed if it is a link.
#[derive(Debug)]
pub(crate) struct DirectoryEntry {
    pub(crate) stat: Stat,
    /// What the link says, if it is one.
    pub(crate) link: Option<OsString>,
}

impl DirectoryEntry {
    /// The entry with this name; None if there is none.
    pub(crate) fn of(directory: &OwnedFd, name: &OsStr) -> rustix::io::Result<Option<Self>> {
        // By its descriptor: no other process can exchange a link between the two calls.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let entry = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            entry => entry?,
        };
        let stat = rustix::fs::fstat(&entry)?;
        let link = if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
            let text = rustix::fs::readlinkat(&entry, c"", Vec::new())?;
            Some(OsString::from_vec(text.into_bytes()))
        } else {
            None
        };
        Ok(Some(DirectoryEntry { stat, link }))
    }
}

/// The device and the inode, as [`MetadataExt`] has them.
pub(crate) fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// Writes what the disk of a file has in memory.
pub(crate) fn sync_disk_of(file: &File) -> rustix::io::Result<()> {
    rustix::fs::syncfs(file)
}

/// The error for an attribute that is not there.
pub(crate) const NO_ATTRIBUTE: Errno = Errno::NODATA;

/// The kind of a file, as the system calls it.
pub(crate) fn kind_of(metadata: &Metadata) -> FileType {
    FileType::from_raw_mode(metadata.mode())
}
