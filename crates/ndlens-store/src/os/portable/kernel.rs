//! What the kernel says about itself and this process: little, without `/proc`.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::os::portable::shared;

/// The bytes that could be taken now without any process being ended for it: `u64::MAX`, since
/// that is unknown.
pub fn available_bytes() -> u64 {
    u64::MAX
}

/// The value of a setting of the kernel; None, since it is unknown.
pub(crate) fn setting(_name: &str) -> Option<String> {
    None
}

/// The path that the system has for the map around an address; None, since it is unknown.
pub(crate) fn path_of_map(_address: usize) -> Option<PathBuf> {
    None
}

/// Fills bytes with random ones.
pub(crate) fn fill_with_random(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}

/// Whether a process is running; true if that is unknown.
pub fn is_running(process: u32) -> bool {
    !shared::is_gone(process)
}
