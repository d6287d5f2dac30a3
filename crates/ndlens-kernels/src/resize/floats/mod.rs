//! One pass over an image of `float32`: the same as for bytes, with floats in the ring.
//!
//! Sums go from the first tap to the last, which is torch's order within an axis. Several rows are
//! filtered horizontally at once, as columns (see `columns.rs`): the rows that the next rows of the
//! result need, which are not always neighbours.

pub(crate) mod columns;

use std::ops::Range;

use ndlens_core::room;

use crate::error::Result;
use crate::map::RowChannels;
use crate::resize::floats::columns::{BLOCK, Column, LANES};
use crate::resize::output::{ColumnOrder, ResizeOutput};
use crate::resize::source::SourceImage;
use crate::resize::taps::{AxisTaps, Taps};
use crate::simd::level::Level;

/// Memory that is reused for the next image.
#[derive(Debug, Default)]
pub(crate) struct FloatRows {
    /// Rows of the source, as columns, and their resized pixels.
    columns: Vec<Column>,
    resized: Vec<Column>,
    /// Rows, resized horizontally, and the slot of each row of the source.
    ring: Vec<f32>,
    slots: Vec<u32>,
    /// A resized row, and its bytes as they are mapped.
    row: Vec<f32>,
    bytes: Vec<u8>,
}

/// The arrangement of the channels of a row's pixels in the ring: in groups, one after another, of
/// as many channels as share a column with those of other rows.
///
/// ```text
///   3 channels   | RGB- RGB- RGB- .. |
///  20 channels   | 0..16 0..16 .. | 16..20 and a gap, .. |
/// ```
#[derive(Debug, Clone, Copy)]
struct Groups {
    channels: usize,
    /// The floats of a pixel in a group: a power of two up to [`LANES`].
    size: usize,
    /// The pixels of a row.
    width: usize,
}

impl Groups {
    fn new(channels: usize, width: usize) -> Self {
        Groups { channels, size: channels.next_power_of_two().min(LANES), width }
    }

    /// The rows of the source that share columns.
    fn rows(self) -> usize {
        LANES / self.size
    }

    fn count(self) -> usize {
        self.channels.div_ceil(self.size)
    }

    /// The channels of a group.
    fn channels_of(self, group: usize) -> Range<usize> {
        group * self.size..self.channels.min((group + 1) * self.size)
    }

    /// The floats of a row.
    fn len(self) -> usize {
        (self.count() * self.size * self.width).next_multiple_of(BLOCK)
    }

    /// A channel of all pixels of a row.
    fn channel(self, row: &[f32], channel: usize) -> impl Iterator<Item = &f32> {
        let first = channel / self.size * self.size * self.width + channel % self.size;
        row[first..].iter().step_by(self.size).take(self.width)
    }
}

/// Resizes an image of floats. The caller has checked sizes and dtypes, and the window is not
/// empty.
pub(crate) fn run(
    level: Level,
    channels: usize,
    source: &SourceImage<'_>,
    output: &ResizeOutput<'_>,
    dst: &mut [u8],
    taps: &AxisTaps,
    floats: &mut FloatRows,
) -> Result<()> {
    let AxisTaps { vertical, horizontal } = taps;
    let window = &output.window;
    let order = ColumnOrder { range: window.columns(), flip: window.flip_horizontal };
    let groups = Groups::new(channels, window.width);
    let len = groups.len();
    // The ring has the rows of one result, and the rows that were filtered with the last of them.
    let most = window.rows().map(|row| vertical.counts[row] as usize).max().unwrap_or(1);
    let slots = most + groups.rows() - 1;
    room::resize(&mut floats.ring, slots * len, 0.0)?;
    room::resize(&mut floats.row, len, 0.0)?;
    room::resize(&mut floats.slots, source.height, 0)?;
    let mut needed = needed_rows(vertical, window.rows()).enumerate().peekable();
    let mut batch = Vec::with_capacity(LANES);
    for (place, i) in window.rows().enumerate() {
        let start = vertical.starts[i] as usize;
        let end = start + vertical.counts[i] as usize;
        while needed.peek().is_some_and(|&(_, y)| y < end) {
            batch.clear();
            batch.extend(needed.by_ref().take(groups.rows()).map(|(count, y)| {
                floats.slots[y] = (count % slots) as u32;
                y
            }));
            fill(level, source, groups, horizontal, &order, &batch, floats)?;
        }
        let FloatRows { ring, slots, row, bytes, .. } = floats;
        columns::sum(level, vertical.single_of(i), &slots[start..end], ring, row);
        let place = if window.flip_vertical { window.height - 1 - place } else { place };
        write(output, groups, row, place, bytes, dst)?;
    }
    Ok(())
}

