//! Python objects in: whatever exports a buffer or speaks DLPack becomes a view, and stays alive as long as one.

#![expect(unsafe_code, reason = "takes buffers through CPython's C API; see UNSAFE.md")]

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use ndlens::{Access, Buffer, DType, Layout, MAX_NDIM, Order, Owner, View};
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::dlpack;
use crate::error::OrRaise;
use crate::view::PyView;

/// A view of any object that exports a buffer (`bytes`, `bytearray`, `array.array`, `mmap`, `memoryview`, a NumPy array,
/// ...) or speaks DLPack on the CPU (a `torch.Tensor`, a JAX array, ...). Nothing is copied.
///
/// The view has the object's shape, strides and dtype, and is read-only if the object is. While the view, or anything
/// made of it, lives, the object's memory is held: a `bytearray` cannot be resized, an `mmap` not closed.
///
/// Raises `TypeError` for other objects and `BufferError` where the object will not give its memory.
///
/// >>> import ndlens as nl
/// >>> pixels = bytearray(range(6))
/// >>> v = nl.view(pixels)
/// >>> v.shape, v.dtype, v.readonly
/// ((6,), 'uint8', False)
/// >>> pixels.append(6)
/// Traceback (most recent call last):
///     ...
/// BufferError: Existing exports of data: object cannot be re-sized
#[pyfunction]
#[pyo3(signature = (obj, /))]
pub(crate) fn view(obj: &Bound<'_, PyAny>) -> PyResult<PyView> {
    extract_view(obj).map(PyView::new)
}

/// Any object `view` takes.
pub(crate) fn extract_view(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    if let Ok(view) = obj.cast::<PyView>() {
        return Ok(view.get().view().clone());
    }
    // SAFETY: the check reads the object's type and nothing else.
    if unsafe { ffi::PyObject_CheckBuffer(obj.as_ptr()) } != 0 {
        return BufferExport::take(obj)?.into_view();
    }
    if obj.hasattr("__dlpack__")? {
        return dlpack::import(obj);
    }
    Err(PyTypeError::new_err(format!(
        "nl.view needs an object with the buffer protocol or DLPack, got {}",
        obj.get_type().name()?
    )))
}

/// A buffer held through the buffer protocol (PEP 3118); released on drop.
///
/// The struct is boxed: exporters may point into it.
struct BufferExport(Box<ffi::Py_buffer>);

// SAFETY: the struct is read while it is made, by one thread; after that only `PyBuffer_Release` touches it, with the
// thread attached to the interpreter.
unsafe impl Send for BufferExport {}
// SAFETY: as above; `&BufferExport` gives nothing away.
unsafe impl Sync for BufferExport {}

impl Owner for BufferExport {}

impl Drop for BufferExport {
    fn drop(&mut self) {
        // Any thread may come here, attached or not. Once the interpreter is gone, so is the exporter's code: leak.
        Python::try_attach(|_| {
            // PyO3 counts a thread as attached that some C code below it has detached: torch frees tensors so, and a tensor
            // may hold the last claim on this buffer. Only the interpreter itself knows.
            // SAFETY: there is an interpreter, and the two calls enclose what needs it; the buffer was filled by
            // PyObject_GetBuffer and is released here only.
            unsafe {
                let state = ffi::PyGILState_Ensure();
                ffi::PyBuffer_Release(&raw mut *self.0);
                ffi::PyGILState_Release(state);
            }
        });
    }
}

impl BufferExport {
    /// Asks for everything and for nothing more than reading: strides of any sign, the format, sub-offsets.
    fn take(obj: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut buffer = Box::new(ffi::Py_buffer::new());
        // SAFETY: `buffer` is an empty Py_buffer and does not move while it is filled or used.
        let status: c_int =
            unsafe { ffi::PyObject_GetBuffer(obj.as_ptr(), &raw mut *buffer, ffi::PyBUF_FULL_RO) };
        if status < 0 {
            return Err(PyErr::fetch(obj.py()));
        }
        Ok(BufferExport(buffer))
    }

    fn into_view(self) -> PyResult<View> {
        let buffer = &self.0;
        let ndim = usize::try_from(buffer.ndim).map_err(|_| bad_export("ndim is negative"))?;
        if ndim > MAX_NDIM {
            return Err(ndlens::Error::TooManyDimensions { got: ndim }).or_raise();
        }
        let itemsize = usize::try_from(buffer.itemsize).map_err(|_| bad_export("itemsize is negative"))?;
        // SAFETY: each array is null or has `ndim` numbers, as PEP 3118 says.
        let (shape, strides, suboffsets) = unsafe {
            (numbers(buffer.shape, ndim), numbers(buffer.strides, ndim), numbers(buffer.suboffsets, ndim))
        };
        if suboffsets.is_some_and(|offsets| offsets.iter().any(|&offset| offset >= 0)) {
            return Err(PyBufferError::new_err(
                "buffer has sub-offsets (a PIL-style array of pointers): its elements are not at strides; copy it first",
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
        let (below, above) = Layout::reach(layout.shape(), layout.strides(), itemsize).or_raise()?;
        let access = if buffer.readonly == 0 { Access::ReadWrite } else { Access::ReadOnly };
        let base = match NonNull::new(buffer.buf.cast::<u8>()) {
            Some(first) => first.as_ptr().wrapping_sub(below),
            None if below + above == 0 => NonNull::dangling().as_ptr(),
            None => return Err(bad_export("buf is null")),
        };
        let base = NonNull::new(base).ok_or_else(|| bad_export("elements start at address 0"))?;
        // SAFETY: the exporter vouches for its elements, which span these bytes, until PyBuffer_Release, which is when
        // the owner drops; a writable export may be written.
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
    // SAFETY: the caller vouches for a pointer that is not null.
    (!array.is_null()).then(|| unsafe { slice::from_raw_parts(array, len) })
}
