//! The division of an epoch's items among ranks.
//!
//! All ranks have the same order. From place `start` of it on, rank r of w takes the places
//! `start + r`, `start + r + w`, and so on: after each rank has taken k items, the next k * w
//! places are taken and no other. So one number is the progress of a run, and any number of ranks
//! can resume it.
//!
//! [`Remainder`] chooses the ranks of the items that are left over. Ten items
//! in order, four ranks:
//!
//! ```text
//!          rank 0   rank 1   rank 2   rank 3
//!  Pad     0 4 8    1 5 9    2 6 0    3 7 1     as many for each; some twice    training
//!  Drop    0 4      1 5      2 6      3 7       as many for each; some never    training
//!  Keep    0 4 8    1 5 9    2 6      3 7       each exactly once               evaluation
//! ```
//!
//! `Pad` and `Drop` are `torch.utils.data.DistributedSampler` with `drop_last` false and true. A
//! batch is cut from a rank's own items, and [`Config::drop_last`](crate::Config::drop_last) drops
//! a last one that is not full: on all ranks or on none, except with `Keep`.

use crate::error::{Error, Result};

/// The use of the items that are left over if the number of ranks does not divide that of items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Remainder {
    /// Ranks with fewer items take items from the start of the order again.
    #[default]
    Pad,
    /// No rank takes them.
    Drop,
    /// The first ranks take one item more than the others.
    Keep,
}

impl Remainder {
    /// By its name: "pad", "drop" or "keep".
    ///
    /// # Errors
    ///
    /// [`Error::UnknownRemainder`].
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "pad" => Ok(Remainder::Pad),
            "drop" => Ok(Remainder::Drop),
            "keep" => Ok(Remainder::Keep),
            _ => Err(Error::UnknownRemainder { got: name.to_owned() }),
        }
    }
}

/// One rank of several, each of which runs a loader over the same data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Number of this rank, from 0 on.
    pub rank: usize,
    /// Number of ranks.
    pub world_size: usize,
    /// Use of the items that are left over.
    pub remainder: Remainder,
}

impl Default for Shard {
    /// The only rank.
    fn default() -> Self {
        Shard { rank: 0, world_size: 1, remainder: Remainder::default() }
    }
}

impl Shard {
    /// Checks that `rank` is below `world_size`.
    ///
    /// # Errors
    ///
    /// [`Error::ZeroSetting`], [`Error::NoSuchRank`].
    pub fn check(&self) -> Result<()> {
        if self.world_size == 0 {
            return Err(Error::ZeroSetting { name: "world_size" });
        }
        if self.rank >= self.world_size {
            return Err(Error::NoSuchRank { rank: self.rank, world_size: self.world_size });
        }
        Ok(())
    }

    /// The number of items that this rank takes if `left` items are left for all.
    pub fn share(&self, left: usize) -> usize {
        match self.remainder {
            Remainder::Pad => left.div_ceil(self.world_size),
            Remainder::Drop => left / self.world_size,
            Remainder::Keep => {
                left / self.world_size + usize::from(self.rank < left % self.world_size)
            }
        }
    }

    /// The largest number of items that a rank takes.
    pub(crate) fn largest_share(&self, left: usize) -> usize {
        Shard { rank: 0, ..*self }.share(left)
    }

    /// Whether an epoch is over for all ranks once each has taken this many batches of what was
    /// left: no rank has another.
    ///
    /// A rank with fewer batches than others, as with `Keep`, is not further than they are: its end
    /// counts as a batch of no items. So ranks that have taken as many batches give the same
    /// answer.
    pub(crate) fn is_over(
        &self,
        batches: usize,
        left: usize,
        batch_size: usize,
        drop_last: bool,
    ) -> bool {
        let most = self.largest_share(left);
        batches >= if drop_last { most / batch_size } else { most.div_ceil(batch_size) }
    }

    /// The place, in an order of `items`, of the k-th item that this rank takes from `start` on.
    pub fn place(&self, start: usize, k: usize, items: usize) -> usize {
        let place = start + k * self.world_size + self.rank;
        if place < items { place } else { (place - items) % items }
    }

