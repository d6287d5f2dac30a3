//! An image on its way through a program: where its pixels are, and what part of them, or beyond them, is in sight.
//!
//! Crops and flips only change where to look. A padded image is one that is looked at beyond its edges:
//!
//! ```text
//!             left < 0
//!          +---|----------+          Pad moves the window's corner out and its far corner too,
//!     top  |   +-------+  |          RandomCrop moves it in again,
//!     < 0  |   | image |  |          and only what is in sight at the end is ever made.
//!          |   +-------+  |
//!          +--------------+  window
//! ```

use ndlens_core::{DType, Layout, Order, ViewRef};
use ndlens_kernels::{self as kernels, Finish, Resize, Stores, ValueMap};

use super::{CHANNEL, Fill, HEIGHT, Padding, WIDTH};
use crate::error::Result;
use crate::scratch::{Block, Scratch};

/// Where the pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Item,
    Block(usize),
}

/// What is in sight, relative to the image's first pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    top: isize,
    left: isize,
    height: usize,
    width: usize,
}

/// An image of (height, width, ..), or an item of any shape that no image transform touches.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    item: ViewRef<'a>,
    place: Place,
    layout: Layout,
    dtype: DType,
    /// None where all of the image and nothing else is in sight.
    window: Option<(Window, &'a Fill)>,
    /// What the image is still to be resized to, and what part of that is in sight.
    resize: Option<Resized<'a>>,
}

/// An image that is made only when its last reader is known.
#[derive(Debug)]
struct Resized<'a> {
    resize: Resize,
    window: kernels::Window,
    /// Changes nothing, for those who want the resized image itself.
    unchanged: &'a ValueMap,
}

impl<'a> Frame<'a> {
    pub(super) fn new(item: ViewRef<'a>) -> Self {
        let (layout, dtype) = (item.layout().clone(), item.dtype().clone());
        Frame { item, place: Place::Item, layout, dtype, window: None, resize: None }
    }

    /// (height, width) of what is in sight.
    pub(super) fn size(&self) -> (usize, usize) {
        if let Some(Resized { window, .. }) = &self.resize {
            return (window.height, window.width);
        }
        let size = (self.layout.shape()[HEIGHT], self.layout.shape()[WIDTH]);
        self.window.map_or(size, |(window, _)| (window.height, window.width))
    }

    /// The shape of the image, of which all is in sight.
    pub(super) fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// The channels of a pixel.
    pub(super) fn channels(&self) -> usize {
        self.layout.shape().get(CHANNEL).copied().unwrap_or(1)
    }

    /// Keeps a rectangle of what is in sight.
    pub(super) fn crop(&mut self, top: usize, left: usize, height: usize, width: usize) -> Result<()> {
        if let Some(Resized { window, .. }) = &mut self.resize {
            let from =
                |flipped, start, count, size: usize| if flipped { size - count - start } else { start };
            window.top += from(window.flip_vertical, top, height, window.height);
            window.left += from(window.flip_horizontal, left, width, window.width);
            (window.height, window.width) = (height, width);
            return Ok(());
        }
        let Some((window, fill)) = self.window else {
            self.layout = self.layout.narrow(HEIGHT, top, height)?.narrow(WIDTH, left, width)?;
            return Ok(());
        };
        let window =
            Window { top: window.top + top as isize, left: window.left + left as isize, height, width };
        self.look_through(window, fill)
    }

    /// Looks beyond the edges: so many pixels to the left, top, right and bottom.
    pub(super) fn pad(&mut self, sides: [usize; 4], fill: &'a Fill, scratch: &mut Scratch) -> Result<()> {
        if sides == [0; 4] {
            return Ok(());
        }
        // What is beyond the edges already is of another fill.
        self.settle(scratch)?;
        let (height, width) = self.size();
        let [left, top, right, bottom] = sides;
        let window = Window {
            top: -(top as isize),
            left: -(left as isize),
            height: height + top + bottom,
            width: width + left + right,
        };
        self.look_through(window, fill)
    }

    fn look_through(&mut self, window: Window, fill: &'a Fill) -> Result<()> {
        let within = |start: isize, count: usize, size: usize| {
            start >= 0 && (start as usize).checked_add(count).is_some_and(|end| end <= size)
        };
        let (height, width) = (self.layout.shape()[HEIGHT], self.layout.shape()[WIDTH]);
        self.window = Some((window, fill));
        if within(window.top, window.height, height) && within(window.left, window.width, width) {
            self.window = None;
            self.crop(window.top as usize, window.left as usize, window.height, window.width)?;
        }
        Ok(())
    }

