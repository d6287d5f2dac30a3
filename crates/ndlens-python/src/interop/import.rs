//! Python objects in: whatever exports a buffer, speaks DLPack or has an array interface becomes a
//! view, and stays alive as long as one.

#![expect(unsafe_code, reason = "takes buffers through CPython's C API; see UNSAFE.md")]

use std::ffi::{CStr, c_int};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use ndlens::{Access, Buffer, DType, Layout, MAX_NDIM, Order, Owner, View};
use pyo3::exceptions::PyBufferError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyMapping;

use crate::error::OrRaise;
use crate::exit;
use crate::interop::dlpack;
use crate::interop::dtype::extract_dtype;
use crate::interop::exchange;
use crate::interop::foreign::{
    Copies, check_whole, is_plain, is_torch, no_array, origin, strided, unexported,
};
use crate::interop::interface;
use crate::interop::tensor_memory::extract_lasting_view;
use crate::lists;
use crate::view::attributes::PyView;

/// A view of any object that gives its memory; nothing is copied.
///
/// The object exports a buffer (PEP 3118: `bytes`, `bytearray`, `array.array`, `mmap`,
/// `memoryview`, a NumPy array), speaks DLPack on the CPU (a `torch.Tensor`, a JAX array), or has
/// an `__array_interface__` (a `PIL.Image`, which gives its pixels as bytes) or `__array_struct__`.
/// The view has the object's shape, strides and dtype. While the view, or anything made of it,
/// lives, the object's memory is held: a `bytearray` cannot be resized, an `mmap` not closed.
///
/// Args:
///     `obj`: The object.
///     `readonly`: True for a read-only view; False to refuse read-only memory; None for the
///         object's
///         own.
///     `copy`: None to copy if there is no memory to use: of a tensor with the negative or the
///         conjugate bit set, or an object that NumPy makes an array of (`__array__`: a pandas
///         column, an h5py data set). True to copy in any case.
///
/// Raises:
///     `TypeError`: The object has no memory to view; the error says what to call instead.
///     `BufferError`: The object does not give its memory, or its memory is only a part of what it
///         means: a masked array, an array with a unit, a sparse tensor.
///     `ReadOnlyError`: `readonly=False`, and the memory is read-only.
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
#[pyo3(signature = (obj, /, *, readonly = None, copy = Some(false)), text_signature = "(obj, /, *, readonly=None, copy=False)")]
pub(crate) fn view(
    obj: &Bound<'_, PyAny>,
    readonly: Option<bool>,
    copy: Option<bool>,
) -> PyResult<PyView> {
    let view = match copy {
        Some(false) => extract_lasting_view(obj)?,
        None => extract_lasting_view(obj).or_else(|_| extract_elements(obj))?,
        Some(true) => {
            let view = extract_elements(obj)?;
            exit::detach(obj.py(), || view.copy(Order::C)).or_raise()?
        }
    };
    match readonly {
        Some(true) => Ok(PyView::new(view.to_read_only())),
        Some(false) if view.is_read_only() => {
            let hint = "pass readonly=None, or a copy";
            Err(ndlens::Error::ReadOnly { operation: "nl.view(..., readonly=False)", hint })
                .or_raise()
        }
        _ => Ok(PyView::new(view)),
    }
}

/// Whether some byte belongs to an element of both objects: exact, as `np.shares_memory`.
///
/// Args:
///     `a`: Anything `nl.view` takes.
///     `b`: Likewise.
///
/// >>> import ndlens as nl
/// >>> pixels = nl.view(bytearray(12)).reshape(4, 3)
/// >>> red, green = pixels[:, 0], pixels[:, 1]
/// >>> nl.shares_memory(red, green), nl.may_share_memory(red, green)
/// (False, True)
#[pyfunction]
#[pyo3(signature = (a, b, /))]
pub(crate) fn shares_memory(
    py: Python<'_>,
    a: &Bound<'_, PyAny>,
    b: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let (a, b) = (extract_view(a)?, extract_view(b)?);
    Ok(exit::detach(py, || a.shares_memory(&b)))
}

/// Whether the memory between the outermost elements of two objects overlaps.
///
/// Quick, and true more often than `shares_memory`; as `np.may_share_memory`.
///
/// Args:
///     `a`: Anything `nl.view` takes.
///     `b`: Likewise.
#[pyfunction]
#[pyo3(signature = (a, b, /))]
pub(crate) fn may_share_memory(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(extract_view(a)?.may_share_memory(&extract_view(b)?))
}

/// Any object `view` takes, without a copy.
pub(crate) fn extract_view(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    extract(obj, Copies::Never)
}

/// The same where elements are only read: also objects whose elements must be computed, or which
/// only NumPy can make an array of.
pub(crate) fn extract_elements(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    extract(obj, Copies::WhereNeeded)
}

/// Whether an object exports a buffer.
fn exports_buffer(obj: &Bound<'_, PyAny>) -> bool {
    // SAFETY: the check reads the object's type and nothing else.
    unsafe { ffi::PyObject_CheckBuffer(obj.as_ptr()) != 0 }
}

