//! Claims of several threads on one owner, each counted at a place of its own.
//!
//! A buffer holds its owner by a count. Threads that slice one view all write to that word, and a
//! processor writes to a word of another processor's cache far more slowly than it makes a slice:
//! two threads are then slower than one. A [`Spread`] of a buffer gives each thread a [`Branch`], a
//! count of its own that holds the owner once:
//!
//! ```text
//!  the view ────────────────> owner
//!  its spread ──> branch 0 ──>  │     slices of thread 0 hold branch 0
//!            └──> branch 1 ──>  │     slices of thread 1 hold branch 1
//! ```
//!
//! A branch ends with its last slice and the spread, and the spread with the view. So the owner
//! lives exactly as long as it would if all of them held it themselves.

use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, TryLockError, Weak};
use std::thread;

use crate::buffer::{Buffer, Owner};
use crate::error::Result;
use crate::room;

/// Places of a spread. Threads with numbers that are equal modulo this count share a place.
const PLACES: usize = 16;

/// Attempts to look at the branches that exist, for a number to show.
const LOOKS_MAX: usize = 1000;

/// Dead branches that are listed at least before they are removed.
const DEAD_MIN: usize = 64;

/// A count on an owner. Aligned so that no two counts are in one cache line, nor in two that
/// processors fetch together.
#[repr(align(128))]
struct Branch {
    owner: Arc<dyn Owner>,
}

/// The branches that exist, for [`Buffer::claims`].
///
/// No thread waits for the lock: a child that is forked while another thread holds it would wait
/// forever.
static LISTED: Mutex<List> = Mutex::new(List { entries: Vec::new(), limit: DEAD_MIN });

struct List {
    entries: Vec<Entry>,
    /// Length of the list at which dead branches are removed from it.
    limit: usize,
}

struct Entry {
    /// The address of the owner.
    owner: usize,
    branch: Weak<Branch>,
    /// Alive while the spread is, which holds the branch once.
    spread: Weak<()>,
}

