//! One pass over an image of `float32`: as that over bytes, with rows instead of pairs in the ring.
//!
//! Sums go from the first tap to the last, which is torch's order within an axis.

use crate::resize::{Finish, Resize, Scratch};
use crate::resize_lanes::Order;
use crate::resize_source::Source;
use crate::resize_weights::Taps;
use crate::value::RowChannels;

/// Memory that is used again for the next image.
#[derive(Debug, Default)]
pub(crate) struct FloatRows {
    /// A row of the source, as planes.
    planes: Vec<f32>,
    /// Rows, resized horizontally.
    ring: Vec<f32>,
    /// A resized row: planes, and bytes as they are mapped.
    row: Vec<f32>,
    bytes: Vec<u8>,
}

/// Resizes an image of floats; sizes and dtypes fit, and there is something to write.
pub(crate) fn run(
    resize: &Resize,
    source: &Source<'_>,
    finish: &Finish<'_>,
    dst: &mut [u8],
    scratch: &mut Scratch,
) {
    let Scratch { vertical, horizontal, floats, .. } = scratch;
    let FloatRows { planes, ring, row, bytes } = floats;
    let (channels, window) = (resize.channels, &finish.window);
    let order = Order { range: window.columns(), flip: window.flip_horizontal, mirrored: None };
    let len = channels * window.width;
    let slots = window.rows().map(|row| vertical.counts[row] as usize).max().unwrap_or(1);
    planes.resize(channels * source.width, 0.0);
    ring.resize(slots * len, 0.0);
    row.resize(len, 0.0);
    let mut next = 0;
    for (place, i) in window.rows().enumerate() {
        let start = vertical.starts[i] as usize;
        let end = start + vertical.counts[i] as usize;
        for y in next.max(start)..end {
            source.split_floats(y, planes);
            let to = &mut ring[y % slots * len..][..len];
            for (plane, to) in planes.chunks_exact(source.width).zip(to.chunks_exact_mut(window.width)) {
                filter(horizontal, &order, plane, to);
            }
        }
        next = end;
        for (tap, &weight) in vertical.single_of(i).iter().enumerate() {
            let from = &ring[(start + tap) % slots * len..][..len];
            if tap == 0 {
                row.iter_mut().zip(from).for_each(|(sum, value)| *sum = weight * value);
            } else {
                row.iter_mut().zip(from).for_each(|(sum, value)| *sum += weight * value);
            }
        }
        let place = if window.flip_vertical { window.height - 1 - place } else { place };
        write(finish, channels, row, place, bytes, dst);
    }
}

/// Filters a plane of one row.
fn filter(taps: &Taps, order: &Order, plane: &[f32], to: &mut [f32]) {
    for (place, to) in to.iter_mut().enumerate() {
        let i = order.pixel(place);
        let start = taps.starts[i] as usize;
        let mut products =
            taps.single_of(i).iter().zip(&plane[start..]).map(|(weight, value)| weight * value);
        let first = products.next().unwrap_or(0.0);
        *to = products.fold(first, |sum, product| sum + product);
    }
}

/// Writes what becomes of a resized row, given as planes, to row `place` of the destination.
fn write(
    finish: &Finish<'_>,
    channels: usize,
    row: &[f32],
    place: usize,
    bytes: &mut Vec<u8>,
    dst: &mut [u8],
) {
    let (window, map) = (&finish.window, finish.map);
    let (width, itemsize) = (window.width, map.dtype().itemsize());
    bytes.resize(size_of_val(row), 0);
    let elements = bytes.as_chunks_mut().0;
    if finish.channels_first {
        elements.iter_mut().zip(row).for_each(|(to, value)| *to = value.to_le_bytes());
        for (channel, row) in bytes.chunks_exact(width * size_of::<f32>()).enumerate() {
            let at = (channel * window.height + place) * width * itemsize;
            map.apply_packed(row, RowChannels::One(channel), &mut dst[at..][..width * itemsize]);
        }
    } else {
        for (channel, plane) in row.chunks_exact(width).enumerate() {
            let elements = elements[channel..].iter_mut().step_by(channels);
            elements.zip(plane).for_each(|(to, value)| *to = value.to_le_bytes());
        }
        let len = width * channels * itemsize;
        map.apply_packed(bytes, RowChannels::All, &mut dst[place * len..][..len]);
    }
}
