//! A new file that takes the place of an old one: private until it is whole, and then with the old
//! one's attributes.
//!
//! ```text
//!  create     .images.npy.x7kq2fab   beside the target, on the same disk, private
//!  write      .images.npy.x7kq2fab
//!  attributes .images.npy.x7kq2fab   those of the old file: owner, group, ACL, permissions
//!  fsync      .images.npy.x7kq2fab   it is on the disk
//!  rename     images.npy             a reader sees the old file or the new one
//!  fsync      the directory          the new name is on the disk
//! ```
//!
//! If there was no file, the new one has the permissions that `open` gives: those that the umask,
//! or the directory's default ACL, leave. An owner that cannot be kept is an error, since a file of
//! another owner may gain readers or lose them.
//!
//! Set-uid and set-gid bits and capabilities are not kept, as after a write by a user without
//! privileges. Other names of the old file (hard links) keep the old contents.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RawMode, Uid, XattrFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};
use crate::file::target::{Old, Target};
use crate::os::files::{self, NO_ATTRIBUTE};
use crate::os::ids::random_bits;

/// Permissions of a new file, before the umask removes some.
const NEW_FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// Permissions for the owner alone.
const PRIVATE_MODE: Mode = Mode::from_raw_mode(0o600);

/// Maximum length of a name on Linux, in bytes.
const NAME_MAX: usize = 255;

/// Number of tries for a name that is not taken.
const TRIES: usize = 16;

/// The attribute that is an ACL, which a new file may inherit from its directory.
const ACL: &CStr = c"system.posix_acl_access";

/// Attributes that describe a file's contents or give rights to the user that runs it.
const NOT_KEPT: [&CStr; 3] = [c"security.capability", c"security.ima", c"security.evm"];

/// A new file, which is removed unless it replaces its target.
#[derive(Debug)]
pub(crate) struct Replacement<'a> {
    path: &'a Path,
    target: Target,
    file: File,
    /// Its temporary name; None once it has replaced the target.
    temporary: Option<OsString>,
    /// Its final permissions.
    mode: Mode,
}

impl<'a> Replacement<'a> {
    /// A file that will be at `path`, private until then.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::NotRegular`]; [`Error::NoNewFile`] for a file that can be written,
    /// in a directory that cannot.
    pub(crate) fn new(path: &'a Path) -> Result<Self> {
        let target = Target::of(path)?;
        let io = |error: Errno| Error::Io { path: path.to_owned(), source: error.into() };
        let mode = if target.old.is_some() { PRIVATE_MODE } else { NEW_FILE_MODE };
        let (file, temporary) = create(&target.directory, &target.name, mode).map_err(|error| {
            let (path, source) = (path.to_owned(), error.into());
            if target.old.is_some() {
                Error::NoNewFile { path, source }
            } else {
                Error::Io { path, source }
            }
        })?;
        let mut replacement =
            Replacement { path, target, file: file.into(), temporary: Some(temporary), mode };
        replacement.mode = if let Some(old) = &replacement.target.old {
            kept_mode(old.stat.st_mode)
        } else {
            // The file is still empty, and already has its final readers.
            let stat = rustix::fs::fstat(&replacement.file).map_err(io)?;
            rustix::fs::fchmod(&replacement.file, PRIVATE_MODE).map_err(io)?;
            Mode::from_raw_mode(stat.st_mode & 0o7777)
        };
        Ok(replacement)
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Syncs the file to the disk, and renames it to its target.
    ///
    /// # Errors
    ///
    /// [`Error::OwnerLost`], [`Error::AttributeLost`], [`Error::Io`].
    pub(crate) fn finish(mut self) -> Result<()> {
        let io = |error: Errno| Error::Io { path: self.path.to_owned(), source: error.into() };
        if let Some(old) = &self.target.old {
            self.keep_owner(old)?;
            self.keep_attributes(old)?;
        }
        rustix::fs::fchmod(&self.file, self.mode).map_err(io)?;
        // As `fsync`, and to the disk where a platform's `fsync` ends at the disk's cache.
        self.file.sync_all().map_err(|source| Error::Io { path: self.path.to_owned(), source })?;
        let directory = &self.target.directory;
        if let Some(temporary) = &self.temporary {
            rustix::fs::renameat(directory, temporary, directory, &self.target.name).map_err(io)?;
        }
        self.temporary = None;
        // A directory that may not be read cannot be synced; its disk can, by any file on it.
        let synced = if self.target.syncable {
            rustix::fs::fsync(directory)
        } else {
            files::sync_disk_of(&self.file)
        };
        match synced {
            // Some file systems, such as those of FUSE, do not sync directories.
            Ok(()) | Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            Err(error) => Err(Error::Io { path: self.path.to_owned(), source: error.into() }),
        }
    }

    fn keep_owner(&self, old: &Old) -> Result<()> {
        let io = |error: Errno| Error::Io { path: self.path.to_owned(), source: error.into() };
        let new = rustix::fs::fstat(&self.file).map_err(io)?;
        let (user, group) = (old.stat.st_uid, old.stat.st_gid);
        let owner = (new.st_uid != user).then(|| Uid::from_raw(user));
        let owners = (new.st_gid != group).then(|| Gid::from_raw(group));
        if owner.is_none() && owners.is_none() {
            return Ok(());
        }
        rustix::fs::fchown(&self.file, owner, owners).map_err(|error| Error::OwnerLost {
            path: self.path.to_owned(),
            user,
            group,
            source: error.into(),
        })
    }

    fn keep_attributes(&self, old: &Old) -> Result<()> {
        let (from, to) = (names(&old.file), names(&self.file));
        let lost = |name: &CStr, error: Errno| Error::AttributeLost {
            path: self.path.to_owned(),
            name: name.to_string_lossy().into_owned(),
            source: error.into(),
        };
        let from = from.map_err(|error| lost(c"*", error))?;
        if to.map_err(|error| lost(c"*", error))?.iter().any(|name| **name == *ACL)
            && !from.iter().any(|name| **name == *ACL)
        {
            rustix::fs::fremovexattr(&self.file, ACL).map_err(|error| lost(ACL, error))?;
        }
        for name in from.iter().filter(|name| !NOT_KEPT.contains(&name.as_c_str())) {
            let value = value(&old.file, name).map_err(|error| lost(name, error))?;
            let Some(value) = value else { continue };
            // The system may have set its own labels already.
            if self::value(&self.file, name).is_ok_and(|there| there.as_ref() == Some(&value)) {
                continue;
            }
            let kept =
                rustix::fs::fsetxattr(&self.file, name.as_c_str(), &value, XattrFlags::empty());
            kept.map_err(|error| lost(name, error))?;
        }
        Ok(())
    }
}

impl Drop for Replacement<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // A file that cannot be removed stays, under a name that starts with a dot.
            let _ = rustix::fs::unlinkat(&self.target.directory, temporary, AtFlags::empty());
        }
    }
}

