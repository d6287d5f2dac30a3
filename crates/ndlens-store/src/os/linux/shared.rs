//! Memory that processes share, the processes that hold it, and locks on names.
//!
//! The memory is a memfd, a file in memory without a path, which is sealed: no process, not even
//! its creator, can change its length. The system frees it with the last process that holds it.
//!
//! The processes that hold it are found in `/proc`. `/proc/<pid>/fd/<number>` is a link that names
//! the file of a descriptor. Processes of the same user can open the file by it. A process may end,
//! or close a descriptor, during the search: then it does not hold the memory, which is not an
//! error.
//!
//! A lock is a socket that is bound to the name in Linux's abstract namespace: only one socket can
//! be bound, no file is on disk, and the system removes it with the process, however that ends.
//!
//! # Limitations
//!
//! - Another user of the machine can bind a name first, and keeps it then. Processes in other
//!   network namespaces have separate locks.
//! - A process that is not dumpable shows its descriptors to the superuser only. A process is not
//!   dumpable after `prctl(PR_SET_DUMPABLE, 0)`, and after it changed its user, until it runs
//!   another program.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process;

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};

use crate::os::linux::kernel::available_bytes;

/// Where processes find each other's memory, for messages.
pub(crate) const PLACE: &str = "/proc, and /proc/self/fd cannot be read here";

/// The seals of every file: one with these keeps its length.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// A file in memory.
#[derive(Debug)]
pub(crate) struct SharedFile(File);

impl SharedFile {
    /// `len` bytes, of which none is set aside yet. `/proc/<pid>/fd` and `/proc/<pid>/maps` show
    /// `label`.
    ///
    /// # Errors
    ///
    /// The operation that the system refused, and its error.
    pub(crate) fn create(
        _id: &[u8; 16],
        label: &str,
        len: u64,
    ) -> Result<Self, (&'static str, io::Error)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file =
            rustix::fs::memfd_create(label, flags).map_err(|error| ("create", error.into()))?;
        let file = File::from(file);
        file.set_len(len).map_err(|error| ("create", error))?;
        rustix::fs::fcntl_add_seals(&file, SEALS | SealFlags::SEAL)
            .map_err(|error| ("seal", error.into()))?;
        Ok(SharedFile(file))
    }

    /// Opens a link of `/proc/<pid>/fd` for mapping.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        Ok(SharedFile(file))
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    /// Whether it can be the memory of an arena: only a memfd has seals, and with these its map
    /// stays valid.
    pub(crate) fn keeps_length(&self) -> bool {
        rustix::fs::fcntl_get_seals(&self.0).is_ok_and(|seals| seals.contains(SEALS))
    }

    /// The bytes that could be set aside now without any process being ended for it.
    #[expect(clippy::unused_self, reason = "other platforms ask the file's disk")]
    pub(crate) fn available(&self) -> u64 {
        available_bytes()
    }

    /// Sets pages aside, so that a write to them cannot fail.
    pub(crate) fn set_aside(&self, start: u64, len: usize) -> io::Result<()> {
        Ok(rustix::fs::fallocate(&self.0, FallocateFlags::empty(), start, len as u64)?)
    }

    /// Gives pages back to the system, if it can take them: they are zeros from then on, and not
    /// set aside.
    pub(crate) fn give_back(&self, start: u64, len: usize) -> bool {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&self.0, flags, start, len as u64).is_ok()
    }

    /// Forgets a descriptor that belongs to other code, which closes it.
    pub(crate) fn forget(self) {
        let _ = self.0.into_raw_fd();
    }
}

/// A lock on a name, which ends with the descriptor; None if another process or thread holds it.
pub(crate) fn lock(name: &str) -> io::Result<Option<OwnedFd>> {
    let user = rustix::process::geteuid().as_raw();
    let address = SocketAddr::from_abstract_name(format!("ndlens/{user}/{name}"))?;
    match UnixDatagram::bind_addr(&address) {
        Ok(socket) => Ok(Some(socket.into())),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(error) => Err(error),
    }
}

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

/// Whether a path under `/proc/<pid>/fd` leads to one of ndlens's files in memory.
pub(crate) fn is_ours(descriptor: &Path) -> bool {
    fs::read_link(descriptor)
        .is_ok_and(|link| link.as_os_str().as_encoded_bytes().starts_with(LABEL.as_bytes()))
}

/// The path by which other processes find a file: by the process that holds it, its descriptor
/// there, and the id of the memory.
pub(crate) fn path_of(process: u32, descriptor: u32, _id: &[u8; 16]) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/fd/{descriptor}"))
}

/// The files in memory with this label that this user's processes hold.
pub(crate) fn labelled(label: &str) -> impl Iterator<Item = PathBuf> {
    let wanted = PathBuf::from(format!("/memfd:{label} (deleted)"));
    descriptors(None, move |link| link == wanted)
}

/// The processes of this user, except this one, that hold a file.
///
/// # Errors
///
/// `/proc` does not show processes.
pub(crate) fn processes_with(device: u64, inode: u64) -> io::Result<Vec<u32>> {
    check()?;
    // "/proc/<pid>/fd/<number>"
    let process = |path: PathBuf| path.components().nth(2)?.as_os_str().to_str()?.parse().ok();
    let descriptors = of_file(device, inode, Some(process::id()));
    let mut processes: Vec<u32> = descriptors.filter_map(process).collect();
    processes.sort_unstable();
    processes.dedup();
    Ok(processes)
}

/// Whether another process of this user is known to hold a file.
pub(crate) fn others_hold(device: u64, inode: u64) -> bool {
    of_file(device, inode, Some(process::id())).next().is_some()
}

/// The paths of a file that this user's processes hold.
pub(crate) fn paths_of_file(device: u64, inode: u64) -> impl Iterator<Item = PathBuf> {
    of_file(device, inode, None)
}

/// The descriptors of this user's processes, except those of `skip`, with the given link.
fn descriptors(skip: Option<u32>, wanted: impl Fn(&Path) -> bool) -> impl Iterator<Item = PathBuf> {
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
fn of_file(device: u64, inode: u64, skip: Option<u32>) -> impl Iterator<Item = PathBuf> {
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
    fn a_file_that_is_no_arena_is_not_mapped_as_one() {
        let plain = tempfile::tempfile().unwrap();
        plain.set_len(1 << 16).unwrap();
        assert!(Arena::adopt(SharedFile(plain)).unwrap().is_none());

        let memfd = |len, seals| {
            let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
            let file = File::from(rustix::fs::memfd_create("ndlens", flags).unwrap());
            file.set_len(len).unwrap();
            rustix::fs::fcntl_add_seals(&file, seals).unwrap();
            SharedFile(file)
        };
        for (len, seals) in [(1 << 16, SealFlags::GROW), (1 << 16, SEALS), (100, SEALS), (0, SEALS)]
        {
            assert!(Arena::adopt(memfd(len, seals)).unwrap().is_none());
        }
    }

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
        assert_eq!(labelled(&label).count(), 0);
        let _arena = Arena::create_sparse(&label, 10).unwrap();
        assert_eq!(labelled(&label).count(), 1);
    }
}