    /// Exchanges the ends of an axis.
    pub(super) fn flip(&mut self, axis: usize) -> Result<()> {
        if let Some(Resized { window, .. }) = &mut self.resize {
            let flipped =
                if axis == HEIGHT { &mut window.flip_vertical } else { &mut window.flip_horizontal };
            *flipped = !*flipped;
            return Ok(());
        }
        let size = self.layout.shape()[axis] as isize;
        self.layout = self.layout.flip(&[axis as isize])?;
        if let Some((window, _)) = &mut self.window {
            if axis == HEIGHT {
                window.top = size - (window.top + window.height as isize);
            } else {
                window.left = size - (window.left + window.width as isize);
            }
        }
        Ok(())
    }

    /// Turns by 90 degrees, counter-clockwise: the right edge becomes the top.
    pub(super) fn turn(&mut self, scratch: &mut Scratch) -> Result<()> {
        self.settle_resize(scratch)?;
        self.flip(WIDTH)?;
        self.layout = self.layout.swapaxes(HEIGHT as isize, WIDTH as isize)?;
        if let Some((window, _)) = &mut self.window {
            *window =
                Window { top: window.left, left: window.top, height: window.width, width: window.height };
        }
        Ok(())
    }

    /// Resizes, once somebody wants the pixels.
    pub(super) fn resize(
        &mut self,
        resize: Resize,
        unchanged: &'a ValueMap,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.settle(scratch)?;
        let window = resize.whole();
        self.resize = Some(Resized { resize, window, unchanged });
        Ok(())
    }

    fn settle_resize(&mut self, scratch: &mut Scratch) -> Result<()> {
        let Some(Resized { resize, window, unchanged }) = self.resize.take() else { return Ok(()) };
        let mut shape = self.layout.shape().to_vec();
        (shape[HEIGHT], shape[WIDTH]) = (window.height, window.width);
        // Apart from the blocks, of which one is read and one written.
        let mut weights = std::mem::take(&mut scratch.resize);
        let finish = Finish { window, map: unchanged, channels_first: false, stores: Stores::Cached };
        let made = self.rewrite(scratch, &shape, self.dtype.clone(), |image, out| {
            Ok(resize.apply(&image, &finish, out, &mut weights)?)
        });
        scratch.resize = weights;
        made
    }

    /// Writes what `map` makes of the image to `destination`, packed; with the channels first if said so.
    pub(super) fn finish(
        mut self,
        map: &ValueMap,
        channel_axis: Option<usize>,
        axes: Option<&[isize]>,
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if let Some(Resized { resize, window, .. }) = self.resize.take() {
            let mut weights = std::mem::take(&mut scratch.resize);
            let finish = Finish { window, map, channels_first: axes.is_some(), stores };
            let made = self
                .view(scratch)
                .and_then(|image| Ok(resize.apply(&image, &finish, destination, &mut weights)?));
            scratch.resize = weights;
            return made;
        }
        self.settle(scratch)?;
        let image = self.view(scratch)?;
        let image = axes.map_or(Ok(image.clone()), |axes| image.permute(axes))?;
        Ok(map.apply(&image, channel_axis, destination, stores)?)
    }

    /// Makes what is not made yet: a resized image, what is in sight beyond the edges.
    pub(super) fn settle(&mut self, scratch: &mut Scratch) -> Result<()> {
        self.settle_resize(scratch)?;
        let Some((window, fill)) = self.window.take() else { return Ok(()) };
        let mut shape = self.layout.shape().to_vec();
        (shape[HEIGHT], shape[WIDTH]) = (window.height, window.width);
        self.rewrite(scratch, &shape, self.dtype.clone(), |view, out| {
            look_beyond(&view, window, fill, out)?;
            Ok(())
        })
    }

