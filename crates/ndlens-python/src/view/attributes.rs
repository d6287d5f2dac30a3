//! `nl.View`: what it is, what it says of itself, and what stands in its brackets.
//!
//! Its other methods stand by idea in `shape.rs` (other shapes over the same memory), `sequence.rs`
//! (what a `memoryview` and a sequence have), `write.rs` and `handoff.rs` (out to other libraries).

#![expect(
    unsafe_code,
    reason = "looks without counting where nothing can intervene; see UNSAFE.md"
)]

use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use ndlens::{Index, Order, View};
use pyo3::exceptions::{PyBufferError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use crate::error::OrRaise;
use crate::exit;
use crate::interop::import::BufferExport;
use crate::interop::tensor_memory::unwatched;
use crate::view::claim::{Claim, InUse, Look};
use crate::view::element;
use crate::view::key::{element_of, integer, with_key};
use crate::view::object::closed_beside;

/// An N-dimensional view of memory that another object owns.
///
/// `nl.view` and `nl.open` make views. `v[...]`, `permute`, `flip`, `windows`, `reshape` and the
/// like give views of the same memory and never copy. `numpy`, `torch`, the buffer protocol
/// (PEP 3118) and DLPack hand it on without a copy. `copy`, `take`, `tobytes` and `tolist` copy.
///
/// >>> import ndlens as nl
/// >>> v = nl.view(bytearray(range(24))).reshape(2, 3, 4)
/// >>> v[1, :, ::2]
/// <ndlens.View shape=(3, 2) dtype=uint8 strides=(4, 2)>
/// >>> v[1, :, ::2].tolist()
/// [[12, 14], [16, 18], [20, 22]]
#[pyclass(frozen, name = "View", module = "ndlens", weakref)]
pub(crate) struct PyView {
    pub(crate) claim: Claim,
    /// Buffers that consumers hold: each is a look at the claim, kept.
    pub(crate) exports: AtomicUsize,
    /// The hash that was given out, which stays also where the view is released; [`NO_HASH`]
    /// before.
    pub(crate) hash: AtomicIsize,
}

/// No object has this hash.
pub(crate) const NO_HASH: isize = -1;

impl PyView {
    pub(crate) fn new(view: View) -> Self {
        PyView::of(Claim::new(view))
    }

    /// A view that nobody has looked at yet.
    pub(crate) fn of(claim: Claim) -> Self {
        PyView { claim, exports: AtomicUsize::new(0), hash: AtomicIsize::new(NO_HASH) }
    }

    /// A look at the view, which is not released meanwhile.
    pub(crate) fn view(&self) -> PyResult<Look<'_>> {
        self.claim.look().ok_or_else(released)
    }
}

#[cold]
fn released() -> PyErr {
    PyValueError::new_err("operation forbidden on released View object")
}

pub(crate) fn tuple<'py, T: IntoPyObject<'py> + Copy>(
    py: Python<'py>,
    numbers: &[T],
) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, numbers.iter().copied())
}

impl PyView {
    /// What is at a place of axis 0: an element, or a view.
    #[inline]
    pub(crate) fn at<'py>(slf: &Bound<'py, Self>, place: isize) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        // SAFETY: making a number runs no Python code.
        let element =
            unsafe { slf.get().claim.glance(py, |view| element::common(py, view, place)) };
        match element.flatten() {
            Some(element) => Ok(element),
            None => Self::part_at(slf, place),
        }
    }

    /// As [`at`](Self::at), whatever the elements and the rank.
    fn part_at<'py>(slf: &Bound<'py, Self>, place: isize) -> PyResult<Bound<'py, PyAny>> {
        let view = slf.get();
        if view.rank(slf.py())? != 1 {
            return Self::slice(slf, &[Index::At(place)]);
        }
        element::scalar(slf.py(), &*view.view()?, [place].into_iter())
    }

    #[inline]
    fn rank(&self, py: Python<'_>) -> PyResult<usize> {
        // SAFETY: `ndim` runs no Python code.
        unsafe { self.claim.glance(py, View::ndim) }.ok_or_else(released)
    }

    /// Basic indexing, written where the new object has its view.
    #[inline]
    fn slice<'py>(slf: &Bound<'py, Self>, key: &[Index]) -> PyResult<Bound<'py, PyAny>> {
        // The object first: making one may run the collector, and that may run any Python code.
        let object = closed_beside(slf)?;
        let fill = |slot: &mut Option<View>| {
            // SAFETY: indexing runs no Python code.
            let indexed =
                unsafe { slf.get().claim.glance(slf.py(), |view| view.index_into(key, slot)) };
            indexed.ok_or_else(released)?.or_raise()
        };
        // SAFETY: the object was just made closed, and nobody else knows of it.
        unsafe { object.get().claim.open(fill) }?;
        Ok(object.into_any())
    }
}

#[pymethods]
impl PyView {
    /// The number of elements along each axis.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.view()?.shape())
    }

    /// The bytes from one element to the next along each axis; negative for a reversed axis.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.view()?.strides())
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> PyResult<usize> {
        Ok(self.view()?.ndim())
    }

    /// The name of the elements' type, as NumPy's, such as "float32".
    ///
    /// If NumPy has no one-word name for it, the format of the buffer protocol.
    #[getter]
    fn dtype<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        Ok(PyString::new(py, self.view()?.dtype().name()))
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

    /// Whether the elements are packed in C order: the last index changes fastest.
    #[getter]
    fn c_contiguous(&self) -> PyResult<bool> {
        Ok(self.view()?.is_contiguous(Order::C))
    }

    /// Whether the elements are packed in Fortran order: the first index changes fastest.
    #[getter]
    fn f_contiguous(&self) -> PyResult<bool> {
        Ok(self.view()?.is_contiguous(Order::F))
    }

    /// Whether the elements are packed in C or Fortran order.
    #[getter]
    fn contiguous(&self) -> PyResult<bool> {
        Ok(self.c_contiguous()? || self.f_contiguous()?)
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

    /// NumPy's basic indexing: integers, slices of any step, `...` and None, fewer than there are
    /// axes if you like.
    ///
    /// Gives a view on the same memory, or the element itself where integers name one.
    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(place) = integer(key)? {
            return Self::at(slf, place);
        }
        with_key(key, |key| {
            let view = slf.get();
            if let Some(indices) = element_of(key, view.rank(py)?) {
                return element::scalar(py, &*view.view()?, indices.into_iter());
            }
            Self::slice(slf, key)
        })
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
    /// From the view's first element to its last (`madvise`, MADV_WILLNEED). Nothing happens for
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
                1 => PyBufferError::new_err("view has 1 exported buffer"),
                n => PyBufferError::new_err(format!("view has {n} exported buffers")),
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