/// The rows of the source from which a range of rows is computed, each once. They are in ascending
/// order, by invariant 3 of [`Taps`].
fn needed_rows(vertical: &Taps, rows: Range<usize>) -> impl Iterator<Item = usize> {
    let mut next = 0;
    rows.flat_map(move |i| {
        let start = vertical.starts[i];
        let end = start + vertical.counts[i];
        let new = start.max(next)..end;
        next = next.max(end);
        new.map(|y| y as usize)
    })
}

/// Filters rows of the source into their slots.
fn fill(
    level: Level,
    source: &SourceImage<'_>,
    groups: Groups,
    horizontal: &Taps,
    order: &ColumnOrder,
    rows: &[usize],
    floats: &mut FloatRows,
) -> Result<()> {
    let FloatRows { columns, resized, ring, slots, .. } = floats;
    room::resize(columns, source.width, [0.0; LANES])?;
    room::resize(resized, groups.width, [0.0; LANES])?;
    for group in 0..groups.count() {
        for (i, &y) in rows.iter().enumerate() {
            source.read_columns(y, groups.channels_of(group), i * groups.size, columns);
        }
        columns::filter(level, horizontal, order, columns, resized);
        for (i, &y) in rows.iter().enumerate() {
            let at = slots[y] as usize * groups.len() + group * groups.size * groups.width;
            let to = &mut ring[at..][..groups.size * groups.width];
            match groups.size {
                1 => spread::<1>(resized, i, to),
                2 => spread::<2>(resized, i, to),
                4 => spread::<4>(resized, i, to),
                8 => spread::<8>(resized, i, to),
                _ => spread::<LANES>(resized, i, to),
            }
        }
    }
    Ok(())
}

/// Writes row `i` of columns that `LANES / SIZE` rows share.
fn spread<const SIZE: usize>(columns: &[Column], i: usize, to: &mut [f32]) {
    for (to, column) in to.as_chunks_mut::<SIZE>().0.iter_mut().zip(columns) {
        *to = column.as_chunks::<SIZE>().0[i];
    }
}

/// Writes the results of a resized row to row `place` of the destination.
fn write(
    output: &ResizeOutput<'_>,
    groups: Groups,
    row: &[f32],
    place: usize,
    bytes: &mut Vec<u8>,
    dst: &mut [u8],
) -> Result<()> {
    let (window, map) = (&output.window, output.map);
    let (width, channels, itemsize) = (window.width, groups.channels, map.dtype().itemsize());
    room::resize(bytes, channels * width * size_of::<f32>(), 0)?;
    let elements = bytes.as_chunks_mut().0;
    if output.channels_first {
        for (channel, elements) in elements.chunks_exact_mut(width).enumerate() {
            let plane = groups.channel(row, channel);
            elements.iter_mut().zip(plane).for_each(|(to, value)| *to = value.to_le_bytes());
        }
        for (channel, row) in bytes.chunks_exact(width * size_of::<f32>()).enumerate() {
            let at = (channel * window.height + place) * width * itemsize;
            map.apply_packed(row, RowChannels::One(channel), &mut dst[at..][..width * itemsize]);
        }
    } else {
        for channel in 0..channels {
            let elements = elements[channel..].iter_mut().step_by(channels);
            elements
                .zip(groups.channel(row, channel))
                .for_each(|(to, value)| *to = value.to_le_bytes());
        }
        let len = width * channels * itemsize;
        map.apply_packed(bytes, RowChannels::All, &mut dst[place * len..][..len]);
    }
    Ok(())
}
