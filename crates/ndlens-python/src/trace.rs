//! Copies, told to the traces that are open (`nl.trace`).
//!
//! Each place that copies elements says so here: what the user wrote, and how many bytes.
//! `_trace.py` hands over two functions with the first trace that it opens: one is asked before a
//! copy and may refuse it, the other is told after it. They find the traces of the calling context
//! and the line of the user's code.
//!
//! While no trace is open, a copy costs one relaxed load more. Operations that do not copy are not
//! here at all.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;

use crate::exit;

/// Traces that are open, of all threads.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// The functions of `_trace.py`.
static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

/// Both are called with the operation and its bytes.
struct Functions {
    /// Raises if a trace does not allow the copy; the bytes are None before they are known.
    ask: Py<PyAny>,
    /// Notes the copy.
    note: Py<PyAny>,
}

/// Whether any trace is open.
#[inline]
pub(crate) fn is_open() -> bool {
    // Relaxed: the thread that opened a trace sees it, and the traces of other contexts do not
    // count its copies.
    OPEN.load(Ordering::Relaxed) > 0
}

/// Does work that copies `nbytes` bytes of elements. Fails before it if a trace does not allow it.
#[inline]
pub(crate) fn copying<R>(
    py: Python<'_>,
    operation: &str,
    nbytes: usize,
    work: impl FnOnce() -> PyResult<R>,
) -> PyResult<R> {
    if !is_open() {
        return work();
    }
    ask(py, operation, nbytes)?;
    let done = work()?;
    tell(py, operation, nbytes)?;
    Ok(done)
}

/// As [`copying`], if only the result says how many bytes were copied; 0 if none were.
#[inline]
pub(crate) fn copying_some<R>(
    py: Python<'_>,
    operation: &str,
    work: impl FnOnce() -> PyResult<R>,
    nbytes: impl FnOnce(&R) -> usize,
) -> PyResult<R> {
    let done = work()?;
    if is_open() {
        copied(py, operation, nbytes(&done))?;
    }
    Ok(done)
}

/// Notes a copy that was made, or fails if a trace does not allow it.
#[inline]
pub(crate) fn copied(py: Python<'_>, operation: &str, nbytes: usize) -> PyResult<()> {
    if !is_open() {
        return Ok(());
    }
    ask(py, operation, nbytes)?;
    tell(py, operation, nbytes)
}

/// Fails if a trace does not allow a copy of any size, before one whose size is not known yet.
#[inline]
pub(crate) fn before_any(py: Python<'_>, operation: &str) -> PyResult<()> {
    if is_open() { call(py, |functions| &functions.ask, operation, None) } else { Ok(()) }
}

#[cold]
fn ask(py: Python<'_>, operation: &str, nbytes: usize) -> PyResult<()> {
    call(py, |functions| &functions.ask, operation, Some(nbytes))
}

#[cold]
fn tell(py: Python<'_>, operation: &str, nbytes: usize) -> PyResult<()> {
    call(py, |functions| &functions.note, operation, Some(nbytes))
}

#[cold]
fn call(
    py: Python<'_>,
    function: impl FnOnce(&Functions) -> &Py<PyAny>,
    operation: &str,
    nbytes: Option<usize>,
) -> PyResult<()> {
    // Nothing to copy, nothing to tell.
    let Some(functions) = FUNCTIONS.get().filter(|_| nbytes != Some(0)) else { return Ok(()) };
    let _inside = exit::enter(py);
    function(functions).call1(py, (operation, nbytes)).map(drop)
}

/// Opens a trace.
#[pyfunction]
#[pyo3(name = "_open_trace", signature = (ask, note, /))]
pub(crate) fn open_trace(ask: Py<PyAny>, note: Py<PyAny>) {
    // Of a module that is loaded twice, the first functions serve both.
    let _ = FUNCTIONS.set(Functions { ask, note });
    OPEN.fetch_add(1, Ordering::Relaxed);
}

/// Closes a trace that was opened.
#[pyfunction]
#[pyo3(name = "_close_trace", signature = ())]
pub(crate) fn close_trace() {
    OPEN.fetch_sub(1, Ordering::Relaxed);
}

/// Notes a copy that Python code of ndlens made.
#[pyfunction]
#[pyo3(name = "_copied", signature = (operation, nbytes, /))]
pub(crate) fn copied_by_python(py: Python<'_>, operation: &str, nbytes: usize) -> PyResult<()> {
    copied(py, operation, nbytes)
}
