//! An arena for many small blocks.
//!
//! ```text
//!  |header|block a ....|header|block b|   free   |header|block c|      free      | len
//! ```
//!
//! A block is given back when its creator and all other processes have released it, which
//! [`Claims`] count. Its place is used again, and pages without a block go back to the system. So a
//! small array that is kept, or a message that is lost, holds its own pages and none of its
//! neighbours'.
//!
//! # Limitations
//!
//! - Blocks that lived when the process forked stay until the arena is freed.

use std::collections::{BTreeMap, BTreeSet};
use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ndlens_core::{ALIGNMENT, room};

use crate::error::{Error, Result};
use crate::shm::arena::{Arena, PAGE};
use crate::shm::claims::{Claims, LOST_AFTER, PICKLED_AFTER};

/// A block's header, before its bytes.
pub(crate) const BLOCK_HEADER: usize = ALIGNMENT;

/// Maximum number of bytes without a block that are kept, since setting them aside again takes
/// longer than using them.
const SPARE_BYTES: usize = 4 << 20;

/// Memory is set aside in pieces. Their size grows with the used bytes from the first to the second
/// of these.
const RESERVE_BYTES: (usize, usize) = (4096, 1 << 20);

/// Blocks that their creator has released are searched again after this many further bytes of them.
const AWAY_BYTES: usize = 1 << 20;

/// An arena, and a list of its free bytes. It belongs to the process that made it.
#[derive(Debug)]
pub(crate) struct Nursery {
    arena: Arc<Arena>,
    process: u32,
    places: Mutex<Places>,
}

/// The place of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    /// Its header's first byte in the arena.
    pub(crate) at: usize,
    /// Bytes, with the header.
    len: usize,
    pub(crate) id: u64,
    /// Whether its bytes were never used before, so that they are zeros.
    pub(crate) is_fresh: bool,
}

#[derive(Debug)]
struct Places {
    /// Free bytes: start and length, neighbours merged. And the same by length.
    free: BTreeMap<usize, usize>,
    by_len: BTreeSet<(usize, usize)>,
    /// For each page whether it is set aside.
    reserved: Vec<bool>,
    reserved_bytes: usize,
    /// Bytes of blocks that are not free.
    used_bytes: usize,
    /// Bytes of blocks that their creator has not released.
    live_bytes: usize,
    /// First byte of those that were never used.
    fresh_from: usize,
    /// Number of unused bytes that are set aside, from which on pages are given back.
    trim_at: usize,
    away: Vec<Away>,
    away_bytes: usize,
    sweep_at: usize,
    next_id: u64,
}

/// A block that its creator released and other processes may need.
#[derive(Debug)]
struct Away {
    place: BlockPlace,
    /// Whether a message named it, and not only a plain pickle.
    is_sent: bool,
    /// The claims as they were first seen, and when.
    seen: (u64, u64, Instant),
}

impl Nursery {
    /// # Errors
    ///
    /// [`Error::SharedMemory`] if the system gives no such file or addresses; [`Error::Core`] if
    /// there is no memory for the lists.
    pub(crate) fn new(len: usize) -> Result<Self> {
        let arena = Arena::create_sparse("ndlens", len)?;
        arena.set_ready();
        let places = Places {
            free: BTreeMap::from([(0, len)]),
            by_len: BTreeSet::from([(len, 0)]),
            reserved: room::repeated(false, len.div_ceil(PAGE))?,
            reserved_bytes: 0,
            used_bytes: 0,
            live_bytes: 0,
            fresh_from: 0,
            trim_at: SPARE_BYTES,
            away: vec![],
            away_bytes: 0,
            sweep_at: AWAY_BYTES,
            next_id: 1,
        };
        Ok(Nursery { arena, process: process::id(), places: Mutex::new(places) })
    }

