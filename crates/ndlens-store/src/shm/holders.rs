//! The processes that hold shared memory, found in `/proc`.
//!
//! `/proc/<pid>/fd/<number>` is a link that names the file of a descriptor. Processes of the same
//! user can open the file by it. A process may end, or close a descriptor, during the search: then
//! it does not hold the memory, which is not an error.
//!
//! # Limitations
//!
//! - A process that is not dumpable shows its descriptors to the superuser only. A process is not
//!   dumpable after `prctl(PR_SET_DUMPABLE, 0)`, and after it changed its user, until it runs
//!   another program.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;

/// The start of the links of ndlens's files in memory.
const LABEL: &str = "/memfd:ndlens";

/// Checks that `/proc` shows processes, and among them this one. If it does not, a search that
/// finds no holder proves nothing.
pub(crate) fn check() -> io::Result<()> {
    fs::read_dir("/proc/self/fd")?;
    // The `/proc` of other process ids, as in a container that did not mount its own.
    let link = fs::read_link("/proc/self")?;
    if link.as_os_str().as_encoded_bytes() == process::id().to_string().as_bytes() {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "/proc/self is process {}, and this one {}",
            link.display(),
            process::id()
        )))
    }
}

/// Whether a process runs as this user and hides its descriptors from it.
pub(crate) fn is_hidden(process: u32) -> bool {
    let directory = PathBuf::from(format!("/proc/{process}"));
    let user = rustix::process::geteuid().as_raw();
    // The files in the directory of a process that is not dumpable belong to the superuser.
    let owner = fs::metadata(directory.join("fd")).map(|metadata| metadata.uid());
    let status = fs::read_to_string(directory.join("status")).unwrap_or_default();
    let runs_as = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().nth(1)?.parse().ok());
    owner.is_ok_and(|owner| owner != user) && runs_as == Some(user)
}

/// Whether there is no process with this number; false without `/proc`.
pub(crate) fn is_gone(process: u32) -> bool {
    check().is_ok() && !Path::new("/proc").join(process.to_string()).exists()
}

/// Opens a link of `/proc/<pid>/fd` for mapping.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// Whether a path under `/proc/<pid>/fd` leads to one of ndlens's files in memory.
pub(crate) fn is_ours(descriptor: &Path) -> bool {
    fs::read_link(descriptor)
        .is_ok_and(|link| link.as_os_str().as_encoded_bytes().starts_with(LABEL.as_bytes()))
}

/// The link of a file in memory with this label.
pub(crate) fn link(label: &str) -> PathBuf {
    PathBuf::from(format!("/memfd:{label} (deleted)"))
}

/// The descriptors of this user's processes, except those of `skip`, with the given link.
pub(crate) fn descriptors(
    skip: Option<u32>,
    wanted: impl Fn(&Path) -> bool,
) -> impl Iterator<Item = PathBuf> {
    // The effective user, since the system checks that one's access.
    let user = rustix::process::geteuid().as_raw();
    let skip = skip.map(|process| process.to_string());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().filter(move |entry| {
        let name = entry.file_name();
        let number = name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        let skipped = skip.as_ref().is_some_and(|skip| name.as_encoded_bytes() == skip.as_bytes());
        number && !skipped && entry.metadata().is_ok_and(|metadata| metadata.uid() == user)
    });
    let descriptors = processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    let descriptors = descriptors.flatten().flatten().map(|descriptor| descriptor.path());
    descriptors.filter(move |path| fs::read_link(path).is_ok_and(|link| wanted(&link)))
}

/// The descriptors of this user's processes that are of one of ndlens's files in memory.
pub(crate) fn of_file(device: u64, inode: u64, skip: Option<u32>) -> impl Iterator<Item = PathBuf> {
    let ours = |link: &Path| link.as_os_str().as_encoded_bytes().starts_with(LABEL.as_bytes());
    descriptors(skip, ours).filter(move |path| {
        fs::metadata(path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (device, inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::arena::Arena;

    #[test]
    fn who_holds_an_arena_is_found() {
        let arena = Arena::create(10).unwrap();
        let holders: Vec<_> = of_file(arena.device(), arena.inode(), None).collect();
        assert_eq!(holders.len(), 1);
        assert!(holders[0].starts_with(format!("/proc/{}/fd", process::id())));
        assert!(is_ours(&holders[0]));
        assert_eq!(of_file(arena.device(), arena.inode(), Some(process::id())).count(), 0);
        let (device, inode) = (arena.device(), arena.inode());
        drop(arena);
        assert_eq!(of_file(device, inode, None).count(), 0);
    }

    #[test]
    fn this_process_is_shown_and_hides_nothing() {
        check().unwrap();
        assert!(!is_hidden(process::id()) && !is_gone(process::id()));
        assert!(!is_hidden(u32::MAX) && is_gone(u32::MAX));
    }

    #[test]
    fn a_descriptor_is_found_by_its_link() {
        let label = format!("ndlens:holders-{}", process::id());
        let wanted = link(&label);
        assert_eq!(descriptors(None, |link| link == wanted).count(), 0);
        let _arena = Arena::create_sparse(&label, 10).unwrap();
        assert_eq!(descriptors(None, |link| link == wanted).count(), 1);
    }
}
