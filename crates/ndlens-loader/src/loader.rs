//! The face: fields, settings, epochs.

use std::fmt;
use std::sync::Arc;

use ndlens_core::DType;
use ndlens_core::room::{self, with_room_for};
use ndlens_kernels::{Stores, Take};
use ndlens_transforms::mixing::{Image, Mixing};
use ndlens_transforms::{
    Channels, Convention, Deferred, ItemShape, Pair, Pipeline, Scratch, Stream, Transform,
};

use crate::batch::Batch;
use crate::epoch::feed::{Feed, Sampling};
use crate::epoch::{Course, Epoch, Items};
use crate::error::{Error, Result};
use crate::memory::external::Memory;
use crate::memory::pool::{Pool, PoolUse};
use crate::memory::store_policy::Storing;
use crate::mix::Mixer;
use crate::order::ItemOrder;
use crate::order::item_numbers::ItemNumbers;
use crate::order::laps::Laps;
use crate::order::permutation::Permutation;
use crate::order::shard::Shard;
use crate::order::shuffler::Shuffler;
use crate::order::torch::randperm;
use crate::order::weighted::Weights;
use crate::resume::note::Note;
use crate::resume::position::{Point, Position, Tracker};
use crate::resume::state::{Basis, State};
use crate::source::Source;
use crate::source::selection::Selection;

/// Items that are looked up and copied at a time: their numbers stay in the first-level cache.
const MAX_TAKEN_ITEMS: usize = 512;

/// One column of the data set: a source, its name for errors, and what becomes of its items.
pub struct Field {
    name: String,
    /// The name its draws are made of.
    draws_as: String,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) transforms: Vec<Transform>,
    /// Where the channels of its items are, where that is known.
    pub(crate) channels: Option<Channels>,
}

impl Field {
    /// A field whose items are copied as they are.
    pub fn new(name: impl Into<String>, source: Arc<dyn Source>) -> Self {
        let name = name.into();
        Field { draws_as: name.clone(), name, source, transforms: vec![], channels: None }
    }

    /// The same field, with the draws of another: where both have a [`Transform`] of a kind, it
    /// draws the same numbers for both, so that an image and its mask are cropped and flipped
    /// alike.
    #[must_use]
    pub fn drawing_as(self, name: impl Into<String>) -> Self {
        Field { draws_as: name.into(), ..self }
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its items come from.
    pub(crate) fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// What becomes of them.
    pub(crate) fn transforms(&self) -> &[Transform] {
        &self.transforms
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

/// Who computes values that get larger by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Values {
    /// The loader.
    #[default]
    Computed,
    /// Whoever gets the batches, where the values are the last that is done to an item.
    Deferred,
}

/// How to batch; the names and defaults are those of `torch.utils.data.DataLoader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Items in a batch.
    pub batch_size: usize,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// Whose orders these are.
    pub shuffler: Shuffler,
    /// What all randomness is made of.
    pub seed: u64,
    /// Whether a last batch of fewer items is left out.
    pub drop_last: bool,
    /// Threads that make batches, helped by the caller while it waits; with 0 the caller makes them
    /// alone.
    pub num_workers: usize,
    /// Batches begun and not yet taken, at most. (torch counts these for each worker.)
    pub prefetch_factor: usize,
    /// Whether batches say what was drawn for their items.
    pub return_params: bool,
    /// Which of several loaders over the same data this is, unless an epoch is told otherwise.
    pub shard: Shard,
    /// Whether batches are written through the cache.
    pub storing: Storing,
    /// Where batch memory comes from.
    pub memory: Memory,
    /// Who computes values that get larger by it: [`Loader::deferred`] says what was left to be
    /// done.
    pub values: Values,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 1,
            shuffle: false,
            shuffler: Shuffler::default(),
            seed: 0,
            drop_last: false,
            num_workers: 0,
            prefetch_factor: 2,
            return_params: false,
            shard: Shard::default(),
            storing: Storing::default(),
            memory: Memory::default(),
            values: Values::default(),
        }
    }
}

impl Config {
    /// The number of batches in `items` items of a rank.
    pub(crate) fn batches(&self, items: usize) -> usize {
        if self.drop_last { items / self.batch_size } else { items.div_ceil(self.batch_size) }
    }
}

