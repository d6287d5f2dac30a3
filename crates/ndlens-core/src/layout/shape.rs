//! Operations from layout to layout: the same elements in another shape.

use crate::error::{CopyReason, Error, Result};
use crate::layout::dims::Dims;
use crate::layout::index::{Index, s};
use crate::layout::{Layout, Order, check_rank, contiguous_strides};

impl Layout {
    /// `size` consecutive elements along `axis`, from every `step`-th start: axis `axis` becomes
    /// (number of windows, `size`). Windows overlap in memory if `step < size`.
    ///
    /// Shape (N, F) gives (1 + (N - size) / step, size, F) for axis 0; compare
    /// `np.lib.stride_tricks.sliding_window_view`, which puts the window last.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyWindow`], [`Error::WindowTooLarge`], [`Error::AxisOutOfBounds`],
    /// [`Error::TooManyDimensions`], [`Error::SizeOverflow`].
    pub fn windows(
        &self,
        size: usize,
        step: usize,
        axis: isize,
        itemsize: usize,
    ) -> Result<Layout> {
        let axis = self.normalize_axis(axis)?;
        let (len, stride) = (self.shape[axis], self.strides[axis]);
        for (name, value) in [("size", size), ("step", step)] {
            if value == 0 {
                return Err(Error::EmptyWindow { name, got: 0 });
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
        // Overlapping windows show elements more than once, so the count may outgrow what invariant
        // 2 allows.
        out.check(itemsize, usize::MAX)?;
        Ok(out)
    }

    /// The same elements in C order in another shape, if strides can express it; one dimension may
    /// be -1.
    ///
    /// # Errors
    ///
    /// [`Error::ReshapeShape`], [`Error::ReshapeSize`], [`Error::TooManyDimensions`], and
    /// [`Error::CopyRequired`] if the elements would have to move.
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

    /// The target of a reshape, with the size in place of -1.
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

    /// Strides that walk this layout's elements in C order in `shape`, which has as many elements,
    /// at least two.
    ///
    /// The coalesced layout is a sequence of runs, each walked by one stride. The target's axes
    /// must split every run without crossing into the next; from the last axis backwards, each axis
    /// takes a factor of its run.
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

    /// The same elements in a larger shape, with axes of size 1 repeated by a stride of 0:
    /// `np.broadcast_to`.
    ///
    /// # Errors
    ///
    /// [`Error::Broadcast`], [`Error::TooManyDimensions`], [`Error::SizeOverflow`].
    pub fn broadcast_to(&self, shape: &[usize], itemsize: usize) -> Result<Layout> {
        check_rank(shape.len())?;
        let refuse = || Error::Broadcast { from: self.shape.to_vec(), to: shape.to_vec() };
        let new = shape.len().checked_sub(self.ndim()).ok_or_else(refuse)?;
        let mut strides = Dims::from_elem(0, shape.len());
        for ((stride, &target), (&n, &own)) in
            strides[new..].iter_mut().zip(&shape[new..]).zip(self.shape.iter().zip(&self.strides))
        {
            match n {
                _ if n == target => *stride = own,
                1 => {}
                _ => return Err(refuse()),
            }
        }
        let out = Layout { shape: Dims::from_slice(shape), strides, offset: self.offset };
        out.check(itemsize, usize::MAX)?;
        Ok(out)
    }

    /// The pieces of an axis between the given places: `np.split` with a list. Places beyond the
    /// end give empty pieces.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfBounds`].
    pub fn split_at(
        &self,
        places: &[isize],
        axis: isize,
    ) -> Result<impl ExactSizeIterator<Item = Result<Layout>>> {
        let axis = self.normalize_axis(axis)?;
        let place = |k: Option<usize>| k.and_then(|k| places.get(k).copied());
        let piece = move |k: usize| self.piece(axis, place(k.checked_sub(1)), place(Some(k)));
        let pieces = places.len() + 1;
        Ok((0..pieces).map(piece))
    }

    fn piece(&self, axis: usize, start: Option<isize>, stop: Option<isize>) -> Result<Layout> {
        let mut indices = vec![s(..); axis + 1];
        indices[axis] = Index::Slice { start, stop, step: 1 };
        self.index(&indices)
    }

    /// An axis in `sections` equal pieces: `np.split` with a number.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalSplit`], [`Error::AxisOutOfBounds`].
    pub fn split(
        &self,
        sections: usize,
        axis: isize,
    ) -> Result<impl ExactSizeIterator<Item = Result<Layout>>> {
        let axis = self.normalize_axis(axis)?;
        let size = self.shape[axis];
        if sections == 0 || !size.is_multiple_of(sections) {
            return Err(Error::UnequalSplit { size, sections });
        }
        Ok((0..sections).map(move |k| self.narrow(axis, k * (size / sections), size / sections)))
    }

    /// The elements' bytes as elements of another size, along the last axis: `ndarray.view(dtype)`.
    ///
    /// # Errors
    ///
    /// [`Error::Reinterpret`] if there is no last axis, or its bytes are not a whole number of new
    /// elements; [`Error::CopyRequired`] if it is not packed.
    pub fn reinterpret(&self, itemsize: usize, new_itemsize: usize) -> Result<Layout> {
        if itemsize == new_itemsize {
            return Ok(self.clone());
        }
        let refuse = || Error::Reinterpret { shape: self.shape.to_vec(), itemsize, new_itemsize };
        let last = self.ndim().checked_sub(1).ok_or_else(refuse)?;
        let row_bytes = self.shape[last] * itemsize;
        if new_itemsize == 0 || !row_bytes.is_multiple_of(new_itemsize) {
            return Err(refuse());
        }
        let stride_bytes = self.strides[last];
        if self.shape[last] > 1 && !self.is_empty() && stride_bytes != itemsize as isize {
            let reason = CopyReason::UnpackedAxis { axis: last, stride_bytes, itemsize };
            return Err(Error::CopyRequired { operation: "reinterpret", reason });
        }
        let mut out = self.clone();
        out.shape[last] = row_bytes / new_itemsize;
        out.strides[last] = new_itemsize as isize;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{any_layout, elements};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_reshape_without_a_copy_keeps_every_element_in_its_order(
            layout in any_layout(),
            split in 1usize..5,
        ) {
            let n = layout.len();
            let split = if n.is_multiple_of(split) { split } else { 1 };
            for shape in [
                vec![-1],
                vec![split as isize, -1],
                vec![-1, split as isize],
                vec![1, n as isize, 1],
            ] {
                match layout.reshape(&shape, 2) {
                    Ok(out) => prop_assert!(out.offsets().eq(layout.offsets())),
                    Err(Error::CopyRequired { .. }) => {
                        prop_assert!(!layout.is_contiguous(2, Order::C));
                    }
                    Err(Error::ReshapeSize { .. }) => prop_assert_eq!(n, 0),
                    Err(other) => prop_assert!(false, "{}", other),
                }
            }
            let back: Vec<_> = layout.shape().iter().map(|&n| n as isize).collect();
            prop_assert!(layout.reshape(&back, 2).unwrap().offsets().eq(layout.offsets()));
        }

        #[test]
        fn windows_show_each_run_of_elements(
            layout in any_layout(),
            size in 1usize..4,
            step in 1usize..4,
            axis in 0usize..4,
        ) {
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
        fn broadcasting_repeats_elements_and_adds_axes(layout in any_layout(), front in 0usize..3) {
            let larger = layout.shape().iter().map(|&n| if n == 1 { 3 } else { n });
            let shape: Vec<_> = std::iter::once(front).chain(larger).collect();
            let out = layout.broadcast_to(&shape, 2).unwrap();
            let all: std::collections::HashMap<_, _> = elements(&layout).into_iter().collect();
            for (index, place) in elements(&out) {
                let pairs = index[1..].iter().zip(layout.shape());
                let source: Vec<_> = pairs.map(|(&i, &n)| if n == 1 { 0 } else { i }).collect();
                prop_assert_eq!(all[&source], place);
            }
        }

        #[test]
        fn pieces_of_a_split_hold_all_elements_once(
            layout in any_layout(),
            places in prop::collection::vec(0isize..6, 0..4),
        ) {
            let mut places = places;
            places.sort_unstable();
            let pieces = layout.split_at(&places, -1);
            prop_assert_eq!(pieces.is_ok(), layout.ndim() > 0);
            let Ok(pieces) = pieces else { return Ok(()) };
            prop_assert_eq!(pieces.len(), places.len() + 1);
            let pieces = pieces.collect::<Result<Vec<_>>>().unwrap();
            let mut all: Vec<_> = pieces.iter().flat_map(Layout::offsets).collect();
            let mut expected: Vec<_> = layout.offsets().collect();
            all.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(all, expected);
        }
    }

    #[test]
    fn impossible_windows_are_refused() {
        let layout = Layout::contiguous(&[10, 2], 1, Order::C).unwrap();
        let message =
            |size, step, axis| layout.windows(size, step, axis, 1).unwrap_err().to_string();
        assert_eq!(message(11, 1, 0), "window of 11 is larger than axis 0 of size 10");
        assert_eq!(message(0, 1, 0), "window size must be at least 1, got 0");
        assert_eq!(message(1, 0, 0), "window step must be at least 1, got 0");
        assert_eq!(message(1, 1, 2), "axis 2 is out of bounds for view of dimension 2");
    }

    #[test]
    fn reshape_errors_say_why() {
        let layout = Layout::contiguous(&[2, 3], 1, Order::C).unwrap();
        let message =
            |layout: &Layout, shape: &[isize]| layout.reshape(shape, 1).unwrap_err().to_string();
        assert_eq!(message(&layout, &[4]), "cannot reshape view of 6 elements into shape [4]");
        assert_eq!(
            message(&layout, &[-1, -1]),
            "cannot reshape into [-1, -1]: one dimension may be -1, all others must be at least 0"
        );
        let turned = layout.permute(&[1, 0]).unwrap();
        assert_eq!(
            message(&turned, &[6]),
            "reshape would need a copy: no strides lay shape [6] over shape [3, 2] with strides \
             [1, 3]; call .copy() first"
        );
    }

    #[test]
    fn shapes_that_do_not_fit_say_so() {
        let layout = Layout::contiguous(&[2, 3], 4, Order::C).unwrap();
        assert_eq!(
            layout.broadcast_to(&[2, 4], 4).unwrap_err().to_string(),
            "cannot broadcast shape [2, 3] to shape [2, 4]"
        );
        assert_eq!(
            layout.split(2, 1).err().unwrap().to_string(),
            "cannot split an axis of size 3 into 2 equal pieces"
        );
        assert_eq!(
            layout.split(0, 1).err().unwrap().to_string(),
            "cannot split an axis of size 3 into 0 equal pieces"
        );
        assert_eq!(
            layout.reinterpret(4, 8).unwrap_err().to_string(),
            "cannot show elements of 4 bytes in shape [2, 3] as elements of 8 bytes: the last \
             axis is not a whole number of them"
        );
        assert_eq!(
            layout.permute(&[1, 0]).unwrap().reinterpret(4, 2).unwrap_err().to_string(),
            "reinterpret would need a copy: axis 1 has a stride of 12 bytes, so its elements of 4 \
             bytes are not packed; call .copy() first"
        );
        assert_eq!(layout.reinterpret(4, 2).unwrap().shape(), [2, 6]);
    }
}
