//! An epoch: threads make its batches ahead of the consumer.
//!
//! An [`Epoch`] makes batches `0..n` in order. With workers, at most `prefetch` batches are begun
//! and not yet taken; they stand in a window, oldest first. A batch is cut into chunks of items.
//! Each worker claims the next chunk of the oldest batch that has one left, so that all work on the
//! batch that is due first. For the same reason no batch is begun beside the first one if it needs
//! memory from the system, which may be slow. Without workers, the consumer makes each batch when
//! it asks for it.
//!
//! A consumer that waits for a batch makes chunks of that batch instead of sleeping. While workers
//! make the last of these, it makes short chunks of the next batch.
//!
//! If batches are mixed, a batch has two stages. Once all its items are made, its mixing is cut
//! into pieces, which threads claim like chunks. Until the last item is made, workers go on with
//! the next batch.
//!
//! With [`OnError::Skip`](crate::OnError::Skip), items that cannot be made are noted while the
//! others are made. One thread then moves the rows that are left to the start of the batch, before
//! it is mixed.
//!
//! - `row_notes.rs`: the rows that are left out, and the sizes of decoded images.
//! - `plan.rs`: the parts of a batch. `make_items.rs`: its items. `mixture.rs`: its mixing.
//! - `chunks.rs`: its division into chunks. `window.rs`: the batches that are begun.
//! - `workers.rs`: the work of threads. `feed.rs`: the items of a sampler.
//!
//! # The rules of a clean end
//!
//! 1. Dropping an epoch stops it: workers finish their current chunk, take no other, and are
//!    joined.
//! 2. Batches that were handed out stay valid. The memory of all others is given back.
//! 3. An error stops its batch. `next` returns it when that batch is due, after all batches before
//!    it, and the epoch ends. If a batch has several errors, `next` returns that of the first item,
//!    whatever the threads did. Labels that cannot be mixed are errors of their items. An item that
//!    is left out is no error; see `Epoch::finish` for a batch of which nothing is left.
//! 4. A panic in a worker is an error of this kind.
//! 5. If batch memory is [`BatchMemory::Supplied`], a batch begins only once there is memory for
//!    it. A consumer that waits for a batch without having supplied its memory gets an error: a
//!    worker that waits for memory never keeps the consumer waiting.
//! 6. If items come from a sampler, the same holds of its items, which the consumer reads.
//! 7. A batch is mixed when all its items are made without an error, each piece once, and handed
//!    out when all pieces are done. Mixing reads and writes batch memory only, not a source, so a
//!    lost page of a file cannot raise a signal there.
//! 8. In a process forked while an epoch runs, that epoch has no workers: `next` returns an error,
//!    and dropping the epoch there touches neither locks nor threads, which belong to the parent.

#![expect(unsafe_code, reason = "cuts batch memory into disjoint pieces; see UNSAFE.md")]
pub(crate) mod chunks;
pub(crate) mod feed;
pub(crate) mod make_items;
pub(crate) mod mixture;
pub(crate) mod plan;
mod row_notes;
mod window;
mod workers;

use std::mem;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ndlens_core::Buffer;
use ndlens_transforms::mixing::Mixer;

use crate::batch::{Batch, Receipt};
use crate::compiled::CompiledField;
use crate::config::Config;
use crate::epoch::chunks::Chunks;
use crate::epoch::feed::Feed;
use crate::epoch::mixture::{Mixture, softened, summary_of};
use crate::epoch::plan::{BatchStage, EpochPlan, Making, Prefetch};
use crate::epoch::window::{InFlight, Window};
use crate::epoch::workers::Shared;
use crate::error::{Error, Result};
use crate::memory::batch_pools::BatchPools;
use crate::memory::external::{BatchMemory, slabs};
use crate::order::ItemOrder;
use crate::order::shard::Shard;
use crate::resume::note::Note;
use crate::resume::position::Tracker;
use crate::scratch::ItemScratch;
use crate::skipped::{SkipRecord, SkippedItems};
use crate::summary::FieldSummary;
use crate::sync::{Builder, JoinHandle, Mutex};

