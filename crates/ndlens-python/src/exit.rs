//! Threads that run this crate's code when the interpreter ends.
//!
//! Up to Python 3.13, a daemon thread
//! that asks for the interpreter while it is ending is ended by `pthread_exit`, which unwinds its
//! stack. Rust's frames cannot be unwound in that way: the process aborts. So no daemon thread may
//! wait for the interpreter in this crate by then:
//!
//! ```text
//!  daemon thread  ..| works detached | gate is closed: parks until the process is gone
//!  main thread    ..exit handlers.. | gate closes: waits for threads inside | interpreter ends
//! ```
//!
//! A thread is *inside* while it may have to wait for the interpreter below a frame of ours: while
//! we call Python, and while we return from detached work.
//!
//! # Rationale
//!
//! Exit handlers run in reverse order of their registration, and may wait for daemon threads, as
//! multiprocessing waits for those that feed its queues. So the gate closes after the last handler:
//! the interpreter then drops what handlers hold, and one of our handlers holds the gate.
//!
//! # Limitations
//!
//! - User code that we call and that does not return keeps its thread inside. After a timeout the
//!   interpreter ends without it.

#![expect(clippy::disallowed_methods, reason = "what they are disallowed for is done here")]

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use pyo3::sync::MutexExt;

use crate::threads;

/// Longest time that the interpreter waits for threads that are inside.
const PATIENCE: Duration = Duration::from_secs(5);

/// Calls that are inside, of threads that are being torn down: they have no record.
static INSIDE: AtomicUsize = AtomicUsize::new(0);

/// Whether only the thread that ends the interpreter may enter.
static CLOSED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// Nested calls of this thread that are inside.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Whether this thread ends the interpreter.
    static ENDS: Cell<bool> = const { Cell::new(false) };
}

/// The value of a thread-local cell; the default if the thread is being torn down.
fn of<T: Copy + Default>(cell: &'static thread::LocalKey<Cell<T>>) -> T {
    cell.try_with(Cell::get).unwrap_or_default()
}

fn set<T>(cell: &'static thread::LocalKey<Cell<T>>, value: T) {
    // A thread that is being torn down calls no Python.
    let _ = cell.try_with(|cell| cell.set(value));
}

/// Enters if the gate is open; a thread enters before it asks for the interpreter.
fn try_come_in() -> bool {
    // SeqCst, as in `close`: whichever of the two runs second sees what the other did.
    match threads::own() {
        Some(record) => record.come_in(),
        None => _ = INSIDE.fetch_add(1, Ordering::SeqCst),
    }
    if CLOSED.load(Ordering::SeqCst) && !of(&ENDS) {
        go_out();
        return false;
    }
    true
}

fn go_out() {
    match threads::own() {
        Some(record) => record.go_out(),
        None => _ = INSIDE.fetch_sub(1, Ordering::SeqCst),
    }
}

fn park() -> ! {
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}

/// Guard: this thread is inside until it is dropped.
#[must_use]
pub(crate) struct Inside(PhantomData<*mut ()>);

/// Enters before a call of Python. Does not return if the interpreter is ending.
pub(crate) fn enter(py: Python<'_>) -> Inside {
    let depth = of(&DEPTH);
    if depth == 0 && !try_come_in() {
        // Detached: other threads need the interpreter to end it.
        py.detach(|| park());
    }
    set(&DEPTH, depth + 1);
    Inside(PhantomData)
}

impl Drop for Inside {
    fn drop(&mut self) {
        let depth = of(&DEPTH).saturating_sub(1);
        set(&DEPTH, depth);
        if depth == 0 {
            go_out();
        }
    }
}

/// [`Python::detach`], which does not return if the interpreter is ending.
pub(crate) fn detach<T: Send>(py: Python<'_>, work: impl Send + FnOnce() -> T) -> T {
    /// Still detached when it is dropped.
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            if !try_come_in() {
                park();
            }
        }
    }
    /// Attached again when it is dropped.
    struct Here {
        depth: usize,
    }
    impl Drop for Here {
        fn drop(&mut self) {
            set(&DEPTH, self.depth);
            if self.depth == 0 {
                go_out();
            }
        }
    }

    let here = Here { depth: of(&DEPTH) };
    set(&DEPTH, 0);
    if here.depth > 0 {
        go_out();
    }
    let result = py.detach(|| {
        let _back = Back;
        work()
    });
    drop(here);
    result
}

/// A lock that another thread may hold while it waits for the interpreter. This thread waits for it
/// detached.
///
/// A waiting thread counts as inside. If the holder has parked, it waits forever, and the end of
/// the interpreter waits for it until the timeout.
pub(crate) fn lock<'lock, T>(py: Python<'_>, mutex: &'lock Mutex<T>) -> MutexGuard<'lock, T> {
    let _inside = enter(py);
    mutex.lock_py_attached(py).unwrap_or_else(PoisonError::into_inner)
}

/// Runs what needs the interpreter, from any thread, attached or not; does nothing if the
/// interpreter is ending or gone: the code that would free anything is gone with it.
pub(crate) fn attach(work: impl FnOnce(Python<'_>)) {
    if try_come_in() {
        Python::try_attach(work);
        go_out();
    }
}

/// The gate. Only `atexit` holds it: its `note_exit` is called as a handler, and it closes when all
/// handlers are done and dropped.
#[pyclass(name = "_Gate", module = "ndlens._ndlens")]
pub(crate) struct Gate {
    is_exit: bool,
}

#[pymethods]
impl Gate {
    #[new]
    fn new() -> Self {
        Gate { is_exit: false }
    }

    /// Notes that the handlers run: if they are only dropped, the interpreter is not ending.
    fn note_exit(&mut self) {
        self.is_exit = true;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if self.is_exit {
            close();
        }
    }
}

/// Closes the gate, and waits until no thread is inside.
fn close() {
    set(&ENDS, true);
    CLOSED.store(true, Ordering::SeqCst);
    let until = Instant::now() + PATIENCE;
    Python::attach(|py| {
        py.detach(|| {
            let are_inside = || INSIDE.load(Ordering::SeqCst) > 0 || threads::are_inside();
            while are_inside() && Instant::now() < until {
                thread::sleep(Duration::from_millis(1));
            }
        });
    });
}

/// Forgets, in a forked child, the other threads: it has none of them.
#[pyfunction]
#[pyo3(name = "_forget_threads")]
pub(crate) fn forget_threads() {
    INSIDE.store(0, Ordering::SeqCst);
    threads::forget_others();
}
