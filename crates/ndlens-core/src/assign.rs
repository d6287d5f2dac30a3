//! Writing through a view.

#![expect(unsafe_code, reason = "writes elements through raw pointers; see UNSAFE.md")]

use crate::error::{Error, Result};
use crate::layout::Order;
use crate::layout::runs::Runs;
use crate::transfer::transfer;
use crate::view::View;
use crate::watch::Meter;

/// A write requests the room of a whole range at once if the range is at most this many times as
/// long as the written bytes.
const GAPS_ASKED_FOR: usize = 4;

/// Otherwise it requests the pages that it touches; smaller gaps are on the pages of elements.
const PAGE_BYTES: usize = 4096;

impl View {
    fn check_writable(&self, operation: &'static str) -> Result<()> {
        if self.is_read_only() {
            return Err(Error::ReadOnly { operation, hint: "call .copy() for memory of your own" });
        }
        self.buffer().verify()?;
        if !self.buffer().may_lack_room() {
            return Ok(());
        }
        let bytes = self.layout().span(self.itemsize());
        if bytes.len() / GAPS_ASKED_FOR <= self.nbytes() {
            return self.buffer().prepare_write(bytes);
        }
        let mut meter = Meter::default();
        Runs::new(self.layout(), self.itemsize(), PAGE_BYTES).try_for_each(|run| {
            meter.count_row(1, PAGE_BYTES, false)?;
            self.buffer().prepare_write(run)
        })
    }

    /// Writes the elements of `source`, broadcast to this view's shape, to this view's memory:
    /// `v[...] = source`.
    /// If the two overlap, the result is the same as if the source had been copied first.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::DTypeMismatch`], [`Error::Broadcast`]; [`Error::OutOfMemory`]
    /// if an overlap needs a copy; the errors of [`Owner::verify`](crate::Owner::verify) of either
    /// side.
    pub fn assign(&self, source: &View) -> Result<()> {
        self.check_writable("assignment")?;
        if self.dtype() != source.dtype() {
            return Err(Error::DTypeMismatch {
                got: source.dtype().to_string(),
                expected: self.dtype().to_string(),
            });
        }
        let layout = source.layout().broadcast_to(self.shape(), self.itemsize())?;
        source.buffer().verify()?;
        if self.may_share_memory(source) {
            return self.assign(&source.copy(Order::C)?);
        }
        let from = (source.as_ptr().cast_const(), layout.strides());
        // SAFETY: `layout` shows elements of `source`, which are readable; this view's are
        // writable; the spans of the two are apart.
        unsafe {
            transfer(
                self.shape(),
                from,
                (self.as_ptr(), self.strides()),
                self.itemsize(),
                &mut Meter::default(),
            )
        }?;
        source.buffer().verify_read()?;
        self.buffer().verify_read()
    }

    /// Writes one element, given by its bytes, to every place of this view.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`]; [`Error::DestinationSize`] if `element` is not one element long; the
    /// errors of [`Owner::verify`](crate::Owner::verify).
    pub fn fill(&self, element: &[u8]) -> Result<()> {
        self.check_writable("fill")?;
        if element.len() != self.itemsize() {
            return Err(Error::DestinationSize { got: element.len(), expected: self.itemsize() });
        }
        let strides = vec![0; self.ndim()];
        let to = (self.as_ptr(), self.strides());
        // SAFETY: with strides of 0 every read is of `element`, which is as long as one; this
        // view's elements are writable, and a `&[u8]` is never formed over a view's memory, so the
        // two are apart.
        unsafe {
            transfer(
                self.shape(),
                (element.as_ptr(), &strides),
                to,
                self.itemsize(),
                &mut Meter::default(),
            )
        }?;
        self.buffer().verify_read()
    }

