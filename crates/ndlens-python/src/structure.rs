//! The structure of fields: one view, a tuple of them or a dict. Batches, and all
//! that is given or returned for each field, have the same structure.

use crate::lists::Asked;
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyTuple};

/// Structure of the fields and of their batches: one view, a tuple, or a dict.
#[derive(Debug)]
pub(crate) enum Structure {
    Single,
    Tuple(usize),
    Dict(Vec<Py<PyAny>>),
}

/// A mapping as a dict: itself, if it is one, or a copy. None of what is no mapping.
pub(crate) fn dict_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    if let Ok(dict) = object.cast::<PyDict>() {
        return Ok(Some(dict.clone()));
    }
    let Ok(mapping) = object.cast::<PyMapping>() else { return Ok(None) };
    let dict = PyDict::new(object.py());
    dict.update(mapping)?;
    Ok(Some(dict))
}

impl Structure {
    /// These objects, one for each field, as the fields came.
    pub(crate) fn wrap<'py>(
        &self,
        py: Python<'py>,
        mut parts: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Structure::Single => parts.next().unwrap_or_else(|| Ok(py.None().into_bound(py))),
            Structure::Tuple(_) => {
                Ok(PyTuple::new(py, parts.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            Structure::Dict(keys) => {
                let batch = PyDict::new(py);
                for (key, part) in keys.iter().zip(parts) {
                    batch.set_item(key, part?)?;
                }
                Ok(batch.into_any())
            }
        }
    }

    /// The field that a key names: a key of a dict, or a place in a tuple.
    pub(crate) fn place(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        match self {
            Structure::Single => Ok(None),
            Structure::Tuple(fields) => {
                Ok(key.extract().if_taken(key.py())?.filter(|place| place < fields))
            }
            Structure::Dict(keys) => {
                for (place, own) in keys.iter().enumerate() {
                    if own.bind(key.py()).eq(key)? {
                        return Ok(Some(place));
                    }
                }
                Ok(None)
            }
        }
    }

    /// None for a single field, the number of fields for a tuple, the keys of a dict.
    pub(crate) fn to_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Structure::Single => Ok(py.None().into_bound(py)),
            Structure::Tuple(fields) => fields.into_bound_py_any(py),
            Structure::Dict(keys) => Ok(PyList::new(py, keys)?.into_any()),
        }
    }

    /// The key of [`to_key`](Self::to_key).
    pub(crate) fn from_key(key: &Bound<'_, PyAny>) -> Self {
        match key.cast::<PyList>() {
            Ok(keys) => Structure::Dict(keys.iter().map(Bound::unbind).collect()),
            Err(_) if key.is_none() => Structure::Single,
            Err(_) => Structure::Tuple(key.extract().unwrap_or_default()),
        }
    }
}
