//! Attributes of a view; its claim on its memory, and the end of the claim.

use std::sync::atomic::Ordering;

use ndlens::Order;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::error::OrRaise;
use crate::exit;
use crate::interop::buffer::BufferExport;
use crate::interop::tensor_memory::unwatched;
use crate::view::claim::InUse;
use crate::view::object::{PyView, tuple};

/// End of the error about buffers that are taken of a view.
const HINT: &str = "; view.holders(search=True) says where";

#[pymethods]
impl PyView {
    /// The number of elements along each axis.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        // A copy of the numbers takes longer than a count that no other thread writes to.
        if cfg!(Py_GIL_DISABLED) {
            return tuple(py, &self.sizes(py)?);
        }
        tuple(py, self.view()?.shape())
    }

    /// The bytes from one element to the next along each axis; negative for a reversed axis.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        if cfg!(Py_GIL_DISABLED) {
            return tuple(py, &self.steps(py)?);
        }
        tuple(py, self.view()?.strides())
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self, py: Python<'_>) -> PyResult<usize> {
        self.rank(py)
    }

    /// The name of the elements' type, as NumPy's, such as "float32".
    ///
    /// If NumPy has no one-word name for it, the format of the buffer protocol.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(PyString::new(py, self.elements(py)?.name()))
    }

    /// The format of the buffer protocol (PEP 3118), in letters of the `struct` module.
    ///
    /// None if it has none for these elements.
    #[getter]
    fn format(&self) -> PyResult<Option<String>> {
        Ok(self.view()?.dtype().format().and_then(|format| format.to_str().ok()).map(str::to_owned))
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.amount(py)?.1)
    }

    /// Bytes of all elements: what a copy takes.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> PyResult<usize> {
        let (count, itemsize) = self.amount(py)?;
        Ok(count * itemsize)
    }

    /// The number of elements.
    #[getter]
    fn size(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.amount(py)?.0)
    }

    /// Whether the memory must not be written through this view.
    #[getter]
    fn readonly(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_read_only(py)
    }

    /// Whether the elements are packed in C order: the last index changes fastest.
    #[getter]
    fn c_contiguous(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_packed(py, Order::C)
    }

    /// Whether the elements are packed in Fortran order: the first index changes fastest.
    #[getter]
    fn f_contiguous(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_packed(py, Order::F)
    }

    /// Whether the elements are packed in C or Fortran order.
    #[getter]
    fn contiguous(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.c_contiguous(py)? || self.f_contiguous(py)?)
    }

    /// `()`, as a `memoryview` has it: no element is behind a pointer (PEP 3118).
    #[getter]
    fn suboffsets<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.view()?;
        Ok(PyTuple::empty(py))
    }

    /// The object whose buffer this is a view of; None if the memory is of no such object.
    #[getter]
    pub(crate) fn obj(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(unwatched(self.view()?.buffer())
            .owner::<BufferExport>()
            .and_then(|export| export.exporter(py)))
    }

    /// Raises `TruncatedError` if bytes of this view are lost.
    ///
    /// They are lost if the mapped file has become shorter, or was when it was read after
    /// `nl.guard_truncation()`. Other memory is never lost. Call it before a read to learn of a
    /// loss early, and after a read by NumPy or torch to know that what was read is in the file.
    ///
    /// Raises:
    ///     `TruncatedError`: Bytes of the view are lost.
    fn verify(&self) -> PyResult<()> {
        self.view()?.verify().or_raise()
    }

    /// Asks the system to read this view's pages of a mapped file, without waiting.
    ///
    /// From the view's first element to its last (`madvise`, `MADV_WILLNEED`). Nothing happens for
    /// other memory.
    ///
    /// Raises:
    ///     `OSError`: The system refuses.
    fn prefetch(&self, py: Python<'_>) -> PyResult<()> {
        let view = self.view()?;
        exit::detach(py, || view.prefetch()).or_raise()
    }

    /// Frees the memory that caches this view's pages of a mapped file.
    ///
    /// From the view's first element to its last, in this process and in the system's cache of
    /// files; they are read again when they are needed. What was written to them is kept. The
    /// system keeps pages that other processes use, and those it has yet to write. Nothing happens
    /// for other memory.
    ///
    /// Raises:
    ///     `OSError`: The system refuses.
    fn drop_cache(&self, py: Python<'_>) -> PyResult<()> {
        let view = self.view()?;
        exit::detach(py, || view.drop_cache()).or_raise()
    }

    /// The same view, read-only.
    fn toreadonly(&self) -> PyResult<PyView> {
        Ok(PyView::new(self.view()?.to_read_only()))
    }

    /// Gives up this view's claim on its memory.
    ///
    /// If no other view, array or tensor holds it, its owner can then be resized or closed.
    /// Anything else done with this view raises `ValueError`.
    ///
    /// Raises:
    ///     `BufferError`: A consumer holds this view's buffer.
    fn release(&self) -> PyResult<()> {
        // Relaxed: a number for the message.
        let released =
            self.claim.release().map_err(|InUse| match self.exports.load(Ordering::Relaxed) {
                0 => PyBufferError::new_err("view is in use"),
                1 => PyBufferError::new_err(format!("view has 1 exported buffer{HINT}")),
                n => PyBufferError::new_err(format!("view has {n} exported buffers{HINT}")),
            })?;
        drop(released);
        Ok(())
    }

    fn __enter__(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        slf.get().view()?;
        Ok(slf)
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(&self, _exception: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Some(view) = self.claim.look() else { return Ok("<released ndlens.View>".to_owned()) };
        Ok(format!(
            "<ndlens.View shape={} dtype={} strides={}{}>",
            tuple(py, view.shape())?.repr()?,
            view.dtype(),
            tuple(py, view.strides())?.repr()?,
            if view.is_read_only() { " readonly" } else { "" }
        ))
    }
}
