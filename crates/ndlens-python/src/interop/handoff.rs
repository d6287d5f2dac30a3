//! Views out to other libraries.

#![expect(unsafe_code, reason = "implements the buffer protocol's slots; see UNSAFE.md")]

use std::ffi::c_int;
use std::sync::atomic::Ordering;

use ndlens::{Consumer, Explanation};
use pyo3::exceptions::{PyAttributeError, PyBufferError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCapsule, PyDict};

use crate::error::OrRaise;
use crate::exit;
use crate::interop::dlpack;
use crate::interop::exchange;
use crate::interop::export;
use crate::interop::import::extract_view;
use crate::interop::tensor;
use crate::interop::tensor_memory::check_in_place;
use crate::optional::{self, Once, Optional, is_installed};
use crate::trace;
use crate::view::object::{PyView, tuple};

/// Looked up once: each look in `sys.modules` counts on objects that all threads count on.
static ASARRAY: Once = Once::new("numpy", "asarray");

/// NumPy, with the dtypes that are installed for it.
pub(crate) fn numpy_here(py: Python<'_>) -> PyResult<Consumer> {
    Ok(Consumer::NumPy { ml_dtypes: is_installed(py, Optional::MlDtypes)? })
}

/// Says whether handing an object to a target copies, why, and what to do about it.
///
/// `print` it for plain sentences; `zero_copy` is True if the target uses the same memory.
///
/// Args:
///     `obj`: Anything `nl.view` takes.
///     `target`: "torch", "numpy", "jax" or "memoryview".
///
/// Raises:
///     `ValueError`: `target` is another word.
///
/// >>> import ndlens as nl
/// >>> v = nl.view(bytearray(6)).reshape(2, 3)
/// >>> nl.explain(v[:, ::-1], "numpy").zero_copy
/// True
#[pyfunction]
#[pyo3(signature = (obj, target, /))]
pub(crate) fn explain(obj: &Bound<'_, PyAny>, target: &str) -> PyResult<PyExplanation> {
    let consumer: Consumer = target.parse().or_raise()?;
    let consumer = consumer.with_ml_dtypes(is_installed(obj.py(), Optional::MlDtypes)?);
    Ok(PyExplanation(extract_view(obj)?.explain(consumer)))
}

/// The answer of `nl.explain`: sentences to print.
#[pyclass(frozen, name = "Explanation", module = "ndlens")]
pub(crate) struct PyExplanation(Explanation);

#[pymethods]
impl PyExplanation {
    /// Whether the target uses the same memory.
    #[getter]
    fn zero_copy(&self) -> bool {
        self.0.is_zero_copy()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("<ndlens.Explanation: {}>", self.0)
    }
}

