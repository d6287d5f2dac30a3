//! `nl.Loader`.

use std::mem;
use std::sync::{Arc, Mutex};

use ndlens::View;
use ndlens::loader::{
    Config, Epoch, Error, Loader, Memory, Remainder, Sampled, Shard, Shuffler, Storing, Values,
    Weights,
};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use pyo3::{IntoPyObjectExt, PyTraverseError, PyVisit};

use crate::error::{OrRaise, in_place};
use crate::exit;
use crate::interop::import::extract_view;
use crate::loader::destination;
use crate::loader::destination::Destination;
use crate::loader::epoch::{PyEpoch, handed_out};
use crate::loader::fields::{Output, Structure, extract_fields_and_transforms};
use crate::loader::mixing::extract_mixing;
use crate::loader::resume;
use crate::loader::sampling::{
    Reading, extract_indices, extract_numbers, note_from_python, note_to_python,
};
use crate::view::attributes::PyView;

/// A setting that counts things.
fn count(name: &str, value: isize, least: usize) -> PyResult<usize> {
    usize::try_from(value).ok().filter(|&value| value >= least).ok_or_else(|| {
        PyValueError::new_err(format!("{name} must be at least {least}, got {value}"))
    })
}

/// What randomness is made of.
#[derive(Clone, Copy)]
struct Seed(u64);

impl<'py> FromPyObject<'_, 'py> for Seed {
    type Error = PyErr;

    fn extract(seed: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        seed.extract().map(Seed).map_err(|error| {
            if error.is_instance_of::<PyOverflowError>(seed.py()) {
                return PyValueError::new_err(format!(
                    "seed must be between 0 and 2**64 - 1, got {}",
                    &*seed
                ));
            }
            error
        })
    }
}

/// The compiled half of `ndlens.Loader`, which documents what the arguments mean.
#[pyclass(frozen, name = "_Loader", module = "ndlens._ndlens")]
pub(crate) struct PyLoader {
    loader: Loader,
    structure: Arc<Structure>,
    output: Output,
    /// An `ndlens._sampling.Source`: which rank this is, and what its sampler gives.
    source: Py<PyAny>,
    /// Whether there is a sampler.
    is_sampled: bool,
    /// An `ndlens.torch._device.Wire`, where batches go to a device.
    wire: Option<Py<PyAny>>,
    /// The epoch that batches were last asked of by number.
    planned: Mutex<Option<(Planned, Epoch)>>,
}

/// An epoch, its first place, a rank and of how many.
type Planned = (u32, usize, usize, usize);

fn no_batch(number: usize) -> PyErr {
    PyValueError::new_err(format!("the epoch has no batch {number}"))
}

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
    let view = extract_view(weights).map_err(|error| in_place(py, "weights", error))?;
    exit::detach(py, || Weights::from_view(&view, replacement, samples)).or_raise()
}

