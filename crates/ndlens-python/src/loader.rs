//! `nl.Loader`.

use std::sync::Arc;

use ndlens::View;
use ndlens::loader::{
    Config, Epoch, Error, Loader, Memory, Remainder, Shard, Shuffler, Storing, Values, Weights,
};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::destination::Destination;
use crate::epoch::PyEpoch;
use crate::error::{OrRaise, in_place};
use crate::fields::{Output, Structure, extract_fields_and_transforms};
use crate::import::extract_view;
use crate::mixing::extract_mixing;
use crate::view::PyView;
use crate::{destination, run_state};

/// A setting that counts things.
fn count(name: &str, value: isize, least: usize) -> PyResult<usize> {
    usize::try_from(value)
        .ok()
        .filter(|&value| value >= least)
        .ok_or_else(|| PyValueError::new_err(format!("{name} must be at least {least}, got {value}")))
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
    sampler: Option<Py<PyAny>>,
    /// An `ndlens._device.Wire`, where batches go to a device.
    wire: Option<Py<PyAny>>,
}

/// Weights as numbers in a list, or in anything `nl.view` takes.
fn extract_weights(
    weights: &Bound<'_, PyAny>,
    replacement: bool,
    samples: Option<usize>,
) -> PyResult<Weights> {
    let py = weights.py();
    if weights.is_instance_of::<PyList>() || weights.is_instance_of::<PyTuple>() {
        let numbers: Vec<f64> = weights.extract().map_err(|error| in_place(py, "weights", error))?;
        return py.detach(|| Weights::new(&numbers, replacement, samples)).or_raise();
    }
    let view = extract_view(weights).map_err(|error| in_place(py, "weights", error))?;
    py.detach(|| Weights::from_view(&view, replacement, samples)).or_raise()
}

/// What a sampler gives, collected: threads and ranks must be able to look ahead.
fn sampled(sampler: &Bound<'_, PyAny>) -> PyResult<Arc<[usize]>> {
    let item = |item: PyResult<Bound<'_, PyAny>>| {
        let item = item?;
        item.extract::<usize>().map_err(|_| {
            PyTypeError::new_err(format!("the sampler must give item numbers from 0 on, got {item:?}"))
        })
    };
    sampler.try_iter()?.map(item).collect()
}

