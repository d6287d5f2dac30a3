//! Memory that processes share, the processes that hold it, and locks on names, where there is
//! neither memfd nor `/proc`.
//!
//! The memory is a file in a directory of the user's, with its id in its name. Each process that
//! holds it has a shared lock on it (`flock`), which the system gives up with the process. A
//! process that drops it asks for an exclusive lock: if it gets one, no other process holds the
//! memory, and the file is removed. So no list could be wrong: the locks are the list.
//!
//! ```text
//!  create   <id>.<label>   shared lock      fill
//!  open     <id>.<label>   shared lock      is it still there? no: it is gone
//!  drop     close          exclusive lock   got it? then nobody holds it: remove
//! ```
//!
//! A process that is killed, or ends while it holds memory, removes nothing. The next process that
//! shares removes all files that are not locked, and one that ends in order those it holds alone.
//!
//! # Rationale
//!
//! `shm_open` has no list of its names, no locks, and on macOS no identity of a file, so what a
//! killed process leaves could not be found. A file has all of these everywhere.
//!
//! # Limitations
//!
//! - On macOS the directory is on a disk, and the system may write pages there. All processes must
//!   have the same `TMPDIR`.
//! - A process of the user can shorten the file; an access to a lost page is SIGBUS.
//! - Pages that were set aside stay so until the file is removed.
//! - The system does not show which processes hold a file.

#![expect(unsafe_code, reason = "registers what runs at exit; see UNSAFE.md")]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::os::process::PerProcess;

/// Where processes find each other's memory, for messages.
pub(crate) const PLACE: &str = "a directory of the user's, which cannot be used here";

/// The end of the names of memory without a name of its own.
const LABEL: &str = "ndlens";

/// Zeros that are written at once, to set pages aside.
const ZEROS: &[u8] = &[0; 64 << 10];

/// Minimum time between two searches for files that nobody holds.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Number of tries for a file that another process removes meanwhile.
const TRIES: usize = 100;

/// The files that this process holds, by their paths, and the time of the last search. A forked
/// child holds its parent's by the same locks, and removes none of them when it ends.
static HELD: PerProcess<Held> = PerProcess::new(|_| Held::default());

#[derive(Debug, Default)]
struct Held {
    descriptors: HashMap<PathBuf, RawFd>,
    swept: Option<Instant>,
}

/// A file in the directory, locked as long as this is held.
#[derive(Debug)]
pub(crate) struct SharedFile {
    /// None once it is closed, or forgotten.
    file: Option<File>,
    path: PathBuf,
    process: u32,
}

impl SharedFile {
    /// `len` bytes, of which none is set aside yet, in a file with the id and `label` in its name.
    ///
    /// # Errors
    ///
    /// The operation that the system refused, and its error.
    pub(crate) fn create(
        id: &[u8; 16],
        label: &str,
        len: u64,
    ) -> Result<Self, (&'static str, io::Error)> {
        let failed = |error| ("create", error);
        let directory = directory().map_err(failed)?;
        sweep(&directory);
        let path = directory.join(format!("{}.{label}", hex(id)));
        for _ in 0..TRIES {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create_new(true).mode(0o600);
            let file = options.open(&path).map_err(failed)?;
            // Another process may take it for one that nobody holds before it is locked.
            if lock_and_check(&file, FlockOperation::LockShared).map_err(failed)? {
                file.set_len(len).map_err(failed)?;
                return Ok(SharedFile::held(file, path));
            }
        }
        Err(failed(io::ErrorKind::WouldBlock.into()))
    }

