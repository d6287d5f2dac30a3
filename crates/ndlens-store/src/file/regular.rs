//! Opens regular files only: opening a device can have effects, and opening a FIFO blocks.

use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FileType;

use crate::error::{Error, Result};
use crate::mode::MapMode;
use crate::os::files;

/// A regular file, open for `mode`, and its size.
///
/// # Errors
///
/// [`Error::Io`], [`Error::NotRegular`].
pub(crate) fn open_regular(path: &Path, mode: MapMode) -> Result<(File, u64)> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    // Checked twice: before, since opening a device can have effects; after, since it may be
    // another file by then. A FIFO that slips in between does not block.
    check(path, &fs::metadata(path).map_err(io)?)?;
    let mut options = OpenOptions::new();
    options.read(true).write(mode == MapMode::ReadWrite).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    check(path, &metadata)?;
    Ok((file, metadata.len()))
}

fn check(path: &Path, metadata: &Metadata) -> Result<()> {
    match kind_name(files::kind_of(metadata)) {
        Some(kind) => Err(Error::NotRegular { path: path.to_owned(), kind }),
        None => Ok(()),
    }
}

/// The kind of a file that is not regular, for messages.
pub(crate) fn kind_name(kind: FileType) -> Option<&'static str> {
    match kind {
        FileType::RegularFile => None,
        FileType::Directory => Some("a directory"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        FileType::Symlink => Some("a symbolic link"),
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => Some("a device"),
    }
}
