//! The oracle of views: every element's place, one by one.
//!
//! A [`Grid`] has the shape of a view and the byte at which each element starts, in C order. Each
//! operation walks all indices of its result and looks up the source of each, as NumPy's reference
//! describes it. It is slow and obvious.

use ndlens_core::{Index, Layout};

/// More elements than this are not enumerated.
pub(crate) const MOST: usize = 1024;

/// A shape, and the place of each element in C order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) shape: Vec<usize>,
    pub(crate) places: Vec<i128>,
}

/// The number of elements of a shape; None if there are more than [`MOST`].
pub(crate) fn count(shape: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    let product = |product: usize, &n: &usize| product.checked_mul(n).filter(|&all| all <= MOST);
    shape.iter().try_fold(1, product)
}

/// Whether elements of this shape fit the address space, axes of size 0 counted as 1.
pub(crate) fn fits(shape: &[usize], itemsize: usize) -> bool {
    let product = |product: i128, &n: &usize| {
        product.checked_mul(n.max(1) as i128).filter(|&all| all <= isize::MAX as i128)
    };
    shape.iter().try_fold(itemsize.max(1) as i128, product).is_some()
}

/// Every index of a shape, in C order.
fn indices(shape: &[usize]) -> impl Iterator<Item = Vec<usize>> + '_ {
    let all = count(shape).expect("few elements");
    (0..all).map(move |mut rest| {
        let mut index = vec![0; shape.len()];
        for axis in (0..shape.len()).rev() {
            index[axis] = rest % shape[axis];
            rest /= shape[axis];
        }
        index
    })
}

/// An axis that may count from the end; None if there is no such axis.
pub(crate) fn axis(axis: isize, ndim: usize) -> Option<usize> {
    let from_start = if axis < 0 { axis as i128 + ndim as i128 } else { axis as i128 };
    usize::try_from(from_start).ok().filter(|&axis| axis < ndim)
}

/// Axes that may count from the end; None if there is no such axis, or one comes twice.
pub(crate) fn axes(list: &[isize], ndim: usize) -> Option<Vec<usize>> {
    let axes: Vec<_> = list.iter().map(|&own| axis(own, ndim)).collect::<Option<_>>()?;
    let twice = axes.iter().enumerate().any(|(at, own)| axes[..at].contains(own));
    (!twice).then_some(axes)
}

/// The places along an axis that a slice takes, as Python's reference describes it.
fn slice(start: Option<isize>, stop: Option<isize>, step: isize, size: usize) -> Vec<usize> {
    let size = size as i128;
    let bound = |bound: isize| {
        let bound = bound as i128;
        if bound < 0 { bound + size } else { bound }
    };
    let (mut at, end) = if step > 0 {
        (start.map_or(0, bound).max(0), stop.map_or(size, bound).min(size))
    } else {
        (start.map_or(size - 1, bound).min(size - 1), stop.map_or(-1, bound).max(-1))
    };
    let mut taken = vec![];
    while (step > 0 && at < end) || (step < 0 && at > end) {
        taken.push(at as usize);
        at += step as i128;
    }
    taken
}

/// Where the indices along the axes of a result come from.
enum Source {
    Fixed(usize),
    Taken(Vec<usize>),
    New,
}

impl Grid {
    /// The grid of numbers that may be wrong: places may be negative or beyond the buffer.
    pub(crate) fn strided(shape: &[usize], strides: &[isize], offset: usize) -> Option<Self> {
        count(shape)?;
        let place = |index: Vec<usize>| {
            let steps = index.iter().zip(strides).map(|(&i, &s)| i as i128 * s as i128);
            offset as i128 + steps.sum::<i128>()
        };
        let places = indices(shape).map(place).collect();
        Some(Grid { shape: shape.to_vec(), places })
    }

    /// The grid of a layout that was checked.
    pub(crate) fn of(layout: &Layout) -> Option<Self> {
        Grid::strided(layout.shape(), layout.strides(), layout.offset())
    }

    pub(crate) fn ndim(&self) -> usize {
        self.shape.len()
    }

