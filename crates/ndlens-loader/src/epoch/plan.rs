//! The plan of an epoch: the items of its batches, their memory, and the work of each piece.
//! `workers.rs` assigns pieces to threads.

#![expect(unsafe_code, reason = "cuts batch memory into disjoint pieces; see UNSAFE.md")]

use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ndlens_core::View;
use ndlens_core::room::{self, with_room_for};
use ndlens_kernels::Stores;
use ndlens_transforms::mixing::Mixer;
use ndlens_transforms::{DrawnItems, DrawnList, Stream};

use crate::batch::{Batch, DrawnMixing};
use crate::compiled::CompiledField;
use crate::epoch::chunks::Chunks;
use crate::epoch::feed::{Fed, Feed};
use crate::epoch::make_items::{Failure, ItemBatch, make_items};
use crate::epoch::mixture::{Mixture, softened};
use crate::epoch::row_notes::RowNotes;
use crate::error::{Error, Result};
use crate::memory::batch_pools::BatchPools;
use crate::memory::external::{BatchMemory, Supply};
use crate::memory::pool::{Pool, Slab};
use crate::memory::store_policy::StorePolicy;
use crate::order::ItemOrder;
use crate::order::item_numbers::NO_ITEM;
use crate::order::shard::Shard;
use crate::resume::note::Note;
use crate::scratch::ItemScratch;
use crate::skipped::{OnError, Skipped};

/// The plan of an epoch, shared by all threads.
#[derive(Debug)]
pub(crate) struct EpochPlan {
    pub(crate) fields: Arc<Vec<CompiledField>>,
    pub(crate) pools: Arc<BatchPools>,
    pub(crate) order: ItemOrder,
    pub(crate) shard: Shard,
    pub(crate) epoch: u32,
    /// The place of the order that the epoch starts at.
    pub(crate) start: usize,
    /// The number of items from there on that this rank takes. If items come from a [`Feed`], this,
    /// the order and the number of batches are not used.
    pub(crate) items: usize,
    /// Items in a batch, at most as many as this rank takes in all.
    pub(crate) batch_size: usize,
    /// Items in a batch by the settings, the same for all ranks.
    pub(crate) full_batch_size: usize,
    pub(crate) drop_last: bool,
    pub(crate) batches: usize,
    pub(crate) chunks: Chunks,
    pub(crate) return_params: bool,
    pub(crate) mixer: Option<Arc<Mixer>>,
    pub(crate) stores: StorePolicy,
    pub(crate) memory: BatchMemory,
    pub(crate) on_error: OnError,
    /// Which items are asked for before they are read.
    pub(crate) prefetch: Prefetch,
}

/// Number of images in files of their own that are asked for ahead. Some tens keep a disk busy
/// while the threads decode, and their bytes take little of the system's cache.
pub(crate) const FILES_AHEAD: usize = 32;

/// The items that the system is asked for before they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefetch {
    /// None.
    Nothing,
    /// Those of the next batch: mapped data that does not fit memory, so most of it is not there.
    NextBatch,
    /// [`FILES_AHEAD`] of those fields whose items are files of their own.
    Files,
}

impl Prefetch {
    /// What pays for these fields.
    pub(crate) fn of(fields: &[CompiledField]) -> Self {
        if fields.iter().any(CompiledField::is_in_files) {
            Prefetch::Files
        } else if exceeds_memory(fields) {
            Prefetch::NextBatch
        } else {
            Prefetch::Nothing
        }
    }
}

/// Whether the mapped bytes of the fields are more than the available memory, which includes the
/// system's cache of files.
fn exceeds_memory(fields: &[CompiledField]) -> bool {
    let mapped = fields.iter().map(|field| field.source.mapped_bytes() as u64).sum::<u64>();
    mapped > 0 && mapped > ndlens_store::available_bytes()
}

impl EpochPlan {
    /// The places, among this rank's items, of those of batch `batch`.
    pub(crate) fn places(&self, batch: usize) -> Range<usize> {
        let start = batch.saturating_mul(self.batch_size);
        start..start.saturating_add(self.batch_size).min(self.items)
    }

