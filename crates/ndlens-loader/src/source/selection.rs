//! A selection of items of a source, made by a slice, a list of numbers or a mask.
//!
//! A selection is looked up for every item of every epoch, in any order, and sent to every worker.
//! So it is small in memory and in messages: a look-up that misses the caches costs as much as a
//! short row. Items that are evenly spaced are three numbers. Ascending ones that are not far
//! apart, such as the 80 % that a split takes, take a byte each: the distance from the first item
//! of their block. All others take four bytes, or eight if a number does not fit four:
//!
//! ```text
//!  items    3 4 6 7 .. 40 | 41 43 44 ..      blocks of 32
//!  starts   3             | 41
//!  offsets  0 1 3 4 .. 37 | 0  2  3  ..
//! ```
//!
//! In a message, ascending items are a bit for each item of their span, if that takes fewer bytes:
//!
//! ```text
//!  kind (1 byte) | range:  first, step, count
//!                | bits:   first, count, one bit for each item from the first to the last
//!                | narrow: one u32 for each item
//!                | wide:   one u64 for each item
//! ```

use std::sync::Arc;

use ndlens_core::View;
use ndlens_core::room::with_room_for;
use ndlens_kernels::ask_for_element;

use crate::error::{Error, Result};
use crate::source::numbers::{each_integer, flags_of};

/// The first byte of a selection in a message.
const RANGE: u8 = 0;
const BITS: u8 = 1;
const NARROW: u8 = 2;
const WIDE: u8 = 3;

/// Number of items that share a start. If one in eight is selected, most of a block are within a
/// byte of its start; and the starts are small beside the offsets.
const BLOCK: usize = 32;

/// Numbers of items, in order; a number may occur several times.
#[derive(Debug, Clone)]
pub struct Selection(Numbers);

#[derive(Debug, Clone)]
enum Numbers {
    /// `first`, `first + step`, and so on; none is below 0.
    Range { first: usize, step: isize, count: usize },
    /// The start of each block, and the distance of each item from its block's start.
    Near(Arc<(Vec<usize>, Vec<u8>)>),
    /// A vector, because to make a shared slice of it would take as much memory again.
    Narrow(Arc<Vec<u32>>),
    /// See `Narrow`.
    Wide(Arc<Vec<u64>>),
}

impl Selection {
    /// `first`, `first + step`, .., `count` of them, all below `items`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchIndex`] for the first that is not below `items`.
    pub fn range(first: usize, step: isize, count: usize, items: usize) -> Result<Self> {
        let outside = |place: usize| {
            let got = first as i128 + place as i128 * step as i128;
            (!(0..items as i128).contains(&got)).then_some(Error::NoSuchIndex { got, place, items })
        };
        let Some(last) = count.checked_sub(1) else {
            return Ok(Selection(Numbers::Range { first: 0, step: 1, count: 0 }));
        };
        match outside(0).or_else(|| outside(last)) {
            Some(error) => Err(error),
            None => Ok(Selection(Numbers::Range { first, step, count })),
        }
    }

    /// These items, `count` of them, all below `items`.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    ///
    /// # Panics
    ///
    /// If `numbers` gives fewer than `count`.
    pub(crate) fn of(
        mut numbers: impl Iterator<Item = usize> + Clone,
        count: usize,
        items: usize,
    ) -> Result<Self> {
        let mut places = numbers.clone();
        let (first, second) = (places.next().unwrap_or(0), places.next());
        let step = second.map_or(1, |second| second.wrapping_sub(first) as isize);
        let expected = |place: usize| first.wrapping_add_signed(step.wrapping_mul(place as isize));
        if numbers.clone().take(count).enumerate().all(|(place, number)| number == expected(place))
        {
            return Selection::range(first, step, count, items);
        }
        let mut start = 0;
        let is_near = |(place, number): (usize, usize)| {
            if place % BLOCK == 0 {
                start = number;
            }
            number >= start && u8::try_from(number - start).is_ok()
        };
        if numbers.clone().take(count).enumerate().all(is_near) {
            let (mut starts, mut offsets) =
                (with_room_for(count.div_ceil(BLOCK))?, with_room_for(count)?);
            for (place, number) in numbers.take(count).enumerate() {
                if place % BLOCK == 0 {
                    starts.push(number);
                }
                offsets.push((number - starts[place / BLOCK]) as u8);
            }
            return Ok(Selection(Numbers::Near(Arc::new((starts, offsets)))));
        }
        let mut next = || numbers.next().unwrap_or_else(|| panic!("fewer than {count} numbers"));
        Ok(Selection(if u32::try_from(items).is_ok() {
            let mut list = with_room_for(count)?;
            (0..count).for_each(|_| list.push(next() as u32));
            Numbers::Narrow(Arc::new(list))
        } else {
            let mut list = with_room_for(count)?;
            (0..count).for_each(|_| list.push(next() as u64));
            Numbers::Wide(Arc::new(list))
        }))
    }

