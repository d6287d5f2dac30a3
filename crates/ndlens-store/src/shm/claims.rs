//! The claims on a block of shared memory: one word, in which every process that has the block
//! counts.
//!
//! ```text
//!  | tag 22 | dead 1 | lasting 1 | sent 20 | held 20 |
//! ```
//!
//! - `held` counts the processes' buffers on the block, without the creator's own.
//! - `sent` counts the messages about it that were not received yet.
//! - A lasting block is not given back before its arena. A fork copied a claim on it, and the copy
//!   is not counted.
//! - A dead block was given back. Its bytes may be another block's.
//!
//! The tag is a part of the block's id. A late message about a dead block finds another tag, also
//! if the place is taken again.
//!
//! # Limitations
//!
//! - A process that is killed does not count down. The blocks it held live as long as their arena.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A message that has not been received after this time counts as lost.
pub(crate) const LOST_AFTER: Duration = Duration::from_hours(1);

/// A process that pickles a view must keep it. A block that is not kept still lives for this time,
/// for a process that is slow to open it.
pub(crate) const PICKLED_AFTER: Duration = Duration::from_secs(10);

const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const LASTING: u64 = 1 << (2 * COUNT_BITS);
const DEAD: u64 = LASTING << 1;
const TAG_SHIFT: u32 = 2 * COUNT_BITS + 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    held: u64,
    sent: u64,
}

/// The claims on one block, which its id tells from every other block that was ever at its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claims<'a> {
    word: &'a AtomicU64,
    id: u64,
}

impl<'a> Claims<'a> {
    pub(crate) fn new(word: &'a AtomicU64, id: u64) -> Self {
        Claims { word, id }
    }

    fn tag(self) -> u64 {
        self.id << TAG_SHIFT
    }

    /// Starts the word of a new block: no claims but its creator's, which is not counted.
    pub(crate) fn begin(self) {
        // Relaxed: other processes learn of the block by messages, which order memory.
        self.word.store(self.tag(), Ordering::Relaxed);
    }

    /// The present word, for a later comparison.
    pub(crate) fn snapshot(self) -> u64 {
        // Relaxed: only compared.
        self.word.load(Ordering::Relaxed)
    }

