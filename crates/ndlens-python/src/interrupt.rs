//! Ctrl-C during work without the interpreter.

use std::cell::RefCell;

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;

thread_local! {
    /// The exception of a signal's handler, raised while this thread checked for signals.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Runs the handlers of signals that came meanwhile; whether one raised.
fn is_interrupted() -> bool {
    let mut is_interrupted = false;
    exit::attach(|py| {
        let raised = py.check_signals().err();
        is_interrupted = raised.is_some();
        RAISED.set(raised);
    });
    is_interrupted
}

/// Does work without the interpreter, which ends in what a signal's handler raises, such as
/// `KeyboardInterrupt`.
pub(crate) fn detached<R: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> ndlens::Result<R> + Send,
) -> PyResult<R> {
    match exit::detach(py, || ndlens::watched(is_interrupted, work)) {
        Err(ndlens::Error::Interrupted) => {
            Err(RAISED.take().unwrap_or_else(|| PyKeyboardInterrupt::new_err(())))
        }
        done => done.or_raise(),
    }
}
