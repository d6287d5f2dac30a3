//! Batches on tensors in pinned memory, which torch allocates.
//!
//! torch frees such memory only once the copies from it that are under way are done, and keeps it
//! for the next tensor: a pool that knows of streams. So a batch goes out as the very tensor that
//! torch made, and goes back to torch, not to this crate.

#![expect(unsafe_code, reason = "makes batches on the memory of tensors; see UNSAFE.md")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use ndlens::loader::{Epoch, Error};
use ndlens::{Buffer, View};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::exit;
use crate::interop::dlpack;
use crate::optional;

/// The address of a tensor's memory, and the tensor.
type Tensor = (usize, Py<PyAny>);

/// The tensors of batches that are not handed out yet, one for each field.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    waiting: Mutex<Vec<Vec<Tensor>>>,
    turn: Mutex<()>,
}

/// New tensors, to which no other code has a reference, and their memory.
pub(crate) struct Fresh {
    tensors: Vec<Tensor>,
    memory: Untouched,
}

/// The memory of such tensors once they are kept.
pub(crate) struct Untouched(Vec<Buffer>);

impl Fresh {
    /// Allocates pinned tensors of these sizes, in bytes.
    pub(crate) fn allocate(py: Python<'_>, sizes: &[usize]) -> PyResult<Self> {
        let empty = optional::get(py, "torch", "empty")?;
        let keywords = PyDict::new(py);
        keywords.set_item("dtype", optional::get(py, "torch", "uint8")?)?;
        // On the CPU, for any default device.
        keywords.set_item("device", "cpu")?;
        keywords.set_item("pin_memory", true)?;
        let (mut tensors, mut buffers) = (vec![], vec![]);
        for &size in sizes {
            let tensor = empty.call((size,), Some(&keywords))?;
            let buffer = dlpack::import(&tensor)?.buffer().clone();
            tensors.push((buffer.as_ptr().addr().get(), tensor.unbind()));
            buffers.push(buffer);
        }
        Ok(Fresh { tensors, memory: Untouched(buffers) })
    }
}

impl Untouched {
    /// Has the epoch make its next batch there.
    pub(crate) fn give(self, epoch: &Epoch) -> Result<(), Error> {
        // SAFETY: torch just allocated these tensors; they are only in a `Pinned`, which hands them
        // out with the batch. Their bytes come from an allocator that the compiler knows nothing
        // of, so they have some value.
        unsafe { epoch.supply(self.0) }
    }
}

impl Pinned {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<Tensor>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no other thread supplies and takes.
    pub(crate) fn turn(&self, py: Python<'_>) -> MutexGuard<'_, ()> {
        exit::lock(py, &self.turn)
    }

    /// Keeps tensors until a batch is made on them.
    pub(crate) fn keep(&self, fresh: Fresh) -> Untouched {
        self.lock().push(fresh.tensors);
        fresh.memory
    }

    /// The tensors that this batch was made on, with the shapes and strides of its views.
    pub(crate) fn take<'py>(
        &self,
        py: Python<'py>,
        views: &[View],
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let places = || views.iter().map(|view| view.buffer().as_ptr().addr().get());
        let mut waiting = self.lock();
        let of_batch = |tensors: &Vec<Tensor>| tensors.iter().map(|(place, _)| *place).eq(places());
        let at = waiting.iter().position(of_batch);
        let tensors = at.map(|at| waiting.remove(at));
        drop(waiting);
        let tensors = tensors.ok_or_else(|| {
            PyRuntimeError::new_err("a batch came on memory that was not supplied")
        })?;
        let seen = |(view, (_, tensor)): (&View, Tensor)| {
            let dtype = optional::get(py, "torch", &view.dtype().to_string())?;
            let itemsize = view.dtype().itemsize() as isize;
            let strides: Vec<isize> =
                view.strides().iter().map(|stride| stride / itemsize).collect();
            let tensor = tensor.bind(py).call_method1("view", (dtype,))?;
            let (shape, strides) = (PyTuple::new(py, view.shape())?, PyTuple::new(py, strides)?);
            tensor.call_method1("as_strided", (shape, strides))
        };
        views.iter().zip(tensors).map(seen).collect()
    }
}
