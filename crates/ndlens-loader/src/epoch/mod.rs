//! Threads that make batches ahead of the one who takes them.
//!
//! An [`Epoch`] makes batches `0..n` in order. With workers, at most `prefetch` batches are begun
//! and not yet taken; they stand in a window, oldest first. A batch is cut into chunks of items;
//! each worker claims the next chunk of the oldest batch that has one left, so that all hurry the
//! batch that is wanted first. For the same reason no batch is begun beside the first where that
//! takes memory from the system, which may be slow to find it. Without workers the caller makes
//! each batch when it asks for it.
//!
//! Who waits for a batch works too, instead of sleeping: at chunks of that batch, and while others
//! have the last of these at short ones of the next.
//!
//! Where batches are mixed, a batch has two stages: once all its items are made, its mixing is cut
//! into pieces that are claimed as chunks are. Until the last item is made, workers go on with the
//! batch after it.
//!
//! # The rules of a clean end
//!
//! 1. Dropping an epoch stops it: workers finish the chunk in hand, take no other, and are joined.
//! 2. Batches that were handed out stay valid; batches that were not give their memory back.
//! 3. An error stops the batch it is in; it comes out of `next` when that batch is due, after all
//!    batches before it, and ends the epoch. Of several errors in a batch the one of its first item
//!    comes out, whatever the threads did. Labels that cannot be mixed are errors of their items.
//! 4. A panic in a worker is such an error.
//! 5. Where batch memory is [`Supplied`](crate::Memory::Supplied), a batch begins only once there
//!    is memory for it, and whoever waits for one without having supplied it gets an error: a
//!    worker that waits for memory never keeps the taker waiting.
//! 6. Where items come from a sampler, the same holds of its items, which the consumer reads.
//! 7. A batch is mixed when all its items are made without an error, each piece once, and handed
//!    out when all pieces are done. Mixing reads and writes batch memory only: no source, so
//!    nothing that a signal could meet.
//! 8. In a process forked while an epoch runs, that epoch has no workers: `next` says so, and
//!    dropping it there touches neither locks nor threads, which belong to the parent.

#![expect(unsafe_code, reason = "cuts batch memory into disjoint pieces; see UNSAFE.md")]
pub(crate) mod chunks;
pub(crate) mod feed;
pub(crate) mod plan;

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ndlens_core::Buffer;
use ndlens_transforms::Scratch;

use crate::batch::{Batch, Receipt};
use crate::epoch::chunks::Chunks;
use crate::epoch::feed::Feed;
use crate::epoch::plan::{Failure, Making, Plan, Stage, exceeds_memory};
use crate::error::{Error, Result};
use crate::loader::{Compiled, Config};
use crate::memory::external::{Memory, Supply, slabs};
use crate::mix::{Mixer, Mixture};
use crate::order::ItemOrder;
use crate::order::shard::Shard;
use crate::resume::note::Note;
use crate::resume::position::Tracker;
use crate::sync::{Builder, Condvar, JoinHandle, Mutex, MutexGuard};

/// A batch in the window.
#[derive(Debug)]
struct InFlight {
    making: Arc<Making>,
    stage: Stage,
    /// The first row, or piece of the mixing, that nobody has claimed.
    unclaimed: usize,
    /// Chunks claimed and not finished.
    working: usize,
    /// The error of the first row that has one.
    failure: Option<Box<Failure>>,
}

impl InFlight {
    /// The rows or pieces of this stage.
    fn work(&self) -> usize {
        match self.stage {
            Stage::Items => self.making.places.len(),
            Stage::Mixing => self.making.mixture.as_ref().map_or(0, Mixture::pieces),
        }
    }

    fn is_done(&self) -> bool {
        let last =
            self.stage == Stage::Mixing || self.making.mixture.is_none() || self.failure.is_some();
        last && self.working == 0 && self.unclaimed == self.work()
    }

