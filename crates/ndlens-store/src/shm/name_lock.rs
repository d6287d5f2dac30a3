//! A lock on a name: one process at a time may create its memory.
//!
//! The lock is a socket that is bound to the name in Linux's abstract namespace: only one socket
//! can be bound, no file is on disk, and the system removes it with the process, however that ends.
//!
//! A forked child would hold its parent's socket too, and may outlive the parent. So the child
//! closes the socket before it runs other code.
//!
//! # Limitations
//!
//! - Another user of the machine can bind the name first, and keeps it then.
//! - Processes in other network namespaces have separate locks.

#![expect(unsafe_code, reason = "closes a descriptor in a forked child; see UNSAFE.md")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

/// Maximum number of names that one process can create at once; a further one waits.
const MOST_HELD: usize = 16;

/// No descriptor.
const NONE: i32 = -1;

/// The descriptors that a child must not keep.
static HELD: [AtomicI32; MOST_HELD] = [const { AtomicI32::new(NONE) }; MOST_HELD];

/// Held while `HELD` and the descriptors do not agree, and by a fork, which so never copies that
/// moment.
static GATE: AtomicBool = AtomicBool::new(false);

static REGISTERED: Once = Once::new();

/// The lock; unlocked on drop.
#[derive(Debug)]
pub(crate) struct NameLock {
    socket: Option<OwnedFd>,
    place: usize,
    process: u32,
}

impl NameLock {
    /// The lock, or None if another process or thread holds it.
    pub(crate) fn try_acquire(name: &str) -> io::Result<Option<Self>> {
        let address = SocketAddr::from_abstract_name(name)?;
        // SAFETY: the three functions do what may be done around a fork: they touch atomics, wait
        // for threads that hold the gate for a few system calls, and close descriptors.
        REGISTERED.call_once(|| unsafe {
            libc::pthread_atfork(
                Some(before_fork),
                Some(after_fork_in_parent),
                Some(after_fork_in_child),
            );
        });
        close_gate();
        let acquired = (|| {
            // Relaxed: the gate orders all accesses of `HELD`.
            let Some(place) = HELD.iter().position(|held| held.load(Ordering::Relaxed) == NONE)
            else {
                return Ok(None);
            };
            match UnixDatagram::bind_addr(&address) {
                Ok(socket) => {
                    HELD[place].store(socket.as_raw_fd(), Ordering::Relaxed);
                    Ok(Some(NameLock {
                        socket: Some(socket.into()),
                        place,
                        process: process::id(),
                    }))
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
                Err(error) => Err(error),
            }
        })();
        open_gate();
        acquired
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        let socket = self.socket.take();
        if process::id() != self.process {
            // Closed when the fork was made; the number may be another file's by now.
            std::mem::forget(socket);
            return;
        }
        close_gate();
        HELD[self.place].store(NONE, Ordering::Relaxed);
        drop(socket);
        open_gate();
    }
}

fn close_gate() {
    // Acquire: sees what the last holder did.
    while GATE.swap(true, Ordering::Acquire) {
        thread::yield_now();
    }
}

fn open_gate() {
    // Release: shows the next holder what was done.
    GATE.store(false, Ordering::Release);
}

extern "C" fn before_fork() {
    close_gate();
}

extern "C" fn after_fork_in_parent() {
    open_gate();
}

extern "C" fn after_fork_in_child() {
    for held in &HELD {
        let descriptor = held.swap(NONE, Ordering::Relaxed);
        if descriptor != NONE {
            // SAFETY: the child's copy of a socket that a NameLock owns, which forgets it in this
            // process.
            unsafe { libc::close(descriptor) };
        }
    }
    open_gate();
}

/// The effect of forks on locks is tested in `tests/processes/test_named.py`, where a fork copies
/// no other test.
#[cfg(test)]
mod tests {
    use super::*;

    fn name(of: &str) -> String {
        format!("ndlens-test/{}/{of}", process::id())
    }

    #[test]
    fn only_one_holds_a_name() {
        let first = NameLock::try_acquire(&name("a")).unwrap().unwrap();
        assert!(NameLock::try_acquire(&name("a")).unwrap().is_none());
        assert!(NameLock::try_acquire(&name("b")).unwrap().is_some());
        drop(first);
        assert!(NameLock::try_acquire(&name("a")).unwrap().is_some());
    }
}