    /// The items of a batch of an order that is known.
    pub(crate) fn items_of(&self, batch: usize) -> Result<Vec<usize>> {
        let places = self.places(batch);
        let mut items = with_room_for(places.len())?;
        items.extend(places.map(|k| self.shard.place(self.start, k, self.order.len())));
        self.order.replace(&mut items);
        Ok(items)
    }

    /// Begins a batch; None if its memory was not supplied or its items were not read yet.
    pub(crate) fn begin(
        &self,
        batch: usize,
        supply: &mut Supply,
        feed: Option<&mut Feed>,
    ) -> Result<Option<Making>> {
        if feed.as_ref().is_some_and(|feed| !feed.has_batch()) {
            return Ok(None);
        }
        let mut slabs = match self.memory {
            BatchMemory::Pooled => {
                self.pools.fields().iter().map(Pool::lease).collect::<Result<_>>()?
            }
            BatchMemory::Supplied => match supply.take() {
                Some(slabs) => slabs,
                None => return Ok(None),
            },
        };
        let mut places = self.places(batch);
        let (mut fed, mut note) = (None, None);
        let place = match feed {
            Some(feed) => {
                let Some(Fed { items, place, note: of_batch }) = feed.take()? else {
                    return Ok(None);
                };
                places.end = places.start + items.len();
                let ahead = match self.prefetch {
                    Prefetch::Nothing => vec![],
                    Prefetch::NextBatch | Prefetch::Files => feed.ahead().collect(),
                };
                (fed, note) = (Some(Listed { items, ahead }), of_batch);
                place
            }
            None => self.shard.place(self.start, places.start, self.order.len()),
        };
        let begin = |mixer: &Arc<Mixer>| {
            let drawn = mixer.draw(self.epoch, place as u64);
            let probabilities = match (softened(mixer), self.memory) {
                (None, BatchMemory::Pooled | BatchMemory::Supplied) => None,
                (Some(_), BatchMemory::Pooled) => {
                    self.pools.probabilities().map(Pool::lease).transpose()?
                }
                // The probabilities are handed out, so they are written on supplied memory. Their
                // labels are not.
                (Some(labels), BatchMemory::Supplied) => {
                    let slab = self.pools.fields()[labels].lease()?;
                    Some(mem::replace(&mut slabs[labels], slab))
                }
            };
            Mixture::new(mixer, &self.fields, drawn, places.len(), probabilities)
        };
        let mixture = self.mixer.as_ref().map(begin).transpose()?;
        let notes = RowNotes::new(&self.fields, places.len(), self.on_error, self.return_params)?;
        Ok(Some(Making { slabs, places, fed, note, mixture, notes }))
    }

    /// Whether a batch can begin without memory from the system.
    pub(crate) fn has_memory(&self) -> bool {
        match self.memory {
            BatchMemory::Supplied => true,
            BatchMemory::Pooled => self.pools.have_free(),
        }
    }

    /// Makes the items at `rows` of a batch. The error is that of the first item that has one.
    ///
    /// # Safety
    ///
    /// No other thread makes any of these rows.
    unsafe fn make(
        &self,
        making: &Making,
        rows: Range<usize>,
        scratch: &mut ItemScratch,
    ) -> Result<(), Box<Failure>> {
        match self.prefetch {
            Prefetch::Nothing => {}
            Prefetch::NextBatch => self.prefetch_next(making, &rows),
            Prefetch::Files => self.prefetch_files(making, &rows),
        }
        // SAFETY: passed on; rows of a claim are rows of the batch.
        unsafe { make_items(&self.fields, &PlannedBatch { plan: self, making }, rows, scratch) }
    }

