//! What is written of a resized image, where, and in which order.

use std::ops::Range;

use crate::map::ValueMap;
use crate::simd::stores::Stores;

/// The part of a resized image that is written, and in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizeWindow {
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
pub struct ResizeOutput<'a> {
    /// Which of them, and in which direction: [`Resize::whole`](crate::Resize::whole) for all.
    pub window: ResizeWindow,
    /// What each value becomes.
    pub map: &'a ValueMap,
    /// Whether the destination is (channels, height, width) rather than (height, width, channels).
    pub channels_first: bool,
    /// How results are written.
    pub stores: Stores,
}

impl ResizeWindow {
    pub(crate) fn rows(&self) -> Range<usize> {
        self.top..self.top.saturating_add(self.height)
    }

    pub(crate) fn columns(&self) -> Range<usize> {
        self.left..self.left.saturating_add(self.width)
    }
}

/// In which order the resized pixels of an axis are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnOrder {
    /// Which of them.
    pub(crate) range: Range<usize>,
    /// Whether the last comes first.
    pub(crate) flip: bool,
    /// How many source pixels there are, if they are read from the last to the first.
    pub(crate) mirrored: Option<usize>,
}

impl ColumnOrder {
    /// The pixel that is written at `place`.
    pub(crate) fn pixel(&self, place: usize) -> usize {
        if self.flip { self.range.end - 1 - place } else { self.range.start + place }
    }
}