/// The result of [`Epoch::next_within`].
#[derive(Debug)]
pub enum Progress {
    /// A batch, or the error that ends the epoch.
    Batch(Result<Batch>),
    /// No batch is ready yet.
    Pending,
    /// The epoch is over.
    Finished,
}

/// The part of an epoch to run, and the parts of its batches.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) fields: Arc<Vec<CompiledField>>,
    pub(crate) pools: Arc<BatchPools>,
    pub(crate) epoch: u32,
    pub(crate) items: ItemsFrom,
    pub(crate) shard: Shard,
    pub(crate) start: usize,
    pub(crate) tracker: Option<Tracker>,
    /// The mixing of its batches.
    pub(crate) mixer: Option<Arc<Mixer>>,
    /// The items that it leaves out.
    pub(crate) skipped: Arc<SkipRecord>,
}

/// The source of an epoch's item numbers.
#[derive(Debug)]
pub(crate) enum ItemsFrom {
    /// An order that is known.
    Order(ItemOrder),
    /// A sampler, while it is read.
    Feed(Feed),
}

/// The batches of one epoch, in order. It is an iterator, which ends after an error.
#[derive(Debug)]
pub struct Epoch {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    process: u32,
    tracker: Option<Arc<Tracker>>,
    /// What the consumer makes items with.
    scratch: ItemScratch,
}

impl Epoch {
    pub(crate) fn start(config: &Config, course: Course) -> Result<Self> {
        let Course { fields, pools, mixer, epoch, items, shard, start, tracker, skipped } = course;
        let tracker = tracker.map(Arc::new);
        let (order, feed) = match items {
            ItemsFrom::Order(order) => (order, None),
            ItemsFrom::Feed(feed) => (ItemOrder::InTurn(start), Some(feed)),
        };
        let items = shard.share(order.len() - start);
        let batch_size =
            feed.as_ref().map_or_else(|| config.batch_size.min(items.max(1)), Feed::batch_size);
        let item_bytes = fields.iter().map(|field| field.pipeline.nbytes()).sum::<usize>();
        let ahead = Prefetch::of(&fields);
        let threads = config.num_workers + 1;
        // An image takes long to decode, whatever is left of it: each is a chunk of its own.
        let decodes = fields.iter().any(CompiledField::is_encoded);
        let plan = EpochPlan {
            prefetch: ahead,
            fields,
            pools,
            order,
            shard,
            epoch,
            start,
            items,
            batch_size,
            full_batch_size: config.batch_size,
            drop_last: config.drop_last,
            batches: config.batches(items),
            return_params: config.return_params,
            mixer,
            chunks: Chunks::new(if decodes { usize::MAX } else { item_bytes }, threads),
            stores: config.stores,
            memory: config.memory,
            on_error: config.on_error,
        };
        let prefetch = config.prefetch_factor;
        let (work, done) = Default::default();
        let window = Mutex::new(Window { feed, ..Window::default() });
        let shared = Arc::new(Shared { plan, prefetch, skipped, window, work, done });
        // From here on, an early return stops the workers that did start.
        let mut epoch = Epoch {
            shared,
            workers: vec![],
            process: std::process::id(),
            tracker,
            scratch: ItemScratch::default(),
        };
        for worker in 0..config.num_workers {
            let shared = Arc::clone(&epoch.shared);
            let thread = Builder::new().name(format!("ndlens-{worker}"));
            let handle = thread.spawn(move || shared.work());
            epoch
                .workers
                .push(handle.map_err(|error| Error::Spawn { worker, message: error.to_string() })?);
        }
        Ok(epoch)
    }

    /// Rule 8: the workers are in another process.
    fn is_forked(&self) -> bool {
        !self.workers.is_empty() && self.process != std::process::id()
    }

    /// The number of batches that could begin now if they had memory. The caller
    /// [`supply`](Self::supply)s memory as often before it asks for the next batch. 0 with
    /// [`BatchMemory::Pooled`].
    pub fn unsupplied(&self) -> usize {
        let plan = &self.shared.plan;
        if plan.memory == BatchMemory::Pooled || self.is_forked() {
            return 0;
        }
        let window = self.shared.lock();
        let ahead = if self.workers.is_empty() { 1 } else { self.shared.prefetch };
        let batches = self.shared.batches(&window);
        if window.stop || window.taken == batches {
            0
        } else {
            (window.taken + ahead).min(batches).saturating_sub(window.supply.batches)
        }
    }

