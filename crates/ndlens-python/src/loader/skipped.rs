//! `nl.Skipped`: the items that an epoch left out.

use std::ffi::CString;

use ndlens::loader::{SkippedItem, SkippedItems};
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use pyo3::types::PyList;

/// The items that an epoch left out of its batches, with `on_error="skip"`.
///
/// `len(skipped)` is their number. Counted are the batches that were taken so far.
#[pyclass(frozen, name = "Skipped", module = "ndlens")]
pub(crate) struct PySkipped(pub(crate) SkippedItems);

/// Fewer items than this are no reason for a warning, nor is a smaller share than one in
/// [`MANY_OF`].
const MANY: usize = 10;
const MANY_OF: usize = 100;

/// Warns of an epoch that left out many items, beside `kept` that are in its batches.
pub(crate) fn warn_of_many(py: Python<'_>, left_out: &SkippedItems, kept: usize) -> PyResult<()> {
    let count = left_out.count;
    let all = kept.saturating_add(count);
    let Some(first) = left_out.first.first() else { return Ok(()) };
    if count < MANY || count.saturating_mul(MANY_OF) <= all {
        return Ok(());
    }
    let error = &first.error;
    let message = format!(
        "on_error=\"skip\" left out {count} of {all} items of this epoch; loader.skipped tells \
         which; the first: {error}"
    );
    // NUL, which no path holds, may come from a damaged file.
    let message = CString::new(message.replace('\0', "?"))?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 1)
}

#[pymethods]
impl PySkipped {
    fn __len__(&self) -> usize {
        self.0.count
    }

    /// The number of all items that were left out.
    #[getter]
    fn count(&self) -> usize {
        self.0.count
    }

    /// The first 100 of them, as (item, name, error).
    ///
    /// They are the number of the item, its path if it has one, or None, and the text of its error.
    #[getter]
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let items = self.0.first.iter();
        let items = items.map(|SkippedItem { item, name, error }| (*item, name, error));
        PyList::new(py, items.collect::<Vec<_>>())
    }

    fn __repr__(&self) -> String {
        let SkippedItems { count, first } = &self.0;
        let items = if *count == 1 { "item" } else { "items" };
        match first.first() {
            Some(SkippedItem { error, .. }) => {
                format!("<ndlens.Skipped {count} {items}, the first: {error}>")
            }
            None => format!("<ndlens.Skipped {count} {items}>"),
        }
    }
}
