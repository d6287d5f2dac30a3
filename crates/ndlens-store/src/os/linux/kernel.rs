//! What the kernel says in `/proc`: the available memory, settings, the file of a map.
//!
//! The available memory is read before memory is taken. Shared memory is taken page by page. If the
//! machine, or the control group of a container, has no more, the system does not refuse: it ends a
//! process. So code that takes much memory checks first. The answer is the system's estimate and
//! can be late. It is read again for every piece, so that it is never late by much.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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

/// The value of a setting of the kernel, as `vm/max_map_count`; None if it is unknown.
pub(crate) fn setting(name: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/sys/{name}")).ok()
}

/// Fills bytes with random ones.
pub(crate) fn fill_with_random(bytes: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[done..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => done += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Whether a process is running; true if that is unknown.
pub fn is_running(process: u32) -> bool {
    match fs::read_to_string(format!("/proc/{process}/stat")) {
        // The state follows the name, which may be any text in brackets.
        Ok(stat) => !stat.rsplit(") ").next().is_some_and(|state| state.starts_with(['Z', 'X'])),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// The path that the system has for the map around an address.
pub(crate) fn path_of_map(address: usize) -> Option<PathBuf> {
    mapped_path(&fs::read("/proc/self/maps").ok()?, address)
}

/// The path that a line of `/proc/self/maps` gives for the map around an address.
fn mapped_path(maps: &[u8], address: usize) -> Option<PathBuf> {
    let path = maps.split(|&byte| byte == b'\n').find_map(|line| {
        // start-end, permissions, offset, device, inode; then spaces and the path.
        let mut fields = line.splitn(6, |&byte| byte == b' ');
        let (start, end) = std::str::from_utf8(fields.next()?).ok()?.split_once('-')?;
        let number = |digits| usize::from_str_radix(digits, 16).ok();
        let range = number(start)?..number(end)?;
        range.contains(&address).then(|| fields.nth(4).map(<[u8]>::trim_ascii_start))
    })??;
    Some(PathBuf::from(OsStr::from_bytes(&unescaped(path))))
}

/// The kernel writes a line feed in a path as `\012`.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        let line_feed = rest.starts_with(b"\\012");
        bytes.push(if line_feed { b'\n' } else { first });
        rest = if line_feed { &rest[4..] } else { after };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"7f00-7f10 rw-p 00000000 fe:00 12                         /a b/c\\012d\n\
                          7f10-7f20 r--s 00000000 fe:00 13                         /e (deleted)\n\
                          7f20-7f30 rw-p 00000000 00:00 0\n";

    #[test]
    fn a_map_is_found_by_an_address_in_it() {
        assert_eq!(mapped_path(MAPS, 0x7f0f), Some("/a b/c\nd".into()));
        assert_eq!(mapped_path(MAPS, 0x7f10), Some("/e (deleted)".into()));
        assert_eq!(mapped_path(MAPS, 0x7f20), None);
        assert_eq!(mapped_path(MAPS, 0x7f30), None);
        assert_eq!(mapped_path(b"", 0), None);
    }

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