    /// The number of item numbers to read from the sampler now, so that all batches in the window
    /// can begin. The caller reads until it is 0 before it asks for the next batch. It is always 0
    /// if the order is known.
    pub fn to_read(&self) -> usize {
        if self.is_forked() {
            return 0;
        }
        let window = self.shared.lock();
        let ahead = if self.workers.is_empty() { 1 } else { self.shared.prefetch };
        match &window.feed {
            Some(feed) if !window.stop => feed.to_read(window.taken.saturating_add(ahead)),
            _ => 0,
        }
    }

    /// Adds numbers of the sampler, at most as many as [`to_read`](Self::to_read) gives, and the
    /// note that a state keeps once all of them are handed out.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchItem`], [`Error::SamplerLength`], and then no number was added;
    /// [`Error::Forked`].
    pub fn add(&self, numbers: &[i64], note: Option<Note>) -> Result<()> {
        self.with_feed(|feed| feed.add(numbers, note))
    }

    /// Ends the sampler, which has no more items. A state then keeps `note`.
    ///
    /// # Errors
    ///
    /// [`Error::StateBeyondEnd`] if it had fewer items than the loaded state counts as done;
    /// [`Error::Forked`].
    pub fn end_sampler(&self, note: Option<Note>) -> Result<()> {
        self.with_feed(|feed| feed.end(note))
    }

    /// Ends a sampler that failed. Batches that were read whole still come; then the epoch stops
    /// without reaching its end.
    ///
    /// # Errors
    ///
    /// [`Error::Forked`].
    pub fn fail_sampler(&self) -> Result<()> {
        self.with_feed(|feed| {
            feed.fail();
            Ok(())
        })
    }

    fn with_feed(&self, change: impl FnOnce(&mut Feed) -> Result<()>) -> Result<()> {
        if self.is_forked() {
            return Err(Error::Forked);
        }
        let changed = self.shared.lock().feed.as_mut().map_or(Ok(()), change);
        self.shared.work.notify_all();
        changed
    }

    /// The receipt for the end of the epoch, once all its batches were taken without an error. A
    /// rank with fewer batches than others is at the end when it has asked for one more.
    pub fn end(&self) -> Option<Receipt> {
        if self.is_forked() {
            return None;
        }
        let window = self.shared.lock();
        if window.stop || window.taken != self.shared.batches(&window) {
            return None;
        }
        let feed = window.feed.as_ref();
        if feed.is_some_and(|feed| !feed.is_whole()) {
            return None;
        }
        let note = feed.and_then(Feed::end_note);
        Some(Receipt { tracker: Arc::clone(self.tracker.as_ref()?), reached: None, note })
    }

    /// The bytes of each field's batch.
    pub fn batch_bytes(&self) -> impl ExactSizeIterator<Item = usize> {
        let plan = &self.shared.plan;
        let softened = plan.mixer.as_deref().and_then(softened);
        plan.pools.fields().iter().enumerate().map(move |(place, pool)| {
            let probabilities = plan.pools.probabilities().filter(|_| softened == Some(place));
            probabilities.unwrap_or(pool).slab_bytes()
        })
    }

    /// Supplies memory for the next batch that has none, a buffer for each field. Batches use the
    /// buffers in the order in which they were supplied, and drop them with their last view.
    ///
    /// # Errors
    ///
    /// [`Error::Supply`] if the buffers are not writable and of the sizes that
    /// [`batch_bytes`](Self::batch_bytes) says; [`Error::Forked`].
    ///
    /// # Safety
    ///
    /// The memory must be initialised, and nothing else may access it until the batch on it was
    /// returned or the epoch was dropped.
    pub unsafe fn supply(&self, buffers: Vec<Buffer>) -> Result<()> {
        if self.is_forked() {
            return Err(Error::Forked);
        }
        // SAFETY: passed on.
        let supplied = unsafe { slabs(buffers, self.batch_bytes()) }?;
        self.shared.lock().supply.add(supplied);
        self.shared.work.notify_all();
        Ok(())
    }

