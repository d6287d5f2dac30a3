//! Operations from layout to layout: the items between the brackets of `v[...]`.
//!
//! This file, `axes.rs` and `shape.rs` have all operations that choose among existing elements.
//! They read no bytes, and no other file changes an offset. Each operation selects a subset of its
//! elements, or shows some of them twice, so the result keeps invariant 3 of [`Layout`]. A layout
//! without elements keeps its offset, which therefore stays in the buffer.

use std::ops::{Range, RangeFrom, RangeFull, RangeTo};

use crate::error::{Error, Result};
use crate::layout::{Layout, check_rank};

/// One item between the brackets of `v[...]`: NumPy's basic indexing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// One element along an axis, which is removed. A negative index counts from the end.
    At(isize),
    /// `start:stop:step`, with Python's meaning of missing and out-of-range bounds.
    Slice {
        /// First element, inclusive.
        start: Option<isize>,
        /// Last element, exclusive.
        stop: Option<isize>,
        /// Distance between elements; not 0.
        step: isize,
    },
    /// A full slice for each axis that no other item indexes.
    Ellipsis,
    /// A new axis of size 1.
    NewAxis,
}

impl From<isize> for Index {
    fn from(index: isize) -> Self {
        Index::At(index)
    }
}

impl From<RangeFull> for Index {
    fn from(_: RangeFull) -> Self {
        Index::Slice { start: None, stop: None, step: 1 }
    }
}

impl From<Range<isize>> for Index {
    fn from(range: Range<isize>) -> Self {
        Index::Slice { start: Some(range.start), stop: Some(range.end), step: 1 }
    }
}

impl From<RangeFrom<isize>> for Index {
    fn from(range: RangeFrom<isize>) -> Self {
        Index::Slice { start: Some(range.start), stop: None, step: 1 }
    }
}

impl From<RangeTo<isize>> for Index {
    fn from(range: RangeTo<isize>) -> Self {
        Index::Slice { start: None, stop: Some(range.end), step: 1 }
    }
}

/// Short for `Index::from`: `s(1..4)`, `s(..)`, `s(2)`.
pub fn s(index: impl Into<Index>) -> Index {
    index.into()
}

/// The start of a slice and the number of elements that it takes from an axis of `size`: Python's
/// `slice.indices`.
fn slice_extent(
    start: Option<isize>,
    stop: Option<isize>,
    step: isize,
    size: usize,
) -> (isize, usize) {
    let size = size as isize;
    let clamp = |bound: isize, low: isize, high: isize| {
        let bound = if bound < 0 { bound.saturating_add(size) } else { bound };
        bound.clamp(low, high)
    };
    let stride = step.unsigned_abs();
    if step > 0 {
        let first = start.map_or(0, |b| clamp(b, 0, size));
        let last = stop.map_or(size, |b| clamp(b, 0, size));
        let span = (last - first).max(0) as usize;
        // A division takes as long as all the rest, and most slices need none.
        (first, if stride == 1 { span } else { span.div_ceil(stride) })
    } else {
        let first = start.map_or(size - 1, |b| clamp(b, -1, size - 1));
        let last = stop.map_or(-1, |b| if b < -size { -1 } else { clamp(b, -1, size - 1) });
        (first, ((first - last).max(0) as usize).div_ceil(stride))
    }
}

impl Layout {
    /// NumPy's basic indexing.
    ///
    /// # Errors
    ///
    /// [`Error::IndexOutOfBounds`], [`Error::TooManyIndices`], [`Error::MultipleEllipses`],
    /// [`Error::ZeroStep`], [`Error::TooManyDimensions`].
    pub fn index(&self, indices: &[Index]) -> Result<Layout> {
        let mut out = Layout::vacant();
        self.index_into(indices, &mut out)?;
        Ok(out)
    }

    /// The byte at which the element with these indices starts, one for each axis; negative ones
    /// count from the end.
    ///
    /// # Errors
    ///
    /// [`Error::IndexOutOfBounds`]; [`Error::TooManyIndices`] if there is not one index for each
    /// axis.
    pub fn element_offset(&self, indices: impl ExactSizeIterator<Item = isize>) -> Result<usize> {
        if indices.len() != self.ndim() {
            return Err(Error::TooManyIndices { ndim: self.ndim(), got: indices.len() });
        }
        let mut offset = self.offset;
        for (axis, index) in indices.enumerate() {
            offset =
                offset.wrapping_add_signed(self.place(index, axis)? as isize * self.strides[axis]);
        }
        Ok(offset)
    }