    /// The items that a view of one axis selects from `items` items: integers, of which negative
    /// ones count from the end, or a mask with one boolean for each item.
    ///
    /// # Errors
    ///
    /// [`Error::SelectionShape`], [`Error::SelectionDType`], [`Error::NoSuchIndex`],
    /// [`Error::MaskLength`]; [`Error::Core`] if there is no memory for the list.
    ///
    /// ```
    /// use ndlens_core::View;
    /// use ndlens_loader::Selection;
    ///
    /// let last_and_first = Selection::from_view(&View::from_vec(vec![-1i64, 0]), 5)?;
    /// assert_eq!(last_and_first.iter().collect::<Vec<_>>(), [4, 0]);
    /// # Ok::<(), ndlens_loader::Error>(())
    /// ```
    pub fn from_view(indices: &View, items: usize) -> Result<Self> {
        use ndlens_core::DType;
        let &[count] = indices.shape() else {
            return Err(Error::SelectionShape { got: indices.shape().to_vec() });
        };
        if *indices.dtype() == DType::Bool {
            return Selection::of_mask(indices, count, items);
        }
        let mut list = with_room_for::<usize>(count)?;
        each_integer(indices, |number| {
            let from_start = if number < 0 { number + items as i128 } else { number };
            match usize::try_from(from_start).ok().filter(|&item| item < items) {
                Some(item) => {
                    list.push(item);
                    Ok(())
                }
                None => Err(Error::NoSuchIndex { got: number, place: list.len(), items }),
            }
        })?
        .ok_or_else(|| Error::SelectionDType { got: indices.dtype().to_string() })?;
        Selection::of(list.iter().copied(), count, items)
    }

    fn of_mask(mask: &View, count: usize, items: usize) -> Result<Self> {
        if count != items {
            return Err(Error::MaskLength { got: count, items });
        }
        Selection::of_flags(&flags_of(mask)?)
    }

