//! A buffer, a layout and a dtype: an N-dimensional array that owns no bytes.

#![expect(unsafe_code, reason = "reads elements through raw pointers; see UNSAFE.md")]

use std::mem::MaybeUninit;

use crate::buffer::{Access, Buffer};
use crate::dtype::{DType, Element};
use crate::error::{Error, Result};
use crate::layout::dims::Dims;
use crate::layout::index::{Index, s};
use crate::layout::{Layout, Order, contiguous_strides};
use crate::room;
use crate::spread::Spread;
use crate::transfer::transfer;
use crate::watch::Meter;

/// An N-dimensional view of memory that an owner keeps valid.
///
/// # Invariant
///
/// The layout has passed [`Layout::check`] for this buffer's length and this dtype's itemsize, or
/// is derived from such a layout. So every element's bytes are in the buffer, and the buffer's
/// owner keeps them valid.
#[derive(Debug, Clone)]
pub struct View {
    buffer: Buffer,
    layout: Layout,
    dtype: DType,
}

/// A view that borrows its buffer. Kernels read it; to make one touches no reference count.
///
/// It has the invariant of [`View`].
#[derive(Debug, Clone)]
pub struct ViewRef<'a> {
    buffer: &'a Buffer,
    layout: Layout,
    dtype: &'a DType,
}

impl View {
    /// A view of a buffer, checked by [`Layout::check`].
    ///
    /// # Errors
    /// The errors of [`Layout::check`].
    pub fn new(buffer: Buffer, layout: Layout, dtype: DType) -> Result<Self> {
        layout.check(dtype.itemsize(), buffer.len())?;
        Ok(View { buffer, layout, dtype })
    }

    /// A view of a vector, of shape (len,), without a copy.
    pub fn from_vec<T: Element>(vec: Vec<T>) -> Self {
        let layout = Layout {
            shape: Dims::from_slice(&[vec.len()]),
            strides: Dims::from_slice(&[size_of::<T>() as isize]),
            offset: 0,
        };
        View { buffer: Buffer::from_vec(vec), layout, dtype: T::DTYPE }
    }

    /// New memory of zeros, in the given order, aligned to [`ALIGNMENT`](crate::ALIGNMENT).
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`], [`Error::SizeOverflow`], [`Error::TooManyDimensions`].
    pub fn zeros(shape: &[usize], dtype: DType, order: Order) -> Result<Self> {
        let layout = Layout::contiguous(shape, dtype.itemsize(), order)?;
        let buffer = Buffer::zeroed(layout.len() * dtype.itemsize())?;
        View::new(buffer, layout, dtype)
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// The bytes from one element to the next along each axis.
    pub fn strides(&self) -> &[isize] {
        self.layout.strides()
    }

    /// The number of axes.
    pub fn ndim(&self) -> usize {
        self.layout.ndim()
    }

    /// The type of the elements.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// The places of the elements in the buffer.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The buffer of the elements.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Bytes of one element.
    pub fn itemsize(&self) -> usize {
        self.dtype.itemsize()
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether the view has no elements.
    pub fn is_empty(&self) -> bool {
        self.layout.is_empty()
    }

    /// Bytes of all elements, which is the size of a copy.
    pub fn nbytes(&self) -> usize {
        self.len() * self.itemsize()
    }

    /// Whether writes are refused.
    pub fn is_read_only(&self) -> bool {
        self.buffer.access() == Access::ReadOnly
    }

    /// Whether the elements are packed in the given order.
    pub fn is_contiguous(&self, order: Order) -> bool {
        self.layout.is_contiguous(self.itemsize(), order)
    }

    /// The order in which the elements are packed; C order if they are packed in both, or in
    /// neither.
    ///
    /// ```
    /// use ndlens_core::{Order, View};
    ///
    /// let rows = View::from_vec(vec![0u8; 6]).reshape(&[2, 3])?;
    /// assert_eq!(rows.packed_order(), Order::C);
    /// assert_eq!(rows.permute(&[1, 0])?.packed_order(), Order::F);
    /// # Ok::<(), ndlens_core::Error>(())
    /// ```
    pub fn packed_order(&self) -> Order {
        if self.is_contiguous(Order::F) && !self.is_contiguous(Order::C) {
            Order::F
        } else {
            Order::C
        }
    }

