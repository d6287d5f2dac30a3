//! Resizing: images of one size from images of any size.
//!
//! A random resized crop reads another box of each image and writes the same size every time. The
//! usual steps are a crop, a horizontal pass into an intermediate image, a vertical pass into
//! another, a flip, a conversion and a reordering of axes. [`Resizer`] needs one pass: rows of the
//! source go through the horizontal filter into a ring of as many rows as the vertical filter
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
mod filter;
mod floats;
mod nearest;
mod output;
#[cfg(test)]
pub(crate) mod reference;
mod source;
mod strips;
pub(crate) mod taps;

use ndlens_core::{DType, ViewRef};

use crate::error::{Error, Result};
use crate::resize::bytes::{ByteResize, ByteRows};
use crate::resize::floats::FloatRows;
use crate::resize::nearest::NearestRows;
use crate::resize::source::SourceImage;
use crate::resize::taps::AxisTaps;
use crate::simd::level::Level;

pub use crate::resize::filter::{Filter, Interpolation};
pub use crate::resize::output::{ResizeOutput, ResizeWindow};
pub use crate::resize::strips::StripResizer;

/// From this size on, `f32` no longer distinguishes positions.
const SIZE_LIMIT: usize = 1 << 24;

/// Memory of resizing beside source and destination: weights and some rows. Each thread keeps one
/// and passes it to every call, so that later calls of the same sizes allocate nothing and reuse
/// the weights.
#[derive(Debug, Default)]
pub struct ResizeScratch {
    taps: AxisTaps,
    bytes: ByteRows,
    floats: FloatRows,
    nearest: NearestRows,
}

/// A resize of images of any size to one size.
///
/// ```
/// use ndlens_core::{DType, View, s};
/// use ndlens_kernels::{Filter, Interpolation, MapStep, Resizer, Stores, ValueMap};
/// use ndlens_kernels::{ResizeOutput, ResizeScratch, ResizeWindow};
///
/// let image = View::from_vec(vec![255u8; 40 * 30 * 3]).reshape(&[40, 30, 3])?;
/// let filter = Filter { interpolation: Interpolation::Bilinear, antialias: true };
/// let resize = Resizer::new(8, 8, 3, &DType::U8, filter)?;
/// let map = ValueMap::new(&DType::U8, 3, &[MapStep::ToDtype { dtype: DType::F32, scale: true }])?;
/// let window = ResizeWindow { flip_horizontal: true, ..resize.whole() };
/// let output = ResizeOutput { window, map: &map, channels_first: true, stores: Stores::Cached };
/// let mut bytes = vec![0; 3 * 8 * 8 * 4];
/// let mut scratch = ResizeScratch::default();
/// let crop = image.index(&[s(5..25), s(7..30)])?;
/// resize.apply(&crop.as_ref(), &output, &mut bytes, &mut scratch)?;
/// assert_eq!(bytes[..4], 1.0f32.to_le_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Rationale
///
/// Results are those of torchvision's `resize` and `resized_crop` on CPU tensors. For `uint8` that
/// is fixed-point arithmetic with 16-bit weights and as many fraction bits as the largest weight of
/// an axis leaves, rounded to `uint8` after the horizontal pass and again after the vertical pass.
/// The arithmetic uses integers only, so every body gives the same bits. A flip comes after the
/// resize and costs nothing.
///
/// # Limitations
///
/// `float32` results agree with torch's up to the order of additions. An axis that keeps its size
/// is not filtered. If a position of [`NearestExact`](Interpolation::NearestExact) is halfway
/// between two pixels, torch's choice depends on the number of channels and the size. This crate
/// has torch's choice for images of 1 to 3 channels and more than 128 rows and columns in all.
/// `float32` results of a single column differ from torch's: its antialias (2.15) wrongly filters
/// all rows of such a column with the weights of the first, unless the source has several channels,
/// channels last.
#[derive(Debug, Clone)]
pub struct Resizer {
    height: usize,
    width: usize,
    channels: usize,
    dtype: DType,
    filter: Filter,
    level: Level,
}

impl Resizer {
    /// A resize to `height` x `width` of images of `dtype` with `channels` channels (1 if there is
    /// no channel axis).
    ///
    /// # Errors
    ///
    /// [`Error::ResizeSize`]; [`Error::ResizeDType`] for anything but `uint8` and `float32`, unless
    /// the nearest pixel is copied; [`Error::UnknownLevel`].
    pub fn new(
        height: usize,
        width: usize,
        channels: usize,
        dtype: &DType,
        filter: Filter,
    ) -> Result<Resizer> {
        if [height, width, channels].iter().any(|size| !(1..SIZE_LIMIT).contains(size)) {
            return Err(Error::ResizeSize { height, width, channels });
        }
        if !matches!(dtype, DType::U8 | DType::F32) && !filter.interpolation.copies() {
            let (interpolation, got) = (filter.interpolation.name(), dtype.to_string());
            return Err(Error::ResizeDType { interpolation, got });
        }
        let level = Level::chosen()?;
        Ok(Resizer { height, width, channels, dtype: dtype.clone(), filter, level })
    }

