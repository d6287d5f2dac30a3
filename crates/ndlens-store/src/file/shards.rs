//! One array in several files, divided along axis 0, as large data sets are written. It is read as
//! one array, and nothing is copied.
//!
//! ```text
//!  shard-0.npy (3, ..)   shard-1.npy (2, ..)   shard-2.npy (4, ..)
//!  | 0    1    2 |       | 3    4 |            | 5    6    7    8 |
//!              ends: 3           5                               9
//! ```
//!
//! An item is in the first shard whose end is above its number.

use std::sync::Arc;

use ndlens_core::{DType, Index, View, ViewRef, room};

use crate::error::{Error, Result};

/// Views of the same items, one after the other.
///
/// # Invariant
///
/// There is at least one, each of rank 1 or more, and all have one dtype and, except for axis 0,
/// one shape.
///
/// ```
/// use ndlens_core::View;
/// use ndlens_store::{Options, Shards, save_npy};
///
/// let directory = tempfile::tempdir()?;
/// let paths = ["a.npy", "b.npy"].map(|name| directory.path().join(name));
/// save_npy(&paths[0], &[View::from_vec(vec![0u8, 1, 2])])?;
/// save_npy(&paths[1], &[View::from_vec(vec![3u8, 4])])?;
///
/// let shards = Shards::open(&paths, &Options::default())?;
/// assert_eq!(shards.shape(), [5]);
/// assert_eq!(shards.get(-2)?.to_vec::<u8>()?, [3]);
/// assert_eq!(shards.slice(None, None, -2)?.get(1)?.to_vec::<u8>()?, [2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Shards {
    views: Arc<Vec<View>>,
    /// For each, the number of items in it and all before it.
    ends: Arc<Vec<usize>>,
}

impl Shards {
    /// These views, as one.
    ///
    /// # Errors
    ///
    /// [`Error::NoShards`] for none; [`Error::Core`] if their items differ in shape or dtype.
    pub fn of(views: Vec<View>) -> Result<Self> {
        let Some(first) = views.first() else { return Err(Error::NoShards) };
        let (mut ends, mut end) = (room::with_room_for(views.len())?, 0usize);
        for view in &views {
            let [items, item @ ..] = view.shape() else {
                return Err(ndlens_core::Error::AxisOutOfBounds { axis: 0, ndim: 0 }.into());
            };
            if item != &first.shape()[1..] {
                let (from, to) = (item.to_vec(), first.shape()[1..].to_vec());
                return Err(ndlens_core::Error::Broadcast { from, to }.into());
            }
            if view.dtype() != first.dtype() {
                let (got, expected) = (view.dtype().to_string(), first.dtype().to_string());
                return Err(ndlens_core::Error::DTypeMismatch { got, expected }.into());
            }
            let overflow = || ndlens_core::Error::SizeOverflow {
                shape: view.shape().to_vec(),
                itemsize: view.itemsize(),
            };
            end = end
                .checked_add(*items)
                .filter(|&end| isize::try_from(end).is_ok())
                .ok_or_else(overflow)?;
            ends.push(end);
        }
        Ok(Shards { views: Arc::new(views), ends: Arc::new(ends) })
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of the whole array: items, then an item's own.
    pub fn shape(&self) -> Vec<usize> {
        [&[self.len()], self.item_shape()].concat()
    }

    /// The shape of each item.
    pub fn item_shape(&self) -> &[usize] {
        &self.views[0].shape()[1..]
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        self.views[0].dtype()
    }

    /// The shards themselves, in order.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// Item `index`, without a claim on its memory.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::IndexOutOfBounds`].
    pub fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        let (shard, place) = self.find(index as isize)?;
        self.views[shard].as_ref().index(&[Index::At(place)])
    }

    /// Item `index`; negative counts from the end.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::IndexOutOfBounds`].
    pub fn get(&self, index: isize) -> ndlens_core::Result<View> {
        let (shard, place) = self.find(index)?;
        self.views[shard].index(&[Index::At(place)])
    }

