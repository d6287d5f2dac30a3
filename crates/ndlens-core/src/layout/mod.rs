//! The places of elements in a buffer.

mod axes;
pub(crate) mod dims;
pub(crate) mod index;
pub(crate) mod runs;
mod shape;

use crate::error::{Error, Result};
use crate::layout::dims::{Dims, MAX_NDIM};

/// The index that changes fastest in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The last index, as in C.
    C,
    /// The first index, as in Fortran.
    F,
}

/// Shape, signed byte strides and the offset of the first element.
///
/// Element `(i, j, ..)` is at byte `offset + i * strides[0] + j * strides[1] + ..` of its buffer:
///
/// ```text
///  buffer  |..........|e00 e01 e02 ......|e10 e11 e12 ......|.....|
///          0          ^offset            ^offset + strides[0]     len
/// ```
///
/// # Invariants
///
/// 1. `shape` and `strides` have the same length, at most [`MAX_NDIM`].
/// 2. The number of elements, and that times the itemsize, fit an `isize`, with axes of size 0
///    counted as 1.
/// 3. Every byte of every element is in `0..len` of the buffer that the layout was checked against;
///    a layout without elements has its offset in `0..=len`.
///
/// [`Layout::check`] is the one check of layouts from outside. Every operation in `index.rs`,
/// `axes.rs` and `shape.rs` selects among the elements of a checked layout, so it keeps the
/// invariants and needs no second check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub(crate) shape: Dims<usize>,
    pub(crate) strides: Dims<isize>,
    pub(crate) offset: usize,
}

impl Layout {
    /// A layout of these numbers, checked against a buffer of `len` bytes.
    ///
    /// # Errors
    ///
    /// The errors of [`Layout::check`], and [`Error::RankMismatch`].
    pub fn new(
        shape: &[usize],
        strides: &[isize],
        offset: usize,
        itemsize: usize,
        len: usize,
    ) -> Result<Self> {
        if shape.len() != strides.len() {
            return Err(Error::RankMismatch { shape: shape.len(), strides: strides.len() });
        }
        check_rank(shape.len())?;
        let layout =
            Layout { shape: Dims::from_slice(shape), strides: Dims::from_slice(strides), offset };
        layout.check(itemsize, len)?;
        Ok(layout)
    }

    /// The layout of elements packed without gaps, from byte 0 on.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyDimensions`], [`Error::SizeOverflow`].
    pub fn contiguous(shape: &[usize], itemsize: usize, order: Order) -> Result<Self> {
        check_rank(shape.len())?;
        let mut layout = Layout {
            shape: Dims::from_slice(shape),
            strides: Dims::from_elem(0, shape.len()),
            offset: 0,
        };
        let len = layout.check_size(itemsize)?;
        layout.strides = contiguous_strides(shape, itemsize, order);
        layout.check(itemsize, len)?;
        Ok(layout)
    }

    /// A layout without elements.
    pub(crate) fn vacant() -> Self {
        Layout { shape: Dims::from_elem(0, 1), strides: Dims::from_elem(0, 1), offset: 0 }
    }

    /// Checks the invariants for a buffer of `len` bytes and elements of `itemsize` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::SizeOverflow`] for invariant 2, [`Error::OutOfBuffer`] for 3; invariant 1 holds for
    /// every layout.
    pub fn check(&self, itemsize: usize, len: usize) -> Result<()> {
        self.check_size(itemsize)?;
        let (start, end) = self.extent(itemsize);
        if start < 0 || end > len as i128 {
            return Err(Error::OutOfBuffer { start, end, len });
        }
        Ok(())
    }

    /// Checks invariant 2, and returns the bytes that the elements take when packed.
    fn check_size(&self, itemsize: usize) -> Result<usize> {
        // Elements of no bytes are counted too.
        let mut bytes = itemsize.max(1);
        for &n in &self.shape {
            bytes = match bytes.checked_mul(n.max(1)) {
                Some(bytes) if isize::try_from(bytes).is_ok() => bytes,
                _ => return Err(Error::SizeOverflow { shape: self.shape.to_vec(), itemsize }),
            };
        }
        Ok(if self.is_empty() || itemsize == 0 { 0 } else { bytes })
    }

