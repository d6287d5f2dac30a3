//! Threads that make batches ahead of the one who takes them.
//!
//! An [`Epoch`] makes batches `0..n` in order. With workers, at most `prefetch` batches are begun and not yet taken; they
//! stand in a window, oldest first. A batch is cut into chunks of items; each worker claims the next chunk of the oldest
//! batch that has one left, so that all hurry the batch that is wanted first. For the same reason no batch is begun beside the
//! first where that takes memory from the system, which may be slow to find it. Without workers the caller makes each batch when it
//! asks for it.
//!
//! Where batches are mixed, a batch has two stages: once all its items are made, its mixing is cut into pieces that are claimed as
//! chunks are. Until the last item is made, workers go on with the batch after it.
//!
//! # The rules of a clean end
//!
//! 1. Dropping an epoch stops it: workers finish the chunk in hand, take no other, and are joined.
//! 2. Batches that were handed out stay valid; batches that were not give their memory back.
//! 3. An error stops the batch it is in; it comes out of `next` when that batch is due, after all batches before it, and
//!    ends the epoch. Of several errors in a batch the one of its first item comes out, whatever the threads did. Labels that
//!    cannot be mixed are errors of their items.
//! 4. A panic in a worker is such an error.
//! 5. Where batch memory is [`Supplied`](crate::Memory::Supplied), a batch begins only once there is memory for it, and whoever waits
//!    for one without having supplied it gets an error: a worker that waits for memory never keeps the taker waiting.
//! 6. A batch is mixed when all its items are made without an error, each piece once, and handed out when all pieces are done.
//!    Mixing reads and writes batch memory only: no source, so nothing that a signal could meet.
//! 7. In a process forked while an epoch runs, that epoch has no workers: `next` says so, and dropping it there touches
//!    neither locks nor threads, which belong to the parent.

#![expect(unsafe_code, reason = "cuts batch memory into disjoint pieces; see UNSAFE.md")]

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use ndlens_core::{Buffer, View};
use ndlens_kernels::Stores;
use ndlens_store::Reading;

use crate::error::{Error, Result};
use crate::loader::{Compiled, Config, Draws};
use crate::mix::{Mixer, Mixture};
use crate::order::Order as ItemOrder;
use crate::pool::Slab;
use crate::position::Tracker;
use crate::scratch::Scratch;
use crate::shard::Shard;
use crate::storing::Storing;
use crate::supply::{self, Memory, Supply};
use crate::sync::{Builder, Condvar, JoinHandle, Mutex, MutexGuard};

/// A chunk is at least so many bytes of output, so that claiming it, a lock and a few stores, does not show.
const MIN_CHUNK_BYTES: usize = 256 << 10;

/// And at most so many, if it is more than an item: the first item of a chunk is the one that nobody asks for ahead, which shows
/// where items are only copied.
const MAX_CHUNK_BYTES: usize = 1 << 20;

/// Into how many chunks for each worker a batch is cut between these sizes, so that all workers end with it at about the same time.
const CHUNKS_PER_WORKER: usize = 4;

/// Items numbered at a time: their numbers stay in the first-level cache, and are enough to look ahead.
const MAX_BLOCK_ITEMS: usize = 512;

/// Guards this thread while it reads items, if bytes of some may go missing meanwhile.
pub(crate) fn reading(fields: &[Compiled]) -> Option<Reading> {
    fields.iter().any(|field| field.source.can_shrink()).then(Reading::begin)
}

/// One batch: a view for each field, of shape (items, ..). It is yours until you drop it.
#[derive(Debug, Clone)]
pub struct Batch {
    views: Vec<View>,
    params: Option<Vec<String>>,
    mixed: Option<String>,
    receipt: Option<Receipt>,
}

/// What tells the loader that a batch was handed out, apart from the batch.
#[derive(Debug, Clone)]
pub struct Receipt {
    tracker: Arc<Tracker>,
    /// The first place of the order that is then not handed out.
    reached: Option<usize>,
}

impl Receipt {
    /// Counts the batch, and all before it, for [`Loader::state`](crate::Loader::state).
    pub fn hand_out(&self) {
        self.tracker.reached(self.reached);
    }
}

impl Batch {
    /// One view for each field, in the order of the fields.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// What was drawn, where [`Config::return_params`] asks for it: for each field a JSON array with an object for each item,
    /// as [`Program::params_to_json`](crate::Program::params_to_json) gives it.
    pub fn params(&self) -> Option<&[String]> {
        self.params.as_deref()
    }