/// A field with its program and its memory.
pub(crate) struct Compiled {
    pub(crate) name: String,
    draws_as: String,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) program: Pipeline,
    /// Where the channels of the items that it takes were before they were turned, where that is
    /// known.
    pub(crate) channels: Option<Channels>,
    /// The field with which it draws together, where an item may be of another size in it.
    joint: Option<Arc<Leader>>,
    /// What the program leaves to others, and the program that leaves nothing.
    deferred: Option<(Deferred, Pipeline)>,
    /// The items, where they are packed rows of a view that nothing is done to: many are copied at
    /// once.
    pub(crate) take: Option<Take>,
    /// Of the loader's seed.
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

/// The first of fields that draw together.
struct Leader {
    name: String,
    source: Arc<dyn Source>,
    program: Pipeline,
}

/// What the random draws for an item are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draws {
    pub(crate) stream: Stream,
    pub(crate) epoch: u32,
    /// Its number, or what stands for it.
    pub(crate) item: u64,
}

impl Compiled {
    /// Makes one item in its place. `complete` says that the source was just found to have all its
    /// bytes.
    pub(crate) fn make(
        &self,
        item: usize,
        complete: bool,
        draws: Draws,
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let source = self.source.item(item)?;
        if !complete {
            source.verify()?;
        }
        let Draws { stream, epoch, item: draws_as } = draws;
        let (buffer, drawn) =
            (source.buffer(), self.program.draw(stream, epoch, draws_as, source.shape())?);
        if let Some(leader) = &self.joint {
            let first = leader.source.item(item)?;
            let first_drawn = leader.program.draw(stream, epoch, draws_as, first.shape())?;
            let names = Pair { first: &leader.name, field: &self.name };
            let (own, first) = ((source.shape(), &drawn[..]), (first.shape(), &first_drawn[..]));
            self.program.check_sizes(own, &leader.program, first, names)?;
        }
        self.program.run(source, &drawn, destination, stores, scratch)?;
        if buffer.is_damaged() {
            self.source.item(item)?.verify()?;
        }
        Ok(())
    }

    /// The same field, with all values computed and memory for batches of so many items.
    fn computed(&self, items: usize) -> Result<Self> {
        let mut field = self.with_room_for(items)?;
        if let Some((_, whole)) = field.deferred.take() {
            field.program = whole;
            field = field.with_room_for(items)?;
        }
        Ok(field)
    }

    /// The same field, with memory for batches of so many items.
    fn with_room_for(&self, items: usize) -> Result<Self> {
        let pool = pool_for(&self.program, items).map_err(|source| Error::Field {
            field: self.name.clone(),
            source: Box::new(source),
        })?;
        Ok(Compiled {
            name: self.name.clone(),
            draws_as: self.draws_as.clone(),
            source: Arc::clone(&self.source),
            program: self.program.clone(),
            channels: self.channels,
            joint: self.joint.clone(),
            deferred: self.deferred.clone(),
            take: self.take.clone(),
            stream: self.stream,
            pool,
        })
    }

    /// How an image lies in what is made of an item; None where that is no image.
    pub(crate) fn image(&self) -> Option<Image> {
        self.program.image(self.channels)
    }

    /// Whether what is made of an item has three axes, and nothing says which of them are height
    /// and width.
    pub(crate) fn channels_unclear(&self) -> bool {
        let known = self.channels.is_some() || self.program.turns_channels();
        let likely = |shape| Channels::likely(shape, Convention::Ndlens);
        let has_pixels = !self.program.shape().contains(&0);
        !known
            && has_pixels
            && self.program.shape().len() == 3
            && self.source.item_shape().and_then(likely).is_none()
    }

    /// The stream of its draws for a seed of the caller's.
    pub(crate) fn stream_of(&self, seed: u64) -> Stream {
        Stream::new(seed, &self.draws_as)
    }

    /// Of items that were just made, the place of the first whose bytes are not all there, and its
    /// error. `complete` says that the source had them all before.
    ///
    /// A file that ends inside a page reads as zeros from there to the page's end, and no signal
    /// tells; so this is asked after.
    pub(crate) fn first_lost(&self, complete: bool, items: &[usize]) -> Option<(usize, Error)> {
        if complete && self.source.is_complete() {
            return None;
        }
        let error = |item| self.source.item(item).and_then(|source| source.verify()).err();
        items
            .iter()
            .copied()
            .enumerate()
            .find_map(|(place, item)| Some((place, self.fail(item, error(item)?.into()))))
    }

