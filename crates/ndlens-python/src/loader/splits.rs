//! The parts of `nl.split`.

use ndlens::loader::{self, Dealing, PartSizes};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;
use crate::lists::Asked;
use crate::loader::selection::{PySelection, extract_labels};

/// Selections of `items` items, one for each part; see `nl.split`.
#[pyfunction]
#[pyo3(name = "_split", signature = (items, parts, seed, groups, stratify, /))]
pub(crate) fn split(
    py: Python<'_>,
    items: usize,
    parts: &Bound<'_, PyAny>,
    seed: Option<u64>,
    groups: Option<&Bound<'_, PyAny>>,
    stratify: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<PySelection>> {
    let sizes = if let Some(counts) = parts.extract::<Vec<usize>>().if_taken(py)? {
        PartSizes::Counts(counts)
    } else if let Some(fractions) = parts.extract::<Vec<f64>>().if_taken(py)? {
        PartSizes::Fractions(fractions)
    } else {
        return Err(PyTypeError::new_err(format!(
            "parts must be a list of fractions, such as [0.8, 0.2], or of numbers of items, got \
             {parts:?}"
        )));
    };
    let groups = groups.map(|groups| extract_labels(groups, "groups")).transpose()?;
    let classes = stratify.map(|labels| extract_labels(labels, "stratify")).transpose()?;
    let dealing = Dealing { seed, groups: groups.as_ref(), classes: classes.as_ref() };
    let parts = exit::detach(py, || loader::split(items, &sizes, dealing)).or_raise()?;
    Ok(parts.into_iter().map(|part| PySelection::new(part, items)).collect())
}
