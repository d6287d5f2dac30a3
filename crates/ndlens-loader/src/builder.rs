//! The builder of a loader: it collects all parts, checks them together, and sizes the memory of
//! batches once.

use std::sync::Arc;

use ndlens_transforms::mixing::{Mixer, Mixing};

use crate::compiled::{CompiledField, compile};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::field::Field;
use crate::loader::{Chosen, Loader};
use crate::memory::batch_pools::BatchPools;
use crate::order::weighted::Weights;
use crate::source::selection::Selection;

impl Loader {
    /// A loader of these fields in their own order, or shuffled:
    /// [`builder`](Self::builder) and [`build`](LoaderBuilder::build).
    ///
    /// # Errors
    ///
    /// As [`builder`](Self::builder).
    pub fn new(fields: Vec<Field>, config: Config) -> Result<Self> {
        Loader::builder(fields, config)?.build()
    }

    /// A builder of a loader of these fields. It compiles their transforms, and checks them and the
    /// settings.
    ///
    /// # Errors
    ///
    /// [`Error::NoFields`], [`Error::NoItems`], [`Error::EmptyDataset`], [`Error::UnequalLengths`],
    /// [`Error::ZeroSetting`], [`Error::NoSuchRank`], and [`Error::Field`] for transforms that do
    /// not fit a field.
    pub fn builder(fields: Vec<Field>, config: Config) -> Result<LoaderBuilder> {
        for (name, value) in
            [("batch_size", config.batch_size), ("prefetch_factor", config.prefetch_factor)]
        {
            if value == 0 {
                return Err(Error::ZeroSetting { name });
            }
        }
        config.shard.check()?;
        let (fields, items) = compile(fields, config.seed, config.values)?;
        Ok(LoaderBuilder {
            fields,
            config,
            items,
            indices: None,
            samples: None,
            weights: None,
            is_sampled: false,
            mixing: None,
        })
    }
}

/// The parts of a [`Loader`] beside its fields and settings. [`build`](Self::build) checks that
/// they fit each other, and sizes the memory of batches once.
#[derive(Debug)]
pub struct LoaderBuilder {
    fields: Vec<CompiledField>,
    config: Config,
    items: usize,
    indices: Option<Selection>,
    samples: Option<usize>,
    weights: Option<Weights>,
    is_sampled: bool,
    mixing: Option<Mixing>,
}

impl LoaderBuilder {
    /// The number of items of the data set.
    pub fn items(&self) -> usize {
        self.items
    }

    /// A part of the data set: the items with these numbers, in this order unless another setting
    /// gives one. Orders, weights and samplers then give places in that list; random draws and
    /// errors use the item numbers themselves.
    #[must_use]
    pub fn indices(self, indices: Selection) -> Self {
        LoaderBuilder { indices: Some(indices), ..self }
    }

    /// Epochs of `samples` items, for all ranks together. Fewer than the data set has are the first
    /// items of an order; more are several laps, each in an order of its own.
    #[must_use]
    pub fn samples(self, samples: usize) -> Self {
        LoaderBuilder { samples: Some(samples), ..self }
    }

    /// Items drawn by weights, for all ranks together.
    #[must_use]
    pub fn weights(self, weights: Weights) -> Self {
        LoaderBuilder { weights: Some(weights), ..self }
    }

    /// Items from a sampler, passed to [`Loader::start_epoch_of`].
    #[must_use]
    pub fn sampler(self) -> Self {
        LoaderBuilder { is_sampled: true, ..self }
    }

