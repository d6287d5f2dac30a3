//! How often this process has forked.
//!
//! A fork copies every claim on shared memory, and nobody counts the copies. A process that gives
//! memory back asks whether there was a fork since the claim was made.

#![expect(unsafe_code, reason = "registers what runs around a fork; see UNSAFE.md")]

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);
static REGISTERED: Once = Once::new();

/// A number that every fork since the first call changes, before it and after it: what is made in
/// between counts as older.
pub(crate) fn count() -> u64 {
    // SAFETY: the function does what may be done around a fork: it adds to an atomic.
    REGISTERED.call_once(|| unsafe {
        libc::pthread_atfork(Some(around_fork), Some(around_fork), Some(around_fork));
    });
    // Relaxed: who drops the last claim on something made before a fork has seen that fork, in its
    // own thread or by way of the thread that handed the claim over.
    FORKS.load(Ordering::Relaxed)
}

extern "C" fn around_fork() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
