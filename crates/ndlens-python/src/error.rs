//! The one place where Rust's errors become Python's exceptions.
//!
//! Each error of our crates has a kind, each kind an exception. Both are a `match` over all cases:
//! a new variant compiles when it has a kind, a new kind when it has an exception.

use pyo3::exceptions::{
    PyAttributeError, PyBufferError, PyException, PyFileNotFoundError, PyIndexError, PyKeyError,
    PyKeyboardInterrupt, PyMemoryError, PyNotImplementedError, PyOSError, PyRuntimeError,
    PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::optional::{self, Once};
use ndlens::{ErrorKind, codecs, kernels, loader, store, transforms};

/// An exception class of `ndlens.errors`, raised with a message.
macro_rules! raise {
    ($name:literal, $message:expr) => {{
        static CLASS: Once = Once::new("ndlens.errors", $name);
        Python::attach(|py| match CLASS.get(py).and_then(|class| Ok(class.cast::<PyType>()?)) {
            Ok(class) => PyErr::from_type(class.clone(), $message),
            Err(error) => error,
        })
    }};
}

/// The error for a name that objects of a class do not have, with what to write instead.
pub(crate) fn no_attribute(class: &str, name: &str, hint: &str) -> PyErr {
    PyAttributeError::new_err(format!("'ndlens.{class}' object has no attribute '{name}'{hint}"))
}

/// The exception of a kind of error.
fn exception(kind: ErrorKind, message: String) -> PyErr {
    match kind {
        ErrorKind::Value => PyValueError::new_err(message),
        ErrorKind::Type => PyTypeError::new_err(message),
        ErrorKind::Index => PyIndexError::new_err(message),
        ErrorKind::Key => PyKeyError::new_err(message),
        ErrorKind::NotFound => PyFileNotFoundError::new_err(message),
        ErrorKind::Buffer => PyBufferError::new_err(message),
        ErrorKind::CopyRequired => raise!("CopyRequired", message),
        ErrorKind::ReadOnly => raise!("ReadOnlyError", message),
        ErrorKind::Moved => raise!("MovedError", message),
        ErrorKind::Truncated => raise!("TruncatedError", message),
        ErrorKind::Format => raise!("FormatError", message),
        ErrorKind::Image => raise!("ImageError", message),
        ErrorKind::StaleHandle => raise!("StaleHandleError", message),
        ErrorKind::OutOfMemory => PyMemoryError::new_err(message),
        ErrorKind::System => PyOSError::new_err(message),
        ErrorKind::Runtime => PyRuntimeError::new_err(message),
        ErrorKind::Interrupted => PyKeyboardInterrupt::new_err(message),
    }
}

/// An error of one of our crates, which knows its exception.
pub(crate) trait Raise: std::fmt::Display {
    fn raise(&self) -> PyErr;
}

/// `?` for our crates' results: `result.or_raise()?`.
pub(crate) trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T, E: Raise> OrRaise<T> for Result<T, E> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|error| error.raise())
    }
}

impl Raise for ndlens::Error {
    fn raise(&self) -> PyErr {
        exception(self.kind(), self.to_string())
    }
}

impl Raise for codecs::Error {
    fn raise(&self) -> PyErr {
        exception(self.kind(), self.to_string())
    }
}

impl Raise for kernels::Error {
    fn raise(&self) -> PyErr {
        exception(self.kind(), self.to_string())
    }
}

impl Raise for transforms::Error {
    fn raise(&self) -> PyErr {
        exception(self.kind(), self.to_string())
    }
}

impl Raise for store::Error {
    fn raise(&self) -> PyErr {
        let errno = self.io().and_then(std::io::Error::raw_os_error);
        match (self.kind(), errno, self.path()) {
            // `OSError` picks a subclass by the number, such as `FileNotFoundError`.
            (ErrorKind::System, Some(errno), Some(path)) => {
                let message = system_message(self, errno);
                PyOSError::new_err((errno, message, path.as_os_str().to_owned()))
            }
            (kind, ..) => exception(kind, self.to_string()),
        }
    }
}

impl Raise for loader::Error {
    fn raise(&self) -> PyErr {
        match self {
            // This class holds more than a message.
            loader::Error::Store(source) => source.raise(),
            // The class is that of the cause; the message also names the field and the item.
            loader::Error::Item { source, .. }
            | loader::Error::Field { source, .. }
            | loader::Error::Image { source, .. }
            | loader::Error::NoItemLeft { first: source, .. } => {
                // Of the value: an `OSError` picks its class when it is made.
                Python::attach(|py| {
                    let class = source.raise().value(py).get_type();
                    PyErr::from_type(class, self.to_string())
                })
            }
            other => exception(other.kind(), other.to_string()),
        }
    }
}

/// The text of an `OSError` beside the number and the path: the system's text, then ours.
fn system_message(error: &store::Error, errno: i32) -> String {
    // Rust's text for the number; Python has its own.
    let rusts = std::io::Error::from_raw_os_error(errno).to_string();
    let path = error.path().map(|path| format!("{}: ", path.display())).unwrap_or_default();
    let text = error.to_string().replace(&rusts, &os_message(errno));
    text.strip_prefix(&path).map(str::to_owned).unwrap_or(text)
}

/// `os.strerror`.
fn os_message(errno: i32) -> String {
    Python::attach(|py| optional::get(py, "os", "strerror")?.call1((errno,))?.extract())
        .unwrap_or_default()
}

/// The same error with a place before its message, or in a note if its class takes more than a
/// message.
pub(crate) fn in_place(py: Python<'_>, place: &str, error: PyErr) -> PyErr {
    reworded(py, error, place, |message| format!("{place}: {message}"))
}

/// The same error with a hint after its message, or in a note if its class takes more than a
/// message.
pub(crate) fn with_hint(py: Python<'_>, error: PyErr, hint: &str) -> PyErr {
    reworded(py, error, hint, |message| format!("{message}; {hint}"))
}

fn reworded(
    py: Python<'_>,
    error: PyErr,
    note: &str,
    reword: impl FnOnce(&dyn std::fmt::Display) -> String,
) -> PyErr {
    // Ctrl-C comes at any place and is about none.
    if !error.is_instance_of::<PyException>(py) {
        return error;
    }
    let message = reword(error.value(py));
    if let Ok(named) = error.get_type(py).call1((message,)) {
        let named = PyErr::from_value(named);
        named.set_cause(py, Some(error));
        return named;
    }
    // If the note cannot be added, the error is kept without it.
    let _ = error.value(py).call_method1("add_note", (note,));
    error
}

/// The error for an element that has no Python number.
pub(crate) fn no_python_value(dtype: &ndlens::DType) -> PyErr {
    PyNotImplementedError::new_err(format!(
        "no Python value for dtype {dtype}; use .numpy() or .tobytes()"
    ))
}
