//! The part of an image that is decoded.

/// A rectangle of an image as it is stored, in pixels of the full size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DecodeRegion {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// A reduced size that a decoder may reconstruct directly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scale {
    /// All pixels.
    #[default]
    Full,
    /// A pixel for each 2 x 2.
    Half,
    /// A pixel for each 4 x 4.
    Quarter,
    /// A pixel for each 8 x 8.
    Eighth,
}

impl Scale {
    /// The number of pixels of the full size, along an axis, for each pixel.
    pub fn step(self) -> usize {
        match self {
            Scale::Full => 1,
            Scale::Half => 2,
            Scale::Quarter => 4,
            Scale::Eighth => 8,
        }
    }
}

impl DecodeRegion {
    /// The rows and columns of the region at a scale. The region starts at a multiple of the
    /// scale's [`step`](Scale::step); its last row and column of pixels may stand for fewer pixels.
    pub fn size_at(self, scale: Scale) -> (usize, usize) {
        (self.height.div_ceil(scale.step()), self.width.div_ceil(scale.step()))
    }
}