#[pymethods]
impl PyLoader {
    #[new]
    #[pyo3(signature = (fields, *, source, batch_size, shuffle, seed, num_workers, drop_last, prefetch_factor, transforms, joint, channels,
        return_params, output, remainder, sampled, stores, order, weights, replacement, num_samples, indices, mix, mix_images,
        mix_labels, pin_memory, device))]
    #[expect(
        clippy::too_many_arguments,
        clippy::fn_params_excessive_bools,
        reason = "Python's keywords"
    )]
    fn new(
        fields: &Bound<'_, PyAny>,
        source: Bound<'_, PyAny>,
        batch_size: isize,
        shuffle: bool,
        seed: Seed,
        num_workers: isize,
        drop_last: bool,
        prefetch_factor: isize,
        transforms: Option<&Bound<'_, PyAny>>,
        joint: Option<&Bound<'_, PyAny>>,
        channels: Option<&Bound<'_, PyAny>>,
        return_params: bool,
        output: Option<&str>,
        remainder: &str,
        sampled: bool,
        stores: &str,
        order: &str,
        weights: Option<&Bound<'_, PyAny>>,
        replacement: bool,
        num_samples: Option<isize>,
        indices: Option<&Bound<'_, PyAny>>,
        mix: Option<&Bound<'_, PyAny>>,
        mix_images: Option<&Bound<'_, PyAny>>,
        mix_labels: Option<&Bound<'_, PyAny>>,
        pin_memory: bool,
        device: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = fields.py();
        let _inside = exit::enter(py);
        let output = Output::extract(py, output)?;
        let destination = Destination::extract(py, output, pin_memory, device)?;
        let samplers = [("shuffle", shuffle), ("sampler", sampled), ("weights", weights.is_some())];
        let mut given = samplers.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            return Err(Error::TwoOrders { first, second }).or_raise();
        }
        if num_samples.is_some() && sampled {
            return Err(PyValueError::new_err(
                "the sampler says how many items an epoch has: leave out num_samples",
            ));
        }
        if mix.is_none() && (mix_images.is_some() || mix_labels.is_some()) {
            return Err(PyValueError::new_err(
                "mix_images and mix_labels say what to mix: give mix too",
            ));
        }
        let shard =
            Shard { remainder: Remainder::from_name(remainder).or_raise()?, ..Shard::default() };
        let config = Config {
            batch_size: count("batch_size", batch_size, 1)?,
            shuffle,
            shuffler: Shuffler::from_name(order).or_raise()?,
            seed: seed.0,
            drop_last,
            num_workers: count("num_workers", num_workers, 0)?,
            prefetch_factor: count("prefetch_factor", prefetch_factor, 1)?,
            return_params,
            shard,
            storing: Storing::from_name(stores).or_raise()?,
            memory: if destination.pins { Memory::Supplied } else { Memory::Pooled },
            values: if destination.device.is_some() { Values::Deferred } else { Values::Computed },
        };
        let (structure, fields) =
            extract_fields_and_transforms(fields, transforms, joint, channels)?;
        let mut loader = Loader::new(fields, config).or_raise()?;
        if let Some(indices) = indices {
            let indices = extract_indices(indices, loader.items())?;
            loader = loader.with_indices(indices).or_raise()?;
        }
        let samples = num_samples.map(|samples| count("num_samples", samples, 1)).transpose()?;
        if sampled {
            loader = loader.with_sampler().or_raise()?;
        } else if let Some(samples) = samples.filter(|_| weights.is_none()) {
            loader = loader.with_samples(samples).or_raise()?;
        }
        if let Some(weights) = weights {
            loader =
                loader.with_weights(extract_weights(weights, replacement, samples)?).or_raise()?;
        }
        if let Some(mix) = mix {
            let mixing = extract_mixing(mix, mix_images, mix_labels, &structure)?;
            loader = loader.with_mixing(&mixing).or_raise()?;
        }
        for (name, dtype) in loader.dtypes() {
            output
                .check(py, dtype)
                .map_err(|error| in_place(py, &format!("field {name:?}"), error))?;
        }
        let wire = destination.wire(&loader)?;
        Ok(PyLoader {
            loader,
            structure: Arc::new(structure),
            output,
            source: source.unbind(),
            is_sampled: sampled,
            wire: wire.map(Bound::unbind),
            planned: Mutex::default(),
        })
    }

    /// The number of batches in an epoch, for this rank.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let _inside = exit::enter(py);
        Ok(self.loader.batches_of(self.shard(py)?, self.places(py)?))
    }

    /// The next epoch, or what is left of the one that `load_state_dict` told of. It begins with
    /// its first batch.
    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, own) = (slf.py(), slf.get());
        let config = own.loader.config();
        let pinned = config.memory == Memory::Supplied;
        let epoch =
            PyEpoch::new(slf.clone().unbind(), Arc::clone(&own.structure), own.output, pinned);
        match &own.wire {
            // Without workers, to look ahead would be to make the next batch before this one is
            // used.
            Some(wire) => destination::epoch(py, epoch, wire, config.num_workers > 0),
            None => epoch.into_bound_py_any(py),
        }
    }

    /// The next epoch, for one who passes over its batches.
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
    /// where there is none.
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
        self.loader.config().memory == Memory::Supplied
    }

    /// Whether a last batch of fewer items is left out.
    #[getter]
    fn drop_last(&self) -> bool {
        self.loader.config().drop_last
    }

    /// Which of the processes that share the data this is.
    #[getter]
    fn rank(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.shard(py)?.rank)
    }

    /// How many processes share the data.
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

    /// As `indices`, as places in the part of the data set where the loader is of one.
    #[pyo3(name = "_places")]
    fn places_of(&self, py: Python<'_>, epoch: u32) -> PyResult<PyView> {
        self.numbers_of(py, &self.loader.planner(), epoch)
    }

    /// Where the run stands, counting batches that were handed out: a dict of numbers and strings,
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

    /// Goes on from a state, with any number of ranks and threads and any batch size: the next
    /// `for` loop runs what was left of its epoch, each item once.
    ///
    /// Raises `ValueError` where the data, the seed or `shuffle` differ, or for a state of another
    /// version, and says what.
    fn load_state_dict(&self, state_dict: &Bound<'_, PyDict>) -> PyResult<()> {
        let py = state_dict.py();
        let mut state = resume::from_dict(state_dict, None)?;
        self.loader.check_state(&state).or_raise()?;
        if self.is_sampled {
            let of_sampler = state_dict.get_item("sampler")?;
            let kept = self.source.bind(py).call_method1("load", (of_sampler, state.start))?;
            state.note = note_from_python(Some(kept).filter(|kept| !kept.is_none()));
        }
        self.loader.load_state(&state).or_raise()
    }

    /// Bytes of all batch memory: being made, waiting, kept by you, and free for the next batch. It
    /// grows while you keep batches, and only then.
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

