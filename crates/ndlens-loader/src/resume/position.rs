//! The position of a loader: the epoch in hand, its first place that is not taken, and the next
//! epoch.
//!
//! Several epochs may run at once; the one begun last is the one in hand.
//!
//! A fork may copy the lock while another thread holds it; the copy is then never released. So a
//! forked process has a position of its own, which starts from the values that the fork copied.

use std::mem;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use crate::resume::note::Note;

/// A place in the order of an epoch, and the note that a state keeps there.
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
    /// The epoch in hand and the first place of its order that is not taken; None once all are.
    in_hand: Option<Point>,
    /// Batches of the epoch in hand that were handed out since it began here.
    handed_out: usize,
    /// Whether the epoch in hand, or the next one, goes on from a state that was loaded.
    resumed: bool,
    /// The epoch to begin next, and the place to begin it at.
    next: Point,
    /// The epoch that was set as the next one since the last epoch began.
    set_epoch: Option<u32>,
}

impl Stand {
    /// The rest of a resumed epoch after a preview. If at most one batch was taken since the state
    /// was loaded, the next iterator goes on with the epoch; otherwise a preview of one batch would
    /// lose the rest.
    fn previewed(&self) -> Option<Point> {
        self.in_hand.clone().filter(|_| self.resumed && self.handed_out <= 1)
    }

    /// The point that begins next.
    fn upcoming(&self) -> Point {
        self.previewed().unwrap_or_else(|| self.next.clone())
    }

    /// Makes `epoch` what is begun next, and gives what was if that changes it. One that is to be
    /// resumed is still resumed.
    #[must_use]
    fn choose(&mut self, epoch: u32) -> Option<Point> {
        self.set_epoch = Some(epoch);
        if self.upcoming().epoch == epoch {
            return None;
        }
        self.resumed = false;
        Some(mem::replace(&mut self.next, Point { epoch, ..Point::default() }))
    }
}

/// The position that a loader and its epochs share.
#[derive(Debug)]
pub(crate) struct Position {
    process: u32,
    stand: Mutex<Stand>,
    /// The epoch to begin next, for a forked process that finds the lock held.
    next_epoch: AtomicU32,
    /// The position of a process forked from this one. The process itself never reads it, so no
    /// fork finds it half made.
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

    /// The position of a process.
    fn own(&self, process: u32) -> &Self {
        if self.process == process {
            return self;
        }
        self.forked.get_or_init(|| Box::new(Position::of(process, self.left()))).own(process)
    }

    /// The values that a fork copied.
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

    /// Sets the point to begin next, and returns the old one. The caller drops that without the
    /// lock: a note may hold the caller's object, whose drop may call back into this position.
    #[must_use]
    fn set_next(&self, stand: &mut Stand, next: Point) -> Point {
        let before = mem::replace(&mut stand.next, next);
        self.note_next(stand);
        before
    }

    /// Keeps the epoch to begin next for a process that is forked while the lock is held.
    fn note_next(&self, stand: &Stand) {
        self.own(std::process::id()).next_epoch.store(stand.next.epoch, Ordering::Relaxed);
    }

    /// The epoch to begin, and its first place, which is now in hand; `note` is the note that a
    /// state keeps there, if it replaces the one before.
    pub(crate) fn begin(self: &Arc<Self>, note: Option<Note>) -> Begun {
        let mut stand = self.lock();
        let before = stand.clone();
        let previewed = stand.previewed();
        // Once a resumed epoch is over, or left after more than a preview, the run goes on as any
        // other.
        stand.resumed &= previewed.is_some() || stand.in_hand.is_none();
        stand.run += 1;
        stand.handed_out = 0;
        stand.set_epoch = None;
        let mut begun = previewed.unwrap_or_else(|| stand.next.clone());
        begun.note = note.or(begun.note);
        let (epoch, start) = (begun.epoch, begun.place);
        let next =
            self.set_next(&mut stand, Point { epoch: epoch.wrapping_add(1), place: 0, note: None });
        let in_hand = stand.in_hand.replace(begun);
        let run = stand.run;
        drop(stand);
        drop((next, in_hand));
        let tracker = Tracker { position: Arc::clone(self), run, epoch };
        Begun { epoch, start, tracker, undo: Undo { position: Arc::clone(self), run, before } }
    }

    /// The point that begins next.
    pub(crate) fn next(&self) -> Point {
        self.lock().upcoming()
    }

    /// Makes `epoch` the one to begin next. An epoch that is to be resumed is still resumed.
    pub(crate) fn set_next_epoch(&self, epoch: u32) {
        let mut stand = self.lock();
        let before = stand.choose(epoch);
        self.note_next(&stand);
        drop(stand);
        drop(before);
    }

    /// The point to go on from.
    pub(crate) fn get(&self) -> Point {
        let stand = self.lock();
        stand.in_hand.as_ref().unwrap_or(&stand.next).clone()
    }

    /// Sets the point to go on from. Epochs that still run no longer count.
    pub(crate) fn set(&self, point: Point) {
        let mut stand = self.lock();
        stand.run += 1;
        let in_hand = stand.in_hand.take();
        stand.resumed = true;
        let next = self.set_next(&mut stand, point);
        drop(stand);
        drop((next, in_hand));
    }
}

/// An epoch that is begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) epoch: u32,
    /// The first place of its order.
    pub(crate) start: usize,
    pub(crate) tracker: Tracker,
    pub(crate) undo: Undo,
}

