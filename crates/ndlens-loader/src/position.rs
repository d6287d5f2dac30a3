//! Where a loader stands: the epoch in hand, how far it has come, and the epoch after it.
//!
//! Several epochs may run at once; the one begun last is the one in hand.
//!
//! A fork may copy the lock while a thread that stays behind holds it, for good. So a forked process has a position of its own, which
//! starts from what the fork left.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

#[derive(Debug, Default, Clone)]
struct Stand {
    /// Epochs begun, and states loaded: tells the epoch in hand from older ones.
    run: u64,
    /// The epoch in hand and the first place of its order that is not taken, until all of it is.
    in_hand: Option<(u32, usize)>,
    /// Batches of the epoch in hand that were handed out since it began here.
    handed_out: usize,
    /// Whether the epoch in hand, or the next one, goes on from a state that was loaded.
    resumed: bool,
    /// The epoch to begin next, and the place to begin it at.
    next: (u32, usize),
}

impl Stand {
    /// What a look at a resumed epoch left of it: where at most one batch was taken since the state was loaded, the next iterator
    /// goes on with the epoch. A preview of a batch would else lose the rest.
    fn previewed(&self) -> Option<(u32, usize)> {
        self.in_hand.filter(|_| self.resumed && self.handed_out <= 1)
    }
}

/// Shared by a loader and its epochs.
#[derive(Debug)]
pub(crate) struct Position {
    process: u32,
    stand: Mutex<Stand>,
    /// The epoch to begin next, for a forked process that finds the lock held.
    next_epoch: AtomicU32,
    /// That of a process forked from this one; the process itself never looks at it, so no fork finds it half made.
    forked: OnceLock<Box<Position>>,
}

impl Default for Position {
    fn default() -> Self {
        Position::of(std::process::id(), Stand::default())
    }
}

impl Position {
    fn of(process: u32, stand: Stand) -> Self {
        let next_epoch = AtomicU32::new(stand.next.0);
        Position { process, stand: Mutex::new(stand), next_epoch, forked: OnceLock::new() }
    }

    /// That of a process.
    fn own(&self, process: u32) -> &Self {
        if self.process == process {
            return self;
        }
        self.forked.get_or_init(|| Box::new(Position::of(process, self.left()))).own(process)
    }

    /// What a fork left.
    fn left(&self) -> Stand {
        match self.stand.try_lock() {
            Ok(stand) => stand.clone(),
            Err(TryLockError::Poisoned(stand)) => stand.into_inner().clone(),
            // Relaxed: a fork copies memory as it is.
            Err(TryLockError::WouldBlock) => {
                Stand { next: (self.next_epoch.load(Ordering::Relaxed), 0), ..Stand::default() }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stand> {
        // Nothing panics while it is held.
        self.own(std::process::id()).stand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it the epoch to begin next, at its `place`.
    fn set_next(&self, stand: &mut Stand, epoch: u32, place: usize) {
        stand.next = (epoch, place);
        self.own(std::process::id()).next_epoch.store(epoch, Ordering::Relaxed);
    }

    /// The epoch to begin, and its first place, which is now in hand.
    pub(crate) fn begin(self: &Arc<Self>) -> (u32, usize, Tracker) {
        let mut stand = self.lock();
        let previewed = stand.previewed();
        // Once a resumed epoch is over, or left after more than a look, the run goes on as any other.
        stand.resumed &= previewed.is_some() || stand.in_hand.is_none();
        let (epoch, start) = previewed.unwrap_or(stand.next);
        stand.run += 1;
        stand.handed_out = 0;
        self.set_next(&mut stand, epoch.wrapping_add(1), 0);
        stand.in_hand = Some((epoch, start));
        let tracker = Tracker { position: Arc::clone(self), run: stand.run, epoch };
        (epoch, start, tracker)
    }

    /// The epoch to begin next, and the place to begin it at.
    pub(crate) fn next(&self) -> (u32, usize) {
        let stand = self.lock();
        stand.previewed().unwrap_or(stand.next)
    }

    /// Makes `epoch` the one to begin next. One that is to be resumed is still resumed.
    pub(crate) fn set_next_epoch(&self, epoch: u32) {
        let mut stand = self.lock();
        if stand.previewed().unwrap_or(stand.next).0 != epoch {
            stand.resumed = false;
            self.set_next(&mut stand, epoch, 0);
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
        stand.in_hand = None;
        stand.resumed = true;
        self.set_next(&mut stand, epoch, start);
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
    /// All places before `place` are taken; None where all are. Threads that share an epoch may say so out of turn: it only goes on.
    pub(crate) fn reached(&self, place: Option<usize>) {
        let mut stand = self.position.lock();
        let further = stand.in_hand.is_some_and(|(_, now)| place.is_none_or(|place| place > now));
        if stand.run == self.run && further {
            stand.in_hand = place.map(|place| (self.epoch, place));
            stand.handed_out += 1;
            stand.resumed &= place.is_some();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_say_out_of_turn_does_not_go_back() {
        let position = Arc::new(Position::default());
        let (_, _, tracker) = position.begin();
        tracker.reached(Some(20));
        tracker.reached(Some(10));
        assert_eq!(position.get(), (0, 20));
        tracker.reached(None);
        tracker.reached(Some(30));
        assert_eq!(position.get(), (1, 0));
    }

    #[test]
    fn a_look_at_a_resumed_epoch_leaves_the_rest_of_it() {
        let position = Arc::new(Position::default());
        position.set(3, 40);
        let (epoch, start, tracker) = position.begin();
        assert_eq!((epoch, start), (3, 40));
        tracker.reached(Some(44));
        assert_eq!((position.next(), position.get()), ((3, 44), (3, 44)));
        // A second look, which takes nothing; setting the epoch that is resumed changes nothing.
        position.set_next_epoch(3);
        drop(position.begin());
        let (epoch, start, tracker) = position.begin();
        assert_eq!((epoch, start), (3, 44));
        tracker.reached(Some(48));
        tracker.reached(Some(52));
        // Left after more than a look, as any epoch may be.
        assert_eq!((position.next(), position.begin().0), ((4, 0), 4));
    }

    #[test]
    fn only_a_resumed_epoch_is_gone_on_with() {
        let position = Arc::new(Position::default());
        position.begin().2.reached(Some(4));
        assert_eq!(position.begin().0, 1);
        position.set(7, 8);
        position.begin().2.reached(None);
        assert_eq!(position.next(), (8, 0));
        position.begin().2.reached(Some(4));
        assert_eq!(position.next(), (9, 0));
        position.set(7, 8);
        position.set_next_epoch(2);
        assert_eq!(position.begin().0, 2);
    }

    #[test]
    fn a_forked_process_goes_on_from_what_the_fork_left() {
        let parent = Arc::new(Position::default());
        parent.set(3, 40);
        let child = parent.own(1);
        assert_eq!((child.process, child.left().next), (1, (3, 40)));
        // Each process has one of its own from then on.
        parent.set(5, 0);
        assert_eq!(parent.own(1).left().next, (3, 40));
        assert_eq!(parent.get(), (5, 0));
        // A child of the child, forked while its lock was held.
        let held = child.stand.lock().unwrap();
        assert_eq!(child.own(2).left().next, (3, 0));
        drop(held);
    }
}