    /// Prefetches the items at these rows of the next batch, and for the first batch also its own.
    fn prefetch_next(&self, making: &Making, rows: &Range<usize>) {
        let ask = |item: usize| self.fields.iter().for_each(|field| field.source.prefetch(item));
        if let Some(Listed { items, ahead }) = &making.fed {
            let first = if making.places.start == 0 { items.get(rows.clone()) } else { None };
            let next = ahead.get(rows.start..rows.end.min(ahead.len()));
            first.into_iter().chain(next).flatten().copied().for_each(ask);
            return;
        }
        let (first, next) = (making.places.start, making.places.start + self.batch_size);
        let starts = if first == 0 { &[first, next][..] } else { &[next] };
        for k in starts.iter().flat_map(|start| rows.clone().map(move |row| start + row)) {
            if k < self.items {
                let item = self.order.at(self.shard.place(self.start, k, self.order.len()));
                if item != NO_ITEM {
                    ask(item);
                }
            }
        }
    }

    /// Asks for the files that come [`FILES_AHEAD`] items after those at these rows, and at the
    /// first item of an epoch for all in between.
    fn prefetch_files(&self, making: &Making, rows: &Range<usize>) {
        let ask = |item: usize| {
            let in_files = self.fields.iter().filter(|field| field.is_in_files());
            in_files.for_each(|field| field.source.prefetch(item));
        };
        let first = making.places.start + rows.start;
        let start = if first == 0 { 1 } else { first + FILES_AHEAD };
        let ahead = start..making.places.start + rows.end + FILES_AHEAD;
        if let Some(Listed { items, ahead: next }) = &making.fed {
            // Of a sampler the items after the next batch are not known.
            let known = items.iter().chain(next);
            let skipped = start - making.places.start;
            known.skip(skipped).take(ahead.len()).copied().for_each(ask);
            return;
        }
        for k in ahead.take_while(|&k| k < self.items) {
            let item = self.order.at(self.shard.place(self.start, k, self.order.len()));
            if item != NO_ITEM {
                ask(item);
            }
        }
    }

    /// Does pieces of the mixing of a batch.
    ///
    /// # Safety
    ///
    /// All items of the batch are made, and no other thread does any of these pieces.
    unsafe fn mix(
        &self,
        making: &Making,
        pieces: Range<usize>,
        scratch: &mut ItemScratch,
    ) -> Result<(), Box<Failure>> {
        let Some(mixture) = &making.mixture else { return Ok(()) };
        // SAFETY: passed on.
        unsafe { mixture.mix(&self.fields, &making.slabs, pieces, &mut scratch.pixels) }
            .map_err(|error| Box::new(Failure { row: 0, error }))
    }

    /// Moves the rows that are kept to the start of a batch.
    ///
    /// # Safety
    ///
    /// All items of the batch are made, and no other thread reads or writes it.
    unsafe fn compact(&self, making: &Making) -> Result<(), Box<Failure>> {
        let failed = |error| Box::new(Failure { row: 0, error });
        let rows = making.places.len();
        let kept = making.notes.kept(rows).map_err(failed)?;
        for (field, slab) in self.fields.iter().zip(&making.slabs) {
            let nbytes = field.pipeline.nbytes();
            for (to, &from) in kept.iter().enumerate().filter(|&(to, &from)| to != from) {
                // SAFETY: two rows of the batch, `to` below `from`; this thread has the batch
                // alone, and `from` was made.
                let (to, from) = unsafe {
                    (slab.piece(to * nbytes, nbytes), slab.written(from * nbytes, nbytes))
                };
                to.copy_from_slice(from);
            }
        }
        Ok(())
    }

    /// Fits the mixing of a batch to the rows that are left of it.
    pub(crate) fn fit_mixture(&self, making: &mut Making) -> Result<()> {
        let (Some(mixer), Some(mixture)) = (&self.mixer, making.mixture.take()) else {
            return Ok(());
        };
        let items = making.notes.kept(making.places.len())?.len();
        if items > 0 {
            making.mixture = Some(mixture.of_fewer(mixer, &self.fields, items)?);
        }
        Ok(())
    }

    /// Whether a batch of which no item is left may be left out as a whole. All ranks must take as
    /// many batches, and memory is supplied for each batch.
    pub(crate) fn may_leave_out_batches(&self) -> bool {
        self.shard.world_size == 1 && self.memory == BatchMemory::Pooled
    }

