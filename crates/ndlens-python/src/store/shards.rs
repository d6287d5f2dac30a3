//! `nl.Shards`: one array in several files.

use std::sync::Arc;

use ndlens::View;
use ndlens::loader::Source;
use ndlens::store::Shards;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::error::{OrRaise, no_attribute};
use crate::lists;
use crate::optional;
use crate::view::object::{PyView, tuple};

/// One array in several files, cut along axis 0.
///
/// `nl.open` of a pattern or a list of paths makes it. Its items have one shape and dtype and are
/// in the order of the files. `nl.Loader` and `nl.torch.Dataset` take it as a field. `s[i]` is item
/// i as a view of its file (an element, if items have no axes), `s[a:b:c]` other shards of the same
/// memory, and `s[index]`, with an array of integers or booleans, `nl.Items`. Nothing is copied. It
/// pickles to the handles of its shards.
#[pyclass(frozen, name = "Shards", module = "ndlens", weakref)]
pub(crate) struct PyShards(Shards);

impl PyShards {
    pub(crate) fn new(shards: Shards) -> Self {
        PyShards(shards)
    }

    /// Items for a loader.
    pub(crate) fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.0.clone())
    }

    pub(crate) fn views(&self) -> &[View] {
        self.0.views()
    }

    pub(crate) fn as_shards(&self) -> &Shards {
        &self.0
    }
}

/// The shards that were pickled as these views.
#[pyfunction]
#[pyo3(name = "_shards_of_views", signature = (views, /))]
pub(crate) fn shards_of_views(views: &Bound<'_, PyAny>) -> PyResult<PyShards> {
    let views =
        lists::extract_each(views, |view| Ok(view.cast::<PyView>()?.get().view()?.clone()))?;
    Shards::of(views).map(PyShards).or_raise()
}

#[pymethods]
impl PyShards {
    /// The number of items of all shards together, then the shape of an item.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, &self.0.shape())
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.0.shape().len()
    }

    /// The name of the elements' type, as `View.dtype`.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::new(py, self.0.dtype().name())
    }

    /// Bytes of all elements.
    #[getter]
    fn nbytes(&self) -> usize {
        self.0.views().iter().map(View::nbytes).sum()
    }

    /// Each shard as a view, in order.
    #[getter]
    fn shards<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let view = |view: &View| Ok(Bound::new(py, PyView::new(view.clone()))?.into_any());
        lists::tuple_of(py, self.0.views().iter().map(view))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Refuses: NumPy would make an array of one object of the shards.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __array__(
        &self,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let files = self.0.views().len();
        Err(PyTypeError::new_err(format!(
            "shards are in {files} files, and one array of them would be a copy: \
             numpy.concatenate([shard.numpy() for shard in shards.shards])"
        )))
    }

    /// Called for a name that shards do not have: names what to write instead of a view's methods.
    fn __getattr__(&self, name: &str) -> PyResult<()> {
        let how = match name {
            "numpy" => "numpy.concatenate([shard.numpy() for shard in shards.shards])",
            "torch" => "torch.cat([shard.torch() for shard in shards.shards])",
            _ => return Err(no_attribute("Shards", name, "")),
        };
        let files = self.0.views().len();
        let hint = format!(": shards are in {files} files; {how} is a copy of them in one array");
        Err(no_attribute("Shards", name, &hint))
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyTuple>,))> {
        Ok((optional::get(py, "ndlens._ndlens", "_shards_of_views")?, (self.shards(py)?,)))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let shape = tuple(py, &self.0.shape())?.repr()?;
        Ok(format!(
            "<ndlens.Shards shape={shape} dtype={} shards={}>",
            self.0.dtype(),
            self.0.views().len()
        ))
    }
}
