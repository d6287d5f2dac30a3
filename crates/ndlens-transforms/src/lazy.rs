//! Images whose pixels are made when a transform reads them, such as encoded photographs.
//!
//! The transforms of a list first move the window through which an image is seen. Only the pixels
//! that are visible then are made:
//!
//! ```text
//!  stored image        crop, flip: a layout of the      read(rectangle): what is visible,
//!  no pixel is there   pixels as they would lie         packed, and the layout moves with it
//!  +--------------+    +--------------+
//!  |              |    |   +------+   |                 +------+
//!  |              | -> |   |<-----|   |              -> |<-----|
//!  |              |    |   +------+   |                 +------+
//!  +--------------+    +--------------+
//! ```

use ndlens_codecs::Orientation;
use ndlens_core::{DType, Layout, Order};

use crate::error::Result;
use crate::params::Rectangle;
use crate::size::{HEIGHT, WIDTH};

/// An image of (height, width, channels) whose pixels are made when they are read.
pub trait LazyImage {
    /// The rows, columns and channels of the image as it is stored, at least 1 each.
    fn stored_shape(&self) -> [usize; 3];

    /// The dtype of the elements.
    fn dtype(&self) -> &DType;

    /// How the stored image is turned to be shown.
    fn orientation(&self) -> Orientation {
        Orientation::Upright
    }

    /// Writes the pixels of a rectangle of the stored image, packed, to `out`, which has as many
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Codecs`](crate::Error::Codecs) if the pixels cannot be made.
    fn read(&mut self, rectangle: Rectangle, out: &mut [u8]) -> Result<()>;

    /// The shape of the image as it is shown.
    fn shape(&self) -> [usize; 3] {
        let [height, width, channels] = self.stored_shape();
        if is_transposed(self.orientation()) {
            [width, height, channels]
        } else {
            [height, width, channels]
        }
    }
}

/// Whether rows are shown as columns.
fn is_transposed(orientation: Orientation) -> bool {
    match orientation {
        Orientation::Upright
        | Orientation::FlipHorizontal
        | Orientation::Rotate180
        | Orientation::FlipVertical => false,
        Orientation::Transpose
        | Orientation::Rotate90
        | Orientation::Transverse
        | Orientation::Rotate270 => true,
    }
}

/// The layout of an image as it is shown, on the packed pixels of the image as it is stored.
pub(crate) fn shown_layout(image: &dyn LazyImage) -> Result<Layout> {
    let stored = image.stored_shape();
    let layout = Layout::contiguous(&stored, image.dtype().itemsize(), Order::C)?;
    let orientation = image.orientation();
    // The flips come before rows and columns are exchanged.
    let (rows, columns) = match orientation {
        Orientation::Upright | Orientation::Transpose => (false, false),
        Orientation::FlipHorizontal | Orientation::Rotate270 => (false, true),
        Orientation::FlipVertical | Orientation::Rotate90 => (true, false),
        Orientation::Rotate180 | Orientation::Transverse => (true, true),
    };
    let layout = if rows { layout.flip(&[HEIGHT as isize])? } else { layout };
    let layout = if columns { layout.flip(&[WIDTH as isize])? } else { layout };
    Ok(if is_transposed(orientation) {
        layout.swapaxes(HEIGHT as isize, WIDTH as isize)?
    } else {
        layout
    })
}

/// The rectangle of a stored image that contains the elements of `layout`, which shows a rectangle
/// of the packed image, turned or mirrored in any way; and the layout of the same elements on the
/// packed pixels of that rectangle.
pub(crate) fn visible(
    layout: &Layout,
    stored: [usize; 3],
    itemsize: usize,
) -> Result<(Rectangle, Layout)> {
    if layout.is_empty() {
        let nothing = Rectangle { top: 0, left: 0, height: 0, width: 0 };
        return Ok((nothing, Layout::contiguous(layout.shape(), itemsize, Order::C)?));
    }
    let [_, stored_width, channels] = stored;
    let pixel = channels * itemsize;
    let row = stored_width * pixel;
    let (below, above) = Layout::reach(layout.shape(), layout.strides(), itemsize)?;
    // The first and the last byte, whatever the order of the elements is.
    let (first, last) = (layout.offset() - below, layout.offset() + above - 1);
    let (top, left) = (first / row, first % row / pixel);
    let (bottom, right) = (last / row, last % row / pixel);
    let (height, width) = (bottom - top + 1, right - left + 1);
    let kept_row = width * pixel;
    // Steps from row to row get shorter; all others stay. In an image of one column a step along
    // the row is never taken.
    let strides: Vec<isize> = layout
        .strides()
        .iter()
        .map(|&stride| {
            if stride.unsigned_abs() == row { stride.signum() * kept_row as isize } else { stride }
        })
        .collect();
    let offset = layout.offset();
    let kept = (offset / row - top) * kept_row + offset % row - left * pixel;
    let len = height * kept_row;
    let layout = Layout::new(layout.shape(), &strides, kept, itemsize, len)?;
    Ok((Rectangle { top, left, height, width }, layout))
}
