//! `nl.Skipped`: the items that an epoch left out.

use ndlens::loader::{SkippedItem, SkippedItems};
use pyo3::prelude::*;
use pyo3::types::PyList;

/// The items that an epoch left out of its batches, with `on_error="skip"`.
///
/// `len(skipped)` is their number. The batches are counted that were taken so far.
#[pyclass(frozen, name = "Skipped", module = "ndlens")]
pub(crate) struct PySkipped(pub(crate) SkippedItems);

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