    /// The number of batches not yet taken; None if a sampler has no length.
    pub fn remaining(&self) -> Option<usize> {
        if self.is_forked() {
            return Some(0);
        }
        let window = self.shared.lock();
        if window.stop {
            return Some(0);
        }
        let batches = match &window.feed {
            Some(feed) => feed.expected_batches()?,
            None => self.shared.plan.batches,
        };
        Some(batches.saturating_sub(window.taken))
    }

    /// The next batch, which counts as handed out. It waits for the workers no longer than
    /// `patience`.
    ///
    /// A consumer that waits helps to make the batch. It finishes a chunk that it began, also
    /// beyond `patience`, and begins none if `patience` is zero. Without workers, the batch is made
    /// in this call, however long it takes.
    pub fn next_within(&mut self, patience: Duration) -> Progress {
        let progress = self.take_within(patience);
        match &progress {
            Progress::Batch(Ok(Batch { receipt: Some(receipt), .. })) => receipt.hand_out(),
            Progress::Finished => self.end().iter().for_each(Receipt::hand_out),
            Progress::Batch(_) | Progress::Pending => {}
        }
        progress
    }

    /// As [`next_within`](Self::next_within), for a caller that sends batches on before it hands
    /// them out. The batch's [`Receipt`] then counts the batch, and that of [`end`](Self::end) the
    /// end.
    pub fn take_within(&mut self, patience: Duration) -> Progress {
        if self.is_forked() {
            return Progress::Batch(Err(Error::Forked));
        }
        let deadline = deadline_after(patience);
        let progress = loop {
            let progress = if self.workers.is_empty() {
                self.make_here(Empty::LeaveOut)
            } else {
                self.wait(deadline)
            };
            if let Some(progress) = progress {
                break progress;
            }
            // The batch is left out, and the next one follows, once its items were read.
            if self.shared.lock().feed.as_ref().is_some_and(|feed| !feed.has_batch()) {
                break Progress::Pending;
            }
        };
        if matches!(progress, Progress::Finished) {
            self.scratch = ItemScratch::default();
        }
        progress
    }

    /// A batch of what was made, with its receipt; None if no item of it is left, and it is left
    /// out.
    fn finish(
        shared: &Shared,
        tracker: Option<&Arc<Tracker>>,
        batch: usize,
        mut making: Making,
        empty: Empty,
    ) -> Result<Option<Batch>> {
        let note = making.note.take();
        if making.notes.has_skipped() {
            let items = making.places.len();
            let is_empty = making.notes.kept(items)?.is_empty();
            let leaves_out = match empty {
                Empty::LeaveOut => shared.plan.may_leave_out_batches(),
                Empty::Refuse => false,
            };
            if is_empty && !leaves_out {
                return Err(making.notes.nothing_left(batch, items));
            }
            shared.skipped.add(making.notes.skipped());
            if is_empty {
                return Ok(None);
            }
        }
        let mut batch = shared.plan.finish(making)?;
        batch.receipt = tracker.map(|tracker| shared.receipt(&shared.lock(), tracker, note));
        Ok(Some(batch))
    }

    /// Skips the next batch, which is not made, and counts it as handed out. Returns its items, or
    /// None if the epoch is over. Only for an epoch without workers.
    ///
    /// # Errors
    ///
    /// [`Error::NotRead`] if the sampler was not read for this batch; [`Error::Core`] if there is
    /// no memory for the list.
    ///
    /// # Panics
    ///
    /// If the epoch has workers.
    pub fn pass_over(&mut self) -> Result<Option<Vec<usize>>> {
        assert!(self.workers.is_empty(), "workers make every batch");
        let plan = &self.shared.plan;
        let window = &mut *self.shared.lock();
        let batch = window.taken;
        if window.stop || batch == self.shared.batches(window) {
            return Ok(None);
        }
        let (items, note) = match window.feed.as_mut() {
            Some(feed) => {
                let fed = feed.take()?.ok_or(Error::NotRead { batch })?;
                (fed.items, fed.note)
            }
            None => (plan.items_of(batch)?, None),
        };
        window.taken += 1;
        if let Some(tracker) = &self.tracker {
            self.shared.receipt(window, tracker, note).hand_out();
        }
        Ok(Some(items))
    }