#[pymethods]
impl PyView {
    /// A `numpy.ndarray` on the same memory; nothing is copied.
    ///
    /// A read-only view gives a read-only array. bfloat16 and the 8-bit floats become the dtypes of
    /// the package `ml_dtypes`.
    ///
    /// Raises:
    ///     `ImportError`: NumPy is not installed.
    ///     `BufferError`: `ml_dtypes` is needed and not installed.
    pub(crate) fn numpy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let _inside = exit::enter(py);
        let asarray = ASARRAY.needs(py, "View.numpy() needs NumPy: pip install numpy")?;
        let view = slf.get().view()?;
        check_in_place(&view)?;
        let Some(carrier) = view.dtype().carrier() else {
            if view.dtype().format().is_none() {
                // NumPy would ask for `__array__` next, which calls this method again.
                numpy_here(py)?.check_dtype(view.dtype()).or_raise()?;
            }
            return asarray.call1((slf,));
        };
        numpy_here(py)?
            .check_dtype(view.dtype())
            .map_err(|error| PyBufferError::new_err(format!("{error}; pip install ml_dtypes")))?;
        let extension = optional::get(py, Optional::MlDtypes.name(), view.dtype().name())?;
        let bits = PyView::new(view.reinterpret(carrier).or_raise()?);
        asarray.call1((bits,))?.call_method1("view", (extension,))
    }

    /// The same array, for NumPy if the buffer protocol has no format for it; or the reason why
    /// there is none.
    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _inside = exit::enter(slf.py());
        let py = slf.py();
        let array = PyView::numpy(slf)?;
        let arguments = [("copy", copy)].into_py_dict(py)?;
        arguments.set_item("dtype", dtype)?;
        let make = optional::get(py, "numpy", "array")?;
        let made = || make.call((array,), Some(&arguments));
        // NumPy alone knows whether a dtype needs a copy.
        let nbytes = |made: &Bound<'py, PyAny>| -> usize {
            let view = extract_view(made).ok();
            let own = slf.get().view().ok();
            let is_copy =
                view.as_ref().zip(own).is_some_and(|(made, own)| made.as_ptr() != own.as_ptr());
            view.filter(|_| is_copy).map_or(0, |view| view.nbytes())
        };
        trace::copying_some(py, "View.__array__", made, nbytes)
    }

    /// A `torch.Tensor` on the same memory, with the same strides; nothing is copied.
    ///
    /// Args:
    ///     `readonly`: "allow" for a tensor of a read-only view, which must never be written to.
    ///
    /// Raises:
    ///     `CopyRequired`: A stride is negative, which torch does not have.
    ///     `ReadOnlyError`: The view is read-only, and torch would write to it: open files with
    ///         `mode="c"`, call `copy()` first, or give `readonly="allow"`.
    ///     `TypeError`: torch has no such dtype.
    ///     `ImportError`: PyTorch is not installed.
    #[pyo3(signature = (*, readonly = None))]
    fn torch<'py>(
        &self,
        py: Python<'py>,
        readonly: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let allow = match readonly {
            None => false,
            Some(word) if word.eq("allow")? => true,
            Some(other) => {
                return Err(PyValueError::new_err(format!(
                    "unknown readonly={}: expected \"allow\" or None",
                    other.repr()?
                )));
            }
        };
        let _inside = exit::enter(py);
        let view = self.view()?;
        check_in_place(&view)?;
        tensor::torch(py, &view, allow)
    }

    /// A DLPack capsule on the same memory, as the array API asks for it.
    ///
    /// `stream` must be None, since memory on the CPU has no streams. `max_version` (1, 0) or later
    /// gives a versioned capsule, which can say read-only. `copy=True` gives the consumer its own
    /// memory.
    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        if let Some(stream) = stream {
            return Err(PyValueError::new_err(format!(
                "stream must be None for memory on the CPU, got {stream}"
            )));
        }
        let view = self.view()?;
        check_in_place(&view)?;
        dlpack::export(py, &view, max_version, dl_device, copy)
    }

    /// The CPU: (1, 0).
    #[expect(clippy::unused_self, reason = "a method by the array API")]
    fn __dlpack_device__(&self) -> (i32, i32) {
        (ndlens::DLDevice::CPU.device_type, ndlens::DLDevice::CPU.device_id)
    }

    /// DLPack's table of C functions, in a capsule: hands views over without a method call.
    #[classattr]
    fn __dlpack_c_exchange_api__(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
        exchange::table(py)
    }

    /// The array interface, version 3: a dict of what NumPy needs to look at the memory.
    #[getter]
    fn __array_interface__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let view = self.view()?;
        check_in_place(&view)?;
        let typestr = view.dtype().to_typestr().ok_or_else(|| {
            PyAttributeError::new_err(format!(
                "the array interface has no typestr for {}",
                view.dtype()
            ))
        })?;
        let interface = PyDict::new(py);
        interface.set_item("version", 3)?;
        interface.set_item("shape", tuple(py, view.shape())?)?;
        interface.set_item("strides", tuple(py, view.strides())?)?;
        interface.set_item("typestr", typestr)?;
        interface.set_item("data", (view.as_ptr().addr(), view.is_read_only()))?;
        Ok(interface)
    }

    /// # Safety
    ///
    /// Called by the interpreter with a struct to fill.
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        buffer: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        let view = slf.get().view()?;
        check_in_place(&view)?;
        // SAFETY: passed on. What the struct points to stays, since the look at the view goes on.
        unsafe { export::fill(slf, &view, buffer, flags) }?;
        // Relaxed: a number for a message.
        slf.get().exports.fetch_add(1, Ordering::Relaxed);
        view.keep();
        Ok(())
    }

    /// # Safety
    ///
    /// Called by the interpreter once for each struct that was filled.
    unsafe fn __releasebuffer__(&self, _buffer: *mut ffi::Py_buffer) {
        self.exports.fetch_sub(1, Ordering::Relaxed);
        self.claim.end_look();
    }
}
