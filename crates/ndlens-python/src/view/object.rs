//! The class `View`, and new objects of it, made in the place that their views will have.
//!
//! `Bound::new` makes an object and then moves a value into it, and it makes it as `object.__new__`
//! does: with a tuple of no arguments, zeroed, and shown to the collector. For a slice, whose work
//! is a dozen additions, that is most of the time. So the object is allocated without them, and its
//! few words that say "empty" are written in place.

#![expect(unsafe_code, reason = "makes objects as CPython's C API does; see UNSAFE.md")]

use std::mem::offset_of;
use std::ptr;
#[cfg(Py_GIL_DISABLED)]
use std::sync::atomic::Ordering;
use std::sync::atomic::{AtomicIsize, AtomicUsize};

use ndlens::{DType, Order, View};
use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
#[cfg(Py_GIL_DISABLED)]
use pyo3::types::PyType;
use smallvec::SmallVec;

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

    /// What a view says of itself, at a glance.
    ///
    /// # Safety
    ///
    /// As [`Claim::glance`].
    #[inline]
    unsafe fn say<R>(&self, py: Python<'_>, say: impl FnOnce(&View) -> R) -> PyResult<R> {
        // SAFETY: passed on; the caller guarantees the same.
        unsafe { self.claim.glance(py, say) }.ok_or_else(released)
    }

    #[inline]
    pub(crate) fn sizes(&self, py: Python<'_>) -> PyResult<Axes<usize>> {
        // SAFETY: copying numbers runs no Python code.
        unsafe { self.say(py, |view| Axes::from_slice(view.shape())) }
    }

    #[inline]
    pub(crate) fn steps(&self, py: Python<'_>) -> PyResult<Axes<isize>> {
        // SAFETY: copying numbers runs no Python code.
        unsafe { self.say(py, |view| Axes::from_slice(view.strides())) }
    }

    #[inline]
    pub(crate) fn rank(&self, py: Python<'_>) -> PyResult<usize> {
        // SAFETY: reading a number runs no Python code.
        unsafe { self.say(py, View::ndim) }
    }

    /// The number of elements, and the bytes of one.
    #[inline]
    pub(crate) fn amount(&self, py: Python<'_>) -> PyResult<(usize, usize)> {
        // SAFETY: multiplying sizes runs no Python code.
        unsafe { self.say(py, |view| (view.len(), view.itemsize())) }
    }

    #[inline]
    pub(crate) fn elements(&self, py: Python<'_>) -> PyResult<DType> {
        // SAFETY: a clone of a dtype runs no Python code.
        unsafe { self.say(py, |view| view.dtype().clone()) }
    }

    #[inline]
    pub(crate) fn is_read_only(&self, py: Python<'_>) -> PyResult<bool> {
        // SAFETY: reading a flag runs no Python code.
        unsafe { self.say(py, View::is_read_only) }
    }

    #[inline]
    pub(crate) fn is_packed(&self, py: Python<'_>, order: Order) -> PyResult<bool> {
        // SAFETY: comparing strides runs no Python code.
        unsafe { self.say(py, |view| view.is_contiguous(order)) }
    }
}

/// A number for each axis: room for six before the heap is asked.
pub(crate) type Axes<T> = SmallVec<[T; 6]>;

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

/// Ends the count of references to the class, which lives as long as the process.
///
/// Each view refers to its class. `CPython` counts that in the thread that makes the view, and
/// `PyO3` ends it at the class itself, which all threads then write to.
#[cfg(Py_GIL_DISABLED)]
pub(crate) fn keep_class(class: &Bound<'_, PyType>) {
    /// Local count of an object that lives forever: `_Py_IMMORTAL_REFCNT_LOCAL`, by which every
    /// inlined `Py_INCREF` recognises it.
    const IMMORTAL: u32 = u32::MAX;
    let class = class.as_ptr();
    // SAFETY: the class is alive, and no other thread knows it yet: its module is being made. The
    // three fields are what `_Py_SetImmortal` sets in CPython 3.14 and 3.15; from then on nobody
    // reads the other two. The collector must not see such an object, and is told so first.
    unsafe {
        ffi::PyObject_GC_UnTrack(class.cast());
        (*class).ob_tid = 0;
        (*class).ob_ref_local.store(IMMORTAL, Ordering::Relaxed);
        (*class).ob_ref_shared.store(0, Ordering::Relaxed);
    }
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
