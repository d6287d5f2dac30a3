//! The locks and threads of this crate, in one place: std's, or under `--cfg loom` those of loom,
//! which tries every order of events.
//!
//! Reference counts stay std's, since loom has no weak ones. loom checks the code under locks and
//! between threads.

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::{Builder, JoinHandle},
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::{Builder, JoinHandle},
};
