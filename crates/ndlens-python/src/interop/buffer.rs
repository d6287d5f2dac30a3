//! Buffers in, through the buffer protocol of `CPython` (PEP 3118).

#![expect(unsafe_code, reason = "takes buffers through CPython's C API; see UNSAFE.md")]

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use ndlens::{Access, Buffer, DType, Layout, MAX_NDIM, Order, Owner, View};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;

/// Whether an object exports a buffer.
pub(crate) fn exports_buffer(obj: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the check reads the object's type and nothing else.
    unsafe { ffi::PyObject_CheckBuffer(obj.as_ptr()) != 0 }
}

/// The number of references to an object.
pub(crate) fn references(obj: &Bound<'_, PyAny>) -> isize {
    // SAFETY: the object is alive.
    unsafe { ffi::Py_REFCNT(obj.as_ptr()) }
}

/// A buffer held through the buffer protocol (PEP 3118); released on drop.
///
/// Exporters may point into the struct, so it stays where it was filled, and no reference but the
/// exporter's is kept to it.
pub(crate) struct BufferExport(NonNull<ffi::Py_buffer>);

// SAFETY: the struct is read while it is made, by one thread; after that only `PyBuffer_Release`
// touches it, with the thread attached to the interpreter.
unsafe impl Send for BufferExport {}
// SAFETY: as above; `&BufferExport` gives nothing away.
unsafe impl Sync for BufferExport {}

impl Owner for BufferExport {}

/// Runs what needs the interpreter, from any thread, attached or not; does nothing once the
/// interpreter is ending: the code that would free anything is gone with it.
///
/// `PyO3` counts a thread as attached also if C code below it has detached it: torch frees tensors
/// in that state, and a tensor may hold the last claim on a Python object. Only the interpreter
/// knows the state.
pub(crate) fn attached(release: impl FnOnce(Python<'_>)) {
    exit::attach(|py| {
        // SAFETY: there is an interpreter, and the two calls enclose what needs it.
        unsafe {
            let state = ffi::PyGILState_Ensure();
            release(py);
            ffi::PyGILState_Release(state);
        }
    });
}

impl Drop for BufferExport {
    fn drop(&mut self) {
        // SAFETY: the buffer was filled by PyObject_GetBuffer and is released here only.
        attached(|_| unsafe { ffi::PyBuffer_Release(self.0.as_ptr()) });
        // SAFETY: `take` made it of a box; no pointer to it is left, or none will be followed.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl BufferExport {
    /// The object that exports the buffer.
    pub(crate) fn exporter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        // SAFETY: `obj` is null or an object that the held buffer keeps alive.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, self.0.as_ref().obj) }.map(Bound::unbind)
    }

    /// Asks for a buffer to read, of any kind: strides of any sign, the format, sub-offsets.
    pub(crate) fn take(obj: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = NonNull::from(Box::leak(Box::new(ffi::Py_buffer::new())));
        // SAFETY: `buffer` is an empty Py_buffer and does not move while it is filled or used.
        let status: c_int =
            unsafe { ffi::PyObject_GetBuffer(obj.as_ptr(), buffer.as_ptr(), ffi::PyBUF_FULL_RO) };
        if status < 0 {
            let error = PyErr::fetch(obj.py());
            // SAFETY: the box of above; an exporter that fails keeps nothing.
            drop(unsafe { Box::from_raw(buffer.as_ptr()) });
            return Err(error);
        }
        Ok(BufferExport(buffer))
    }

    pub(crate) fn into_view(self) -> PyResult<View> {
        // SAFETY: filled by the exporter, and not changed until it is released.
        let buffer = unsafe { self.0.as_ref() };
        let ndim = usize::try_from(buffer.ndim).map_err(|_| bad_export("ndim is negative"))?;
        if ndim > MAX_NDIM {
            return Err(ndlens::Error::TooManyDimensions { got: ndim }).or_raise();
        }
        let itemsize =
            usize::try_from(buffer.itemsize).map_err(|_| bad_export("itemsize is negative"))?;
        // SAFETY: each array is null or has `ndim` numbers, as PEP 3118 says.
        let (shape, strides, suboffsets) = unsafe {
            (
                numbers(buffer.shape, ndim),
                numbers(buffer.strides, ndim),
                numbers(buffer.suboffsets, ndim),
            )
        };
        if suboffsets.is_some_and(|offsets| offsets.iter().any(|&offset| offset >= 0)) {
            return Err(PyBufferError::new_err(
                "buffer has sub-offsets (a PIL-style array of pointers): its elements are not at \
                 strides; copy it first",
            ));
        }
        let format = if buffer.format.is_null() {
            c"B"
        } else {
            // SAFETY: not null, so a NUL-terminated string that lives as long as the export.
            unsafe { CStr::from_ptr(buffer.format) }
        };
        let dtype = DType::from_format(&format.to_string_lossy(), itemsize).or_raise()?;
        let len = usize::try_from(buffer.len).map_err(|_| bad_export("len is negative"))?;
        let shape: Vec<usize> = match shape {
            Some(shape) => shape
                .iter()
                .map(|&n| usize::try_from(n))
                .collect::<Result<_, _>>()
                .map_err(|_| bad_export("shape is negative"))?,
            // Exporters leave the shape of a scalar out.
            None if ndim == 0 => vec![],
            None => vec![len.checked_div(itemsize).unwrap_or(0)],
        };
        let layout = match strides {
            Some(strides) if strides.len() == shape.len() => {
                let (below, above) = Layout::reach(&shape, strides, itemsize).or_raise()?;
                Layout::new(&shape, strides, below, itemsize, below + above).or_raise()?
            }
            _ => Layout::contiguous(&shape, itemsize, Order::C).or_raise()?,
        };
        let (below, above) =
            Layout::reach(layout.shape(), layout.strides(), itemsize).or_raise()?;
        let access = if buffer.readonly == 0 { Access::ReadWrite } else { Access::ReadOnly };
        let base = match NonNull::new(buffer.buf.cast::<u8>()) {
            Some(first) => first.as_ptr().wrapping_sub(below),
            None if below + above == 0 => NonNull::dangling().as_ptr(),
            None => return Err(bad_export("buf is null")),
        };
        let base = NonNull::new(base).ok_or_else(|| bad_export("elements start at address 0"))?;
        // SAFETY: the exporter guarantees its elements, which span these bytes, until
        // PyBuffer_Release, which is when the owner drops; a writable export may be written.
        let buffer = unsafe { Buffer::from_raw(base, below + above, access, Arc::new(self)) };
        View::new(buffer, layout, dtype).or_raise()
    }
}

fn bad_export(what: &'static str) -> PyErr {
    PyBufferError::new_err(format!("invalid buffer export: {what}"))
}

/// An array of the C struct, if it has one.
///
/// # Safety
///
/// `array` must be null or point to `len` numbers that live for `'a`.
unsafe fn numbers<'a>(array: *const ffi::Py_ssize_t, len: usize) -> Option<&'a [ffi::Py_ssize_t]> {
    // SAFETY: the caller guarantees a pointer that is not null.
    (!array.is_null()).then(|| unsafe { slice::from_raw_parts(array, len) })
}
