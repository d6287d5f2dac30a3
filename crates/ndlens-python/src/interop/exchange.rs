//! DLPack's table of C functions (`__dlpack_c_exchange_api__`, DLPack 1.2), of `View`.
//!
//! A table hands a tensor over in one C call, without a capsule and without looking up a method.

#![expect(unsafe_code, reason = "speaks a C ABI; see UNSAFE.md")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};

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
use crate::interop::torch_table;
use crate::view::object::PyView;

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
    unsafe { PyCapsule::new_with_pointer(py, NonNull::from(&TABLE).cast(), torch_table::NAME) }
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
