//! The one place where Rust's errors become Python's exceptions.

use pyo3::exceptions::{
    PyAttributeError, PyBufferError, PyFileNotFoundError, PyIndexError, PyKeyError, PyKeyboardInterrupt,
    PyMemoryError, PyNotImplementedError, PyOSError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::optional::{self, Once};
use ndlens::{kernels, loader, store, transforms};

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

/// An error of one of our crates that knows its exception.
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
        use ndlens::Error as E;
        let message = self.to_string();
        match self {
            E::IndexOutOfBounds { .. }
            | E::TooManyIndices { .. }
            | E::MultipleEllipses
            | E::AxisOutOfBounds { .. } => PyIndexError::new_err(message),
            E::CopyRequired { .. } => raise!("CopyRequired", message),
            E::ReadOnly { .. } => raise!("ReadOnlyError", message),
            E::UnsupportedDType { .. }
            | E::ByteOrder { .. }
            | E::UnknownDType { .. }
            | E::AmbiguousDType { .. }
            | E::DateTime { .. }
            | E::DTypeMismatch { .. }
            | E::PythonObjects { .. } => PyTypeError::new_err(message),
            E::InvalidDLPack { .. } | E::OutOfBuffer { .. } => PyBufferError::new_err(message),
            E::OutOfMemory { .. } => PyMemoryError::new_err(message),
            E::Moved { .. } => raise!("MovedError", message),
            E::Truncated { .. } | E::Damaged { .. } => raise!("TruncatedError", message),
            E::Unavailable { .. } | E::Unwritable { .. } => PyOSError::new_err(message),
            E::Interrupted => PyKeyboardInterrupt::new_err(message),
            // ZeroStep, shapes, sizes, axes, windows, formats: a value that cannot be.
            _ => PyValueError::new_err(message),
        }
    }
}

impl Raise for store::Error {
    fn raise(&self) -> PyErr {
        use store::Error as E;
        match self {
            E::Map { source, .. } if is_shortage(source) => {
                return PyMemoryError::new_err(self.to_string());
            }
            _ => {}
        }
        if let Some(io) = self.io() {
            return match (io.raw_os_error(), self.path()) {
                // With an errno, OSError picks its own subclass, such as FileNotFoundError.
                (Some(errno), Some(path)) => {
                    PyOSError::new_err((errno, self.message(errno), path.as_os_str().to_owned()))
                }
                _ => PyOSError::new_err(self.to_string()),
            };
        }
        let message = self.to_string();
        match self {
            E::UnknownMode { .. }
            | E::CopyOfFile
            | E::RawShape { .. }
            | E::ArchiveInPlace { .. }
            | E::BadPattern { .. }
            | E::NoShards
            | E::UnknownSuffix { .. }
            | E::ReservedName { .. }
            | E::ReservedKey { .. }
            | E::UnreadableHeader { .. }
            | E::BadName { .. }
            | E::OtherContents { .. }
            | E::NothingToShare { .. } => PyValueError::new_err(message),
            E::NoMatch { .. } => PyFileNotFoundError::new_err(message),
            E::NoSuchArray { .. } => PyKeyError::new_err(message),
            E::WrongContents { .. }
            | E::Unsavable { .. }
            | E::NoMetadata { .. }
            | E::IsRagged { .. } => PyTypeError::new_err(message),
            E::SharedMemoryExhausted { .. } => PyMemoryError::new_err(message),
            E::SharedMemory { source, .. } | E::SharedMemoryRefused { source, .. }
                if is_shortage(source) =>
            {
                PyMemoryError::new_err(message)
            }
            E::SharedMemory { .. }
            | E::NameLock { .. }
            | E::NameHidden { .. }
            | E::NoProcesses { .. }
            | E::TooManyMaps { .. } => PyOSError::new_err(message),
            E::SharedMemoryGone { .. }
            | E::SharedMemoryRefused { .. }
            | E::SharedMemoryHidden { .. }
            | E::FileChanged { .. }
            | E::FileReplaced { .. } => raise!("StaleHandleError", message),
            E::Core(error) => error.raise(),
            _ => raise!("FormatError", message),
        }
    }
}