    /// What was drawn to mix the batch, where [`Config::return_params`] asks for it and it was mixed: a JSON object with the name of
    /// what mixed it and its parameters, as `{"MixUp": {"lam": 0.25}}` or
    /// `{"CutMix": {"lam": 0.5, "box": [x1, y1, x2, y2], "lam_adjusted": 0.6}}`.
    pub fn mixed(&self) -> Option<&str> {
        self.mixed.as_deref()
    }

    /// What counts it as handed out; None where its epoch does not count, as one of [`Loader::epoch`](crate::Loader::epoch).
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// The same, by value.
    pub fn into_views(self) -> Vec<View> {
        self.views
    }
}

/// The error of a batch, and the row it happened in.
#[derive(Debug)]
struct Failure {
    row: usize,
    error: Error,
}

/// What to make, the same for all threads.
#[derive(Debug)]
struct Plan {
    fields: Arc<[Compiled]>,
    order: ItemOrder,
    shard: Shard,
    epoch: u32,
    /// The place of the order that the epoch starts at.
    start: usize,
    /// The number of items, of those from there on, that this rank takes.
    items: usize,
    batch_size: usize,
    batches: usize,
    chunk_items: usize,
    return_params: bool,
    mixer: Option<Arc<Mixer>>,
    storing: Storing,
    memory: Memory,
    /// Whether items are asked for before they are read: the data does not fit memory, so most of them are not there.
    prefetches: bool,
}

/// Whether what fields map is more than the memory that is left, of which the system's cache of files is a part.
fn exceeds_memory(fields: &[Compiled]) -> bool {
    let mapped = fields.iter().map(|field| field.source.mapped_bytes() as u64).sum::<u64>();
    mapped > 0 && mapped > ndlens_store::available_bytes()
}

impl Plan {
    /// Which of this rank's items batch `batch` takes.
    fn places(&self, batch: usize) -> Range<usize> {
        let start = batch * self.batch_size;
        start..(start + self.batch_size).min(self.items)
    }

    /// Begins a batch; None where its memory is to be supplied and is not there.
    fn begin(&self, batch: usize, supply: &mut Supply) -> Result<Option<Making>> {
        let mut slabs = match self.memory {
            Memory::Pooled => self.fields.iter().map(|field| field.pool.lease()).collect::<Result<_>>()?,
            Memory::Supplied => match supply.take() {
                Some(slabs) => slabs,
                None => return Ok(None),
            },
        };
        let places = self.places(batch);
        let begin = |mixer: &Arc<Mixer>| {
            let place = self.shard.place(self.start, places.start, self.order.len());
            let drawn = mixer.draw(self.epoch, place as u64);
            // Probabilities are what is handed out, so they come on what was supplied, and the labels they are made of do not.
            let soft = match mixer.softened() {
                Some(labels) if self.memory == Memory::Supplied => {
                    Some(mem::replace(&mut slabs[labels], self.fields[labels].pool.lease()?))
                }
                _ => None,
            };
            mixer.begin(&self.fields, drawn, places.len(), soft)
        };
        let mixture = self.mixer.as_ref().map(begin).transpose()?;
        Ok(Some(Making { slabs, places, mixture }))
    }

