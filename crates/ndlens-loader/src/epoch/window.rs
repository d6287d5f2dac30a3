//! The window of an epoch: batches that are begun and not yet taken, oldest first.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::epoch::feed::Feed;
use crate::epoch::make_items::Failure;
use crate::epoch::mixture::Mixture;
use crate::epoch::plan::{BatchStage, EpochPlan, Making};
use crate::memory::external::Supply;

/// A batch in the window.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) making: Arc<Making>,
    pub(super) stage: BatchStage,
    /// The first row, or piece of the mixing, that is not claimed.
    pub(super) unclaimed: usize,
    /// Chunks claimed and not finished.
    pub(super) working: usize,
    /// The error of the first row that has one.
    pub(super) failure: Option<Box<Failure>>,
}

impl InFlight {
    /// The rows or pieces of this stage.
    pub(super) fn work(&self) -> usize {
        match self.stage {
            BatchStage::Items => self.making.places.len(),
            BatchStage::Compacting => 1,
            BatchStage::Mixing => self.making.mixture.as_ref().map_or(0, Mixture::pieces),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        let is_last = match self.stage {
            BatchStage::Items => !self.making.notes.has_skipped() && self.making.mixture.is_none(),
            BatchStage::Compacting => self.making.mixture.is_none(),
            BatchStage::Mixing => true,
        };
        (is_last || self.failure.is_some()) && self.working == 0 && self.unclaimed == self.work()
    }

    /// Goes on to the next stage if this one is over. Returns whether it did and has work to claim.
    pub(super) fn advance(&mut self, plan: &EpochPlan) -> bool {
        if self.working > 0 || self.unclaimed < self.work() || self.failure.is_some() {
            return false;
        }
        let next = match self.stage {
            BatchStage::Items if self.making.notes.has_skipped() => BatchStage::Compacting,
            BatchStage::Items | BatchStage::Compacting if self.making.mixture.is_some() => {
                BatchStage::Mixing
            }
            BatchStage::Items | BatchStage::Compacting | BatchStage::Mixing => return false,
        };
        if self.stage == BatchStage::Compacting
            && let Some(making) = Arc::get_mut(&mut self.making)
            && let Err(error) = plan.fit_mixture(making)
        {
            self.failure = Some(Box::new(Failure { row: 0, error }));
            return false;
        }
        (self.stage, self.unclaimed) = (next, 0);
        self.work() > 0
    }
}

/// The batches that are begun and not yet taken, and the memory and items for the next ones.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Batches that are begun and not taken; the front is batch `taken`.
    pub(super) batches: VecDeque<InFlight>,
    pub(super) taken: usize,
    pub(super) supply: Supply,
    /// The items of a sampler, if the order is not known.
    pub(super) feed: Option<Feed>,
    pub(super) stop: bool,
}
