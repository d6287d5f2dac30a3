//! A loader: fields and settings, and the epochs of their batches.

use std::sync::Arc;

use ndlens_core::DType;
use ndlens_core::room::with_room_for;
use ndlens_transforms::mixing::Mixer;
use ndlens_transforms::{Deferred, ItemShape};

use crate::batch::Batch;
use crate::compiled::CompiledField;
use crate::config::Config;
use crate::epoch::feed::{Feed, Sampling};
use crate::epoch::mixture::{softened, summary_of};
use crate::epoch::{Course, Epoch, ItemsFrom};
use crate::error::{Error, Result};
use crate::memory::batch_pools::BatchPools;
use crate::memory::external::BatchMemory;
use crate::memory::pool::PoolUse;
use crate::order::ItemOrder;
use crate::order::item_numbers::ItemNumbers;
use crate::order::laps::Laps;
use crate::order::permutation::Permutation;
use crate::order::shard::Shard;
use crate::order::shuffler::Shuffler;
use crate::order::torch::randperm;
use crate::order::weighted::Weights;
use crate::resume::note::Note;
use crate::resume::position::{Begun, Point, Position};
use crate::resume::state::{Basis, SELECTED, State};
use crate::skipped::{LastSkipped, SkippedItems};
use crate::source::selection::Selection;
use crate::summary::FieldSummary;

/// A part of the data set.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub(crate) items: Arc<Selection>,
    /// A digest of its item numbers.
    pub(crate) fingerprint: u64,
}

/// The items of an epoch, from a sampler.
#[derive(Debug)]
pub enum Sampled {
    /// All numbers, known at once.
    Numbers(ItemNumbers),
    /// Numbers that are read while the epoch runs: see [`Epoch::to_read`].
    Read(Sampling),
}

/// Streams batches out of its fields, epoch by epoch.
#[derive(Debug)]
pub struct Loader {
    pub(crate) fields: Arc<Vec<CompiledField>>,
    pub(crate) pools: Arc<BatchPools>,
    pub(crate) mixer: Option<Arc<Mixer>>,
    pub(crate) config: Config,
    pub(crate) items: usize,
    pub(crate) subset: Option<Chosen>,
    pub(crate) weights: Option<Weights>,
    pub(crate) samples: Option<usize>,
    pub(crate) is_sampled: bool,
    pub(crate) position: Arc<Position>,
    /// The items that the epoch begun last left out.
    pub(crate) skipped: Arc<LastSkipped>,
    /// Whether its epochs only give item numbers. With a part of the data set, these are places in
    /// that part.
    pub(crate) plans: bool,
}

impl Loader {
    /// The number of items an epoch chooses from: of the data set, or of a part of it.
    pub fn items_to_choose_from(&self) -> usize {
        self.subset.as_ref().map_or(self.items, |subset| subset.items.len())
    }

    /// The number of batches in an epoch, for the rank in the settings.
    pub fn len(&self) -> usize {
        self.batches_of(self.config.shard, self.places())
    }

    /// The number of places in an epoch's order, for all ranks together: of items, or of draws by
    /// weights. A sampler has a number of its own.
    pub fn places(&self) -> usize {
        let samples = self.weights.as_ref().map(Weights::samples).or(self.samples);
        samples.unwrap_or_else(|| self.items_to_choose_from())
    }

