//! The number of forks of this process.
//!
//! A fork copies every claim on shared memory, and the copies are not counted. A process that gives
//! memory back checks whether it forked since the claim was made.

#![expect(unsafe_code, reason = "registers what runs around a fork; see UNSAFE.md")]

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);
static REGISTERED: Once = Once::new();

/// A number that every fork since the first call changes, before it and after it: a claim made in
/// between counts as older.
pub(crate) fn count() -> u64 {
    // SAFETY: the function does what may be done around a fork: it adds to an atomic.
    REGISTERED.call_once(|| unsafe {
        libc::pthread_atfork(Some(around_fork), Some(around_fork), Some(around_fork));
    });
    // Relaxed: a thread that drops the last claim on memory made before a fork has seen that fork,
    // in its own thread or through the thread that passed the claim on.
    FORKS.load(Ordering::Relaxed)
}

extern "C" fn around_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