    /// Batches that are mixed once their items are made: images with their neighbours, and labels
    /// in the same proportion. Labels that are integers of shape (items,) come as `f32`
    /// probabilities of shape (items, classes); a label that is not a class is an error of its
    /// item. Values are computed before batches are mixed, also with [`Values::Deferred`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ndlens_core::View;
    /// use ndlens_loader::{Config, Field, Loader};
    /// use ndlens_transforms::{Mix, Mixing};
    ///
    /// let rows = View::from_vec((0..12).map(|i| i as f32).collect()).reshape(&[4, 3])?;
    /// let labels = View::from_vec(vec![0i64, 1, 2, 1]);
    /// let rows = Field::new("rows", Arc::new(rows));
    /// let fields = vec![rows, Field::new("label", Arc::new(labels))];
    /// let config = Config { batch_size: 4, return_params: true, ..Config::default() };
    /// let mixing = Mixing::new(Mix::MixUp { num_classes: Some(3), alpha: 0.4 });
    /// let loader = Loader::builder(fields, config)?.mixing(mixing).build()?;
    ///
    /// let batch = loader.epoch(0)?.next().unwrap()?;
    /// let labels = batch.views()[1].to_vec::<f32>()?;
    /// assert_eq!(batch.views()[1].shape(), [4, 3]);
    /// assert!(labels.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
    /// assert!(batch.mixed().unwrap().to_json().starts_with(r#"{"MixUp":{"lam":0."#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// [`Values::Deferred`]: crate::Values::Deferred
    #[must_use]
    pub fn mixing(self, mixing: Mixing) -> Self {
        LoaderBuilder { mixing: Some(mixing), ..self }
    }

    /// The loader.
    ///
    /// # Errors
    ///
    /// [`Error::NoIndices`] for a part without items; [`Error::NoSuchIndex`] for a part of more
    /// items than there are; [`Error::ZeroSetting`]; [`Error::TwoOrders`] if two settings give an
    /// order; [`Error::WeightsLength`]; [`Error::Transforms`] if fields cannot be mixed;
    /// [`Error::Field`] and [`Error::Core`] for batches larger than any memory.
    pub fn build(self) -> Result<Loader> {
        let choices = self.indices.as_ref().map_or(self.items, Selection::len);
        self.check_indices()?;
        self.check_order(choices)?;
        let LoaderBuilder {
            mut fields,
            config,
            items,
            indices,
            samples,
            weights,
            is_sampled,
            mixing,
        } = self;
        let mut mixer = None;
        if let Some(mixing) = mixing {
            fields.iter_mut().for_each(CompiledField::compute_values);
            let to_mix: Vec<_> = fields.iter().map(CompiledField::to_mix).collect();
            mixer = Some(Arc::new(Mixer::new(&mixing, &to_mix, config.seed)?));
        }
        let places = weights.as_ref().map(Weights::samples).or(samples).unwrap_or(choices);
        // A sampler may give any number of items; an epoch of more than the data set has gets pools
        // of its own.
        let most = config.batch_size.min(if is_sampled { items } else { places });
        let pools = BatchPools::new(&fields, mixer.as_deref(), most)?;
        Ok(Loader {
            fields: Arc::new(fields),
            pools: Arc::new(pools),
            mixer,
            config,
            items,
            subset: indices.map(|indices| Chosen {
                fingerprint: indices.fingerprint(),
                items: Arc::new(indices),
            }),
            weights,
            samples,
            is_sampled,
            position: Arc::default(),
            skipped: Arc::default(),
            plans: false,
        })
    }

    fn check_indices(&self) -> Result<()> {
        let Some(indices) = &self.indices else { return Ok(()) };
        if indices.is_empty() {
            return Err(Error::NoIndices);
        }
        match indices.iter().enumerate().find(|&(_, item)| item >= self.items) {
            Some((place, got)) => {
                Err(Error::NoSuchIndex { got: got as i128, place, items: self.items })
            }
            None => Ok(()),
        }
    }

    /// Checks that at most one setting gives an order of `choices` items.
    fn check_order(&self, choices: usize) -> Result<()> {
        if self.samples == Some(0) {
            return Err(Error::ZeroSetting { name: "num_samples" });
        }
        let [shuffle, weights, samples] = [
            (self.config.shuffle, "shuffle"),
            (self.weights.is_some(), "weights"),
            (self.samples.is_some(), "num_samples"),
        ];
        if self.is_sampled
            && let Some((_, second)) =
                [shuffle, weights, samples].into_iter().find(|(given, _)| *given)
        {
            return Err(Error::TwoOrders { first: "sampler", second });
        }
        let Some(weights) = &self.weights else { return Ok(()) };
        if self.config.shuffle {
            return Err(Error::TwoOrders { first: "shuffle", second: "weights" });
        }
        if weights.items() != choices {
            return Err(Error::WeightsLength { got: weights.items(), expected: choices });
        }
        Ok(())
    }
}