    /// Whether a batch can begin without memory from the system.
    fn has_memory(&self) -> bool {
        self.memory == Memory::Supplied || self.fields.iter().all(|field| field.pool.has_free())
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
        scratch: &mut Scratch,
    ) -> Result<(), Box<Failure>> {
        if self.prefetches {
            self.prefetch(making, &rows);
        }
        let _reading = reading(&self.fields);
        // One look at each source for all rows; only where bytes are missing, one for each item.
        let complete: Vec<bool> = self.fields.iter().map(|field| field.source.is_complete()).collect();
        let mut items = [0; MAX_BLOCK_ITEMS];
        for start in rows.clone().step_by(MAX_BLOCK_ITEMS) {
            let block = start..(start + MAX_BLOCK_ITEMS).min(rows.end);
            let items = &mut items[..block.len()];
            self.items(making.places.start + start, items);
            let mut alone = false;
            // The first label that is no class, of those taken many at once.
            let mut outside: Option<(usize, Error)> = None;
            for (at, ((field, slab), &complete)) in
                self.fields.iter().zip(&making.slabs).zip(&complete).enumerate()
            {
                let Some(take) = field.take.as_ref().filter(|_| complete) else {
                    alone = true;
                    continue;
                };
                let nbytes = take.row_bytes();
                // SAFETY: the rows of a block are one piece, and this thread alone makes them.
                let destination = unsafe { slab.piece(block.start * nbytes, block.len() * nbytes) };
                take.rows(items, destination, self.stores(at, nbytes))
                    .map_err(|error| Box::new(Failure { row: block.start, error: error.into() }))?;
                outside = outside.or(self.check_labels(at, destination, items));
            }
            if alone {
                // Items from there on no longer matter.
                let rows = block.start..outside.as_ref().map_or(block.end, |(place, _)| block.start + place);
                // SAFETY: passed on.
                unsafe { self.make_each(making, rows, items, &complete, scratch) }?;
            }
            let lost = |(field, &complete): (&Compiled, &bool)| field.first_lost(complete, items);
            let lost = self.fields.iter().zip(&complete).filter_map(lost);
            let first = lost.chain(outside).min_by_key(|&(place, _)| place);
            if let Some((place, error)) = first {
                return Err(Box::new(Failure { row: block.start + place, error }));
            }
        }
        Ok(())
    }

    /// Makes, one after another, the items of those fields that cannot be taken many at once.
    ///
    /// # Safety
    ///
    /// As [`make`](Self::make).
    unsafe fn make_each(
        &self,
        making: &Making,
        rows: Range<usize>,
        items: &[usize],
        complete: &[bool],
        scratch: &mut Scratch,
    ) -> Result<(), Box<Failure>> {
        for (row, &item) in rows.zip(items) {
            let draws_as = self.draws_as(making.places.start + row, item);
            for (at, ((field, slab), &complete)) in
                self.fields.iter().zip(&making.slabs).zip(complete).enumerate()
            {
                if field.take.is_some() && complete {
                    continue;
                }
                let nbytes = field.program.nbytes();
                let stores = self.stores(at, nbytes);
                let draws = Draws { stream: field.stream, epoch: self.epoch, item: draws_as };
                // SAFETY: each row is a piece of its own, and this thread alone makes it.
                let destination = unsafe { slab.piece(row * nbytes, nbytes) };
                let made = field.make(item, complete, draws, destination, stores, scratch);
                made.map_err(|error| Box::new(Failure { row, error: field.fail(item, error) }))?;
                if let Some((_, error)) = self.check_labels(at, destination, &[item]) {
                    return Err(Box::new(Failure { row, error }));
                }
            }
        }
        Ok(())
    }

    /// How to write items of so many bytes, of the field at `at`.
    fn stores(&self, at: usize, nbytes: usize) -> Stores {
        // What is read again at once stays in the cache.
        let mixed = self.mixer.as_ref().is_some_and(|mixer| mixer.mixes(at));
        let storing = if mixed && self.storing == Storing::Auto { Storing::Cached } else { self.storing };
        storing.of(nbytes * self.batch_size)
    }

    /// The first of these items, just made of the field at `at`, that is a label and cannot be mixed.
    fn check_labels(&self, at: usize, made: &[u8], items: &[usize]) -> Option<(usize, Error)> {
        self.mixer.as_ref().and_then(|mixer| mixer.check_labels(&self.fields, at, made, items))
    }