    /// Copies many items to `destination`, where [`take`](Self::take) says that they can be.
    pub(crate) fn take_items(
        &self,
        take: &Take,
        items: &[usize],
        destination: &mut [u8],
        stores: Stores,
    ) -> Result<()> {
        let nbytes = take.row_bytes();
        let mut rows = [0; MAX_TAKEN_ITEMS];
        for (place, some) in items.chunks(MAX_TAKEN_ITEMS).enumerate() {
            let rows = &mut rows[..some.len()];
            rows.copy_from_slice(some);
            self.source.to_rows(rows);
            let start = place * MAX_TAKEN_ITEMS * nbytes;
            take.rows(rows, &mut destination[start..start + some.len() * nbytes], stores)?;
        }
        Ok(())
    }

    /// The error of an item, in its place.
    pub(crate) fn fail(&self, item: usize, source: Error) -> Error {
        Error::Item { field: self.name.clone(), item, source: Box::new(source) }
    }
}

/// Memory for batches of so many items.
fn pool_for(program: &Pipeline, items: usize) -> Result<Pool> {
    Ok(Pool::new(program.batch_layout(items)?.len() * program.dtype().itemsize()))
}

/// Fields of one length, with their programs, and that length.
pub(crate) fn compile(
    fields: Vec<Field>,
    seed: u64,
    batch_size: usize,
    values: Values,
) -> Result<(Arc<Vec<Compiled>>, usize)> {
    let first = fields.first().ok_or(Error::NoFields)?;
    let (first_name, items) = (first.name.clone(), first.source.len());
    let compile = |field: Field| {
        let Field { name, draws_as, source, transforms, channels } = field;
        let Some(shape) = source.item_shape() else { return Err(Error::NoItems { field: name }) };
        if source.len() != items {
            let (first, first_len, len) = (first_name.clone(), items, source.len());
            return Err(Error::UnequalLengths { first, first_len, field: name, len });
        }
        if items == 0 {
            return Err(Error::EmptyDataset { field: name });
        }
        let in_field =
            |source: Error| Error::Field { field: name.clone(), source: Box::new(source) };
        let program = Pipeline::compile(&transforms, shape, source.dtype())
            .map_err(|error| in_field(error.into()))?;
        let deferred = match values {
            Values::Deferred => program.defer_values().map_err(|error| in_field(error.into()))?,
            Values::Computed => None,
        };
        let (program, deferred) = match deferred {
            Some((sent, deferred)) => (sent, Some((deferred, program))),
            None => (program, None),
        };
        let pool = pool_for(&program, batch_size.min(items)).map_err(in_field)?;
        let take = source.rows().filter(|_| transforms.is_empty()).and_then(Take::new);
        let stream = Stream::new(seed, &draws_as);
        let joint = None;
        Ok(Compiled {
            name,
            draws_as,
            source,
            program,
            channels,
            joint,
            deferred,
            take,
            stream,
            pool,
        })
    };
    let mut fields = room::try_list_of(fields.into_iter().map(compile))?;
    join(&mut fields)?;
    Ok((Arc::new(fields), items))
}

/// Checks that fields that draw together draw the same.
fn join(fields: &mut [Compiled]) -> Result<()> {
    for place in 1..fields.len() {
        let (before, rest) = fields.split_at_mut(place);
        let field = &mut rest[0];
        let Some(first) = before.iter().find(|first| first.draws_as == field.draws_as) else {
            continue;
        };
        field
            .program
            .check_joint(&first.program, Pair { first: &first.name, field: &field.name })?;
        if field.program.sizes_may_part(&first.program) {
            let (name, source) = (first.name.clone(), Arc::clone(&first.source));
            field.joint = Some(Arc::new(Leader { name, source, program: first.program.clone() }));
        }
    }
    Ok(())
}

/// Fields and what mixes them, with memory for batches.
type Equipment = (Arc<Vec<Compiled>>, Option<Arc<Mixer>>);

