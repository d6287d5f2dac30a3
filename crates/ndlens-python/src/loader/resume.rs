//! A run's state as a dict.

use ndlens::loader::{Basis, STATE_VERSION, State};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::OrRaise;
use crate::loader::sampling::note_from_python;

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

/// A state; `note` is what to keep of its sampler.
pub(crate) fn from_dict(
    dict: &Bound<'_, PyDict>,
    note: Option<Bound<'_, PyAny>>,
) -> PyResult<State> {
    let get = |key| {
        dict.get_item(key)?.ok_or_else(|| PyKeyError::new_err(format!("the state has no {key:?}")))
    };
    let version: u32 = get("version")?.extract()?;
    if version != STATE_VERSION {
        return Err(PyValueError::new_err(format!(
            "the state is of version {version}, this ndlens reads version {STATE_VERSION}"
        )));
    }
    let basis = Basis {
        items: get("items")?.extract()?,
        shuffle: get("shuffle")?.extract()?,
        order: get("order")?.extract()?,
        indices: dict.get_item("indices")?.map(|indices| indices.extract()).transpose()?,
        seed: get("seed")?.extract()?,
        fields: get("fields")?.extract()?,
    };
    let note = note_from_python(note);
    let (epoch, start) = (get("epoch")?.extract()?, get("items_done")?.extract()?);
    State::new(epoch, start, note, basis).or_raise()
}
