//! The height and width of images: axes 0 and 1 of an item, whose channels are axis 2.

use ndlens_core::DType;

use crate::error::{Error, Result};

pub(crate) const HEIGHT: usize = 0;
pub(crate) const WIDTH: usize = 1;
pub(crate) const CHANNEL: usize = 2;

/// The height and width of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Size {
    /// The size of an item of this shape; an axis that is missing counts as 1.
    pub fn of(shape: &[usize]) -> Self {
        let axis = |axis| shape.get(axis).copied().unwrap_or(1);
        Size { height: axis(HEIGHT), width: axis(WIDTH) }
    }

    /// The size with more pixels to the left, top, right and bottom.
    #[must_use]
    pub fn padded(self, [left, top, right, bottom]: [usize; 4]) -> Self {
        let sum = |size: usize, a: usize, b: usize| size.saturating_add(a).saturating_add(b);
        Size { height: sum(self.height, top, bottom), width: sum(self.width, left, right) }
    }

    /// The number of pixels.
    pub(crate) fn pixels(self) -> usize {
        self.height.saturating_mul(self.width)
    }

    /// The same size, if places around an image of this size can be counted.
    pub(crate) fn addressable(self, dtype: &DType) -> Result<Self> {
        let Size { height, width } = self;
        // Places on both sides of the edges are counted in an isize.
        if height.max(width) > isize::MAX as usize / 2 {
            let (shape, itemsize) = (vec![height, width], dtype.itemsize());
            return Err(ndlens_core::Error::SizeOverflow { shape, itemsize }.into());
        }
        Ok(self)
    }

    /// Checks that an image of this size has at least these rows and columns.
    ///
    /// # Errors
    ///
    /// [`Error::CropTooLarge`].
    pub fn fits(self, transform: &'static str, height: usize, width: usize) -> Result<()> {
        if height > self.height || width > self.width {
            let (image_height, image_width) = (self.height, self.width);
            return Err(Error::CropTooLarge {
                transform,
                height,
                width,
                image_height,
                image_width,
            });
        }
        Ok(())
    }
}

/// The range of the sizes of all images: the least and the largest height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The least height and width.
    pub least: Size,
    /// The largest height and width.
    pub most: Size,
    /// Whether the sizes are unknown until images are read. Then these are bounds that no image
    /// need have, and each image is checked by itself when it is made.
    pub is_open: bool,
}

impl Sizes {
    /// All images of one size.
    pub fn one(size: Size) -> Self {
        Sizes { least: size, most: size, is_open: false }
    }

    /// The one size of all images; None if they may differ.
    pub fn as_one(self) -> Option<Size> {
        (self.least == self.most).then_some(self.most)
    }

    /// The range of the results of `of`, a function whose result grows with the size or stays the
    /// same.
    #[must_use]
    pub fn map(self, of: impl Fn(Size) -> Size) -> Self {
        Sizes { least: of(self.least), most: of(self.most), ..self }
    }

    /// Checks that all images have at least these rows and columns, as far as it is known.
    ///
    /// # Errors
    ///
    /// [`Error::CropTooLarge`].
    pub fn fit(self, transform: &'static str, height: usize, width: usize) -> Result<()> {
        if self.is_open { Ok(()) } else { self.least.fits(transform, height, width) }
    }
}