/// What an `OSError` says beside the number and the path: the system's words, and ours where we
/// know more.
trait SystemMessage {
    fn message(&self, errno: i32) -> String;
}

impl SystemMessage for store::Error {
    fn message(&self, errno: i32) -> String {
        // Rust's words for the number, which Python says in its own.
        let rusts = std::io::Error::from_raw_os_error(errno).to_string();
        let path = self.path().map(|path| format!("{}: ", path.display())).unwrap_or_default();
        let text = self.to_string().replace(&rusts, &os_message(errno));
        text.strip_prefix(&path).map(str::to_owned).unwrap_or(text)
    }
}

/// Whether the system said no for lack of memory or addresses.
fn is_shortage(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::OutOfMemory | ErrorKind::StorageFull | ErrorKind::FileTooLarge
    )
}

/// `os.strerror`.
fn os_message(errno: i32) -> String {
    Python::attach(|py| optional::get(py, "os", "strerror")?.call1((errno,))?.extract())
        .unwrap_or_default()
}

impl Raise for kernels::Error {
    fn raise(&self) -> PyErr {
        match self {
            kernels::Error::View(source) => source.raise(),
            _ => PyValueError::new_err(self.to_string()),
        }
    }
}

impl Raise for transforms::Error {
    fn raise(&self) -> PyErr {
        use transforms::Error as E;
        let message = self.to_string();
        match self {
            E::Field { source, .. } => {
                Python::attach(|py| PyErr::from_type(source.raise().get_type(py), message))
            }
            E::InTransform { source, .. } => {
                Python::attach(|py| PyErr::from_type(source.raise().get_type(py), message))
            }
            E::Core(source) => source.raise(),
            E::Kernels(source) => source.raise(),
            _ => PyValueError::new_err(message),
        }
    }
}

impl Raise for loader::Error {
    fn raise(&self) -> PyErr {
        use loader::Error as E;
        let message = self.to_string();
        match self {
            E::Item { source, .. } | E::Field { source, .. } => {
                // The class says what went wrong, the message also where.
                Python::attach(|py| PyErr::from_type(source.raise().get_type(py), message))
            }
            E::Core(source) => source.raise(),
            E::Kernels(source) => source.raise(),
            E::Transforms(source) => source.raise(),
            E::Store(source) => source.raise(),
            E::ItemNumbersMask | E::ItemNumbersDType { .. } => PyTypeError::new_err(message),
            E::NoSuchIndex { .. }
            | E::SelectionShape { .. }
            | E::SelectionDType { .. }
            | E::MaskLength { .. } => PyIndexError::new_err(message),
            E::WorkerPanicked { .. } | E::Spawn { .. } | E::Forked | E::SenderGone { .. } => {
                PyRuntimeError::new_err(message)
            }
            _ => PyValueError::new_err(message),
        }
    }
}

/// The same error, saying where it happened: before its message, or in a note where its class takes
/// more than a message.
pub(crate) fn in_place(py: Python<'_>, place: &str, error: PyErr) -> PyErr {
    let message = format!("{place}: {}", error.value(py));
    if let Ok(named) = error.get_type(py).call1((message,)) {
        let named = PyErr::from_value(named);
        named.set_cause(py, Some(error));
        return named;
    }
    // A note that cannot be added is no reason to lose the error.
    let _ = error.value(py).call_method1("add_note", (place,));
    error
}

/// What ndlens can show but not turn into a Python number.
pub(crate) fn no_python_value(dtype: &ndlens::DType) -> PyErr {
    PyNotImplementedError::new_err(format!(
        "no Python value for dtype {dtype}; use .numpy() or .tobytes()"
    ))
}