    /// Goes on to the mixing where all items are made; says whether it did, and there is something
    /// to mix.
    fn advance(&mut self) -> bool {
        let made = self.stage == Stage::Items && self.working == 0 && self.unclaimed == self.work();
        if !made || self.making.mixture.is_none() || self.failure.is_some() {
            return false;
        }
        (self.stage, self.unclaimed) = (Stage::Mixing, 0);
        self.work() > 0
    }
}

#[derive(Debug, Default)]
struct State {
    /// Begun and not taken; the front is batch `taken`.
    window: VecDeque<InFlight>,
    taken: usize,
    supply: Supply,
    /// Where items come from, if it is no order that is known.
    feed: Option<Feed>,
    stop: bool,
}

#[derive(Debug)]
struct Shared {
    plan: Plan,
    prefetch: usize,
    state: Mutex<State>,
    /// Signalled when there may be something to claim.
    work: Condvar,
    /// Signalled when the front of the window is done.
    done: Condvar,
}

struct Claim {
    batch: usize,
    making: Arc<Making>,
    stage: Stage,
    range: Range<usize>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Panics of the work are caught outside the lock; nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of batches; of more than there can be where a sampler has not ended.
    fn batches(&self, state: &State) -> usize {
        state.feed.as_ref().map_or(self.plan.batches, |feed| feed.batches().unwrap_or(usize::MAX))
    }

    /// The first place that no rank has taken once each has taken this many batches; None where
    /// that is all.
    fn reached(&self, state: &State, batches: usize) -> Option<usize> {
        state.feed.as_ref().map_or_else(|| self.plan.reached(batches), |feed| feed.reached(batches))
    }

    /// What counts the batch that was taken last.
    fn receipt(&self, state: &State, tracker: &Arc<Tracker>, note: Option<Note>) -> Receipt {
        let reached = self.reached(state, state.taken);
        // With the last batch of all ranks the sampler is at its end.
        let ended = state.feed.as_ref().filter(|feed| reached.is_none() && feed.is_whole());
        let note = ended.map_or(note, Feed::end_note);
        Receipt { tracker: Arc::clone(tracker), reached, note }
    }

    /// The next chunk of the oldest batch that has one, of so many items at most, beginning a batch
    /// if there is room for it.
    fn claim(&self, state: &mut State, most: usize) -> Option<Claim> {
        let mut at = state.window.iter().position(|batch| batch.unclaimed < batch.work());
        if at.is_none() && state.window.len() < self.prefetch && self.may_begin(state) {
            let batch = state.taken + state.window.len();
            if batch < self.batches(state) {
                let (making, failure) =
                    match self.plan.begin(batch, &mut state.supply, state.feed.as_mut()) {
                        Ok(Some(making)) => (making, None),
                        Ok(None) => return None,
                        Err(error) => {
                            let making = Making {
                                slabs: vec![],
                                places: 0..0,
                                fed: None,
                                note: None,
                                mixture: None,
                            };
                            (making, Some(Box::new(Failure { row: 0, error })))
                        }
                    };
                let failed = failure.is_some();
                state.window.push_back(InFlight {
                    making: Arc::new(making),
                    stage: Stage::Items,
                    unclaimed: 0,
                    working: 0,
                    failure,
                });
                if failed {
                    self.done.notify_all();
                    return None;
                }
                at = Some(state.window.len() - 1);
            }
        }
        let at = at?;
        let in_flight = &mut state.window[at];
        let (start, stage) = (in_flight.unclaimed, in_flight.stage);
        let count = if stage == Stage::Items {
            self.plan.chunks.next(in_flight.work() - start).min(most)
        } else {
            1
        };
        let range = start..start + count;
        in_flight.unclaimed = range.end;
        in_flight.working += 1;
        Some(Claim { batch: state.taken + at, making: Arc::clone(&in_flight.making), stage, range })
    }

    /// Whether a batch may begin beside those in the window: beside the first of an epoch only
    /// where that costs it no time.
    fn may_begin(&self, state: &State) -> bool {
        state.taken > 0
            || state.window.front().is_none_or(InFlight::is_done)
            || self.plan.has_memory()
    }

