//! One pass over an image of bytes: rows through the horizontal filter into a ring, through the
//! vertical filter out of it, and through the value map into the destination.
//!
//! The ring holds rows two by two: for each resized pixel of a channel one word, with the upper
//! row's value in its lower half. A multiplication of pairs needs its operands in this form, so the
//! vertical filter is a load and a multiplication for every two rows. If a filter starts with the
//! second row of a pair, the first has weight 0.
//!
//! Registers of NEON have the numbers of a pair in different words; `simd/vector.rs` says where. A
//! level with such registers has a body for all lanes and all sums, so no other code reads them.

#![expect(unsafe_code, reason = "calls vector bodies; see UNSAFE.md")]

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod lanes;
mod ring;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use std::ops::Range;

use ndlens_core::room;

use crate::error::Result;
use crate::map::{RowChannels, ValueMap};
use crate::pixels::{BLOCK, JOINED, join};
use crate::resize::bytes::lanes::{LaneLayout, Lanes, PADDING, SourceColumns};
use crate::resize::bytes::ring::{Stack, most_pairs, pair_weights, pairs, sum_word, to_byte};
use crate::resize::output::{ColumnOrder, ResizeOutput, ResizeWindow};
use crate::resize::source::SourceImage;
use crate::resize::taps::AxisTaps;
use crate::simd::affine::Affine;
use crate::simd::level::Level;
use crate::simd::stores::{Stores, fence};

/// The lanes without registers.
const SCALAR: LaneLayout =
    LaneLayout { lanes: 16, loads: 1, load_bytes: 0, windows: 0, pair_distance: 1 };

/// Memory that is reused for the next image.
#[derive(Debug, Default)]
pub(crate) struct ByteRows {
    lanes: Lanes,
    /// Two rows of the source, as planes.
    planes: Vec<u8>,
    /// Pairs of rows, resized horizontally.
    ring: Vec<u32>,
    /// Starts of the pairs of a resized row in the ring, and their weights.
    starts: Vec<usize>,
    weights: Vec<u32>,
    /// A resized row: planes, and interleaved.
    bytes: Vec<u8>,
    pixels: Vec<u8>,
}

/// A resize of an image of bytes whose rows come from the first to the last, some at a time.
#[derive(Debug)]
pub(crate) struct ByteResize<'a> {
    level: Level,
    channels: usize,
    /// The rows of the source.
    height: usize,
    window: ResizeWindow,
    /// The rows and columns of the source that are needed.
    needed: [Range<usize>; 2],
    taps: &'a AxisTaps,
    rows: &'a mut ByteRows,
    writer: Writer<'a>,
    dst: &'a mut [u8],
    layout: LaneLayout,
    /// Whether the pixels of a row are mirrored in memory; None before the first row.
    mirrored: Option<bool>,
    /// From a plane of a source's row to the next one, and the same of a resized row.
    plane: usize,
    out_plane: usize,
    /// Pairs of rows in the ring.
    slots: usize,
    /// The row of the source that is taken next.
    next_row: usize,
    /// The pair whose upper row is in the upper planes.
    upper: Option<usize>,
    /// The pair that is filtered next.
    next_pair: usize,
    /// The row of the window that is written next.
    place: usize,
}

impl<'a> ByteResize<'a> {
    /// A resize of images of `height` rows. The caller has checked sizes and dtypes, and the window
    /// is not empty.
    pub(crate) fn new(
        level: Level,
        channels: usize,
        height: usize,
        output: &ResizeOutput<'a>,
        dst: &'a mut [u8],
        taps: &'a AxisTaps,
        rows: &'a mut ByteRows,
    ) -> Result<Self> {
        let window = output.window;
        let layout = vector::lane_layout(level).unwrap_or(SCALAR);
        let columns = taps.horizontal.needed(window.columns());
        let rows_needed = taps.vertical.needed(window.rows());
        // A pair of rows is complete unless it is the image's last.
        let first = rows_needed.start / 2 * 2;
        let end = rows_needed.end.next_multiple_of(2).min(height);
        let plane = columns.len().next_multiple_of(BLOCK) + PADDING;
        room::resize(&mut rows.planes, 2 * channels * plane, 0)?;
        let out_plane = window.width.next_multiple_of(layout.lanes);
        let slots = most_pairs(&taps.vertical, window.rows());
        let row_words = channels * out_plane;
        room::resize(&mut rows.ring, slots * row_words, 0)?;
        // A block of pixels is joined from whole loads, also if it is wider than the registers of
        // sums.
        room::resize(&mut rows.bytes, row_words + JOINED, 0)?;
        let writer = Writer::new(level, output, channels, out_plane);
        Ok(ByteResize {
            level,
            channels,
            height,
            window,
            needed: [first..end, columns],
            taps,
            rows,
            writer,
            dst,
            layout,
            mirrored: None,
            plane,
            out_plane,
            slots,
            next_row: first,
            upper: None,
            next_pair: 0,
            place: 0,
        })
    }

