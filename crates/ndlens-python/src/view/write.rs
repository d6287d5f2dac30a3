//! Writing through a view.

use ndlens::View;
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyComplex, PyFloat, PyInt};

use crate::error::OrRaise;
use crate::interop::import::extract_elements;
use crate::interrupt;
use crate::lists::is_refusal;
use crate::trace;
use crate::view::element;
use crate::view::key::with_key;
use crate::view::object::PyView;

#[pymethods]
impl PyView {
    /// Writes one number to every place that the key selects, or the elements of anything `nl.view`
    /// takes, broadcast to its shape. Where the two overlap, the result is as if the source had
    /// been copied first.
    ///
    /// Raises `ReadOnlyError`, `ValueError` for shapes that do not broadcast and numbers that do
    /// not fit, `TypeError` for other dtypes: nothing is converted silently.
    fn __setitem__(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let target = with_key(key, |key| self.view()?.index(key).or_raise())?;
        write(&target, value)
    }

    fn __delitem__(&self, _key: &Bound<'_, PyAny>) -> PyResult<()> {
        self.view()?;
        Err(PyTypeError::new_err("cannot delete memory"))
    }

    /// Writes one number to every place.
    ///
    /// Raises:
    ///     `ReadOnlyError`: The view is read-only.
    ///     `OSError`: There is no room for the pages in a file that is opened with "r+".
    fn fill(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let view = self.view()?.clone();
        fill(&view, value)
    }
}

/// Writes one number to all of `target`.
fn fill(target: &View, number: &Bound<'_, PyAny>) -> PyResult<()> {
    let element = element::pack(target.dtype(), number)?;
    interrupt::detached(number.py(), || target.fill(&element))
}

/// Writes a number or an array to all of `target`; the caller's own view may be released meanwhile.
fn write(target: &View, value: &Bound<'_, PyAny>) -> PyResult<()> {
    let number = value.is_instance_of::<PyInt>()
        || value.is_instance_of::<PyFloat>()
        || value.is_instance_of::<PyComplex>();
    let source = if number { None } else { Some(extract_elements(value)) };
    match source {
        // An array to an array; or a NumPy scalar, which is a buffer of rank 0, unless a number
        // must be converted.
        Some(Ok(source))
            if source.ndim() > 0 && target.ndim() > 0
                || source.ndim() == 0 && source.dtype() == target.dtype() =>
        {
            let py = value.py();
            // Of elements that overlap, the source is copied first.
            let first = if target.may_share_memory(&source) { source.nbytes() } else { 0 };
            let nbytes = target.nbytes().saturating_add(first);
            trace::copying(py, "View[...] = array", nbytes, || {
                interrupt::detached(py, || target.assign(&source))
            })
        }
        // The error is about the array, not about a number of another class.
        Some(Err(error))
            if error.is_instance_of::<PyBufferError>(value.py())
                || !is_refusal(value.py(), &error) =>
        {
            Err(error)
        }
        _ => fill(target, value),
    }
}
