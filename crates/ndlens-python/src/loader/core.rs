//! `nl.Loader`.

use std::sync::{Arc, Mutex};

use ndlens::View;
use ndlens::loader::{
    BatchMemory, Config, Epoch, Error, Loader, LoaderBuilder, OnError, Remainder, Sampled, Shard,
    Shuffler, StorePolicy, Weights,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::error::{OrRaise, in_place};
use crate::exit;
use crate::interop::import::extract_elements;
use crate::loader::destination::Destination;
use crate::loader::fields::extract_fields;
use crate::loader::mixing::extract_mixing;
use crate::loader::options::{LoaderOptions, OrderOptions, count};
use crate::loader::output::Output;
use crate::loader::resume;
use crate::loader::sampling::{
    SamplerReading, extract_indices, extract_numbers, note_from_python, note_to_python,
};
use crate::loader::skipped::PySkipped;
use crate::structure::Structure;
use crate::trace;
use crate::view::object::PyView;

/// The compiled half of `ndlens.Loader`, which documents what the arguments mean.
#[pyclass(frozen, name = "_Loader", module = "ndlens._ndlens")]
pub(crate) struct PyLoader {
    pub(crate) loader: Loader,
    pub(crate) structure: Arc<Structure>,
    pub(crate) output: Output,
    /// An `ndlens._sampling.Source`: the rank, and the items that its sampler gives.
    pub(crate) source: Py<PyAny>,
    /// Whether there is a sampler.
    pub(crate) is_sampled: bool,
    /// An `ndlens.torch._device.Wire`, if batches go to a device.
    pub(crate) wire: Option<Py<PyAny>>,
    /// The epoch of which batches were last asked by number.
    pub(crate) planned: Mutex<Option<(Planned, Epoch)>>,
}

/// An epoch, its first place, a rank and the world size.
pub(crate) type Planned = (u32, usize, usize, usize);

/// Weights as numbers in a list, or in anything `nl.view` takes.
fn extract_weights(
    weights: &Bound<'_, PyAny>,
    replacement: bool,
    samples: Option<usize>,
) -> PyResult<Weights> {
    let py = weights.py();
    if weights.is_instance_of::<PyList>() || weights.is_instance_of::<PyTuple>() {
        let numbers: Vec<f64> =
            crate::lists::extract_all(weights).map_err(|error| in_place(py, "weights", error))?;
        return exit::detach(py, || Weights::new(&numbers, replacement, samples)).or_raise();
    }
    let view = extract_elements(weights).map_err(|error| in_place(py, "weights", error))?;
    trace::copying(py, "array of weights", view.nbytes(), || {
        exit::detach(py, || Weights::from_view(&view, replacement, samples)).or_raise()
    })
}

/// Checks that at most one option sets the order.
fn check_order(order: &OrderOptions<'_>) -> Result<(), Error> {
    let given = [
        ("shuffle", order.shuffle),
        ("sampler", order.sampled),
        ("weights", order.weights.is_some()),
    ];
    let mut given = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    match (given.next(), given.next()) {
        (Some(first), Some(second)) => Err(Error::TwoOrders { first, second }),
        _ => Ok(()),
    }
}

/// The builder of a loader with the order that the options set.
fn ordered(mut builder: LoaderBuilder, order: &OrderOptions<'_>) -> PyResult<LoaderBuilder> {
    if let Some(indices) = &order.indices {
        let indices = extract_indices(indices, builder.items())?;
        builder = builder.indices(indices);
    }
    let samples = order.num_samples.map(|samples| samples.0);
    match (&order.weights, order.sampled, samples) {
        (Some(weights), ..) => {
            let weights = extract_weights(weights, order.replacement, samples)?;
            Ok(builder.weights(weights))
        }
        (None, true, Some(_)) => Err(PyValueError::new_err(
            "the sampler says how many items an epoch has: leave out num_samples",
        )),
        (None, true, None) => Ok(builder.sampler()),
        (None, false, Some(samples)) => Ok(builder.samples(samples)),
        (None, false, None) => Ok(builder),
    }
}

#[pymethods]
impl PyLoader {
    #[new]
    fn new(options: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = options.py();
        let _inside = exit::enter(py);
        // Extracted in the body: errors about an extracted argument would name "options".
        let LoaderOptions { fields, order, ranks, batches, output, mixing } = options.extract()?;
        let kind = Output::extract(py, output.output.as_deref())?;
        let destination = Destination::extract(&output, kind)?;
        check_order(&order).or_raise()?;
        mixing.check()?;
        let config = Config {
            batch_size: batches.batch_size.0,
            shuffle: order.shuffle,
            shuffler: Shuffler::from_name(&order.order).or_raise()?,
            seed: order.seed.0,
            drop_last: batches.drop_last,
            num_workers: batches.num_workers.0,
            prefetch_factor: batches.prefetch_factor.0,
            return_params: batches.return_params,
            shard: Shard {
                remainder: Remainder::from_name(&ranks.remainder).or_raise()?,
                ..Shard::default()
            },
            stores: StorePolicy::from_name(&batches.stores).or_raise()?,
            memory: destination.memory(),
            values: destination.values(),
            on_error: OnError::from_name(&batches.on_error).or_raise()?,
        };
        let (structure, fields) = extract_fields(&fields)?;
        let mut builder = ordered(Loader::builder(fields, config).or_raise()?, &order)?;
        if let Some(mixing) = extract_mixing(&mixing, &structure)? {
            builder = builder.mixing(mixing);
        }
        let loader = builder.build().or_raise()?;
        kind.check_fields(py, loader.dtypes())?;
        let wire = destination.wire(py, &loader)?;
        Ok(PyLoader {
            loader,
            structure: Arc::new(structure),
            output: kind,
            source: ranks.source.unbind(),
            is_sampled: order.sampled,
            wire: wire.map(Bound::unbind),
            planned: Mutex::default(),
        })
    }

    /// The number of batches in an epoch, for this rank.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let _inside = exit::enter(py);
        Ok(self.loader.batches_of(self.shard(py)?, self.places(py)?))
    }

    /// The epoch that the next `for` loop runs, from 0 on.
    #[getter]
    fn epoch(&self) -> u32 {
        self.loader.next_epoch()
    }

    /// Makes `epoch` the one that the next `for` loop runs: from its start on, unless it is the one
    /// to be resumed.
    fn set_epoch(&self, epoch: u32) {
        self.loader.set_epoch(epoch);
    }

    /// The number of items that an epoch chooses from.
    #[pyo3(name = "_items_to_choose_from")]
    fn items_to_choose_from(&self) -> usize {
        self.loader.items_to_choose_from()
    }

    /// Items in a batch.
    #[getter]
    fn batch_size(&self) -> usize {
        self.loader.config().batch_size
    }

    /// Whether batches are made in pinned memory.
    #[getter]
    fn pin_memory(&self) -> bool {
        self.loader.config().memory == BatchMemory::Supplied
    }

    /// The items that the epoch begun last left out so far.
    #[getter]
    fn skipped(&self, py: Python<'_>) -> PySkipped {
        PySkipped(exit::detach(py, || self.loader.skipped()))
    }

    /// Whether a last batch of fewer items is left out.
    #[getter]
    fn drop_last(&self) -> bool {
        self.loader.config().drop_last
    }

    /// Number of this process among those that share the data.
    #[getter]
    fn rank(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.shard(py)?.rank)
    }

    /// Number of processes that share the data.
    #[getter]
    fn world_size(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.shard(py)?.world_size)
    }

    /// The number of items that this rank takes in an epoch.
    #[getter]
    fn num_samples(&self, py: Python<'_>) -> PyResult<usize> {
        let _inside = exit::enter(py);
        Ok(self.shard(py)?.share(self.places(py)?))
    }

    /// The items that this rank takes in an epoch, in order: int64, of shape (items,).
    fn indices(&self, py: Python<'_>, epoch: u32) -> PyResult<PyView> {
        self.numbers_of(py, &self.loader, epoch)
    }

    /// As `indices`, but places in `indices=` if the loader has it.
    #[pyo3(name = "_places")]
    fn places_of(&self, py: Python<'_>, epoch: u32) -> PyResult<PyView> {
        self.numbers_of(py, &self.loader.planner(), epoch)
    }

    /// The state of the run, counting batches that were handed out: a dict of numbers and strings,
    /// under 1 KB for any usual number of fields. Ranks that have taken as many batches write the
    /// same.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let state = self.loader.state();
        let dict = resume::to_dict(py, &state)?;
        if self.is_sampled {
            let note = note_to_python(py, state.note.as_ref())?;
            dict.set_item("sampler", self.source.call_method1(py, "state", (note, state.start))?)?;
        }
        Ok(dict)
    }

    /// Resumes a run from a state, with any number of ranks and threads and any batch size: the
    /// next `for` loop runs the rest of its epoch, each item once.
    ///
    /// Raises `ValueError` if the data, the seed or `shuffle` differ, or for a state of another
    /// version. The error names the difference.
    fn load_state_dict(&self, state_dict: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = state_dict.py();
        let mut state = resume::from_dict(state_dict)?;
        self.loader.check_state(&state).or_raise()?;
        if self.is_sampled {
            let of_sampler = resume::of_sampler(state_dict)?;
            let kept = self.source.bind(py).call_method1("load", (of_sampler, state.start))?;
            state.note = note_from_python(Some(kept).filter(|kept| !kept.is_none()));
        }
        self.loader.load_state(&state).or_raise()
    }

    /// Bytes of all batch memory: being made, waiting, kept by the caller, and free for the next
    /// batch. It grows only while the caller keeps batches.
    #[getter]
    fn pool_nbytes(&self) -> usize {
        self.loader.pool_use().bytes
    }

    /// A sampler may hold its loader.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.source)?;
        visit.call(&self.wire)
    }

    /// Each field's name, dtype and item shape, and what makes the order.
    #[pyo3(name = "_described")]
    fn described(&self) -> (Vec<String>, String) {
        let basis = self.loader.basis();
        (basis.fields, basis.order)
    }
}