impl List {
    /// Calls `work` with the list; None if another thread has it.
    fn with<R>(work: impl FnOnce(&mut List) -> R) -> Option<R> {
        match LISTED.try_lock() {
            Ok(mut list) => Some(work(&mut list)),
            Err(TryLockError::Poisoned(list)) => Some(work(&mut list.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Branch {
    /// A branch of an owner; None if there is no memory for its place in the list, or another
    /// thread has the list.
    fn new(owner: &Arc<dyn Owner>, spread: &Arc<()>) -> Option<Arc<Branch>> {
        List::with(|list| {
            if list.entries.len() >= list.limit {
                list.entries.retain(|entry| entry.branch.strong_count() > 0);
                list.limit = DEAD_MIN.max(list.entries.len() * 2);
            }
            room::reserve(&mut list.entries, 1).ok()?;
            let branch = Arc::new(Branch { owner: Arc::clone(owner) });
            list.entries.push(Entry {
                owner: address(owner),
                branch: Arc::downgrade(&branch),
                spread: Arc::downgrade(spread),
            });
            Some(branch)
        })
        .flatten()
    }
}

fn address(owner: &Arc<dyn Owner>) -> usize {
    Arc::as_ptr(owner).cast::<()>().addr()
}

impl Owner for Branch {
    fn description(&self) -> String {
        self.owner.description()
    }

    fn verify(&self, len: usize) -> Result<()> {
        self.owner.verify(len)
    }

    fn can_shrink(&self) -> bool {
        self.owner.can_shrink()
    }

    fn is_damaged(&self) -> bool {
        self.owner.is_damaged()
    }

    fn is_protected(&self) -> bool {
        self.owner.is_protected()
    }

    fn may_lack_room(&self) -> bool {
        self.owner.may_lack_room()
    }

    fn prepare_write(&self, bytes: Range<usize>) -> Result<()> {
        self.owner.prepare_write(bytes)
    }

    fn prefetch(&self, bytes: Range<usize>) -> Result<()> {
        self.owner.prefetch(bytes)
    }

    fn is_held_by_others(&self) -> bool {
        self.owner.is_held_by_others()
    }

    fn drop_cache(&self, bytes: Range<usize>) -> Result<()> {
        self.owner.drop_cache(bytes)
    }
}

/// Claims on the owner of a buffer, for threads that slice one view: each thread names a place and
/// counts there.
///
/// ```
/// use ndlens_core::{Buffer, Spread, View, s};
///
/// let view = View::from_vec(vec![1u8, 2, 3]);
/// let spread = Spread::new(view.buffer()).expect("no other thread makes one");
/// let mut slice = None;
/// view.index_into_at(&spread, 3, &[s(1..)], &mut slice)?;
/// drop((view, spread));
/// assert_eq!(slice.unwrap().to_vec::<u8>()?, [2, 3]);
/// # Ok::<(), ndlens_core::Error>(())
/// ```
pub struct Spread {
    /// A claim on the owner, through which the branches have theirs.
    buffer: Buffer,
    alive: Arc<()>,
    branches: [OnceLock<Arc<Branch>>; PLACES],
}

impl Spread {
    /// A spread of a buffer's claims.
    ///
    /// None if another thread is making one at this moment, or if there is no memory: claim the
    /// buffer itself then.
    pub fn new(buffer: &Buffer) -> Option<Self> {
        let alive = Arc::new(());
        let branch = Branch::new(root(buffer), &alive)?;
        Some(Spread {
            buffer: buffer.held_by(branch),
            alive,
            branches: [const { OnceLock::new() }; PLACES],
        })
    }

    /// A buffer of the same bytes that counts at this place; a clone of `buffer` if it is not the
    /// one that the spread was made of.
    #[inline]
    pub(crate) fn claim(&self, buffer: &Buffer, place: usize) -> Buffer {
        if !self.buffer.has_bytes_of(buffer) {
            return buffer.clone();
        }
        let branch = &self.branches[place % PLACES];
        match branch.get() {
            Some(branch) => self.buffer.held_by(Arc::<Branch>::clone(branch)),
            None => self.first_claim(branch),
        }
    }

    /// The first claim at a place, in the spread's own branch if there can be no other.
    #[cold]
    fn first_claim(&self, place: &OnceLock<Arc<Branch>>) -> Buffer {
        // Not while others wait: a fork could copy that.
        match Branch::new(root(&self.buffer), &self.alive) {
            Some(branch) => self.buffer.held_by(Arc::<Branch>::clone(place.get_or_init(|| branch))),
            None => self.buffer.clone(),
        }
    }
}

impl Buffer {
    /// The owner, if it is a `T`.
    pub fn owner<T: Owner>(&self) -> Option<&T> {
        let owner: &dyn Any =
            if self.is_spread { root(self).as_ref() } else { self.owner.as_ref() };
        owner.downcast_ref()
    }

    /// The number of buffers that hold the owner, this one among them: of views, of tensors and
    /// exports that were made of them, of loaders.
    pub fn claims(&self) -> usize {
        let owner = root(self);
        let direct = Arc::strong_count(owner);
        let counted = |list: &mut List| {
            let own = list.entries.iter().filter(|entry| entry.owner == address(owner));
            own.fold(direct, |claims, entry| match entry.branch.strong_count() {
                0 => claims,
                // The branch is itself a claim on the owner, and no buffer.
                held => (claims + held).saturating_sub(entry.spread.strong_count() + 1),
            })
        };
        for _ in 0..LOOKS_MAX {
            if let Some(claims) = List::with(counted) {
                return claims;
            }
            thread::yield_now();
        }
        direct
    }
}

/// The owner that a buffer holds, itself or by a branch.
fn root(buffer: &Buffer) -> &Arc<dyn Owner> {
    let branch = (buffer.owner.as_ref() as &dyn Any).downcast_ref::<Branch>();
    branch.map_or(&buffer.owner, |branch| &branch.owner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::layout::index::s;
    use crate::view::View;

    /// Gives every question another answer than the trait does.
    struct Odd {
        buffer: Buffer,
        _alive: Arc<()>,
    }

    impl Owner for Odd {
        fn description(&self) -> String {
            "odd memory".to_owned()
        }

        fn verify(&self, len: usize) -> Result<()> {
            if len < 4 { Ok(()) } else { Err(Error::Interrupted) }
        }

        fn can_shrink(&self) -> bool {
            true
        }

        fn is_damaged(&self) -> bool {
            true
        }

        fn is_protected(&self) -> bool {
            true
        }

        fn may_lack_room(&self) -> bool {
            true
        }

        fn prepare_write(&self, _: Range<usize>) -> Result<()> {
            Err(Error::Interrupted)
        }

        fn prefetch(&self, _: Range<usize>) -> Result<()> {
            Err(Error::Interrupted)
        }

        fn is_held_by_others(&self) -> bool {
            !self.buffer.is_held_by_others()
        }

        fn drop_cache(&self, _: Range<usize>) -> Result<()> {
            Err(Error::Interrupted)
        }
    }

    /// A view of four bytes, and what is alive while their owner is.
    fn view() -> (View, Weak<()>) {
        let plain = View::from_vec(vec![1u8, 2, 3, 4]);
        let alive = Arc::new(());
        let watch = Arc::downgrade(&alive);
        let mut buffer = plain.buffer().clone();
        buffer.owner = Arc::new(Odd { buffer: plain.buffer().clone(), _alive: alive });
        let view = View::new(buffer, plain.layout().clone(), plain.dtype().clone());
        (view.unwrap(), watch)
    }

    /// Another test may have the list at this moment.
    fn spread_of(view: &View) -> Spread {
        loop {
            match Spread::new(view.buffer()) {
                Some(spread) => return spread,
                None => thread::yield_now(),
            }
        }
    }

    fn slice(view: &View, spread: &Spread, place: usize) -> View {
        let mut slice = None;
        view.index_into_at(spread, place, &[s(1..3)], &mut slice).unwrap();
        slice.unwrap()
    }

    #[test]
    fn the_owner_lives_as_long_as_the_view_and_its_slices() {
        for dropped_first in ["view", "slices"] {
            let (view, owner) = view();
            let spread = spread_of(&view);
            let slices = [0, 1, PLACES + 1].map(|place| slice(&view, &spread, place));
            if dropped_first == "view" {
                drop((view, spread));
                assert_eq!(owner.strong_count(), 1);
                drop(slices);
            } else {
                drop(slices);
                assert_eq!(owner.strong_count(), 1);
                drop((spread, view));
            }
            assert_eq!(owner.strong_count(), 0);
        }
    }

    #[test]
    fn a_slice_of_a_spread_is_that_of_the_view() {
        let (view, _) = view();
        let (slice, plain) = (slice(&view, &spread_of(&view), 7), view.index(&[s(1..3)]).unwrap());
        assert_eq!((slice.as_ptr(), slice.layout()), (plain.as_ptr(), plain.layout()));
        assert_eq!(slice.buffer().access(), plain.buffer().access());
    }

    #[test]
    fn each_buffer_that_holds_an_owner_is_a_claim() {
        let buffer = Buffer::zeroed(8).unwrap();
        assert_eq!(buffer.claims(), 1);
        let others = [buffer.clone(), buffer.to_read_only()];
        assert_eq!(buffer.claims(), 3);
        drop(others);
        assert_eq!(buffer.claims(), 1);
        assert!(!buffer.is_held_by_others());
    }

    #[test]
    fn slices_of_a_spread_are_claims_and_branches_are_none() {
        let (view, _owner) = view();
        let of = |view: &View| view.buffer().claims();
        let spread = spread_of(&view);
        assert_eq!(of(&view), 1);
        let mut slices: Vec<_> = (0..40).map(|place| slice(&view, &spread, place)).collect();
        assert_eq!((of(&view), of(&slices[3])), (41, 41));
        slices.push(slices[0].index(&[s(1..)]).unwrap());
        let other = spread_of(&slices[1]);
        slices.push(slice(&slices[1], &other, 2));
        assert_eq!(of(&view), 43);
        drop((spread, other));
        assert_eq!(of(&view), 43);
        drop(view);
        assert_eq!(of(&slices[0]), 42);
        slices.truncate(1);
        assert_eq!(of(&slices[0]), 1);
    }

    #[test]
    fn a_branch_answers_as_its_owner_does() {
        let (view, _owner) = view();
        let slice = slice(&view, &spread_of(&view), 0);
        let (branch, owner) = (&slice.buffer().owner, &view.buffer().owner);
        for asked in [branch, owner] {
            assert_eq!(asked.description(), "odd memory");
            assert_eq!((asked.verify(3), asked.verify(4)), (Ok(()), Err(Error::Interrupted)));
            assert!(asked.can_shrink() && asked.is_damaged() && asked.is_protected());
            assert!(asked.may_lack_room() && asked.is_held_by_others());
            assert_eq!(asked.prepare_write(0..1), Err(Error::Interrupted));
            assert_eq!(asked.prefetch(0..1), Err(Error::Interrupted));
            assert_eq!(asked.drop_cache(0..1), Err(Error::Interrupted));
        }
        assert!(slice.buffer().owner::<Odd>().is_some());
        assert!(slice.buffer().owner::<Branch>().is_none());
    }

    #[test]
    fn a_spread_of_another_buffer_is_not_used() {
        let ((view, owner), (other, _)) = (view(), self::view());
        let spread = spread_of(&other);
        let slice = slice(&view, &spread, 0);
        drop((view, other, spread));
        assert_eq!(owner.strong_count(), 1);
        assert_eq!(slice.buffer().claims(), 1);
    }

    #[test]
    fn branches_that_ended_leave_the_list() {
        let (view, _owner) = view();
        let many = 10 * DEAD_MIN;
        for _ in 0..many {
            slice(&view, &spread_of(&view), 0);
        }
        let length = loop {
            if let Some(length) = List::with(|list| list.entries.len()) {
                break length;
            }
        };
        assert!(length < many, "{length}");
    }

    #[test]
    fn threads_that_slice_one_view_keep_its_owner_as_long_as_they_hold_slices() {
        let (view, owner) = view();
        let spread = spread_of(&view);
        let kept: Vec<View> = thread::scope(|scope| {
            let cut = |place: usize| {
                let (view, spread) = (&view, &spread);
                move || {
                    let slices = (0..1000).map(|_| slice(view, spread, place));
                    slices.last().unwrap()
                }
            };
            let threads: Vec<_> = (0..4).map(|place| scope.spawn(cut(place))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(view.buffer().claims(), 5);
        drop((view, spread));
        let threads = kept.into_iter().map(|slice| thread::spawn(move || drop(slice)));
        assert_eq!(owner.strong_count(), 1);
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(owner.strong_count(), 0);
    }
}
