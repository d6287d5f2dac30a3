//! Views in and out through DLPack capsules, by the array API's rules.

#![expect(unsafe_code, reason = "moves tensors in and out of capsules; see UNSAFE.md")]

use std::ffi::CStr;
use std::ptr::NonNull;

use ndlens::{
    DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPACK_FLAG_IS_COPIED, DLPACK_VERSION,
    Order, View,
};
use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::critical_section::with_critical_section;
use pyo3::types::{IntoPyDict, PyCapsule};

use crate::error::OrRaise;
use crate::exit;
use crate::optional;
use crate::trace;

const UNVERSIONED: &CStr = c"dltensor";
const USED_UNVERSIONED: &CStr = c"used_dltensor";
const VERSIONED: &CStr = c"dltensor_versioned";
const USED_VERSIONED: &CStr = c"used_dltensor_versioned";

/// `View.__dlpack__`.
pub(crate) fn export<'py>(
    py: Python<'py>,
    view: &View,
    max_version: Option<(u32, u32)>,
    dl_device: Option<(i32, i32)>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let cpu = (DLDevice::CPU.device_type, DLDevice::CPU.device_id);
    if let Some(device) = dl_device.filter(|&device| device != cpu) {
        return Err(PyBufferError::new_err(format!(
            "view is on the CPU, dl_device {cpu:?}, and was asked for on {device:?}"
        )));
    }
    let copied = if copy == Some(true) {
        Some(trace::copying(py, "View.__dlpack__(copy=True)", view.nbytes(), || {
            exit::detach(py, || view.copy(Order::C)).or_raise()
        })?)
    } else {
        None
    };
    let view = copied.as_ref().unwrap_or(view);
    if max_version.is_some_and(|(major, _)| major >= DLPACK_VERSION.major) {
        let mut tensor = versioned(py, view)?;
        if copied.is_some() {
            // SAFETY: the tensor is new, and no other code has a pointer to it.
            unsafe { tensor.as_mut() }.flags |= DLPACK_FLAG_IS_COPIED;
        }
        // SAFETY: the destructor frees the tensor unless a consumer has taken it and renamed the
        // capsule.
        unsafe {
            PyCapsule::new_with_pointer_and_destructor(
                py,
                tensor.cast(),
                VERSIONED,
                Some(drop_versioned),
            )
        }
    } else {
        let tensor = view.to_dlpack_unversioned().or_raise()?;
        // SAFETY: as above.
        unsafe {
            PyCapsule::new_with_pointer_and_destructor(
                py,
                tensor.cast(),
                UNVERSIONED,
                Some(drop_unversioned),
            )
        }
    }
}

/// A tensor for consumers of DLPack 1.0 and later.
///
/// PyTorch 2.9 to 2.12 asks for the same version as NumPy does, and ends the process at a negative
/// stride. So no consumer gets one while such a PyTorch is imported.
pub(crate) fn versioned(
    py: Python<'_>,
    view: &View,
) -> PyResult<NonNull<DLManagedTensorVersioned>> {
    if let Err(error) = view.check_forwards("DLPack export where PyTorch before 2.13 is imported")
        && torch_aborts(py)?
    {
        return Err(error).or_raise();
    }
    view.to_dlpack().or_raise()
}

/// Whether a PyTorch is imported that ends the process at a negative stride.
fn torch_aborts(py: Python<'_>) -> PyResult<bool> {
    let torch = optional::loaded(py, "torch")?;
    let Some(version) = torch.map(|torch| torch.getattr_opt("__version__")).transpose()?.flatten()
    else {
        return Ok(false);
    };
    let version = version.str()?;
    let version = version.to_cow()?;
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let (major, minor) = (numbers.next(), numbers.next());
    Ok(matches!((major, minor), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (2, 13)))
}

/// The pointer in a capsule of this name; None if a consumer took it and renamed the capsule.
///
/// # Safety
///
/// `capsule` must be a capsule, and the thread attached.
unsafe fn untaken<T>(capsule: *mut ffi::PyObject, name: &CStr) -> Option<NonNull<T>> {
    // SAFETY: the caller guarantees a capsule; IsValid sets no exception, and guards GetPointer.
    unsafe {
        if ffi::PyCapsule_IsValid(capsule, name.as_ptr()) == 0 {
            return None;
        }
        NonNull::new(ffi::PyCapsule_GetPointer(capsule, name.as_ptr()).cast())
    }
}

