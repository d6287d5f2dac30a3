//! The target of a path that is written, as `open(path, "w")` would find it: links are followed,
//! and permissions are checked.
//!
//! A file is saved by a new one that replaces it, which needs fewer permissions than a write. A
//! file that its user made read-only, or a link of an attacker, would be replaced without an error.
//! So this module refuses what `open` refuses.
//!
//! | | `open(path, "w")` | here |
//! |---|---|---|
//! | a file without write permission, an immutable one | refuses | the file is opened for writing, and closed unchanged |
//! | a link to nothing | makes the file that it names | likewise |
//! | in a sticky directory a link, or a file, of another user | refuses (`fs.protected_symlinks`, `fs.protected_regular`) | likewise |
//! | a directory, a device, a FIFO | | refused: they cannot be replaced |
//!
//! Links are followed one by one, and no other process can exchange one between the look at its
//! owner and the look at its text (`os::files`).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, RawMode, Stat};

use crate::error::{Error, Result};
use crate::file::regular::kind_name;
use crate::os::files::{self, DirectoryEntry};
use crate::os::kernel;

/// Maximum number of links that Linux follows.
const LINKS_MAX: usize = 40;

/// A place in a directory.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) directory: OwnedFd,
    /// Whether the directory can be synced; one that may not be read cannot.
    pub(crate) syncable: bool,
    pub(crate) name: OsString,
    /// The existing file.
    pub(crate) old: Option<Old>,
}

/// A regular file that may be written.
#[derive(Debug)]
pub(crate) struct Old {
    /// The file, open for writing.
    pub(crate) file: File,
    pub(crate) stat: Stat,
}

/// The system's rules for sticky directories, which every user may write to, but whose files and
/// links belong to their owners.
#[derive(Debug, Clone, Copy)]
struct StickyRules {
    links: bool,
    files: u32,
}

impl StickyRules {
    /// The rules in force; the strictest if they are unknown.
    fn of_system() -> Self {
        let level = |name| {
            let text = kernel::setting(&format!("fs/{name}"));
            text.and_then(|text| text.trim().parse().ok()).unwrap_or(2)
        };
        StickyRules { links: level("protected_symlinks") > 0, files: level("protected_regular") }
    }

    fn refuse_link(self, directory: &Stat, link: &Stat, user: u32) -> bool {
        self.links
            && has(directory, libc::S_ISVTX | libc::S_IWOTH)
            && is_another_s(directory, link, user)
    }

    fn refuse_file(self, directory: &Stat, file: &Stat, user: u32) -> bool {
        let world = self.files >= 1 && has(directory, libc::S_IWOTH);
        let group = self.files >= 2 && has(directory, libc::S_IWGRP);
        (world || group) && has(directory, libc::S_ISVTX) && is_another_s(directory, file, user)
    }
}

fn has(stat: &Stat, bits: RawMode) -> bool {
    stat.st_mode & bits == bits
}

fn is_another_s(directory: &Stat, entry: &Stat, user: u32) -> bool {
    entry.st_uid != directory.st_uid && entry.st_uid != user
}