    fn at(&self, index: &[usize]) -> i128 {
        let place = index.iter().zip(&self.shape).fold(0, |place, (&i, &n)| place * n + i);
        self.places[place]
    }

    /// The grid of this shape whose every element is one of this one's; None if it is too large.
    pub(crate) fn select(
        &self,
        shape: Vec<usize>,
        source: impl Fn(&[usize]) -> Vec<usize>,
    ) -> Option<Grid> {
        count(&shape)?;
        let places = indices(&shape).map(|index| self.at(&source(&index))).collect();
        Some(Grid { shape, places })
    }

    /// NumPy's basic indexing; `Err` if it must be refused.
    pub(crate) fn index(&self, items: &[Index]) -> Result<Option<Grid>, ()> {
        // An empty grid may have axes that are too long to be listed.
        if self.shape.iter().any(|&n| n > MOST) {
            return Ok(None);
        }
        let named = |index: &Index| matches!(index, Index::At(_) | Index::Slice { .. });
        let used = items.iter().filter(|index| named(index)).count();
        let ellipses = items.iter().filter(|&&index| index == Index::Ellipsis).count();
        if used > self.ndim() || ellipses > 1 {
            return Err(());
        }
        let (rest, mut axis, mut sources) = (self.ndim() - used, 0, vec![]);
        let all = |n: usize| Source::Taken((0..n).collect());
        let complete = [items, if ellipses == 0 { &[Index::Ellipsis] } else { &[] }].concat();
        for index in complete {
            match index {
                Index::At(at) => {
                    sources.push(Source::Fixed(self::axis(at, self.shape[axis]).ok_or(())?));
                    axis += 1;
                }
                Index::Slice { step: 0, .. } => return Err(()),
                Index::Slice { start, stop, step } => {
                    sources.push(Source::Taken(slice(start, stop, step, self.shape[axis])));
                    axis += 1;
                }
                Index::Ellipsis => {
                    sources.extend(self.shape[axis..axis + rest].iter().map(|&n| all(n)));
                    axis += rest;
                }
                Index::NewAxis => sources.push(Source::New),
            }
        }
        let shape: Vec<usize> = sources
            .iter()
            .filter_map(|source| match source {
                Source::Fixed(_) => None,
                Source::Taken(taken) => Some(taken.len()),
                Source::New => Some(1),
            })
            .collect();
        if shape.len() > ndlens_core::MAX_NDIM {
            return Err(());
        }
        Ok(self.select(shape, |index| {
            let (mut index, mut out) = (index.iter(), vec![]);
            for source in &sources {
                match source {
                    Source::Fixed(at) => out.push(*at),
                    Source::Taken(taken) => out.extend(index.next().map(|&i| taken[i])),
                    Source::New => drop(index.next()),
                }
            }
            out
        }))
    }

    /// The same elements in C order in another shape of as many.
    pub(crate) fn reshaped(&self, shape: Vec<usize>) -> Grid {
        Grid { shape, places: self.places.clone() }
    }

    /// Whether one offset and one stride for each axis give all places.
    pub(crate) fn is_strided(&self) -> bool {
        let Some(&first) = self.places.first() else { return true };
        let unit = |axis: usize| {
            let mut index = vec![0; self.ndim()];
            index[axis] = 1;
            self.at(&index) - first
        };
        let strides: Vec<i128> = (0..self.ndim())
            .map(|axis| if self.shape[axis] > 1 { unit(axis) } else { 0 })
            .collect();
        indices(&self.shape).zip(&self.places).all(|(index, &place)| {
            let steps = index.iter().zip(&strides).map(|(&i, &s)| i as i128 * s);
            first + steps.sum::<i128>() == place
        })
    }

    /// Asserts that a layout has this shape and these places.
    pub(crate) fn is_that_of(&self, layout: &Layout) {
        assert_eq!(layout.shape(), self.shape);
        let places: Vec<i128> = layout.offsets().map(|place| place as i128).collect();
        assert_eq!(places, self.places, "{layout:?}");
        assert_eq!(Grid::of(layout).as_ref(), Some(self), "{layout:?}");
    }
}