    /// The shard of an item, and its place there.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::IndexOutOfBounds`].
    pub fn find(&self, index: isize) -> ndlens_core::Result<(usize, isize)> {
        let size = self.len();
        let item = if index < 0 { index + size as isize } else { index };
        let outside = ndlens_core::Error::IndexOutOfBounds { index, axis: 0, size };
        let item = usize::try_from(item).ok().filter(|&item| item < size).ok_or(outside)?;
        let shard = self.ends.partition_point(|&end| end <= item);
        Ok((shard, (item - self.start(shard)) as isize))
    }

    /// The number of a shard's first item.
    fn start(&self, shard: usize) -> usize {
        shard.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// The items `start:stop:step`, with Python's meaning.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::ZeroStep`].
    pub fn slice(&self, start: Option<isize>, stop: Option<isize>, step: isize) -> Result<Self> {
        let (first, count) = selected(self.len(), start, stop, step)?;
        if count == 0 {
            return Shards::of(vec![self.views[0].index(&[Index::from(0..0)])?]);
        }
        let last = first + (count as isize - 1) * step;
        let (low, high) = if step > 0 { (first, last) } else { (last, first) };
        // A larger step selects one item, as this does.
        let stride = step.unsigned_abs().min(self.len());
        let mut views = vec![];
        for (shard, view) in self.views.iter().enumerate() {
            let (begin, end) = (self.start(shard) as isize, self.ends[shard] as isize);
            // The selected places that are this shard's, from the lowest on.
            let lowest =
                low + (begin - low).max(0).unsigned_abs().next_multiple_of(stride) as isize;
            let bound = end.min(high + 1);
            if lowest < bound {
                let (start, stop) = (Some(lowest - begin), Some(bound - begin));
                let part = view.index(&[Index::Slice { start, stop, step: stride as isize }])?;
                room::push(&mut views, if step < 0 { part.flip(&[0])? } else { part })?;
            }
        }
        if step < 0 {
            views.reverse();
        }
        Shards::of(views)
    }
}

/// The first of the places that `start:stop:step` selects among `len`, and their number.
fn selected(
    len: usize,
    start: Option<isize>,
    stop: Option<isize>,
    step: isize,
) -> ndlens_core::Result<(isize, usize)> {
    if step == 0 {
        return Err(ndlens_core::Error::ZeroStep);
    }
    let len = len as isize;
    let (least, most) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |bound: isize| {
        (if bound < 0 { bound.saturating_add(len) } else { bound }).clamp(least, most)
    };
    let (first, end) = if step > 0 { (least, most) } else { (most, least) };
    let (first, end) = (start.map_or(first, place), stop.map_or(end, place));
    let distance = if step > 0 { end - first } else { first - end };
    let count = distance.max(0).unsigned_abs().div_ceil(step.unsigned_abs());
    Ok((first, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_select_what_slices_of_the_whole_select() {
        let sizes = [3usize, 1, 4, 2];
        let views: Vec<View> = sizes
            .iter()
            .scan(0u8, |next, &size| {
                let items: Vec<u8> = (*next..*next + size as u8).collect();
                *next += size as u8;
                Some(View::from_vec(items))
            })
            .collect();
        let (shards, whole) = (Shards::of(views).unwrap(), View::from_vec((0..10u8).collect()));
        let bounds = || (-12..=12isize).map(Some).chain([None, Some(isize::MAX), Some(isize::MIN)]);
        for step in [1, 2, 3, 7, 100, isize::MAX, -1, -2, -3, -7, -100, isize::MIN] {
            for start in bounds() {
                for stop in bounds() {
                    let expected = whole.index(&[Index::Slice { start, stop, step }]).unwrap();
                    let expected = expected.to_vec::<u8>().unwrap();
                    let slice = shards.slice(start, stop, step).unwrap();
                    let got: Vec<u8> = (0..slice.len())
                        .map(|i| slice.get(i as isize).unwrap().to_vec::<u8>().unwrap()[0])
                        .collect();
                    assert_eq!(got, expected, "{start:?}:{stop:?}:{step}");
                    let parts = slice.views().iter().flat_map(|part| part.to_vec::<u8>().unwrap());
                    assert!(parts.eq(expected));
                }
            }
        }
        assert!(matches!(
            shards.slice(None, None, 0),
            Err(Error::Core(ndlens_core::Error::ZeroStep))
        ));
    }
}