impl Target {
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::NotRegular`].
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let io = |source: io::Error| Error::Io { path: path.to_owned(), source };
        let system = |error: rustix::io::Errno| io(error.into());
        let (rules, user) = (StickyRules::of_system(), rustix::process::geteuid().as_raw());
        let (mut base, mut rest) = (None, path.to_owned());
        for _ in 0..LINKS_MAX {
            let name = last_name(&rest).map_err(io)?.to_owned();
            let (directory, syncable) = open_directory(base.as_ref(), &rest).map_err(system)?;
            let entry = DirectoryEntry::of(&directory, &name).map_err(system)?;
            let Some(DirectoryEntry { stat, link }) = entry else {
                return Ok(Target { directory, syncable, name, old: None });
            };
            let above = rustix::fs::fstat(&directory).map_err(system)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {
                    if rules.refuse_link(&above, &stat, user) {
                        return Err(system(rustix::io::Errno::ACCESS));
                    }
                    rest = PathBuf::from(link.unwrap_or_default());
                    base = if rest.is_absolute() { None } else { Some(directory) };
                }
                FileType::RegularFile => {
                    if rules.refuse_file(&above, &stat, user) {
                        return Err(system(rustix::io::Errno::ACCESS));
                    }
                    let flags = OFlags::WRONLY
                        | OFlags::NOFOLLOW
                        | OFlags::NONBLOCK
                        | OFlags::NOCTTY
                        | OFlags::CLOEXEC;
                    let file = rustix::fs::openat(&directory, &name, flags, Mode::empty())
                        .map_err(system)?;
                    let opened = rustix::fs::fstat(&file).map_err(system)?;
                    if files::identity(&opened) == files::identity(&stat) {
                        let old = Some(Old { file: file.into(), stat });
                        return Ok(Target { directory, syncable, name, old });
                    }
                    // Another process replaced it; this counts as a link that was followed.
                }
                kind => {
                    let kind = kind_name(kind).unwrap_or("another file");
                    return Err(Error::NotRegular { path: path.to_owned(), kind });
                }
            }
        }
        Err(system(rustix::io::Errno::LOOP))
    }
}

/// The last part of a path, if it can be the name of a file.
fn last_name(path: &Path) -> io::Result<&OsStr> {
    let bytes = path.as_os_str().as_bytes();
    let directory = bytes.ends_with(b"/") || bytes.ends_with(b"/.");
    path.file_name().filter(|_| !directory).ok_or_else(|| {
        io::Error::from_raw_os_error(if bytes.is_empty() { libc::ENOENT } else { libc::EISDIR })
    })
}

/// The directory that a path is in, and whether it could be opened for reading.
fn open_directory(base: Option<&OwnedFd>, path: &Path) -> rustix::io::Result<(OwnedFd, bool)> {
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let open = |flags| {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | flags;
        match base {
            Some(base) => rustix::fs::openat(base, parent, flags, Mode::empty()),
            None => rustix::fs::openat(CWD, parent, flags, Mode::empty()),
        }
    };
    match open(OFlags::RDONLY) {
        Ok(directory) => Ok((directory, true)),
        Err(rustix::io::Errno::ACCESS) => Ok((open(files::SEARCH)?, false)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(mode: RawMode, user: u32) -> Stat {
        let mut stat = rustix::fs::stat("/").unwrap();
        (stat.st_mode, stat.st_uid) = (mode, user);
        stat
    }

    #[test]
    fn links_and_files_of_others_in_sticky_directories_are_refused_as_the_system_does() {
        let on = StickyRules { links: true, files: 1 };
        let (tmp, mine, theirs) = (stat(0o41777, 0), stat(0o777, 7), stat(0o777, 8));
        assert!(on.refuse_link(&tmp, &theirs, 7) && on.refuse_file(&tmp, &theirs, 7));
        // Also for the superuser, whose rights would let it through.
        assert!(on.refuse_link(&tmp, &theirs, 1) && on.refuse_file(&tmp, &theirs, 1));
        assert!(!on.refuse_link(&tmp, &mine, 7) && !on.refuse_file(&tmp, &mine, 7));
        // The owner of the directory may also own the files in it.
        let root_s = stat(0o777, 0);
        assert!(!on.refuse_link(&tmp, &root_s, 7) && !on.refuse_file(&tmp, &root_s, 7));
        let (plain, team) = (stat(0o40777, 0), stat(0o41775, 0));
        assert!(!on.refuse_link(&plain, &theirs, 7) && !on.refuse_file(&plain, &theirs, 7));
        assert!(!on.refuse_link(&team, &theirs, 7) && !on.refuse_file(&team, &theirs, 7));
        assert!(StickyRules { links: true, files: 2 }.refuse_file(&team, &theirs, 7));
        let off = StickyRules { links: false, files: 0 };
        assert!(!off.refuse_link(&tmp, &theirs, 7) && !off.refuse_file(&tmp, &theirs, 7));
    }
}