/// A part of the data set.
#[derive(Debug, Clone)]
struct Chosen {
    items: Arc<Selection>,
    /// What tells it from others.
    fingerprint: u64,
}

/// What a sampler gives for an epoch.
#[derive(Debug)]
pub enum Sampled {
    /// These numbers.
    Numbers(ItemNumbers),
    /// What is read while the epoch runs: see [`Epoch::to_read`].
    Read(Sampling),
}

/// Streams batches out of its fields, epoch by epoch.
#[derive(Debug)]
pub struct Loader {
    fields: Arc<Vec<Compiled>>,
    config: Config,
    items: usize,
    subset: Option<Chosen>,
    weights: Option<Weights>,
    samples: Option<usize>,
    is_sampled: bool,
    mixer: Option<Arc<Mixer>>,
    position: Arc<Position>,
    /// Whether its epochs only say which items come, as places in the part of the data set where
    /// there is one.
    plans: bool,
}

impl Loader {
    /// Compiles the fields' transforms and checks everything that can be checked before the first
    /// batch.
    ///
    /// # Errors
    ///
    /// [`Error::NoFields`], [`Error::NoItems`], [`Error::EmptyDataset`], [`Error::UnequalLengths`],
    /// [`Error::ZeroSetting`], [`Error::NoSuchRank`], and [`Error::Field`] with what is wrong with
    /// a field's transforms.
    pub fn new(fields: Vec<Field>, config: Config) -> Result<Self> {
        for (name, value) in
            [("batch_size", config.batch_size), ("prefetch_factor", config.prefetch_factor)]
        {
            if value == 0 {
                return Err(Error::ZeroSetting { name });
            }
        }
        config.shard.check()?;
        let (fields, items) = compile(fields, config.seed, config.batch_size, config.values)?;
        Ok(Loader {
            fields,
            config,
            items,
            subset: None,
            weights: None,
            samples: None,
            is_sampled: false,
            mixer: None,
            position: Arc::default(),
            plans: false,
        })
    }

    /// The same loader over a part of its items: those with these numbers, in this order where
    /// nothing else says one. Orders, weights and samplers are then of places in that list; draws
    /// and errors are of the items themselves.
    ///
    /// # Errors
    ///
    /// [`Error::NoIndices`]; [`Error::NoSuchIndex`] where it was selected of more items. Weights
    /// come after the part that they are for.
    pub fn with_indices(self, indices: Selection) -> Result<Self> {
        if indices.is_empty() {
            return Err(Error::NoIndices);
        }
        if let Some((place, got)) = indices.iter().enumerate().find(|&(_, item)| item >= self.items)
        {
            return Err(Error::NoSuchIndex { got: got as i128, place, items: self.items });
        }
        let (fields, mixer) = self.room_for(indices.len())?;
        let subset = Chosen { fingerprint: indices.fingerprint(), items: Arc::new(indices) };
        Ok(Loader { subset: Some(subset), fields, mixer, ..self })
    }

    /// The same loader with epochs of so many items, for all ranks together: the first of an order,
    /// or all and more, each further lap in an order of its own.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroSetting`].
    pub fn with_samples(self, samples: usize) -> Result<Self> {
        if samples == 0 {
            return Err(Error::ZeroSetting { name: "num_samples" });
        }
        let (fields, mixer) = self.room_for(samples)?;
        Ok(Loader { samples: Some(samples), fields, mixer, ..self })
    }

    /// The same loader with the items that a sampler gives, which
    /// [`start_epoch_of`](Self::start_epoch_of) is told of.
    ///
    /// # Errors
    ///
    /// [`Error::TwoOrders`] where something else says the order.
    pub fn with_sampler(self) -> Result<Self> {
        let others = [
            (self.config.shuffle, "shuffle"),
            (self.weights.is_some(), "weights"),
            (self.samples.is_some(), "num_samples"),
        ];
        if let Some(&(_, second)) = others.iter().find(|(given, _)| *given) {
            return Err(Error::TwoOrders { first: "sampler", second });
        }
        Ok(Loader { is_sampled: true, ..self })
    }

    /// The number of items an epoch chooses from: of the data set, or of a part of it.
    pub fn items_to_choose_from(&self) -> usize {
        self.subset.as_ref().map_or(self.items, |subset| subset.items.len())
    }

