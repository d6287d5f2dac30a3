//! Entries of directories, disks and attributes.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{AtFlags, FileType, OFlags, RawMode, Stat};
use rustix::io::Errno;

/// No flag opens a directory that may be searched and not read.
pub(crate) const SEARCH: OFlags = OFlags::RDONLY;

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
        let look = || rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = match look() {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return Ok(Some(DirectoryEntry { stat, link: None }));
        }
        let text = rustix::fs::readlinkat(directory, name, Vec::new())?;
        // The owner was looked at before the text was: both must be of one link.
        let after = look()?;
        if (identity(&after), after.st_ctime, after.st_ctime_nsec)
            != (identity(&stat), stat.st_ctime, stat.st_ctime_nsec)
        {
            return Err(Errno::AGAIN);
        }
        let link = Some(OsString::from_vec(text.into_bytes()));
        Ok(Some(DirectoryEntry { stat, link }))
    }
}

/// The device and the inode, as [`MetadataExt`] has them.
pub(crate) fn identity(stat: &Stat) -> (u64, u64) {
    #[cfg(target_vendor = "apple")]
    let device = i64::from(stat.st_dev).cast_unsigned();
    #[cfg(not(target_vendor = "apple"))]
    let device = stat.st_dev;
    (device, stat.st_ino)
}

/// Writes what all disks have in memory: no call writes one disk alone.
#[expect(clippy::unnecessary_wraps, reason = "other platforms have an error here")]
pub(crate) fn sync_disk_of(_file: &File) -> rustix::io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

/// The error for an attribute that is not there.
#[cfg(target_vendor = "apple")]
pub(crate) const NO_ATTRIBUTE: Errno = Errno::NOATTR;
#[cfg(not(target_vendor = "apple"))]
pub(crate) const NO_ATTRIBUTE: Errno = Errno::NODATA;

/// The kind of a file, as the system calls it.
pub(crate) fn kind_of(metadata: &Metadata) -> FileType {
    FileType::from_raw_mode(metadata.mode() as RawMode)
}
