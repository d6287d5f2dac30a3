//! A batch as Python objects, in the structure of the fields.

use std::iter;

use ndlens::View;
use ndlens::loader::Batch;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::error::OrRaise;
use crate::loader::output::Output;
use crate::loader::params;
use crate::structure::Structure;
use crate::trace;

/// The operation of a batch, which is a copy of its items.
pub(crate) const BATCH: &str = "Loader batch";

/// Views as the parts of a batch, one for each field.
pub(crate) fn of_views<'py>(
    py: Python<'py>,
    structure: &Structure,
    output: Output,
    views: Vec<View>,
) -> PyResult<Bound<'py, PyAny>> {
    structure.wrap(py, views.into_iter().map(|view| output.wrap(py, view)))
}

/// The parameters drawn for a batch, if the loader returns them.
pub(crate) fn drawn_for<'py>(
    py: Python<'py>,
    structure: &Structure,
    batch: &Batch,
) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let mut drawn = vec![];
    if let Some(fields) = batch.params() {
        let of_fields =
            fields.iter().map(|items| params::from_text(py, &items.to_json().or_raise()?));
        drawn.push(structure.wrap(py, of_fields)?);
    }
    if let Some(mixed) = batch.mixed() {
        drawn.push(params::from_text(py, &mixed.to_json())?);
    }
    Ok(drawn)
}

pub(crate) fn wrapped<'py>(
    py: Python<'py>,
    structure: &Structure,
    parts: Vec<Bound<'py, PyAny>>,
    drawn: Vec<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let batch = structure.wrap(py, parts.into_iter().map(Ok))?;
    if drawn.is_empty() {
        return Ok(batch);
    }
    Ok(PyTuple::new(py, iter::once(batch).chain(drawn).collect::<Vec<_>>())?.into_any())
}

/// A batch as it is handed out, with the parameters drawn for it.
pub(crate) fn handed_out<'py>(
    py: Python<'py>,
    structure: &Structure,
    output: Output,
    batch: Batch,
) -> PyResult<Bound<'py, PyAny>> {
    let drawn = drawn_for(py, structure, &batch)?;
    let views = batch.into_views();
    if trace::is_open() {
        trace::copied(py, BATCH, views.iter().map(View::nbytes).sum())?;
    }
    let parts = views.into_iter().map(|view| output.wrap(py, view)).collect::<PyResult<_>>()?;
    wrapped(py, structure, parts, drawn)
}