    /// The same loader with items drawn by weights, for all ranks together.
    ///
    /// # Errors
    ///
    /// [`Error::WeightsLength`], [`Error::TwoOrders`] where items are to be shuffled too.
    pub fn with_weights(self, weights: Weights) -> Result<Self> {
        if self.config.shuffle {
            return Err(Error::TwoOrders { first: "shuffle", second: "weights" });
        }
        let expected = self.items_to_choose_from();
        if weights.items() != expected {
            return Err(Error::WeightsLength { got: weights.items(), expected });
        }
        let (fields, mixer) = self.room_for(weights.samples())?;
        Ok(Loader { weights: Some(weights), fields, mixer, ..self })
    }

    /// The same loader with each batch mixed once its items are made: images with their neighbours,
    /// labels alike. Labels that are integers of shape (items,) come as `f32` probabilities of
    /// shape (items, classes); one that is no class is an error of its item.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use ndlens_core::View;
    /// use ndlens_loader::{Config, Field, Loader};
    /// use ndlens_transforms::{Mix, Mixing};
    ///
    /// let rows = View::from_vec((0..12).map(|i| i as f32).collect()).reshape(&[4, 3])?;
    /// let labels = View::from_vec(vec![0i64, 1, 2, 1]);
    /// let fields = vec![Field::new("rows", Arc::new(rows)), Field::new("label", Arc::new(labels))];
    /// let config = Config { batch_size: 4, return_params: true, ..Config::default() };
    /// let mixing = Mixing::new(Mix::MixUp { num_classes: Some(3), alpha: 0.4 });
    /// let loader = Loader::new(fields, config)?.with_mixing(&mixing)?;
    ///
    /// let batch = loader.epoch(0)?.next().unwrap()?;
    /// let labels = batch.views()[1].to_vec::<f32>()?;
    /// assert_eq!(batch.views()[1].shape(), [4, 3]);
    /// assert!(labels.chunks(3).all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-6));
    /// assert!(batch.mixed().unwrap().starts_with(r#"{"MixUp":{"lam":0."#));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Values are then computed before batches are mixed, also where they were
    /// [`Values::Deferred`].
    ///
    /// # Errors
    ///
    /// [`Error::MixAlpha`], [`Error::NoClasses`], [`Error::NoMix`], [`Error::ClassesDiffer`],
    /// [`Error::ChoiceWeights`] for settings that cannot be; [`Error::NoSuchField`],
    /// [`Error::UnclearMix`], [`Error::MixedTwice`], [`Error::MixedSizes`] for fields;
    /// [`Error::Field`] with [`Error::NotFloat`], [`Error::ItemShape`], [`Error::NoLabels`],
    /// [`Error::NumClassesNeeded`] or [`Error::OtherClasses`] where a field cannot be mixed.
    pub fn with_mixing(self, mixing: &Mixing) -> Result<Self> {
        let most = self.config.batch_size.min(self.places());
        let fields = room::try_list_of(self.fields.iter().map(|field| field.computed(most)))?;
        let mixer = Mixer::new(mixing, &fields, self.config.seed, most)?;
        Ok(Loader { mixer: Some(Arc::new(mixer)), fields: Arc::new(fields), ..self })
    }

    /// The number of batches in an epoch, for the rank that the settings say.
    pub fn len(&self) -> usize {
        self.batches_of(self.config.shard, self.places())
    }

    /// The number of places in an epoch's order, for all ranks together: of items, or of draws by
    /// weights. A sampler has its own.
    pub fn places(&self) -> usize {
        let samples = self.weights.as_ref().map(Weights::samples).or(self.samples);
        samples.unwrap_or_else(|| self.items_to_choose_from())
    }

    /// The number of batches, for this rank, in an epoch of so many places.
    pub fn batches_of(&self, shard: Shard, places: usize) -> usize {
        self.config.batches(shard.share(places))
    }

    /// The number of items, for all ranks together.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Whether an epoch has no batch: fewer items than a batch, and the last one dropped.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each field's name and the dtype of its batches.
    pub fn dtypes(&self) -> impl Iterator<Item = (&str, &DType)> {
        self.fields.iter().enumerate().map(|(place, field)| {
            let own = field.program.dtype();
            (
                field.name.as_str(),
                self.mixer.as_ref().map_or(own, |mixer| mixer.dtype(place, field)),
            )
        })
    }

