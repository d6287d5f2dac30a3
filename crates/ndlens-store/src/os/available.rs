//! The available memory, read before memory is taken.
//!
//! Shared memory is taken page by page. If the machine, or the control group of a container, has no
//! more, the system does not refuse: it ends a process. So code that takes much memory checks
//! first. The answer is the system's estimate and can be late. It is read again for every piece, so
//! that it is never late by much.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;

use crate::error::Error;

/// The bytes that could be taken now without any process being ended for it. `u64::MAX` if that is
/// unknown.
pub fn available_bytes() -> u64 {
    let machine =
        fs::read_to_string("/proc/meminfo").ok().and_then(|meminfo| machine_bytes(&meminfo));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = group_directories(&groups, Path::new("/sys/fs/cgroup"));
    let group =
        groups.iter().filter_map(|(directory, version)| group_bytes(directory, *version)).min();
    machine.unwrap_or(u64::MAX).min(group.unwrap_or(u64::MAX))
}

/// The available bytes of `/proc/meminfo`: without swapping, and by swapping.
fn machine_bytes(meminfo: &str) -> Option<u64> {
    let kibibytes = |name| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    let available = kibibytes("MemAvailable")?;
    Some(available.saturating_add(kibibytes("SwapFree").unwrap_or(0)).saturating_mul(1024))
}

/// The two interfaces of control groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// The groups of this process in `/proc/self/cgroup`, and all groups above them, each of which may
/// have a limit.
///
/// In a container the path is sometimes the host's, which does not exist there; its top then is the
/// container's own group.
fn group_directories(groups: &str, mount: &Path) -> Vec<(PathBuf, Version)> {
    let mut directories = vec![];
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (top, version) = match controllers {
            "" => (mount.to_owned(), Version::Two),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mount.join("memory"), Version::One)
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        directories.extend(path.ancestors().map(|group| (top.join(group), version)));
    }
    directories
}

/// The bytes that a group's limit leaves, with the pages of files that the system would take back
/// first; None without a limit.
fn group_bytes(directory: &Path, version: Version) -> Option<u64> {
    let (limit, used, prefix) = match version {
        Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        Version::Two => ("memory.max", "memory.current", ""),
    };
    let number =
        |name: &str| fs::read_to_string(directory.join(name)).ok()?.trim().parse::<u64>().ok();
    // "max" is not a number, and means no limit.
    let (limit, used) = (number(limit)?, number(used)?);
    let stat = fs::read_to_string(directory.join("memory.stat")).unwrap_or_default();
    let of_files: u64 = stat
        .lines()
        .filter_map(|line| line.strip_prefix(prefix)?.split_once(' '))
        .filter(|(name, _)| matches!(*name, "inactive_file" | "active_file"))
        .filter_map(|(_, bytes)| bytes.parse::<u64>().ok())
        .sum();
    Some(limit.saturating_sub(used.saturating_sub(of_files)))
}

/// Bytes that are set aside between two checks of the available memory.
const PIECE_BYTES: usize = 256 << 20;

/// The reason why memory could not be set aside.
pub(crate) enum Shortage {
    Available(u64),
    System(io::Error),
}

impl Shortage {
    pub(crate) fn of(self, len_bytes: usize) -> Error {
        match self {
            Shortage::Available(available) => Error::SharedMemoryExhausted { len_bytes, available },
            Shortage::System(source) => {
                Error::SharedMemory { operation: "reserve", len_bytes, source }
            }
        }
    }
}

/// Sets aside pages for `len` bytes of a file, with a check of the available memory before each
/// piece.
pub(crate) fn reserve(file: &File, offset: usize, len: usize) -> Result<(), Shortage> {
    let mut done = 0;
    while done < len {
        // All the rest, not the next piece alone: a shortage half-way would be found late.
        let available = available_bytes();
        if available < (len - done) as u64 {
            return Err(Shortage::Available(available));
        }
        let piece = (len - done).min(PIECE_BYTES);
        let start = (offset + done) as u64;
        match rustix::fs::fallocate(file.as_fd(), FallocateFlags::empty(), start, piece as u64) {
            Ok(()) => done += piece,
            // The system kept nothing of the piece.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Shortage::System(error.into())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swap_counts_as_memory() {
        let meminfo = "MemTotal:       100 kB\nMemAvailable:    50 kB\nSwapTotal: 20 \
                       kB\nSwapFree:        8 kB\n";
        assert_eq!(machine_bytes(meminfo), Some(58 * 1024));
        assert_eq!(machine_bytes("MemAvailable: 50 kB\n"), Some(50 * 1024));
        assert_eq!(machine_bytes("MemTotal: 100 kB\n"), None);
    }

    #[test]
    fn every_group_above_a_process_may_limit_it() {
        let mount = Path::new("/m");
        let two = group_directories("0::/a/b\n", mount);
        let paths: Vec<_> = two.iter().map(|(path, _)| path.to_str().unwrap()).collect();
        assert_eq!(paths, ["/m/a/b", "/m/a", "/m/"]);
        let one = group_directories("5:cpu:/x\n4:memory,hugetlb:/c\n", mount);
        assert_eq!(one[0], (PathBuf::from("/m/memory/c"), Version::One));
        assert_eq!(one.len(), 2);
    }

    #[test]
    fn a_group_leaves_what_its_limit_and_its_files_do() {
        for (version, limit, used, prefix) in [
            (Version::Two, "memory.max", "memory.current", ""),
            (Version::One, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        ] {
            let group = tempfile::tempdir().unwrap();
            let write =
                |name: &str, text: String| fs::write(group.path().join(name), text).unwrap();
            assert_eq!(group_bytes(group.path(), version), None);
            write(limit, "max\n".into());
            write(used, "700\n".into());
            assert_eq!(group_bytes(group.path(), version), None);
            write(limit, "1000\n".into());
            assert_eq!(group_bytes(group.path(), version), Some(300));
            write(
                "memory.stat",
                format!("anon 5\n{prefix}inactive_file 100\n{prefix}active_file 50\n"),
            );
            assert_eq!(group_bytes(group.path(), version), Some(450));
        }
    }

    #[test]
    fn this_machine_has_memory() {
        assert!(available_bytes() > 1 << 20);
    }
}
