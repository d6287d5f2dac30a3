//! A run's state as a dict, and which of several processes this one is.

use ndlens::loader::{Basis, STATE_VERSION, State};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::modules;

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
    Ok(dict)
}

pub(crate) fn from_dict(dict: &Bound<'_, PyDict>) -> PyResult<State> {
    let get =
        |key| dict.get_item(key)?.ok_or_else(|| PyKeyError::new_err(format!("the state has no {key:?}")));
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
        seed: get("seed")?.extract()?,
        fields: get("fields")?.extract()?,
    };
    Ok(State { epoch: get("epoch")?.extract()?, start: get("items_done")?.extract()?, basis })
}

/// This process's rank, and of how many: torch.distributed's where a group is up, else what torchrun sets, else the only one.
pub(crate) fn rank_and_world_size(py: Python<'_>) -> PyResult<(isize, isize)> {
    // Looked up, not imported: a group that is up was imported by whoever set it up.
    if let Some(distributed) = modules::loaded(py, "torch.distributed")?
        && distributed.call_method0("is_available")?.is_truthy()?
        && distributed.call_method0("is_initialized")?.is_truthy()?
    {
        return Ok((
            distributed.call_method0("get_rank")?.extract()?,
            distributed.call_method0("get_world_size")?.extract()?,
        ));
    }
    let (Ok(rank), Ok(world_size)) = (std::env::var("RANK"), std::env::var("WORLD_SIZE")) else {
        return Ok((0, 1));
    };
    let number = |name, text: String| {
        text.parse().map_err(|_| {
            PyValueError::new_err(format!("the environment's {name} must be an integer, got {text:?}"))
        })
    };
    Ok((number("RANK", rank)?, number("WORLD_SIZE", world_size)?))
}