    /// The items whose flag is set.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn of_flags(chosen: &[bool]) -> Result<Self> {
        let count = chosen.iter().filter(|&&chosen| chosen).count();
        let numbers =
            chosen.iter().enumerate().filter_map(|(item, &chosen)| chosen.then_some(item));
        Selection::of(numbers, count, chosen.len())
    }

    /// The number of selected items.
    pub fn len(&self) -> usize {
        match &self.0 {
            Numbers::Range { count, .. } => *count,
            Numbers::Near(near) => near.1.len(),
            Numbers::Narrow(list) => list.len(),
            Numbers::Wide(list) => list.len(),
        }
    }

    /// Whether no item is selected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first item, the step to the next and the count, if the items are evenly spaced.
    pub fn as_range(&self) -> Option<(usize, isize, usize)> {
        match self.0 {
            Numbers::Range { first, step, count } => Some((first, step, count)),
            Numbers::Near(_) | Numbers::Narrow(_) | Numbers::Wide(_) => None,
        }
    }

    /// The number at a place, which is below [`len`](Self::len).
    ///
    /// # Panics
    ///
    /// If it is not below `len`.
    pub fn at(&self, place: usize) -> usize {
        match &self.0 {
            Numbers::Range { first, step, count } => {
                assert!(place < *count, "place {place} of a selection of {count}");
                first.wrapping_add_signed(step.wrapping_mul(place as isize))
            }
            Numbers::Near(near) => near.0[place / BLOCK] + usize::from(near.1[place]),
            Numbers::Narrow(list) => list[place] as usize,
            Numbers::Wide(list) => list[place] as usize,
        }
    }

    /// As [`at`](Self::at), for many places: replaces each place by its number.
    ///
    /// # Panics
    ///
    /// If a place is not below [`len`](Self::len).
    pub fn replace(&self, places: &mut [usize]) {
        match &self.0 {
            Numbers::Range { first, step, count } => {
                assert!(
                    places.iter().all(|place| place < count),
                    "a place that a selection of {count} does not have"
                );
                match step {
                    1 => places.iter_mut().for_each(|place| *place += first),
                    _ => places.iter_mut().for_each(|place| {
                        *place = first.wrapping_add_signed(step.wrapping_mul(*place as isize));
                    }),
                }
            }
            Numbers::Near(near) => {
                let (starts, offsets) = &**near;
                for &place in &*places {
                    ask_for_element(starts, place / BLOCK);
                    ask_for_element(offsets, place);
                }
                for place in places {
                    *place = starts[*place / BLOCK] + usize::from(offsets[*place]);
                }
            }
            Numbers::Narrow(list) => look_up(list, places, |number| number as usize),
            Numbers::Wide(list) => look_up(list, places, |number| number as usize),
        }
    }

    /// All numbers, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = usize> + Clone + '_ {
        (0..self.len()).map(|place| self.at(place))
    }

    /// The items that `inner` selects from these. Numbers of `inner` are below [`len`](Self::len),
    /// and the results are below `items`.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn select(&self, inner: &Selection, items: usize) -> Result<Self> {
        Selection::of(inner.iter().map(|place| self.at(place)), inner.len(), items)
    }

    /// A digest of the selection, the same on every machine.
    pub fn fingerprint(&self) -> u64 {
        // A multiplication and a rotation for each; the constant is 2^64 over the golden ratio, as
        // in Fibonacci hashing.
        let mix = |hash: u64, number: usize| {
            (hash ^ number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
        };
        self.iter().fold(self.len() as u64, mix)
    }

    /// The selection as bytes, in the form that the module's documentation draws.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for them.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        if let Numbers::Range { first, step, count } = self.0 {
            let numbers = [first as u64, step as u64, count as u64];
            return Ok([&[RANGE][..], numbers.map(u64::to_le_bytes).as_flattened()].concat());
        }
        let (first, last) = (self.at(0), self.at(self.len() - 1));
        let wide = match self.0 {
            Numbers::Near(_) => {
                u32::try_from(last).is_err() || self.iter().any(|item| u32::try_from(item).is_err())
            }
            Numbers::Range { .. } | Numbers::Narrow(_) => false,
            Numbers::Wide(_) => true,
        };
        let list_len = self.len() * if wide { size_of::<u64>() } else { size_of::<u32>() };
        let span = last.wrapping_sub(first).wrapping_add(1);
        if span.div_ceil(8) < list_len && self.iter().is_sorted_by(|a, b| a < b) {
            let header = 1 + 2 * size_of::<u64>();
            let mut bytes = with_room_for(header + span.div_ceil(8))?;
            bytes.push(BITS);
            bytes.extend_from_slice(
                [first as u64, self.len() as u64].map(u64::to_le_bytes).as_flattened(),
            );
            bytes.resize(header + span.div_ceil(8), 0);
            self.iter()
                .for_each(|item| bytes[header + (item - first) / 8] |= 1 << ((item - first) % 8));
            return Ok(bytes);
        }
        let mut bytes = with_room_for(1 + list_len)?;
        bytes.push(if wide { WIDE } else { NARROW });
        for item in self.iter() {
            if wide {
                bytes.extend_from_slice(&(item as u64).to_le_bytes());
            } else {
                bytes.extend_from_slice(&(item as u32).to_le_bytes());
            }
        }
        Ok(bytes)
    }

    /// The selection of bytes from [`to_bytes`](Self::to_bytes), for a source of `items` items.
    ///
    /// # Errors
    ///
    /// [`Error::SelectionBytes`] for anything else; [`Error::NoSuchIndex`] if there are fewer
    /// items; [`Error::Core`] if there is no memory for the list.
    pub fn from_bytes(bytes: &[u8], items: usize) -> Result<Self> {
        let damaged = || Error::SelectionBytes { len: bytes.len() };
        let (&kind, rest) = bytes.split_first().ok_or_else(damaged)?;
        let (words, _) = rest.as_chunks::<8>();
        let word = |at: usize| words.get(at).copied().map(u64::from_le_bytes).ok_or_else(damaged);
        let size = |at: usize| usize::try_from(word(at)?).map_err(|_| damaged());
        match kind {
            RANGE if rest.len() == 24 => {
                Selection::range(size(0)?, word(1)? as isize, size(2)?, items)
            }
            BITS => {
                let (first, count, bits) =
                    (size(0)?, size(1)?, rest.get(16..).ok_or_else(damaged)?);
                if bits.iter().map(|byte| byte.count_ones() as usize).sum::<usize>() != count {
                    return Err(damaged());
                }
                let set = |at: &usize| bits[at / 8] >> (at % 8) & 1 == 1;
                let list =
                    || (0..bits.len() * 8).filter(set).map(move |at| first.saturating_add(at));
                checked(list(), items)?;
                Selection::of(list(), count, items)
            }
            NARROW if rest.len() % 4 == 0 => {
                let list = || {
                    rest.as_chunks::<4>().0.iter().map(|&item| u32::from_le_bytes(item) as usize)
                };
                checked(list(), items)?;
                Selection::of(list(), rest.len() / 4, items)
            }
            WIDE if rest.len() % 8 == 0 => {
                let list = || words.iter().map(|&item| u64::from_le_bytes(item) as usize);
                checked(list(), items)?;
                Selection::of(list(), words.len(), items)
            }
            _ => Err(damaged()),
        }
    }
}

