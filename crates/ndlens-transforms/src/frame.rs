//! An image in a pipeline: the place of its pixels, and the visible part of the image and of its
//! padding.
//!
//! Crops and flips only move the window through which the image is seen. The window of a padded
//! image reaches beyond its edges:
//!
//! ```text
//!             left < 0
//!          +---|----------+          Pad moves the window's corner out and its far corner too,
//!     top  |   +-------+  |          RandomCrop moves it in again,
//!     < 0  |   | image |  |          and only the pixels visible at the end are made.
//!          |   +-------+  |
//!          +--------------+  window
//! ```
//!
//! A padded image that is padded again is seen through two windows, and so on. Each visible place
//! is followed through the windows, from the outermost to the image, or to the fill of the first
//! window whose source it is outside of. So an intermediate image, however large, is never made.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use ndlens_core::room::with_room_for;
use ndlens_core::{Buffer, DType, Layout, Order, ViewRef};
use ndlens_kernels::{self as kernels, ResizeOutput, Resizer, Stores, ValueMap};
use smallvec::SmallVec;

use crate::error::{Error, Result};
use crate::fill::Fill;
use crate::lazy::{LazyImage, shown_layout, visible};
use crate::packed::Packed;
use crate::params::Rectangle;
use crate::scratch::{Scratch, ScratchBlock};
use crate::size::{CHANNEL, HEIGHT, Size, WIDTH};

/// The memory of an image.
enum Base<'a> {
    /// An item, which is only read.
    Item(ViewRef<'a>),
    /// An item whose pixels are made when they are read.
    Lazy(&'a mut (dyn LazyImage + 'a)),
    /// The output item, in its place in the batch.
    Written { bytes: &'a mut [u8], channels_first: bool },
}

impl fmt::Debug for Base<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base::Item(item) => f.debug_tuple("Item").field(item).finish(),
            Base::Lazy(image) => f.debug_tuple("Lazy").field(&image.stored_shape()).finish(),
            Base::Written { channels_first, .. } => f
                .debug_struct("Written")
                .field("channels_first", channels_first)
                .finish_non_exhaustive(),
        }
    }
}

/// The memory of the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Base,
    Block(usize),
}

/// The visible part of the image or window beneath, relative to its first pixel.
#[derive(Debug, Clone)]
struct FrameWindow<'a> {
    top: isize,
    left: isize,
    height: usize,
    width: usize,
    beneath: Size,
    /// The fill beyond the edges of the image beneath.
    fill: Cow<'a, Fill>,
}

impl FrameWindow<'_> {
    /// The start and the length of the window along an axis, and the size of the image beneath.
    fn along(&self, axis: usize) -> (isize, usize, usize) {
        if axis == HEIGHT {
            (self.top, self.height, self.beneath.height)
        } else {
            (self.left, self.width, self.beneath.width)
        }
    }

    /// Whether the window has no padding.
    fn is_within(&self) -> bool {
        [HEIGHT, WIDTH].into_iter().all(|axis| {
            let (start, count, size) = self.along(axis);
            start >= 0 && (start as usize).checked_add(count).is_some_and(|end| end <= size)
        })
    }
}

/// The source of a visible place along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// This place of the image.
    Image(usize),
    /// The fill of this window.
    Fill(usize),
}

/// An image of (height, width, ..) in a pipeline, or an item of any shape that no image transform
/// touches.
#[derive(Debug)]
pub struct Frame<'a> {
    base: Base<'a>,
    place: Place,
    layout: Layout,
    dtype: DType,
    /// A resize that is not done yet, and the visible part of its result.
    resize: Option<Resized<'a>>,
    /// The windows through which the image is seen, the innermost first; none if exactly the image
    /// is visible.
    windows: SmallVec<[FrameWindow<'a>; 1]>,
}

/// A resize that is done when the reader of its result is known.
#[derive(Debug)]
struct Resized<'a> {
    resize: Resizer,
    window: kernels::ResizeWindow,
    /// Maps each value to itself, for readers of the resized image itself.
    unchanged: &'a ValueMap,
}

impl<'a> Frame<'a> {
    pub(crate) fn new(item: ViewRef<'a>) -> Self {
        let (layout, dtype) = (item.layout().clone(), item.dtype().clone());
        Frame::of(Base::Item(item), layout, dtype)
    }