/// Permissions, without those that a write removes.
fn kept_mode(mode: RawMode) -> Mode {
    let group_runs = if mode & libc::S_IXGRP == 0 { 0 } else { libc::S_ISGID };
    Mode::from_raw_mode(mode & 0o7777 & !(libc::S_ISUID | group_runs))
}

/// A new file beside the one with this name.
fn create(
    directory: &OwnedFd,
    name: &OsStr,
    mode: Mode,
) -> rustix::io::Result<(OwnedFd, OsString)> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut longest = NAME_MAX;
    let mut last = Errno::EXIST;
    for _ in 0..TRIES {
        let bits = random_bits()
            .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))?;
        let temporary = temporary_name(name, bits, longest);
        match rustix::fs::openat(directory, &temporary, flags, mode) {
            Ok(file) => return Ok((file, temporary)),
            Err(Errno::EXIST) => {}
            // Some file systems have shorter names.
            Err(Errno::NAMETOOLONG) if longest == NAME_MAX && name.len() + 16 > NAME_MAX / 2 => {
                (longest, last) = (NAME_MAX / 4, Errno::NAMETOOLONG);
            }
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

/// A name that starts with a dot and, as far as there is room, that of the file.
fn temporary_name(name: &OsStr, bits: [u8; 16], longest: usize) -> OsString {
    let random: String = bits[..8].iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    let room = longest - random.len() - 2;
    let mut end = name.len().min(room);
    // Not within a character, if the name is text.
    if let Some(text) = name.to_str() {
        while !text.is_char_boundary(end) {
            end -= 1;
        }
    }
    let mut temporary = OsString::from(".");
    temporary.push(OsStr::from_bytes(&name.as_bytes()[..end]));
    temporary.push(".");
    temporary.push(random);
    temporary
}

/// The names of a file's extended attributes; none if the file system has none.
fn names(file: &File) -> rustix::io::Result<Vec<CString>> {
    let list =
        grown(|| rustix::fs::flistxattr_query(file), |bytes| rustix::fs::flistxattr(file, bytes));
    let list = match list {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(vec![]),
        list => list?,
    };
    let names = list.split(|&byte| byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| CString::new(name).ok()).collect())
}

/// The value of an attribute; None if it is gone.
fn value(file: &File, name: &CStr) -> rustix::io::Result<Option<Vec<u8>>> {
    let query = || rustix::fs::fgetxattr_query(file, name);
    match grown(query, |bytes| rustix::fs::fgetxattr(file, name, bytes)) {
        Err(NO_ATTRIBUTE) => Ok(None),
        value => value.map(Some),
    }
}

/// The bytes that a call writes, in a buffer of the size that another call returns.
fn grown(
    query: impl Fn() -> rustix::io::Result<usize>,
    call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    loop {
        let mut bytes = vec![0; query()?];
        if bytes.is_empty() {
            return Ok(bytes);
        }
        match call(&mut bytes) {
            Ok(len) => {
                bytes.truncate(len);
                return Ok(bytes);
            }
            // It grew meanwhile.
            Err(Errno::RANGE) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_has_room_for_the_longest_name() {
        for name in ["a.npy".to_owned(), "x".repeat(255), "ü".repeat(127)] {
            for longest in [NAME_MAX, NAME_MAX / 4] {
                let temporary = temporary_name(OsStr::new(&name), [7; 16], longest);
                assert!(temporary.len() <= longest && temporary.to_str().is_some());
                assert!(temporary.to_str().unwrap().starts_with(&format!(".{}", &name[..2])));
            }
        }
        let bytes = OsStr::from_bytes(&[0xff; 255]);
        assert_eq!(temporary_name(bytes, [0; 16], NAME_MAX).len(), 255);
    }

    #[test]
    fn bits_that_give_rights_to_the_user_who_runs_a_file_are_not_kept() {
        for (mode, kept) in
            [(0o104_755, 0o755), (0o102_755, 0o755), (0o102_644, 0o2644), (0o101_604, 0o1604)]
        {
            assert_eq!(kept_mode(mode).as_raw_mode(), kept);
        }
    }
}
