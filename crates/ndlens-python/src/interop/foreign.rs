//! Objects of other libraries that mean more than their memory, such as masked arrays.

use std::sync::OnceLock;

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyType};

use crate::exit;
use crate::optional::interned;
use crate::provided::{self, Provided};

/// Whether elements may be computed or read to new memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copies {
    /// The view shows the object's own memory.
    Never,
    /// The view shows new memory if the elements are not in memory yet.
    WhereNeeded,
}

fn call<'py, A>(py: Python<'py>, function: &Provided, arguments: A) -> PyResult<Bound<'py, PyAny>>
where
    A: pyo3::call::PyCallArgs<'py>,
{
    let _inside = exit::enter(py);
    function.get(py)?.call1(arguments)
}

/// Whether the memory of objects of this class is all that they mean.
pub(crate) fn is_plain(class: &Bound<'_, PyType>) -> bool {
    static NDARRAY: OnceLock<Py<PyType>> = OnceLock::new();
    let py = class.py();
    if class.is(py.get_type::<PyBytes>()) || class.is(py.get_type::<PyByteArray>()) {
        return true;
    }
    if let Some(ndarray) = NDARRAY.get() {
        return class.is(ndarray);
    }
    let is_ndarray = class.fully_qualified_name().is_ok_and(|name| name == "numpy.ndarray");
    if is_ndarray {
        // If another thread was first, it stored the same class.
        let _ = NDARRAY.set(class.clone().unbind());
    }
    is_ndarray
}

/// The object that exports a buffer: for a `memoryview`, the object behind it.
pub(crate) fn origin(exporter: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    let mut exporter = exporter;
    while let Ok(memory) = exporter.cast::<PyMemoryView>() {
        exporter = memory.getattr("obj")?;
    }
    Ok(exporter)
}

/// Refuses the buffer of an object whose memory is only a part of what it means.
pub(crate) fn check_whole(origin: &Bound<'_, PyAny>) -> PyResult<()> {
    if is_plain(&origin.get_type()) {
        return Ok(());
    }
    call(origin.py(), &provided::CHECK_WHOLE, (origin,)).map(drop)
}

/// The object to ask for a DLPack capsule in place of this one.
pub(crate) fn strided<'py>(obj: &Bound<'py, PyAny>, copies: Copies) -> PyResult<Bound<'py, PyAny>> {
    call(obj.py(), &provided::STRIDED, (obj, copies == Copies::WhereNeeded))
}

/// Whether the class of an object is `torch.Tensor`, and not a subclass.
pub(crate) fn is_torch(obj: &Bound<'_, PyAny>) -> bool {
    let class = obj.get_type();
    class.name().is_ok_and(|name| name == "Tensor")
        && class.module().is_ok_and(|name| name == "torch")
}

/// The storage of a `torch.Tensor`, of a subclass too.
pub(crate) fn storage<'py>(tensor: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if is_torch(tensor) {
        return tensor.call_method0(interned!(tensor.py(), "untyped_storage"));
    }
    call(tensor.py(), &provided::STORAGE, (tensor,))
}

/// A better reason why an array exports no buffer, if there is one.
pub(crate) fn unexported(array: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let reason: PyResult<Option<String>> =
        call(array.py(), &provided::UNEXPORTED, (array,)).and_then(|reason| reason.extract());
    match reason {
        Ok(Some(reason)) => PyBufferError::new_err(reason),
        _ => error,
    }
}

/// The error for an object that is not an array, with what to do about it.
pub(crate) fn no_array(obj: &Bound<'_, PyAny>) -> PyErr {
    let told = call(obj.py(), &provided::SUGGESTION, (obj,));
    let (name, hint): (String, Option<String>) = match told.and_then(|told| told.extract()) {
        Ok(told) => told,
        Err(error) => return error,
    };
    let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
    PyTypeError::new_err(format!(
        "nl.view needs an object with the buffer protocol, DLPack or __array_interface__, got \
         {name}{hint}"
    ))
}