    /// Writes an image anew: `write` reads the old one and writes all bytes of the new one, packed in C order.
    pub(super) fn rewrite(
        &mut self,
        scratch: &mut Scratch,
        shape: &[usize],
        dtype: DType,
        write: impl FnOnce(ViewRef<'_>, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let layout = Layout::contiguous(shape, dtype.itemsize(), Order::C)?;
        let nbytes = layout.len() * dtype.itemsize();
        let [first, second] = &mut scratch.blocks;
        let (read, write_to, at) = match self.place {
            Place::Block(0) => (&*first, second, 1),
            _ => (&*second, first, 0),
        };
        write(self.view_in(read)?, write_to.bytes_mut(nbytes)?)?;
        (self.place, self.layout, self.dtype) = (Place::Block(at), layout, dtype);
        Ok(())
    }

    /// Changes an image where it stands, packed in C order; copies it first where it is somebody else's.
    pub(super) fn change(
        &mut self,
        scratch: &mut Scratch,
        change: impl FnOnce(&[usize], &DType, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        self.settle(scratch)?;
        let packed = self.layout.is_contiguous(self.dtype.itemsize(), Order::C) && self.layout.offset() == 0;
        if self.place == Place::Item || !packed {
            let shape = self.layout.shape().to_vec();
            self.rewrite(scratch, &shape, self.dtype.clone(), |view, out| Ok(view.read_into(out)?))?;
        }
        let Place::Block(at) = self.place else { return Ok(()) };
        let nbytes = self.layout.len() * self.dtype.itemsize();
        change(self.layout.shape(), &self.dtype, scratch.blocks[at].bytes_mut(nbytes)?)
    }

    /// The image, of which all is in sight.
    fn view<'s>(&'s self, scratch: &'s Scratch) -> Result<ViewRef<'s>> {
        debug_assert!(self.window.is_none(), "what is beyond the edges is made before an image is read");
        match self.place {
            Place::Block(at) => self.view_in(&scratch.blocks[at]),
            Place::Item => self.view_in(&scratch.blocks[0]),
        }
    }

    /// `block` is what the image stands in, unless that is the item.
    fn view_in<'s>(&'s self, block: &'s Block) -> Result<ViewRef<'s>> {
        match self.place {
            Place::Item => Ok(ViewRef::new(self.item.buffer(), self.layout.clone(), &self.dtype)?),
            Place::Block(_) => block.view(self.layout.clone(), &self.dtype),
        }
    }
}

/// Reads a window of an image that reaches beyond its edges.
fn look_beyond(image: &ViewRef<'_>, window: Window, fill: &Fill, out: &mut [u8]) -> Result<()> {
    let (height, width) = (image.shape()[HEIGHT], image.shape()[WIDTH]);
    let pixel_bytes = image.shape()[2..].iter().product::<usize>() * image.dtype().itemsize();
    let row_bytes = window.width * pixel_bytes;
    if out.is_empty() {
        return Ok(());
    }
    // The columns that are the image's own come in one piece, those beyond one by one.
    let own_start = (-window.left).clamp(0, window.width as isize) as usize;
    let own_end = (width as isize - window.left).clamp(own_start as isize, window.width as isize) as usize;
    for (y, row) in out.chunks_exact_mut(row_bytes).enumerate() {
        let Some(from) = fill.mode.source(window.top + y as isize, height) else {
            fill_pixels(row, &fill.pixel);
            continue;
        };
        let source = image.narrow(HEIGHT, from, 1)?;
        if own_end > own_start {
            let first = (window.left + own_start as isize) as usize;
            let own = &mut row[own_start * pixel_bytes..own_end * pixel_bytes];
            source.narrow(WIDTH, first, own_end - own_start)?.read_into(own)?;
        }
        for x in (0..own_start).chain(own_end..window.width) {
            let pixel = &mut row[x * pixel_bytes..(x + 1) * pixel_bytes];
            match fill.mode.source(window.left + x as isize, width) {
                Some(from) => source.narrow(WIDTH, from, 1)?.read_into(pixel)?,
                None => fill_pixels(pixel, &fill.pixel),
            }
        }
    }
    Ok(())
}

fn fill_pixels(pixels: &mut [u8], pixel: &[u8]) {
    pixels.chunks_exact_mut(pixel.len().max(1)).for_each(|to| to.copy_from_slice(pixel));
}

impl Padding {
    /// Which of `size` places a place on or beyond the edges shows; None where it shows the fill.
    fn source(self, at: isize, size: usize) -> Option<usize> {
        let size = size as isize;
        let inside = (0..size).contains(&at);
        let place = match self {
            _ if inside => at,
            Padding::Constant => return None,
            Padding::Edge => at.clamp(0, size - 1),
            Padding::Reflect if size == 1 => 0,
            Padding::Reflect => {
                let at = at.rem_euclid(2 * (size - 1));
                if at < size { at } else { 2 * (size - 1) - at }
            }
            Padding::Symmetric => {
                let at = at.rem_euclid(2 * size);
                if at < size { at } else { 2 * size - 1 - at }
            }
        };
        Some(place as usize)
    }
}
