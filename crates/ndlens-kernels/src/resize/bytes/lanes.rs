//! The taps of an axis in the form that registers need.
//!
//! Neighbouring resized pixels need a few neighbouring source pixels each. If a register's lanes
//! need no more bytes of a row than one load has, that load and a shuffle for every two taps move
//! each lane's pixels to their place:
//!
//! ```text
//!  load      a b c d e f g h ..
//!  lane      0     1     2     3            each lane: two pixels of 16 bits,
//!                                           times two weights of 16 bits, added
//!  taps 0,1  a b   b c   d e   e f
//!  taps 2,3  c d   d e   f g   g h
//! ```
//!
//! If an image gets so much smaller that lanes are too far apart for one load, they are picked from
//! several adjacent loads. If that would be too many loads, each lane has enough taps to fill
//! separate registers: those are the long lanes.

use std::ops::Range;

use ndlens_core::room;

use crate::error::Result;
use crate::resize::output::ColumnOrder;
use crate::resize::taps::Taps;

/// The taps of a long lane are padded to a multiple of this.
pub(crate) const LONG: usize = 16;

/// The most adjacent loads.
pub(crate) const WINDOWS: usize = 4;

/// Number of bytes that may be read after the last pixel of a row: adjacent loads are not longer.
pub(crate) const PADDING: usize = 64 * WINDOWS;

/// A byte of a shuffle that makes a 0.
const ZERO: u32 = 0x80;

/// Properties of the registers of an instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LaneLayout {
    /// Number of 32-bit sums in a register.
    pub(crate) lanes: usize,
    /// Number of loads that fill a register, each for an equal part of the lanes, and each of the
    /// same length.
    pub(crate) loads: usize,
    /// Bytes of a load, a power of 2 up to 64; 0 if there is no shuffle, so that all lanes are
    /// long.
    pub(crate) load_bytes: usize,
    /// Number of adjacent loads from which lanes can be picked, up to [`WINDOWS`]; more than 1 only
    /// if `loads` is 1.
    pub(crate) windows: usize,
    /// [`Words::PAIR_DISTANCE`](crate::simd::vector::Words::PAIR_DISTANCE) of the registers.
    pub(crate) pair_distance: usize,
}

impl LaneLayout {
    /// The places of a lane's two numbers in a register, counted in numbers of 16 bits.
    fn places(self, lane: usize) -> [usize; 2] {
        let distance = self.pair_distance;
        let first = lane / distance * 2 * distance + lane % distance;
        [first, first + distance]
    }
}

/// The pixels of a source's row that are there, and their order in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceColumns {
    pub(crate) range: Range<usize>,
    /// Whether the last of them comes first.
    pub(crate) mirrored: bool,
}

impl SourceColumns {
    /// The place in memory of the first of `count` pixels from `start` on.
    fn place(&self, start: u32, count: u32) -> u32 {
        if self.mirrored {
            self.range.end as u32 - start - count
        } else {
            start - self.range.start as u32
        }
    }
}

/// The lanes of a row.
///
/// # Invariants
///
/// 1. There are `groups` registers of lanes; those beyond the row's have weights of 0.
/// 2. If `pairs` is above 0, `bases` has an entry for each load of each group, a source pixel of
///    the row; `shuffles` and `weights` have a register for each pair of each group. If `windows`
///    is above 1, `masks` has an entry for each window of each pair of each group: a bit for each
///    byte of the register that is picked from it. A register of pairs has their numbers where the
///    layout says.
/// 3. If `pairs` is 0, `starts` has an entry for each lane of each group and `long` has `stride`
///    weights for each, a multiple of [`LONG`]; no lane's weights other than 0 reach beyond the
///    row.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    pub(crate) groups: usize,
    pub(crate) pairs: usize,
    pub(crate) windows: usize,
    pub(crate) masks: Vec<u64>,
    pub(crate) bases: Vec<u32>,
    pub(crate) shuffles: Vec<u32>,
    pub(crate) weights: Vec<u32>,
    pub(crate) stride: usize,
    pub(crate) starts: Vec<u32>,
    pub(crate) long: Vec<i16>,
    pub(crate) precision: u32,
    /// Number of a lane's weights without padding.
    pub(crate) counts: Vec<u32>,
}