    /// Asks for the items at these rows of the next batch, and for those of the first.
    fn prefetch(&self, making: &Making, rows: &Range<usize>) {
        let (first, next) = (making.places.start, making.places.start + self.batch_size);
        let starts = if first == 0 { &[first, next][..] } else { &[next] };
        for k in starts.iter().flat_map(|start| rows.clone().map(move |row| start + row)) {
            if k < self.items {
                let item = self.order.at(self.shard.place(self.start, k, self.order.len()));
                self.fields.iter().for_each(|field| field.source.prefetch(item));
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
        scratch: &mut Scratch,
    ) -> Result<(), Box<Failure>> {
        let Some(mixture) = &making.mixture else { return Ok(()) };
        // SAFETY: passed on.
        unsafe { mixture.mix(&self.fields, &making.slabs, pieces, scratch) }
            .map_err(|error| Box::new(Failure { row: 0, error }))
    }

    /// As [`make`](Self::make) or [`mix`](Self::mix), with a panic as an error of the batch.
    ///
    /// # Safety
    ///
    /// As for the one that `stage` says.
    unsafe fn work_caught(
        &self,
        batch: usize,
        making: &Making,
        stage: Stage,
        range: Range<usize>,
        scratch: &mut Scratch,
    ) -> Result<(), Box<Failure>> {
        let row = range.start;
        // SAFETY: passed on. After a panic the rows are never handed out, so it does not matter what is in them.
        let done = catch_unwind(AssertUnwindSafe(|| unsafe {
            match stage {
                Stage::Items => self.make(making, range, scratch),
                Stage::Mixing => self.mix(making, range, scratch),
            }
        }));
        done.unwrap_or_else(|panic| {
            let error = Error::WorkerPanicked { batch, message: panic_message(&*panic) };
            Err(Box::new(Failure { row, error }))
        })
    }

    /// The items that this rank takes, from the `first`-th on, as many as there is room for.
    fn items(&self, first: usize, items: &mut [usize]) {
        let all = self.order.len();
        (first..).zip(&mut *items).for_each(|(k, place)| *place = self.shard.place(self.start, k, all));
        self.order.replace(items);
    }

    /// What stands in its draws for the k-th item that this rank takes.
    fn draws_as(&self, k: usize, item: usize) -> u64 {
        self.order.draws_as(self.shard.place(self.start, k, self.order.len()), item)
    }

    /// The first place that no rank has taken once this many batches are; None where all are.
    fn reached(&self, batches: usize) -> Option<usize> {
        let taken = self.places(batches).start;
        (batches < self.batches).then(|| self.shard.reached(self.start, taken, self.order.len()))
    }

    fn finish(&self, making: Making) -> Result<Batch> {
        let (rows, places) = (making.places.len(), making.places.clone());
        let wrap = |(field, slab): (&Compiled, Slab)| {
            let dtype = field.program.dtype().clone();
            let layout = field.program.batch_layout(rows)?;
            Ok(View::new(slab.freeze(), layout, dtype)?)
        };
        let mut views = self.fields.iter().zip(making.slabs).map(wrap).collect::<Result<Vec<_>>>()?;
        let mut mixed = None;
        if let (Some(mixer), Some(mixture)) = (&self.mixer, making.mixture) {
            mixed = self.return_params.then(|| mixer.params_to_json(mixture.drawn()).to_string());
            if let (Some(labels), Some(view)) = (mixer.softened(), mixture.probabilities(mixer)?) {
                views[labels] = view;
            }
        }
        let params = self.return_params.then(|| self.params(places)).transpose()?;
        Ok(Batch { views, params, mixed, receipt: None })
    }

    /// What is drawn for items: the same whenever it is asked.
    fn params(&self, places: Range<usize>) -> Result<Vec<String>> {
        let mut items = vec![0; places.len()];
        self.items(places.start, &mut items);
        let of_field = |field: &Compiled| {
            let of_item = |(k, &item): (usize, &usize)| {
                let draws_as = self.draws_as(k, item);
                let drawn =
                    field.source.item(item).map_err(Error::from).and_then(|image| {
                        field.program.draw(field.stream, self.epoch, draws_as, image.shape())
                    });
                Ok(field.program.params_to_json(&drawn.map_err(|error| field.fail(item, error))?))
            };
            let items = places.clone().zip(&items).map(of_item).collect::<Result<Vec<_>>>()?;
            Ok(serde_json::Value::Array(items).to_string())
        };
        self.fields.iter().map(of_field).collect()
    }
}

/// The memory of a batch that is not finished.
#[derive(Debug)]
struct Making {
    slabs: Vec<Slab>,
    places: Range<usize>,
    mixture: Option<Mixture>,
}

/// What a batch waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its items.
    Items,
    /// Its mixing, once all items are made.
    Mixing,
}

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
        let last = self.stage == Stage::Mixing || self.making.mixture.is_none() || self.failure.is_some();
        last && self.working == 0 && self.unclaimed == self.work()
    }

    /// Goes on to the mixing where all items are made; says whether it did, and there is something to mix.
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

    /// The next chunk of the oldest batch that has one, beginning a batch if there is room for it.
    fn claim(&self, state: &mut State) -> Option<Claim> {
        let mut at = state.window.iter().position(|batch| batch.unclaimed < batch.work());
        if at.is_none() && state.window.len() < self.prefetch && self.may_begin(state) {
            let batch = state.taken + state.window.len();
            if batch < self.plan.batches {
                let (making, failure) = match self.plan.begin(batch, &mut state.supply) {
                    Ok(Some(making)) => (making, None),
                    Ok(None) => return None,
                    Err(error) => {
                        let making = Making { slabs: vec![], places: 0..0, mixture: None };
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
        let count = if stage == Stage::Items { self.plan.chunk_items } else { 1 };
        let range = start..(start + count).min(in_flight.work());
        in_flight.unclaimed = range.end;
        in_flight.working += 1;
        Some(Claim { batch: state.taken + at, making: Arc::clone(&in_flight.making), stage, range })
    }

    /// Whether a batch may begin beside those in the window: beside the first of an epoch only where that costs it no time.
    fn may_begin(&self, state: &State) -> bool {
        state.taken > 0 || state.window.front().is_none_or(InFlight::is_done) || self.plan.has_memory()
    }

    fn work(&self) {
        let mut scratch = Scratch::default();
        loop {
            let claim = {
                let mut state = self.lock();
                loop {
                    if state.stop {
                        return;
                    }
                    if let Some(claim) = self.claim(&mut state) {
                        break claim;
                    }
                    state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            };
            let Claim { batch, making, stage, range } = claim;
            // SAFETY: a claim moves `unclaimed` past its rows or pieces under the lock, so no other claim has any of them. Pieces are
            // claimed once all rows are made, which was seen under the lock too.
            let failure = unsafe { self.plan.work_caught(batch, &making, stage, range, &mut scratch) }.err();
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
            if in_flight.advance() {
                // For those who found nothing left to claim.
                self.work.notify_all();
            }
            if at == 0 && in_flight.is_done() {
                self.done.notify_all();
                if batch == 0 {
                    // Who found no room beside it has some now.
                    self.work.notify_all();
                }
            }
        }
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
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
    pub(crate) order: ItemOrder,
    pub(crate) start: usize,
    pub(crate) tracker: Option<Tracker>,
    /// How its batches are mixed.
    pub(crate) mixer: Option<Arc<Mixer>>,
}

impl Epoch {
    pub(crate) fn start(fields: Arc<[Compiled]>, config: &Config, course: Course) -> Result<Self> {
        let Course { epoch, order, start, tracker, mixer } = course;
        let tracker = tracker.map(Arc::new);
        let items = config.shard.share(order.len() - start);
        let batch_size = config.batch_size.min(items.max(1));
        let item_bytes = fields.iter().map(|field| field.program.nbytes()).sum::<usize>().max(1);
        let chunk_bytes =
            (item_bytes.saturating_mul(batch_size) / CHUNKS_PER_WORKER / config.num_workers.max(1))
                .clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES);
        let prefetches = exceeds_memory(&fields);
        let plan = Plan {
            prefetches,
            fields,
            order,
            shard: config.shard,
            epoch,
            start,
            items,
            batch_size,
            batches: config.batches(items),
            return_params: config.return_params,
            mixer,
            chunk_items: (chunk_bytes / item_bytes).clamp(1, batch_size),
            storing: config.storing,
            memory: config.memory,
        };
        let prefetch = config.prefetch_factor;
        let (state, work, done) = Default::default();
        let scratch = Scratch::default();
        let shared = Arc::new(Shared { plan, prefetch, state, work, done });
        // From here on, an early return stops the workers that did start.
        let mut epoch = Epoch { shared, workers: vec![], process: std::process::id(), tracker, scratch };
        for worker in 0..config.num_workers {
            let shared = Arc::clone(&epoch.shared);
            let thread = Builder::new().name(format!("ndlens-{worker}"));
            let handle = thread.spawn(move || shared.work());
            epoch.workers.push(handle.map_err(|error| Error::Spawn { worker, message: error.to_string() })?);
        }
        Ok(epoch)
    }

    /// Rule 7: the workers stayed behind in another process.
    fn is_forked(&self) -> bool {
        !self.workers.is_empty() && self.process != std::process::id()
    }

    /// How many batches could be begun now if there were memory for them: how often to [`supply`](Self::supply) it before the next
    /// batch is asked for. 0 where memory is [`Memory::Pooled`].
    pub fn unsupplied(&self) -> usize {
        let plan = &self.shared.plan;
        if plan.memory == Memory::Pooled || self.is_forked() {
            return 0;
        }
        let state = self.shared.lock();
        let ahead = if self.workers.is_empty() { 1 } else { self.shared.prefetch };
        if state.stop || state.taken == plan.batches {
            0
        } else {
            (state.taken + ahead).min(plan.batches).saturating_sub(state.supply.batches)
        }
    }

    /// The bytes of a batch of each field.
    pub fn batch_bytes(&self) -> impl ExactSizeIterator<Item = usize> {
        let plan = &self.shared.plan;
        plan.fields.iter().enumerate().map(|(place, field)| {
            let soft = plan.mixer.as_ref().and_then(|mixer| mixer.batch_bytes(place));
            soft.unwrap_or(field.pool.slab_bytes())
        })
    }

    /// Gives memory for the next batch that has none, a buffer for each field; batches come on what was supplied first, in order. It
    /// is dropped when the batch is.
    ///
    /// # Errors
    ///
    /// [`Error::Supply`] where the buffers are not writable and of the sizes that [`batch_bytes`](Self::batch_bytes) says.
    ///
    /// # Safety
    ///
    /// The memory must be initialised, and nobody else may touch it until the batch on it came out or the epoch was dropped.
    pub unsafe fn supply(&self, buffers: Vec<Buffer>) -> Result<()> {
        if self.is_forked() {
            return Err(Error::Forked);
        }
        // SAFETY: passed on.
        let slabs = unsafe { supply::slabs(buffers, self.batch_bytes()) }?;
        self.shared.lock().supply.add(slabs);
        self.shared.work.notify_all();
        Ok(())
    }

    /// The number of batches not yet taken.
    pub fn remaining(&self) -> usize {
        if self.is_forked() {
            return 0;
        }
        let state = self.shared.lock();
        if state.stop { 0 } else { self.shared.plan.batches - state.taken }
    }

    /// The next batch, waiting for the workers no longer than `patience`, which counts as handed out.
    ///
    /// Without workers the batch is made here and now, however long it takes.
    pub fn next_within(&mut self, patience: Duration) -> Progress {
        let progress = self.take_within(patience);
        if let Progress::Batch(Ok(Batch { receipt: Some(receipt), .. })) = &progress {
            receipt.hand_out();
        }
        progress
    }

    /// As [`next_within`](Self::next_within), for whoever sends batches further before handing them out: the batch's
    /// [`Receipt`] counts it.
    pub fn take_within(&mut self, patience: Duration) -> Progress {
        if self.is_forked() {
            return Progress::Batch(Err(Error::Forked));
        }
        let mut progress = if self.workers.is_empty() { self.make_here() } else { self.wait(patience) };
        if let (Progress::Batch(Ok(batch)), Some(tracker)) = (&mut progress, &self.tracker) {
            let reached = self.shared.plan.reached(self.shared.lock().taken);
            batch.receipt = Some(Receipt { tracker: Arc::clone(tracker), reached });
        }
        progress
    }

    fn make_here(&mut self) -> Progress {
        let plan = &self.shared.plan;
        let (batch, begun) = {
            let mut state = self.shared.lock();
            let batch = state.taken;
            if batch == plan.batches {
                return Progress::Finished;
            }
            state.taken += 1;
            (batch, plan.begin(batch, &mut state.supply))
        };
        let made = begun.and_then(|making| {
            let making = making.ok_or(Error::NotSupplied { batch })?;
            let pieces = making.mixture.as_ref().map_or(0, Mixture::pieces);
            for (stage, count) in [(Stage::Items, making.places.len()), (Stage::Mixing, pieces)] {
                // SAFETY: the batch was begun here, and nobody else knows of it; its items are made before it is mixed.
                unsafe { plan.work_caught(batch, &making, stage, 0..count, &mut self.scratch) }
                    .map_err(|failure| failure.error)?;
            }
            plan.finish(making)
        });
        if made.is_err() {
            self.shared.lock().taken = plan.batches;
        }
        Progress::Batch(made)
    }

    fn wait(&mut self, patience: Duration) -> Progress {
        let plan = &self.shared.plan;
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        loop {
            if state.taken == plan.batches || state.stop {
                return Progress::Finished;
            }
            if state.window.front().is_some_and(InFlight::is_done) {
                break;
            }
            if plan.memory == Memory::Supplied && state.supply.batches == state.taken {
                state.stop = true;
                return Progress::Batch(Err(Error::NotSupplied { batch: state.taken }));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Progress::Pending;
            }
            state = self.shared.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
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
        let making =
            Arc::into_inner(making).expect("workers give up a batch's memory before they call it done");
        Progress::Batch(plan.finish(making))
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