    /// An item whose pixels are made when they are read.
    pub(crate) fn lazy(image: &'a mut (dyn LazyImage + 'a)) -> Result<Self> {
        let (layout, dtype) = (shown_layout(image)?, image.dtype().clone());
        Ok(Frame::of(Base::Lazy(image), layout, dtype))
    }

    /// An output item, written in C order, of this shape with the channels last.
    pub(crate) fn written(
        bytes: &'a mut [u8],
        shape: &[usize],
        dtype: &DType,
        channels_first: bool,
    ) -> Result<Self> {
        let layout = Layout::contiguous(shape, dtype.itemsize(), Order::C)?;
        Ok(Frame::of(Base::Written { bytes, channels_first }, layout, dtype.clone()))
    }

    fn of(base: Base<'a>, layout: Layout, dtype: DType) -> Self {
        Frame { base, place: Place::Base, layout, dtype, resize: None, windows: SmallVec::new() }
    }

    /// Checks that pixels may move: pixels in the batch may not.
    fn movable(&self) -> Result<()> {
        match self.base {
            Base::Item(_) | Base::Lazy(_) => Ok(()),
            Base::Written { .. } => Err(Error::NotInPlace),
        }
    }

    /// Whether no pixel of the image is made yet.
    fn is_unmade(&self) -> bool {
        self.place == Place::Base && matches!(self.base, Base::Lazy(_))
    }

    /// Makes the pixels that are visible, if they are not there.
    fn make(&mut self, scratch: &mut Scratch) -> Result<()> {
        if self.place != Place::Base {
            return Ok(());
        }
        let Base::Lazy(image) = &mut self.base else { return Ok(()) };
        let itemsize = self.dtype.itemsize();
        let (rectangle, layout) = visible(&self.layout, image.stored_shape(), itemsize)?;
        let nbytes = layout.len() * itemsize;
        let out = scratch.blocks[0].bytes_mut(nbytes)?;
        if nbytes > 0 {
            image.read(rectangle, out)?;
        }
        (self.place, self.layout) = (Place::Block(0), layout);
        Ok(())
    }

    /// Makes the pixels that are visible at `out`, if they are not there yet and need no change:
    /// whether it did.
    fn make_at(&mut self, out: &mut [u8]) -> Result<bool> {
        let Base::Lazy(image) = &mut self.base else { return Ok(false) };
        let itemsize = self.dtype.itemsize();
        let (rectangle, layout) = visible(&self.layout, image.stored_shape(), itemsize)?;
        let nbytes = layout.len() * itemsize;
        let as_stored = layout.is_contiguous(itemsize, Order::C) && layout.offset() == 0;
        if !as_stored || nbytes == 0 || nbytes != out.len() {
            return Ok(false);
        }
        image.read(rectangle, out)?;
        Ok(true)
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// The size of the visible image.
    pub fn size(&self) -> Size {
        match (self.windows.last(), &self.resize) {
            (Some(&FrameWindow { height, width, .. }), _) => Size { height, width },
            (None, Some(Resized { window, .. })) => {
                Size { height: window.height, width: window.width }
            }
            (None, None) => Size::of(self.layout.shape()),
        }
    }

    /// The number of channels of a pixel.
    pub fn channels(&self) -> usize {
        self.layout.shape().get(CHANNEL).copied().unwrap_or(1)
    }

    /// Keeps a rectangle of the visible image, which must contain it.
    ///
    /// # Errors
    ///
    /// [`Error::NotInPlace`], [`Error::Core`].
    pub fn crop(&mut self, rectangle: Rectangle) -> Result<()> {
        self.movable()?;
        let Rectangle { mut top, mut left, height, width } = rectangle;
        while let Some(window) = self.windows.last_mut() {
            (window.top, window.left) = (window.top + top as isize, window.left + left as isize);
            (window.height, window.width) = (height, width);
            if !window.is_within() {
                return Ok(());
            }
            // The visible image is a rectangle of the image beneath.
            (top, left) = (window.top as usize, window.left as usize);
            self.windows.pop();
        }
        if let Some(Resized { window, .. }) = &mut self.resize {
            let from = |flipped, start, count, size: usize| {
                if flipped { size - count - start } else { start }
            };
            window.top += from(window.flip_vertical, top, height, window.height);
            window.left += from(window.flip_horizontal, left, width, window.width);
            (window.height, window.width) = (height, width);
        } else {
            self.layout = self.layout.narrow(HEIGHT, top, height)?.narrow(WIDTH, left, width)?;
        }
        Ok(())
    }

    /// Adds padding: pixels to the left, top, right and bottom. `fill` must be
    /// [prepared](crate::Input::prepare).
    ///
    /// # Errors
    ///
    /// [`Error::NotInPlace`]; [`Error::Core`] if the size does not fit the address space.
    pub fn pad(&mut self, sides: [usize; 4], fill: &'a Fill) -> Result<()> {
        self.movable()?;
        if sides == [0; 4] {
            return Ok(());
        }
        let beneath = self.size();
        let Size { height, width } = beneath.padded(sides).addressable(&self.dtype)?;
        let [left, top, ..] = sides.map(|side| side as isize);
        let fill = Cow::Borrowed(fill);
        self.windows.push(FrameWindow { top: -top, left: -left, height, width, beneath, fill });
        Ok(())
    }

    /// Flips an axis: 0 is the height, 1 the width.
    ///
    /// # Errors
    ///
    /// [`Error::NotInPlace`], [`Error::Core`].
    pub fn flip(&mut self, axis: usize) -> Result<()> {
        self.movable()?;
        for window in &mut self.windows {
            let (start, count, size) = window.along(axis);
            let flipped = size as isize - (start + count as isize);
            *(if axis == HEIGHT { &mut window.top } else { &mut window.left }) = flipped;
        }
        if let Some(Resized { window, .. }) = &mut self.resize {
            let flipped = if axis == HEIGHT {
                &mut window.flip_vertical
            } else {
                &mut window.flip_horizontal
            };
            *flipped = !*flipped;
        } else {
            self.layout = self.layout.flip(&[axis as isize])?;
        }
        Ok(())
    }

    /// Turns by 90 degrees, counter-clockwise: the right edge becomes the top.
    ///
    /// # Errors
    ///
    /// [`Error::NotInPlace`]; [`Error::Core`] and [`Error::Kernels`] if the image to turn cannot be
    /// made.
    pub fn turn(&mut self, scratch: &mut Scratch) -> Result<()> {
        self.settle_resize(scratch)?;
        self.flip(WIDTH)?;
        self.layout = self.layout.swapaxes(HEIGHT as isize, WIDTH as isize)?;
        for window in &mut self.windows {
            std::mem::swap(&mut window.top, &mut window.left);
            std::mem::swap(&mut window.height, &mut window.width);
            window.beneath = Size { height: window.beneath.width, width: window.beneath.height };
        }
        Ok(())
    }

    /// Resizes the image, once its pixels are read. `unchanged` maps each value to itself.
    ///
    /// # Errors
    ///
    /// [`Error::NotInPlace`]; [`Error::Core`] and [`Error::Kernels`] if the image to resize cannot
    /// be made.
    pub fn resize(
        &mut self,
        resize: Resizer,
        unchanged: &'a ValueMap,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.movable()?;
        self.settle(scratch)?;
        let window = resize.whole();
        self.resize = Some(Resized { resize, window, unchanged });
        Ok(())
    }

    fn settle_resize(&mut self, scratch: &mut Scratch) -> Result<()> {
        let Some(Resized { resize, window, unchanged }) = self.resize.take() else { return Ok(()) };
        let mut shape = self.layout.shape().to_vec();
        (shape[HEIGHT], shape[WIDTH]) = (window.height, window.width);
        if self.comes_in_strips(&resize) {
            let layout = Layout::contiguous(&shape, self.dtype.itemsize(), Order::C)?;
            let finish = ResizeOutput {
                window,
                map: unchanged,
                channels_first: false,
                stores: Stores::Cached,
            };
            let mut block = std::mem::take(&mut scratch.blocks[0]);
            let made = block
                .bytes_mut(layout.len() * self.dtype.itemsize())
                .and_then(|out| self.resize_strips(&resize, &finish, out, scratch));
            scratch.blocks[0] = block;
            made?;
            (self.place, self.layout) = (Place::Block(0), layout);
            return Ok(());
        }
        // The weights are taken out: the blocks of `scratch` are borrowed, one to read and one to
        // write.
        let mut weights = std::mem::take(&mut scratch.resize);
        let finish =
            ResizeOutput { window, map: unchanged, channels_first: false, stores: Stores::Cached };
        let made = self.rewrite(scratch, &shape, self.dtype.clone(), |image, out| {
            Ok(resize.apply(&image, &finish, out, &mut weights)?)
        });
        scratch.resize = weights;
        made
    }

    /// Writes the image, mapped by `map`, to `destination`, packed, with its axes in the order of
    /// `axes`.
    pub(crate) fn finish(
        mut self,
        map: &ValueMap,
        channel_axis: Option<usize>,
        axes: Option<&[isize]>,
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if !self.windows.is_empty() {
            self.settle(scratch)?;
        }
        let is_copied = self.resize.is_none() && axes.is_none() && map.steps().is_empty();
        if is_copied && self.is_unmade() && self.make_at(destination)? {
            return Ok(());
        }
        if let Some(Resized { resize, window, .. }) = self.resize.take() {
            let finish = ResizeOutput { window, map, channels_first: axes.is_some(), stores };
            if self.comes_in_strips(&resize) {
                return self.resize_strips(&resize, &finish, destination, scratch);
            }
            self.make(scratch)?;
            let mut weights = std::mem::take(&mut scratch.resize);
            let made = self
                .view(scratch)
                .and_then(|image| Ok(resize.apply(&image, &finish, destination, &mut weights)?));
            scratch.resize = weights;
            return made;
        }
        self.make(scratch)?;
        let image = self.view(scratch)?;
        let image = axes.map_or(Ok(image.clone()), |axes| image.permute(axes))?;
        Ok(map.apply(&image, channel_axis, destination, stores)?)
    }

    /// Whether the image can be resized while its pixels are made.
    fn comes_in_strips(&self, resize: &Resizer) -> bool {
        self.is_unmade() && *resize.dtype() == DType::U8
    }

    /// Resizes an image whose pixels are not made yet: only those that the window needs are made,
    /// and no more than a strip of rows at a time if they come in the order of the visible rows.
    /// The destination may be the first block of the scratch, taken out.
    fn resize_strips(
        &mut self,
        resize: &Resizer,
        output: &ResizeOutput<'_>,
        destination: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Base::Lazy(image) = &mut self.base else { return Err(Error::NotInPlace) };
        let Scratch { resize: weights, blocks, .. } = scratch;
        let Size { height, width } = Size::of(self.layout.shape());
        let mut strips = resize.strips(height, width, output, destination, weights)?;
        let [rows, columns] = strips.needed();
        let layout = self.layout.narrow(HEIGHT, rows.start, rows.len())?;
        let layout = layout.narrow(WIDTH, columns.start, columns.len())?;
        if layout.is_empty() {
            return Ok(());
        }
        let stored = image.stored_shape();
        let (rectangle, layout) = visible(&layout, stored, self.dtype.itemsize())?;
        let row_bytes = rectangle.width * stored[CHANNEL];
        if layout.strides()[HEIGHT] != row_bytes as isize || rows.len() != rectangle.height {
            let out = blocks[1].bytes_mut(layout.len())?;
            image.read(rectangle, out)?;
            return Ok(strips.push(out, &layout)?);
        }
        let mut resized = Ok(());
        image.read_strips(rectangle, &mut |bytes| {
            if resized.is_ok() {
                let mut shape: SmallVec<[usize; 3]> = layout.shape().into();
                shape[HEIGHT] = bytes.len() / row_bytes;
                let (strides, offset) = (layout.strides(), layout.offset());
                resized = Layout::new(&shape, strides, offset, 1, bytes.len())
                    .map_err(Error::from)
                    .and_then(|layout| Ok(strips.push(bytes, &layout)?));
            }
        })?;
        resized
    }

    /// Makes the parts of the image that are still pending: a resize, and visible padding.
    pub(crate) fn settle(&mut self, scratch: &mut Scratch) -> Result<()> {
        if self.windows.is_empty() {
            return self.settle_resize(scratch);
        }
        let windows = std::mem::take(&mut self.windows);
        let (mut rows, mut columns) = (follow(&windows, HEIGHT)?, follow(&windows, WIDTH)?);
        if self.resize.is_some() || self.is_unmade() {
            // Only the visible part of an image is made.
            let (own_rows, own_columns) = (own_part(&mut rows), own_part(&mut columns));
            self.crop(Rectangle {
                top: own_rows.start,
                left: own_columns.start,
                height: own_rows.len(),
                width: own_columns.len(),
            })?;
            self.settle_resize(scratch)?;
        }
        let mut shape = self.layout.shape().to_vec();
        (shape[HEIGHT], shape[WIDTH]) = (rows.len(), columns.len());
        self.rewrite(scratch, &shape, self.dtype.clone(), |image, out| {
            look_beyond(&image, &windows, &rows, &columns, out)
        })
    }

    /// Maps all values. If more pixels are visible than the image has, only the image and the fills
    /// are mapped, and the visible image is still not made.
    pub(crate) fn map(
        &mut self,
        map: &ValueMap,
        channel_axis: Option<usize>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let base = self.resize.as_ref().map_or(Size::of(self.layout.shape()), |resized| Size {
            height: resized.window.height,
            width: resized.window.width,
        });
        // A map that distinguishes elements by their place cannot map a fill.
        let by_place = matches!(channel_axis, Some(HEIGHT | WIDTH));
        if by_place || self.size().pixels() <= base.pixels() {
            self.settle(scratch)?;
        } else {
            self.settle_resize(scratch)?;
            let channels = self.channels();
            for window in self.windows.iter_mut().filter(|window| !window.fill.pixel.is_empty()) {
                let pixel = Buffer::from_vec(window.fill.pixel.clone());
                let layout =
                    Layout::contiguous(&[1, 1, channels], self.dtype.itemsize(), Order::C)?;
                let mut mapped = vec![0; channels * map.dtype().itemsize()];
                let pixel = ViewRef::new(&pixel, layout, &self.dtype)?;
                map.apply(&pixel, channel_axis, &mut mapped, Stores::Cached)?;
                window.fill =
                    Cow::Owned(Fill { mode: window.fill.mode, values: vec![], pixel: mapped });
            }
        }
        let shape = self.layout.shape().to_vec();
        self.rewrite(scratch, &shape, map.dtype().clone(), |image, out| {
            Ok(map.apply(&image, channel_axis, out, Stores::Cached)?)
        })
    }

    /// Makes another image: `write` reads the old one and writes all bytes of the new one, of this
    /// shape and dtype, packed in C order.
    ///
    /// # Errors
    ///
    /// [`Error::NotInPlace`]; [`Error::Core`] and [`Error::Kernels`] if an image cannot be made;
    /// those of `write`.
    pub fn replace(
        &mut self,
        scratch: &mut Scratch,
        shape: &[usize],
        dtype: DType,
        write: impl FnOnce(ViewRef<'_>, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        self.settle(scratch)?;
        self.rewrite(scratch, shape, dtype, write)
    }

    /// [`replace`](Self::replace), for an image that is visible as a whole.
    fn rewrite(
        &mut self,
        scratch: &mut Scratch,
        shape: &[usize],
        dtype: DType,
        write: impl FnOnce(ViewRef<'_>, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        self.make(scratch)?;
        let layout = Layout::contiguous(shape, dtype.itemsize(), Order::C)?;
        let nbytes = layout.len() * dtype.itemsize();
        let [first, second] = &mut scratch.blocks;
        let (read, write_to, at) = match self.place {
            Place::Block(0) => (&*first, second, 1),
            Place::Base | Place::Block(_) => (&*second, first, 0),
        };
        write(self.view_in(read)?, write_to.bytes_mut(nbytes)?)?;
        (self.place, self.layout, self.dtype) = (Place::Block(at), layout, dtype);
        Ok(())
    }

    /// Changes elements in place. The check of the transform must return
    /// [`Effect::InPlace`](crate::Effect::InPlace). An item is copied first.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] and [`Error::Kernels`] if the image cannot be made; those of `change`.
    pub fn change(
        &mut self,
        scratch: &mut Scratch,
        change: impl FnOnce(Packed<'_>) -> Result<()>,
    ) -> Result<()> {
        if let Base::Written { bytes, channels_first } = &mut self.base {
            let (shape, dtype) = (self.layout.shape(), &self.dtype);
            return change(Packed { bytes, shape, dtype, channels_first: *channels_first });
        }
        self.settle(scratch)?;
        self.make(scratch)?;
        let packed =
            self.layout.is_contiguous(self.dtype.itemsize(), Order::C) && self.layout.offset() == 0;
        if self.place == Place::Base || !packed {
            let shape = self.layout.shape().to_vec();
            self.rewrite(
                scratch,
                &shape,
                self.dtype.clone(),
                |view, out| Ok(view.read_into(out)?),
            )?;
        }
        let Place::Block(at) = self.place else { return Ok(()) };
        let nbytes = self.layout.len() * self.dtype.itemsize();
        let bytes = scratch.blocks[at].bytes_mut(nbytes)?;
        let (shape, dtype) = (self.layout.shape(), &self.dtype);
        change(Packed { bytes, shape, dtype, channels_first: false })
    }

    /// The image, which is visible as a whole.
    fn view<'s>(&'s self, scratch: &'s Scratch) -> Result<ViewRef<'s>> {
        debug_assert!(
            self.windows.is_empty(),
            "what is beyond the edges is made before an image is read"
        );
        match self.place {
            Place::Block(at) => self.view_in(&scratch.blocks[at]),
            Place::Base => self.view_in(&scratch.blocks[0]),
        }
    }

    /// The image; `block` is its memory, unless the image is the item.
    fn view_in<'s>(&'s self, block: &'s ScratchBlock) -> Result<ViewRef<'s>> {
        match (self.place, &self.base) {
            (Place::Base, Base::Item(item)) => {
                Ok(ViewRef::new(item.buffer(), self.layout.clone(), &self.dtype)?)
            }
            (Place::Base, Base::Lazy(_) | Base::Written { .. }) => Err(Error::NotInPlace),
            (Place::Block(_), _) => block.view(self.layout.clone(), &self.dtype),
        }
    }
}

/// The source of each place along an axis of the outermost window.
fn follow(windows: &[FrameWindow<'_>], axis: usize) -> Result<Vec<Seen>> {
    let Some((outermost, inner)) = windows.split_last() else { return Ok(vec![]) };
    let (start, count, _) = outermost.along(axis);
    let mut seen = with_room_for(count)?;
    seen.extend((0..count).map(|i| {
        let mut at = start + i as isize;
        for (number, window) in windows.iter().enumerate().rev() {
            let (_, _, size) = window.along(axis);
            let Some(place) = window.fill.mode.source(at, size) else { return Seen::Fill(number) };
            // Beneath is another window, or the image.
            at = place as isize + if number == 0 { 0 } else { inner[number - 1].along(axis).0 };
        }
        Seen::Image(at as usize)
    }));
    Ok(seen)
}

/// The visible part of an axis of the image. Places are then counted from its start.
fn own_part(seen: &mut [Seen]) -> Range<usize> {
    let own = |seen: &Seen| if let Seen::Image(at) = seen { Some(*at) } else { None };
    let places = || seen.iter().filter_map(own);
    // An image that is not visible keeps one place.
    let part = places().min().unwrap_or(0)..places().max().map_or(1, |last| last + 1);
    for seen in seen {
        if let Seen::Image(at) = seen {
            *at -= part.start;
        }
    }
    part
}

/// Writes the visible part of an image and its padding, through its windows.
fn look_beyond(
    image: &ViewRef<'_>,
    windows: &[FrameWindow<'_>],
    rows: &[Seen],
    columns: &[Seen],
    out: &mut [u8],
) -> Result<()> {
    let pixel_bytes = image.shape()[2..].iter().product::<usize>() * image.dtype().itemsize();
    if out.is_empty() {
        return Ok(());
    }
    // Places that are neighbours in the image too, or of one fill, are written in one piece.
    let pieces: Vec<&[Seen]> = columns
        .chunk_by(|a, b| match (a, b) {
            (Seen::Image(a), Seen::Image(b)) => a + 1 == *b,
            (a, b) => a == b,
        })
        .collect();
    for (row, line) in rows.iter().zip(out.chunks_exact_mut(columns.len() * pixel_bytes)) {
        let source = match *row {
            Seen::Image(at) => Some(image.narrow(HEIGHT, at, 1)?),
            Seen::Fill(_) => None,
        };
        let mut rest = line;
        for piece in &pieces {
            let (pixels, after) = rest.split_at_mut(piece.len() * pixel_bytes);
            rest = after;
            // If both the row and the column are in a fill, that of the outer window applies.
            let fill = match (*row, piece[0]) {
                (Seen::Fill(a), Seen::Fill(b)) => a.max(b),
                (Seen::Fill(number), _) | (_, Seen::Fill(number)) => number,
                (Seen::Image(_), Seen::Image(at)) => {
                    if let Some(source) = &source {
                        source.narrow(WIDTH, at, piece.len())?.read_into(pixels)?;
                    }
                    continue;
                }
            };
            fill_pixels(pixels, &windows[fill].fill.pixel);
        }
    }
    Ok(())
}

fn fill_pixels(pixels: &mut [u8], pixel: &[u8]) {
    pixels.chunks_exact_mut(pixel.len().max(1)).for_each(|to| to.copy_from_slice(pixel));
}