    /// An index along an axis, counted from the start.
    #[inline]
    fn place(&self, index: isize, axis: usize) -> Result<usize> {
        let size = self.shape[axis];
        let from_start = if index < 0 { index.wrapping_add(size as isize) } else { index };
        match usize::try_from(from_start) {
            Ok(place) if place < size => Ok(place),
            _ => Err(Error::IndexOutOfBounds { index, axis, size }),
        }
    }

    /// As [`index`](Self::index), with the result written to `out`, since moving a layout costs
    /// time. After an error `out` has no elements.
    #[inline]
    pub(crate) fn index_into(&self, indices: &[Index], out: &mut Layout) -> Result<()> {
        if let [Index::At(at)] = *indices
            && self.ndim() > 0
        {
            // The most frequent index, without a loop over axes.
            let first = (self.place(at, 0)? as isize).wrapping_mul(self.strides[0]);
            out.shape.set_rest(&self.shape);
            out.strides.set_rest(&self.strides);
            out.offset =
                if out.is_empty() { self.offset } else { self.offset.wrapping_add_signed(first) };
            return Ok(());
        }
        out.shape.clear();
        out.strides.clear();
        let indexed = self.push_indexed(indices, out);
        if indexed.is_err() {
            *out = Layout::vacant();
        }
        indexed
    }