    /// A pointer to the first element. It is valid for reads at every offset that the layout
    /// reaches, while a clone of this view lives.
    pub fn as_ptr(&self) -> *mut u8 {
        self.as_ref().as_ptr().cast_mut()
    }

    /// The same view, borrowed from this one.
    pub fn as_ref(&self) -> ViewRef<'_> {
        ViewRef { buffer: &self.buffer, layout: self.layout.clone(), dtype: &self.dtype }
    }

    fn with_layout(&self, layout: Layout) -> Self {
        debug_assert_eq!(layout.check(self.itemsize(), self.buffer.len()), Ok(()));
        View { buffer: self.buffer.clone(), layout, dtype: self.dtype.clone() }
    }

    /// NumPy's basic indexing; see [`Layout::index`].
    ///
    /// # Errors
    ///
    /// As [`Layout::index`].
    pub fn index(&self, indices: &[Index]) -> Result<Self> {
        Ok(self.with_layout(self.layout.index(indices)?))
    }

    /// As [`index`](Self::index), with the result written to `out`, which is None after an error.
    ///
    /// # Errors
    ///
    /// As [`Layout::index`].
    #[inline]
    pub fn index_into(&self, indices: &[Index], out: &mut Option<View>) -> Result<()> {
        self.index_with(|| self.buffer.clone(), indices, out)
    }

    /// As [`index_into`](Self::index_into), with a claim on the owner that is counted at a place of
    /// a spread of this view's buffer.
    ///
    /// # Errors
    ///
    /// As [`Layout::index`].
    #[inline]
    pub fn index_into_at(
        &self,
        spread: &Spread,
        place: usize,
        indices: &[Index],
        out: &mut Option<View>,
    ) -> Result<()> {
        self.index_with(|| spread.claim(&self.buffer, place), indices, out)
    }

    /// Indexing in place, with a buffer of the same bytes.
    #[inline]
    fn index_with(
        &self,
        claim: impl FnOnce() -> Buffer,
        indices: &[Index],
        out: &mut Option<View>,
    ) -> Result<()> {
        *out = None;
        let layout = Layout { shape: Dims::new(), strides: Dims::new(), offset: 0 };
        let view = out.insert(View { buffer: claim(), layout, dtype: self.dtype.clone() });
        let indexed = self.layout.index_into(indices, &mut view.layout);
        if indexed.is_err() {
            *out = None;
        }
        indexed
    }

    /// Axes in another order; see [`Layout::permute`].
    ///
    /// # Errors
    ///
    /// As [`Layout::permute`].
    pub fn permute(&self, axes: &[isize]) -> Result<Self> {
        Ok(self.with_layout(self.layout.permute(axes)?))
    }

    /// Axes run backwards; see [`Layout::flip`].
    ///
    /// # Errors
    ///
    /// As [`Layout::flip`].
    pub fn flip(&self, axes: &[isize]) -> Result<Self> {
        Ok(self.with_layout(self.layout.flip(axes)?))
    }

    /// Overlapping windows along an axis; see [`Layout::windows`].
    ///
    /// # Errors
    ///
    /// As [`Layout::windows`].
    pub fn windows(&self, size: usize, step: usize, axis: isize) -> Result<Self> {
        Ok(self.with_layout(self.layout.windows(size, step, axis, self.itemsize())?))
    }

    /// Another shape over the same elements; see [`Layout::reshape`].
    ///
    /// # Errors
    ///
    /// As [`Layout::reshape`].
    pub fn reshape(&self, shape: &[isize]) -> Result<Self> {
        Ok(self.with_layout(self.layout.reshape(shape, self.itemsize())?))
    }

    /// Two axes exchanged; see [`Layout::swapaxes`].
    ///
    /// # Errors
    ///
    /// As [`Layout::swapaxes`].
    pub fn swapaxes(&self, a: isize, b: isize) -> Result<Self> {
        Ok(self.with_layout(self.layout.swapaxes(a, b)?))
    }

    /// Axes at other places; see [`Layout::moveaxis`].
    ///
    /// # Errors
    ///
    /// As [`Layout::moveaxis`].
    pub fn moveaxis(&self, from: &[isize], to: &[isize]) -> Result<Self> {
        Ok(self.with_layout(self.layout.moveaxis(from, to)?))
    }

    /// Without axes of size 1; see [`Layout::squeeze`].
    ///
    /// # Errors
    ///
    /// As [`Layout::squeeze`].
    pub fn squeeze(&self, axes: Option<&[isize]>) -> Result<Self> {
        Ok(self.with_layout(self.layout.squeeze(axes)?))
    }

    /// New axes of size 1; see [`Layout::expand_dims`].
    ///
    /// # Errors
    ///
    /// As [`Layout::expand_dims`].
    pub fn expand_dims(&self, axes: &[isize]) -> Result<Self> {
        Ok(self.with_layout(self.layout.expand_dims(axes)?))
    }

    /// The elements at equal places of two axes; see [`Layout::diagonal`].
    ///
    /// # Errors
    ///
    /// As [`Layout::diagonal`].
    pub fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> Result<Self> {
        Ok(self.with_layout(self.layout.diagonal(offset, axis1, axis2)?))
    }

    /// A larger shape over the same elements; see [`Layout::broadcast_to`].
    ///
    /// # Errors
    ///
    /// As [`Layout::broadcast_to`].
    pub fn broadcast_to(&self, shape: &[usize]) -> Result<Self> {
        Ok(self.with_layout(self.layout.broadcast_to(shape, self.itemsize())?))
    }

    /// Pieces of an axis between the given places; see [`Layout::split_at`].
    ///
    /// # Errors
    ///
    /// As [`Layout::split_at`].
    pub fn split_at(
        &self,
        places: &[isize],
        axis: isize,
    ) -> Result<impl ExactSizeIterator<Item = Result<Self>>> {
        Ok(self.layout.split_at(places, axis)?.map(|layout| Ok(self.with_layout(layout?))))
    }

    /// An axis in equal pieces; see [`Layout::split`].
    ///
    /// # Errors
    ///
    /// As [`Layout::split`].
    pub fn split(
        &self,
        sections: usize,
        axis: isize,
    ) -> Result<impl ExactSizeIterator<Item = Result<Self>>> {
        Ok(self.layout.split(sections, axis)?.map(|layout| Ok(self.with_layout(layout?))))
    }

    /// The view at each place of an axis: `torch.unbind`.
    ///
    /// # Errors
    ///
    /// [`Error::AxisOutOfBounds`].
    pub fn unbind(&self, axis: isize) -> Result<impl ExactSizeIterator<Item = Result<Self>>> {
        let axis = self.layout.normalize_axis(axis)?;
        let mut indices = vec![s(..); axis + 1];
        let at = move |place: usize| {
            indices[axis] = Index::At(place as isize);
            self.index(&indices)
        };
        Ok((0..self.shape()[axis]).map(at))
    }

    /// The same bytes as elements of another dtype; see [`Layout::reinterpret`].
    ///
    /// # Errors
    ///
    /// As [`Layout::reinterpret`].
    pub fn reinterpret(&self, dtype: DType) -> Result<Self> {
        let layout = self.layout.reinterpret(self.itemsize(), dtype.itemsize())?;
        View::new(self.buffer.clone(), layout, dtype)
    }

    /// The same view, read-only.
    #[must_use]
    pub fn to_read_only(&self) -> Self {
        View { buffer: self.buffer.to_read_only(), ..self.clone() }
    }

    /// Asks the owner whether all bytes still exist, and existed whenever they were read; see
    /// [`Owner::verify`](crate::Owner::verify).
    ///
    /// # Errors
    /// The errors of the owner's method.
    pub fn verify(&self) -> Result<()> {
        self.as_ref().verify()
    }

    /// Requests the bytes from the first element to the last, ahead of a read; see
    /// [`Owner::prefetch`](crate::Owner::prefetch).
    ///
    /// # Errors
    /// The errors of the owner's method.
    pub fn prefetch(&self) -> Result<()> {
        self.as_ref().prefetch()
    }

    /// Releases memory that can be loaded again from a file, from the first element to the last;
    /// see [`Owner::drop_cache`](crate::Owner::drop_cache).
    ///
    /// # Errors
    /// The errors of the owner's method.
    pub fn drop_cache(&self) -> Result<()> {
        self.buffer.drop_cache(self.layout.span(self.itemsize()))
    }

    /// The elements packed into new memory, in the given order.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`]; the errors of [`Owner::verify`](crate::Owner::verify).
    pub fn copy(&self, order: Order) -> Result<Self> {
        self.buffer.verify()?;
        let copy = View::zeros(self.shape(), self.dtype.clone(), order)?;
        // Packed in Fortran order is packed in C order with the axes reversed, on both sides.
        let mut source = self.as_ref();
        if order == Order::F {
            source.layout.shape.reverse();
            source.layout.strides.reverse();
        }
        // SAFETY: `copy` is `nbytes` bytes of fresh memory that no other code has a pointer to.
        unsafe { source.copy_to(copy.as_ptr(), &mut Meter::default()) }?;
        self.buffer.verify_read()?;
        Ok(copy)
    }

    /// The elements, in C order.
    ///
    /// # Errors
    ///
    /// [`Error::DTypeMismatch`] if they are not `T`s; [`Error::OutOfMemory`]; the errors of
    /// [`Owner::verify`](crate::Owner::verify).
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        if self.dtype != T::DTYPE {
            return Err(Error::DTypeMismatch {
                got: self.dtype.to_string(),
                expected: T::DTYPE.to_string(),
            });
        }
        self.buffer.verify()?;
        let mut vec: Vec<T> = room::with_room_for(self.len())?;
        // SAFETY: the vector has room for `len` elements of T's size, which is the dtype's, and
        // `copy_to` writes them all; every bit pattern is a T, as `Element` promises.
        unsafe {
            self.as_ref().copy_to(vec.as_mut_ptr().cast(), &mut Meter::default())?;
            vec.set_len(self.len());
        }
        self.buffer.verify_read()?;
        Ok(vec)
    }

    /// The element of a view of rank 1 at this index; a negative one counts from the end.
    ///
    /// None if there is no such element: the rank is not 1, the index is out of bounds, the
    /// elements are not `T`s, or the owner says that the bytes no longer exist.
    #[inline]
    pub fn get<T: Element>(&self, index: isize) -> Option<T> {
        let ([size], [stride]) = (self.shape(), self.strides()) else { return None };
        let place = if index < 0 { index.wrapping_add(*size as isize) } else { index };
        if self.dtype != T::DTYPE || place as usize >= *size || self.buffer.verify().is_err() {
            return None;
        }
        let offset = self.layout.offset.wrapping_add_signed(place * stride);
        // SAFETY: `place` is one of the axis, so by the invariant its bytes, as many as a T has,
        // are in the buffer and readable; every bit pattern is a T, as `Element` promises.
        Some(unsafe { self.buffer.as_ptr().add(offset).cast::<T>().read_unaligned() })
    }

    /// Copies the bytes of the element with these indices, one for each axis, to `destination`.
    ///
    /// # Errors
    ///
    /// As [`Layout::element_offset`]; [`Error::DestinationSize`] if `destination` is not one
    /// element long; the errors of [`Owner::verify`](crate::Owner::verify).
    pub fn read_element(
        &self,
        indices: impl ExactSizeIterator<Item = isize>,
        destination: &mut [u8],
    ) -> Result<()> {
        if destination.len() != self.itemsize() {
            return Err(Error::DestinationSize {
                got: destination.len(),
                expected: self.itemsize(),
            });
        }
        let offset = self.layout.element_offset(indices)?;
        self.buffer.verify()?;
        // SAFETY: an element's bytes are in the buffer, by the invariant; `destination` is as long,
        // exclusive, and apart, since nothing forms a `&mut` over a view's memory.
        unsafe {
            let element = self.buffer.as_ptr().as_ptr().add(offset);
            element.copy_to_nonoverlapping(destination.as_mut_ptr(), destination.len());
        }
        self.buffer.verify_read()
    }

    /// Copies the elements' bytes to `destination`, in C order.
    ///
    /// # Errors
    ///
    /// [`Error::DestinationSize`] if `destination` is not [`nbytes`](Self::nbytes) long; the errors
    /// of [`Owner::verify`](crate::Owner::verify).
    pub fn read_into(&self, destination: &mut [u8]) -> Result<()> {
        self.buffer.verify()?;
        self.as_ref().read_into(destination)?;
        self.buffer.verify_read()
    }

    /// As [`read_into`](Self::read_into), into uninitialised memory. After an error some of it is
    /// still uninitialised.
    ///
    /// # Errors
    ///
    /// As [`read_into`](Self::read_into).
    pub fn read_into_uninit(&self, destination: &mut [MaybeUninit<u8>]) -> Result<()> {
        self.buffer.verify()?;
        self.as_ref().read_into_uninit(destination)?;
        self.buffer.verify_read()
    }
}

