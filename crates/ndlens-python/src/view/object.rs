//! The class `View`, and new objects of it, made in the place that their views will have.
//!
//! `Bound::new` makes an object and then moves a value into it, and it makes it as `object.__new__`
//! does: with a tuple of no arguments, zeroed, and shown to the collector. For a slice, whose work
//! is a dozen additions, that is most of the time. So the object is allocated without them, and its
//! few words that say "empty" are written in place.

#![expect(unsafe_code, reason = "makes objects as CPython's C API does; see UNSAFE.md")]

use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicIsize, AtomicUsize};

use ndlens::View;
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::view::claim::{Claim, Look};

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
    /// The hash, kept after the view is released; [`NO_HASH`] until it is first computed.
    pub(crate) hash: AtomicIsize,
}

/// No object has this hash.
pub(crate) const NO_HASH: isize = -1;

impl PyView {
    pub(crate) fn new(view: View) -> Self {
        PyView::of(Claim::new(view))
    }

    /// A view without exports or a hash.
    pub(crate) fn of(claim: Claim) -> Self {
        PyView { claim, exports: AtomicUsize::new(0), hash: AtomicIsize::new(NO_HASH) }
    }

    /// A look at the view, which is not released meanwhile.
    pub(crate) fn view(&self) -> PyResult<Look<'_>> {
        self.claim.look().ok_or_else(released)
    }
}

#[cold]
pub(crate) fn released() -> PyErr {
    PyValueError::new_err("operation forbidden on released View object")
}

pub(crate) fn tuple<'py, T: IntoPyObject<'py> + Copy>(
    py: Python<'py>,
    numbers: &[T],
) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, numbers.iter().copied())
}

/// The layout of `PyO3` for objects of a frozen class with weak references.
#[repr(C)]
struct Object {
    head: ffi::PyObject,
    view: PyView,
    weak_references: *mut ffi::PyObject,
}

/// Another object of the class of `like`, with a claim that is closed.
#[inline]
pub(crate) fn closed_beside<'py>(like: &Bound<'py, PyView>) -> PyResult<Bound<'py, PyView>> {
    let py = like.py();
    let empty = PyView::of(Claim::closed());
    if !is_laid_out_so(like) {
        return Bound::new(py, empty);
    }
    // SAFETY: the class of a live object, whose objects the collector knows. Their memory is freed
    // as memory from here is, with `PyObject_GC_Del`, which is what every class has that allocates
    // with CPython's own functions.
    let object = unsafe { ffi::PyObject_GC_New::<Object>(ffi::Py_TYPE(like.as_ptr())) };
    if object.is_null() {
        return Err(PyErr::fetch(py));
    }
    // The object is not tracked by the collector: its class is the only object that it refers to
    // and a collector could see.
    //
    // SAFETY: `object` is `size_of::<Object>()` new bytes, of which the head is initialised; these
    // are the rest. No other code has a reference to it, so it is ours to return.
    unsafe {
        (&raw mut (*object).view).write(empty);
        (&raw mut (*object).weak_references).write(ptr::null_mut());
        Ok(Bound::from_owned_ptr(py, object.cast()).cast_into_unchecked())
    }
}

/// Whether objects of this class are [`Object`]s. With the head in front, the view and the place of
/// weak references where they are expected, and no byte beyond, there is no room for anything else
/// that would have to be initialised.
#[inline]
fn is_laid_out_so(like: &Bound<'_, PyView>) -> bool {
    let start = like.as_ptr().addr();
    // SAFETY: the class of a live object is alive, and these fields of it do not change.
    let (size, weak_references, collected) = unsafe {
        let class = ffi::Py_TYPE(like.as_ptr());
        ((*class).tp_basicsize, (*class).tp_weaklistoffset, ffi::PyType_IS_GC(class) != 0)
    };
    collected
        && size == size_of::<Object>() as isize
        && weak_references == offset_of!(Object, weak_references) as isize
        && ptr::from_ref(like.get()).addr() == start + offset_of!(Object, view)
}
