//! One number for each axis, without a heap block for common ranks.
//!
//! Every index operation makes two of these lists, so they must be cheap. Up to [`INLINE`] numbers
//! are copied as one block of fixed size, which the compiler turns into a few vector moves. Longer
//! lists use a heap block with room for every rank.

use std::ops::{Deref, DerefMut};

/// The most axes a layout has: NumPy's limit and the buffer protocol's (`PyBUF_MAX_NDIM`).
pub const MAX_NDIM: usize = 64;

/// Six are enough for a batch of video clips, (N, T, H, W, C), and one more axis.
const INLINE: usize = 6;

/// A short list of at most [`MAX_NDIM`] numbers. More numbers are a bug, and cause a panic.
#[derive(Debug, Clone)]
pub(crate) struct Dims<T: Copy + Default> {
    len: usize,
    inline: [T; INLINE],
    /// All numbers, once there are more than `INLINE`.
    heap: Option<Box<[T; MAX_NDIM]>>,
}

impl<T: Copy + Default> Dims<T> {
    pub(crate) fn new() -> Self {
        Dims { len: 0, inline: [T::default(); INLINE], heap: None }
    }

    pub(crate) fn from_slice(numbers: &[T]) -> Self {
        let mut dims = Dims::new();
        dims.extend_from_slice(numbers);
        dims
    }

    pub(crate) fn from_elem(number: T, len: usize) -> Self {
        let mut dims = Dims { len: 0, inline: [number; INLINE], heap: None };
        if len > INLINE {
            dims.heap = Some(Box::new([number; MAX_NDIM]));
        }
        assert!(len <= MAX_NDIM, "at most {MAX_NDIM} axes");
        dims.len = len;
        dims
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
        self.heap = None;
    }

    /// Takes all of `numbers` but the first. `numbers` is not empty.
    #[inline]
    pub(crate) fn set_rest(&mut self, numbers: &Self) {
        self.clear();
        if numbers.heap.is_some() {
            self.extend_from_slice(&numbers[1..]);
            return;
        }
        // All that may be there, which is a move of fixed size.
        self.inline[..INLINE - 1].copy_from_slice(&numbers.inline[1..]);
        self.len = numbers.len - 1;
    }

    #[inline]
    pub(crate) fn push(&mut self, number: T) {
        if self.len < INLINE && self.heap.is_none() {
            self.inline[self.len] = number;
        } else {
            let at = self.len;
            self.spill()[at] = number;
        }
        self.len += 1;
    }

    /// The heap block, with all numbers in it.
    #[cold]
    fn spill(&mut self) -> &mut [T; MAX_NDIM] {
        let inline = &self.inline;
        self.heap.get_or_insert_with(|| {
            let mut block = Box::new([T::default(); MAX_NDIM]);
            block[..INLINE].copy_from_slice(inline);
            block
        })
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        let last = self.last().copied()?;
        self.len -= 1;
        Some(last)
    }

    #[inline]
    pub(crate) fn extend_from_slice(&mut self, numbers: &[T]) {
        for &number in numbers {
            self.push(number);
        }
    }

    pub(crate) fn remove(&mut self, at: usize) {
        self[at..].rotate_left(1);
        self.pop();
    }

    pub(crate) fn insert(&mut self, at: usize, number: T) {
        self.push(number);
        self[at..].rotate_right(1);
    }
}

impl<T: Copy + Default> Deref for Dims<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        match &self.heap {
            None => &self.inline[..self.len],
            Some(heap) => &heap[..self.len],
        }
    }
}

impl<T: Copy + Default> DerefMut for Dims<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.heap {
            None => &mut self.inline[..self.len],
            Some(heap) => &mut heap[..self.len],
        }
    }
}

impl<T: Copy + Default + PartialEq> PartialEq for Dims<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Copy + Default + Eq> Eq for Dims<T> {}

impl<T: Copy + Default> FromIterator<T> for Dims<T> {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        let mut dims = Dims::new();
        numbers.into_iter().for_each(|number| dims.push(number));
        dims
    }
}

impl<'a, T: Copy + Default> IntoIterator for &'a Dims<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn dims_are_the_list_a_vector_would_be(
            steps in prop::collection::vec((0usize..4, any::<u16>()), 0..60),
        ) {
            let (mut dims, mut vec) = (Dims::<u16>::new(), vec![]);
            for (kind, number) in steps {
                match kind {
                    0 => prop_assert_eq!(dims.pop(), vec.pop()),
                    1 => {
                        let at = number as usize % (vec.len() + 1);
                        dims.insert(at, number);
                        vec.insert(at, number);
                    }
                    _ => {
                        dims.push(number);
                        vec.push(number);
                    }
                }
                prop_assert_eq!(&*dims, &vec[..]);
                prop_assert_eq!(&dims, &Dims::from_slice(&vec));
            }
        }
    }

    #[test]
    fn every_rank_fits() {
        assert_eq!(Dims::from_elem(3, MAX_NDIM).len(), MAX_NDIM);
        assert_eq!((0..MAX_NDIM).collect::<Dims<_>>().last(), Some(&(MAX_NDIM - 1)));
    }
}
