//! An epoch of any number of items: lap after lap through all of them, the last one cut short, each
//! shuffled lap in an order of its own. They are computed as one lap is: only the first lap is
//! stored.

use crate::order::permutation::Permutation;

/// The items of an epoch of `samples` places.
#[derive(Debug, Clone)]
pub struct Laps {
    items: usize,
    samples: usize,
    shuffled: Option<Shuffled>,
}

#[derive(Debug, Clone)]
struct Shuffled {
    seed: u64,
    epoch: u32,
    first: Permutation,
}

impl Laps {
    /// `samples` places of `items` items in the order of the data.
    pub fn in_turn(items: usize, samples: usize) -> Self {
        Laps { items, samples, shuffled: None }
    }

    /// `samples` places of `items` items, shuffled. The first lap is the order of an epoch of one
    /// lap.
    pub fn shuffled(seed: u64, epoch: u32, items: usize, samples: usize) -> Self {
        let first = Permutation::new(seed, epoch, items as u64);
        Laps { items, samples, shuffled: Some(Shuffled { seed, epoch, first }) }
    }

    /// The number of places.
    pub fn len(&self) -> usize {
        self.samples
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.samples == 0
    }

    /// The lap of a place.
    pub(crate) fn lap(&self, place: usize) -> u64 {
        (place / self.items) as u64
    }

    /// Replaces each place by its item. Adjacent places of one lap share the work of its order.
    ///
    /// # Panics
    ///
    /// If a place is not below [`len`](Self::len).
    pub fn replace(&self, places: &mut [usize]) {
        let (items, samples) = (self.items, self.samples);
        assert!(
            places.iter().all(|&place| place < samples),
            "a place that an order of {samples} places does not have"
        );
        for of_lap in places.chunk_by_mut(|a, b| a / items == b / items) {
            let lap = of_lap.first().map_or(0, |&place| self.lap(place));
            for place in &mut *of_lap {
                *place %= items;
            }
            match &self.shuffled {
                None => {}
                Some(Shuffled { first, .. }) if lap == 0 => first.replace(of_lap),
                Some(Shuffled { seed, epoch, .. }) => {
                    Permutation::of_lap(*seed, *epoch, items as u64, lap).replace(of_lap);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(laps: &Laps) -> Vec<usize> {
        let mut places: Vec<usize> = (0..laps.len()).collect();
        laps.replace(&mut places);
        places
    }

    #[test]
    fn each_lap_has_every_item_once_in_an_order_of_its_own() {
        for items in [7, 1024, 1500] {
            let order = all(&Laps::shuffled(3, 2, items, items * 3 + items / 2));
            let laps: Vec<&[usize]> = order.chunks(items).collect();
            for lap in &laps[..3] {
                let mut sorted = lap.to_vec();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..items).collect::<Vec<_>>());
            }
            assert!(laps[0] != laps[1] && laps[1] != laps[2] && laps[0] != laps[2]);
            let first = Permutation::new(3, 2, items as u64);
            assert!(laps[0].iter().enumerate().all(|(k, &item)| first.at(k as u64) == item as u64));
            // Fewer are the first of as many.
            assert_eq!(all(&Laps::shuffled(3, 2, items, 5)), order[..5]);
            assert_ne!(all(&Laps::shuffled(3, 3, items, items * 2))[items..], *laps[1]);
        }
        assert_eq!(all(&Laps::in_turn(3, 8)), [0, 1, 2, 0, 1, 2, 0, 1]);
        assert_eq!(all(&Laps::in_turn(3, 2)), [0, 1]);
    }

    #[test]
    fn places_out_of_turn_are_those_in_turn() {
        let laps = Laps::shuffled(0, 0, 10, 95);
        let (order, mut places) = (all(&laps), vec![94, 3, 12, 11, 90, 0, 0]);
        let expected: Vec<usize> = places.iter().map(|&place| order[place]).collect();
        laps.replace(&mut places);
        assert_eq!(places, expected);
    }
}
