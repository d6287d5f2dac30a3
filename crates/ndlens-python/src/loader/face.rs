//! What notebooks show of loaders, epochs, items and data sets.

use ndlens::loader::{Epoch, FieldSummary, PoolUse};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::error::OrRaise;
use crate::exit;
use crate::lists;
use crate::loader::core::PyLoader;
use crate::loader::dataset::PyGatherer;
use crate::loader::epoch::PyEpoch;
use crate::loader::items::PyItems;
use crate::provided;
use crate::store::shards::PyShards;
use crate::view::object::tuple;

/// Fields as dicts of words and numbers.
fn to_python(py: Python<'_>, fields: Vec<FieldSummary>) -> PyResult<Bound<'_, PyList>> {
    let field = |field: FieldSummary| {
        let dict = PyDict::new(py);
        dict.set_item("name", field.name)?;
        dict.set_item("source", format!("{} {}", field.source_dtype, field.source_shape))?;
        dict.set_item("dtype", field.dtype.to_string())?;
        dict.set_item("shape", tuple(py, &field.shape)?)?;
        dict.set_item("item_nbytes", field.item_bytes)?;
        dict.set_item("before", field.stages.before)?;
        dict.set_item("last", field.stages.last)?;
        dict.set_item("in_place", field.stages.in_place)?;
        dict.set_item("on_device", field.on_device)?;
        Ok(dict.into_any())
    };
    lists::list_of(py, fields.into_iter().map(field))
}

#[pymethods]
impl PyLoader {
    /// Each field, its batches, and how they are made.
    fn _fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        to_python(py, self.loader.summary().or_raise()?)
    }

    /// The memory of all batches: slabs, slabs that are being written or kept, and bytes.
    fn _pool(&self) -> (usize, usize, usize) {
        let PoolUse { slabs, leased, bytes } = self.loader.pool_use();
        (slabs, leased, bytes)
    }
}

#[pymethods]
impl PyEpoch {
    /// The epoch in HTML, for notebooks.
    #[pyo3(name = "_repr_html_")]
    fn repr_html<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        provided::FACE.get(slf.py())?.call1(("epoch", slf))
    }

    /// "to begin", "begun" or "over", and its fields unless it is over.
    fn _fields<'py>(&self, py: Python<'py>) -> PyResult<(&'static str, Bound<'py, PyList>)> {
        let _inside = exit::enter(py);
        if let Some(summary) = self.with_loader(py, |own| own.loader.summary()) {
            return Ok(("to begin", to_python(py, summary.or_raise()?)?));
        }
        match self.with_epoch(py, Epoch::summary) {
            Some(summary) => Ok(("begun", to_python(py, summary.or_raise()?)?)),
            None => Ok(("over", PyList::empty(py))),
        }
    }
}

#[pymethods]
impl PyGatherer {
    /// Each field, its batches, and how they are made.
    fn _fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        to_python(py, self.summary()?)
    }
}

#[pymethods]
impl PyItems {
    /// The items in HTML, for notebooks: it reads no element.
    #[pyo3(name = "_repr_html_")]
    fn repr_html<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        provided::FACE.get(slf.py())?.call1(("items", slf))
    }
}

#[pymethods]
impl PyShards {
    /// The shards in HTML, for notebooks: it reads no element.
    #[pyo3(name = "_repr_html_")]
    fn repr_html<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        provided::FACE.get(slf.py())?.call1(("shards", slf))
    }
}