    /// The rows and columns of the source that are needed.
    pub(crate) fn needed(&self) -> [Range<usize>; 2] {
        self.needed.clone()
    }

    /// The needed rows that were not taken yet.
    pub(crate) fn rows_left(&self) -> usize {
        self.needed[0].end - self.next_row
    }

    /// Takes the next rows of the needed part of the source, and writes the rows that they
    /// complete.
    pub(crate) fn push(&mut self, strip: &SourceImage<'_>) -> Result<()> {
        assert!(strip.width == self.needed[1].len() && strip.height <= self.rows_left());
        self.build_lanes(strip.mirrored)?;
        let written = self.write_rows(strip);
        self.next_row += strip.height;
        self.writer.finish();
        written
    }

    fn build_lanes(&mut self, mirrored: bool) -> Result<()> {
        if self.mirrored == Some(mirrored) {
            return Ok(());
        }
        let window = &self.window;
        let order = ColumnOrder { range: window.columns(), flip: window.flip_horizontal };
        let source = SourceColumns { range: self.needed[1].clone(), mirrored };
        self.rows.lanes.build(&self.taps.horizontal, &order, &source, self.layout)?;
        self.mirrored = Some(mirrored);
        Ok(())
    }

    fn write_rows(&mut self, strip: &SourceImage<'_>) -> Result<()> {
        let vertical = &self.taps.vertical;
        let row_words = self.channels * self.out_plane;
        while self.place < self.window.height {
            let row = self.window.top + self.place;
            let pairs = pairs(vertical, row);
            for pair in self.next_pair.max(pairs.start)..pairs.end {
                if !self.filter_pair(strip, pair) {
                    return Ok(());
                }
                self.next_pair = pair + 1;
            }
            let ByteRows { ring, starts, weights, bytes, pixels, .. } = &mut *self.rows;
            starts.clear();
            room::reserve(starts, pairs.len())?;
            starts.extend(pairs.clone().map(|pair| pair % self.slots * row_words));
            weights.clear();
            room::reserve(weights, pairs.len())?;
            weights.extend(pairs.map(|pair| pair_weights(vertical, row, pair)));
            let stack = Stack { ring, starts, weights, precision: vertical.precision };
            let last = self.window.height - 1;
            let place = if self.window.flip_vertical { last - self.place } else { self.place };
            self.writer.write(&stack, place, bytes, pixels, self.dst)?;
            self.place += 1;
        }
        Ok(())
    }

    /// Filters a pair of rows into the ring: whether both were there.
    fn filter_pair(&mut self, strip: &SourceImage<'_>, pair: usize) -> bool {
        let (first, end) = (self.next_row, self.next_row + strip.height);
        let (even, odd) = (2 * pair, (2 * pair + 1).min(self.height - 1));
        let ByteRows { lanes, planes, ring, .. } = &mut *self.rows;
        let (upper, lower) = planes.split_at_mut(self.channels * self.plane);
        if self.upper != Some(pair) {
            if even >= end {
                return false;
            }
            strip.split(self.level, even - first, upper, self.plane);
            self.upper = Some(pair);
        }
        if odd >= end {
            return false;
        }
        strip.split(self.level, odd - first, lower, self.plane);
        let row_words = self.channels * self.out_plane;
        let words = &mut ring[pair % self.slots * row_words..][..row_words];
        filter(self.level, lanes, upper, lower, self.plane, words, self.out_plane);
        true
    }
}

/// The output of resized rows.
#[derive(Debug)]
struct Writer<'a> {
    level: Level,
    map: &'a ValueMap,
    affine: Option<(&'a Affine, bool)>,
    channels: usize,
    out_plane: usize,
    height: usize,
    width: usize,
    channels_first: bool,
    stream: bool,
}

impl<'a> Writer<'a> {
    fn new(level: Level, output: &ResizeOutput<'a>, channels: usize, out_plane: usize) -> Self {
        Writer {
            level,
            map: output.map,
            affine: output.map.affine(),
            channels,
            out_plane,
            height: output.window.height,
            width: output.window.width,
            channels_first: output.channels_first || channels == 1,
            stream: output.stores == Stores::Stream,
        }
    }