    /// For each field, what is left to be done to its batches: nothing but where [`Config::values`]
    /// says so.
    pub fn deferred(&self) -> impl Iterator<Item = Option<&Deferred>> {
        self.fields.iter().map(|field| Some(&field.deferred.as_ref()?.0))
    }

    /// How it batches.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Starts an epoch. Each has its own order, where shuffled, and its own random draws; several
    /// may run at once.
    ///
    /// # Errors
    ///
    /// [`Error::Spawn`] where the system gives no thread; [`Error::Core`] where it gives no memory
    /// for an order that is a list.
    pub fn epoch(&self, epoch: u32) -> Result<Epoch> {
        self.start(epoch, self.config.shard, 0, None)
    }

    /// Starts the epoch after the one started last, or what is left of the one that a [`State`]
    /// says. Its batches count for [`state`](Self::state) as they are handed out.
    ///
    /// # Errors
    ///
    /// As [`epoch`](Self::epoch).
    pub fn start_epoch(&self) -> Result<Epoch> {
        self.start_epoch_as(self.config.shard)
    }

    /// As [`start_epoch`](Self::start_epoch), for a rank that is known only now.
    ///
    /// # Errors
    ///
    /// As [`start_epoch`](Self::start_epoch); what [`Shard::check`] says.
    pub fn start_epoch_as(&self, shard: Shard) -> Result<Epoch> {
        shard.check()?;
        let (epoch, start, tracker) = self.position.begin(None);
        self.start(epoch, shard, start, Some(tracker))
    }

    /// As [`start_epoch_as`](Self::start_epoch_as), for what a sampler gives: ranks deal its items
    /// out among themselves.
    ///
    /// # Errors
    ///
    /// As [`start_epoch_as`](Self::start_epoch_as); [`Error::StateBeyondEnd`] where a state said
    /// that more is done than there is.
    pub fn start_epoch_of(&self, sampled: Sampled, shard: Shard) -> Result<Epoch> {
        shard.check()?;
        let (places, note) = match &sampled {
            Sampled::Numbers(numbers) => (Some(numbers.len()), None),
            Sampled::Read(sampling) => (sampling.expected, sampling.note.clone()),
        };
        let next = self.position.next();
        if let Some(items) = places.filter(|&places| next.place > places) {
            return Err(Error::StateBeyondEnd { start: next.place, items });
        }
        let (epoch, start, tracker) = self.position.begin(note);
        let subset =
            self.subset.as_ref().filter(|_| !self.plans).map(|subset| Arc::clone(&subset.items));
        let (order, most) = match sampled {
            Sampled::Numbers(numbers) => {
                let places = numbers.len();
                (
                    Items::Order(
                        self.within(ItemOrder::Numbered(numbers, self.items_to_choose_from())),
                    ),
                    places,
                )
            }
            Sampled::Read(sampling) => {
                let items = if self.plans { self.items_to_choose_from() } else { self.items };
                let feed = Feed::new(&self.config, shard, start, items, subset, &sampling)?;
                let most = feed.batch_size();
                (Items::Feed(feed), most)
            }
        };
        let (fields, mixer) = self.room_for(most)?;
        let course = Course { epoch, order, shard, start, tracker: Some(tracker), mixer };
        Epoch::start(fields, &self.config, course)
    }

    /// A loader that begins the epochs of this one in its stead, and passes their batches over
    /// instead of making them: for [`Epoch::pass_over`], which then gives places in the part of the
    /// data set where this loader is of one.
    #[must_use]
    pub fn planner(&self) -> Self {
        Loader {
            fields: Arc::clone(&self.fields),
            config: Config { num_workers: 0, memory: Memory::Pooled, ..self.config },
            items: self.items,
            subset: self.subset.clone(),
            weights: self.weights.clone(),
            samples: self.samples,
            is_sampled: self.is_sampled,
            mixer: self.mixer.clone(),
            position: Arc::clone(&self.position),
            plans: true,
        }
    }