fn extract(obj: &Bound<'_, PyAny>, copies: Copies) -> PyResult<View> {
    let _inside = exit::enter(obj.py());
    if let Ok(view) = obj.cast::<PyView>() {
        return Ok(view.get().view()?.clone());
    }
    if exports_buffer(obj) {
        if !is_plain(&obj.get_type())
            && let Some(interface) = obj.getattr_opt("__array_interface__")?
            && interface::is_of_own_buffer(&interface)?
        {
            return interface::import(obj, &interface);
        }
        return match BufferExport::take(obj) {
            // Some dtypes have no buffer format but a DLPack code: JAX's bfloat16 arrays come this
            // way.
            Err(error)
                if error.is_instance_of::<PyBufferError>(obj.py())
                    && obj.hasattr("__dlpack__")? =>
            {
                through_dlpack(obj, copies)
            }
            taken => view_of(obj, taken),
        };
    }
    if obj.hasattr("__dlpack__")? {
        return through_dlpack(obj, copies);
    }
    if let Some(interface) = obj.getattr_opt("__array_interface__")? {
        return interface::import(obj, &interface);
    }
    if let Some(capsule) = obj.getattr_opt("__array_struct__")? {
        return interface::import_struct(obj, &capsule);
    }
    if copies == Copies::WhereNeeded && obj.hasattr("__array__")? {
        let array = obj.call_method0("__array__")?;
        if exports_buffer(&array) {
            return extract_buffer(&array);
        }
    }
    Err(no_array(obj))
}

/// A view of an object that speaks DLPack.
fn through_dlpack(obj: &Bound<'_, PyAny>, copies: Copies) -> PyResult<View> {
    let source = strided(obj, copies)?;
    let view = if is_torch(&source) { exchange::from_torch(&source)? } else { None };
    view.map_or_else(|| dlpack::import(&source), Ok)
}

/// A view of the buffer that an object exports.
pub(crate) fn extract_buffer(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    view_of(obj, BufferExport::take(obj))
}

/// A view of a buffer that was taken of `obj`, or of the array behind one that has no format.
fn view_of(obj: &Bound<'_, PyAny>, taken: PyResult<BufferExport>) -> PyResult<View> {
    match taken {
        Ok(export) => {
            let Some(exporter) = export.exporter(obj.py()) else { return export.into_view() };
            let origin = origin(exporter.into_bound(obj.py()))?;
            check_whole(&origin)?;
            let view = export.into_view()?;
            // Of one record NumPy does not say whether it is padded, and cannot read its own
            // format.
            let is_record = view.len() <= 1 && view.dtype().name().starts_with("T{");
            match if is_record { origin.getattr_opt("dtype")? } else { None } {
                Some(dtype) => view.reinterpret(extract_dtype(&dtype)?).or_raise(),
                None => Ok(view),
            }
        }
        Err(error) => extension_array(obj)?.ok_or_else(|| unexported(obj, error)),
    }
}

/// What a mapping holds, apart from it: looking at a value may run code that changes the mapping.
pub(crate) fn pairs<'py>(
    mapping: &Bound<'py, PyMapping>,
) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    lists::extract_all(mapping.items()?.as_any())
}

/// A NumPy array of an extension dtype that we know by its name, such as `ml_dtypes.bfloat16`. The
/// buffer protocol has no format for it, but for an array of integers on the same memory.
fn extension_array(obj: &Bound<'_, PyAny>) -> PyResult<Option<View>> {
    let Some(name) =
        obj.getattr_opt("dtype")?.map(|dtype| dtype.getattr_opt("name")).transpose()?.flatten()
    else {
        return Ok(None);
    };
    let Some(dtype) = name.extract::<String>().ok().and_then(|name| DType::from_name(&name)) else {
        return Ok(None);
    };
    // NumPy's own `view` shares memory. That of others may copy.
    let (Some(carrier), true) = (dtype.carrier(), obj.hasattr("__array_interface__")?) else {
        return Ok(None);
    };
    let bits = obj.call_method1("view", (carrier.name(),))?;
    extract_buffer(&bits)?.reinterpret(dtype).or_raise().map(Some)
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
/// interpreter is ending, since with it goes the code that would free anything.
///
/// `PyO3` counts a thread as attached that some C code below it has detached: torch frees tensors
/// so, and a tensor may hold the last claim on a Python object. Only the interpreter itself knows.
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
        // SAFETY: `take` made it of a box; nobody points to it any more, or nobody will look.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl BufferExport {
    /// The object that exports the buffer.
    pub(crate) fn exporter(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        // SAFETY: `obj` is null or an object that the held buffer keeps alive.
        unsafe { Bound::from_borrowed_ptr_or_opt(py, self.0.as_ref().obj) }.map(Bound::unbind)
    }

    /// Asks for everything and for nothing more than reading: strides of any sign, the format,
    /// sub-offsets.
    fn take(obj: &Bound<'_, PyAny>) -> PyResult<Self> {
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

    fn into_view(self) -> PyResult<View> {
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
        let (below, above) =
            Layout::reach(layout.shape(), layout.strides(), itemsize).or_raise()?;
        let access = if buffer.readonly == 0 { Access::ReadWrite } else { Access::ReadOnly };
        let base = match NonNull::new(buffer.buf.cast::<u8>()) {
            Some(first) => first.as_ptr().wrapping_sub(below),
            None if below + above == 0 => NonNull::dangling().as_ptr(),
            None => return Err(bad_export("buf is null")),
        };
        let base = NonNull::new(base).ok_or_else(|| bad_export("elements start at address 0"))?;
        // SAFETY: the exporter vouches for its elements, which span these bytes, until
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
    // SAFETY: the caller vouches for a pointer that is not null.
    (!array.is_null()).then(|| unsafe { slice::from_raw_parts(array, len) })
}