    /// The same resize by the bodies of another level.
    #[cfg(test)]
    pub(crate) fn at_level(self, level: Level) -> Resizer {
        Resizer { level, ..self }
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

    /// The dtype of the source, and of the input of a value map.
    pub fn dtype(&self) -> &DType {
        &self.dtype
    }

    /// The window of the whole resized image, not flipped.
    pub fn whole(&self) -> ResizeWindow {
        let (height, width) = (self.height, self.width);
        ResizeWindow {
            top: 0,
            left: 0,
            height,
            width,
            flip_vertical: false,
            flip_horizontal: false,
        }
    }

    /// Resizes `src`, an image of shape (h, w) or (h, w, channels) of any size and strides, and
    /// writes the `output` of it to `dst`, packed: (height, width, channels) or (channels, height,
    /// width) of the window.
    ///
    /// Sources with adjacent channels and adjacent pixels, in either direction, are read fastest.
    ///
    /// # Errors
    ///
    /// [`Error::SourceDType`], [`Error::ResizeShape`], [`Error::ChannelCount`] for another source
    /// than the resize was made for; [`Error::MapSource`] for a map of another dtype,
    /// [`Error::ChannelCount`] for one of another number of channels; [`Error::ResizeWindow`];
    /// [`Error::DestinationSize`] if `dst` has another size than the window;
    /// [`ndlens_core::Error::OutOfMemory`].
    pub fn apply(
        &self,
        src: &ViewRef<'_>,
        output: &ResizeOutput<'_>,
        dst: &mut [u8],
        scratch: &mut ResizeScratch,
    ) -> Result<()> {
        self.check_source(src.dtype(), src.shape())?;
        self.check_output(output, dst)?;
        if dst.is_empty() {
            return Ok(());
        }
        let (from, to) = ([src.shape()[0], src.shape()[1]], [self.height, self.width]);
        let ResizeScratch { taps, bytes, floats, nearest } = scratch;
        taps.prepare(from, to, self.filter, &self.dtype)?;
        let (level, channels) = (self.level, self.channels);
        match self.dtype {
            DType::U8 => {
                let mut resize =
                    ByteResize::new(level, channels, from[0], output, dst, taps, bytes)?;
                let [rows, columns] = resize.needed();
                let src = src.narrow(0, rows.start, rows.len())?;
                resize.push(&SourceImage::new(&src.narrow(1, columns.start, columns.len())?))
            }
            DType::F32 => {
                let source = SourceImage::new(src);
                floats::run(level, channels, &source, output, dst, taps, floats)
            }
            _ => nearest::run(channels, src, output, dst, taps, nearest),
        }
    }

    /// A resize of an image of `height` x `width` bytes whose rows come some at a time, as a
    /// decoder makes them.
    ///
    /// # Errors
    ///
    /// [`Error::SourceDType`] if the resize is not of `uint8`; else as [`apply`](Self::apply).
    pub fn strips<'a>(
        &self,
        height: usize,
        width: usize,
        output: &ResizeOutput<'a>,
        dst: &'a mut [u8],
        scratch: &'a mut ResizeScratch,
    ) -> Result<StripResizer<'a>> {
        self.check_source(&DType::U8, &[height, width, self.channels])?;
        self.check_output(output, dst)?;
        let channels = self.channels;
        if dst.is_empty() {
            return Ok(StripResizer::new(None, channels));
        }
        let ResizeScratch { taps, bytes, .. } = scratch;
        taps.prepare([height, width], [self.height, self.width], self.filter, &self.dtype)?;
        let resize = ByteResize::new(self.level, channels, height, output, dst, taps, bytes)?;
        Ok(StripResizer::new(Some(resize), channels))
    }

    fn check_source(&self, dtype: &DType, shape: &[usize]) -> Result<()> {
        if *dtype != self.dtype {
            let (got, expected) = (dtype.to_string(), self.dtype.to_string());
            return Err(Error::SourceDType { got, expected });
        }
        let channels = match *shape {
            [_, _] => 1,
            [_, _, channels] => channels,
            _ => return Err(resize_shape(shape)),
        };
        if channels != self.channels {
            return Err(Error::ChannelCount { got: channels, expected: self.channels });
        }
        if shape[..2].iter().any(|size| !(1..SIZE_LIMIT).contains(size)) {
            return Err(resize_shape(shape));
        }
        Ok(())
    }

    fn check_output(&self, output: &ResizeOutput<'_>, dst: &[u8]) -> Result<()> {
        let map = output.map;
        if *map.source() != self.dtype {
            let (got, expected) = (map.source().to_string(), self.dtype.to_string());
            return Err(Error::MapSource { got, expected });
        }
        map.check_channels(self.channels)?;
        let window = &output.window;
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