    /// The first place that no rank has taken, once each has taken `taken` items from `start` on.
    pub fn reached(&self, start: usize, taken: usize, items: usize) -> usize {
        taken.saturating_mul(self.world_size).saturating_add(start).min(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dealt(
        items: usize,
        start: usize,
        world_size: usize,
        remainder: Remainder,
    ) -> Vec<Vec<usize>> {
        let rank = |rank| Shard { rank, world_size, remainder };
        let places = |shard: Shard| {
            (0..shard.share(items - start)).map(|k| shard.place(start, k, items)).collect()
        };
        (0..world_size).map(rank).map(places).collect()
    }

    #[test]
    fn ten_items_are_dealt_to_four_ranks_as_the_table_says() {
        assert_eq!(dealt(10, 0, 4, Remainder::Pad), [[0, 4, 8], [1, 5, 9], [2, 6, 0], [3, 7, 1]]);
        assert_eq!(dealt(10, 0, 4, Remainder::Drop), [[0, 4], [1, 5], [2, 6], [3, 7]]);
        assert_eq!(
            dealt(10, 0, 4, Remainder::Keep),
            [vec![0, 4, 8], vec![1, 5, 9], vec![2, 6], vec![3, 7]]
        );
        assert_eq!(dealt(2, 0, 5, Remainder::Pad), [[0], [1], [0], [1], [0]]);
    }

    #[test]
    fn any_ranks_take_each_item_that_is_left_and_keep_takes_it_once() {
        for (items, start, world_size) in
            [(1, 0, 1), (10, 3, 4), (17, 17, 3), (100, 1, 8), (5, 4, 8)]
        {
            let mut all: Vec<usize> = dealt(items, start, world_size, Remainder::Keep).concat();
            all.sort_unstable();
            assert_eq!(all, (start..items).collect::<Vec<_>>());
            let mut all: Vec<usize> = dealt(items, start, world_size, Remainder::Pad).concat();
            assert_eq!(all.len() % world_size, 0);
            all.sort_unstable();
            all.dedup();
            assert!((start..items).all(|place| all.contains(&place)));
        }
    }

    #[test]
    fn runs_that_change_their_ranks_take_each_item_once() {
        let items = 1000;
        let (mut seen, mut start) = (vec![0; items], 0);
        for (world_size, taken) in [(8, 40), (4, 33), (6, usize::MAX)] {
            let mut reached = start;
            for rank in 0..world_size {
                let shard = Shard { rank, world_size, remainder: Remainder::Keep };
                let taken = taken.min(shard.share(items - start));
                (0..taken).for_each(|k| seen[shard.place(start, k, items)] += 1);
                reached = reached.max(shard.reached(start, taken, items));
            }
            start = reached;
        }
        assert_eq!((start, seen), (items, vec![1; items]));
    }

    #[test]
    fn after_as_many_batches_all_ranks_are_at_one_place_and_all_before_it_is_taken_once() {
        for (items, start, world_size, batch_size) in (1..14).flat_map(|items| {
            (0..=items).flat_map(move |start| {
                (1..6).flat_map(move |w| (1..5).map(move |b| (items, start, w, b)))
            })
        }) {
            for remainder in [Remainder::Pad, Remainder::Drop, Remainder::Keep] {
                for drop_last in [false, true] {
                    let left = items - start;
                    let shards = (0..world_size).map(|rank| Shard { rank, world_size, remainder });
                    for batches in 0..=left {
                        let over = shards
                            .clone()
                            .map(|shard| shard.is_over(batches, left, batch_size, drop_last));
                        let over: Vec<bool> = over.collect();
                        assert!(over.iter().all(|&other| other == over[0]), "{over:?}");
                        if over[0] {
                            continue;
                        }
                        // Each rank has taken all its batches, or as many as the others; none was
                        // cut short.
                        let mut seen = vec![0; items];
                        let mut reached = vec![];
                        for shard in shards.clone() {
                            let taken = (batches * batch_size).min(shard.share(left));
                            (0..taken).for_each(|k| seen[shard.place(start, k, items)] += 1);
                            reached.push(shard.reached(start, batches * batch_size, items));
                        }
                        assert!(reached.iter().all(|&place| place == reached[0]));
                        assert!(
                            (0..items).all(|place| seen[place]
                                == i32::from((start..reached[0]).contains(&place)))
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_rank_that_is_none_is_named() {
        let message = |rank, world_size| {
            Shard { rank, world_size, ..Shard::default() }.check().unwrap_err().to_string()
        };
        assert_eq!(message(0, 0), "world_size must be at least 1, got 0");
        assert_eq!(message(4, 4), "rank must be below world_size, got rank 4 of 4");
    }
}
