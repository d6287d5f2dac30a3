//! A run's state as a dict. An error names the key that it is about.

use ndlens::loader::{Basis, STATE_VERSION, State};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::OrRaise;
use crate::lists::{Asked, is_refusal};

pub(crate) fn to_dict<'py>(py: Python<'py>, state: &State) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("version", STATE_VERSION)?;
    dict.set_item("epoch", state.epoch)?;
    dict.set_item("items_done", state.start)?;
    dict.set_item("items", state.basis.items)?;
    dict.set_item("shuffle", state.basis.shuffle)?;
    dict.set_item("order", &state.basis.order)?;
    dict.set_item("seed", state.basis.seed)?;
    dict.set_item("fields", &state.basis.fields)?;
    if let Some(indices) = &state.basis.indices {
        dict.set_item("indices", indices)?;
    }
    Ok(dict)
}

/// A state, without its part about the sampler.
pub(crate) fn from_dict(dict: &Bound<'_, PyDict>) -> PyResult<State> {
    let state = Keys(dict);
    let version: u32 = state.integer("version", "2**32 - 1")?;
    if version != STATE_VERSION {
        return Err(PyValueError::new_err(format!(
            "the state is of version {version}, this ndlens reads version {STATE_VERSION}"
        )));
    }
    let basis = Basis {
        items: state.integer("items", "2**64 - 1")?,
        shuffle: state.value("shuffle", "True or False")?,
        order: state.value("order", "a string")?,
        indices: dict
            .get_item("indices")?
            .map(|indices| extract("indices", &indices, "a string"))
            .transpose()?,
        seed: state.integer("seed", "2**64 - 1")?,
        fields: state.value("fields", "a list of strings")?,
    };
    let epoch = state.integer("epoch", "2**32 - 1")?;
    let start = state.integer("items_done", "2**64 - 1")?;
    State::new(epoch, start, None, basis).or_raise()
}

/// The part of a state about the sampler, if there is one.
pub(crate) fn of_sampler<'py>(dict: &Bound<'py, PyDict>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let kept = dict.get_item("sampler")?.filter(|kept| !kept.is_none());
    kept.map(|kept| match kept.cast_into::<PyDict>() {
        Ok(kept) => Ok(kept),
        Err(error) => Err(refused("sampler", &error.into_inner(), "a dict")),
    })
    .transpose()
}

/// The keys of a state that must be there.
struct Keys<'a, 'py>(&'a Bound<'py, PyDict>);

impl<'py> Keys<'_, 'py> {
    fn get(&self, key: &str) -> PyResult<Bound<'py, PyAny>> {
        let value = self.0.get_item(key)?;
        value.ok_or_else(|| {
            PyValueError::new_err(format!(
                "the state has no {key:?}: give what state_dict() returned"
            ))
        })
    }

    fn value<T: for<'a> FromPyObject<'a, 'py>>(&self, key: &str, expected: &str) -> PyResult<T> {
        extract(key, &self.get(key)?, expected)
    }

    /// An integer from 0 to `most`.
    fn integer<T>(&self, key: &str, most: &str) -> PyResult<T>
    where
        T: for<'a> FromPyObject<'a, 'py, Error = PyErr>,
    {
        let value = self.get(key)?;
        value.extract().map_err(|error: PyErr| {
            if error.is_instance_of::<PyOverflowError>(value.py()) {
                PyValueError::new_err(format!(
                    "the state's {key} must be between 0 and {most}, got {value}"
                ))
            } else if !is_refusal(value.py(), &error) {
                error
            } else {
                refused(key, &value, "an integer")
            }
        })
    }
}

fn extract<'py, T: for<'a> FromPyObject<'a, 'py>>(
    key: &str,
    value: &Bound<'py, PyAny>,
    expected: &str,
) -> PyResult<T> {
    value.extract().if_taken(value.py())?.ok_or_else(|| refused(key, value, expected))
}

fn refused(key: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    PyTypeError::new_err(format!("the state's {key} must be {expected}, got {value:?}"))
}
