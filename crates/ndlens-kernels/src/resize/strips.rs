//! A resize of an image that is never there as a whole: its rows come some at a time.

use std::ops::Range;

use ndlens_core::Layout;

use crate::error::{Error, Result};
use crate::resize::bytes::ByteResize;
use crate::resize::source::SourceImage;

/// A resize of an image whose rows come some at a time;
/// [`Resizer::strips`](crate::Resizer::strips) makes it.
///
/// ```
/// use ndlens_core::{DType, Layout, Order, View};
/// use ndlens_kernels::{Filter, Interpolation, ResizeOutput, ResizeScratch, Resizer, Stores};
/// use ndlens_kernels::ValueMap;
///
/// let pixels: Vec<u8> = (0..40 * 30 * 3).map(|i| i as u8).collect();
/// let filter = Filter { interpolation: Interpolation::Bilinear, antialias: true };
/// let resize = Resizer::new(8, 8, 3, &DType::U8, filter)?;
/// let map = ValueMap::new(&DType::U8, 3, &[])?;
/// let output = ResizeOutput {
///     window: resize.whole(),
///     map: &map,
///     channels_first: false,
///     stores: Stores::Cached,
/// };
/// let (mut whole, mut by_strips) = (vec![0; 8 * 8 * 3], vec![0; 8 * 8 * 3]);
/// let mut scratch = ResizeScratch::default();
/// let mut strips = resize.strips(40, 30, &output, &mut by_strips, &mut scratch)?;
/// for rows in pixels.chunks(16 * 30 * 3) {
///     let layout = Layout::contiguous(&[rows.len() / (30 * 3), 30, 3], 1, Order::C)?;
///     strips.push(rows, &layout)?;
/// }
/// let image = View::from_vec(pixels).reshape(&[40, 30, 3])?;
/// resize.apply(&image.as_ref(), &output, &mut whole, &mut scratch)?;
/// assert_eq!(by_strips, whole);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct StripResizer<'a> {
    /// None if nothing is written.
    resize: Option<ByteResize<'a>>,
    channels: usize,
}

impl<'a> StripResizer<'a> {
    pub(crate) fn new(resize: Option<ByteResize<'a>>, channels: usize) -> Self {
        StripResizer { resize, channels }
    }

    /// The rows and columns of the source that are needed; both are empty if nothing is written.
    pub fn needed(&self) -> [Range<usize>; 2] {
        self.resize.as_ref().map_or([0..0, 0..0], ByteResize::needed)
    }

    /// Takes the next rows of the needed part of the source: a layout of shape (rows, columns,
    /// channels) on `bytes`. Writes the rows of the result that they complete; all is written once
    /// all needed rows were taken.
    ///
    /// # Errors
    ///
    /// [`Error::ResizeStrip`] for another shape or too many rows; [`Error::View`] if the layout
    /// reaches beyond the bytes, or there is no memory.
    pub fn push(&mut self, bytes: &[u8], layout: &Layout) -> Result<()> {
        let (left, columns) = self
            .resize
            .as_ref()
            .map_or((0, 0), |resize| (resize.rows_left(), resize.needed()[1].len()));
        let (shape, channels) = (layout.shape(), self.channels);
        let rows = shape.first().copied().unwrap_or(0);
        if rows > left || shape != [rows, columns, channels] {
            let (got, expected) = (shape.to_vec(), [left, columns, channels]);
            return Err(Error::ResizeStrip { got, expected });
        }
        match &mut self.resize {
            Some(resize) if rows > 0 => resize.push(&SourceImage::of_bytes(bytes, layout)?),
            Some(_) | None => Ok(()),
        }
    }
}
