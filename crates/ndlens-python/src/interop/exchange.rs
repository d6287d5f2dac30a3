//! DLPack's table of C functions (`__dlpack_c_exchange_api__`, DLPack 1.2): ours for others,
//! torch's for us.
//!
//! A table hands a tensor over in one C call, without a capsule and without looking up a method.

#![expect(unsafe_code, reason = "speaks a C ABI; see UNSAFE.md")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use ndlens::{
    DLManagedTensorVersioned, DLPACK_VERSION, DLPackExchangeAPI, DLPackExchangeAPIHeader, DLTensor,
    View,
};
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::error::OrRaise;
use crate::interop::dlpack::versioned;
use crate::interop::tensor_memory::check_in_place;
use crate::optional::needs;
use crate::view::attributes::PyView;

pub(crate) const NEEDS_TORCH: &str = "View.torch() needs PyTorch: pip install torch";

const NAME: &CStr = c"dlpack_exchange_api";

static TABLE: DLPackExchangeAPI = DLPackExchangeAPI {
    header: DLPackExchangeAPIHeader { version: DLPACK_VERSION, prev_api: ptr::null_mut() },
    managed_tensor_allocator: allocate,
    managed_tensor_from_py_object_no_sync: from_py_object,
    managed_tensor_to_py_object_no_sync: to_py_object,
    // It would need strides in elements, and a view has them in bytes.
    dltensor_from_py_object_no_sync: None,
    current_work_stream: no_stream,
};

/// Our table, for `type(view).__dlpack_c_exchange_api__`.
pub(crate) fn table(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
    // SAFETY: the table is static.
    unsafe { PyCapsule::new_with_pointer(py, NonNull::from(&TABLE).cast(), NAME) }
}

unsafe extern "C" fn allocate(
    prototype: *mut DLTensor,
    out: *mut *mut DLManagedTensorVersioned,
    error_ctx: *mut c_void,
    set_error: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char),
) -> c_int {
    // SAFETY: the caller gives a live prototype, a place for the result and a function for errors,
    // as DLPack says.
    unsafe {
        match View::zeros_for_dlpack(&*prototype).and_then(|view| view.to_dlpack()) {
            Ok(tensor) => {
                out.write(tensor.as_ptr());
                0
            }
            Err(error) => {
                let message = CString::new(error.to_string()).unwrap_or_default();
                set_error(error_ctx, c"BufferError".as_ptr(), message.as_ptr());
                -1
            }
        }
    }
}

unsafe extern "C" fn from_py_object(
    py_object: *mut c_void,
    out: *mut *mut DLManagedTensorVersioned,
) -> c_int {
    // SAFETY: the caller is attached, and gives an object and a place for the result.
    unsafe {
        let py = Python::assume_attached();
        let object = Bound::from_borrowed_ptr(py, py_object.cast());
        let exported = object
            .cast::<PyView>()
            .map_err(|_| PyBufferError::new_err("not an ndlens.View"))
            .and_then(|view| {
                let view = view.get().view()?;
                check_in_place(&view)?;
                versioned(py, &view)
            });
        match exported {
            Ok(tensor) => {
                out.write(tensor.as_ptr());
                0
            }
            Err(error) => {
                error.restore(py);
                -1
            }
        }
    }
}

unsafe extern "C" fn to_py_object(
    tensor: *mut DLManagedTensorVersioned,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: the caller is attached, and gives a tensor that is now ours and a place for the
    // result.
    unsafe {
        let py = Python::assume_attached();
        let made = NonNull::new(tensor)
            .ok_or_else(|| PyBufferError::new_err("no tensor"))
            .and_then(|tensor| View::from_dlpack(tensor).or_raise())
            .and_then(|view| Bound::new(py, PyView::new(view)));
        match made {
            Ok(view) => {
                out.write(view.into_ptr().cast());
                0
            }
            Err(error) => {
                error.restore(py);
                -1
            }
        }
    }
}

unsafe extern "C" fn no_stream(_device_type: i32, _device_id: i32, out: *mut *mut c_void) -> c_int {
    // SAFETY: the caller gives a place for the result.
    unsafe { out.write(ptr::null_mut()) };
    0
}

/// torch's class of tensors, and its table where it has one that we can read.
fn torch_tables(
    py: Python<'_>,
) -> PyResult<&'static (Py<PyAny>, Option<&'static DLPackExchangeAPI>)> {
    static TORCH: OnceLock<(Py<PyAny>, Option<&'static DLPackExchangeAPI>)> = OnceLock::new();
    if let Some(tables) = TORCH.get() {
        return Ok(tables);
    }
    // Not while others wait: a fork could copy that.
    let tensor = needs(py, "torch", "Tensor", NEEDS_TORCH)?;
    let capsule = tensor.getattr_opt("__dlpack_c_exchange_api__")?;
    let pointer = capsule
        .map(|capsule| PyResult::Ok(capsule.cast::<PyCapsule>()?.pointer_checked(Some(NAME)).ok()))
        .transpose()?
        .flatten();
    // SAFETY: a capsule of this name holds a table that lives as long as the process; its header
    // comes first in every version of it.
    let table = pointer.map(|pointer| unsafe { pointer.cast::<DLPackExchangeAPI>().as_ref() });
    let table = table.filter(|table| table.header.version.major == DLPACK_VERSION.major);
    Ok(TORCH.get_or_init(|| (tensor.unbind(), table)))
}

/// A view of a tensor through torch's table; None where this torch has none that we can read, and
/// for subclasses, which have a say in what they export.
///
/// What a tensor is beside its memory must have been refused before: the table does not look.
pub(crate) fn from_torch(obj: &Bound<'_, PyAny>) -> PyResult<Option<View>> {
    let py = obj.py();
    let (class, table) = torch_tables(py)?;
    let Some(table) = table.filter(|_| obj.get_type().is(class)) else { return Ok(None) };
    let mut tensor = ptr::null_mut();
    // SAFETY: torch's table takes a `torch.Tensor`, which it is; we are attached.
    let status = unsafe {
        (table.managed_tensor_from_py_object_no_sync)(obj.as_ptr().cast(), &raw mut tensor)
    };
    if status != 0 {
        return Err(PyErr::fetch(py));
    }
    let tensor =
        NonNull::new(tensor).ok_or_else(|| PyBufferError::new_err("torch gave no tensor"))?;
    // SAFETY: torch gives a fresh tensor of its table's version, which is ours to free.
    unsafe { View::from_dlpack(tensor) }.or_raise().map(Some)
}

/// A `torch.Tensor` on the same memory through torch's table; None where this torch has none that
/// we can read.
///
/// What torch cannot hold must have been refused before.
pub(crate) fn torch<'py>(py: Python<'py>, view: &View) -> PyResult<Option<Bound<'py, PyAny>>> {
    let (_, Some(table)) = torch_tables(py)? else { return Ok(None) };
    let tensor = view.to_dlpack().or_raise()?;
    let mut object = ptr::null_mut();
    // SAFETY: the tensor is fresh, and torch's from here on, also where it fails; we are attached.
    let status =
        unsafe { (table.managed_tensor_to_py_object_no_sync)(tensor.as_ptr(), &raw mut object) };
    if status != 0 {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: torch gives a new reference.
    Ok(Some(unsafe { Bound::from_owned_ptr(py, object.cast()) }))
}
