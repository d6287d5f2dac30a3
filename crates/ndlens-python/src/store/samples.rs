//! The compiled half of `nl.Samples`: fields of tar archives by name.

use std::sync::Arc;

use ndlens::store::{Missing, TarSamples};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::error::OrRaise;
use crate::exit;
use crate::lists;
use crate::loader::items::{Base, PyItems};
use crate::provided;

/// An `nl.Samples`.
pub(crate) fn wrap(py: Python<'_>, samples: TarSamples) -> PyResult<Bound<'_, PyAny>> {
    provided::SAMPLES.get(py)?.call1((PySampleSet(samples),))
}

/// Items that are the members of one extension.
fn items_of(py: Python<'_>, samples: &TarSamples, name: &[u8]) -> PyResult<PyItems> {
    let field = exit::detach(py, || samples.field(name)).or_raise()?;
    PyItems::of(Base::Members(Arc::new(field)), None)
}

/// The compiled half of `nl.Samples`. Names and keys are bytes.
#[pyclass(frozen, name = "_SampleSet", module = "ndlens._ndlens")]
pub(crate) struct PySampleSet(TarSamples);

impl PySampleSet {
    fn place(&self, index: usize) -> PyResult<usize> {
        let len = self.0.len();
        let outside = || PyIndexError::new_err(format!("sample {index} of {len} samples"));
        (index < len).then_some(index).ok_or_else(outside)
    }
}

#[pymethods]
impl PySampleSet {
    fn __len__(&self) -> usize {
        self.0.len()
    }

    #[getter]
    fn path(&self) -> std::ffi::OsString {
        self.0.path().as_os_str().to_owned()
    }

    fn archives<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let paths = self.0.archives();
        lists::list_of(py, paths.map(|path| Ok(path.as_os_str().into_pyobject(py)?.into_any())))
    }

    fn fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let names = self.0.fields().or_raise()?;
        lists::list_of(py, names.into_iter().map(|name| lists::plain_bytes(py, name)))
    }

    fn has_field(&self, name: &[u8]) -> bool {
        self.0.has_field(name)
    }

    fn field(&self, py: Python<'_>, name: &[u8]) -> PyResult<PyItems> {
        items_of(py, &self.0, name)
    }

    fn key<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        lists::plain_bytes(py, self.0.key(self.place(index)?))
    }

    fn archive_of(&self, index: usize) -> PyResult<std::ffi::OsString> {
        Ok(self.0.archive_of(self.place(index)?).as_os_str().to_owned())
    }

    fn select(&self, py: Python<'_>, names: &Bound<'_, PyAny>, skip: bool) -> PyResult<Self> {
        let names: Vec<Vec<u8>> = lists::extract_all(names)?;
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let missing = if skip { Missing::Skip } else { Missing::Raise };
        exit::detach(py, || self.0.select(&names, missing)).map(PySampleSet).or_raise()
    }

    /// A handle to the archives for other processes.
    fn handle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.to_handle().or_raise()?))
    }
}

/// The `nl.Samples` that a handle is to.
#[pyfunction]
#[pyo3(name = "_samples_of_handle", signature = (handle, /))]
pub(crate) fn samples_of_handle<'py>(
    py: Python<'py>,
    handle: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    wrap(py, exit::detach(py, || TarSamples::from_handle(handle)).or_raise()?)
}

/// The items of one field of the samples that a handle is to.
#[pyfunction]
#[pyo3(name = "_items_of_samples", signature = (handle, name, /))]
pub(crate) fn items_of_samples(py: Python<'_>, handle: &[u8], name: &[u8]) -> PyResult<PyItems> {
    items_of(py, &exit::detach(py, || TarSamples::from_handle(handle)).or_raise()?, name)
}