    pub(crate) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    /// Whether this process made it. A child's copy takes no block and gives none back.
    pub(crate) fn is_own(&self) -> bool {
        self.process == process::id()
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of blocks that their creator has not released.
    pub(crate) fn live_bytes(&self) -> usize {
        self.places().live_bytes
    }

    /// A block of `len` bytes that are set aside; None if it does not fit.
    ///
    /// # Errors
    ///
    /// [`Error::SharedMemoryExhausted`].
    pub(crate) fn take(&self, len: usize) -> Result<Option<BlockPlace>> {
        let Some(whole) =
            BLOCK_HEADER.checked_add(len).and_then(|len| len.checked_next_multiple_of(ALIGNMENT))
        else {
            return Ok(None);
        };
        if self.arena.file().is_none() {
            // Other code closed its descriptor, so no other process could find the block.
            return Ok(None);
        }
        let mut places = self.places();
        if places.away_bytes >= places.sweep_at {
            places.sweep(&self.arena, Instant::now());
        }
        let mut start = places.find(whole);
        if start.is_none() && !places.away.is_empty() {
            places.sweep(&self.arena, Instant::now());
            start = places.find(whole);
        }
        let Some(start) = start else { return Ok(None) };
        if let Err(error) = places.reserve(&self.arena, start, whole) {
            places.add_free(start, whole);
            return Err(match error {
                // The requested bytes, not those that were to be set aside.
                Error::SharedMemoryExhausted { available, .. } => {
                    Error::SharedMemoryExhausted { len_bytes: len, available }
                }
                other => other,
            });
        }
        let is_fresh = start >= places.fresh_from;
        places.fresh_from = places.fresh_from.max(start + whole);
        places.used_bytes += whole;
        places.live_bytes += whole;
        let place = BlockPlace { at: start, len: whole, id: places.next_id, is_fresh };
        places.next_id += 1;
        drop(places);
        if let Some(header) = self.arena.block_header(place.at) {
            header.begin(place.id);
        }
        Ok(Some(place))
    }

    /// Releases a block of the creator. `forked` means that a child may have a copy of the claim,
    /// `is_sent` that a message named it.
    pub(crate) fn give_back(&self, place: BlockPlace, forked: bool, is_sent: bool) {
        let Some(header) = self.arena.block_header(place.at) else { return };
        let claims = Claims::new(header.claims, place.id);
        let mut places = self.places();
        places.live_bytes -= place.len;
        if forked {
            claims.make_lasting();
        } else if claims.bury() {
            places.free(&self.arena, place);
        } else {
            places.away_bytes += place.len;
            let seen = (claims.snapshot(), header.openings(), Instant::now());
            places.away.push(Away { place, is_sent, seen });
        }
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        if self.is_own() {
            // Others may hold the arena for one of its blocks.
            let places = self.places.get_mut().unwrap_or_else(PoisonError::into_inner);
            if places.used_bytes > 0 {
                places.trim(&self.arena);
            }
        }
    }
}

impl Places {
    /// Takes free bytes: the first of the smallest pieces that are long enough.
    fn find(&mut self, len: usize) -> Option<usize> {
        let &(found, start) = self.by_len.range((len, 0)..).next()?;
        self.by_len.remove(&(found, start));
        self.free.remove(&start);
        if found > len {
            self.add_free(start + len, found - len);
        }
        Some(start)
    }

    /// Adds free bytes, merged with those beside them; gives the merged piece.
    fn add_free(&mut self, mut start: usize, mut len: usize) {
        if let Some((&before, &length)) =
            self.free.range(..start).next_back().filter(|(s, l)| *s + *l == start)
        {
            self.free.remove(&before);
            self.by_len.remove(&(length, before));
            (start, len) = (before, length + len);
        }
        if let Some(after) = self.free.remove(&(start + len)) {
            self.by_len.remove(&(after, start + len));
            len += after;
        }
        self.free.insert(start, len);
        self.by_len.insert((len, start));
    }

    fn reserve(&mut self, arena: &Arena, start: usize, len: usize) -> Result<()> {
        let end = start + len;
        let pages = start / PAGE..end.div_ceil(PAGE);
        let Some(first) = pages.clone().find(|&page| !self.reserved[page]) else { return Ok(()) };
        let mut last = pages.end;
        if end > self.fresh_from {
            let ahead = (self.fresh_from / 4).clamp(RESERVE_BYTES.0, RESERVE_BYTES.1);
            last = last.max((self.fresh_from + ahead).div_ceil(PAGE)).min(self.reserved.len());
        }
        let from = first * PAGE;
        let reserve = |last: usize| arena.reserve(from, (last * PAGE).min(arena.len()) - from);
        if let Err(error) = reserve(last) {
            // There may be memory for the requested bytes, but not for the further ones.
            if last == pages.end {
                return Err(error);
            }
            last = pages.end;
            reserve(last)?;
        }
        for page in &mut self.reserved[first..last] {
            self.reserved_bytes += if *page { 0 } else { PAGE };
            *page = true;
        }
        Ok(())
    }

