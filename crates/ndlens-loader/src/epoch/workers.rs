//! The state that the threads of an epoch share, and the loop of a worker: it claims the next chunk
//! of work and does it.

#![expect(unsafe_code, reason = "claims rows of a batch for one thread; see UNSAFE.md")]

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use crate::batch::Receipt;
use crate::epoch::feed::Feed;
use crate::epoch::make_items::Failure;
use crate::epoch::plan::{BatchStage, EpochPlan, Making};
use crate::epoch::row_notes::RowNotes;
use crate::epoch::window::{InFlight, Window};
use crate::resume::note::Note;
use crate::resume::position::Tracker;
use crate::scratch::ItemScratch;
use crate::skipped::SkipRecord;
use crate::sync::{Condvar, Mutex, MutexGuard};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plan: EpochPlan,
    pub(super) prefetch: usize,
    /// The items that were left out of the batches taken so far.
    pub(super) skipped: Arc<SkipRecord>,
    pub(super) window: Mutex<Window>,
    /// Signalled when there may be something to claim.
    pub(super) work: Condvar,
    /// Signalled when the front of the window is done.
    pub(super) done: Condvar,
}

pub(super) struct RowsClaim {
    batch: usize,
    making: Arc<Making>,
    stage: BatchStage,
    range: Range<usize>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Window> {
        // Panics of the work are caught outside the lock; nothing panics while it is held.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of batches; `usize::MAX` while a sampler has not ended.
    pub(super) fn batches(&self, window: &Window) -> usize {
        window.feed.as_ref().map_or(self.plan.batches, |feed| feed.batches().unwrap_or(usize::MAX))
    }

    /// The first place that no rank has taken once each has taken this many batches; None if none
    /// is left.
    pub(super) fn reached(&self, window: &Window, batches: usize) -> Option<usize> {
        window
            .feed
            .as_ref()
            .map_or_else(|| self.plan.reached(batches), |feed| feed.reached(batches))
    }

    /// The receipt for the batch that was taken last.
    pub(super) fn receipt(
        &self,
        window: &Window,
        tracker: &Arc<Tracker>,
        note: Option<Note>,
    ) -> Receipt {
        let reached = self.reached(window, window.taken);
        // With the last batch of all ranks the sampler is at its end.
        let ended = window.feed.as_ref().filter(|feed| reached.is_none() && feed.is_whole());
        let note = ended.map_or(note, Feed::end_note);
        Receipt { tracker: Arc::clone(tracker), reached, note }
    }

    /// The next chunk of the oldest batch that has one, of `most` items at most. It begins a batch
    /// if there is room for it.
    pub(super) fn claim(&self, window: &mut Window, most: usize) -> Option<RowsClaim> {
        let mut at = window.batches.iter().position(|batch| batch.unclaimed < batch.work());
        if at.is_none() && window.batches.len() < self.prefetch && self.may_begin(window) {
            let batch = window.taken + window.batches.len();
            if batch < self.batches(window) {
                let (making, failure) =
                    match self.plan.begin(batch, &mut window.supply, window.feed.as_mut()) {
                        Ok(Some(making)) => (making, None),
                        Ok(None) => return None,
                        Err(error) => {
                            let making = Making {
                                slabs: vec![],
                                places: 0..0,
                                fed: None,
                                note: None,
                                mixture: None,
                                notes: RowNotes::default(),
                            };
                            (making, Some(Box::new(Failure { row: 0, error })))
                        }
                    };
                let failed = failure.is_some();
                window.batches.push_back(InFlight {
                    making: Arc::new(making),
                    stage: BatchStage::Items,
                    unclaimed: 0,
                    working: 0,
                    failure,
                });
                if failed {
                    self.done.notify_all();
                    return None;
                }
                at = Some(window.batches.len() - 1);
            }
        }
        let at = at?;
        let in_flight = &mut window.batches[at];
        let (start, stage) = (in_flight.unclaimed, in_flight.stage);
        let count = if stage == BatchStage::Items {
            self.plan.chunks.next(in_flight.work() - start).min(most)
        } else {
            1
        };
        let range = start..start + count;
        in_flight.unclaimed = range.end;
        in_flight.working += 1;
        Some(RowsClaim {
            batch: window.taken + at,
            making: Arc::clone(&in_flight.making),
            stage,
            range,
        })
    }

    /// Whether a batch may begin beside those in the window: beside the first of an epoch only if
    /// that does not delay the first.
    pub(super) fn may_begin(&self, window: &Window) -> bool {
        window.taken > 0
            || window.batches.front().is_none_or(InFlight::is_done)
            || self.plan.has_memory()
    }

    /// A chunk for the consumer that waits for the batch that is due: one of that batch, or, while
    /// workers make the last of it, a short one of the next.
    pub(super) fn claim_meanwhile(&self, window: &mut Window) -> Option<RowsClaim> {
        let due_has_work = window.batches.front().is_none_or(|due| due.unclaimed < due.work());
        if due_has_work {
            self.claim(window, usize::MAX)
        } else {
            self.claim(window, self.plan.chunks.short()?)
        }
    }

    /// The loop of a worker.
    pub(super) fn work(&self) {
        let mut scratch = ItemScratch::default();
        let mut window = self.lock();
        while !window.stop {
            if let Some(claim) = self.claim(&mut window, usize::MAX) {
                drop(window);
                window = self.make(claim, &mut scratch);
            } else {
                window = self.work.wait(window).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Makes what was claimed, and returns with the lock.
    pub(super) fn make(
        &self,
        claim: RowsClaim,
        scratch: &mut ItemScratch,
    ) -> MutexGuard<'_, Window> {
        let RowsClaim { batch, making, stage, range } = claim;
        // SAFETY: a claim moves `unclaimed` past its rows or pieces under the lock, so no other
        // claim has any of them. Pieces are claimed once all rows are made, which was seen under
        // the lock too.
        let failure = unsafe { self.plan.work_caught(batch, &making, stage, range, scratch) }.err();
        // Before the batch can be done: the thread that finishes it must hold the only reference.
        drop(making);
        let mut window = self.lock();
        let at = batch - window.taken;
        let in_flight = &mut window.batches[at];
        in_flight.working -= 1;
        if let Some(failure) = failure {
            // Chunks are claimed in order, so all rows before a failed one are made or being made.
            in_flight.unclaimed = in_flight.work();
            if in_flight.failure.as_ref().is_none_or(|other| failure.row < other.row) {
                in_flight.failure = Some(failure);
            }
        }
        let advanced = in_flight.advance(&self.plan);
        let due = at == 0 && in_flight.is_done();
        if !(advanced || due) {
            return window;
        }
        // A thread that wakes up takes the lock.
        drop(window);
        if at == 0 {
            self.done.notify_all();
        }
        // Threads that found nothing to claim now have pieces to mix, or room beside the first
        // batch.
        if advanced || batch == 0 {
            self.work.notify_all();
        }
        self.lock()
    }
}
