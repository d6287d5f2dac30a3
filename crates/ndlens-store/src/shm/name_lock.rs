//! A lock on a name: one process at a time may create its memory.
//!
//! The lock is a descriptor that only one process can have ([`shared::lock`]). The system gives it
//! up with the process, however that ends.
//!
//! A forked child would hold its parent's descriptor too, and may outlive the parent. So the child
//! closes it before it runs other code.

#![expect(unsafe_code, reason = "closes a descriptor in a forked child; see UNSAFE.md")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

use crate::os::shared;

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
    descriptor: Option<OwnedFd>,
    place: usize,
    process: u32,
}

impl NameLock {
    /// The lock, or None if another process or thread holds it.
    pub(crate) fn try_acquire(name: &str) -> io::Result<Option<Self>> {
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
            let Some(descriptor) = shared::lock(name)? else { return Ok(None) };
            HELD[place].store(descriptor.as_raw_fd(), Ordering::Relaxed);
            Ok(Some(NameLock { descriptor: Some(descriptor), place, process: process::id() }))
        })();
        open_gate();
        acquired
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        let descriptor = self.descriptor.take();
        if process::id() != self.process {
            // Closed when the fork was made; the number may be another file's by now.
            std::mem::forget(descriptor);
            return;
        }
        close_gate();
        HELD[self.place].store(NONE, Ordering::Relaxed);
        drop(descriptor);
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
            // SAFETY: the child's copy of a descriptor that a NameLock owns, which forgets it in
            // this process.
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
        format!("test-{}-{of}", process::id())
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