/// An epoch, and the objects it is made with.
pub(crate) struct BegunEpoch {
    pub(crate) epoch: Epoch,
    /// The sampler that it reads.
    pub(crate) reading: Option<SamplerReading>,
    /// Checks that the rank is still that of the beginning; None if the rank was given.
    pub(crate) watch: Option<Py<PyAny>>,
}

impl PyLoader {
    /// The rank and the world size, as far as they are known now.
    fn shard(&self, py: Python<'_>) -> PyResult<Shard> {
        let _inside = exit::enter(py);
        self.shard_of(&self.source.bind(py).call_method0("ranks")?)
    }

    fn shard_of(&self, ranks: &Bound<'_, PyAny>) -> PyResult<Shard> {
        let (rank, world_size): (Bound<'_, PyAny>, Bound<'_, PyAny>) = ranks.extract()?;
        let remainder = self.loader.config().shard.remainder;
        let shard = Shard {
            rank: count("rank", &rank, 0)?,
            world_size: count("world_size", &world_size, 1)?,
            remainder,
        };
        shard.check().or_raise()?;
        Ok(shard)
    }

    /// The items that this rank takes in an epoch of a loader: int64, of shape (items,).
    fn numbers_of(&self, py: Python<'_>, loader: &Loader, epoch: u32) -> PyResult<PyView> {
        let shard = self.shard(py)?;
        let items = exit::detach(py, || {
            loader
                .items_of(shard, epoch)
                .map(|items| items.into_iter().map(|item| item as i64).collect::<Vec<_>>())
        });
        Ok(PyView::new(View::from_vec(items.or_raise()?)))
    }

