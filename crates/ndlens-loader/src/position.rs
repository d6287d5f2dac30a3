//! Where a loader stands: the epoch in hand, how far it has come, and the epoch after it.
//!
//! Several epochs may run at once; the one begun last is the one in hand.
//!
//! A fork may copy the lock while a thread that stays behind holds it, for good. So a forked process has a position of its own, which
//! starts from what the fork left.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use crate::note::Note;

/// A place in the order of an epoch, and what a state keeps there.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) epoch: u32,
    pub(crate) place: usize,
    pub(crate) note: Option<Note>,
}

#[derive(Debug, Default, Clone)]
struct Stand {
    /// Epochs begun, and states loaded: tells the epoch in hand from older ones.
    run: u64,
    /// The epoch in hand and the first place of its order that is not taken, until all of it is.
    in_hand: Option<Point>,
    /// The epoch to begin next, and the place to begin it at.
    next: Point,
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
        let next_epoch = AtomicU32::new(stand.next.epoch);
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
                let epoch = self.next_epoch.load(Ordering::Relaxed);
                Stand { next: Point { epoch, ..Point::default() }, ..Stand::default() }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stand> {
        // Nothing panics while it is held.
        self.own(std::process::id()).stand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes it what is begun next.
    fn set_next(&self, stand: &mut Stand, next: Point) {
        self.own(std::process::id()).next_epoch.store(next.epoch, Ordering::Relaxed);
        stand.next = next;
    }

    /// The epoch to begin, and its first place, which is now in hand; `note` is what a state keeps there, if it is more than was kept
    /// before.
    pub(crate) fn begin(self: &Arc<Self>, note: Option<Note>) -> (u32, usize, Tracker) {
        let mut stand = self.lock();
        stand.run += 1;
        let mut begun = stand.next.clone();
        begun.note = note.or(begun.note);
        let (epoch, start) = (begun.epoch, begun.place);
        self.set_next(&mut stand, Point { epoch: epoch.wrapping_add(1), place: 0, note: None });
        stand.in_hand = Some(begun);
        let tracker = Tracker { position: Arc::clone(self), run: stand.run, epoch };
        (epoch, start, tracker)
    }

    /// What is begun next.
    pub(crate) fn next(&self) -> Point {
        self.lock().next.clone()
    }

    /// Makes `epoch` the one to begin next. One that is to be resumed is still resumed.
    pub(crate) fn set_next_epoch(&self, epoch: u32) {
        let mut stand = self.lock();
        if stand.next.epoch != epoch {
            self.set_next(&mut stand, Point { epoch, ..Point::default() });
        }
    }

    /// Where to go on from.
    pub(crate) fn get(&self) -> Point {
        let stand = self.lock();
        stand.in_hand.as_ref().unwrap_or(&stand.next).clone()
    }

    /// Goes on from there. Epochs that still run no longer count.
    pub(crate) fn set(&self, point: Point) {
        let mut stand = self.lock();
        stand.run += 1;
        let before = stand.in_hand.take();
        self.set_next(&mut stand, point);
        // What goes with it may call others, who may come back here.
        drop(stand);
        drop(before);
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
    pub(crate) fn reached(&self, place: Option<usize>, note: Option<Note>) {
        let mut stand = self.position.lock();
        if stand.run != self.run {
            return;
        }
        let further = |point: &Point| place.is_none_or(|place| place > point.place);
        let before = match place {
            Some(place) if stand.in_hand.as_ref().is_some_and(further) => {
                stand.in_hand.replace(Point { epoch: self.epoch, place, note })
            }
            Some(_) => None,
            None => {
                let before = stand.in_hand.take();
                // What is kept at the end is where the next epoch begins.
                if note.is_some() && stand.next.epoch == self.epoch.wrapping_add(1) {
                    stand.next.note = note;
                }
                before
            }
        };
        drop(stand);
        drop(before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u32, place: usize) -> Point {
        Point { epoch, place, note: None }
    }

    #[test]
    fn what_threads_say_out_of_turn_does_not_go_back() {
        let position = Arc::new(Position::default());
        let (_, _, tracker) = position.begin(None);
        tracker.reached(Some(20), None);
        tracker.reached(Some(10), None);
        assert_eq!(position.get(), at(0, 20));
        tracker.reached(None, None);
        tracker.reached(Some(30), None);
        assert_eq!(position.get(), at(1, 0));
    }

    #[test]
    fn what_is_kept_goes_with_its_place_and_from_an_end_to_the_next_beginning() {
        let position = Arc::new(Position::default());
        let [begin, middle, end] = [1, 2, 3].map(Note::new);
        let (_, _, tracker) = position.begin(Some(begin.clone()));
        assert_eq!(position.get(), Point { note: Some(begin), ..at(0, 0) });
        tracker.reached(Some(4), Some(middle.clone()));
        assert_eq!(position.get(), Point { note: Some(middle), ..at(0, 4) });
        tracker.reached(None, Some(end.clone()));
        assert_eq!(position.get(), Point { note: Some(end.clone()), ..at(1, 0) });
        let _ = position.begin(None);
        assert_eq!(position.get(), Point { note: Some(end), ..at(1, 0) });
        // An epoch that is no longer in hand keeps nothing.
        tracker.reached(None, Some(Note::new(4)));
        assert_eq!(position.next(), at(2, 0));
    }

    #[test]
    fn a_forked_process_goes_on_from_what_the_fork_left() {
        let parent = Arc::new(Position::default());
        parent.set(at(3, 40));
        let child = parent.own(1);
        assert_eq!((child.process, child.left().next), (1, at(3, 40)));
        // Each process has one of its own from then on.
        parent.set(at(5, 0));
        assert_eq!(parent.own(1).left().next, at(3, 40));
        assert_eq!(parent.get(), at(5, 0));
        // A child of the child, forked while its lock was held.
        let held = child.stand.lock().unwrap();
        assert_eq!(child.own(2).left().next, at(3, 0));
        drop(held);
    }
}