    /// The bytes `start..end` that elements touch, in numbers that cannot overflow: at most 64
    /// axes, each below 2^126 by its two factors, saturate rather than wrap.
    fn extent(&self, itemsize: usize) -> (i128, i128) {
        let offset = self.offset as i128;
        if self.is_empty() {
            return (offset, offset);
        }
        let (mut low, mut high) = (offset, offset + itemsize as i128);
        for (&n, &stride) in self.shape.iter().zip(&self.strides) {
            let reach = (n as i128 - 1) * stride as i128;
            if reach < 0 {
                low = low.saturating_add(reach);
            } else {
                high = high.saturating_add(reach);
            }
        }
        (low, high)
    }

    /// The byte after the last that elements touch.
    pub(crate) fn end(&self, itemsize: usize) -> usize {
        self.extent(itemsize).1 as usize
    }

    /// From the first byte that elements touch to the one after the last; empty without elements.
    pub(crate) fn span(&self, itemsize: usize) -> std::ops::Range<usize> {
        let (start, end) = self.extent(itemsize);
        if self.is_empty() { 0..0 } else { start as usize..end as usize }
    }

    /// How many bytes elements reach below and above the first one, for foreign memory with a
    /// pointer to its first element.
    ///
    /// # Errors
    ///
    /// As [`Layout::check`], if the reach does not fit the address space.
    pub fn reach(shape: &[usize], strides: &[isize], itemsize: usize) -> Result<(usize, usize)> {
        if shape.len() != strides.len() {
            return Err(Error::RankMismatch { shape: shape.len(), strides: strides.len() });
        }
        check_rank(shape.len())?;
        let layout = Layout {
            shape: Dims::from_slice(shape),
            strides: Dims::from_slice(strides),
            offset: 0,
        };
        layout.check_size(itemsize)?;
        let (low, high) = layout.extent(itemsize);
        if high - low > isize::MAX as i128 {
            return Err(Error::SizeOverflow { shape: shape.to_vec(), itemsize });
        }
        Ok((-low as usize, high as usize))
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The bytes from one element to the next along each axis.
    pub fn strides(&self) -> &[isize] {
        &self.strides
    }

    /// The byte at which the first element starts.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.shape.len()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the layout has no elements.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// Whether the elements are packed in the given order. Axes of size 1 and empty layouts do not
    /// matter, as in NumPy.
    pub fn is_contiguous(&self, itemsize: usize, order: Order) -> bool {
        if self.is_empty() {
            return true;
        }
        let mut expected = itemsize as isize;
        let mut matches = |(&n, &stride): (&usize, &isize)| {
            let packed = n == 1 || stride == expected;
            expected = expected.wrapping_mul(n as isize);
            packed
        };
        let axes = self.shape.iter().zip(&self.strides);
        match order {
            Order::C => axes.rev().all(&mut matches),
            Order::F => axes.into_iter().all(&mut matches),
        }
    }

    /// The same elements in the same order with as few axes as possible: neighbours that one stride
    /// can walk are merged, and axes of size 1 are dropped. Kernels loop over this layout.
    #[must_use]
    pub fn coalesced(&self) -> Self {
        let mut merged = Layout { shape: Dims::new(), strides: Dims::new(), offset: self.offset };
        if self.is_empty() {
            merged.shape.push(0);
            merged.strides.push(0);
            return merged;
        }
        for (&n, &stride) in self.shape.iter().zip(&self.strides).filter(|&(&n, _)| n != 1) {
            match (merged.shape.last_mut(), merged.strides.last_mut()) {
                (Some(outer), Some(outer_stride))
                    if stride.checked_mul(n as isize) == Some(*outer_stride) =>
                {
                    *outer *= n;
                    *outer_stride = stride;
                }
                _ => {
                    merged.shape.push(n);
                    merged.strides.push(stride);
                }
            }
        }
        merged
    }

    /// The byte offset of every element, the last index fastest: the slow, simple way to walk a
    /// layout.
    pub fn offsets(&self) -> impl Iterator<Item = usize> + '_ {
        let mut index: Dims<usize> = Dims::from_elem(0, self.ndim());
        let mut next = (!self.is_empty()).then_some(self.offset as isize);
        std::iter::from_fn(move || {
            let here = next?;
            let mut following = here;
            next = None;
            for axis in (0..self.ndim()).rev() {
                index[axis] += 1;
                following = following.wrapping_add(self.strides[axis]);
                if index[axis] < self.shape[axis] {
                    next = Some(following);
                    break;
                }
                following = following
                    .wrapping_sub(self.strides[axis].wrapping_mul(self.shape[axis] as isize));
                index[axis] = 0;
            }
            Some(here as usize)
        })
    }
}

