//! Items of shards: indexing by brackets.

use ndlens::Index;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PySlice, PyTuple};

use crate::error::OrRaise;
use crate::exit;
use crate::lists;
use crate::loader::items::{Base, PyItems};
use crate::loader::selection::{PySelection, extract_items};
use crate::store::shards::PyShards;
use crate::view::key::{selects_by_copying, with_key};
use crate::view::object::PyView;

#[pymethods]
impl PyShards {
    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        lists::each_item(slf.as_any(), slf.get().as_shards().len())
    }

    /// Item `key`, or some items: of a slice, or of an array of integers or booleans.
    ///
    /// Raises `IndexError` for a number that is not an item and for other keys.
    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _inside = exit::enter(py);
        let shards = self.as_shards();
        if !key.is_instance_of::<PyTuple>()
            && !key.is_instance_of::<PySlice>()
            && selects_by_copying(key)?
        {
            let selection = extract_items(key, shards.len())?;
            let selection = Py::new(py, PySelection::new(selection, shards.len()))?;
            return PyItems::of(Base::Shards(shards.clone()), Some(selection))?
                .into_bound_py_any(py);
        }
        with_key(key, |key| match key.as_slice() {
            [Index::At(item)] => {
                let (shard, place) = shards.find(*item).or_raise()?;
                PyView::at(&Bound::new(py, PyView::new(shards.views()[shard].clone()))?, place)
            }
            [Index::Slice { start, stop, step }] => {
                let part = shards.slice(*start, *stop, *step).or_raise()?;
                Ok(Bound::new(py, PyShards::new(part))?.into_any())
            }
            _ => Err(PyIndexError::new_err(
                "shards are indexed by one integer, slice or array of indices; index the item \
                 further",
            )),
        })
    }
}
