//! The batches of a loader: by iterating it, and by number.

use std::mem;
use std::sync::{Arc, Mutex};

use ndlens::loader::{BatchMemory, Epoch, Shard};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;
use crate::loader::batch::handed_out;
use crate::loader::core::{Planned, PyLoader};
use crate::loader::epoch::PyEpoch;
use crate::loader::sampling::extract_numbers;

fn no_batch(number: usize) -> PyErr {
    PyValueError::new_err(format!("the epoch has no batch {number}"))
}

#[pymethods]
impl PyLoader {
    /// The next epoch, or the rest of the one that `load_state_dict` loaded. It begins with its
    /// first batch.
    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, own) = (slf.py(), slf.get());
        let config = own.loader.config();
        let pinned = config.memory == BatchMemory::Supplied;
        let epoch =
            PyEpoch::new(slf.clone().unbind(), Arc::clone(&own.structure), own.output, pinned);
        let epoch = epoch.into_bound_py_any(py)?;
        match &own.wire {
            // Without workers, a look ahead would make the next batch before this one is used.
            Some(wire) => {
                let _inside = exit::enter(py);
                wire.bind(py).call_method1("epoch", (epoch, config.num_workers > 0))
            }
            None => Ok(epoch),
        }
    }

    /// The next epoch, for a caller that passes over its batches.
    #[pyo3(name = "_plan")]
    fn plan(&self, py: Python<'_>) -> PyResult<PyEpoch> {
        let planner = PyLoader {
            loader: self.loader.planner(),
            source: self.source.clone_ref(py),
            structure: Arc::clone(&self.structure),
            output: self.output,
            is_sampled: self.is_sampled,
            wire: None,
            planned: Mutex::default(),
        };
        Ok(PyEpoch::new(Py::new(py, planner)?, Arc::clone(&self.structure), self.output, false))
    }

    /// The `number`-th batch that a rank takes of an epoch from place `start` on; a `ValueError`
    /// if there is none.
    #[pyo3(name = "_batch")]
    fn batch<'py>(
        &self,
        py: Python<'py>,
        epoch: u32,
        start: usize,
        rank: usize,
        world_size: usize,
        number: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _inside = exit::enter(py);
        let shard = Shard { rank, world_size, remainder: self.loader.config().shard.remainder };
        let made = exit::detach(py, || {
            let key = (epoch, start, rank, world_size);
            let mut running = match self.swap_planned(None) {
                Some((own, running)) if own == key => running,
                _ => self.loader.epoch_from(epoch, shard, start)?,
            };
            let made = running.batch_at(number).transpose();
            drop(self.swap_planned(Some((key, running))));
            made
        });
        let batch = made.or_raise()?.ok_or_else(|| no_batch(number))?;
        handed_out(py, &self.structure, self.output, batch)
    }

    /// A batch of these items, with the draws of an epoch.
    #[pyo3(name = "_batch_of")]
    fn batch_of<'py>(
        &self,
        py: Python<'py>,
        epoch: u32,
        items: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _inside = exit::enter(py);
        let numbers = extract_numbers(items)?;
        let made = exit::detach(py, || self.loader.batch_of(epoch, numbers));
        let batch = made.or_raise()?.ok_or_else(|| no_batch(0))?;
        handed_out(py, &self.structure, self.output, batch)
    }
}

impl PyLoader {
    /// Keeps an epoch of which batches are asked by number, and gives the one that was kept. A
    /// thread that finds the lock held keeps nothing: no thread waits for a lock that a fork may
    /// have copied, and threads make batches side by side.
    fn swap_planned(&self, planned: Option<(Planned, Epoch)>) -> Option<(Planned, Epoch)> {
        match self.planned.try_lock() {
            Ok(mut kept) => mem::replace(&mut *kept, planned),
            Err(_) => planned,
        }
    }
}