    /// A chunk for whoever waits for the batch that is due: one of that batch, or while others have
    /// the last of it, a short one of the next.
    fn claim_meanwhile(&self, state: &mut State) -> Option<Claim> {
        let due_has_work = state.window.front().is_none_or(|due| due.unclaimed < due.work());
        if due_has_work {
            self.claim(state, usize::MAX)
        } else {
            self.claim(state, self.plan.chunks.short()?)
        }
    }

    /// What a worker does.
    fn work(&self) {
        let mut scratch = Scratch::default();
        let mut state = self.lock();
        while !state.stop {
            if let Some(claim) = self.claim(&mut state, usize::MAX) {
                drop(state);
                state = self.make(claim, &mut scratch);
            } else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Makes what was claimed, and returns with the lock.
    fn make(&self, claim: Claim, scratch: &mut Scratch) -> MutexGuard<'_, State> {
        let Claim { batch, making, stage, range } = claim;
        // SAFETY: a claim moves `unclaimed` past its rows or pieces under the lock, so no other
        // claim has any of them. Pieces are claimed once all rows are made, which was seen under
        // the lock too.
        let failure = unsafe { self.plan.work_caught(batch, &making, stage, range, scratch) }.err();
        // Before the batch can be done: whoever finishes it must hold the only claim on its memory.
        drop(making);
        let mut state = self.lock();
        let at = batch - state.taken;
        let in_flight = &mut state.window[at];
        in_flight.working -= 1;
        if let Some(failure) = failure {
            // Chunks are claimed in order, so all rows before a failed one are made or being made.
            in_flight.unclaimed = in_flight.work();
            if in_flight.failure.as_ref().is_none_or(|other| failure.row < other.row) {
                in_flight.failure = Some(failure);
            }
        }
        let advanced = in_flight.advance();
        let due = at == 0 && in_flight.is_done();
        if !(advanced || due) {
            return state;
        }
        // Whoever is woken wants the lock.
        drop(state);
        if at == 0 {
            self.done.notify_all();
        }
        // There are pieces to mix for those who found nothing to claim, or room beside the first
        // batch.
        if advanced || batch == 0 {
            self.work.notify_all();
        }
        self.lock()
    }
}

/// What [`Epoch::next_within`] found.
#[derive(Debug)]
pub enum Progress {
    /// A batch, or why there is none.
    Batch(Result<Batch>),
    /// Not yet.
    Pending,
    /// The epoch is over.
    Finished,
}

/// The batches of one epoch, in order. An iterator; after an error it is over.
#[derive(Debug)]
pub struct Epoch {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    process: u32,
    tracker: Option<Arc<Tracker>>,
    /// Of the thread that takes batches, which makes them where there are no workers.
    scratch: Scratch,
}

/// What part of what epoch to run.
#[derive(Debug)]
pub(crate) struct Course {
    pub(crate) epoch: u32,
    pub(crate) order: Items,
    pub(crate) shard: Shard,
    pub(crate) start: usize,
    pub(crate) tracker: Option<Tracker>,
    /// How its batches are mixed.
    pub(crate) mixer: Option<Arc<Mixer>>,
}

/// Where the items of an epoch come from.
#[derive(Debug)]
pub(crate) enum Items {
    /// An order that is known.
    Order(ItemOrder),
    /// A sampler, while it is read.
    Feed(Feed),
}

impl Epoch {
    pub(crate) fn start(
        fields: Arc<Vec<Compiled>>,
        config: &Config,
        course: Course,
    ) -> Result<Self> {
        let Course { epoch, order, shard, start, tracker, mixer } = course;
        let tracker = tracker.map(Arc::new);
        let (order, feed) = match order {
            Items::Order(order) => (order, None),
            Items::Feed(feed) => (ItemOrder::InTurn(start), Some(feed)),
        };
        let items = shard.share(order.len() - start);
        let batch_size =
            feed.as_ref().map_or_else(|| config.batch_size.min(items.max(1)), Feed::batch_size);
        let item_bytes = fields.iter().map(|field| field.program.nbytes()).sum::<usize>();
        let prefetches = exceeds_memory(&fields);
        let plan = Plan {
            prefetches,
            fields,
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
            chunks: Chunks::new(item_bytes, config.num_workers + 1),
            storing: config.storing,
            memory: config.memory,
        };
        let prefetch = config.prefetch_factor;
        let (work, done) = Default::default();
        let state = Mutex::new(State { feed, ..State::default() });
        let scratch = Scratch::default();
        let shared = Arc::new(Shared { plan, prefetch, state, work, done });
        // From here on, an early return stops the workers that did start.
        let mut epoch =
            Epoch { shared, workers: vec![], process: std::process::id(), tracker, scratch };
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

    /// Rule 8: the workers stayed behind in another process.
    fn is_forked(&self) -> bool {
        !self.workers.is_empty() && self.process != std::process::id()
    }

    /// How many batches could be begun now if there were memory for them: how often to
    /// [`supply`](Self::supply) it before the next batch is asked for. 0 where memory is
    /// [`Memory::Pooled`].
    pub fn unsupplied(&self) -> usize {
        let plan = &self.shared.plan;
        if plan.memory == Memory::Pooled || self.is_forked() {
            return 0;
        }
        let state = self.shared.lock();
        let ahead = if self.workers.is_empty() { 1 } else { self.shared.prefetch };
        let batches = self.shared.batches(&state);
        if state.stop || state.taken == batches {
            0
        } else {
            (state.taken + ahead).min(batches).saturating_sub(state.supply.batches)
        }
    }

    /// How many numbers of the sampler to read now, so that all batches that there is room for can
    /// begin: until it is 0, before the next batch is asked for. Always 0 where items come from an
    /// order that is known.
    pub fn to_read(&self) -> usize {
        if self.is_forked() {
            return 0;
        }
        let state = self.shared.lock();
        let ahead = if self.workers.is_empty() { 1 } else { self.shared.prefetch };
        match &state.feed {
            Some(feed) if !state.stop => feed.to_read(state.taken.saturating_add(ahead)),
            _ => 0,
        }
    }

    /// Takes numbers that the sampler gave, no more than [`to_read`](Self::to_read) says, and what
    /// a state keeps once all of them are handed out.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchItem`], [`Error::SamplerLength`], and then nothing was taken;
    /// [`Error::Forked`].
    pub fn add(&self, numbers: &[i64], note: Option<Note>) -> Result<()> {
        self.with_feed(|feed| feed.add(numbers, note))
    }

    /// Says that the sampler has no more, and what a state keeps then.
    ///
    /// # Errors
    ///
    /// [`Error::StateBeyondEnd`] where it had less than a state said was done; [`Error::Forked`].
    pub fn end_sampler(&self, note: Option<Note>) -> Result<()> {
        self.with_feed(|feed| feed.end(note))
    }

    /// Says that the sampler failed: batches that were read whole still come, and then the epoch is
    /// over, and not at its end.
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

    /// What counts the end of the epoch, once all its batches were taken without an error. A rank
    /// with fewer batches than others is at the end when it has asked for one more.
    pub fn end(&self) -> Option<Receipt> {
        if self.is_forked() {
            return None;
        }
        let state = self.shared.lock();
        if state.stop || state.taken != self.shared.batches(&state) {
            return None;
        }
        let feed = state.feed.as_ref();
        if feed.is_some_and(|feed| !feed.is_whole()) {
            return None;
        }
        let note = feed.and_then(Feed::end_note);
        Some(Receipt { tracker: Arc::clone(self.tracker.as_ref()?), reached: None, note })
    }

    /// The bytes of a batch of each field.
    pub fn batch_bytes(&self) -> impl ExactSizeIterator<Item = usize> {
        let plan = &self.shared.plan;
        plan.fields.iter().enumerate().map(|(place, field)| {
            let soft = plan.mixer.as_ref().and_then(|mixer| mixer.batch_bytes(place));
            soft.unwrap_or(field.pool.slab_bytes())
        })
    }

    /// Gives memory for the next batch that has none, a buffer for each field; batches come on what
    /// was supplied first, in order. It is dropped when the batch is.
    ///
    /// # Errors
    ///
    /// [`Error::Supply`] where the buffers are not writable and of the sizes that
    /// [`batch_bytes`](Self::batch_bytes) says; [`Error::Forked`].
    ///
    /// # Safety
    ///
    /// The memory must be initialised, and nobody else may touch it until the batch on it came out
    /// or the epoch was dropped.
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

    /// The number of batches not yet taken; None where a sampler does not say how many it is good
    /// for.
    pub fn remaining(&self) -> Option<usize> {
        if self.is_forked() {
            return Some(0);
        }
        let state = self.shared.lock();
        if state.stop {
            return Some(0);
        }
        let batches = match &state.feed {
            Some(feed) => feed.expected_batches()?,
            None => self.shared.plan.batches,
        };
        Some(batches.saturating_sub(state.taken))
    }

    /// The next batch, waiting for the workers no longer than `patience`, which counts as handed
    /// out.
    ///
    /// Whoever waits helps to make it: a chunk that was begun is finished, also beyond `patience`;
    /// none is begun where that is zero. Without workers the batch is made here and now, however
    /// long it takes.
    pub fn next_within(&mut self, patience: Duration) -> Progress {
        let progress = self.take_within(patience);
        match &progress {
            Progress::Batch(Ok(Batch { receipt: Some(receipt), .. })) => receipt.hand_out(),
            Progress::Finished => self.end().iter().for_each(Receipt::hand_out),
            Progress::Batch(_) | Progress::Pending => {}
        }
        progress
    }

    /// As [`next_within`](Self::next_within), for a caller that sends batches further before it
    /// hands them out: the batch's [`Receipt`] counts it, and [`end`](Self::end) the end.
    pub fn take_within(&mut self, patience: Duration) -> Progress {
        if self.is_forked() {
            return Progress::Batch(Err(Error::Forked));
        }
        if self.workers.is_empty() { self.make_here() } else { self.wait(patience) }
    }

    /// What was made, as a batch that counts.
    fn finish(
        shared: &Shared,
        tracker: Option<&Arc<Tracker>>,
        mut making: Making,
    ) -> Result<Batch> {
        let note = making.note.take();
        let mut batch = shared.plan.finish(making)?;
        batch.receipt = tracker.map(|tracker| shared.receipt(&shared.lock(), tracker, note));
        Ok(batch)
    }

    /// Passes over the next batch without making it, and counts it as handed out: its items; None
    /// where the epoch is over. Of an epoch without workers.
    ///
    /// # Errors
    ///
    /// [`Error::NotRead`] where a sampler was not read as far; what makes the batch's items no
    /// items.
    ///
    /// # Panics
    ///
    /// Where the epoch has workers.
    pub fn pass_over(&mut self) -> Result<Option<Vec<usize>>> {
        assert!(self.workers.is_empty(), "workers make every batch");
        let plan = &self.shared.plan;
        let state = &mut *self.shared.lock();
        let batch = state.taken;
        if state.stop || batch == self.shared.batches(state) {
            return Ok(None);
        }
        let (items, note) = match state.feed.as_mut() {
            Some(feed) => {
                let fed = feed.take()?.ok_or(Error::NotRead { batch })?;
                (fed.items, fed.note)
            }
            None => (plan.items_of(batch)?, None),
        };
        state.taken += 1;
        if let Some(tracker) = &self.tracker {
            self.shared.receipt(state, tracker, note).hand_out();
        }
        Ok(Some(items))
    }

    /// Makes the `number`-th batch, whichever were made before; None where there is none. Of an
    /// epoch without workers whose order is known.
    ///
    /// # Panics
    ///
    /// Where the epoch has workers, or reads a sampler.
    pub fn batch_at(&mut self, number: usize) -> Option<Result<Batch>> {
        assert!(self.workers.is_empty(), "workers make batches in order");
        {
            let state = &mut *self.shared.lock();
            assert!(state.feed.is_none(), "a sampler gives batches in order");
            state.taken = number.min(self.shared.plan.batches);
            // An error before this batch was of another.
            state.stop = false;
        }
        match self.make_here() {
            Progress::Batch(batch) => Some(batch),
            Progress::Pending | Progress::Finished => None,
        }
    }

    /// Which epoch it is.
    pub fn number(&self) -> u32 {
        self.shared.plan.epoch
    }

    /// The place of the order that it starts at.
    pub fn first_place(&self) -> usize {
        self.shared.plan.start
    }

    /// The rank that it is of.
    pub fn shard(&self) -> Shard {
        self.shared.plan.shard
    }

    fn make_here(&mut self) -> Progress {
        let Epoch { shared, scratch, tracker, .. } = self;
        let plan = &shared.plan;
        let (batch, begun, is_read) = {
            let state = &mut *shared.lock();
            let batch = state.taken;
            if state.stop || batch == shared.batches(state) {
                return Progress::Finished;
            }
            state.taken += 1;
            let is_read = state.feed.as_ref().is_none_or(Feed::has_batch);
            (batch, plan.begin(batch, &mut state.supply, state.feed.as_mut()), is_read)
        };
        let made = begun.and_then(|making| {
            let making = making.ok_or(if is_read {
                Error::NotSupplied { batch }
            } else {
                Error::NotRead { batch }
            })?;
            let pieces = making.mixture.as_ref().map_or(0, Mixture::pieces);
            for (stage, count) in [(Stage::Items, making.places.len()), (Stage::Mixing, pieces)] {
                // SAFETY: the batch was begun here, and nobody else knows of it; its items are made
                // before it is mixed.
                unsafe { plan.work_caught(batch, &making, stage, 0..count, scratch) }
                    .map_err(|failure| failure.error)?;
            }
            Epoch::finish(shared, tracker.as_ref(), making)
        });
        if made.is_err() {
            shared.lock().stop = true;
        }
        Progress::Batch(made)
    }

    /// Waits for the batch that is due, and helps to make it meanwhile.
    fn wait(&mut self, patience: Duration) -> Progress {
        let shared = &*self.shared;
        let plan = &shared.plan;
        // A year is for ever, and there is such an instant.
        let deadline = Instant::now() + patience.min(Duration::from_hours(24 * 365));
        let mut state = shared.lock();
        loop {
            if state.taken == shared.batches(&state) || state.stop {
                return Progress::Finished;
            }
            if state.window.front().is_some_and(InFlight::is_done) {
                break;
            }
            if state.window.is_empty() && state.feed.as_ref().is_some_and(|feed| !feed.has_batch())
            {
                state.stop = true;
                return Progress::Batch(Err(Error::NotRead { batch: state.taken }));
            }
            if plan.memory == Memory::Supplied && state.supply.batches == state.taken {
                state.stop = true;
                return Progress::Batch(Err(Error::NotSupplied { batch: state.taken }));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Progress::Pending;
            }
            if let Some(claim) = shared.claim_meanwhile(&mut state) {
                drop(state);
                state = shared.make(claim, &mut self.scratch);
            } else if state.window.front().is_some_and(InFlight::is_done) {
                // It could not begin.
                break;
            } else {
                state =
                    shared.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        let Some(InFlight { making, failure, .. }) = state.window.pop_front() else {
            return Progress::Pending;
        };
        state.taken += 1;
        if failure.is_some() {
            state.stop = true;
        }
        drop(state);
        self.shared.work.notify_all();
        if let Some(failure) = failure {
            return Progress::Batch(Err(failure.error));
        }
        let making = Arc::into_inner(making)
            .expect("workers give up a batch's memory before they call it done");
        let finished = Epoch::finish(&self.shared, self.tracker.as_ref(), making);
        if finished.is_err() {
            self.shared.lock().stop = true;
            self.shared.work.notify_all();
        }
        Progress::Batch(finished)
    }
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