    /// Changes the counts of a block that lives; false if it is dead.
    fn change(self, flags: u64, counts: impl Fn(Counts) -> Counts) -> bool {
        let tag = self.tag();
        // AcqRel: what a holder read and wrote comes before its claim ends, and so before the
        // process that sees the claim gone gives the bytes to others.
        let changed = self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |was| {
            let lives = was >> TAG_SHIFT == tag >> TAG_SHIFT && was & DEAD == 0;
            lives.then(|| {
                let counted = Counts { held: was & COUNT_MAX, sent: was >> COUNT_BITS & COUNT_MAX };
                let Counts { held, sent } = counts(counted);
                // A count that is full is no longer valid.
                let full = if held >= COUNT_MAX || sent >= COUNT_MAX { LASTING } else { 0 };
                let (held, sent) = (held.min(COUNT_MAX), sent.min(COUNT_MAX));
                was & LASTING | tag | flags | full | sent << COUNT_BITS | held
            })
        });
        changed.is_ok()
    }

    /// Counts a message about the block. It changes nothing if the block is gone: the process that
    /// opens the message gets the error.
    pub(crate) fn send(self) {
        self.change(0, |was| Counts { sent: was.sent + 1, ..was });
    }

    /// Claims the block for the receiver of a message about it; false if it is gone.
    pub(crate) fn hold(self) -> bool {
        self.change(0, |was| Counts { held: was.held + 1, sent: was.sent.saturating_sub(1) })
    }

    /// Ends a claim.
    pub(crate) fn release(self) {
        self.change(0, |was| Counts { held: was.held.saturating_sub(1), ..was });
    }

    /// From now on the block lives as long as its arena.
    pub(crate) fn make_lasting(self) {
        self.change(LASTING, |was| was);
    }

    /// Marks the block as dead if it has no claims. Returns whether it did. Only its creator calls
    /// this.
    pub(crate) fn bury(self) -> bool {
        self.end(self.tag())
    }

    /// As [`bury`](Self::bury), for a block whose messages are lost: dead if the word is still
    /// `seen`, which has no claims but those of the messages.
    pub(crate) fn bury_lost(self, seen: u64) -> bool {
        seen & (COUNT_MAX | LASTING | DEAD) == 0 && self.end(seen)
    }

    fn end(self, was: u64) -> bool {
        // Acquire: see `change`.
        let dead = self.tag() | DEAD;
        self.word.compare_exchange(was, dead, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

/// The header before a block of a nursery; the claims are its first word. Other processes may write
/// any value to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockHeader<'a> {
    pub(crate) claims: &'a AtomicU64,
    id: &'a AtomicU64,
    openings: &'a AtomicU64,
}

impl<'a> BlockHeader<'a> {
    pub(crate) fn of([claims, id, openings]: &'a [AtomicU64; 3]) -> Self {
        BlockHeader { claims, id, openings }
    }

    pub(crate) fn begin(self, id: u64) {
        // Relaxed: as in `Arena::create_sparse`.
        self.id.store(id, Ordering::Relaxed);
        self.openings.store(0, Ordering::Relaxed);
        Claims::new(self.claims, id).begin();
    }

    /// Claims the block if it is still the one of this id; see [`Claims::hold`].
    pub(crate) fn open(self, id: u64) -> bool {
        // Relaxed: the claim decides, and its tag is a part of the id.
        let opened = self.id.load(Ordering::Relaxed) == id && Claims::new(self.claims, id).hold();
        if opened {
            self.openings.fetch_add(1, Ordering::Relaxed);
        }
        opened
    }

    /// The number of times that it was opened.
    pub(crate) fn openings(self) -> u64 {
        // Relaxed: only compared.
        self.openings.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_buried_once_nobody_claims_it() {
        let word = AtomicU64::new(99);
        let claims = Claims::new(&word, 7);
        claims.begin();
        claims.send();
        assert!(!claims.bury());
        assert!(claims.hold());
        assert!(!claims.bury());
        // It is opened again from the same message, which was read twice.
        assert!(claims.hold());
        claims.release();
        assert!(!claims.bury());
        claims.release();
        assert!(claims.bury());
        assert!(!claims.bury());
    }

    #[test]
    fn a_dead_block_cannot_be_claimed_nor_can_the_one_that_takes_its_place_by_its_name() {
        let word = AtomicU64::new(0);
        let old = Claims::new(&word, 7);
        old.begin();
        assert!(old.bury());
        assert!(!old.hold());
        let new = Claims::new(&word, 8);
        new.begin();
        assert!(!old.hold() && new.hold());
        old.release();
        old.make_lasting();
        assert!(!new.bury());
        new.release();
        assert!(new.bury());
    }

    #[test]
    fn a_lasting_block_is_never_buried() {
        let word = AtomicU64::new(0);
        let claims = Claims::new(&word, 1);
        claims.begin();
        claims.make_lasting();
        assert!(claims.hold());
        claims.release();
        assert!(!claims.bury());
    }

    #[test]
    fn a_count_that_is_full_makes_a_block_lasting() {
        let word = AtomicU64::new(0);
        let claims = Claims::new(&word, 1);
        claims.begin();
        word.store(claims.tag() | (COUNT_MAX - 1), Ordering::Relaxed);
        assert!(claims.hold());
        for _ in 0..3 {
            claims.release();
            assert!(claims.snapshot() & LASTING != 0);
        }
        assert!(!claims.bury());
    }

    #[test]
    fn lost_messages_are_no_claim_unless_something_changed_since() {
        let word = AtomicU64::new(0);
        let claims = Claims::new(&word, 3);
        claims.begin();
        claims.send();
        let seen = claims.snapshot();
        assert!(claims.hold());
        assert!(!claims.bury_lost(seen) && !claims.bury_lost(claims.snapshot()));
        claims.release();
        claims.send();
        assert!(claims.bury_lost(claims.snapshot()));
        assert!(!claims.hold());
    }

    #[test]
    fn threads_that_come_and_go_leave_the_count_right() {
        let word = AtomicU64::new(0);
        Claims::new(&word, 5).begin();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        let claims = Claims::new(&word, 5);
                        claims.send();
                        assert!(claims.hold());
                        claims.release();
                    }
                });
            }
        });
        assert!(Claims::new(&word, 5).bury());
    }
}