impl<'a> ViewRef<'a> {
    /// Asks the owner whether these elements' bytes still exist.
    ///
    /// # Errors
    /// The errors of [`Owner::verify`](crate::Owner::verify).
    pub fn verify(&self) -> Result<()> {
        self.buffer.verify_start(self.layout.end(self.dtype.itemsize()))
    }

    /// Requests the bytes from the first element to the last, ahead of a read; see
    /// [`Owner::prefetch`](crate::Owner::prefetch).
    ///
    /// # Errors
    /// The errors of the owner's method.
    pub fn prefetch(&self) -> Result<()> {
        self.buffer.prefetch(self.layout.span(self.dtype.itemsize()))
    }

    /// A view that borrows a buffer, checked by [`Layout::check`].
    ///
    /// # Errors
    /// The errors of [`Layout::check`].
    pub fn new(buffer: &'a Buffer, layout: Layout, dtype: &'a DType) -> Result<Self> {
        layout.check(dtype.itemsize(), buffer.len())?;
        Ok(ViewRef { buffer, layout, dtype })
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// The bytes from one element to the next along each axis.
    pub fn strides(&self) -> &[isize] {
        self.layout.strides()
    }

    /// The type of the elements.
    pub fn dtype(&self) -> &'a DType {
        self.dtype
    }

