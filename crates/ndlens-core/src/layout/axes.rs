//! Operations from layout to layout: axes in another order or direction, fewer or more of them.

use crate::error::{Error, Result};
use crate::layout::dims::Dims;
use crate::layout::{Layout, check_rank};

/// `axis`, which may count from the end, as an index into `ndim` axes.
fn normalize_axis(axis: isize, ndim: usize) -> Result<usize> {
    let from_start = if axis < 0 { axis.saturating_add(ndim as isize) } else { axis };
    match usize::try_from(from_start) {
        Ok(from_start) if from_start < ndim => Ok(from_start),
        _ => Err(Error::AxisOutOfBounds { axis, ndim }),
    }
}

/// Each of `axes` as an index into `ndim` axes, none twice.
fn normalize_axes(axes: &[isize], ndim: usize) -> Result<Dims<usize>> {
    let mut normal = Dims::<usize>::new();
    for &axis in axes {
        let axis = normalize_axis(axis, ndim)?;
        if normal.contains(&axis) {
            return Err(Error::RepeatedAxis { axis, axes: axes.to_vec() });
        }
        normal.push(axis);
    }
    Ok(normal)
}

impl Layout {
    /// `axis`, which may count from the end, as an index into `shape`.
    pub(crate) fn normalize_axis(&self, axis: isize) -> Result<usize> {
        normalize_axis(axis, self.ndim())
    }

    /// Each of `axes` as an index into `shape`, none twice.
    fn normalize_axes(&self, axes: &[isize]) -> Result<Dims<usize>> {
        normalize_axes(axes, self.ndim())
    }

    /// Axis `i` of the result is axis `axes[i]` of this layout: `np.transpose(a, axes)`,
    /// `torch.permute`.
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

    /// The given axes reversed, by negative strides: `np.flip`.
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

    /// Two axes exchanged: `np.swapaxes`.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfBounds`].
    pub fn swapaxes(&self, a: isize, b: isize) -> Result<Layout> {
        let (a, b) = (self.normalize_axis(a)?, self.normalize_axis(b)?);
        let mut out = self.clone();
        out.shape.swap(a, b);
        out.strides.swap(a, b);
        Ok(out)
    }

    /// The axes `from` at the places `to`, the others in their order around them: `np.moveaxis`.
    ///
    /// # Errors
    ///
    /// [`Error::AxesMismatch`] if the two have different lengths; [`Error::AxisOutOfBounds`],
    /// [`Error::RepeatedAxis`].
    pub fn moveaxis(&self, from: &[isize], to: &[isize]) -> Result<Layout> {
        if from.len() != to.len() {
            return Err(Error::AxesMismatch { got: to.len(), expected: from.len() });
        }
        let (from, to) = (self.normalize_axes(from)?, self.normalize_axes(to)?);
        let mut stay = (0..self.ndim()).filter(|axis| !from.contains(axis));
        let axes: Dims<isize> = (0..self.ndim())
            .filter_map(|place| match to.iter().position(|&at| at == place) {
                Some(moved) => Some(from[moved] as isize),
                None => stay.next().map(|axis| axis as isize),
            })
            .collect();
        self.permute(&axes)
    }

    /// Without the given axes, all of size 1; without `axes`, without all axes of size 1:
    /// `np.squeeze`.
    ///
    /// # Errors
    ///
    /// [`Error::SqueezeSize`], [`Error::AxisOutOfBounds`], [`Error::RepeatedAxis`].
    pub fn squeeze(&self, axes: Option<&[isize]>) -> Result<Layout> {
        let drop: Dims<usize> = match axes {
            Some(axes) => self.normalize_axes(axes)?,
            None => (0..self.ndim()).filter(|&axis| self.shape[axis] == 1).collect(),
        };
        if let Some(&axis) = drop.iter().find(|&&axis| self.shape[axis] != 1) {
            return Err(Error::SqueezeSize { axis, size: self.shape[axis] });
        }
        let keep = || (0..self.ndim()).filter(|axis| !drop.contains(axis));
        Ok(Layout {
            shape: keep().map(|axis| self.shape[axis]).collect(),
            strides: keep().map(|axis| self.strides[axis]).collect(),
            offset: self.offset,
        })
    }

    /// New axes of size 1, at the given places of the result: `np.expand_dims`.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfBounds`], [`Error::RepeatedAxis`], [`Error::TooManyDimensions`].
    pub fn expand_dims(&self, axes: &[isize]) -> Result<Layout> {
        let ndim = self.ndim() + axes.len();
        check_rank(ndim)?;
        let mut places = normalize_axes(axes, ndim)?;
        places.sort_unstable();
        let mut out = self.clone();
        for &axis in &places {
            out.shape.insert(axis, 1);
            out.strides.insert(axis, 0);
        }
        Ok(out)
    }