    /// Computes one row of the stack and writes its results to row `place` of the destination.
    fn write(
        &self,
        stack: &Stack<'_>,
        place: usize,
        bytes: &mut [u8],
        pixels: &mut Vec<u8>,
        dst: &mut [u8],
    ) -> Result<()> {
        let itemsize = self.map.dtype().itemsize();
        let (width, plane) = (self.width, self.out_plane);
        if !self.channels_first {
            self.sum(stack, &mut bytes[..self.channels * plane]);
            join(self.level, bytes, plane, width, self.channels, pixels)?;
            let pixels = &pixels[..width * self.channels];
            let row = pixels.len() * itemsize;
            self.map.apply_packed(pixels, RowChannels::All, &mut dst[place * row..][..row]);
            return Ok(());
        }
        let places =
            (0..self.channels).map(|channel| (channel * self.height + place) * width * itemsize);
        if let Some((affine, apart)) = self.affine
            && let Some(floats) = vector::floats(self.level, affine)
        {
            for (channel, at) in places.enumerate() {
                let to = &mut dst[at..][..width * itemsize];
                let statistics = if apart { channel } else { 0 };
                // SAFETY: the body is the level's, so the machine has its instructions by invariant
                // 1 of `Level`. By invariant 1 of `Stack` each pair has `out_plane` words from the
                // channel's first on, the row's width rounded up to whole registers. The affine's
                // values were made for as many channels: `apply` compared them.
                unsafe { floats(stack, channel * plane, affine, statistics, to, self.stream) };
            }
            return Ok(());
        }
        self.sum(stack, &mut bytes[..self.channels * plane]);
        for (channel, at) in places.enumerate() {
            let row = &bytes[channel * plane..][..width];
            self.map.apply_packed(
                row,
                RowChannels::One(channel),
                &mut dst[at..][..width * itemsize],
            );
        }
        Ok(())
    }

    /// Sums all words of a row to bytes.
    fn sum(&self, stack: &Stack<'_>, bytes: &mut [u8]) {
        if let Some(sum) = vector::bytes(self.level) {
            // SAFETY: the body is the level's, so the machine has its instructions by invariant 1
            // of `Level`. By invariant 1 of `Stack` each pair has a word for each byte; a row is a
            // multiple of whole registers.
            unsafe { sum(stack, bytes) };
            return;
        }
        for (x, byte) in bytes.iter_mut().enumerate() {
            *byte = sum_word(stack, x);
        }
    }

    /// Makes streamed results visible to other threads.
    fn finish(&self) {
        if self.stream {
            fence();
        }
    }
}

/// Filters two rows, given as planes `plane` bytes apart, into planes of words `out_plane` apart.
fn filter(
    level: Level,
    lanes: &Lanes,
    upper: &[u8],
    lower: &[u8],
    plane: usize,
    words: &mut [u32],
    out_plane: usize,
) {
    let planes = upper.chunks_exact(plane).zip(lower.chunks_exact(plane));
    let planes = planes.zip(words.chunks_exact_mut(out_plane));
    if let Some(filter) = filter_body(level, lanes) {
        for ((upper, lower), words) in planes {
            // SAFETY: the body is the level's, so the machine has its instructions by invariant 1
            // of `Level`, and the lanes were built for its registers. A plane has `PADDING` bytes
            // behind its row's pixels; the words are as many as there are lanes.
            unsafe { filter(lanes, upper, lower, words) };
        }
        return;
    }
    for ((upper, lower), words) in planes {
        for (lane, word) in words.iter_mut().enumerate() {
            let start = lanes.starts[lane] as usize;
            let weights = &lanes.long[lane * lanes.stride..][..lanes.counts[lane] as usize];
            let byte = |row: &[u8]| {
                let products = weights.iter().zip(&row[start..]);
                let sum =
                    products.map(|(&weight, &byte)| i32::from(weight) * i32::from(byte)).sum();
                to_byte(sum, lanes.precision)
            };
            *word = byte(upper) | byte(lower) << 16;
        }
    }
}

/// The body for these lanes, if the level has one.
fn filter_body(level: Level, lanes: &Lanes) -> Option<vector::FilterBody> {
    #[cfg(target_arch = "x86_64")]
    if let Some(far) = x86_64::filter_far(level, lanes) {
        return Some(far);
    }
    #[cfg(target_arch = "aarch64")]
    if let Some(long) = aarch64::filter_long(level, lanes) {
        return Some(long);
    }
    vector::filter(level, lanes)
}
