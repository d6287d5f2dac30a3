//! Reads of mapped files that become shorter meanwhile: SIGBUS, as without ndlens.
//!
//! A handler that replaces lost pages needs to know what a system says about a fault, and has been
//! tested on Linux alone. [`Owner::verify`](ndlens_core::Owner) looks at the size of the file
//! before a long read, as everywhere.

use std::marker::PhantomData;

use crate::error::{Error, Result};

/// Maximum number of maps of this crate.
pub const MAPS_MAX: usize = 1 << 16;

/// Maximum number of threads that hold a [`Reading`].
pub const READINGS_MAX: usize = usize::MAX;

/// A map that is guarded: none is.
#[derive(Debug)]
pub(crate) enum Guarded {}

impl Guarded {
    /// None.
    pub(crate) fn register(
        _start: usize,
        _len: usize,
        _shared: bool,
        _path: &std::ffi::CStr,
        _identity: (u64, u64),
    ) -> Option<Self> {
        None
    }

    pub(crate) fn is_damaged(&self) -> bool {
        match *self {}
    }
}

/// A thread that reads mapped files. Its reads are not guarded on this platform.
#[derive(Debug)]
pub struct Reading {
    /// It is this thread's.
    thread: PhantomData<*const ()>,
}

impl Reading {
    /// Begins reads that are not guarded.
    pub fn begin() -> Self {
        Reading { thread: PhantomData }
    }
}

/// # Errors
///
/// [`Error::NoGuard`], always: no thread is guarded on this platform.
pub fn guard_all_threads() -> Result<()> {
    Err(Error::NoGuard)
}
