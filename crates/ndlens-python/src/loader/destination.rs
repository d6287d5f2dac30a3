//! The destination of batches: `pin_memory=` and `device=` of a loader.

use ndlens::kernels::MapStep;
use ndlens::loader::{BatchMemory, Loader, Values};
use ndlens::transforms::Deferred;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::loader::options::OutputOptions;
use crate::loader::output::Output;

/// An `ndlens.torch._device.Destination`, or none.
#[derive(Default)]
pub(crate) struct Destination<'py> {
    /// Makes a wire to a device from the steps that are left to it; None for the CPU.
    connect: Option<Bound<'py, PyAny>>,
    /// Whether batches are made in pinned memory.
    pins: bool,
}

impl<'py> Destination<'py> {
    pub(crate) fn extract(options: &OutputOptions<'py>, output: Output) -> PyResult<Self> {
        if !options.pin_memory && options.device.is_none() {
            return Ok(Destination::default());
        }
        // Where no output was named, PyTorch may be missing, which the destination says.
        if output != Output::Torch && options.output.is_some() {
            return Err(PyValueError::new_err("pin_memory and device are for output=\"torch\""));
        }
        let found = options.destination.call1((options.pin_memory, options.device.as_ref()))?;
        let (connect, pins) = found.extract()?;
        Ok(Destination { connect, pins })
    }

    /// Source of the memory of batches.
    pub(crate) fn memory(&self) -> BatchMemory {
        if self.pins { BatchMemory::Supplied } else { BatchMemory::Pooled }
    }

    /// Whether the loader computes the last steps of values or leaves them to the device.
    pub(crate) fn values(&self) -> Values {
        if self.connect.is_some() { Values::Deferred } else { Values::Computed }
    }

    /// An `ndlens.torch._device.Wire`, which sends batches to the device and computes there the
    /// steps that the loader left.
    pub(crate) fn wire(
        self,
        py: Python<'py>,
        loader: &Loader,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(connect) = self.connect else { return Ok(None) };
        let deferred = loader
            .deferred()
            .map(|of_field| of_field.map(|of_field| to_python(py, of_field)).transpose());
        let deferred = deferred.collect::<PyResult<Vec<_>>>()?;
        connect.call1((deferred,)).map(Some)
    }
}

/// Steps with their arguments, and the axis of the channels.
fn to_python<'py>(py: Python<'py>, deferred: &Deferred) -> PyResult<Bound<'py, PyAny>> {
    let step = |step: &MapStep| match step {
        MapStep::ToDtype { dtype, scale } => (dtype.to_string(), *scale).into_bound_py_any(py),
        MapStep::Normalize { mean, std } => (mean.clone(), std.clone()).into_bound_py_any(py),
    };
    let steps = deferred.steps.iter().map(step).collect::<PyResult<Vec<_>>>()?;
    (steps, deferred.channel_axis).into_bound_py_any(py)
}