    /// The elements at the given places of an axis, in their order, packed into new memory:
    /// `np.take`.
    ///
    /// # Errors
    ///
    /// [`Error::IndexOutOfBounds`] for a place outside `-size..size`, [`Error::AxisOutOfBounds`],
    /// [`Error::OutOfMemory`]; the errors of [`Owner::verify`](crate::Owner::verify).
    pub fn take(&self, places: &[isize], axis: isize) -> Result<View> {
        self.buffer().verify()?;
        let axis = self.layout().normalize_axis(axis)?;
        let (size, stride) = (self.shape()[axis], self.strides()[axis]);
        let mut shape = self.shape().to_vec();
        shape[axis] = places.len();
        let taken = View::zeros(&shape, self.dtype().clone(), Order::C)?;
        let mut meter = Meter::default();
        // One place of either side; the axis stays, with size 1.
        shape[axis] = 1;
        for (k, &place) in places.iter().enumerate() {
            let from_start = if place < 0 { place.wrapping_add(size as isize) } else { place };
            if from_start < 0 || from_start as usize >= size {
                return Err(Error::IndexOutOfBounds { index: place, axis, size });
            }
            let from = self.as_ptr().cast_const().wrapping_offset(from_start.wrapping_mul(stride));
            let to =
                taken.as_ptr().wrapping_offset((k as isize).wrapping_mul(taken.strides()[axis]));
            // SAFETY: `from_start` and `k` are below the axes' sizes, so these are elements of the
            // two views; the taken one is fresh memory, which nothing else touches.
            unsafe {
                transfer(
                    &shape,
                    (from, self.strides()),
                    (to, taken.strides()),
                    self.itemsize(),
                    &mut meter,
                )
            }?;
        }
        self.buffer().verify_read()?;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::index::{Index, s};
    use crate::samples::{LARGEST, any_layout};
    use crate::{Buffer, DType, Layout};
    use proptest::prelude::*;

    fn counting(shape: &[isize]) -> View {
        let n = shape.iter().product::<isize>() as u16;
        View::from_vec((0..n).collect()).reshape(shape).unwrap()
    }

    proptest! {
        #[test]
        fn assignment_writes_those_elements_and_no_other_byte(
            to in any_layout(),
            from in any_layout(),
        ) {
            let shape: Vec<_> = to.shape().to_vec();
            let memory = |layout: Layout| {
                let bytes: Vec<u8> = (0..LARGEST).map(|i| (i * 7 + i / 251) as u8).collect();
                View::new(Buffer::from_vec(bytes), layout, DType::U16).unwrap()
            };
            let (target, source) = (memory(to.clone()), memory(from.clone()));
            let whole = |view: &View| {
                let layout = Layout::contiguous(&[LARGEST / 2], 2, Order::C).unwrap();
                View::new(view.buffer().clone(), layout, DType::U16)
                    .unwrap()
                    .to_vec::<u16>()
                    .unwrap()
            };
            let mut expected = whole(&target);
            match from.broadcast_to(&shape, 2) {
                Ok(shown) => {
                    let values = whole(&source);
                    for (at, place) in to.offsets().zip(shown.offsets()) {
                        expected[at / 2] = values[place / 2];
                    }
                    target.assign(&source).unwrap();
                }
                Err(error) => prop_assert_eq!(target.assign(&source).unwrap_err(), error),
            }
            prop_assert_eq!(whole(&target), expected);
        }

        #[test]
        fn taking_places_is_indexing_each(
            layout in any_layout(),
            places in prop::collection::vec(-5isize..5, 0..6),
            axis in 0usize..4,
        ) {
            let bytes: Vec<u8> = (0..=255).cycle().take(LARGEST).collect();
            let view = View::new(Buffer::from_vec(bytes), layout, DType::U16).unwrap();
            let taken = view.take(&places, axis as isize);
            let Some(&size) = view.shape().get(axis) else {
                prop_assert!(taken.is_err());
                return Ok(());
            };
            let bounds = -(size as isize)..size as isize;
            prop_assert_eq!(taken.is_ok(), places.iter().all(|place| bounds.contains(place)));
            let Ok(taken) = taken else { return Ok(()) };
            for (k, &place) in places.iter().enumerate() {
                let along = |at: isize| [vec![s(..); axis], vec![Index::At(at)]].concat();
                let one =
                    |view: &View, at| view.index(&along(at)).unwrap().to_vec::<u16>().unwrap();
                prop_assert_eq!(one(&taken, k as isize), one(&view, place));
            }
        }
    }

    #[test]
    fn overlapping_assignment_is_as_if_the_source_had_been_copied_first() {
        let view = counting(&[10]);
        view.index(&[s(1..)]).unwrap().assign(&view.index(&[s(..-1)]).unwrap()).unwrap();
        assert_eq!(view.to_vec::<u16>().unwrap(), [0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let view = counting(&[3, 3]);
        view.assign(&view.permute(&[1, 0]).unwrap()).unwrap();
        assert_eq!(view.to_vec::<u16>().unwrap(), [0, 3, 6, 1, 4, 7, 2, 5, 8]);
        let view = counting(&[6]);
        view.assign(&view.flip(&[0]).unwrap()).unwrap();
        assert_eq!(view.to_vec::<u16>().unwrap(), [5, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn refused_writes_say_why() {
        let view = counting(&[2, 3]);
        let message = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(
            message(view.to_read_only().assign(&view)),
            "assignment needs writable memory, but the view is read-only; call .copy() for memory \
             of your own"
        );
        assert_eq!(
            message(view.assign(&counting(&[4]))),
            "cannot broadcast shape [4] to shape [2, 3]"
        );
        assert_eq!(
            message(view.assign(&View::from_vec(vec![1i32]))),
            "view has dtype int32, expected uint16"
        );
        assert_eq!(message(view.fill(&[1])), "destination has 1 bytes, expected 2");
        assert_eq!(
            view.take(&[0, 2], 0).unwrap_err().to_string(),
            "index 2 is out of bounds for axis 0 with size 2"
        );
    }

    #[test]
    fn fill_writes_every_place_and_no_other() {
        let view = counting(&[2, 3]);
        view.index(&[s(..), s(1)]).unwrap().fill(&7u16.to_ne_bytes()).unwrap();
        assert_eq!(view.to_vec::<u16>().unwrap(), [0, 7, 2, 3, 7, 5]);
    }
}
