//! Descriptors of mapped files that are kept, to read their sizes.
//!
//! Every read of an element checks that the file is as long as it was. By path that takes three
//! times as long as by descriptor, and a process has few descriptors. So the first maps keep
//! theirs, a sixteenth of what `ulimit -n` allows and [`MOST`] at most, and the file of any other
//! map is found by path.
//!
//! A program that becomes a daemon closes descriptors that it does not know, and their numbers are
//! then used for other files. So an answer counts only for the same device and inode, and a
//! descriptor of another file is not closed.
//!
//! # Limitations
//!
//! - Locks of `fcntl` on a file end when the process closes any descriptor of it. They end when the
//!   file is opened here by path. If its descriptor is kept, they also end with the last view.

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::{Resource, getrlimit};

/// Maximum number of descriptors that are kept.
const MOST: usize = 64;

/// The part of the process's descriptors that may be kept.
const PART: u64 = 16;

/// The descriptors that are kept.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// A descriptor that is kept.
#[derive(Debug)]
pub(crate) struct Descriptor {
    /// None only while it drops.
    file: Option<File>,
    /// The device and inode.
    of: (u64, u64),
}

impl Descriptor {
    /// Keeps a file, of this device and inode; closes it if enough are kept.
    pub(crate) fn keep(file: File, of: (u64, u64)) -> Option<Self> {
        let limit = getrlimit(Resource::Nofile).current;
        let most = limit.map_or(MOST, |limit| MOST.min((limit / PART) as usize));
        // Relaxed: a count, which orders nothing.
        let counted = KEPT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |kept| {
            (kept < most).then_some(kept + 1)
        });
        counted.is_ok().then(|| Descriptor { file: Some(file), of })
    }

    /// The size of the file, if it still has a name.
    pub(crate) fn size(&self) -> Option<u64> {
        let stat = self.stat()?;
        (stat.st_nlink > 0).then_some(stat.st_size as u64)
    }

    /// The file's metadata; None if the number is now that of another file, or of none.
    fn stat(&self) -> Option<rustix::fs::Stat> {
        let stat = rustix::fs::fstat(self.file.as_ref()?).ok()?;
        ((stat.st_dev, stat.st_ino) == self.of).then_some(stat)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
        if self.stat().is_none()
            && let Some(file) = self.file.take()
        {
            // Now the descriptor of other code.
            let _ = file.into_raw_fd();
        }
    }
}