#[pymethods]
impl PyLoader {
    #[new]
    #[pyo3(
        signature = (fields, *, batch_size = 1, shuffle = false, seed = Seed(0), num_workers = 0, drop_last = false,
            prefetch_factor = 2, transforms = None, joint = None, channels = None, return_params = false, output = None, rank = None, world_size = None, remainder = "pad",
            sampler = None, stores = "auto", order = "ndlens", weights = None, replacement = true, num_samples = None,
            mix = None, mix_images = None, mix_labels = None, pin_memory = false, device = None),
        text_signature = "(fields, *, batch_size=1, shuffle=False, seed=0, num_workers=0, drop_last=False, \
            prefetch_factor=2, transforms=None, joint=None, channels=None, return_params=False, output=None, rank=None, world_size=None, remainder='pad', sampler=None, stores='auto', \
            order='ndlens', weights=None, replacement=True, num_samples=None, mix=None, mix_images=None, mix_labels=None, \
            pin_memory=False, device=None)"
    )]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "Python's keywords")]
    fn new(
        fields: &Bound<'_, PyAny>,
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
        rank: Option<isize>,
        world_size: Option<isize>,
        remainder: &str,
        sampler: Option<Bound<'_, PyAny>>,
        stores: &str,
        order: &str,
        weights: Option<&Bound<'_, PyAny>>,
        replacement: bool,
        num_samples: Option<isize>,
        mix: Option<&Bound<'_, PyAny>>,
        mix_images: Option<&Bound<'_, PyAny>>,
        mix_labels: Option<&Bound<'_, PyAny>>,
        pin_memory: bool,
        device: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = fields.py();
        let output = Output::extract(py, output)?;
        let destination = Destination::extract(py, output, pin_memory, device)?;
        let samplers = [("shuffle", shuffle), ("sampler", sampler.is_some()), ("weights", weights.is_some())];
        let mut given = samplers.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            return Err(Error::TwoOrders { first, second }).or_raise();
        }
        if num_samples.is_some() && weights.is_none() {
            return Err(PyValueError::new_err("num_samples counts draws by weights: give weights too"));
        }
        if mix.is_none() && (mix_images.is_some() || mix_labels.is_some()) {
            return Err(PyValueError::new_err("mix_images and mix_labels say what to mix: give mix too"));
        }
        let (own_rank, own_world_size) =
            if sampler.is_some() { (0, 1) } else { run_state::rank_and_world_size(py)? };
        // One without the other would be half of this run and half of another.
        if rank.is_some() != world_size.is_some() {
            return Err(PyValueError::new_err("rank and world_size must be given together"));
        }
        let shard = Shard {
            rank: count("rank", rank.unwrap_or(own_rank), 0)?,
            world_size: count("world_size", world_size.unwrap_or(own_world_size), 1)?,
            remainder: Remainder::from_name(remainder).or_raise()?,
        };
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
        let (structure, fields) = extract_fields_and_transforms(fields, transforms, joint, channels)?;
        let mut loader = Loader::new(fields, config).or_raise()?;
        if let Some(weights) = weights {
            let samples = num_samples.map(|samples| count("num_samples", samples, 1)).transpose()?;
            loader = loader.with_weights(extract_weights(weights, replacement, samples)?).or_raise()?;
        }
        if let Some(mix) = mix {
            let mixing = extract_mixing(mix, mix_images, mix_labels, &structure)?;
            loader = loader.with_mixing(&mixing).or_raise()?;
        }
        for (name, dtype) in loader.dtypes() {
            output.check(py, dtype).map_err(|error| in_place(py, &format!("field {name:?}"), error))?;
        }
        let wire = destination.wire(&loader)?;
        Ok(PyLoader {
            loader,
            structure: Arc::new(structure),
            output,
            sampler: sampler.map(Bound::unbind),
            wire: wire.map(Bound::unbind),
        })
    }

    /// The number of batches in an epoch, for this rank.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        match &self.sampler {
            Some(sampler) => Ok(self.loader.batches_of(sampler.bind(py).len()?)),
            None => Ok(self.loader.len()),
        }
    }

    /// The next epoch, or what is left of the one that `load_state_dict` told of. It begins with its first batch.
    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let (py, own) = (slf.py(), slf.get());
        let config = own.loader.config();
        let pinned = config.memory == Memory::Supplied;
        let epoch = PyEpoch::new(slf.clone().unbind(), Arc::clone(&own.structure), own.output, pinned);
        match &own.wire {
            // Without workers, to look ahead would be to make the next batch before this one is used.
            Some(wire) => destination::epoch(py, epoch, wire, config.num_workers > 0),
            None => epoch.into_bound_py_any(py),
        }
    }

    /// The epoch that the next `for` loop runs, from 0 on.
    #[getter]
    fn epoch(&self) -> u32 {
        self.loader.next_epoch()
    }

    /// Makes `epoch` the one that the next `for` loop runs: from its start on, unless it is the one to be resumed.
    fn set_epoch(&self, epoch: u32) {
        self.loader.set_epoch(epoch);
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
    fn rank(&self) -> usize {
        self.loader.config().shard.rank
    }

    /// How many processes share the data.
    #[getter]
    fn world_size(&self) -> usize {
        self.loader.config().shard.world_size
    }

    /// The number of items that this rank takes in an epoch.
    #[getter]
    fn num_samples(&self, py: Python<'_>) -> PyResult<usize> {
        let items =
            self.sampler.as_ref().map_or(Ok(self.loader.places()), |sampler| sampler.bind(py).len())?;
        Ok(self.loader.config().shard.share(items))
    }

    /// The items that this rank takes in an epoch, in order: int64, of shape (items,).
    fn indices(&self, py: Python<'_>, epoch: u32) -> PyResult<PyView> {
        let items = py.detach(|| {
            self.loader.items_of(epoch).map(|items| items.map(|item| item as i64).collect::<Vec<_>>())
        });
        Ok(PyView::new(View::from_vec(items.or_raise()?)))
    }

    /// Where the run stands, counting batches that were handed out: a dict of numbers and strings, under 1 KB for any usual
    /// number of fields. Ranks that have taken as many batches write the same.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        run_state::to_dict(py, &self.loader.state())
    }

    /// Goes on from a state, with any number of ranks and threads and any batch size: the next `for` loop runs what was left
    /// of its epoch, each item once.
    ///
    /// Raises `ValueError` where the data, the seed or `shuffle` differ, or for a state of another version, and says what.
    fn load_state_dict(&self, state_dict: &Bound<'_, PyDict>) -> PyResult<()> {
        self.loader.load_state(&run_state::from_dict(state_dict)?).or_raise()
    }

    /// Bytes of all batch memory: being made, waiting, kept by you, and free for the next batch. It grows while you keep
    /// batches, and only then.
    #[getter]
    fn pool_nbytes(&self) -> usize {
        self.loader.pool_use().bytes
    }

    fn __repr__(&self) -> String {
        let config = self.loader.config();
        format!(
            "<ndlens.Loader batches={} batch_size={} shuffle={} num_workers={}>",
            self.loader.len(),
            config.batch_size,
            if config.shuffle { "True" } else { "False" },
            config.num_workers
        )
    }
}

impl PyLoader {
    /// Begins the next epoch.
    pub(crate) fn begin_epoch(&self, py: Python<'_>) -> PyResult<Epoch> {
        match &self.sampler {
            Some(sampler) => self.loader.start_epoch_of(sampled(sampler.bind(py))?),
            // Making an order that is a list takes a while.
            None => py.detach(|| self.loader.start_epoch()),
        }
        .or_raise()
    }

    /// The number of batches of the epoch that begins next.
    pub(crate) fn next_batches(&self, py: Python<'_>) -> PyResult<usize> {
        let places =
            self.sampler.as_ref().map_or(Ok(self.loader.places()), |sampler| sampler.bind(py).len())?;
        Ok(self.loader.next_batches_of(places))
    }
}