    /// Makes the `number`-th batch, independent of the batches made before; None if there is no
    /// such batch. Only for an epoch without workers whose order is known.
    ///
    /// # Panics
    ///
    /// If the epoch has workers, or reads a sampler.
    pub fn batch_at(&mut self, number: usize) -> Option<Result<Batch>> {
        assert!(self.workers.is_empty(), "workers make batches in order");
        {
            let window = &mut *self.shared.lock();
            assert!(window.feed.is_none(), "a sampler gives batches in order");
            window.taken = number.min(self.shared.plan.batches);
            // An earlier error was of another batch.
            window.stop = false;
        }
        match self.make_here(Empty::Refuse)? {
            Progress::Batch(batch) => Some(batch),
            Progress::Pending | Progress::Finished => None,
        }
    }

    /// The number of the epoch.
    pub fn number(&self) -> u32 {
        self.shared.plan.epoch
    }

    /// The place of the order at which it starts.
    pub fn first_place(&self) -> usize {
        self.shared.plan.start
    }

    /// The items that were left out of the batches taken so far, with
    /// [`OnError::Skip`](crate::OnError::Skip).
    pub fn skipped(&self) -> SkippedItems {
        self.shared.skipped.items()
    }

    /// The record of these items, which stays when the epoch is dropped.
    pub fn skip_record(&self) -> Arc<SkipRecord> {
        Arc::clone(&self.shared.skipped)
    }

