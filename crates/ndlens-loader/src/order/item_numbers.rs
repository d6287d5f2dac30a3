//! Item numbers in the memory of the caller: an array of integers of any width and stride, or a
//! range. Nothing is copied, and no object is made for a number.
//!
//! The owner of the array may write to it at any time, so a number is checked each time it is read.

#![expect(unsafe_code, reason = "reads elements through a raw pointer; see UNSAFE.md")]

use ndlens_core::{DType, Order, View};

use crate::error::{Error, Result};
use crate::resume::digest::Digest;

/// The value for a number that is out of bounds. No data set has this many items.
pub(crate) const NO_ITEM: usize = usize::MAX;

/// A sequence of item numbers.
#[derive(Debug, Clone)]
pub struct ItemNumbers {
    kind: NumbersKind,
    len: usize,
}

#[derive(Debug, Clone)]
enum NumbersKind {
    /// `first`, `first + step`, and so on.
    Range { first: i64, step: i64 },
    /// A view of shape (len,) and of a dtype in [`Integer`].
    Array { view: View, integer: Integer },
}

/// The integers that can be item numbers.
#[derive(Debug, Clone, Copy)]
enum Integer {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

impl ItemNumbers {
    /// The numbers of a view of shape (items,), of any integer dtype.
    ///
    /// # Errors
    ///
    /// [`Error::ItemNumbersShape`], [`Error::ItemNumbersMask`], [`Error::ItemNumbersDType`];
    /// [`Error::Core`] if a file that the view shows has become shorter.
    pub fn from_view(view: &View) -> Result<Self> {
        let &[len] = view.shape() else {
            return Err(Error::ItemNumbersShape { got: view.shape().to_vec() });
        };
        let integer = match view.dtype() {
            DType::I8 => Integer::I8,
            DType::I16 => Integer::I16,
            DType::I32 => Integer::I32,
            DType::I64 => Integer::I64,
            DType::U8 => Integer::U8,
            DType::U16 => Integer::U16,
            DType::U32 => Integer::U32,
            DType::U64 => Integer::U64,
            DType::Bool => return Err(Error::ItemNumbersMask),
            other => return Err(Error::ItemNumbersDType { got: other.to_string() }),
        };
        // A file that is truncated while it is mapped would raise a signal in the middle of an
        // epoch.
        let view = if view.buffer().can_shrink() { view.copy(Order::C)? } else { view.clone() };
        Ok(ItemNumbers { kind: NumbersKind::Array { view, integer }, len })
    }

    /// `len` numbers from `first` on, each `step` more than the one before.
    pub fn range(first: i64, step: i64, len: usize) -> Self {
        ItemNumbers { kind: NumbersKind::Range { first, step }, len }
    }

    /// The number of item numbers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no number.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number at a place.
    ///
    /// # Panics
    ///
    /// If the place is not below [`len`](Self::len).
    pub fn at(&self, place: usize) -> i128 {
        assert!(place < self.len, "place {place} of {} item numbers", self.len);
        match &self.kind {
            NumbersKind::Range { first, step } => {
                i128::from(*first) + i128::from(*step) * place as i128
            }
            NumbersKind::Array { view, integer } => {
                let at = view.as_ptr().wrapping_offset(place as isize * view.strides()[0]);
                // SAFETY: the place is one of the view's, by the assertion above, and its element
                // is in the buffer, by the invariant of views; the view holds the buffer. Any bytes
                // are an integer, wherever they lie.
                unsafe {
                    match integer {
                        Integer::I8 => at.cast::<i8>().read().into(),
                        Integer::I16 => at.cast::<i16>().read_unaligned().into(),
                        Integer::I32 => at.cast::<i32>().read_unaligned().into(),
                        Integer::I64 => at.cast::<i64>().read_unaligned().into(),
                        Integer::U8 => at.read().into(),
                        Integer::U16 => at.cast::<u16>().read_unaligned().into(),
                        Integer::U32 => at.cast::<u32>().read_unaligned().into(),
                        Integer::U64 => at.cast::<u64>().read_unaligned().into(),
                    }
                }
            }
        }
    }

    /// The item at a place; [`NO_ITEM`] if its number is not below `items`.
    pub(crate) fn item(&self, place: usize, items: usize) -> usize {
        usize::try_from(self.at(place)).ok().filter(|&item| item < items).unwrap_or(NO_ITEM)
    }

