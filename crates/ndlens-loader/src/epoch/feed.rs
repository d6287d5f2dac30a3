//! The items of an epoch that reads a sampler, and the division of these items among ranks.
//!
//! A sampler may be endless, may not know its length, and belongs to the caller's runtime, which
//! workers cannot call. So the consumer reads it before it asks for a batch, as far as batches may
//! be begun ([`Epoch::to_read`](crate::Epoch::to_read)). Reads end with a batch of all ranks, so
//! that ranks which have taken as many batches have read as much:
//!
//! ```text
//!  batch_size 2, 3 ranks, going on from place 2
//!
//!  places   0 1 | 2 3 4  5 6 7 | 8 9 10  11 12 13 | 14 15        the sampler ends
//!  ranks    - - | 0 1 2  0 1 2 | 0 1 2   0  1  2  | 0  1
//!           passed  batch 0         batch 1         batch 2
//! ```
//!
//! Items that are left over are dealt out as in `shard.rs`. `Pad` takes the first places again, so
//! as many of these are kept as there are ranks. `Drop` takes a place only once all ranks have one.

use std::collections::VecDeque;
use std::sync::Arc;

use ndlens_core::room::with_room_for;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::order::shard::{Remainder, Shard};
use crate::resume::note::Note;
use crate::source::selection::Selection;

/// The facts that are known about a sampler before it is read.
#[derive(Debug, Clone, Default)]
pub struct Sampling {
    /// The number of items of an epoch, if the sampler has a length.
    pub expected: Option<usize>,
    /// Whether the sampler itself goes on from the place of a state. Otherwise it starts again, and
    /// the items before that place are skipped.
    pub resumes: bool,
    /// The first numbers of a sampler that goes on, as far as they are known: ranks with fewer
    /// items take them again.
    pub head: Vec<i64>,
    /// The note that a state keeps until a batch is handed out.
    pub note: Option<Note>,
}

/// The end of a sampler.
#[derive(Debug)]
enum End {
    /// It has no more items. The note is the one that a state keeps then.
    Whole(Option<Note>),
    /// It failed.
    Failed,
}

/// Items that were read and are not in a batch yet.
#[derive(Debug)]
pub(crate) struct Feed {
    /// The items of a part of the data set, by their places in it.
    subset: Option<Arc<Selection>>,
    items: usize,
    shard: Shard,
    start: usize,
    batch_size: usize,
    drop_last: bool,
    expected: Option<usize>,
    /// Whether `batch_size` was reduced to the number of expected items.
    is_cut: bool,
    /// Number of places read.
    read: usize,
    /// The first items that were read, as many as there are ranks.
    head: Vec<usize>,
    own: VecDeque<usize>,
    /// With `Drop`, the item that this rank takes once each rank has one.
    held: Option<usize>,
    /// For each batch that was read and not begun, the note that a state keeps once it is handed
    /// out.
    notes: VecDeque<Option<Note>>,
    begun: usize,
    end: Option<End>,
}

/// The items of a batch, and the note that a state keeps once it is handed out.
pub(crate) struct Fed {
    pub(crate) items: Vec<usize>,
    pub(crate) place: usize,
    pub(crate) note: Option<Note>,
}

impl Feed {
    pub(crate) fn new(
        config: &Config,
        shard: Shard,
        start: usize,
        items: usize,
        subset: Option<Arc<Selection>>,
        sampling: &Sampling,
    ) -> Result<Self> {
        if let Some(expected) = sampling.expected.filter(|&expected| start > expected) {
            return Err(Error::StateBeyondEnd { start, items: expected });
        }
        // A batch may have more items than the data set. Memory is for as many as can come.
        let most = match sampling.expected {
            Some(expected) if config.batch_size > items => {
                shard.largest_share(expected).max(items).max(1)
            }
            _ => usize::MAX,
        };
        let choices = subset.as_ref().map_or(items, |subset| subset.len());
        let item = |&number: &i64| {
            let number = usize::try_from(number).ok().filter(|&number| number < choices)?;
            Some(subset.as_ref().map_or(number, |subset| subset.at(number)))
        };
        let head = sampling.head.iter().take(shard.world_size).filter_map(item).collect();
        Ok(Feed {
            head,
            subset,
            items,
            shard,
            start,
            batch_size: config.batch_size.min(most),
            drop_last: config.drop_last,
            expected: sampling.expected,
            is_cut: most < config.batch_size,
            read: if sampling.resumes { start } else { 0 },
            own: VecDeque::new(),
            held: None,
            notes: VecDeque::new(),
            begun: 0,
            end: None,
        })
    }

    pub(crate) fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The number of places of a batch of all ranks.
    fn round(&self) -> usize {
        self.batch_size.saturating_mul(self.shard.world_size)
    }

    /// The number of item numbers to read next so that `batches` batches can begin; 0 if they can
    /// already, or the sampler has ended.
    pub(crate) fn to_read(&self, batches: usize) -> usize {
        if self.end.is_some() {
            return 0;
        }
        if self.read < self.start {
            return self.start - self.read;
        }
        let (read, round) = (self.read - self.start, self.round());
        // The last batch waits for the end, so that a state then keeps the sampler's note at its
        // end.
        let rounds = batches.saturating_add(usize::from(self.expects_end_after(batches)));
        if read >= round.saturating_mul(rounds) { 0 } else { round - read % round }
    }

    /// Whether the sampler ends after `batches` batches, by its length. A sampler that gives more
    /// than its length is not at its end.
    fn expects_end_after(&self, batches: usize) -> bool {
        let left = self
            .expected
            .filter(|&expected| expected >= self.read)
            .map(|places| places - self.start);
        left.is_some_and(|left| self.shard.is_over(batches, left, self.batch_size, self.drop_last))
    }

