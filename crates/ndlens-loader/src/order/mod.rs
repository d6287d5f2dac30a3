//! Which item comes k-th in an epoch.
//!
//! - `permutation.rs`, `feistel.rs`, `walk.rs`: a shuffled epoch, computed item by item.
//! - `torch.rs`: torch's shuffled epochs. `shuffler.rs`: which of the two.
//! - `weighted.rs`, `alias.rs`: items drawn in proportion to weights.
//! - `laps.rs`: epochs of more or fewer items than there are.
//! - `item_numbers.rs`: the numbers that a sampler gives.
//! - `shard.rs`: which places each rank takes.

pub(crate) mod alias;
pub(crate) mod feistel;
pub(crate) mod item_numbers;
pub(crate) mod laps;
pub(crate) mod permutation;
pub(crate) mod shard;
pub(crate) mod shuffler;
pub(crate) mod torch;
pub(crate) mod walk;
#[cfg(target_arch = "x86_64")]
pub(crate) mod walk_ifma;
pub(crate) mod weighted;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::order::alias::AliasDraws;
use crate::order::item_numbers::{ItemNumbers, NO_ITEM};
use crate::order::laps::Laps;
use crate::order::permutation::Permutation;
use crate::order::weighted::{WeightedDraws, Weights};
use crate::source::selection::Selection;

/// The bit from which on the number of a lap stands in what the draws for its items are made of. No
/// data set has so many items that laps could meet.
const LAP_BITS: u32 = 48;

/// The items of an epoch, in the order they come.
#[derive(Debug, Clone)]
pub enum ItemOrder {
    /// All `n`, as they are.
    InTurn(usize),
    /// All, shuffled.
    Shuffled(Permutation),
    /// These, as torch shuffles them, or weights chose them.
    Listed(Arc<Vec<usize>>),
    /// Drawn by weights, each draw from all.
    Drawn(AliasDraws),
    /// More or fewer than there are.
    Laps(Laps),
    /// Those of a sampler's numbers, each of which may be none of so many items.
    Numbered(ItemNumbers, usize),
    /// Those of a part of the data set: an order of places in that list.
    Within(Box<ItemOrder>, Arc<Selection>),
}

impl ItemOrder {
    /// The draws of an epoch by weights.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for a list of draws without replacement.
    pub fn weighted(weights: &Weights, seed: u64, epoch: u32) -> Result<Self> {
        Ok(match weights.draws(seed, epoch)? {
            WeightedDraws::WithReplacement(draws) => ItemOrder::Drawn(draws),
            WeightedDraws::WithoutReplacement(items) => ItemOrder::Listed(Arc::new(items)),
        })
    }

    /// The number of places.
    pub fn len(&self) -> usize {
        match self {
            ItemOrder::InTurn(n) => *n,
            ItemOrder::Shuffled(permutation) => permutation.len(),
            ItemOrder::Listed(items) => items.len(),
            ItemOrder::Drawn(drawing) => drawing.len(),
            ItemOrder::Laps(laps) => laps.len(),
            ItemOrder::Numbered(numbers, _) => numbers.len(),
            ItemOrder::Within(places, _) => places.len(),
        }
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item at a place, which is below [`len`](Self::len); `usize::MAX` where a sampler's
    /// number is no item.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn at(&self, place: usize) -> usize {
        match self {
            ItemOrder::InTurn(_) => place,
            ItemOrder::Shuffled(permutation) => permutation.at(place as u64) as usize,
            ItemOrder::Listed(items) => items[place],
            ItemOrder::Drawn(drawing) => drawing.at(place),
            ItemOrder::Laps(_) | ItemOrder::Numbered(..) | ItemOrder::Within(..) => {
                let mut one = [place];
                self.replace(&mut one);
                one[0]
            }
        }
    }

    /// The error of a place that [`at`](Self::at) says is none of the items.
    pub(crate) fn no_such_item(&self, place: usize) -> Option<Error> {
        match self {
            ItemOrder::Numbered(numbers, items) => Some(numbers.no_such_item(place, *items)),
            ItemOrder::Within(places, _) => places.no_such_item(place),
            ItemOrder::InTurn(_)
            | ItemOrder::Shuffled(_)
            | ItemOrder::Listed(_)
            | ItemOrder::Drawn(_)
            | ItemOrder::Laps(_) => None,
        }
    }

    /// Whether places may be none of the items.
    pub(crate) fn is_unchecked(&self) -> bool {
        match self {
            ItemOrder::Numbered(..) => true,
            ItemOrder::Within(places, _) => places.is_unchecked(),
            ItemOrder::InTurn(_)
            | ItemOrder::Shuffled(_)
            | ItemOrder::Listed(_)
            | ItemOrder::Drawn(_)
            | ItemOrder::Laps(_) => false,
        }
    }

    /// What stands for the item in the random draws for it: its number, unless an epoch takes
    /// items several times, one that is different each time. A rare item that is drawn often would
    /// else look the same whenever it comes.
    pub fn draws_as(&self, place: usize, item: usize) -> u64 {
        match self {
            ItemOrder::Drawn(drawing) => (drawing.items() as u64).wrapping_add(place as u64),
            ItemOrder::Laps(laps) => (laps.lap(place) << LAP_BITS).wrapping_add(item as u64),
            ItemOrder::Within(places, _) => places.draws_as(place, item),
            ItemOrder::InTurn(_)
            | ItemOrder::Shuffled(_)
            | ItemOrder::Listed(_)
            | ItemOrder::Numbered(..) => item as u64,
        }
    }

    /// As [`at`](Self::at), for many: puts the item at each place where the place was.
    ///
    /// # Panics
    ///
    /// If a place is not below [`len`](Self::len).
    pub fn replace(&self, places: &mut [usize]) {
        match self {
            ItemOrder::InTurn(_) => {}
            ItemOrder::Shuffled(permutation) => permutation.replace(places),
            ItemOrder::Listed(items) => places.iter_mut().for_each(|place| *place = items[*place]),
            ItemOrder::Drawn(drawing) => {
                for place in places {
                    *place = drawing.at(*place);
                }
            }
            ItemOrder::Laps(laps) => laps.replace(places),
            ItemOrder::Numbered(numbers, items) => numbers.replace(places, *items),
            ItemOrder::Within(order, items) => {
                order.replace(places);
                if order.is_unchecked() {
                    for place in places {
                        *place = if *place == NO_ITEM { NO_ITEM } else { items.at(*place) };
                    }
                } else {
                    items.replace(places);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_places_at_once_are_the_items_of_each() {
        let orders =
            [10, 1024, 1025, 3_000_000].map(|n| ItemOrder::Shuffled(Permutation::new(5, 3, n)));
        let subset = Arc::new(Selection::range(1, 2, 40, 100).unwrap());
        let others = [
            ItemOrder::InTurn(77),
            ItemOrder::Listed(Arc::new(vec![4, 4, 9, 1])),
            ItemOrder::Laps(Laps::shuffled(1, 1, 30, 100)),
            ItemOrder::Numbered(ItemNumbers::range(90, -3, 31), 91),
            ItemOrder::Within(Box::new(ItemOrder::Shuffled(Permutation::new(5, 3, 40))), subset),
        ];
        for order in orders.into_iter().chain(others) {
            let places: Vec<usize> = (0..2000).map(|i| i * 7919 % order.len()).collect();
            let mut items = places.clone();
            order.replace(&mut items);
            assert_eq!(items, places.into_iter().map(|place| order.at(place)).collect::<Vec<_>>());
        }
    }
}