unsafe extern "C" fn drop_versioned(capsule: *mut ffi::PyObject) {
    // SAFETY: CPython hands us our own capsule; a tensor still under its first name is ours to
    // free.
    unsafe {
        if let Some(tensor) = untaken::<DLManagedTensorVersioned>(capsule, VERSIONED)
            && let Some(deleter) = tensor.as_ref().deleter
        {
            deleter(tensor.as_ptr());
        }
    }
}

unsafe extern "C" fn drop_unversioned(capsule: *mut ffi::PyObject) {
    // SAFETY: as for `drop_versioned`.
    unsafe {
        if let Some(tensor) = untaken::<DLManagedTensor>(capsule, UNVERSIONED)
            && let Some(deleter) = tensor.as_ref().deleter
        {
            deleter(tensor.as_ptr());
        }
    }
}

/// A view of an object that speaks DLPack, versioned if it can.
pub(crate) fn import(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    let py = obj.py();
    let device: (i32, i32) = obj.call_method0("__dlpack_device__")?.extract()?;
    if !(DLDevice { device_type: device.0, device_id: device.1 }).is_host() {
        return Err(PyBufferError::new_err(format!(
            "tensor is on DLPack device {device:?}; ndlens views memory on the CPU"
        )));
    }
    let version =
        [("max_version", (DLPACK_VERSION.major, DLPACK_VERSION.minor))].into_py_dict(py)?;
    let capsule = match obj.call_method("__dlpack__", (), Some(&version)) {
        Err(error) if is_of_old_producer(py, &error)? => obj.call_method0("__dlpack__")?,
        result => result?,
    };
    // A producer may give one capsule to two threads: the second finds it renamed.
    with_critical_section(&capsule, || taken_over(&capsule))
}

/// The tensor in a capsule as a view, which takes it over.
fn taken_over(capsule: &Bound<'_, PyAny>) -> PyResult<View> {
    let (py, capsule) = (capsule.py(), capsule.as_ptr());
    // SAFETY: both names are asked of the object that came back; `untaken` gives None for any
    // object that is not a capsule of that name. A capsule is renamed before its tensor is taken
    // over, and no Python code runs between the look and that, so one of the two frees it, once.
    unsafe {
        if let Some(tensor) = untaken::<DLManagedTensorVersioned>(capsule, VERSIONED) {
            let version = tensor.as_ref().version;
            if version.major != DLPACK_VERSION.major {
                return Err(PyBufferError::new_err(format!(
                    "tensor speaks DLPack {}.{}, ndlens speaks {}.{}",
                    version.major, version.minor, DLPACK_VERSION.major, DLPACK_VERSION.minor
                )));
            }
            rename(py, capsule, USED_VERSIONED)?;
            View::from_dlpack(tensor).or_raise()
        } else if let Some(tensor) = untaken::<DLManagedTensor>(capsule, UNVERSIONED) {
            rename(py, capsule, USED_UNVERSIONED)?;
            View::from_dlpack_unversioned(tensor).or_raise()
        } else {
            Err(PyBufferError::new_err("__dlpack__ gave no capsule with a tensor in it"))
        }
    }
}

/// Whether `__dlpack__` failed because it is from before DLPack 1.0 and has no keyword
/// `max_version`.
///
/// A producer's own `TypeError` is another error: a second request without a version would lose the
/// read-only flag, which only a versioned tensor has.
fn is_of_old_producer(py: Python<'_>, error: &PyErr) -> PyResult<bool> {
    if !error.is_instance_of::<PyTypeError>(py) {
        return Ok(false);
    }
    let message = error.value(py).str()?;
    let message = message.to_cow()?;
    if message.contains("max_version")
        && ["unexpected keyword", "invalid keyword"].iter().any(|words| message.contains(words))
    {
        return Ok(true);
    }
    // A call with arguments that the target does not take fails before a line of the target runs. C
    // extensions (the second is pybind11's and nanobind's message) need not name the keyword.
    let refused = ["takes no keyword", "incompatible function arguments"];
    Ok(error.traceback(py).is_none() && refused.iter().any(|words| message.contains(words)))
}

/// Marks a capsule's tensor as taken.
///
/// # Safety
///
/// `capsule` must be a capsule.
unsafe fn rename(py: Python<'_>, capsule: *mut ffi::PyObject, name: &'static CStr) -> PyResult<()> {
    // SAFETY: the caller guarantees a capsule; the name is static, as capsules need it.
    if unsafe { ffi::PyCapsule_SetName(capsule, name.as_ptr()) } < 0 {
        Err(PyErr::fetch(py))
    } else {
        Ok(())
    }
}
