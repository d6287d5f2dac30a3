//! `nl.View`: what it is, what it says of itself, and what stands in its brackets.
//!
//! Its other methods stand by idea in `shape.rs` (other shapes over the same memory), `sequence.rs` (what a `memoryview` and a
//! sequence have), `write.rs` and `handoff.rs` (out to other libraries).

use std::sync::atomic::{AtomicUsize, Ordering};

use ndlens::{Index, Order, View};
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::element;
use crate::error::OrRaise;
use crate::import::BufferExport;
use crate::key::{element_of, with_key};

/// An N-dimensional view of memory that something else owns; made by `nl.view` and `nl.open`.
///
/// `v[...]`, `permute`, `flip`, `windows` and `reshape` give views of the same memory and never copy. `numpy`, `torch`,
/// the buffer protocol and DLPack hand it on without a copy. `copy`, `tobytes` and `tolist` copy.
///
/// >>> import ndlens as nl
/// >>> v = nl.view(bytearray(range(24))).reshape(2, 3, 4)
/// >>> v[1, :, ::2]
/// <ndlens.View shape=(3, 2) dtype=uint8 strides=(4, 2)>
/// >>> v[1, :, ::2].tolist()
/// [[12, 14], [16, 18], [20, 22]]
#[pyclass(name = "View", module = "ndlens", weakref)]
pub(crate) struct PyView {
    /// None once released.
    view: Option<View>,
    /// Buffers that consumers hold: they point into `view`.
    pub(crate) exports: AtomicUsize,
}

impl PyView {
    pub(crate) fn new(view: View) -> Self {
        PyView { view: Some(view), exports: AtomicUsize::new(0) }
    }

    pub(crate) fn view(&self) -> PyResult<&View> {
        self.view.as_ref().ok_or_else(|| PyValueError::new_err("operation forbidden on released View object"))
    }
}

pub(crate) fn tuple<'py, T: IntoPyObject<'py> + Copy>(
    py: Python<'py>,
    numbers: &[T],
) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, numbers.iter().copied())
}

impl PyView {
    /// What is at a place of axis 0: an element, or a view.
    pub(crate) fn at<'py>(&self, py: Python<'py>, place: isize) -> PyResult<Bound<'py, PyAny>> {
        let view = self.view()?;
        if view.ndim() == 1 {
            return element::scalar(py, view, [place].into_iter());
        }
        Ok(Bound::new(py, PyView::new(view.index(&[Index::At(place)]).or_raise()?))?.into_any())
    }
}

#[pymethods]
impl PyView {
    /// The size of each axis.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.view()?.shape())
    }

    /// The bytes from one element to the next along each axis; negative where the axis runs backwards.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.view()?.strides())
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> PyResult<usize> {
        Ok(self.view()?.ndim())
    }

    /// What the elements are: NumPy's name, such as "float32", or the buffer format where NumPy has no one-word name.
    #[getter]
    fn dtype(&self) -> PyResult<&str> {
        Ok(self.view()?.dtype().name())
    }

    /// The buffer protocol's format (PEP 3118, the `struct` module's letters), or None where it has none.
    #[getter]
    fn format(&self) -> PyResult<Option<&str>> {
        Ok(self.view()?.dtype().format().and_then(|format| format.to_str().ok()))
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self) -> PyResult<usize> {
        Ok(self.view()?.itemsize())
    }

    /// Bytes of all elements: what a copy takes.
    #[getter]
    fn nbytes(&self) -> PyResult<usize> {
        Ok(self.view()?.nbytes())
    }

    /// The number of elements.
    #[getter]
    fn size(&self) -> PyResult<usize> {
        Ok(self.view()?.len())
    }

    /// Whether the memory must not be written through this view.
    #[getter]
    fn readonly(&self) -> PyResult<bool> {
        Ok(self.view()?.is_read_only())
    }

    /// Whether the elements lie packed, the last index fastest.
    #[getter]
    fn c_contiguous(&self) -> PyResult<bool> {
        Ok(self.view()?.is_contiguous(Order::C))
    }

    /// Whether the elements lie packed, the first index fastest.
    #[getter]
    fn f_contiguous(&self) -> PyResult<bool> {
        Ok(self.view()?.is_contiguous(Order::F))
    }

    /// Whether the elements lie packed in either order.
    #[getter]
    fn contiguous(&self) -> PyResult<bool> {
        Ok(self.c_contiguous()? || self.f_contiguous()?)
    }

    /// `()`, as a `memoryview` has it: elements are at strides, never behind pointers.
    #[getter]
    fn suboffsets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.view()?;
        Ok(PyTuple::empty(py))
    }

    /// The object whose buffer this is a view of; None where the memory is not a Python object's buffer.
    #[getter]
    pub(crate) fn obj(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.view()?.buffer().owner::<BufferExport>().and_then(|export| export.exporter(py)))
    }

    /// NumPy's basic indexing: integers, slices of any step, `...` and None, fewer than there are axes if you like.
    ///
    /// Gives a view on the same memory, or the element itself where integers name one.
    fn __getitem__<'py>(&self, py: Python<'py>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        with_key(key, |key| {
            let view = self.view()?;
            if let Some(indices) = element_of(key, view.ndim()) {
                return element::scalar(py, view, indices.into_iter());
            }
            // Indexed where it stays: moving a view that was just made costs more than making it.
            let object = Bound::new(py, PyView::new(view.clone()))?;
            if let Some(clone) = &mut object.borrow_mut().view {
                view.index_into(key, clone).or_raise()?;
            }
            Ok(object.into_any())
        })
    }

    /// The same view, read-only.
    fn toreadonly(&self) -> PyResult<PyView> {
        Ok(PyView::new(self.view()?.to_read_only()))
    }

    /// Gives up this view's claim on its memory, so that its owner can be resized or closed if no other holds it.
    ///
    /// Anything else done with the view then raises `ValueError`. Views, arrays and tensors made of it keep their own
    /// claims. Raises `BufferError` while a consumer holds this view's buffer.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        let released = {
            let mut this = slf.try_borrow_mut().map_err(|_| PyBufferError::new_err("view is in use"))?;
            // Relaxed: a count that changes only while the view is borrowed.
            match this.exports.load(Ordering::Relaxed) {
                0 => this.view.take(),
                1 => return Err(PyBufferError::new_err("view has 1 exported buffer")),
                n => return Err(PyBufferError::new_err(format!("view has {n} exported buffers"))),
            }
        };
        // Not while it is borrowed: the owner's code may look at the view once more.
        drop(released);
        Ok(())
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.borrow().view()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(slf: &Bound<'_, Self>, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        PyView::release(slf)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Some(view) = &self.view else { return Ok("<released ndlens.View>".to_owned()) };
        Ok(format!(
            "<ndlens.View shape={} dtype={} strides={}{}>",
            tuple(py, view.shape())?.repr()?,
            view.dtype(),
            tuple(py, view.strides())?.repr()?,
            if view.is_read_only() { " readonly" } else { "" }
        ))
    }
}