    /// As [`make`](Self::make), [`compact`](Self::compact) or [`mix`](Self::mix), with a panic as
    /// an error of the batch.
    ///
    /// # Safety
    ///
    /// As for the one that `stage` names.
    pub(crate) unsafe fn work_caught(
        &self,
        batch: usize,
        making: &Making,
        stage: BatchStage,
        range: Range<usize>,
        scratch: &mut ItemScratch,
    ) -> Result<(), Box<Failure>> {
        let row = range.start;
        // SAFETY: passed on. After a panic the rows are never handed out, so their contents do not
        // matter.
        let done = catch_unwind(AssertUnwindSafe(|| unsafe {
            match stage {
                BatchStage::Items => self.make(making, range, scratch),
                BatchStage::Compacting => self.compact(making),
                BatchStage::Mixing => self.mix(making, range, scratch),
            }
        }));
        done.unwrap_or_else(|panic| {
            let error = Error::WorkerPanicked { batch, message: panic_message(&*panic) };
            Err(Box::new(Failure { row, error }))
        })
    }

    /// The items of a batch from a row on, as many as there is room for; the place of the first
    /// that is not an item, and its error.
    fn items(&self, making: &Making, row: usize, items: &mut [usize]) -> Option<(usize, Error)> {
        if let Some(Listed { items: fed, .. }) = &making.fed {
            items.copy_from_slice(&fed[row..row + items.len()]);
            return None;
        }
        let (first, all) = (making.places.start + row, self.order.len());
        (first..)
            .zip(&mut *items)
            .for_each(|(k, place)| *place = self.shard.place(self.start, k, all));
        self.order.replace(items);
        if !self.order.is_unchecked() {
            return None;
        }
        let at = items.iter().position(|&item| item == NO_ITEM)?;
        Some((at, self.order.no_such_item(self.shard.place(self.start, first + at, all))?))
    }

    /// The number that seeds the draws for the item at a row of a batch.
    fn draws_as(&self, making: &Making, row: usize, item: usize) -> u64 {
        if making.fed.is_some() {
            return item as u64;
        }
        let k = making.places.start + row;
        self.order.draws_as(self.shard.place(self.start, k, self.order.len()), item)
    }

    /// The first place that no rank has taken once each has taken this many batches; None if none
    /// is left.
    pub(crate) fn reached(&self, batches: usize) -> Option<usize> {
        let left = self.order.len() - self.start;
        let over = self.shard.is_over(batches, left, self.full_batch_size, self.drop_last);
        let taken = batches.saturating_mul(self.full_batch_size);
        (!over).then(|| self.shard.reached(self.start, taken, self.order.len()))
    }

    pub(crate) fn finish(&self, making: Making) -> Result<Batch> {
        let kept = making.notes.kept(making.places.len())?;
        let rows = kept.len();
        let params = self.return_params.then(|| self.params(&making, &kept)).transpose()?;
        let wrap = |(field, slab): (&CompiledField, Slab)| {
            let dtype = field.pipeline.dtype().clone();
            let layout = field.pipeline.batch_layout(rows)?;
            Ok(View::new(slab.freeze(), layout, dtype)?)
        };
        let mut views =
            self.fields.iter().zip(making.slabs).map(wrap).collect::<Result<Vec<_>>>()?;
        let mut mixed = None;
        if let (Some(mixer), Some(mixture)) = (&self.mixer, making.mixture) {
            mixed = self
                .return_params
                .then(|| DrawnMixing { mixer: Arc::clone(mixer), drawn: *mixture.drawn() });
            if let (Some(labels), Some(view)) =
                (softened(mixer), mixture.into_probabilities(mixer)?)
            {
                views[labels] = view;
            }
        }
        Ok(Batch { views, params, mixed, receipt: None })
    }