    /// The elements whose indices along two axes differ by `offset`, along a new last axis:
    /// `np.diagonal`.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfBounds`], [`Error::RepeatedAxis`].
    pub fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> Result<Layout> {
        let axes = self.normalize_axes(&[axis1, axis2])?;
        let (row, column) = (axes[0], axes[1]);
        let (mut rows, mut columns) = (self.shape[row], self.shape[column]);
        let skip = offset.unsigned_abs();
        let skipped = if offset >= 0 { &mut columns } else { &mut rows };
        *skipped = skipped.saturating_sub(skip);
        let count = rows.min(columns);
        let mut out = self.clone();
        if count > 0 && !self.is_empty() {
            let stride = self.strides[if offset >= 0 { column } else { row }];
            out.offset = out.offset.wrapping_add_signed(skip as isize * stride);
        }
        for axis in [row.max(column), row.min(column)] {
            out.shape.remove(axis);
            out.strides.remove(axis);
        }
        out.shape.push(count);
        out.strides.push(self.strides[row].wrapping_add(self.strides[column]));
        Ok(out)
    }

    /// `count` elements along `axis` from `start` on: a crop along one axis.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfBounds`], and [`Error::IndexOutOfBounds`] if the range leaves the axis.
    pub fn narrow(&self, axis: usize, start: usize, count: usize) -> Result<Layout> {
        // An axis beyond `isize` is not one that counts from the end.
        let axis = self.normalize_axis(isize::try_from(axis).unwrap_or(isize::MAX))?;
        let size = self.shape[axis];
        if start.checked_add(count).is_none_or(|end| end > size) {
            return Err(Error::IndexOutOfBounds {
                index: start.saturating_add(count) as isize,
                axis,
                size,
            });
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
    use crate::layout::Order;
    use crate::samples::{any_layout, elements};
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn no_axis_is_so_large_that_it_counts_from_the_end() {
        let layout = Layout::contiguous(&[2, 3], 1, Order::C).unwrap();
        for axis in [2, usize::MAX, usize::MAX - 1] {
            let error = layout.narrow(axis, 0, 1).unwrap_err();
            assert!(matches!(error, Error::AxisOutOfBounds { .. }), "{axis}: {error}");
        }
    }

    proptest! {
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
        fn moving_axes_moves_each_elements_index(
            layout in any_layout(),
            from in 0usize..4,
            to in 0usize..4,
        ) {
            let moved = layout.moveaxis(&[from as isize], &[to as isize]);
            prop_assert_eq!(moved.is_ok(), from < layout.ndim() && to < layout.ndim());
            let Ok(moved) = moved else { return Ok(()) };
            let all: HashMap<_, _> = elements(&layout).into_iter().collect();
            for (mut index, place) in elements(&moved) {
                let at = index.remove(to);
                index.insert(from, at);
                prop_assert_eq!(all[&index], place);
            }
        }

        #[test]
        fn swapping_axes_is_moving_both(layout in any_layout(), a in 0isize..4, b in 0isize..4) {
            let swapped = layout.swapaxes(a, b);
            prop_assert_eq!(swapped.is_ok(), a.max(b) < layout.ndim() as isize);
            if a != b && let Ok(swapped) = swapped {
                prop_assert_eq!(swapped, layout.moveaxis(&[a, b], &[b, a]).unwrap());
            }
        }

        #[test]
        fn new_axes_are_squeezed_away_again(layout in any_layout(), axis in -5isize..5) {
            let ndim = layout.ndim() as isize + 1;
            let expanded = layout.expand_dims(&[axis]);
            prop_assert_eq!(expanded.is_ok(), (-ndim..ndim).contains(&axis));
            if let Ok(expanded) = expanded {
                prop_assert_eq!(expanded.squeeze(Some(&[axis])).unwrap(), layout);
            }
        }

        #[test]
        fn a_diagonal_holds_the_elements_with_that_distance(
            layout in any_layout(),
            offset in -4isize..5,
        ) {
            let Ok(diagonal) = layout.diagonal(offset, 0, -1) else {
                prop_assert!(layout.ndim() < 2);
                return Ok(());
            };
            let last = layout.ndim() - 1;
            let mut expected: Vec<_> = elements(&layout)
                .into_iter()
                .filter(|(index, _)| index[last] as isize - index[0] as isize == offset)
                .map(|(index, place)| {
                    ([&index[1..last], &[index[0].min(index[last])]].concat(), place)
                })
                .collect();
            expected.sort();
            prop_assert_eq!(elements(&diagonal), expected);
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
        assert_eq!(
            layout.permute(&[0, 1, -2]).unwrap_err().to_string(),
            "repeated axis 1 in [0, 1, -2]"
        );
        assert_eq!(
            layout.permute(&[0, 1, 3]).unwrap_err().to_string(),
            "axis 3 is out of bounds for view of dimension 3"
        );
    }

    #[test]
    fn squeeze_refuses_axes_that_hold_something() {
        let layout = Layout::contiguous(&[1, 3, 1], 1, Order::C).unwrap();
        assert_eq!(layout.squeeze(None).unwrap().shape(), [3]);
        assert_eq!(layout.squeeze(Some(&[-1])).unwrap().shape(), [1, 3]);
        assert_eq!(
            layout.squeeze(Some(&[1])).unwrap_err().to_string(),
            "cannot squeeze axis 1 of size 3: only axes of size 1 can be removed"
        );
    }
}
