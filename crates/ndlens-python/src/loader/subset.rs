//! `nl.subset` of one field.

use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PySlice;

use crate::interop::tensor_memory::extract_lasting_view;
use crate::loader::images::PyImages;
use crate::loader::items::{Base, PyItems};
use crate::loader::selection::{PySelection, extract_selection};
use crate::store::shards::PyShards;
use crate::view::object::PyView;

/// Some items of one field; see `nl.subset`.
#[pyfunction]
#[pyo3(name = "_subset", signature = (field, index, /))]
pub(crate) fn subset<'py>(
    field: &Bound<'py, PyAny>,
    index: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = field.py();
    if let Ok(items) = field.cast::<PyItems>() {
        let items = items.get();
        if let (None, Ok(selection)) = (&items.selection, index.cast::<PySelection>()) {
            return PyItems::of(items.base.clone(), Some(selection.clone().unbind()))?
                .into_bound_py_any(py);
        }
        return items
            .select(py, extract_selection(index, items.source().len())?)?
            .into_bound_py_any(py);
    }
    if let Ok(images) = field.cast::<PyImages>() {
        let images = images.get();
        if let Ok(selection) = index.cast::<PySelection>()
            && let Some(selected) = images.with_selection(py, selection)
        {
            return selected?.into_bound_py_any(py);
        }
        return images
            .select(py, extract_selection(index, images.source().len())?)?
            .into_bound_py_any(py);
    }
    // A slice of a view or of shards is of the same kind.
    let is_slice = index.is_instance_of::<PySlice>();
    let (base, len) = if let Ok(shards) = field.cast::<PyShards>() {
        if is_slice {
            return field.get_item(index);
        }
        let shards = shards.get().as_shards().clone();
        let len = shards.len();
        (Base::Shards(shards), len)
    } else {
        let view = extract_lasting_view(field)?;
        if view.ndim() == 0 {
            return Err(PyTypeError::new_err("a view of rank 0 has no items to take some of"));
        }
        if is_slice {
            return Bound::new(py, PyView::new(view))?.get_item(index);
        }
        let len = view.shape()[0];
        (Base::View(view), len)
    };
    let selection = match index.cast::<PySelection>() {
        Ok(selection) => selection.clone().unbind(),
        Err(_) => Py::new(py, PySelection::new(extract_selection(index, len)?, len))?,
    };
    PyItems::of(base, Some(selection))?.into_bound_py_any(py)
}