    /// Adds numbers that were read, at most as many as [`to_read`](Self::to_read) gives; after an
    /// error, none of them.
    pub(crate) fn add(&mut self, numbers: &[i64], note: Option<Note>) -> Result<()> {
        let item = |number: i64| {
            usize::try_from(number).ok().filter(|&item| item < self.items_to_choose_from())
        };
        if let Some((at, &got)) =
            numbers.iter().enumerate().find(|&(_, &number)| item(number).is_none())
        {
            let (place, items) = (self.read + at, self.items_to_choose_from());
            return Err(Error::NoSuchItem { got: got.to_string(), place, items });
        }
        if let Some(expected) =
            self.expected.filter(|&expected| self.is_cut && self.read + numbers.len() > expected)
        {
            return Err(Error::SamplerLength { expected });
        }
        let Shard { rank, world_size, remainder } = self.shard;
        let out_of_memory =
            |_| Error::Core(ndlens_core::Error::OutOfMemory { len_bytes: size_of_val(numbers) });
        self.own.try_reserve(numbers.len() / world_size + 1).map_err(out_of_memory)?;
        for &number in numbers {
            let number = number as usize;
            let item = self.subset.as_ref().map_or(number, |subset| subset.at(number));
            if self.head.len() < world_size {
                self.head.push(item);
            }
            let place = self.read;
            self.read += 1;
            if place < self.start {
                continue;
            }
            let of = (place - self.start) % world_size;
            match remainder {
                Remainder::Drop => {
                    if of == rank {
                        self.held = Some(item);
                    }
                    if of == world_size - 1 {
                        self.own.extend(self.held.take());
                    }
                }
                Remainder::Pad | Remainder::Keep => self.own.extend((of == rank).then_some(item)),
            }
        }
        if self.read > self.start && (self.read - self.start).is_multiple_of(self.round()) {
            self.notes.push_back(note);
        }
        Ok(())
    }

    /// The number of items that a sampler chooses from.
    fn items_to_choose_from(&self) -> usize {
        self.subset.as_ref().map_or(self.items, |subset| subset.len())
    }

    /// Ends the sampler, which has no more items.
    pub(crate) fn end(&mut self, note: Option<Note>) -> Result<()> {
        if self.end.is_some() {
            return Ok(());
        }
        if self.read < self.start {
            self.end = Some(End::Failed);
            return Err(Error::StateBeyondEnd { start: self.start, items: self.read });
        }
        let Shard { rank, world_size, remainder } = self.shard;
        let left_over = (self.read - self.start) % world_size;
        if remainder == Remainder::Pad && left_over > 0 && rank >= left_over {
            // As `Shard::place`.
            let again = self.head.get((rank - left_over) % self.read.min(self.head.len())).copied();
            self.own.extend(again);
        }
        self.end = Some(End::Whole(note));
        Ok(())
    }

    /// Ends a sampler that failed: only batches that were read whole come.
    pub(crate) fn fail(&mut self) {
        self.own.truncate(self.own.len() / self.batch_size * self.batch_size);
        self.end = Some(End::Failed);
    }

    /// Whether the sampler reached its end.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.end, Some(End::Whole(_)))
    }

    /// The note that a state keeps at the end.
    pub(crate) fn end_note(&self) -> Option<Note> {
        match &self.end {
            Some(End::Whole(note)) => note.clone(),
            Some(End::Failed) | None => None,
        }
    }

    /// Whether all items of the next batch are there.
    pub(crate) fn has_batch(&self) -> bool {
        self.own.len() >= self.batch_size
            || (self.end.is_some() && !self.drop_last && !self.own.is_empty())
    }

    /// The items of the next batch.
    pub(crate) fn take(&mut self) -> Result<Option<Fed>> {
        if !self.has_batch() {
            return Ok(None);
        }
        let count = self.batch_size.min(self.own.len());
        let mut items = with_room_for(count)?;
        items.extend(self.own.drain(..count));
        let place = self.start + self.begun * self.round() + self.shard.rank;
        // Only the last batch can begin with items that are taken again.
        let place =
            if self.end.is_some() && place >= self.read { place % self.read.max(1) } else { place };
        self.begun += 1;
        Ok(Some(Fed { items, place, note: self.notes.pop_front().flatten() }))
    }

    /// The items of the batch after the one begun last, as far as they are known.
    pub(crate) fn ahead(&self) -> impl Iterator<Item = usize> {
        self.own.iter().take(self.batch_size).copied()
    }

    /// The number of batches, once it is known.
    pub(crate) fn batches(&self) -> Option<usize> {
        self.end.as_ref()?;
        let (left, size) = (self.own.len(), self.batch_size);
        Some(self.begun + if self.drop_last { left / size } else { left.div_ceil(size) })
    }

    /// The expected number of batches, if the sampler has a length.
    pub(crate) fn expected_batches(&self) -> Option<usize> {
        self.batches().or_else(|| {
            let left = self.shard.share(self.expected?.checked_sub(self.start)?);
            Some(if self.drop_last {
                left / self.batch_size
            } else {
                left.div_ceil(self.batch_size)
            })
        })
    }

    /// The first place that no rank has taken once each has taken this many batches; None if none
    /// is left.
    pub(crate) fn reached(&self, batches: usize) -> Option<usize> {
        let is_over = match &self.end {
            Some(End::Whole(_)) => {
                self.shard.is_over(batches, self.read - self.start, self.batch_size, self.drop_last)
            }
            Some(End::Failed) => false,
            None => self.expects_end_after(batches),
        };
        if is_over {
            return None;
        }
        Some(self.round().saturating_mul(batches).saturating_add(self.start).min(self.read))
    }
}