    fn push_indexed(&self, indices: &[Index], out: &mut Layout) -> Result<()> {
        let (mut used, mut dropped, mut ellipses) = (0, 0, 0);
        for index in indices {
            match index {
                Index::At(_) => (used, dropped) = (used + 1, dropped + 1),
                Index::Slice { .. } => used += 1,
                Index::Ellipsis => ellipses += 1,
                Index::NewAxis => {}
            }
        }
        if ellipses > 1 {
            return Err(Error::MultipleEllipses);
        }
        let Some(rest) = self.ndim().checked_sub(used) else {
            return Err(Error::TooManyIndices { ndim: self.ndim(), got: used });
        };
        let added = indices.len() - used - ellipses;
        check_rank(self.ndim() - dropped + added)?;

        let (mut axis, mut offset) = (0, self.offset);
        for index in indices {
            match *index {
                Index::At(at) => {
                    let place = self.place(at, axis)? as isize;
                    offset = offset.wrapping_add_signed(place.wrapping_mul(self.strides[axis]));
                    axis += 1;
                }
                Index::Slice { start, stop, step } => {
                    if step == 0 {
                        return Err(Error::ZeroStep);
                    }
                    let (size, stride) = (self.shape[axis], self.strides[axis]);
                    let (first, count) = slice_extent(start, stop, step, size);
                    offset = offset.wrapping_add_signed(first.wrapping_mul(stride));
                    // This overflows only if at most one element is left, whose stride is never
                    // walked.
                    out.shape.push(count);
                    out.strides.push(stride.wrapping_mul(step));
                    axis += 1;
                }
                Index::Ellipsis => {
                    out.shape.extend_from_slice(&self.shape[axis..axis + rest]);
                    out.strides.extend_from_slice(&self.strides[axis..axis + rest]);
                    axis += rest;
                }
                Index::NewAxis => {
                    out.shape.push(1);
                    out.strides.push(0);
                }
            }
        }
        out.shape.extend_from_slice(&self.shape[axis..]);
        out.strides.extend_from_slice(&self.strides[axis..]);
        // If an element is left, the sum is the place of the first one, which is in the buffer.
        out.offset = if out.is_empty() { self.offset } else { offset };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Order;
    use crate::samples::{LARGEST, any_layout, elements};
    use proptest::prelude::*;

    fn any_slice() -> impl Strategy<Value = Index> {
        let bound =
            || prop::option::of(prop_oneof![-7isize..8, Just(isize::MIN), Just(isize::MAX)]);
        let step = prop_oneof![-4isize..5, Just(isize::MIN), Just(isize::MAX)];
        (bound(), bound(), step.prop_filter("not zero", |&s| s != 0))
            .prop_map(|(start, stop, step)| Index::Slice { start, stop, step })
    }

    /// The indices that a slice selects, by a walk as the Python reference describes it.
    fn walk_slice(
        start: Option<isize>,
        stop: Option<isize>,
        step: isize,
        size: usize,
    ) -> Vec<usize> {
        let size = size as i128;
        let bound =
            |b: isize| if b < 0 { (b as i128 + size).max(-1) } else { (b as i128).min(size) };
        let (mut at, end) = if step > 0 {
            (start.map_or(0, bound).max(0), stop.map_or(size, bound))
        } else {
            (start.map_or(size - 1, bound).min(size - 1), stop.map_or(-1, bound))
        };
        let mut selected = vec![];
        while (step > 0 && at < end) || (step < 0 && at > end) {
            selected.push(at as usize);
            at += step as i128;
        }
        selected
    }

    proptest! {
        #[test]
        fn a_slice_selects_what_python_selects(index in any_slice(), size in 0usize..7) {
            let layout = Layout::contiguous(&[size], 1, Order::C).unwrap();
            let Index::Slice { start, stop, step } = index else { unreachable!() };
            let got: Vec<_> = layout.index(&[index]).unwrap().offsets().collect();
            prop_assert_eq!(got, walk_slice(start, stop, step, size));
        }

        #[test]
        fn indexing_each_axis_selects_those_elements(
            layout in any_layout(),
            slices in prop::collection::vec(any_slice(), 4),
        ) {
            let slices = &slices[..layout.ndim()];
            let chosen: Vec<Vec<usize>> = slices.iter().zip(layout.shape()).map(|(index, &size)| {
                let Index::Slice { start, stop, step } = *index else { unreachable!() };
                walk_slice(start, stop, step, size)
            }).collect();
            let out = layout.index(slices).unwrap();
            prop_assert_eq!(out.shape(), chosen.iter().map(Vec::len).collect::<Vec<_>>());
            let all: std::collections::HashMap<_, _> = elements(&layout).into_iter().collect();
            for (index, place) in elements(&out) {
                let source: Vec<_> = index.iter().zip(&chosen).map(|(&i, axis)| axis[i]).collect();
                prop_assert_eq!(all[&source], place);
            }
        }

        #[test]
        fn offsets_walk_the_elements_in_c_order(layout in any_layout()) {
            let expected: Vec<_> = elements(&layout).into_iter().map(|(_, place)| place).collect();
            prop_assert_eq!(layout.offsets().collect::<Vec<_>>(), &expected[..]);
            prop_assert_eq!(layout.coalesced().offsets().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn chains_stay_inside_the_buffer(
            layout in any_layout(),
            slices in prop::collection::vec(any_slice(), 4),
            at in -3isize..3,
        ) {
            let fits = |layout: &Layout| layout.check(2, LARGEST).is_ok();
            let narrowed = layout.index(&slices[..layout.ndim()]).unwrap();
            prop_assert!(fits(&narrowed));
            let reversed: Vec<_> = (0..layout.ndim() as isize).rev().collect();
            let turned = narrowed.permute(&reversed).unwrap().flip(&reversed).unwrap();
            prop_assert!(fits(&turned));
            if let Ok(item) = turned.index(&[Index::At(at), Index::NewAxis]) {
                prop_assert!(fits(&item));
            }
        }
    }

    #[test]
    fn a_layout_without_elements_keeps_its_offset() {
        let layout = Layout::new(&[4, 5], &[-5, 1], 15, 1, 20).unwrap();
        for key in [&[s(2), s(3..3)][..], &[s(9..), s(4)], &[Index::Ellipsis, s(5..)]] {
            assert_eq!(layout.index(key).unwrap().offset(), 15);
        }
        let empty = Layout::new(&[4, 0], &[1 << 60, 1 << 61], 7, 1, 20).unwrap();
        assert_eq!(empty.index(&[s(3)]).unwrap().offset(), 7);
        assert_eq!(empty.index(&[s(3..), s(..)]).unwrap().offset(), 7);
    }

    #[test]
    fn index_errors_say_which_axis_and_what_was_expected() {
        let layout = Layout::contiguous(&[2, 3], 1, Order::C).unwrap();
        let message = |indices: &[Index]| layout.index(indices).unwrap_err().to_string();
        assert_eq!(message(&[s(0), s(3)]), "index 3 is out of bounds for axis 1 with size 3");
        assert_eq!(
            message(&[s(isize::MIN)]),
            format!("index {} is out of bounds for axis 0 with size 2", isize::MIN)
        );
        assert_eq!(
            message(&[s(..), s(..), s(0)]),
            "too many indices for view: view is 2-dimensional, but 3 were indexed"
        );
        assert_eq!(
            message(&[Index::Ellipsis, Index::Ellipsis]),
            "an index can only have a single ellipsis ('...')"
        );
        assert_eq!(
            message(&[Index::Slice { start: None, stop: None, step: 0 }]),
            "slice step cannot be zero"
        );
        assert_eq!(message(&[Index::NewAxis; 63]), "a view has at most 64 dimensions, got 65");
    }
}