    /// Replaces each place by its item, or by [`NO_ITEM`].
    pub(crate) fn replace(&self, places: &mut [usize], items: usize) {
        if let NumbersKind::Array { view, integer: Integer::I64 } = &self.kind {
            assert!(
                places.iter().all(|&place| place < self.len),
                "a place that {} numbers do not have",
                self.len
            );
            let (from, stride) = (view.as_ptr(), view.strides()[0]);
            for place in places {
                // SAFETY: as in `at`.
                let number = unsafe {
                    from.wrapping_offset(*place as isize * stride).cast::<i64>().read_unaligned()
                };
                // As `u64`, negative numbers are out of bounds.
                *place = if (number as u64) < items as u64 { number as usize } else { NO_ITEM };
            }
            return;
        }
        for place in places {
            *place = self.item(*place, items);
        }
    }

    /// The error of a place whose number is not below `items`.
    pub(crate) fn no_such_item(&self, place: usize, items: usize) -> Error {
        Error::NoSuchItem { got: self.at(place).to_string(), place, items }
    }

    /// Continues a digest with the numbers from one place to another.
    pub fn digest(&self, digest: &mut Digest, places: std::ops::Range<usize>) {
        places.for_each(|place| digest.add(self.at(place) as i64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndlens_core::{Element, Index};

    fn of<T: Element>(numbers: Vec<T>) -> ItemNumbers {
        ItemNumbers::from_view(&View::from_vec(numbers)).unwrap()
    }

    #[test]
    fn integers_of_every_width_and_stride_are_item_numbers() {
        let all = [
            of(vec![3i8, 0, 2]),
            of(vec![3i16, 0, 2]),
            of(vec![3i32, 0, 2]),
            of(vec![3i64, 0, 2]),
            of(vec![3u8, 0, 2]),
            of(vec![3u16, 0, 2]),
            of(vec![3u32, 0, 2]),
            of(vec![3u64, 0, 2]),
            ItemNumbers::from_view(&View::from_vec(vec![2i64, 0, 3]).flip(&[0]).unwrap()).unwrap(),
            ItemNumbers::from_view(
                &View::from_vec(vec![3i32, 9, 0, 9, 2])
                    .index(&[Index::Slice { start: None, stop: None, step: 2 }])
                    .unwrap(),
            )
            .unwrap(),
        ];
        for numbers in all {
            let mut places = [2, 0, 1, 1];
            numbers.replace(&mut places, 4);
            assert_eq!(places, [2, 3, 0, 0], "{numbers:?}");
            assert_eq!((0..3).map(|place| numbers.item(place, 4)).collect::<Vec<_>>(), [3, 0, 2]);
            assert_eq!(numbers.item(0, 3), NO_ITEM);
        }
        assert_eq!(
            (0..3).map(|place| ItemNumbers::range(9, -2, 3).at(place)).collect::<Vec<_>>(),
            [9, 7, 5]
        );
    }

    #[test]
    fn numbers_that_are_no_items_are_told_apart() {
        let mut places = [0, 1, 2, 3];
        of(vec![-1i64, i64::MIN, i64::MAX, 4]).replace(&mut places, 4);
        assert_eq!(places, [NO_ITEM; 4]);
        assert_eq!(of(vec![u64::MAX]).item(0, usize::MAX), NO_ITEM);
        assert_eq!(
            of(vec![-1i64]).no_such_item(0, 4).to_string(),
            "the sampler gave item -1 at place 0, but there are 4 items"
        );
    }

    #[test]
    fn what_is_no_list_of_numbers_says_what_to_do() {
        let message = |view: &View| ItemNumbers::from_view(view).unwrap_err().to_string();
        assert_eq!(
            message(&View::from_vec(vec![0i64; 4]).reshape(&[2, 2]).unwrap()),
            "item numbers must be of shape (items,), got [2, 2]"
        );
        assert_eq!(
            message(&View::from_vec(vec![0.0f32])),
            "item numbers must be integers, got float32; convert them with .astype(\"int64\")"
        );
        assert_eq!(
            message(&View::from_vec(vec![1u8]).reinterpret(DType::Bool).unwrap()),
            "bools are not item numbers: a mask goes to indices=, and np.flatnonzero(mask) is a \
             list of items"
        );
    }
}