    /// Opens a file of the directory for mapping.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if it is gone; those of the system.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
        // An exclusive lock is that of a process that removes it.
        if lock_and_check(&file, FlockOperation::NonBlockingLockShared)? {
            Ok(SharedFile::held(file, path.to_owned()))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn held(file: File, path: PathBuf) -> Self {
        static REGISTERED: Once = Once::new();
        // SAFETY: the function takes and gives what `atexit` says, and may be called at any time.
        REGISTERED.call_once(|| unsafe {
            libc::atexit(remove_at_exit);
        });
        HELD.lock().descriptors.entry(path.clone()).or_insert(file.as_raw_fd());
        SharedFile { file: Some(file), path, process: process::id() }
    }

    pub(crate) fn file(&self) -> &File {
        self.file.as_ref().expect("the file is open until it is dropped")
    }

    /// Whether it can be the memory of an arena: nobody shortens the files of the directory.
    #[expect(clippy::unused_self, reason = "other platforms look at the file")]
    pub(crate) fn keeps_length(&self) -> bool {
        true
    }

    /// The bytes that could be set aside now: those that are free where the file is.
    pub(crate) fn available(&self) -> u64 {
        let disk = rustix::fs::fstatvfs(self.file());
        disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// Sets pages aside, so that a write to them cannot fail: writes zeros to them. Nothing is
    /// lost, since pages are never given back, and none is handed out before it is set aside.
    pub(crate) fn set_aside(&self, start: u64, len: usize) -> io::Result<()> {
        let mut done = 0;
        while done < len {
            let zeros = &ZEROS[..ZEROS.len().min(len - done)];
            self.file().write_all_at(zeros, start + done as u64)?;
            done += zeros.len();
        }
        Ok(())
    }

    /// Gives pages back to the system: false, since no call does that.
    #[expect(clippy::unused_self, reason = "other platforms can")]
    pub(crate) fn give_back(&self, _start: u64, _len: usize) -> bool {
        false
    }

    /// Forgets a descriptor that belongs to other code, which closes it.
    pub(crate) fn forget(mut self) {
        if let Some(file) = self.file.take() {
            let _ = file.into_raw_fd();
        }
    }
}

impl Drop for SharedFile {
    fn drop(&mut self) {
        let file = self.file.take();
        if self.process != process::id() {
            return;
        }
        let mut held = HELD.lock();
        // The file may be open a second time, which this process found by its id.
        if let Some(file) = &file
            && held.descriptors.get(&self.path) == Some(&file.as_raw_fd())
        {
            held.descriptors.remove(&self.path);
        }
        drop(held);
        drop(file);
        remove_if_free(&self.path);
    }
}

/// Locks a file, and says whether it is still in its directory: false if another process has the
/// exclusive lock, or removed it.
fn lock_and_check(file: &File, operation: FlockOperation) -> io::Result<bool> {
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(file.metadata()?.nlink() > 0),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Removes a file that no process holds.
fn remove_if_free(path: &Path) {
    let options = || OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path);
    let Ok(file) = options() else { return };
    if lock_and_check(&file, FlockOperation::NonBlockingLockExclusive).unwrap_or(false) {
        let _ = fs::remove_file(path);
    }
}

/// Removes files that no process holds, as those of processes that were killed.
fn sweep(directory: &Path) {
    {
        let mut held = HELD.lock();
        if held.swept.is_some_and(|swept| swept.elapsed() < SWEEP_INTERVAL) {
            return;
        }
        held.swept = Some(Instant::now());
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        remove_if_free(&entry.path());
    }
}

/// Removes the files that this process alone holds, when it ends.
extern "C" fn remove_at_exit() {
    let held = std::mem::take(&mut HELD.lock().descriptors);
    for (path, descriptor) in held {
        // SAFETY: the descriptor is only asked about and locked. If other code closed it, both
        // calls fail; if it is another file's by now, the comparison says so.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let is_ours = rustix::fs::fstat(descriptor).is_ok_and(|stat| {
            fs::metadata(&path)
                .is_ok_and(|there| super::files::identity(&stat) == (there.dev(), there.ino()))
        });
        let operation = FlockOperation::NonBlockingLockExclusive;
        if is_ours && rustix::fs::flock(descriptor, operation).is_ok() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// The directory of this user, made if it is not there.
fn directory() -> io::Result<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    // In memory, where Linux has a file system that is.
    let memory = Path::new("/dev/shm");
    let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let directory = above.join(format!("ndlens-{user}"));
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Another user may have made it.
    let metadata = fs::symlink_metadata(&directory)?;
    if metadata.is_dir() && metadata.uid() == user && metadata.mode() & 0o777 == 0o700 {
        return Ok(directory);
    }
    let problem = format!("{} is not a directory of this user alone", directory.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

fn hex(id: &[u8; 16]) -> String {
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A lock on a name, which ends with the descriptor; None if another process or thread holds it.
pub(crate) fn lock(name: &str) -> io::Result<Option<OwnedFd>> {
    let path = directory()?.join(format!("lock.{name}"));
    for _ in 0..TRIES {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(libc::O_NOFOLLOW).open(&path)?;
        if lock_and_check(&file, FlockOperation::NonBlockingLockExclusive)? {
            return Ok(Some(file.into()));
        }
        if file.metadata()?.nlink() > 0 {
            return Ok(None);
        }
        // It was removed before it was locked.
    }
    Ok(None)
}

/// Checks that this process has the directory.
pub(crate) fn check() -> io::Result<()> {
    directory().map(|_| ())
}

/// Whether a process hides what it holds: none does.
pub(crate) fn is_hidden(_process: u32) -> bool {
    false
}

/// Whether there is no process with this number.
pub(crate) fn is_gone(process: u32) -> bool {
    let number = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    number.is_none_or(|number| rustix::process::test_kill_process(number) == Err(Errno::SRCH))
}

/// Whether a path leads into the directory.
pub(crate) fn is_ours(path: &Path) -> bool {
    directory().is_ok_and(|directory| path.parent() == Some(&directory))
}

/// The path by which other processes find a file that has no label of its own.
pub(crate) fn path_of(_process: u32, _descriptor: u32, id: &[u8; 16]) -> PathBuf {
    directory().unwrap_or_default().join(format!("{}.{LABEL}", hex(id)))
}

fn paths() -> impl Iterator<Item = PathBuf> {
    let entries = directory().and_then(fs::read_dir).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// The files with this label.
pub(crate) fn labelled(label: &str) -> impl Iterator<Item = PathBuf> {
    let end = format!(".{label}");
    paths().filter(move |path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.len() == 2 * size_of::<[u8; 16]>() + end.len() && name.ends_with(end.as_bytes())
    })
}

/// The paths of a file.
pub(crate) fn paths_of_file(device: u64, inode: u64) -> impl Iterator<Item = PathBuf> {
    paths().filter(move |path| {
        fs::metadata(path).is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == (device, inode))
    })
}

/// # Errors
///
/// [`io::ErrorKind::Unsupported`], always: the system does not show which processes hold a file.
pub(crate) fn processes_with(_device: u64, _inode: u64) -> io::Result<Vec<u32>> {
    let problem = "this platform does not show which processes hold a file";
    Err(io::Error::new(io::ErrorKind::Unsupported, problem))
}

/// Whether another process of this user is known to hold a file: none is.
pub(crate) fn others_hold(_device: u64, _inode: u64) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shm::arena::Arena;

    fn new(label: &str) -> SharedFile {
        let id = crate::os::ids::random_bits().unwrap();
        SharedFile::create(&id, label, 10_000).unwrap()
    }

    #[test]
    fn a_file_is_there_as_long_as_anyone_holds_it_and_no_longer() {
        let first = new("test-held");
        let second = SharedFile::open(&first.path).unwrap();
        let path = first.path.clone();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
        assert_eq!(SharedFile::open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_by_the_next_that_shares() {
        let left = directory().unwrap().join("0000.test-left");
        fs::write(&left, b"x").unwrap();
        let held = new("test-kept");
        HELD.lock().swept = None;
        drop(new("test-next"));
        assert!(!left.exists() && held.path.exists());
    }

    #[test]
    fn memory_is_found_by_its_label_and_by_its_file() {
        let label = format!("ndlens:shared-{}", process::id());
        assert_eq!(labelled(&label).count(), 0);
        let arena = Arena::create_sparse(&label, 10).unwrap();
        assert_eq!(labelled(&label).count(), 1);
        assert_eq!(paths_of_file(arena.device(), arena.inode()).count(), 1);
        assert!(paths_of_file(arena.device(), arena.inode()).all(|path| is_ours(&path)));
        drop(arena);
        assert_eq!(labelled(&label).count(), 0);
    }

    #[test]
    fn the_directory_is_this_user_s_alone() {
        let metadata = fs::metadata(directory().unwrap()).unwrap();
        assert_eq!(metadata.mode() & 0o777, 0o700);
    }

    #[test]
    fn a_process_is_gone_if_its_number_is_not_one() {
        check().unwrap();
        assert!(!is_gone(process::id()) && !is_hidden(process::id()));
        assert!(is_gone(u32::MAX));
    }

    #[test]
    fn which_processes_hold_a_file_is_not_known() {
        let error = processes_with(1, 2).unwrap_err();
        assert_eq!(error.to_string(), "this platform does not show which processes hold a file");
        assert!(!others_hold(1, 2));
    }
}