impl Lanes {
    /// Arranges the taps of a row's pixels in the order in which the pixels are written.
    pub(crate) fn build(
        &mut self,
        taps: &Taps,
        order: &ColumnOrder,
        source: &SourceColumns,
        layout: LaneLayout,
    ) -> Result<()> {
        self.precision = taps.precision;
        self.groups = order.range.len().div_ceil(layout.lanes);
        self.starts.clear();
        self.counts.clear();
        room::reserve(&mut self.starts, self.groups * layout.lanes)?;
        room::reserve(&mut self.counts, self.groups * layout.lanes)?;
        for lane in 0..order.range.len() {
            let i = order.pixel(lane);
            let (start, count) = (taps.starts[i], taps.counts[i]);
            self.starts.push(source.place(start, count));
            self.counts.push(count);
        }
        let last = *self.starts.last().expect("a row has a pixel");
        self.starts.resize(self.groups * layout.lanes, last);
        self.counts.resize(self.groups * layout.lanes, 0);
        let most = self.counts.iter().max().map_or(1, |&count| count as usize);
        self.pairs = 0;
        if layout.load_bytes > 0 && self.find_bases(layout)? {
            self.pairs = most.div_ceil(2);
            self.shuffle(taps, order, source.mirrored, layout)
        } else {
            self.stride = most.next_multiple_of(LONG);
            self.lengthen(taps, order, source.mirrored)
        }
    }

    /// Computes the starts of the loads, and how many adjacent loads are needed. False if they
    /// would be too many.
    fn find_bases(&mut self, layout: LaneLayout) -> Result<bool> {
        self.bases.clear();
        room::reserve(&mut self.bases, self.groups * layout.loads)?;
        self.windows = 1;
        let per_load = layout.lanes / layout.loads;
        for (starts, counts) in self.starts.chunks(per_load).zip(self.counts.chunks(per_load)) {
            let base = *starts.iter().min().expect("a chunk has an element");
            let end =
                starts.iter().zip(counts).map(|(start, count)| start + count).max().unwrap_or(base);
            self.windows = self.windows.max(((end - base) as usize).div_ceil(layout.load_bytes));
            self.bases.push(base);
        }
        Ok(self.windows <= layout.windows)
    }

    fn shuffle(
        &mut self,
        taps: &Taps,
        order: &ColumnOrder,
        mirrored: bool,
        layout: LaneLayout,
    ) -> Result<()> {
        let (lanes, pairs) = (layout.lanes, self.pairs);
        let mask = layout.load_bytes as u32 - 1;
        self.masks.clear();
        if self.windows > 1 {
            room::resize(&mut self.masks, self.groups * pairs * self.windows, 0)?;
        }
        self.shuffles.clear();
        room::resize(&mut self.shuffles, self.groups * pairs * lanes, 0)?;
        self.weights.clear();
        room::resize(&mut self.weights, self.groups * pairs * lanes, 0)?;
        for (lane, &start) in self.starts.iter().enumerate() {
            let (group, at) = (lane / lanes, lane % lanes);
            let offset = start - self.bases[lane / (lanes / layout.loads)];
            let weights =
                if lane < order.range.len() { taps.fixed_of(order.pixel(lane)) } else { &[] };
            let weight = |tap: usize| {
                let tap = if mirrored { weights.len().wrapping_sub(tap + 1) } else { tap };
                u32::from(weights.get(tap).map_or(0, |&weight| weight.cast_unsigned()))
            };
            let places = layout.places(at);
            for pair in 0..pairs {
                let register = (group * pairs + pair) * lanes;
                let byte = offset + 2 * pair as u32;
                if self.windows > 1 {
                    for (byte, bit) in [(byte, 2 * places[0]), (byte + 1, 2 * places[1])] {
                        let window = byte as usize / layout.load_bytes;
                        if window < self.windows {
                            self.masks[(group * pairs + pair) * self.windows + window] |= 1 << bit;
                        }
                    }
                }
                // Bytes beyond the loads are multiplied by 0, so their indices may wrap around.
                for (number, place) in places.into_iter().enumerate() {
                    let (word, shift) = (register + place / 2, 16 * (place % 2));
                    let byte = (byte + number as u32) & mask;
                    self.shuffles[word] |= (byte | ZERO << 8) << shift;
                    self.weights[word] |= weight(2 * pair + number) << shift;
                }
            }
        }
        Ok(())
    }

    fn lengthen(&mut self, taps: &Taps, order: &ColumnOrder, mirrored: bool) -> Result<()> {
        self.long.clear();
        room::resize(&mut self.long, self.starts.len() * self.stride, 0)?;
        for (lane, to) in
            self.long.chunks_exact_mut(self.stride).take(order.range.len()).enumerate()
        {
            let weights = taps.fixed_of(order.pixel(lane));
            to[..weights.len()].copy_from_slice(weights);
            if mirrored {
                to[..weights.len()].reverse();
            }
        }
        Ok(())
    }
}