    /// The places of the elements in the buffer.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The buffer of the elements.
    pub fn buffer(&self) -> &'a Buffer {
        self.buffer
    }

    /// Bytes of all elements.
    pub fn nbytes(&self) -> usize {
        self.layout.len() * self.dtype.itemsize()
    }

    /// A pointer to the first element, valid for reads at every offset that the layout reaches, for
    /// `'a`.
    pub fn as_ptr(&self) -> *const u8 {
        // SAFETY: the offset is within `0..=len` by invariant 3.
        unsafe { self.buffer.as_ptr().add(self.layout.offset) }.as_ptr()
    }

    /// NumPy's basic indexing; see [`Layout::index`].
    ///
    /// # Errors
    ///
    /// As [`Layout::index`].
    pub fn index(&self, indices: &[Index]) -> Result<Self> {
        Ok(ViewRef { layout: self.layout.index(indices)?, ..*self })
    }

    /// Axes in another order; see [`Layout::permute`].
    ///
    /// # Errors
    ///
    /// As [`Layout::permute`].
    pub fn permute(&self, axes: &[isize]) -> Result<Self> {
        Ok(ViewRef { layout: self.layout.permute(axes)?, ..*self })
    }

    /// Axes run backwards; see [`Layout::flip`].
    ///
    /// # Errors
    ///
    /// As [`Layout::flip`].
    pub fn flip(&self, axes: &[isize]) -> Result<Self> {
        Ok(ViewRef { layout: self.layout.flip(axes)?, ..*self })
    }

    /// A range of one axis; see [`Layout::narrow`].
    ///
    /// # Errors
    ///
    /// As [`Layout::narrow`].
    pub fn narrow(&self, axis: usize, start: usize, count: usize) -> Result<Self> {
        Ok(ViewRef { layout: self.layout.narrow(axis, start, count)?, ..*self })
    }

    /// Copies the elements' bytes to `destination`, in C order.
    ///
    /// # Errors
    ///
    /// [`Error::DestinationSize`] if `destination` is not [`nbytes`](Self::nbytes) long.
    pub fn read_into(&self, destination: &mut [u8]) -> Result<()> {
        self.read_counted(destination, &mut Meter::default())
    }

    /// As [`read_into`](Self::read_into), into uninitialised memory. After an error some of it is
    /// still uninitialised.
    ///
    /// # Errors
    ///
    /// As [`read_into`](Self::read_into).
    pub fn read_into_uninit(&self, destination: &mut [MaybeUninit<u8>]) -> Result<()> {
        if destination.len() != self.nbytes() {
            return Err(Error::DestinationSize { got: destination.len(), expected: self.nbytes() });
        }
        // SAFETY: `destination` is exclusive and `nbytes` long. It cannot overlap the source:
        // nothing forms a `&mut` over a view's memory.
        unsafe { self.copy_to(destination.as_mut_ptr().cast(), &mut Meter::default()) }
    }

    /// As [`read_into`](Self::read_into), as a part of a longer operation.
    pub(crate) fn read_counted(&self, destination: &mut [u8], meter: &mut Meter) -> Result<()> {
        if destination.len() != self.nbytes() {
            return Err(Error::DestinationSize { got: destination.len(), expected: self.nbytes() });
        }
        // SAFETY: `destination` is exclusive and `nbytes` long. It cannot overlap the source:
        // nothing forms a `&mut` over a view's memory.
        unsafe { self.copy_to(destination.as_mut_ptr(), meter) }
    }

    /// Copies the elements' bytes to `destination`, in C order.
    ///
    /// # Safety
    ///
    /// `destination` must be valid for [`nbytes`](Self::nbytes) bytes of writes and not overlap the
    /// elements.
    unsafe fn copy_to(&self, destination: *mut u8, meter: &mut Meter) -> Result<()> {
        let itemsize = self.dtype.itemsize();
        let packed = contiguous_strides(self.shape(), itemsize, Order::C);
        // SAFETY: the elements are readable by the invariant; packed they take the `nbytes` that
        // the caller guarantees.
        unsafe {
            transfer(
                self.shape(),
                (self.as_ptr(), self.strides()),
                (destination, &packed),
                itemsize,
                meter,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::watch::{INTERVAL, watched};

    fn counting(shape: &[isize]) -> View {
        let n = shape.iter().product::<isize>() as u16;
        View::from_vec((0..n).collect()).reshape(shape).unwrap()
    }

    #[test]
    fn a_view_of_a_view_points_into_the_same_memory() {
        let view = counting(&[4, 5]);
        let crop = view.index(&[s(1..3), s(2)]).unwrap();
        assert_eq!(crop.as_ptr() as usize - view.as_ptr() as usize, (5 + 2) * 2);
        assert_eq!(crop.to_vec::<u16>().unwrap(), [7, 12]);
    }

    #[test]
    fn memory_lives_as_long_as_the_last_view_on_it() {
        let crop = {
            let view = counting(&[100, 10]);
            view.index(&[s(99)]).unwrap()
        };
        assert_eq!(crop.to_vec::<u16>().unwrap(), (990..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_copy_holds_the_same_elements_packed_in_either_order() {
        let view = counting(&[2, 3, 4]).permute(&[2, 0, 1]).unwrap().flip(&[1]).unwrap();
        for order in [Order::C, Order::F] {
            let copy = view.copy(order).unwrap();
            assert!(copy.is_contiguous(order) && !copy.is_read_only());
            assert_eq!(copy.to_vec::<u16>().unwrap(), view.to_vec::<u16>().unwrap());
        }
    }

    #[test]
    fn rows_of_every_itemsize_copy_element_by_element() {
        for itemsize in 1..=24usize {
            let bytes: Vec<u8> = (0..itemsize as u8 * 6).collect();
            let dtype = DType::from_format(&format!("{itemsize}x"), itemsize).unwrap();
            let layout = Layout::contiguous(&[6], itemsize, Order::C).unwrap();
            let view = View::new(Buffer::from_vec(bytes.clone()), layout, dtype).unwrap();
            let odd = view.index(&[Index::Slice { start: None, stop: None, step: -2 }]).unwrap();
            let mut got = vec![0; odd.nbytes()];
            odd.read_into(&mut got).unwrap();
            let expected: Vec<u8> = [5, 3, 1]
                .iter()
                .flat_map(|&i| bytes[i * itemsize..][..itemsize].to_vec())
                .collect();
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn reading_as_another_dtype_or_into_another_size_is_refused() {
        let view = counting(&[3]);
        assert_eq!(
            view.to_vec::<f32>().unwrap_err().to_string(),
            "view has dtype uint16, expected float32"
        );
        assert_eq!(
            view.read_into(&mut [0; 5]).unwrap_err().to_string(),
            "destination has 5 bytes, expected 6"
        );
    }

    #[test]
    fn get_gives_each_element_and_none_for_other_indices_and_dtypes() {
        let view = counting(&[5]).flip(&[0]).unwrap();
        let got: Vec<Option<u16>> = (-6..6).map(|index| view.get(index)).collect();
        let expected: Vec<_> = view.to_vec::<u16>().unwrap().into_iter().map(Some).collect();
        assert_eq!(got, [&[None], &expected[..], &expected[..], &[None]].concat());
        assert_eq!(
            (view.get::<i16>(0), view.get::<u16>(isize::MIN), view.get::<u16>(isize::MAX)),
            (None, None, None)
        );
        assert_eq!(counting(&[5, 1]).get::<u16>(0), None);
        assert_eq!(counting(&[0]).get::<u16>(0), None);
    }

    #[test]
    fn a_view_is_no_wider_than_its_buffer() {
        let layout = Layout::contiguous(&[3], 4, Order::C).unwrap();
        let error = View::new(Buffer::from_vec(vec![0u8; 11]), layout, DType::F32).unwrap_err();
        assert_eq!(error.to_string(), "layout reaches bytes 0..12 of a buffer of 11 bytes");
    }

    #[test]
    fn rank_zero_views_hold_one_element() {
        let scalar = counting(&[3]).index(&[s(1)]).unwrap();
        assert_eq!((scalar.ndim(), scalar.len()), (0, 1));
        assert_eq!(scalar.to_vec::<u16>().unwrap(), [1]);
    }

    #[test]
    fn a_long_copy_ends_when_its_watch_interrupts_it() {
        let endless = View::from_vec(vec![0u8]).broadcast_to(&[1 << 30, 3]).unwrap();
        let started = Instant::now();
        let copy = watched(|| true, || endless.copy(Order::C));
        assert_eq!(copy.unwrap_err(), Error::Interrupted);
        assert!(started.elapsed() >= INTERVAL);
    }

    #[test]
    fn a_watch_that_says_no_changes_nothing() {
        let view = View::from_vec((0..200_000u32).collect::<Vec<_>>()).flip(&[0]).unwrap();
        let copy = watched(|| false, || view.copy(Order::C)).unwrap();
        assert_eq!(copy.equals(&view), Ok(Some(true)));
    }
}