    /// Its fields in words and numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn summary(&self) -> Result<Vec<FieldSummary>> {
        let plan = &self.shared.plan;
        summary_of(&plan.fields, plan.mixer.as_deref())
    }

    /// The rank that takes its items.
    pub fn shard(&self) -> Shard {
        self.shared.plan.shard
    }

    /// Makes the next batch; None if it is left out.
    fn make_here(&mut self, empty: Empty) -> Option<Progress> {
        let Epoch { shared, tracker, scratch, .. } = self;
        let plan = &shared.plan;
        let (batch, begun, is_read) = {
            let window = &mut *shared.lock();
            let batch = window.taken;
            if window.stop || batch == shared.batches(window) {
                return Some(Progress::Finished);
            }
            window.taken += 1;
            let is_read = window.feed.as_ref().is_none_or(Feed::has_batch);
            (batch, plan.begin(batch, &mut window.supply, window.feed.as_mut()), is_read)
        };
        let made = begun.and_then(|making| {
            let mut making = making.ok_or(if is_read {
                Error::NotSupplied { batch }
            } else {
                Error::NotRead { batch }
            })?;
            let mut work = |making: &Making, stage, count| {
                // SAFETY: the batch was begun here, and nothing else knows of it; its items are
                // made before the rest.
                unsafe { plan.work_caught(batch, making, stage, 0..count, scratch) }
                    .map_err(|failure| failure.error)
            };
            work(&making, BatchStage::Items, making.places.len())?;
            if making.notes.has_skipped() {
                work(&making, BatchStage::Compacting, 1)?;
                plan.fit_mixture(&mut making)?;
            }
            work(&making, BatchStage::Mixing, making.mixture.as_ref().map_or(0, Mixture::pieces))?;
            Epoch::finish(shared, tracker.as_ref(), batch, making, empty)
        });
        if made.is_err() {
            shared.lock().stop = true;
        }
        made.transpose().map(Progress::Batch)
    }

    /// Waits for the batch that is due, and helps to make it meanwhile; None if it is left out.
    fn wait(&mut self, deadline: Instant) -> Option<Progress> {
        let Epoch { shared, scratch, .. } = self;
        let plan = &shared.plan;
        let mut window = shared.lock();
        loop {
            if window.taken == shared.batches(&window) || window.stop {
                return Some(Progress::Finished);
            }
            if window.batches.front().is_some_and(InFlight::is_done) {
                break;
            }
            if window.batches.is_empty()
                && window.feed.as_ref().is_some_and(|feed| !feed.has_batch())
            {
                window.stop = true;
                return Some(Progress::Batch(Err(Error::NotRead { batch: window.taken })));
            }
            if plan.memory == BatchMemory::Supplied && window.supply.batches == window.taken {
                window.stop = true;
                return Some(Progress::Batch(Err(Error::NotSupplied { batch: window.taken })));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(Progress::Pending);
            }
            if let Some(claim) = shared.claim_meanwhile(&mut window) {
                drop(window);
                window = shared.make(claim, scratch);
            } else if window.batches.front().is_some_and(InFlight::is_done) {
                // The batch could not begin.
                break;
            } else {
                window = shared
                    .done
                    .wait_timeout(window, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
        let Some(InFlight { making, failure, .. }) = window.batches.pop_front() else {
            return Some(Progress::Pending);
        };
        let batch = window.taken;
        window.taken += 1;
        if failure.is_some() {
            window.stop = true;
        }
        drop(window);
        self.shared.work.notify_all();
        if let Some(failure) = failure {
            return Some(Progress::Batch(Err(failure.error)));
        }
        let making = Arc::into_inner(making)
            .expect("workers give up a batch's memory before they call it done");
        let (shared, tracker) = (&self.shared, self.tracker.as_ref());
        let finished = Epoch::finish(shared, tracker, batch, making, Empty::LeaveOut);
        if finished.is_err() {
            self.shared.lock().stop = true;
            self.shared.work.notify_all();
        }
        finished.transpose().map(Progress::Batch)
    }
}

/// The treatment of a batch of which no item is left.
#[derive(Debug, Clone, Copy)]
enum Empty {
    /// It is left out, where the plan allows that.
    LeaveOut,
    /// It is an error: the caller asked for this batch.
    Refuse,
}

/// The instant after `patience`. A year stands for no limit: its instant can be represented.
fn deadline_after(patience: Duration) -> Instant {
    Instant::now() + patience.min(Duration::from_hours(24 * 365))
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_within(Duration::from_mins(1)) {
                Progress::Batch(batch) => return Some(batch),
                Progress::Finished => return None,
                Progress::Pending => {}
            }
        }
    }
}

impl Drop for Epoch {
    fn drop(&mut self) {
        if self.is_forked() {
            self.workers.drain(..).for_each(mem::forget);
            return;
        }
        if self.workers.is_empty() {
            return;
        }
        self.shared.lock().stop = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker's panics are caught where they happen; there is nothing left to report.
            drop(worker.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use ndlens_core::{DType, View};
    use ndlens_transforms::{RandomCrop, RandomJitter, Step, ToDtype};

    use super::*;
    use crate::field::Field;
    use crate::loader::Loader;

    #[test]
    fn an_epoch_frees_the_consumers_scratch_memory_at_its_end_and_begins_with_none() {
        let images = View::from_vec(vec![7u8; 2 * 64 * 64 * 3]).reshape(&[2, 64, 64, 3]).unwrap();
        let field = Field::new("image", Arc::new(images)).with_transforms(vec![
            ToDtype { dtype: DType::F32, scale: true }.boxed(),
            RandomJitter { sigma: 0.5 }.boxed(),
            RandomCrop::new(8, 8).boxed(),
        ]);
        let config = Config { batch_size: 1, num_workers: 0, ..Config::default() };
        let loader = Loader::builder(vec![field], config).unwrap().build().unwrap();
        let mut epoch = loader.start_epoch().unwrap();
        epoch.next().unwrap().unwrap();
        assert_ne!(epoch.scratch.pixels.nbytes(), 0);
        assert_eq!(loader.start_epoch().unwrap().scratch.pixels.nbytes(), 0);
        assert_eq!(epoch.by_ref().count(), 1);
        assert_eq!(epoch.scratch.pixels.nbytes(), 0);
    }
}
