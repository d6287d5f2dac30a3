//! Where batches go: `pin_memory=` and `device=` of a loader.

use ndlens::kernels::Step;
use ndlens::loader::Loader;
use ndlens::transforms::Deferred;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::exit;
use crate::loader::epoch::PyEpoch;
use crate::loader::fields::Output;
use crate::optional::needs;

/// Where batches go, as far as torch has it.
pub(crate) struct Destination<'py> {
    /// A `torch.device`; None for the CPU.
    pub(crate) device: Option<Bound<'py, PyAny>>,
    /// Whether batches are made in pinned memory.
    pub(crate) pins: bool,
}

/// Something of `ndlens.torch._device`.
fn of_device<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    needs(py, "ndlens.torch._device", name, "pin_memory and device need PyTorch: pip install torch")
}

impl<'py> Destination<'py> {
    pub(crate) fn extract(
        py: Python<'py>,
        output: Output,
        pin_memory: bool,
        device: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        if !pin_memory && device.is_none() {
            return Ok(Destination { device: None, pins: false });
        }
        if output != Output::Torch {
            return Err(PyValueError::new_err("pin_memory and device are for output=\"torch\""));
        }
        let resolve = |device: &Bound<'py, PyAny>| of_device(py, "resolve")?.call1((device,));
        let device = device.map(resolve).transpose()?.filter(|device| !device.is_none());
        let pins = of_device(py, "pins")?.call1((pin_memory, device.clone()))?.extract()?;
        Ok(Destination { device, pins })
    }

    /// What sends batches there and computes what the loader left to be done.
    pub(crate) fn wire(self, loader: &Loader) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(device) = self.device else { return Ok(None) };
        let py = device.py();
        let deferred = loader
            .deferred()
            .map(|of_field| of_field.map(|of_field| to_python(py, of_field)).transpose());
        let deferred = deferred.collect::<PyResult<Vec<_>>>()?;
        of_device(py, "Wire")?.call1((device, deferred)).map(Some)
    }
}

/// An epoch whose batches go over a wire.
pub(crate) fn epoch<'py>(
    py: Python<'py>,
    epoch: PyEpoch,
    wire: &Py<PyAny>,
    looks_ahead: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let _inside = exit::enter(py);
    of_device(py, "DeviceEpoch")?.call1((epoch, wire, looks_ahead))
}

/// Steps with their arguments, and the axis of the channels.
fn to_python<'py>(py: Python<'py>, deferred: &Deferred) -> PyResult<Bound<'py, PyAny>> {
    let step = |step: &Step| match step {
        Step::ToDtype { dtype, scale } => (dtype.to_string(), *scale).into_bound_py_any(py),
        Step::Normalize { mean, std } => (mean.clone(), std.clone()).into_bound_py_any(py),
        other => Err(PyValueError::new_err(format!("{other:?} is not computed on a device"))),
    };
    let steps = deferred.steps.iter().map(step).collect::<PyResult<Vec<_>>>()?;
    (steps, deferred.channel_axis).into_bound_py_any(py)
}
