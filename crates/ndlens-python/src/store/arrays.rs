//! The compiled half of `nl.Arrays`: arrays of a file by name.

use ndlens::View;
use ndlens::store::{self, Arrays, RaggedParts};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::error::{OrRaise, Raise};
use crate::exit;
use crate::lists;
use crate::loader::items::PyItems;
use crate::loader::ragged::ragged;
use crate::provided;
use crate::trace;
use crate::view::object::PyView;

/// The operation of a file that is read.
pub(crate) const COPIED: &str = "nl.open(copy=True)";

/// Bytes of all elements.
fn nbytes_of(views: &[View]) -> usize {
    views.iter().map(View::nbytes).sum()
}

/// Looks up an array or a set; if it is read now, the trace has it.
fn reading<T>(
    py: Python<'_>,
    arrays: &Arrays,
    name: &str,
    get: impl FnOnce() -> PyResult<T>,
    nbytes: impl FnOnce(&T) -> usize,
) -> PyResult<T> {
    if !trace::is_open() || !arrays.is_loaded() || arrays.is_read(name) {
        return get();
    }
    trace::before_any(py, COPIED)?;
    trace::copying_some(py, COPIED, get, nbytes)
}

/// The items of a set in a file.
pub(crate) fn set_of(py: Python<'_>, arrays: &Arrays, name: &str) -> PyResult<Option<PyItems>> {
    let get = || {
        let parts = exit::detach(py, || arrays.ragged(name)).or_raise()?;
        Ok(parts.map(|RaggedParts { data, offsets, shapes }| [data, offsets, shapes]))
    };
    let nbytes = |parts: &Option<[View; 3]>| parts.as_ref().map_or(0, |parts| nbytes_of(parts));
    let Some([data, offsets, shapes]) = reading(py, arrays, name, get, nbytes)? else {
        return Ok(None);
    };
    let [data, offsets, shapes] =
        [data, offsets, shapes].map(|view| Bound::new(py, PyView::new(view)));
    let set = ragged(data?.as_any(), Some(offsets?.as_any()), Some(shapes?.as_any()));
    let bad = |error: PyErr| {
        if !lists::is_refusal(py, &error) {
            return error;
        }
        let problem = format!("set {name:?}: {}", error.value(py));
        store::Error::BadNote { path: arrays.path().to_owned(), problem }.raise()
    };
    set.map(Some).map_err(bad)
}

/// An `nl.Arrays`.
pub(crate) fn wrap(py: Python<'_>, arrays: Arrays) -> PyResult<Bound<'_, PyAny>> {
    let path = arrays.path().to_owned();
    provided::ARRAYS.get(py)?.call1((PyArrayFile(arrays), path.into_os_string()))
}

/// The compiled half of `nl.Arrays`: a file of arrays that have names.
#[pyclass(frozen, name = "_ArrayFile", module = "ndlens._ndlens")]
pub(crate) struct PyArrayFile(Arrays);

#[pymethods]
impl PyArrayFile {
    fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if let Some(items) = set_of(py, &self.0, name)? {
            return items.into_bound_py_any(py);
        }
        let get = || exit::detach(py, || self.0.get(name)).or_raise();
        PyView::new(reading(py, &self.0, name, get, View::nbytes)?).into_bound_py_any(py)
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let names = self.0.names().or_raise()?;
        let names = names.iter().map(|name| lists::string(py, name));
        Ok(lists::list_of(py, names)?.try_iter()?.into_any())
    }

    fn array_bytes(&self, py: Python<'_>, name: &str) -> PyResult<PyView> {
        let get = || exit::detach(py, || self.0.bytes(name)).or_raise();
        // Bytes are read each time.
        let nbytes = |view: &View| if self.0.is_loaded() { view.nbytes() } else { 0 };
        trace::copying_some(py, COPIED, get, nbytes).map(PyView::new)
    }

    fn info<'py>(&self, py: Python<'py>, name: &str) -> PyResult<(String, Bound<'py, PyTuple>)> {
        let (dtype, shape) = self.0.info(name).or_raise()?;
        Ok((dtype, PyTuple::new(py, shape)?))
    }

    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metadata = PyDict::new(py);
        for (key, value) in self.0.metadata().or_raise()? {
            metadata.set_item(key, value)?;
        }
        Ok(metadata)
    }

    /// A handle to the file for other processes; None if its arrays are read.
    fn handle<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mapped = (!self.0.is_loaded()).then(|| self.0.to_handle());
        Ok(mapped.transpose().or_raise()?.map(|handle| PyBytes::new(py, &handle)))
    }
}

/// The `nl.Arrays` that a handle is to.
#[pyfunction]
#[pyo3(name = "_arrays_of_handle", signature = (handle, /))]
pub(crate) fn arrays_of_handle<'py>(py: Python<'py>, handle: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let arrays = exit::detach(py, || Arrays::from_handle(handle)).or_raise()?;
    wrap(py, arrays)
}