    /// An epoch of a rank from a place of its order on, which counts for no state and has no
    /// workers: for [`Epoch::batch_at`].
    ///
    /// # Errors
    ///
    /// As [`epoch`](Self::epoch); what [`Shard::check`] says; [`Error::StateBeyondEnd`].
    pub fn epoch_from(&self, epoch: u32, shard: Shard, start: usize) -> Result<Epoch> {
        shard.check()?;
        let order = self.order(epoch)?;
        if start > order.len() {
            return Err(Error::StateBeyondEnd { start, items: order.len() });
        }
        let config = Config { num_workers: 0, memory: Memory::Pooled, ..self.config };
        let (order, mixer) = (Items::Order(order), self.mixer.clone());
        let course = Course { epoch, order, shard, start, tracker: None, mixer };
        Epoch::start(Arc::clone(&self.fields), &config, course)
    }

    /// One batch of these items, as places in the part of the data set where the loader is of one,
    /// with the draws of an epoch; it is not mixed, and counts for no state.
    ///
    /// # Errors
    ///
    /// As [`epoch`](Self::epoch); [`Error::NoSuchItem`].
    pub fn batch_of(&self, epoch: u32, places: ItemNumbers) -> Result<Option<Batch>> {
        let count = places.len();
        let config = Config {
            num_workers: 0,
            memory: Memory::Pooled,
            batch_size: count.max(1),
            drop_last: false,
            ..self.config
        };
        let order = self.within(ItemOrder::Numbered(places, self.items_to_choose_from()));
        let course = Course {
            epoch,
            order: Items::Order(order),
            shard: Shard::default(),
            start: 0,
            tracker: None,
            mixer: None,
        };
        let fields = if count <= self.config.batch_size.min(self.items) {
            Arc::clone(&self.fields)
        } else {
            Arc::new(room::try_list_of(self.fields.iter().map(|field| field.with_room_for(count)))?)
        };
        Epoch::start(fields, &config, course)?.next().transpose()
    }

    /// An order of places in a part of the data set as one of items.
    fn within(&self, order: ItemOrder) -> ItemOrder {
        match &self.subset {
            _ if self.plans => order,
            Some(subset) => ItemOrder::Within(Box::new(order), Arc::clone(&subset.items)),
            None => order,
        }
    }

    /// What batches of an order of so many places need: a batch may have more than there are items.
    fn room_for(&self, places: usize) -> Result<Equipment> {
        let most = self.config.batch_size.min(places);
        if most <= self.items {
            return Ok((Arc::clone(&self.fields), self.mixer.clone()));
        }
        let fields = room::try_list_of(self.fields.iter().map(|field| field.with_room_for(most)))?;
        let mixer =
            self.mixer.as_ref().map(|mixer| mixer.with_room_for(most).map(Arc::new)).transpose()?;
        Ok((Arc::new(fields), mixer))
    }

    fn start(
        &self,
        epoch: u32,
        shard: Shard,
        start: usize,
        tracker: Option<Tracker>,
    ) -> Result<Epoch> {
        let (order, mixer) = (Items::Order(self.order(epoch)?), self.mixer.clone());
        let course = Course { epoch, order, shard, start, tracker, mixer };
        Epoch::start(Arc::clone(&self.fields), &self.config, course)
    }

    /// The order of all items in an epoch, the same for all ranks.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] where there is no memory for one that is a list.
    pub fn order(&self, epoch: u32) -> Result<ItemOrder> {
        let (seed, items) = (self.config.seed, self.items_to_choose_from());
        if let Some(weights) = &self.weights {
            return Ok(self.within(ItemOrder::weighted(weights, seed, epoch)?));
        }
        let order = match (self.config.shuffler, self.samples) {
            (_, None) if !self.config.shuffle => ItemOrder::InTurn(items),
            (_, Some(samples)) if !self.config.shuffle => {
                ItemOrder::Laps(Laps::in_turn(items, samples))
            }
            (Shuffler::Ndlens, None) => {
                ItemOrder::Shuffled(Permutation::new(seed, epoch, items as u64))
            }
            (Shuffler::Ndlens, Some(samples)) => {
                ItemOrder::Laps(Laps::shuffled(seed, epoch, items, samples))
            }
            (Shuffler::Torch, samples) => {
                ItemOrder::Listed(Arc::new(randperm(seed, epoch, items, samples.unwrap_or(items))?))
            }
        };
        Ok(self.within(order))
    }

