//! The order of an epoch: its k-th item.
//!
//! - `permutation.rs`, `feistel.rs`, `walk.rs`: a shuffled epoch, computed item by item.
//! - `torch.rs`: torch's shuffled epochs. `shuffler.rs`: the choice between the two.
//! - `weighted.rs`, `alias.rs`: items drawn in proportion to weights.
//! - `laps.rs`: epochs of more or fewer items than the data set.
//! - `item_numbers.rs`: the numbers of a sampler.
//! - `shard.rs`: the places that each rank takes.

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

/// The number of a lap starts at this bit of the number that seeds the draws for its items. No data
/// set has enough items for two laps to share a number.
const LAP_BITS: u32 = 48;

/// The items of an epoch, in order.
#[derive(Debug, Clone)]
pub enum ItemOrder {
    /// All `n`, in the order of the data.
    InTurn(usize),
    /// All, shuffled.
    Shuffled(Permutation),
    /// A list: items shuffled by torch's algorithm, or drawn by weights without replacement.
    Listed(Arc<Vec<usize>>),
    /// Items drawn by weights, each draw from all.
    Drawn(AliasDraws),
    /// More or fewer items than the data set.
    Laps(Laps),
    /// The numbers of a sampler, and the number of items. A number may be out of bounds.
    Numbered(ItemNumbers, usize),
    /// Items of a part of the data set: an order of places in that list.
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

    /// The item at a place, which is below [`len`](Self::len); `usize::MAX` if a sampler's number
    /// is out of bounds.
    ///
    /// # Panics
    ///
    /// If it is not below `len`.
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

    /// The error of a place for which [`at`](Self::at) gives no item.
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

    /// Whether [`at`](Self::at) may give no item.
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

    /// The number that seeds the random draws for the item. It is the item's number; if an epoch
    /// takes items several times, it differs each time. Otherwise an item that is drawn often would
    /// look the same each time.
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

    /// As [`at`](Self::at), for many places: replaces each place by its item.
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
