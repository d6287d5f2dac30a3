//! Images of one size out of images of any size: the face of resizing.
//!
//! A random resized crop reads another box of each image and writes the same size every time. Done
//! by the book that is a crop, a horizontal pass into an intermediate image, a vertical pass into
//! another, a flip, a conversion and a reordering of axes. [`Resize`] does it in one pass: rows of
//! the source go through the horizontal filter into a ring of as many rows as the vertical filter
//! needs, and each row that the vertical filter makes goes at once through the value map to its
//! place in the destination.
//!
//! ```text
//!  source (h, w, c)                 ring of resized rows             destination
//!   row 4  RGBRGBRGB.. horizontal -> row 4  RR..GG..BB..  vertical
//!   row 5  RGBRGBRGB..            -> row 5  RR..GG..BB..  ------->   row 2 of R, of G, of B
//!   row 6  RGBRGBRGB..            -> row 6  RR..GG..BB..
//! ```

mod bytes;
mod floats;
mod nearest;
#[cfg(test)]
pub(crate) mod reference;
pub(crate) mod source;
pub(crate) mod taps;

use std::ops::Range;

use ndlens_core::{DType, ViewRef};

use crate::error::{Error, Result};
use crate::map::{Stores, ValueMap};
use crate::resize::bytes::Rows;
use crate::resize::floats::FloatRows;
use crate::resize::nearest::NearestRows;
use crate::resize::source::Source;
use crate::resize::taps::Taps;
use crate::simd::level::Isa;

/// From this size on, `f32` no longer tells positions apart.
const SIZE_LIMIT: usize = 1 << 24;

/// How values between pixels are found, with the meaning of torchvision's `InterpolationMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The pixel at or before the position: torch's `"nearest"`, which is a little off, as
    /// `OpenCV`'s is.
    Nearest,
    /// The pixel whose centre is nearest: torch's `"nearest-exact"`, and Pillow's.
    NearestExact,
    /// A line through two neighbours.
    Bilinear,
    /// A cubic through four neighbours; a = -0.5 with antialias, -0.75 without, as in torch.
    Bicubic,
}

impl Interpolation {
    /// By torchvision's name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "nearest" => Interpolation::Nearest,
            "nearest-exact" => Interpolation::NearestExact,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            _ => return None,
        })
    }

    /// torchvision's name.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::NearestExact => "nearest-exact",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
        }
    }

    /// Whether pixels are copied, of whatever dtype.
    fn copies(self) -> bool {
        matches!(self, Interpolation::Nearest | Interpolation::NearestExact)
    }
}

/// What a resized pixel is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Filter {
    /// How values between pixels are found.
    pub interpolation: Interpolation,
    /// Whether a smaller image takes all pixels into account, by a filter as much wider as the
    /// image gets smaller. It means nothing to the nearest pixel.
    pub antialias: bool,
}

/// The part of a resized image that is written, and in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// How many rows.
    pub height: usize,
    /// How many columns.
    pub width: usize,
    /// Whether the last row of the window is written first.
    pub flip_vertical: bool,
    /// Whether the last column of the window is written first.
    pub flip_horizontal: bool,
}

/// What becomes of resized pixels on their way into the destination.
#[derive(Debug, Clone, Copy)]
pub struct Finish<'a> {
    /// Which of them, and in which direction: [`Resize::whole`] for all.
    pub window: Window,
    /// What each value becomes.
    pub map: &'a ValueMap,
    /// Whether the destination is (channels, height, width) rather than (height, width, channels).
    pub channels_first: bool,
    /// How results are written.
    pub stores: Stores,
}

/// Memory that resizing needs beside source and destination: weights and some rows. Each thread
/// keeps one and hands it to every call, so that calls allocate nothing once sizes have been seen,
/// and weights of the same sizes are kept.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) vertical: Taps,
    pub(crate) horizontal: Taps,
    pub(crate) rows: Rows,
    pub(crate) floats: FloatRows,
    pub(crate) nearest: NearestRows,
}

/// A resize of images of any size to one size.
///
/// ```
/// use ndlens_core::{DType, View, s};
/// use ndlens_kernels::{Filter, Finish, Interpolation, Resize, Scratch, Step, Stores, ValueMap, Window};
///
/// let image = View::from_vec(vec![255u8; 40 * 30 * 3]).reshape(&[40, 30, 3])?;
/// let filter = Filter { interpolation: Interpolation::Bilinear, antialias: true };
/// let resize = Resize::new(8, 8, 3, &DType::U8, filter)?;
/// let map = ValueMap::new(&DType::U8, 3, &[Step::ToDtype { dtype: DType::F32, scale: true }])?;
/// let window = Window { flip_horizontal: true, ..resize.whole() };
/// let finish = Finish { window, map: &map, channels_first: true, stores: Stores::Cached };
/// let mut bytes = vec![0; 3 * 8 * 8 * 4];
/// let mut scratch = Scratch::default();
/// let crop = image.index(&[s(5..25), s(7..30)])?;
/// resize.apply(&crop.as_ref(), &finish, &mut bytes, &mut scratch)?;
/// assert_eq!(bytes[..4], 1.0f32.to_le_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Rationale
///
/// Results are those of torchvision's `resize` and `resized_crop` on CPU tensors. For `uint8` that
/// is fixed-point arithmetic with 16-bit weights and as many fraction bits as the largest weight of
/// an axis leaves, rounded to `uint8` after the horizontal pass and again after the vertical pass.
/// As it is all integers, every body gives the same bits. A flip comes after the resize and costs
/// nothing.
///
/// # Limitations
///
/// `float32` results agree with torch's up to the order of additions. An axis that keeps its size
/// is not filtered. Where [`NearestExact`](Interpolation::NearestExact) lies halfway between two
/// pixels, torch itself prefers one or the other by the number of channels and the size; this is
/// its preference for images of 1 to 3 channels and more than 128 rows and columns in all.
/// `float32` results of a single column are what torch's are meant to be: its antialias (2.15)
/// filters all rows of such a column with the weights of the first, unless the source has several
/// channels, channels last.
#[derive(Debug, Clone)]
pub struct Resize {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) dtype: DType,
    pub(crate) filter: Filter,
    pub(crate) isa: Isa,
}

