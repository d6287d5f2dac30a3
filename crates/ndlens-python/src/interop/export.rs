//! Views out through the buffer protocol (PEP 3118).
//!
//! The exported struct points into the view itself: a `View` object does not change while it is
//! exported, and the export holds it.

#![expect(unsafe_code, reason = "fills CPython's buffer struct; see UNSAFE.md")]

use std::ffi::{CStr, c_int};
use std::ptr;

use ndlens::{Order, View};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::view::object::PyView;

/// The view's format, or a `BufferError` as PEP 3118 wants it.
pub(crate) fn format(view: &View) -> PyResult<&CStr> {
    view.dtype().format().ok_or_else(|| {
        PyBufferError::new_err(view.dtype().unsupported_by("the buffer protocol").to_string())
    })
}

/// Answers a request for the buffer of `owner`, whose view `view` is, with exactly what `flags` ask
/// for, or refuses.
///
/// # Safety
///
/// `buffer` must be null or point to a `Py_buffer` to fill.
pub(crate) unsafe fn fill(
    owner: &Bound<'_, PyView>,
    view: &View,
    buffer: *mut ffi::Py_buffer,
    flags: c_int,
) -> PyResult<()> {
    if buffer.is_null() {
        return Err(PyBufferError::new_err("no buffer to fill"));
    }
    // SAFETY: not null, so the caller's struct, whose contents may be uninitialised.
    unsafe { (&raw mut (*buffer).obj).write(ptr::null_mut()) };
    let asks = |flag: c_int| flags & flag == flag;

    if asks(ffi::PyBUF_WRITABLE) && view.is_read_only() {
        return Err(PyBufferError::new_err(
            "view is read-only, but a writable buffer was asked for",
        ));
    }
    for (flag, order, name) in [
        (ffi::PyBUF_C_CONTIGUOUS, Order::C, "C-contiguous"),
        (ffi::PyBUF_F_CONTIGUOUS, Order::F, "Fortran-contiguous"),
    ] {
        if asks(flag) && !view.is_contiguous(order) {
            return Err(PyBufferError::new_err(format!("view is not {name}; call .copy() first")));
        }
    }
    let either = view.is_contiguous(Order::C) || view.is_contiguous(Order::F);
    if asks(ffi::PyBUF_ANY_CONTIGUOUS) && !either {
        return Err(PyBufferError::new_err("view is not contiguous; call .copy() first"));
    }
    // Without strides the consumer reads on as if the elements were packed in C order.
    if !asks(ffi::PyBUF_STRIDES) && !view.is_contiguous(Order::C) {
        return Err(PyBufferError::new_err(
            "view is not C-contiguous and the buffer was asked for without strides; call .copy() \
             first",
        ));
    }
    let format = format(view)?;

    // Without PyBUF_ND a consumer sees one run of bytes, of ndim 1 and without a shape; a scalar
    // has neither shape nor strides.
    let shaped = asks(ffi::PyBUF_ND);
    let axes = shaped && view.ndim() > 0;
    let filled = ffi::Py_buffer {
        buf: view.as_ptr().cast(),
        obj: owner.clone().into_any().into_ptr(),
        len: view.nbytes() as ffi::Py_ssize_t,
        itemsize: view.itemsize() as ffi::Py_ssize_t,
        readonly: c_int::from(view.is_read_only()),
        ndim: if shaped { view.ndim() as c_int } else { 1 },
        format: if asks(ffi::PyBUF_FORMAT) { format.as_ptr().cast_mut() } else { ptr::null_mut() },
        shape: if axes {
            view.shape().as_ptr().cast::<ffi::Py_ssize_t>().cast_mut()
        } else {
            ptr::null_mut()
        },
        strides: if axes && asks(ffi::PyBUF_STRIDES) {
            view.strides().as_ptr().cast_mut()
        } else {
            ptr::null_mut()
        },
        suboffsets: ptr::null_mut(),
        internal: ptr::null_mut(),
    };
    // SAFETY: as above.
    unsafe { buffer.write(filled) };
    Ok(())
}