/// The position of a loader before an epoch began.
#[derive(Debug)]
pub(crate) struct Undo {
    position: Arc<Position>,
    run: u64,
    before: Stand,
}

impl Undo {
    /// The epoch could not start: goes back to where the loader stood, unless another epoch began
    /// meanwhile or a state was loaded. An epoch that was set meanwhile is still the next one.
    pub(crate) fn undo(self) {
        let Undo { position, run, before } = self;
        let mut stand = position.lock();
        if stand.run == run {
            let after = mem::replace(&mut *stand, before);
            let next = after.set_epoch.and_then(|epoch| stand.choose(epoch));
            position.note_next(&stand);
            drop(stand);
            drop((after, next));
        }
    }
}

/// The progress of an epoch, reported to its loader.
#[derive(Debug)]
pub(crate) struct Tracker {
    position: Arc<Position>,
    run: u64,
    epoch: u32,
}

impl Tracker {
    /// All places before `place` are taken; None if all are. Threads that share an epoch may report
    /// in any order: the place only grows.
    pub(crate) fn reached(&self, place: Option<usize>, note: Option<Note>) {
        let mut stand = self.position.lock();
        if stand.run != self.run {
            return;
        }
        let mut note = note;
        let before = match place {
            Some(place) if stand.in_hand.as_ref().is_some_and(|now| place > now.place) => {
                stand.handed_out += 1;
                stand.in_hand.replace(Point { epoch: self.epoch, place, note: note.take() })
            }
            Some(_) => None,
            None => {
                let before = stand.in_hand.take();
                if before.is_some() {
                    stand.handed_out += 1;
                    stand.resumed = false;
                }
                // The note kept at the end belongs to the start of the next epoch.
                if note.is_some() && stand.next.epoch == self.epoch.wrapping_add(1) {
                    mem::swap(&mut stand.next.note, &mut note);
                }
                before
            }
        };
        drop(stand);
        drop((before, note));
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
        let Begun { tracker, .. } = position.begin(None);
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
        let Begun { tracker, .. } = position.begin(Some(begin.clone()));
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
    fn a_look_at_a_resumed_epoch_leaves_the_rest_of_it() {
        let position = Arc::new(Position::default());
        position.set(at(3, 40));
        let Begun { epoch, start, tracker, .. } = position.begin(None);
        assert_eq!((epoch, start), (3, 40));
        tracker.reached(Some(44), None);
        assert_eq!((position.next(), position.get()), (at(3, 44), at(3, 44)));
        // A second preview takes nothing; setting the epoch that is resumed changes nothing.
        position.set_next_epoch(3);
        drop(position.begin(None));
        let Begun { epoch, start, tracker, .. } = position.begin(None);
        assert_eq!((epoch, start), (3, 44));
        tracker.reached(Some(48), None);
        tracker.reached(Some(52), None);
        // Left after more than a preview, as any epoch may be.
        assert_eq!((position.next(), position.begin(None).epoch), (at(4, 0), 4));
    }

    #[test]
    fn only_a_resumed_epoch_is_gone_on_with() {
        let position = Arc::new(Position::default());
        position.begin(None).tracker.reached(Some(4), None);
        assert_eq!(position.begin(None).epoch, 1);
        position.set(at(7, 8));
        position.begin(None).tracker.reached(None, None);
        assert_eq!(position.next(), at(8, 0));
        position.begin(None).tracker.reached(Some(4), None);
        assert_eq!(position.next(), at(9, 0));
        position.set(at(7, 8));
        position.set_next_epoch(2);
        assert_eq!(position.begin(None).epoch, 2);
    }

    #[test]
    fn an_epoch_set_before_a_failed_start_is_undone_is_the_next_one() {
        let position = Arc::new(Position::default());
        position.set(at(3, 40));
        position.begin(None).undo.undo();
        assert_eq!((position.next(), position.get()), (at(3, 40), at(3, 40)));
        for (epoch, expected) in [(3, at(3, 40)), (4, at(4, 0)), (9, at(9, 0))] {
            position.set(at(3, 40));
            let undo = position.begin(None).undo;
            position.set_next_epoch(epoch);
            undo.undo();
            assert_eq!((position.next(), position.get()), (expected.clone(), expected));
        }
        // A look at a resumed epoch is over once another one is set.
        position.set(at(3, 40));
        position.begin(None).tracker.reached(Some(44), None);
        let undo = position.begin(None).undo;
        position.set_next_epoch(7);
        undo.undo();
        assert_eq!((position.next(), position.get()), (at(7, 0), at(3, 44)));
        // An epoch set before the last one began counts no more.
        let undo = position.begin(None).undo;
        undo.undo();
        assert_eq!(position.next(), at(7, 0));
        // An epoch that began meanwhile, or a state that was loaded, stays.
        let undo = position.begin(None).undo;
        let _ = position.begin(None);
        undo.undo();
        assert_eq!(position.next(), at(9, 0));
    }

    #[test]
    fn a_forked_process_goes_on_from_what_the_fork_left() {
        let parent = Arc::new(Position::default());
        parent.set(at(3, 40));
        let child = parent.own(1);
        assert_eq!((child.process, child.left().next), (1, at(3, 40)));
        // Each process has its own position from then on.
        parent.set(at(5, 0));
        assert_eq!(parent.own(1).left().next, at(3, 40));
        assert_eq!(parent.get(), at(5, 0));
        // A child of the child, forked while its lock was held.
        let held = child.stand.lock().unwrap();
        assert_eq!(child.own(2).left().next, at(3, 0));
        drop(held);
    }
}