/// An epoch, and what it is made with.
pub(crate) struct Begun {
    pub(crate) epoch: Epoch,
    /// The sampler that it reads.
    pub(crate) reading: Option<Reading>,
    /// What says whether it still is the rank that it began as; None where that was given.
    pub(crate) watch: Option<Py<PyAny>>,
}

impl PyLoader {
    /// Keeps an epoch that batches are asked of by number, and gives what was kept. Whoever is in
    /// another's way does without: nobody waits for a lock that a fork may have copied, and threads
    /// make batches side by side.
    fn swap_planned(&self, planned: Option<(Planned, Epoch)>) -> Option<(Planned, Epoch)> {
        match self.planned.try_lock() {
            Ok(mut kept) => mem::replace(&mut *kept, planned),
            Err(_) => planned,
        }
    }

    /// Which rank this is, as far as that is known now.
    fn shard(&self, py: Python<'_>) -> PyResult<Shard> {
        let _inside = exit::enter(py);
        self.shard_of(&self.source.bind(py).call_method0("ranks")?)
    }

    fn shard_of(&self, ranks: &Bound<'_, PyAny>) -> PyResult<Shard> {
        let (rank, world_size) = ranks.extract::<(isize, isize)>()?;
        let remainder = self.loader.config().shard.remainder;
        let shard = Shard {
            rank: count("rank", rank, 0)?,
            world_size: count("world_size", world_size, 1)?,
            remainder,
        };
        shard.check().or_raise()?;
        Ok(shard)
    }

    /// What this rank takes in an epoch of a loader: int64, of shape (items,).
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

    /// Begins the next epoch: the one place where one does.
    pub(crate) fn begin_epoch(&self, py: Python<'_>) -> PyResult<Begun> {
        let _inside = exit::enter(py);
        let (_, start, note) = self.loader.next_start();
        let note = note_to_python(py, note.as_ref())?;
        let begun = self.source.bind(py).call_method1("begin", (start, note))?;
        let shard = self.shard_of(&begun.getattr("ranks")?)?;
        let watch = begun.getattr("watch")?.extract::<Option<Py<PyAny>>>()?;
        let (numbers, iterator) = (begun.getattr("numbers")?, begun.getattr("reading")?);
        let (epoch, reading) = if !iterator.is_none() {
            let (reading, sampled) = Reading::begin(&iterator)?;
            (exit::detach(py, || self.loader.start_epoch_of(sampled, shard)), Some(reading))
        } else if !numbers.is_none() {
            let sampled = Sampled::Numbers(extract_numbers(&numbers)?);
            (exit::detach(py, || self.loader.start_epoch_of(sampled, shard)), None)
        } else {
            // Making an order that is a list takes a while.
            (exit::detach(py, || self.loader.start_epoch_as(shard)), None)
        };
        Ok(Begun { epoch: epoch.or_raise()?, reading, watch })
    }

    /// The number of batches of the epoch that begins next.
    pub(crate) fn next_batches(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.loader.next_batches_of(self.shard(py)?, self.places(py)?))
    }
}
