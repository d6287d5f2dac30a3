//! The part of a resized image that is written, and the order in which it is written.

use std::ops::Range;

use crate::map::ValueMap;
use crate::simd::stores::Stores;

/// The part of a resized image that is written, and its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResizeWindow {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
    /// Whether the last row of the window is written first.
    pub flip_vertical: bool,
    /// Whether the last column of the window is written first.
    pub flip_horizontal: bool,
}

/// The output of a resize: the written window, its values and its layout.
#[derive(Debug, Clone, Copy)]
pub struct ResizeOutput<'a> {
    /// Window that is written: [`Resizer::whole`](crate::Resizer::whole) for the whole image.
    pub window: ResizeWindow,
    /// Map of each value.
    pub map: &'a ValueMap,
    /// Whether the destination is (channels, height, width) rather than (height, width, channels).
    pub channels_first: bool,
    /// Kind of the stores.
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

/// The order in which the resized pixels of an axis are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnOrder {
    /// The written pixels.
    pub(crate) range: Range<usize>,
    /// Whether the last pixel comes first.
    pub(crate) flip: bool,
}

impl ColumnOrder {
    /// The pixel that is written at `place`.
    pub(crate) fn pixel(&self, place: usize) -> usize {
        if self.flip { self.range.end - 1 - place } else { self.range.start + place }
    }
}
