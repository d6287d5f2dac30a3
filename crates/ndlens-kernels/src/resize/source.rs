//! Rows of a source of any strides: bytes are split into one plane for each channel, floats are
//! adjacent in columns.
//!
//! So the horizontal filters have one kind of row, for any number and strides of channels. No other
//! file touches source memory.

#![expect(unsafe_code, reason = "reads pixels through raw pointers; see UNSAFE.md")]

use std::marker::PhantomData;
use std::ops::Range;

use ndlens_core::{Layout, ViewRef};

use crate::error::Result;
use crate::pixels::PixelRow;
use crate::resize::floats::columns::{Column, LANES};
use crate::simd::level::Level;
use crate::simd::stores::prefetch;

/// The places of the pixels of an image.
///
/// # Invariants
///
/// 1. Pixel (y, x) of channel c is a readable element, `itemsize` bytes at
///    `first + y * row + x * pixel + c * channel`, for all of the image.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceImage<'a> {
    memory: PhantomData<&'a [u8]>,
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

impl<'a> SourceImage<'a> {
    /// The pixels of a view of shape (h, w) or (h, w, channels).
    pub(crate) fn new(view: &'a ViewRef<'a>) -> Self {
        SourceImage::at(view.as_ptr(), view.layout(), view.dtype().itemsize())
    }

    /// The pixels of a layout of shape (h, w) or (h, w, channels) on bytes.
    ///
    /// # Errors
    ///
    /// [`Error::View`](crate::Error::View) if the layout reaches beyond the bytes.
    pub(crate) fn of_bytes(bytes: &'a [u8], layout: &Layout) -> Result<Self> {
        let (shape, strides, offset) = (layout.shape(), layout.strides(), layout.offset());
        let layout = Layout::new(shape, strides, offset, 1, bytes.len())?;
        Ok(SourceImage::at(bytes.as_ptr().wrapping_add(offset), &layout, 1))
    }

    /// The pixels of a layout whose first element is `first`; all of its elements are readable.
    fn at(first: *const u8, layout: &Layout, itemsize: usize) -> Self {
        let (shape, strides) = (layout.shape(), layout.strides());
        let channels = shape.get(2).copied().unwrap_or(1);
        let channel = if channels == 1 { itemsize as isize } else { strides[2] };
        let (height, width) = (shape[0], shape[1]);
        let mut source = SourceImage {
            memory: PhantomData,
            first,
            height,
            width,
            channels,
            itemsize,
            row: strides[0],
            // The stride of a single pixel has no meaning.
            pixel: if width == 1 { (channels * itemsize) as isize } else { strides[1] },
            channel,
            mirrored: false,
        };
        // Planes of bytes are read forwards; the taps account for reversed pixels.
        if itemsize == 1 && channel == 1 && source.pixel == -(channels as isize) {
            source.first = source.first.wrapping_offset(source.pixel * (width as isize - 1));
            source.pixel = -source.pixel;
            source.mirrored = true;
        }
        source
    }

    /// Splits row `y` into planes of bytes, `plane` bytes apart. The bytes between them may be
    /// overwritten.
    ///
    /// # Panics
    ///
    /// As [`PixelRow::split`], and if there is no such row. The elements must be bytes.
    pub(crate) fn split(&self, level: Level, y: usize, planes: &mut [u8], plane: usize) {
        assert!(self.itemsize == 1 && y < self.height);
        let row = PixelRow {
            from: self.first.wrapping_offset(self.row * y as isize),
            width: self.width,
            channels: self.channels,
            pixel: self.pixel,
            channel: self.channel,
            row_stride: self.row,
        };
        // SAFETY: by invariant 1 every channel of the row's pixels is a readable byte.
        unsafe { row.split(level, planes, plane) };
    }

    /// Reads channels of row `y`, of `float32` elements, into lanes of columns from `lane` on, one
    /// column for each pixel. The lanes beyond them, up to a power of two, have unspecified values.
    ///
    /// # Panics
    ///
    /// If there are fewer columns, lanes, channels or rows. The elements must be
    /// `float32`.
    pub(crate) fn read_columns(
        &self,
        y: usize,
        channels: Range<usize>,
        lane: usize,
        columns: &mut [Column],
    ) {
        assert!(self.itemsize == size_of::<f32>() && y < self.height);
        assert!(columns.len() == self.width && channels.end <= self.channels);
        let first = self.channel.wrapping_mul(channels.start as isize);
        let from = self.first.wrapping_offset(self.row * y as isize).wrapping_offset(first);
        let side_by_side = self.channel == size_of::<f32>() as isize;
        let stride = self.pixel;
        // Rows further down, which share no columns with these, are prefetched meanwhile.
        let ahead =
            self.row.wrapping_mul((LANES / channels.len().next_power_of_two().min(LANES)) as isize);
        let next = from.wrapping_offset(stride * (self.width as isize - 1));
        // SAFETY: by invariant 1 the `N` channels from the first requested one on are elements of
        // every pixel, and adjacent if `side_by_side` is true. So is the first channel of the next
        // pixel, the only float that is read beyond three.
        unsafe {
            match channels.len() {
                1 => return read_pixels::<1>(from, stride, ahead, lane, columns),
                2 if side_by_side => return read_pixels::<2>(from, stride, ahead, lane, columns),
                3 if side_by_side
                    && self.channels == 3
                    && stride == 3 * size_of::<f32>() as isize =>
                {
                    if let Some((last, columns)) = columns.split_last_mut() {
                        read_pixels::<4>(from, stride, ahead, lane, columns);
                        read_pixels::<3>(next, stride, ahead, lane, std::slice::from_mut(last));
                    }
                    return;
                }
                4 if side_by_side => return read_pixels::<4>(from, stride, ahead, lane, columns),
                _ => {}
            }
        }
        for i in 0..channels.len() {
            let from = from.wrapping_offset(self.channel * i as isize);
            // SAFETY: as above, for one channel.
            unsafe { read_pixels::<1>(from, stride, ahead, lane + i, columns) };
        }
    }
}

/// Reads `N` floats of each pixel into as many lanes, and prefetches those `ahead` bytes further.
///
/// # Safety
///
/// They must be readable at `from` and at multiples of `stride` bytes from there, as often as there
/// are columns; `ahead` may be anything.
unsafe fn read_pixels<const N: usize>(
    from: *const u8,
    stride: isize,
    ahead: isize,
    lane: usize,
    columns: &mut [Column],
) {
    /// Pixels of up to four floats that are not longer than a line of the cache.
    const PIXELS: usize = 4;
    assert!(lane + N <= LANES);
    for (i, columns) in columns.chunks_mut(PIXELS).enumerate() {
        let from = from.wrapping_offset(stride * (i * PIXELS) as isize);
        prefetch(from.wrapping_offset(ahead));
        for (x, column) in columns.iter_mut().enumerate() {
            // SAFETY: the caller guarantees the floats; they need not be aligned.
            let pixel: [f32; N] = unsafe {
                from.wrapping_offset(stride * x as isize).cast::<[f32; N]>().read_unaligned()
            };
            column[lane..lane + N].copy_from_slice(&pixel);
        }
    }
}