    fn free(&mut self, arena: &Arena, place: BlockPlace) {
        self.used_bytes -= place.len;
        self.add_free(place.at, place.len);
        if self.reserved_bytes.saturating_sub(self.used_bytes) > self.trim_at {
            self.trim(arena);
        }
    }

    /// Gives pages without a block back.
    fn trim(&mut self, arena: &Arena) {
        for (&start, &len) in &self.free {
            let (first, last) = (start.div_ceil(PAGE), (start + len) / PAGE);
            let mut page = first;
            while page < last {
                let run =
                    self.reserved[page..last].iter().take_while(|&&reserved| reserved).count();
                if run > 0 && arena.give_pages_back(page * PAGE, run * PAGE) {
                    self.reserved[page..page + run].fill(false);
                    self.reserved_bytes -= run * PAGE;
                }
                page += run.max(1);
            }
        }
        // The remaining bytes are on pages with blocks.
        self.trim_at = self.reserved_bytes.saturating_sub(self.used_bytes) + SPARE_BYTES;
    }

    /// Takes blocks back that other processes have released meanwhile, or whose messages were lost.
    fn sweep(&mut self, arena: &Arena, now: Instant) {
        let back: Vec<Away> = self
            .away
            .extract_if(.., |away| {
                let Some(header) = arena.block_header(away.place.at) else { return false };
                let claims = Claims::new(header.claims, away.place.id);
                let (word, openings) = (claims.snapshot(), header.openings());
                if (word, openings) != (away.seen.0, away.seen.1) {
                    away.seen = (word, openings, now);
                }
                // The process that opened it may have sent it on.
                let patience =
                    if away.is_sent || openings > 0 { LOST_AFTER } else { PICKLED_AFTER };
                let lost = now.duration_since(away.seen.2) >= patience;
                claims.bury() || lost && claims.bury_lost(word)
            })
            .collect();
        for away in back {
            self.away_bytes -= away.place.len;
            self.free(arena, away.place);
        }
        self.sweep_at = 2 * self.away_bytes + AWAY_BYTES;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::HAS_LINUX;

    const LEN: usize = 16 << 20;

    fn held(nursery: &Nursery) -> usize {
        use std::os::unix::fs::MetadataExt;
        nursery.arena.file().unwrap().metadata().unwrap().blocks() as usize * 512
    }

    fn claims<'a>(nursery: &'a Nursery, place: &BlockPlace) -> Claims<'a> {
        Claims::new(nursery.arena.block_header(place.at).unwrap().claims, place.id)
    }

    #[test]
    fn blocks_lie_aligned_and_apart() {
        let nursery = Nursery::new(LEN).unwrap();
        let mut places: Vec<_> = (0..200).map(|i| nursery.take(i * 37).unwrap().unwrap()).collect();
        for place in places.extract_if(.., |place| place.at % 3 == 0) {
            nursery.give_back(place, false, true);
        }
        places.extend((0..200).map(|i| nursery.take(i * 41).unwrap().unwrap()));
        places.sort_by_key(|place| place.at);
        assert!(places.iter().all(|place| place.at.is_multiple_of(ALIGNMENT)));
        assert!(places.is_sorted_by(|a, b| a.at + a.len <= b.at));
    }

    #[test]
    fn the_last_free_byte_can_be_taken_and_not_one_more() {
        let nursery = Nursery::new(LEN).unwrap();
        assert_eq!(nursery.take(LEN).unwrap(), None);
        assert_eq!(nursery.take(usize::MAX).unwrap(), None);
        let all = nursery.take(LEN - BLOCK_HEADER).unwrap().unwrap();
        assert_eq!(nursery.take(0).unwrap(), None);
        nursery.give_back(all, false, true);
        assert_eq!(nursery.take(LEN - BLOCK_HEADER).unwrap().map(|place| place.at), Some(0));
    }

