//! Where a loader stands: the epoch in hand, how far it has come, and the epoch after it.
//!
//! Several epochs may run at once; the one begun last is the one in hand.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
struct Stand {
    /// Epochs begun, and states loaded: tells the epoch in hand from older ones.
    run: u64,
    /// The epoch in hand and the first place of its order that is not taken, until all of it is.
    in_hand: Option<(u32, usize)>,
    /// The epoch to begin next, and the place to begin it at.
    next: (u32, usize),
}

/// Shared by a loader and its epochs.
#[derive(Debug, Default)]
pub(crate) struct Position(Mutex<Stand>);

impl Position {
    fn lock(&self) -> MutexGuard<'_, Stand> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The epoch to begin, and its first place, which is now in hand.
    pub(crate) fn begin(self: &Arc<Self>) -> (u32, usize, Tracker) {
        let mut stand = self.lock();
        stand.run += 1;
        let (epoch, start) = stand.next;
        stand.next = (epoch.wrapping_add(1), 0);
        stand.in_hand = Some((epoch, start));
        let tracker = Tracker { position: Arc::clone(self), run: stand.run, epoch };
        (epoch, start, tracker)
    }

    /// The epoch to begin next.
    pub(crate) fn next_epoch(&self) -> u32 {
        self.lock().next.0
    }

    /// Makes `epoch` the one to begin next. One that is to be resumed is still resumed.
    pub(crate) fn set_next_epoch(&self, epoch: u32) {
        let mut stand = self.lock();
        if stand.next.0 != epoch {
            stand.next = (epoch, 0);
        }
    }

    /// The epoch and the place to go on from.
    pub(crate) fn get(&self) -> (u32, usize) {
        let stand = self.lock();
        stand.in_hand.unwrap_or(stand.next)
    }

    /// Goes on from there. Epochs that still run no longer count.
    pub(crate) fn set(&self, epoch: u32, start: usize) {
        let mut stand = self.lock();
        stand.run += 1;
        (stand.in_hand, stand.next) = (None, (epoch, start));
    }
}

/// How an epoch says how far it has come.
#[derive(Debug)]
pub(crate) struct Tracker {
    position: Arc<Position>,
    run: u64,
    epoch: u32,
}

impl Tracker {
    /// All places before `place` are taken; None where all are.
    pub(crate) fn reached(&self, place: Option<usize>) {
        let mut stand = self.position.lock();
        if stand.run == self.run {
            stand.in_hand = place.map(|place| (self.epoch, place));
        }
    }
}