    /// The items that a rank takes in an epoch, in their order.
    ///
    /// # Errors
    ///
    /// As [`order`](Self::order).
    pub fn items_of(&self, shard: Shard, epoch: u32) -> Result<Vec<usize>> {
        shard.check()?;
        let order = self.order(epoch)?;
        let mut items = with_room_for(shard.share(order.len()))?;
        items.extend((0..shard.share(order.len())).map(|k| shard.place(0, k, order.len())));
        order.replace(&mut items);
        Ok(items)
    }

    /// The epoch that [`start_epoch`](Self::start_epoch) starts.
    pub fn next_epoch(&self) -> u32 {
        self.position.next().epoch
    }

    /// The number of batches, for this rank, in the epoch that [`start_epoch`](Self::start_epoch)
    /// starts, where its order has so many places: fewer than [`batches_of`](Self::batches_of)
    /// where it goes on from a state.
    pub fn next_batches_of(&self, shard: Shard, places: usize) -> usize {
        self.batches_of(shard, places.saturating_sub(self.position.next().place))
    }

    /// Makes `epoch` the one that [`start_epoch`](Self::start_epoch) starts; from its start on,
    /// unless it is the one that a state says.
    pub fn set_epoch(&self, epoch: u32) {
        self.position.set_next_epoch(epoch);
    }

    /// The epoch that is started next, its first place, and what a state keeps there.
    pub fn next_start(&self) -> (u32, usize, Option<Note>) {
        let Point { epoch, place, note } = self.position.next();
        (epoch, place, note)
    }

    /// Where the epoch started last stands, counting the batches that were handed out.
    pub fn state(&self) -> State {
        let Point { epoch, place: start, note } = self.position.get();
        State { epoch, start, note, basis: self.basis() }
    }

    /// Makes [`start_epoch`](Self::start_epoch) go on from a state, which any rank wrote, of as
    /// many ranks as there were.
    ///
    /// # Errors
    ///
    /// What [`State::check`] says.
    pub fn load_state(&self, state: &State) -> Result<()> {
        self.check_state(state)?;
        self.position.set(Point {
            epoch: state.epoch,
            place: state.start,
            note: state.note.clone(),
        });
        Ok(())
    }

    /// Whether [`load_state`](Self::load_state) takes this state.
    ///
    /// # Errors
    ///
    /// What [`State::check`] says.
    pub fn check_state(&self, state: &State) -> Result<()> {
        state.check(&self.basis(), (!self.is_sampled).then(|| self.places()))
    }

    fn order_name(&self) -> &'static str {
        match self.config.shuffler {
            _ if self.is_sampled => "sampler",
            _ if !self.config.shuffle => "in turn",
            shuffler => shuffler.name(),
        }
    }

    /// What its orders and draws are made of.
    pub fn basis(&self) -> Basis {
        let field = |field: &Compiled| {
            let shape = field.source.given_shape().unwrap_or_else(|| ItemShape::fixed(&[]));
            let selected =
                field.source.fingerprint().map(|number| format!(" selected {number:016x}"));
            format!(
                "{} {} {shape}{}",
                field.name,
                field.source.dtype(),
                selected.unwrap_or_default()
            )
        };
        Basis {
            items: self.items,
            shuffle: self.config.shuffle,
            order: match (&self.weights, self.samples) {
                (Some(weights), _) => weights.to_string(),
                (None, Some(samples)) => format!("{samples} items {}", self.order_name()),
                (None, None) => self.order_name().to_owned(),
            },
            indices: self
                .subset
                .as_ref()
                .map(|Chosen { items, fingerprint }| format!("{} {fingerprint:016x}", items.len())),
            seed: self.config.seed,
            fields: self.fields.iter().map(field).collect(),
        }
    }

    /// The memory of batches, those being made, waiting, kept and free together.
    pub fn pool_use(&self) -> PoolUse {
        let mixed = self.mixer.as_ref().map(|mixer| mixer.pool_use());
        self.fields.iter().map(|field| field.pool.usage()).chain(mixed).fold(
            PoolUse::default(),
            |sum, field| PoolUse {
                slabs: sum.slabs + field.slabs,
                leased: sum.leased + field.leased,
                bytes: sum.bytes + field.bytes,
            },
        )
    }
}