/// Checks the rank, the part of invariant 1 that must hold before a layout can be made.
pub(crate) fn check_rank(ndim: usize) -> Result<()> {
    if ndim > MAX_NDIM { Err(Error::TooManyDimensions { got: ndim }) } else { Ok(()) }
}

/// Strides of packed elements. An axis of size 0 counts as 1, as in NumPy.
pub(crate) fn contiguous_strides(shape: &[usize], itemsize: usize, order: Order) -> Dims<isize> {
    let mut strides: Dims<isize> = Dims::from_elem(0, shape.len());
    let mut stride = itemsize as isize;
    let mut place = |axis: usize| {
        strides[axis] = stride;
        stride = stride.wrapping_mul(shape[axis].max(1) as isize);
    };
    match order {
        Order::C => (0..shape.len()).rev().for_each(&mut place),
        Order::F => (0..shape.len()).for_each(&mut place),
    }
    strides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_names_the_bytes_outside_the_buffer() {
        let error = Layout::new(&[3], &[-4], 4, 4, 16).unwrap_err();
        assert_eq!(error.to_string(), "layout reaches bytes -4..8 of a buffer of 16 bytes");
        let error = Layout::new(&[2, 3], &[12, 4], 0, 4, 23).unwrap_err();
        assert_eq!(error.to_string(), "layout reaches bytes 0..24 of a buffer of 23 bytes");
    }

    #[test]
    fn the_check_survives_extreme_numbers() {
        for shape in [vec![usize::MAX], vec![1 << 40, 1 << 40], vec![0, usize::MAX], vec![2; 64]] {
            let strides = vec![isize::MIN; shape.len()];
            assert!(matches!(
                Layout::new(&shape, &strides, 0, 8, 8),
                Err(Error::SizeOverflow { .. })
            ));
        }
        assert!(matches!(
            Layout::new(&[1 << 62; 2], &[0; 2], 0, 0, 8),
            Err(Error::SizeOverflow { .. })
        ));
        let far = Layout::new(&[2; 20], &[isize::MIN; 20], usize::MAX, 1, 8);
        assert!(matches!(far, Err(Error::OutOfBuffer { .. })));
        assert!(matches!(
            Layout::new(&[1; 65], &[0; 65], 0, 1, 8),
            Err(Error::TooManyDimensions { got: 65 })
        ));
        assert!(matches!(
            Layout::contiguous(&[1; 65], 1, Order::C),
            Err(Error::TooManyDimensions { got: 65 })
        ));
        assert!(matches!(Layout::reach(&[2], &[isize::MIN], 1), Err(Error::SizeOverflow { .. })));
    }

    #[test]
    fn an_empty_layout_touches_nothing() {
        let layout = Layout::new(&[0, 5], &[1 << 50, 1 << 40], 0, 8, 0).unwrap();
        assert_eq!(layout.offsets().count(), 0);
        assert!(layout.is_contiguous(8, Order::C) && layout.is_contiguous(8, Order::F));
    }

    #[test]
    fn coalescing_keeps_the_elements_and_their_order() {
        let layout = Layout::contiguous(&[2, 1, 3, 4], 2, Order::C).unwrap();
        assert_eq!(layout.coalesced().shape(), [24]);
        let layout = Layout::new(&[2, 3, 4], &[-40, 8, 2], 40, 2, 100).unwrap();
        assert_eq!(layout.coalesced().shape(), [2, 12]);
        assert!(layout.coalesced().offsets().eq(layout.offsets()));
    }
}
