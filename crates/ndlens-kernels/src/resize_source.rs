//! Rows of a source of any strides, split into one plane for each channel.
//!
//! The horizontal filter then knows one kind of row only, whatever the number of channels and wherever they lie. Source
//! memory is touched nowhere else.

#![expect(unsafe_code, reason = "reads pixels through raw pointers; see UNSAFE.md")]

use std::marker::PhantomData;
use std::ptr;

use ndlens_core::ViewRef;

use crate::cpu::Isa;
#[cfg(target_arch = "x86_64")]
use crate::resize_split;

/// Where the pixels of an image are.
///
/// # Invariants
///
/// 1. Pixel (y, x) of channel c is a readable element, `itemsize` bytes at `first + y * row + x * pixel + c * channel`,
///    for all of the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    view: PhantomData<&'a ViewRef<'a>>,
    first: *const u8,
    pub(crate) height: usize,
    pub(crate) width: usize,
    channels: usize,
    itemsize: usize,
    row: isize,
    pixel: isize,
    channel: isize,
    /// Whether `first` is the last pixel of a row, and pixels are numbered from there.
    pub(crate) mirrored: bool,
}

impl<'a> Source<'a> {
    /// The pixels of a view of shape (h, w) or (h, w, channels).
    pub(crate) fn new(view: &'a ViewRef<'a>) -> Self {
        let (shape, strides) = (view.shape(), view.strides());
        let itemsize = view.dtype().itemsize();
        let channels = shape.get(2).copied().unwrap_or(1);
        let channel = if channels == 1 { itemsize as isize } else { strides[2] };
        let (height, width) = (shape[0], shape[1]);
        let mut source = Source {
            view: PhantomData,
            first: view.as_ptr(),
            height,
            width,
            channels,
            itemsize,
            row: strides[0],
            // The stride of one pixel means nothing.
            pixel: if width == 1 { (channels * itemsize) as isize } else { strides[1] },
            channel,
            mirrored: false,
        };
        // Planes of bytes are read forwards; that the pixels run backwards is a matter of taps.
        if itemsize == 1 && channel == 1 && source.pixel == -(channels as isize) {
            source.first = source.first.wrapping_offset(source.pixel * (width as isize - 1));
            source.pixel = -source.pixel;
            source.mirrored = true;
        }
        source
    }

    /// Splits row `y` into planes of bytes, `plane` bytes apart. Between them anything may be written.
    ///
    /// # Panics
    ///
    /// Where `planes` is not `plane` bytes for each channel, or these are fewer than the width, rounded up to a multiple of
    /// 64. The elements must be bytes.
    pub(crate) fn split(&self, isa: Isa, y: usize, planes: &mut [u8], plane: usize) {
        assert!(self.itemsize == 1 && y < self.height);
        assert!(planes.len() == plane * self.channels && plane >= self.width.next_multiple_of(64));
        let from = self.first.wrapping_offset(self.row * y as isize);
        if self.pixel == 1 {
            for (channel, to) in planes.chunks_exact_mut(plane).enumerate() {
                let from = from.wrapping_offset(self.channel * channel as isize);
                // SAFETY: by invariant 1 these are the bytes of a row; the plane is exclusive and as long.
                unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), self.width) };
            }
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if self.channel == 1
            && self.pixel == self.channels as isize
            && let Some(split) = resize_split::split(isa, self.channels)
        {
            // Rows further down are fetched meanwhile: a row of a crop is too short for the processor to notice.
            let ahead = self.row.wrapping_mul(4);
            // SAFETY: `Isa` says that the machine has the instructions. By invariant 1 the row is `width` pixels of
            // `channels` bytes side by side, and readable; the planes were just measured.
            unsafe { split(from, self.width, ahead, planes.as_mut_ptr(), plane) };
            return;
        }
        let _ = isa;
        for (channel, to) in planes.chunks_exact_mut(plane).enumerate() {
            let from = from.wrapping_offset(self.channel * channel as isize);
            for (x, to) in to[..self.width].iter_mut().enumerate() {
                // SAFETY: by invariant 1 this is a byte of the row.
                *to = unsafe { from.wrapping_offset(self.pixel * x as isize).read() };
            }
        }
    }

    /// Reads row `y` of `float32` elements as planes of `width` floats each.
    ///
    /// # Panics
    ///
    /// Where `planes` has another length. The elements must be `float32`.
    pub(crate) fn split_floats(&self, y: usize, planes: &mut [f32]) {
        assert!(self.itemsize == size_of::<f32>() && y < self.height);
        assert!(planes.len() == self.width * self.channels);
        let from = self.first.wrapping_offset(self.row * y as isize);
        for (channel, to) in planes.chunks_exact_mut(self.width).enumerate() {
            let from = from.wrapping_offset(self.channel * channel as isize);
            for (x, to) in to.iter_mut().enumerate() {
                let from = from.wrapping_offset(self.pixel * x as isize);
                // SAFETY: by invariant 1 this is an element of the row; it need not be aligned.
                *to = unsafe { ptr::read_unaligned(from.cast()) };
            }
        }
    }
}
