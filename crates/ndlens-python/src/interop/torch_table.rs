//! torch's own DLPack table of C functions, for tensors in and out.

#![expect(unsafe_code, reason = "speaks a C ABI; see UNSAFE.md")]

use std::ffi::CStr;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

use ndlens::{DLPACK_VERSION, DLPackExchangeAPI, View};
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::error::OrRaise;
use crate::optional::needs;

pub(crate) const NEEDS_TORCH: &str = "View.torch() needs PyTorch: pip install torch";

/// The name of a capsule that holds such a table.
pub(crate) const NAME: &CStr = c"dlpack_exchange_api";

/// torch's class of tensors, and its table if it has one of a known version.
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

/// A view of a tensor through torch's table; None if this torch has none of a known version, and
/// for subclasses, which decide what they export.
///
/// The caller refuses tensors that are more than their memory first: the table does not check.
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

/// A `torch.Tensor` on the same memory through torch's table; None if this torch has none of a
/// known version.
///
/// The caller refuses views that torch cannot hold first.
pub(crate) fn torch<'py>(py: Python<'py>, view: &View) -> PyResult<Option<Bound<'py, PyAny>>> {
    let (_, Some(table)) = torch_tables(py)? else { return Ok(None) };
    let tensor = view.to_dlpack().or_raise()?;
    let mut object = ptr::null_mut();
    // SAFETY: the tensor is fresh, and torch's from here on, also if it fails; we are attached.
    let status =
        unsafe { (table.managed_tensor_to_py_object_no_sync)(tensor.as_ptr(), &raw mut object) };
    if status != 0 {
        return Err(PyErr::fetch(py));
    }
    // SAFETY: torch gives a new reference.
    Ok(Some(unsafe { Bound::from_owned_ptr(py, object.cast()) }))
}