/// Checks that all numbers are below `items`.
fn checked(numbers: impl Iterator<Item = usize>, items: usize) -> Result<()> {
    match numbers.enumerate().find(|&(_, number)| number >= items) {
        Some((place, got)) => Err(Error::NoSuchIndex { got: got as i128, place, items }),
        None => Ok(()),
    }
}

/// Replaces each place by the number at that place of a list.
fn look_up<T: Copy>(list: &[T], places: &mut [usize], number: impl Fn(T) -> usize) {
    for &place in &*places {
        ask_for_element(list, place);
    }
    for place in places {
        *place = number(list[*place]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(selection: &Selection) -> Vec<usize> {
        selection.iter().collect()
    }

    fn of(numbers: &[usize], items: usize) -> Selection {
        Selection::of(numbers.iter().copied(), numbers.len(), items).unwrap()
    }

    proptest! {
        #[test]
        fn any_list_comes_back_from_its_bytes(
            mut numbers in prop::collection::vec(0usize..400, 0..80),
            sorted: bool,
            far in prop_oneof![Just(0usize), Just(1usize << 33)],
        ) {
            if sorted {
                numbers.sort_unstable();
                numbers.dedup();
            }
            for number in &mut numbers {
                *number += far;
            }
            let items = 400 + far;
            let selection = of(&numbers, items);
            let mut places: Vec<usize> = (0..numbers.len()).collect();
            selection.replace(&mut places);
            prop_assert_eq!(&places, &numbers);
            let bytes = selection.to_bytes().unwrap();
            let again = Selection::from_bytes(&bytes, items).unwrap();
            prop_assert_eq!(list(&again), numbers);
            prop_assert_eq!(again.fingerprint(), selection.fingerprint());
            // Any bytes give an error or a selection of existing items.
            for at in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[at] ^= 0x41;
                if let Ok(selection) = Selection::from_bytes(&damaged, items) {
                    let is_long = selection.len() > 1 << 20;
                    prop_assert!(is_long || selection.iter().all(|item| item < items));
                }
                if let Ok(selection) = Selection::from_bytes(&bytes[..at], items) {
                    prop_assert!(selection.iter().all(|item| item < items));
                }
            }
        }
    }

    #[test]
    fn items_near_each_other_take_a_byte_each_and_all_others_more() {
        let kind = |numbers: &[usize]| match of(numbers, 1 << 34).0 {
            Numbers::Range { .. } => "range",
            Numbers::Near(_) => "near",
            Numbers::Narrow(_) => "narrow",
            Numbers::Wide(_) => "wide",
        };
        let near: Vec<usize> = (0..100).map(|i| i * 8 + i % 2).collect();
        assert_eq!((kind(&near), list(&of(&near, 1000))), ("near", near.clone()));
        let mut far = near.clone();
        far[63] += 300;
        assert_eq!(kind(&far), "wide");
        assert!(matches!(of(&far, 2000).0, Numbers::Narrow(_)));
        assert_eq!(list(&of(&far, 2000)), far);
        assert_eq!(kind(&[5, 4, 2]), "wide");
        assert_eq!(kind(&[5, 4, 3]), "range");
        let high: Vec<usize> = near.iter().map(|item| item + (1 << 33)).collect();
        assert_eq!((kind(&high), list(&of(&high, 1 << 34))), ("near", high.clone()));
        let again =
            Selection::from_bytes(&of(&high, 1 << 34).to_bytes().unwrap(), 1 << 34).unwrap();
        assert_eq!(list(&again), high);
    }

    #[test]
    fn evenly_spaced_items_are_three_numbers_and_ascending_ones_are_bits() {
        assert_eq!(of(&[7, 5, 3], 10).to_bytes().unwrap().len(), 25);
        assert_eq!(of(&[], 10).to_bytes().unwrap().len(), 25);
        assert_eq!(of(&[4, 4, 4], 10).to_bytes().unwrap().len(), 25);
        let most: Vec<usize> = (0..8000).filter(|item| item % 5 != 3).collect();
        assert_eq!(of(&most, 8000).to_bytes().unwrap().len(), 17 + 1000);
        let few = [0, 70_000, 80_001];
        assert_eq!(of(&few, 100_000).to_bytes().unwrap().len(), 1 + 3 * 4);
    }

    #[test]
    fn integers_and_masks_select_as_numpy_has_them() {
        let from = |view: View| Selection::from_view(&view, 5).map(|selection| list(&selection));
        assert_eq!(from(View::from_vec(vec![-1i8, 0, 4, -5])).unwrap(), [4, 0, 4, 0]);
        assert_eq!(from(View::from_vec(vec![3u64, 1])).unwrap(), [3, 1]);
        assert_eq!(
            from(View::from_vec((0..5i32).collect()).flip(&[0]).unwrap()).unwrap(),
            [4, 3, 2, 1, 0]
        );
        let mask =
            View::from_vec(vec![1u8, 0, 0, 2, 1]).reinterpret(ndlens_core::DType::Bool).unwrap();
        assert_eq!(from(mask).unwrap(), [0, 3, 4]);
        let message = |view: View| Selection::from_view(&view, 5).unwrap_err().to_string();
        assert_eq!(
            message(View::from_vec(vec![0i64, 5])),
            "index 5 at place 1 is out of bounds for 5 items"
        );
        assert_eq!(
            message(View::from_vec(vec![-6i64])),
            "index -6 at place 0 is out of bounds for 5 items"
        );
        assert_eq!(
            message(View::from_vec(vec![u64::MAX])),
            "index 18446744073709551615 at place 0 is out of bounds for 5 items"
        );
        assert_eq!(
            message(View::from_vec(vec![0u8; 4]).reinterpret(ndlens_core::DType::Bool).unwrap()),
            "a boolean index needs one value for each of 5 items, got 4"
        );
        assert_eq!(
            message(View::from_vec(vec![0.0f32])),
            "items are selected by integers or booleans, got float32"
        );
        assert_eq!(
            message(View::from_vec(vec![0i64; 4]).reshape(&[2, 2]).unwrap()),
            "items are selected along one axis, got indices of shape [2, 2]"
        );
    }

    #[test]
    fn a_selection_of_a_selection_is_one_of_the_items() {
        let outer = of(&[9, 2, 5, 7], 10);
        assert_eq!(list(&outer.select(&of(&[3, 0, 0], 4), 10).unwrap()), [7, 9, 9]);
        let evens = Selection::range(8, -2, 5, 10).unwrap();
        assert_eq!(
            list(&evens.select(&Selection::range(1, 2, 2, 5).unwrap(), 10).unwrap()),
            [6, 2]
        );
    }

    #[test]
    fn a_selection_of_items_that_are_not_there_is_refused() {
        let outside =
            |first, step, count| Selection::range(first, step, count, 10).unwrap_err().to_string();
        assert_eq!(outside(10, 1, 1), "index 10 at place 0 is out of bounds for 10 items");
        assert_eq!(outside(4, -2, 4), "index -2 at place 3 is out of bounds for 10 items");
        let bytes = of(&[1, 5, 9], 10).to_bytes().unwrap();
        assert_eq!(
            Selection::from_bytes(&bytes, 9).unwrap_err().to_string(),
            "index 9 at place 2 is out of bounds for 9 items"
        );
        assert_eq!(
            Selection::from_bytes(&[9, 0], 9).unwrap_err().to_string(),
            "these 2 bytes are not a selection of items"
        );
    }
}