    /// The number of batches, for this rank, in an epoch of `places` places.
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
            let is_softened = self.mixer.as_deref().and_then(softened) == Some(place);
            let dtype = if is_softened { &DType::F32 } else { field.pipeline.dtype() };
            (field.name.as_str(), dtype)
        })
    }

    /// For each field, the steps that its batches still need; None unless [`Config::values`] defers
    /// them.
    pub fn deferred(&self) -> impl Iterator<Item = Option<&Deferred>> {
        self.fields.iter().map(CompiledField::deferred)
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Starts an epoch. Each epoch has its own random draws and, if shuffled, its own order.
    /// Several may run at once.
    ///
    /// # Errors
    ///
    /// [`Error::Spawn`] if the system gives no thread; [`Error::Core`] if it gives no memory
    /// for an order that is a list.
    pub fn epoch(&self, epoch: u32) -> Result<Epoch> {
        let items = ItemsFrom::Order(self.order(epoch)?);
        Epoch::start(&self.config, self.course(epoch, items))
    }

    /// Starts the epoch after the one started last, or the rest of the one in a loaded [`State`].
    /// Its batches count for [`state`](Self::state) as they are handed out.
    ///
    /// # Errors
    ///
    /// As [`epoch`](Self::epoch).
    pub fn start_epoch(&self) -> Result<Epoch> {
        self.start_epoch_as(self.config.shard)
    }

    /// As [`start_epoch`](Self::start_epoch), for this rank instead of the one in the settings.
    ///
    /// # Errors
    ///
    /// As [`start_epoch`](Self::start_epoch); those of [`Shard::check`].
    pub fn start_epoch_as(&self, shard: Shard) -> Result<Epoch> {
        shard.check()?;
        self.start_counted(shard, None, |epoch, _| {
            let order = self.order(epoch)?;
            let places = order.len();
            Ok((ItemsFrom::Order(order), places))
        })
    }

    /// As [`start_epoch_as`](Self::start_epoch_as), with the items of a sampler, which are divided
    /// among the ranks.
    ///
    /// # Errors
    ///
    /// As [`start_epoch_as`](Self::start_epoch_as); [`Error::StateBeyondEnd`] if the loaded state
    /// is beyond the last item.
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
        self.start_counted(shard, note, |_, start| match sampled {
            Sampled::Numbers(numbers) => {
                let places = numbers.len();
                let order = ItemOrder::Numbered(numbers, self.items_to_choose_from());
                Ok((ItemsFrom::Order(self.within(order)), places))
            }
            Sampled::Read(sampling) => {
                let subset = self.subset.as_ref().filter(|_| !self.plans);
                let subset = subset.map(|subset| Arc::clone(&subset.items));
                let items = if self.plans { self.items_to_choose_from() } else { self.items };
                let feed = Feed::new(&self.config, shard, start, items, subset, &sampling)?;
                let places = feed.batch_size();
                Ok((ItemsFrom::Feed(feed), places))
            }
        })
    }

    /// A loader that begins the epochs of this one and makes none of their batches: for
    /// [`Epoch::pass_over`]. If this loader is of a part of the data set, the items are places in
    /// that part.
    #[must_use]
    pub fn planner(&self) -> Self {
        Loader {
            fields: Arc::clone(&self.fields),
            pools: Arc::clone(&self.pools),
            mixer: self.mixer.clone(),
            config: Config { num_workers: 0, memory: BatchMemory::Pooled, ..self.config },
            items: self.items,
            subset: self.subset.clone(),
            weights: self.weights.clone(),
            samples: self.samples,
            is_sampled: self.is_sampled,
            position: Arc::clone(&self.position),
            skipped: Arc::clone(&self.skipped),
            plans: true,
        }
    }

    /// An epoch of a rank from a place of its order on. It has no workers and does not change the
    /// state: for [`Epoch::batch_at`].
    ///
    /// # Errors
    ///
    /// As [`epoch`](Self::epoch); those of [`Shard::check`]; [`Error::StateBeyondEnd`].
    pub fn epoch_from(&self, epoch: u32, shard: Shard, start: usize) -> Result<Epoch> {
        shard.check()?;
        let order = self.order(epoch)?;
        if start > order.len() {
            return Err(Error::StateBeyondEnd { start, items: order.len() });
        }
        let config = Config { num_workers: 0, memory: BatchMemory::Pooled, ..self.config };
        let items = ItemsFrom::Order(order);
        let course = Course { shard, start, ..self.course(epoch, items) };
        Epoch::start(&config, course)
    }

    /// One batch of these items, with the draws of an epoch. It is not mixed and does not change
    /// the state. If the loader is of a part of the data set, `places` are places in that part.
    ///
    /// # Errors
    ///
    /// As [`epoch`](Self::epoch); [`Error::NoSuchItem`].
    pub fn batch_of(&self, epoch: u32, places: ItemNumbers) -> Result<Option<Batch>> {
        let count = places.len();
        let config = Config {
            num_workers: 0,
            memory: BatchMemory::Pooled,
            batch_size: count.max(1),
            drop_last: false,
            ..self.config
        };
        let order = self.within(ItemOrder::Numbered(places, self.items_to_choose_from()));
        let course = Course {
            pools: self.pools_for(count)?,
            mixer: None,
            shard: Shard::default(),
            ..self.course(epoch, ItemsFrom::Order(order))
        };
        Epoch::start(&config, course)?.next().transpose()
    }

    /// An order of places in a part of the data set as one of items.
    fn within(&self, order: ItemOrder) -> ItemOrder {
        match &self.subset {
            _ if self.plans => order,
            Some(subset) => ItemOrder::Within(Box::new(order), Arc::clone(&subset.items)),
            None => order,
        }
    }

    /// Pools for batches of at most `most` items; a batch may have more items than the data set.
    fn pools_for(&self, most: usize) -> Result<Arc<BatchPools>> {
        if most <= self.pools.items() {
            return Ok(Arc::clone(&self.pools));
        }
        Ok(Arc::new(BatchPools::new(&self.fields, self.mixer.as_deref(), most)?))
    }

    /// All of an epoch of this loader's rank; it does not change the state.
    fn course(&self, epoch: u32, items: ItemsFrom) -> Course {
        Course {
            fields: Arc::clone(&self.fields),
            pools: Arc::clone(&self.pools),
            mixer: self.mixer.clone(),
            epoch,
            items,
            shard: self.config.shard,
            start: 0,
            tracker: None,
            skipped: Arc::default(),
        }
    }

    /// Starts the next epoch, whose batches count for the state. `items` gives its items and the
    /// number of its places, from its number and its first place. If it cannot start, it stays the
    /// next one.
    fn start_counted(
        &self,
        shard: Shard,
        note: Option<Note>,
        items: impl FnOnce(u32, usize) -> Result<(ItemsFrom, usize)>,
    ) -> Result<Epoch> {
        let Begun { epoch, start, tracker, undo } = self.position.begin(note);
        let started = items(epoch, start).and_then(|(items, places)| {
            let pools = self.pools_for(self.config.batch_size.min(places))?;
            let tracker = Some(tracker);
            let course = Course { pools, shard, start, tracker, ..self.course(epoch, items) };
            Epoch::start(&self.config, course)
        });
        if let Ok(epoch) = &started {
            self.skipped.set(epoch.skip_record());
        }
        if started.is_err() {
            undo.undo();
        }
        started
    }

    /// The order of all items in an epoch, the same for all ranks.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for an order that is a list.
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
    /// starts, if its order has `places` places: fewer than [`batches_of`](Self::batches_of) if it
    /// goes on from a state.
    pub fn next_batches_of(&self, shard: Shard, places: usize) -> usize {
        self.batches_of(shard, places.saturating_sub(self.position.next().place))
    }

    /// Makes `epoch` the one that [`start_epoch`](Self::start_epoch) starts. It starts at its first
    /// place, unless it is the epoch of the loaded state.
    pub fn set_epoch(&self, epoch: u32) {
        self.position.set_next_epoch(epoch);
    }

    /// The epoch that is started next, its first place, and the note that a state keeps there.
    pub fn next_start(&self) -> (u32, usize, Option<Note>) {
        let Point { epoch, place, note } = self.position.next();
        (epoch, place, note)
    }

    /// The state of the epoch started last, counting the batches that were handed out.
    pub fn state(&self) -> State {
        let Point { epoch, place: start, note } = self.position.get();
        State { epoch, start, note, basis: self.basis() }
    }

    /// Makes [`start_epoch`](Self::start_epoch) go on from a state. Any rank of any number of ranks
    /// may have written it.
    ///
    /// # Errors
    ///
    /// As [`State::check`].
    pub fn load_state(&self, state: &State) -> Result<()> {
        self.check_state(state)?;
        self.position.set(Point {
            epoch: state.epoch,
            place: state.start,
            note: state.note.clone(),
        });
        Ok(())
    }

    /// Checks that [`load_state`](Self::load_state) accepts this state.
    ///
    /// # Errors
    ///
    /// As [`State::check`].
    pub fn check_state(&self, state: &State) -> Result<()> {
        let mut own = self.basis();
        // Older states of this version say the shape with the channels last.
        let spellings = own.fields.iter_mut().zip(&state.basis.fields).zip(self.fields.iter());
        for ((own, theirs), field) in spellings {
            let ordered = described(field, field.source.item_shape());
            if *theirs == ordered {
                *own = ordered;
            }
        }
        state.check(&own, (!self.is_sampled).then(|| self.places()))
    }

    fn order_name(&self) -> &'static str {
        match self.config.shuffler {
            _ if self.is_sampled => "sampler",
            _ if !self.config.shuffle => "in turn",
            shuffler => shuffler.name(),
        }
    }

    /// The basis of its orders and draws.
    pub fn basis(&self) -> Basis {
        let field = |field: &CompiledField| described(field, field.source.given_shape());
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

    /// Its fields in words and numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn summary(&self) -> Result<Vec<FieldSummary>> {
        summary_of(&self.fields, self.mixer.as_deref())
    }

    /// The items that the epoch started last left out of the batches taken so far, with
    /// [`OnError::Skip`](crate::OnError::Skip): one of [`start_epoch`](Self::start_epoch) and the
    /// like.
    pub fn skipped(&self) -> SkippedItems {
        self.skipped.items()
    }

    /// The memory of batches, those being made, waiting, kept and free together.
    pub fn pool_use(&self) -> PoolUse {
        self.pools.usage()
    }
}

/// A field in a state, with the shape of its items.
fn described(field: &CompiledField, shape: Option<ItemShape<'_>>) -> String {
    let shape = shape.unwrap_or_else(|| ItemShape::fixed(&[]));
    let selected = field.source.fingerprint().map(|number| format!("{SELECTED}{number:016x}"));
    let (name, dtype) = (&field.name, field.source.dtype());
    format!("{name} {dtype} {shape}{}", selected.unwrap_or_default())
}
