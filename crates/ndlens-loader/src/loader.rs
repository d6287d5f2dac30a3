//! The face: fields, settings, epochs.

use std::fmt;
use std::sync::Arc;

use ndlens_core::{DType, Layout, Order};

use crate::draws::Stream;
use crate::engine::Epoch;
use crate::error::{Error, Result};
use crate::pool::{Pool, PoolUse};
use crate::source::Source;
use crate::transform::{Program, Transform};

/// One column of the data set: a source, its name for errors, and what becomes of its items.
pub struct Field {
    name: String,
    source: Arc<dyn Source>,
    transforms: Vec<Transform>,
}

impl Field {
    /// A field whose items are copied as they are.
    pub fn new(name: impl Into<String>, source: Arc<dyn Source>) -> Self {
        Field { name: name.into(), source, transforms: vec![] }
    }

    /// The same field with transforms for its items.
    #[must_use]
    pub fn with_transforms(self, transforms: Vec<Transform>) -> Self {
        Field { transforms, ..self }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field")
            .field("name", &self.name)
            .field("transforms", &self.transforms)
            .finish_non_exhaustive()
    }
}

/// How to batch; the names and defaults are those of `torch.utils.data.DataLoader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Items in a batch.
    pub batch_size: usize,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// What all randomness is made of.
    pub seed: u64,
    /// Whether a last batch of fewer items is left out.
    pub drop_last: bool,
    /// Threads that make batches; with 0 the caller makes them.
    pub num_workers: usize,
    /// Batches begun and not yet taken, at most. (torch counts these for each worker.)
    pub prefetch_factor: usize,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 1,
            shuffle: false,
            seed: 0,
            drop_last: false,
            num_workers: 0,
            prefetch_factor: 2,
        }
    }
}

impl Config {
    /// The number of batches in `items` items.
    pub(crate) fn batches(&self, items: usize) -> usize {
        if self.drop_last { items / self.batch_size } else { items.div_ceil(self.batch_size) }
    }
}

/// A field with its program and its memory.
pub(crate) struct Compiled {
    pub(crate) name: String,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) program: Program,
    pub(crate) stream: Stream,
    pub(crate) pool: Pool,
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("name", &self.name)
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// Streams batches out of its fields, epoch by epoch.
#[derive(Debug)]
pub struct Loader {
    fields: Arc<[Compiled]>,
    config: Config,
    items: usize,
}

impl Loader {
    /// Compiles the fields' transforms and checks everything that can be checked before the first batch.
    ///
    /// # Errors
    ///
    /// [`Error::NoFields`], [`Error::NoItems`], [`Error::EmptyDataset`], [`Error::UnequalLengths`],
    /// [`Error::ZeroSetting`], and [`Error::Field`] with what is wrong with a field's transforms.
    pub fn new(fields: Vec<Field>, config: Config) -> Result<Self> {
        for (name, value) in [("batch_size", config.batch_size), ("prefetch_factor", config.prefetch_factor)]
        {
            if value == 0 {
                return Err(Error::ZeroSetting { name });
            }
        }
        let first = fields.first().ok_or(Error::NoFields)?;
        let (first_name, items) = (first.name.clone(), first.source.len());
        let compile = |field: Field| {
            let Field { name, source, transforms } = field;
            let Some(shape) = source.item_shape() else { return Err(Error::NoItems { field: name }) };
            if source.len() != items {
                let (first, first_len, len) = (first_name.clone(), items, source.len());
                return Err(Error::UnequalLengths { first, first_len, field: name, len });
            }
            if items == 0 {
                return Err(Error::EmptyDataset { field: name });
            }
            let in_field = |source: Error| Error::Field { field: name.clone(), source: Box::new(source) };
            let program = Program::compile(&transforms, shape, source.dtype()).map_err(in_field)?;
            let batch_shape = [&[config.batch_size.min(items)], program.shape()].concat();
            let itemsize = program.dtype().itemsize();
            let batch = Layout::contiguous(&batch_shape, itemsize, Order::C);
            let pool = Pool::new(batch.map_err(|error| in_field(error.into()))?.len() * itemsize);
            let stream = Stream::new(config.seed, &name);
            Ok(Compiled { name, source, program, stream, pool })
        };
        let fields = fields.into_iter().map(compile).collect::<Result<Arc<[_]>>>()?;
        Ok(Loader { fields, config, items })
    }

    /// The number of batches in an epoch.
    pub fn len(&self) -> usize {
        self.config.batches(self.items)
    }

    /// Whether an epoch has no batch: fewer items than a batch, and the last one dropped.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each field's name and the dtype that its transforms end in.
    pub fn dtypes(&self) -> impl Iterator<Item = (&str, &DType)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.program.dtype()))
    }

    /// How it batches.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Starts an epoch. Each has its own order, where shuffled, and its own random draws; several may run at once.
    ///
    /// # Errors
    ///
    /// [`Error::Spawn`] where the system gives no thread.
    pub fn epoch(&self, epoch: u32) -> Result<Epoch> {
        Epoch::start(Arc::clone(&self.fields), &self.config, self.items, epoch)
    }

    /// The memory of batches, those being made, waiting, kept and free together.
    pub fn pool_use(&self) -> PoolUse {
        self.fields.iter().map(|field| field.pool.usage()).fold(PoolUse::default(), |sum, field| PoolUse {
            slabs: sum.slabs + field.slabs,
            leased: sum.leased + field.leased,
            bytes: sum.bytes + field.bytes,
        })
    }
}