    #[test]
    fn memory_is_held_for_what_lives_and_not_for_what_lived() {
        let nursery = Nursery::new(LEN).unwrap();
        let mut kept = vec![];
        for round in 0..300 {
            let large = nursery.take(900_000).unwrap().unwrap();
            if round % 30 == 0 {
                kept.push(nursery.take(24).unwrap().unwrap());
            }
            nursery.give_back(large, false, true);
        }
        // Pages go back where the system takes them.
        let most = if HAS_LINUX { SPARE_BYTES + (2 << 20) } else { LEN };
        assert!(held(&nursery) < most, "{}", held(&nursery));
        // Blocks of all sizes that live together, and then only every tenth.
        let mut blocks: Vec<_> =
            (0..12).map(|_| nursery.take(1_000_000).unwrap().unwrap()).collect();
        let small: Vec<_> = (0..5).map(|_| nursery.take(100).unwrap().unwrap()).collect();
        blocks.drain(..).for_each(|place| nursery.give_back(place, false, true));
        assert!(held(&nursery) < most, "{}", held(&nursery));
        drop((kept, small));
    }

    #[test]
    fn a_place_that_was_used_says_so() {
        let nursery = Nursery::new(LEN).unwrap();
        let first = nursery.take(5000).unwrap().unwrap();
        assert!(first.is_fresh);
        nursery.give_back(first, false, true);
        let again = nursery.take(4000).unwrap().unwrap();
        assert!(!again.is_fresh && again.at == first.at && again.id != first.id);
    }

    #[test]
    fn no_block_is_taken_where_nobody_could_find_it() {
        let nursery = Nursery::new(LEN).unwrap();
        let place = nursery.take(LEN / 2).unwrap().unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(LEN as u64).unwrap();
        let _duplicate = crate::shm::arena::replace_descriptor(&nursery.arena, &file);
        nursery.give_back(place, false, true);
        assert_eq!(nursery.take(100).unwrap(), None);
    }

    #[test]
    fn what_others_hold_stays_and_comes_back_when_they_let_go() {
        let nursery = Nursery::new(LEN).unwrap();
        let place = nursery.take(LEN / 2).unwrap().unwrap();
        claims(&nursery, &place).send();
        nursery.give_back(place, false, true);
        assert_eq!(nursery.take(LEN / 2).unwrap(), None);
        assert!(claims(&nursery, &place).hold());
        assert_eq!(nursery.take(LEN / 2).unwrap(), None);
        claims(&nursery, &place).release();
        assert!(nursery.take(LEN / 2).unwrap().is_some());
    }

    #[test]
    fn what_a_fork_copied_stays() {
        let nursery = Nursery::new(LEN).unwrap();
        let place = nursery.take(LEN / 2).unwrap().unwrap();
        nursery.give_back(place, true, true);
        assert_eq!(nursery.take(LEN / 2).unwrap(), None);
        assert!(nursery.take(LEN / 4).unwrap().is_some());
    }

    #[test]
    fn what_only_a_plain_pickle_names_lives_for_seconds() {
        let nursery = Nursery::new(LEN).unwrap();
        let place = nursery.take(LEN / 2).unwrap().unwrap();
        claims(&nursery, &place).send();
        nursery.give_back(place, false, false);
        let sweep = |after| nursery.places().sweep(&nursery.arena, Instant::now() + after);
        sweep(PICKLED_AFTER / 2);
        assert_eq!(nursery.take(LEN / 2).unwrap(), None);
        sweep(PICKLED_AFTER);
        assert!(nursery.take(LEN / 2).unwrap().is_some());
    }

    #[test]
    fn a_lost_message_is_forgotten_after_its_time_and_not_before() {
        let nursery = Nursery::new(LEN).unwrap();
        let place = nursery.take(LEN / 2).unwrap().unwrap();
        claims(&nursery, &place).send();
        nursery.give_back(place, false, true);
        let sweep = |after| nursery.places().sweep(&nursery.arena, Instant::now() + after);
        sweep(LOST_AFTER / 2);
        assert_eq!(nursery.take(LEN / 2).unwrap(), None);
        // A process opened it and sent it on: its time starts again.
        let header = nursery.arena.block_header(place.at).unwrap();
        assert!(header.open(place.id));
        claims(&nursery, &place).send();
        claims(&nursery, &place).release();
        sweep(LOST_AFTER);
        assert_eq!(nursery.take(LEN / 2).unwrap(), None);
        sweep(LOST_AFTER * 2);
        assert!(nursery.take(LEN / 2).unwrap().is_some());
        assert!(!claims(&nursery, &place).hold());
    }
}
