//! Layout to layout: every way of choosing among elements that are already there.
//!
//! Nothing in this file reads a byte, and nothing outside it moves an offset. Each operation selects a subset of the
//! elements it was given (or shows some of them twice), so invariant 3 of [`Layout`] carries over. Layouts without
//! elements keep their offset where it is: there is nothing to point at, and nowhere to run out of the buffer.

use std::ops::{Range, RangeFrom, RangeFull, RangeTo};

use crate::dims::Dims;
use crate::error::{CopyReason, Error, Result};
use crate::layout::{Layout, Order, check_rank, contiguous_strides};

/// One item between the brackets of `v[...]`: NumPy's basic indexing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Index {
    /// One element along an axis; the axis goes. Negative counts from the end.
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
    /// As many full slices as axes are left.
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

/// Shortens `Index::from`: `s(1..4)`, `s(..)`, `s(2)`.
pub fn s(index: impl Into<Index>) -> Index {
    index.into()
}

/// Where a slice starts and how many elements it takes from an axis of `size`: Python's `slice.indices`.
fn slice_extent(start: Option<isize>, stop: Option<isize>, step: isize, size: usize) -> (isize, usize) {
    let size = size as isize;
    let clamp = |bound: isize, low: isize, high: isize| {
        let bound = if bound < 0 { bound.saturating_add(size) } else { bound };
        bound.clamp(low, high)
    };
    let stride = step.unsigned_abs();
    if step > 0 {
        let first = start.map_or(0, |b| clamp(b, 0, size));
        let last = stop.map_or(size, |b| clamp(b, 0, size));
        (first, ((last - first).max(0) as usize).div_ceil(stride))
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
    /// [`Error::IndexOutOfBounds`], [`Error::TooManyIndices`], [`Error::MultipleEllipses`], [`Error::ZeroStep`],
    /// [`Error::TooManyDimensions`].
    pub fn index(&self, indices: &[Index]) -> Result<Layout> {
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

        let empty = self.is_empty();
        let mut out = Layout { shape: Dims::new(), strides: Dims::new(), offset: self.offset };
        let mut axis = 0;
        for index in indices {
            match *index {
                Index::At(at) => {
                    let (size, stride) = (self.shape[axis], self.strides[axis]);
                    let from_start = if at < 0 { at.wrapping_add(size as isize) } else { at };
                    if from_start < 0 || from_start as usize >= size {
                        return Err(Error::IndexOutOfBounds { index: at, axis, size });
                    }
                    if !empty {
                        out.offset = out.offset.wrapping_add_signed(from_start * stride);
                    }
                    axis += 1;
                }
                Index::Slice { start, stop, step } => {
                    if step == 0 {
                        return Err(Error::ZeroStep);
                    }
                    let (size, stride) = (self.shape[axis], self.strides[axis]);
                    let (first, count) = slice_extent(start, stop, step, size);
                    if !empty && count > 0 {
                        out.offset = out.offset.wrapping_add_signed(first * stride);
                    }
                    // Overflows only where at most one element is left, and its stride is never walked.
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
        Ok(out)
    }

    /// `axis`, which may count from the end, as an index into `shape`.
    pub(crate) fn normalize_axis(&self, axis: isize) -> Result<usize> {
        let ndim = self.ndim();
        let from_start = if axis < 0 { axis.saturating_add(ndim as isize) } else { axis };
        match usize::try_from(from_start) {
            Ok(from_start) if from_start < ndim => Ok(from_start),
            _ => Err(Error::AxisOutOfBounds { axis, ndim }),
        }
    }

    /// Each of `axes` as an index into `shape`, none twice.
    fn normalize_axes(&self, axes: &[isize]) -> Result<Dims<usize>> {
        let mut normal = Dims::<usize>::new();
        for &axis in axes {
            let axis = self.normalize_axis(axis)?;
            if normal.contains(&axis) {
                return Err(Error::RepeatedAxis { axis, axes: axes.to_vec() });
            }
            normal.push(axis);
        }
        Ok(normal)
    }

    /// Axis `i` of the result is axis `axes[i]` of this layout: `np.transpose(a, axes)`, `torch.permute`.
    ///
    /// # Errors
    ///
    /// [`Error::AxesMismatch`], [`Error::AxisOutOfBounds`], [`Error::RepeatedAxis`].
    pub fn permute(&self, axes: &[isize]) -> Result<Layout> {
        if axes.len() != self.ndim() {
            return Err(Error::AxesMismatch { got: axes.len(), expected: self.ndim() });
        }
        let axes = self.normalize_axes(axes)?;
        Ok(Layout {
            shape: axes.iter().map(|&axis| self.shape[axis]).collect(),
            strides: axes.iter().map(|&axis| self.strides[axis]).collect(),
            offset: self.offset,
        })
    }

    /// The given axes run backwards: `np.flip`, by negative strides.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfBounds`], [`Error::RepeatedAxis`].
    pub fn flip(&self, axes: &[isize]) -> Result<Layout> {
        let mut out = self.clone();
        let empty = self.is_empty();
        for &axis in &self.normalize_axes(axes)? {
            if !empty {
                let last = (self.shape[axis] as isize - 1).wrapping_mul(self.strides[axis]);
                out.offset = out.offset.wrapping_add_signed(last);
            }
            out.strides[axis] = self.strides[axis].wrapping_neg();
        }
        Ok(out)
    }

    /// `size` consecutive elements along `axis`, from every `step`-th start: axis `axis` becomes (number of windows,
    /// `size`). Windows overlap in memory where `step < size`.
    ///
    /// Shape (N, F) gives (1 + (N - size) / step, size, F) for axis 0; compare `np.lib.stride_tricks.sliding_window_view`,
    /// which puts the window last.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyWindow`], [`Error::WindowTooLarge`], [`Error::AxisOutOfBounds`], [`Error::TooManyDimensions`],
    /// [`Error::SizeOverflow`].
    pub fn windows(&self, size: usize, step: usize, axis: isize, itemsize: usize) -> Result<Layout> {
        let axis = self.normalize_axis(axis)?;
        let (len, stride) = (self.shape[axis], self.strides[axis]);
        for (name, value) in [("size", size), ("step", step)] {
            if value == 0 {
                return Err(Error::EmptyWindow { name });
            }
        }
        if size > len {
            return Err(Error::WindowTooLarge { size, axis, len });
        }
        check_rank(self.ndim() + 1)?;
        let mut out = self.clone();
        out.shape[axis] = 1 + (len - size) / step;
        out.strides[axis] = stride.wrapping_mul(step as isize);
        out.shape.insert(axis + 1, size);
        out.strides.insert(axis + 1, stride);
        // Overlapping windows show elements more than once, so the count may outgrow what invariant 2 allows.
        out.check(itemsize, usize::MAX)?;
        Ok(out)
    }

    /// The same elements in C order under another shape, where strides can express it; one dimension may be -1.
    ///
    /// # Errors
    ///
    /// [`Error::ReshapeShape`], [`Error::ReshapeSize`], [`Error::TooManyDimensions`], and [`Error::CopyRequired`] where
    /// the elements would have to move.
    pub fn reshape(&self, shape: &[isize], itemsize: usize) -> Result<Layout> {
        check_rank(shape.len())?;
        let target = self.complete_shape(shape)?;
        let mut out = Layout { strides: Dims::new(), shape: target, offset: self.offset };
        out.strides = if self.len() <= 1 {
            contiguous_strides(&out.shape, itemsize, Order::C)
        } else {
            self.split_strides(&out.shape).ok_or_else(|| Error::CopyRequired {
                operation: "reshape",
                reason: CopyReason::IncompatibleShape {
                    shape: self.shape.to_vec(),
                    strides: self.strides.to_vec(),
                    target: out.shape.to_vec(),
                },
            })?
        };
        out.check(itemsize, usize::MAX)?;
        Ok(out)
    }

    /// The target of a reshape with its -1 worked out.
    fn complete_shape(&self, shape: &[isize]) -> Result<Dims<usize>> {
        let elements = self.len();
        let unknowns = shape.iter().filter(|&&n| n == -1).count();
        if unknowns > 1 || shape.iter().any(|&n| n < -1) {
            return Err(Error::ReshapeShape { shape: shape.to_vec() });
        }
        let wrong_size = || Error::ReshapeSize { elements, shape: shape.to_vec() };
        let known = shape
            .iter()
            .filter(|&&n| n >= 0)
            .try_fold(1usize, |product, &n| product.checked_mul(n as usize))
            .ok_or_else(wrong_size)?;
        let unknown = match unknowns {
            0 if known == elements => 0,
            1 if known > 0 && elements.is_multiple_of(known) => elements / known,
            _ => return Err(wrong_size()),
        };
        Ok(shape.iter().map(|&n| if n == -1 { unknown } else { n as usize }).collect())
    }

    /// Strides that walk this layout's elements in C order under `shape`, of as many elements, at least two.
    ///
    /// The coalesced layout is a sequence of runs, each walked by one stride. The target's axes must split every run
    /// without crossing into the next; from the last axis backwards, each axis takes a factor of its run.
    fn split_strides(&self, shape: &[usize]) -> Option<Dims<isize>> {
        let runs = self.coalesced();
        let mut runs = runs.shape.iter().zip(&runs.strides).rev();
        let mut strides = Dims::from_elem(0, shape.len());
        let (&(mut left), &(mut stride)) = runs.next()?;
        for (&n, out) in shape.iter().zip(strides.iter_mut()).rev() {
            if left == 1 && n != 1 {
                let (&next_left, &next_stride) = runs.next()?;
                (left, stride) = (next_left, next_stride);
            }
            if !left.is_multiple_of(n) {
                return None;
            }
            *out = stride;
            left /= n;
            stride = stride.wrapping_mul(n as isize);
        }
        Some(strides)
    }

    /// `count` elements along `axis` from `start` on; what a crop does to one axis.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfBounds`], and [`Error::IndexOutOfBounds`] where the range leaves the axis.
    pub fn narrow(&self, axis: usize, start: usize, count: usize) -> Result<Layout> {
        let axis = self.normalize_axis(axis as isize)?;
        let size = self.shape[axis];
        if start.checked_add(count).is_none_or(|end| end > size) {
            return Err(Error::IndexOutOfBounds { index: start.saturating_add(count) as isize, axis, size });
        }
        let mut out = self.clone();
        if !self.is_empty() && count > 0 {
            out.offset = out.offset.wrapping_add_signed(start as isize * self.strides[axis]);
        }
        out.shape[axis] = count;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every element of a layout by enumeration: its multi-index, and its byte offset.
    fn elements(layout: &Layout) -> Vec<(Vec<usize>, usize)> {
        let mut indices = vec![vec![]];
        for &n in layout.shape() {
            indices =
                indices.iter().flat_map(|i| (0..n).map(move |k| [i.clone(), vec![k]].concat())).collect();
        }
        let place = |index: &Vec<usize>| {
            let steps = index.iter().zip(layout.strides()).map(|(&i, &stride)| i as isize * stride);
            (layout.offset() as isize + steps.sum::<isize>()) as usize
        };
        indices.iter().map(|index| (index.clone(), place(index))).collect()
    }

    /// More bytes than any layout of `any_layout` spans: four axes of four elements with gaps of one.
    const LARGEST: usize = 2 * 8usize.pow(4) + 2;

    /// A layout of up to four axes with gaps, flips and transpositions, in a buffer it just fits.
    fn any_layout() -> impl Strategy<Value = Layout> {
        let axis = (0usize..5, 1usize..3, any::<bool>());
        (prop::collection::vec(axis, 0..5), any::<prop::sample::Index>()).prop_map(|(axes, turn)| {
            let mut shape = vec![];
            let mut strides = vec![];
            let (mut stride, mut offset) = (2isize, 0isize);
            for &(n, gap, backwards) in axes.iter().rev() {
                let step = stride * gap as isize;
                shape.insert(0, n);
                strides.insert(0, if backwards { -step } else { step });
                if backwards && n > 0 {
                    offset += (n as isize - 1) * step;
                }
                stride = step * n.max(1) as isize;
            }
            if !shape.is_empty() {
                let turn = turn.index(shape.len());
                shape.rotate_left(turn);
                strides.rotate_left(turn);
            }
            Layout::new(&shape, &strides, offset as usize, 2, stride as usize + 2).unwrap()
        })
    }

    fn any_slice() -> impl Strategy<Value = Index> {
        let bound = || prop::option::of(prop_oneof![-7isize..8, Just(isize::MIN), Just(isize::MAX)]);
        let step = prop_oneof![-4isize..5, Just(isize::MIN), Just(isize::MAX)];
        (bound(), bound(), step.prop_filter("not zero", |&s| s != 0))
            .prop_map(|(start, stop, step)| Index::Slice { start, stop, step })
    }

    /// What a slice selects, by walking it the way the Python reference describes.
    fn walk_slice(start: Option<isize>, stop: Option<isize>, step: isize, size: usize) -> Vec<usize> {
        let size = size as i128;
        let bound = |b: isize| if b < 0 { (b as i128 + size).max(-1) } else { (b as i128).min(size) };
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
        fn indexing_each_axis_selects_those_elements(layout in any_layout(), slices in prop::collection::vec(any_slice(), 4)) {
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
        fn flip_reverses_and_flips_back(layout in any_layout(), axis in 0usize..4) {
            let flipped = layout.flip(&[axis as isize]);
            prop_assert_eq!(flipped.is_ok(), axis < layout.ndim());
            let Ok(flipped) = flipped else { return Ok(()) };
            let all: std::collections::HashMap<_, _> = elements(&layout).into_iter().collect();
            for (mut index, place) in elements(&flipped) {
                index[axis] = layout.shape()[axis] - 1 - index[axis];
                prop_assert_eq!(all[&index], place);
            }
            prop_assert_eq!(flipped.flip(&[axis as isize]).unwrap(), layout);
        }

        #[test]
        fn a_reshape_without_a_copy_keeps_every_element_in_its_order(layout in any_layout(), split in 1usize..5) {
            let n = layout.len();
            let split = if n.is_multiple_of(split) { split } else { 1 };
            for shape in [vec![-1], vec![split as isize, -1], vec![-1, split as isize], vec![1, n as isize, 1]] {
                match layout.reshape(&shape, 2) {
                    Ok(out) => prop_assert!(out.offsets().eq(layout.offsets())),
                    Err(Error::CopyRequired { .. }) => prop_assert!(!layout.is_contiguous(2, Order::C)),
                    Err(Error::ReshapeSize { .. }) => prop_assert_eq!(n, 0),
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
            let back: Vec<_> = layout.shape().iter().map(|&n| n as isize).collect();
            prop_assert!(layout.reshape(&back, 2).unwrap().offsets().eq(layout.offsets()));
        }

        #[test]
        fn windows_show_each_run_of_elements(layout in any_layout(), size in 1usize..4, step in 1usize..4, axis in 0usize..4) {
            let out = layout.windows(size, step, axis as isize, 2);
            prop_assert_eq!(out.is_ok(), layout.shape().get(axis).is_some_and(|&n| n >= size));
            let Ok(out) = out else { return Ok(()) };
            let all: std::collections::HashMap<_, _> = elements(&layout).into_iter().collect();
            for (mut index, place) in elements(&out) {
                let within = index.remove(axis + 1);
                index[axis] = index[axis] * step + within;
                prop_assert_eq!(all[&index], place);
            }
        }

        #[test]
        fn chains_stay_inside_the_buffer(layout in any_layout(), slices in prop::collection::vec(any_slice(), 4), at in -3isize..3) {
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
    fn permute_moves_shape_and_strides_together() {
        let layout = Layout::contiguous(&[2, 3, 4], 1, Order::C).unwrap();
        let turned = layout.permute(&[-1, 0, 1]).unwrap();
        assert_eq!((turned.shape(), turned.strides()), (&[4, 2, 3][..], &[1, 12, 4][..]));
        assert_eq!(
            layout.permute(&[0, 1]).unwrap_err().to_string(),
            "axes don't match view: got 2 axes, expected 3"
        );
        assert_eq!(layout.permute(&[0, 1, -2]).unwrap_err().to_string(), "repeated axis 1 in [0, 1, -2]");
        assert_eq!(
            layout.permute(&[0, 1, 3]).unwrap_err().to_string(),
            "axis 3 is out of bounds for view of dimension 3"
        );
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

    #[test]
    fn windows_refuse_what_is_not_a_window() {
        let layout = Layout::contiguous(&[10, 2], 1, Order::C).unwrap();
        let message = |size, step, axis| layout.windows(size, step, axis, 1).unwrap_err().to_string();
        assert_eq!(message(11, 1, 0), "window of 11 is larger than axis 0 of size 10");
        assert_eq!(message(0, 1, 0), "window size must be at least 1, got 0");
        assert_eq!(message(1, 0, 0), "window step must be at least 1, got 0");
        assert_eq!(message(1, 1, 2), "axis 2 is out of bounds for view of dimension 2");
    }

    #[test]
    fn reshape_errors_say_why() {
        let layout = Layout::contiguous(&[2, 3], 1, Order::C).unwrap();
        let message = |layout: &Layout, shape: &[isize]| layout.reshape(shape, 1).unwrap_err().to_string();
        assert_eq!(message(&layout, &[4]), "cannot reshape view of 6 elements into shape [4]");
        assert_eq!(
            message(&layout, &[-1, -1]),
            "cannot reshape into [-1, -1]: one dimension may be -1, all others must be at least 0"
        );
        let turned = layout.permute(&[1, 0]).unwrap();
        assert_eq!(
            message(&turned, &[6]),
            "reshape would need a copy: no strides lay shape [6] over shape [3, 2] with strides [1, 3]; call .copy() first"
        );
    }
}