impl Resize {
    /// A resize to `height` x `width` of images of `dtype` with `channels` channels (1 if there is
    /// no channel axis).
    ///
    /// # Errors
    ///
    /// [`Error::ResizeSize`]; [`Error::ResizeDType`] for anything but `uint8` and `float32`, unless
    /// the nearest pixel is copied; [`Error::UnknownIsa`].
    pub fn new(
        height: usize,
        width: usize,
        channels: usize,
        dtype: &DType,
        filter: Filter,
    ) -> Result<Resize> {
        if [height, width, channels].iter().any(|size| !(1..SIZE_LIMIT).contains(size)) {
            return Err(Error::ResizeSize { height, width, channels });
        }
        if !matches!(dtype, DType::U8 | DType::F32) && !filter.interpolation.copies() {
            let (interpolation, got) = (filter.interpolation.name(), dtype.to_string());
            return Err(Error::ResizeDType { interpolation, got });
        }
        Ok(Resize { height, width, channels, dtype: dtype.clone(), filter, isa: Isa::chosen()? })
    }

    /// The rows of the resized image.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The columns of the resized image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The channels of source and result.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The dtype of what is read, and of what a value map gets.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// All of the resized image, as it is.
    pub fn whole(&self) -> Window {
        let (height, width) = (self.height, self.width);
        Window { top: 0, left: 0, height, width, flip_vertical: false, flip_horizontal: false }
    }

    /// Resizes `src`, an image of shape (h, w) or (h, w, channels) of any size and strides, and
    /// writes what `finish` says becomes of it packed to `dst`: (height, width, channels) or
    /// (channels, height, width) of the window.
    ///
    /// Sources whose channels lie side by side, in pixels side by side in either direction, are
    /// read fastest.
    ///
    /// # Errors
    ///
    /// [`Error::SourceDType`], [`Error::ResizeShape`], [`Error::ChannelCount`] for another source
    /// than the resize was made for; [`Error::MapSource`] for a map of another dtype,
    /// [`Error::ChannelCount`] for one of another number of channels; [`Error::ResizeWindow`];
    /// [`Error::DestinationSize`] where `dst` has not just the bytes of the window;
    /// [`ndlens_core::Error::OutOfMemory`].
    pub fn apply(
        &self,
        src: &ViewRef<'_>,
        finish: &Finish<'_>,
        dst: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.check(src, finish, dst)?;
        if dst.is_empty() {
            return Ok(());
        }
        let [height, width] = [src.shape()[0], src.shape()[1]];
        scratch.vertical.prepare(height, self.height, self.filter, &self.dtype)?;
        scratch.horizontal.prepare(width, self.width, self.filter, &self.dtype)?;
        match self.dtype {
            DType::U8 => bytes::run(self, &Source::new(src), finish, dst, scratch),
            DType::F32 => floats::run(self, &Source::new(src), finish, dst, scratch),
            _ => nearest::run(self, src, finish, dst, scratch),
        }
    }

    fn check(&self, src: &ViewRef<'_>, finish: &Finish<'_>, dst: &[u8]) -> Result<()> {
        if *src.dtype() != self.dtype {
            let (got, expected) = (src.dtype().to_string(), self.dtype.to_string());
            return Err(Error::SourceDType { got, expected });
        }
        let channels = match src.shape() {
            &[_, _] => 1,
            &[_, _, channels] => channels,
            shape => return Err(resize_shape(shape)),
        };
        if channels != self.channels {
            return Err(Error::ChannelCount { got: channels, expected: self.channels });
        }
        if src.shape()[..2].iter().any(|size| !(1..SIZE_LIMIT).contains(size)) {
            return Err(resize_shape(src.shape()));
        }
        let map = finish.map;
        if *map.source() != self.dtype {
            let (got, expected) = (map.source().to_string(), self.dtype.to_string());
            return Err(Error::MapSource { got, expected });
        }
        map.check_channels(self.channels)?;
        let window = &finish.window;
        for (axis, range, size) in
            [("vertical", window.rows(), self.height), ("horizontal", window.columns(), self.width)]
        {
            if range.end > size {
                return Err(Error::ResizeWindow { axis, start: range.start, end: range.end, size });
            }
        }
        let expected = [window.width, self.channels, map.dtype().itemsize()]
            .iter()
            .fold(window.height, |product, &factor| product.saturating_mul(factor));
        if dst.len() != expected {
            return Err(Error::DestinationSize { got: dst.len(), expected });
        }
        Ok(())
    }
}

fn resize_shape(shape: &[usize]) -> Error {
    Error::ResizeShape {
        got: shape.to_vec(),
        expected: "(height, width) or (height, width, channels)",
    }
}

impl Window {
    pub(crate) fn rows(&self) -> Range<usize> {
        self.top..self.top.saturating_add(self.height)
    }

    pub(crate) fn columns(&self) -> Range<usize> {
        self.left..self.left.saturating_add(self.width)
    }
}