    /// The parameters drawn for the items in these rows; each call gives the same.
    fn params(&self, making: &Making, kept: &[usize]) -> Result<Vec<DrawnItems>> {
        let mut items = room::repeated(0, making.places.len())?;
        if let Some((_, error)) = self.items(making, 0, &mut items) {
            return Err(error);
        }
        let of_field = |(at, field): (usize, &CompiledField)| {
            let mut drawn = with_room_for(kept.len())?;
            for &row in kept {
                let item = items[row];
                let draws_as = self.draws_as(making, row, item);
                let draw = |shape: &[usize]| -> Result<DrawnList> {
                    Ok(field.pipeline.draw(field.stream, self.epoch, draws_as, shape)?)
                };
                let of_item = match making.notes.shape(at, row) {
                    Some(shape) => draw(&shape),
                    None => field
                        .source
                        .item(item)
                        .map_err(Error::from)
                        .and_then(|image| draw(image.shape())),
                };
                drawn.push(of_item.map_err(|error| field.fail(item, error))?);
            }
            Ok(field.pipeline.drawn_items(drawn))
        };
        self.fields.iter().enumerate().map(of_field).collect()
    }
}

/// A batch of an epoch whose items are to be made.
struct PlannedBatch<'a> {
    plan: &'a EpochPlan,
    making: &'a Making,
}

// SAFETY: `bytes` gives a piece of the field's slab.
unsafe impl ItemBatch for PlannedBatch<'_> {
    fn items(&self, row: usize, items: &mut [usize]) -> Option<(usize, Error)> {
        self.plan.items(self.making, row, items)
    }

    fn stream(&self, field: usize) -> Stream {
        self.plan.fields[field].stream
    }

    fn draws_as(&self, row: usize, item: usize) -> (u32, u64) {
        (self.plan.epoch, self.plan.draws_as(self.making, row, item))
    }

    fn stores(&self, field: usize) -> Stores {
        let EpochPlan { mixer, stores, fields, batch_size, .. } = self.plan;
        // Memory that is read again at once stays in the cache.
        let is_mixed = mixer.as_ref().is_some_and(|mixer| mixer.mixes(field));
        let stores =
            if is_mixed && *stores == StorePolicy::Auto { StorePolicy::Cached } else { *stores };
        stores.of(fields[field].pipeline.nbytes() * batch_size)
    }

    /// The first label that is not a class, if the labels are mixed.
    fn check(&self, field: usize, made: &[u8], items: &[usize]) -> Option<(usize, Error)> {
        let mixer = self.plan.mixer.as_ref().filter(|mixer| softened(mixer) == Some(field))?;
        let field = &self.plan.fields[field];
        let (at, error) = mixer.first_bad_label(made, field.pipeline.dtype())?;
        Some((at, field.fail(items[at], error.into())))
    }

    fn note_shape(&self, field: usize, row: usize, shape: [usize; 3]) {
        self.making.notes.note_shape(field, row, shape);
    }

    fn skip(&self, field: usize, row: usize, item: usize, error: Error) -> Result<()> {
        let name = self.plan.fields[field].item_name(item);
        self.making.notes.skip(Skipped { row, field, item, name, error })
    }

    unsafe fn bytes(&self, field: usize, start: usize, len: usize) -> &mut [u8] {
        // SAFETY: passed on.
        unsafe { self.making.slabs[field].piece(start, len) }
    }
}

/// The memory of a batch that is not finished.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) slabs: Vec<Slab>,
    pub(crate) places: Range<usize>,
    /// Its items, if they come from a [`Feed`]; otherwise the order has them.
    pub(crate) fed: Option<Listed>,
    /// The note that a state keeps once it is handed out.
    pub(crate) note: Option<Note>,
    pub(crate) mixture: Option<Mixture>,
    pub(crate) notes: RowNotes,
}

/// The items of a batch, and those of the next, if they are known and used.
#[derive(Debug)]
pub(crate) struct Listed {
    items: Vec<usize>,
    ahead: Vec<usize>,
}

/// The stage of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchStage {
    /// Its items are made.
    Items,
    /// All items are made but some, and the others take their rows.
    Compacting,
    /// All items are made, and it is mixed.
    Mixing,
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
