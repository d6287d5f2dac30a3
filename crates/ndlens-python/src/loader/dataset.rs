//! Batches of items that torch's `DataLoader` asks for: the compiled half of
//! `ndlens.torch.Dataset`.

use std::sync::{Arc, Mutex, PoisonError};

use ndlens::loader::{BatchPart, FieldSummary, Gather, Randomness, Ring, SentBlock};
use ndlens::{Buffer, DType, Layout, View};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use crate::error::OrRaise;
use crate::exit;
use crate::lists::ListArgument;
use crate::loader::batch;
use crate::loader::fields::extract_fields;
use crate::loader::options::DatasetOptions;
use crate::loader::output::Output;
use crate::optional;
use crate::structure::Structure;
use crate::trace;

/// The operation of a batch.
const BATCH: &str = "nl.torch.Dataset batch";

/// Makes batches of any items of fields, as torch tensors.
#[pyclass(frozen, name = "_Gatherer", module = "ndlens._ndlens")]
pub(crate) struct PyGatherer {
    gather: Gather,
    structure: Arc<Structure>,
    ring: Mutex<Arc<Ring>>,
}

fn randomness(epoch: Option<u32>, nonce: u64) -> Randomness {
    epoch.map_or(Randomness::Nonce(nonce), Randomness::Epoch)
}

#[pymethods]
#[expect(clippy::needless_pass_by_value, reason = "extracted lists")]
impl PyGatherer {
    #[new]
    fn new(options: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = options.py();
        let options: DatasetOptions<'_> = options.extract()?;
        let (structure, fields) = extract_fields(&options.fields)?;
        let gather = Gather::new(fields, options.seed.0).or_raise()?;
        Output::Torch.check_fields(py, gather.dtypes())?;
        Ok(PyGatherer { gather, structure: Arc::new(structure), ring: Mutex::default() })
    }

    fn __len__(&self) -> usize {
        self.gather.len()
    }

    /// A batch in memory of this process.
    #[pyo3(signature = (items, epoch, nonce))]
    fn batch<'py>(
        &self,
        py: Python<'py>,
        items: ListArgument<usize>,
        epoch: Option<u32>,
        nonce: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _inside = exit::enter(py);
        trace::before_any(py, BATCH)?;
        let make = || {
            exit::detach(py, || self.gather.batch(&items.0, randomness(epoch, nonce))).or_raise()
        };
        let nbytes = |views: &Vec<View>| views.iter().map(View::nbytes).sum();
        let views = trace::copying_some(py, BATCH, make, nbytes)?;
        batch::of_views(py, &self.structure, Output::Torch, views)
    }

    /// A batch in memory that another process can receive.
    #[pyo3(signature = (items, epoch, nonce))]
    fn batch_to_send(
        &self,
        py: Python<'_>,
        items: ListArgument<usize>,
        epoch: Option<u32>,
        nonce: u64,
    ) -> PyResult<PySentBatch> {
        let _inside = exit::enter(py);
        let ring = self.ring();
        trace::before_any(py, BATCH)?;
        let make = || {
            let made = || self.gather.batch_in(&ring, &items.0, randomness(epoch, nonce));
            exit::detach(py, made).or_raise()
        };
        let nbytes = |(parts, _): &(Vec<BatchPart>, _)| {
            parts.iter().map(|part| part.layout.len() * part.dtype.itemsize()).sum()
        };
        let (parts, blocks) = trace::copying_some(py, BATCH, make, nbytes)?;
        Ok(PySentBatch { parts, blocks, structure: Arc::clone(&self.structure) })
    }
}

impl PyGatherer {
    /// Its fields in words and numbers.
    pub(crate) fn summary(&self) -> PyResult<Vec<FieldSummary>> {
        self.gather.summary().or_raise()
    }

    fn ring(&self) -> Arc<Ring> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if !ring.is_own() {
            *ring = Arc::default();
        }
        Arc::clone(&ring)
    }
}

fn views(parts: &[BatchPart], blocks: &[Buffer]) -> PyResult<Vec<View>> {
    parts.iter().map(|part| part.view(blocks)).collect::<Result<_, _>>().or_raise()
}

/// A batch in shared memory, but for its small fields. Its pickle has handles, and unpickling it
/// gives the batch.
#[pyclass(frozen, name = "_SentBatch", module = "ndlens._ndlens")]
pub(crate) struct PySentBatch {
    parts: Vec<BatchPart>,
    blocks: Vec<SentBlock>,
    structure: Arc<Structure>,
}

#[pymethods]
impl PySentBatch {
    /// The batch, in this process.
    fn here<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let _inside = exit::enter(py);
        let blocks: Vec<_> = self.blocks.iter().map(SentBlock::buffer).collect();
        batch::of_views(py, &self.structure, Output::Torch, views(&self.parts, &blocks)?)
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let _inside = exit::enter(py);
        let receive = optional::get(py, "ndlens._ndlens", "_receive_batch")?;
        let part = |part: &BatchPart| {
            let layout = &part.layout;
            (
                part.dtype.name().to_owned(),
                part.block,
                layout.offset(),
                layout.shape().to_vec(),
                layout.strides().to_vec(),
            )
        };
        let parts: Vec<_> = self.parts.iter().map(part).collect();
        let block = |block: &SentBlock| PyResult::Ok(PyBytes::new(py, &block.send().or_raise()?));
        let blocks = self.blocks.iter().map(block).collect::<PyResult<Vec<_>>>()?;
        Ok((receive, (blocks, parts, self.structure.to_key(py)?).into_pyobject(py)?))
    }
}

/// A part of a sent batch: the name of its dtype, its block, its offset there in bytes,
/// shape, and strides in bytes.
type SentPart = (String, usize, usize, Vec<usize>, Vec<isize>);

/// The batch that another process sent, as torch tensors on its memory, each block of which is that
/// process's to fill again when the last tensor on it dies.
#[pyfunction]
#[pyo3(name = "_receive_batch", signature = (blocks, parts, structure, /))]
pub(crate) fn receive_batch<'py>(
    py: Python<'py>,
    blocks: Vec<Bound<'py, PyBytes>>,
    parts: Vec<SentPart>,
    structure: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let _inside = exit::enter(py);
    let receive = |block: Bound<'_, PyBytes>| SentBlock::receive(block.as_bytes());
    let blocks = blocks.into_iter().map(receive).collect::<Result<Vec<_>, _>>().or_raise()?;
    let part = |(name, block, offset, shape, strides): SentPart| {
        let len_bytes = blocks.get(block).map_or(0, Buffer::len);
        let dtype = DType::parse(&name).or_raise()?;
        let layout =
            Layout::new(&shape, &strides, offset, dtype.itemsize(), len_bytes).or_raise()?;
        PyResult::Ok(BatchPart { layout, dtype, block })
    };
    let parts = parts.into_iter().map(part).collect::<PyResult<Vec<_>>>()?;
    batch::of_views(py, &Structure::from_key(structure), Output::Torch, views(&parts, &blocks)?)
}