    /// The places of an epoch's order, for all ranks together.
    fn places(&self, py: Python<'_>) -> PyResult<usize> {
        let _inside = exit::enter(py);
        if !self.is_sampled {
            return Ok(self.loader.places());
        }
        self.source.call_method0(py, "places")?.extract(py)
    }

    /// Begins the next epoch. No other function begins one.
    pub(crate) fn begin_epoch(&self, py: Python<'_>) -> PyResult<BegunEpoch> {
        let _inside = exit::enter(py);
        let (_, start, note) = self.loader.next_start();
        let note = note_to_python(py, note.as_ref())?;
        let begun = self.source.bind(py).call_method1("begin", (start, note))?;
        let shard = self.shard_of(&begun.getattr("ranks")?)?;
        let watch = begun.getattr("watch")?.extract::<Option<Py<PyAny>>>()?;
        let (numbers, iterator) = (begun.getattr("numbers")?, begun.getattr("reading")?);
        let (epoch, reading) = if !iterator.is_none() {
            let (reading, sampled) = SamplerReading::begin(&iterator)?;
            (exit::detach(py, || self.loader.start_epoch_of(sampled, shard)), Some(reading))
        } else if !numbers.is_none() {
            let sampled = Sampled::Numbers(extract_numbers(&numbers)?);
            (exit::detach(py, || self.loader.start_epoch_of(sampled, shard)), None)
        } else {
            // Making an order that is a list takes a while.
            (exit::detach(py, || self.loader.start_epoch_as(shard)), None)
        };
        Ok(BegunEpoch { epoch: epoch.or_raise()?, reading, watch })
    }

    /// The number of batches of the epoch that begins next.
    pub(crate) fn next_batches(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.loader.next_batches_of(self.shard(py)?, self.places(py)?))
    }
}
