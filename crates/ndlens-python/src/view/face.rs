//! What notebooks show of a view, and where its bytes lie.

use pyo3::prelude::*;

use crate::interop::tensor_memory::check_in_place;
use crate::provided;
use crate::view::object::PyView;

/// Bytes of the memory, the place of the first element in them, the owner in words, the class of
/// the object whose buffer it is, and whether the memory is still the owner's.
type Memory = (usize, usize, String, Option<Py<PyAny>>, bool);

#[pymethods]
impl PyView {
    /// The view in HTML, for notebooks: it reads no element.
    #[pyo3(name = "_repr_html_")]
    fn repr_html<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        provided::FACE.get(slf.py())?.call1(("view", slf))
    }

    /// The memory that the view is of.
    #[pyo3(name = "_memory")]
    fn memory(&self, py: Python<'_>) -> PyResult<Memory> {
        let class = self.obj(py)?.map(|obj| obj.bind(py).get_type().into_any().unbind());
        let view = self.view()?;
        let (buffer, offset) = (view.buffer(), view.layout().offset());
        let is_in_place = check_in_place(&view).is_ok();
        Ok((buffer.len(), offset, buffer.owner_description(), class, is_in_place))
    }
}
