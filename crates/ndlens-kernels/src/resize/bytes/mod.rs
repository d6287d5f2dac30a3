//! One pass over an image of bytes: rows through the horizontal filter into a ring, through the
//! vertical filter out of it, and through the value map into the destination.
//!
//! The ring holds rows two by two: for each resized pixel of a channel one word, with the upper
//! row's value in its lower half. That is how a multiplication of pairs wants its operands, so the
//! vertical filter is a load and a multiplication for every two rows. Where a filter starts with
//! the second row of a pair, the first has weight 0.

#![expect(unsafe_code, reason = "calls vector bodies; see UNSAFE.md")]

pub(crate) mod lanes;
#[cfg(target_arch = "x86_64")]
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

use ndlens_core::room;

use crate::error::Result;
use crate::map::bodies::Affine;
use crate::map::{RowChannels, Stores, ValueMap};
#[cfg(target_arch = "x86_64")]
use crate::pixels::avx2;
use crate::resize::bytes::lanes::{Lanes, Order, PADDING, Register};
use crate::resize::source::Source;
use crate::resize::taps::Taps;
use crate::resize::{Finish, Resize, Scratch};
use crate::simd::level::Isa;

/// What the oracle's registers are like.
const SCALAR: Register = Register { lanes: 16, loads: 1, load_bytes: 0, windows: 0 };

/// How many pixels are joined from planes at once.
const BLOCK: usize = 16;

/// Memory that is used again for the next image.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    lanes: Lanes,
    /// Two rows of the source, as planes.
    planes: Vec<u8>,
    /// Pairs of rows, resized horizontally.
    ring: Vec<u32>,
    /// Where in the ring the pairs of a resized row begin, and their weights.
    starts: Vec<usize>,
    weights: Vec<u32>,
    /// A resized row: planes, and interleaved.
    bytes: Vec<u8>,
    pixels: Vec<u8>,
}

/// Pairs of rows and their weights: what becomes one row.
///
/// # Invariants
///
/// 1. `starts` and `weights` are of the same length, and from each start on the ring has as many
///    words as a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stack<'a> {
    pub(crate) ring: &'a [u32],
    pub(crate) starts: &'a [usize],
    pub(crate) weights: &'a [u32],
    pub(crate) precision: u32,
}

/// Resizes an image of bytes; sizes and dtypes fit, and there is something to write.
pub(crate) fn run(
    resize: &Resize,
    source: &Source<'_>,
    finish: &Finish<'_>,
    dst: &mut [u8],
    scratch: &mut Scratch,
) -> Result<()> {
    let Scratch { vertical, horizontal, rows, .. } = scratch;
    let Rows { lanes, planes, ring, starts, weights, bytes, pixels } = rows;
    let (isa, channels, window) = (resize.isa, resize.channels, &finish.window);
    let register = register(isa);
    lanes.build(
        horizontal,
        &Order {
            range: window.columns(),
            flip: window.flip_horizontal,
            mirrored: source.mirrored.then_some(source.width),
        },
        register,
    )?;
    let plane = source.width.next_multiple_of(64) + PADDING;
    room::resize(planes, 2 * channels * plane, 0)?;
    let (upper, lower) = planes.split_at_mut(channels * plane);
    let out_plane = lanes.groups * register.lanes;
    let row_words = channels * out_plane;
    let slots = most_pairs(vertical, window.rows());
    room::resize(ring, slots * row_words, 0)?;
    // A block of pixels is joined from whole loads, also where it is wider than the registers of
    // sums.
    room::resize(bytes, row_words + BLOCK, 0)?;

    let mut writer = Writer::new(isa, finish, channels, out_plane, pixels);
    let mut next_pair = 0;
    for (place, row) in window.rows().enumerate() {
        let pairs = pairs(vertical, row);
        for pair in next_pair.max(pairs.start)..pairs.end {
            source.split(isa, 2 * pair, upper, plane);
            let odd = (2 * pair + 1).min(source.height - 1);
            source.split(isa, odd, lower, plane);
            let words = &mut ring[pair % slots * row_words..][..row_words];
            filter(isa, lanes, upper, lower, plane, words, out_plane);
        }
        next_pair = pairs.end;
        starts.clear();
        room::reserve(starts, pairs.len())?;
        starts.extend(pairs.clone().map(|pair| pair % slots * row_words));
        weights.clear();
        room::reserve(weights, pairs.len())?;
        weights.extend(pairs.map(|pair| pair_weights(vertical, row, pair)));
        let stack = Stack { ring, starts, weights, precision: vertical.precision };
        let place = if window.flip_vertical { window.height - 1 - place } else { place };
        if let Err(error) = writer.write(&stack, place, bytes, dst) {
            writer.finish();
            return Err(error);
        }
    }
    writer.finish();
    Ok(())
}

/// The pairs of rows that a resized row is computed from.
fn pairs(taps: &Taps, row: usize) -> std::ops::Range<usize> {
    let (start, count) = (taps.starts[row] as usize, taps.counts[row] as usize);
    start / 2..(start + count).div_ceil(2)
}

fn most_pairs(taps: &Taps, rows: std::ops::Range<usize>) -> usize {
    rows.map(|row| pairs(taps, row).len()).max().unwrap_or(1)
}

/// The weights of a pair of rows, the upper one's in the lower half.
fn pair_weights(taps: &Taps, row: usize, pair: usize) -> u32 {
    let weights = taps.fixed_of(row);
    let weight = |y: usize| {
        let weight = y.checked_sub(taps.starts[row] as usize).and_then(|tap| weights.get(tap));
        u32::from(weight.map_or(0, |&weight| weight.cast_unsigned()))
    };
    weight(2 * pair) | weight(2 * pair + 1) << 16
}

/// Where resized rows go.
struct Writer<'a> {
    isa: Isa,
    map: &'a ValueMap,
    affine: Option<(&'a Affine, bool)>,
    channels: usize,
    out_plane: usize,
    height: usize,
    width: usize,
    channels_first: bool,
    stream: bool,
    pixels: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(
        isa: Isa,
        finish: &Finish<'a>,
        channels: usize,
        out_plane: usize,
        pixels: &'a mut Vec<u8>,
    ) -> Self {
        Writer {
            isa,
            map: finish.map,
            affine: finish.map.affine(),
            channels,
            out_plane,
            height: finish.window.height,
            width: finish.window.width,
            channels_first: finish.channels_first || channels == 1,
            stream: finish.stores == Stores::Stream,
            pixels,
        }
    }

    /// Makes one row of the stack and writes what becomes of it to row `place` of the destination.
    fn write(
        &mut self,
        stack: &Stack<'_>,
        place: usize,
        bytes: &mut [u8],
        dst: &mut [u8],
    ) -> Result<()> {
        let itemsize = self.map.dtype().itemsize();
        let (width, plane) = (self.width, self.out_plane);
        if !self.channels_first {
            self.sum(stack, &mut bytes[..self.channels * plane]);
            interleave(self.isa, bytes, plane, width, self.channels, self.pixels)?;
            let pixels = &self.pixels[..width * self.channels];
            let row = pixels.len() * itemsize;
            self.map.apply_packed(pixels, RowChannels::All, &mut dst[place * row..][..row]);
            return Ok(());
        }
        let places =
            (0..self.channels).map(|channel| (channel * self.height + place) * width * itemsize);
        #[cfg(target_arch = "x86_64")]
        if let Some((affine, apart)) = self.affine
            && let Some(floats) = vector::floats(self.isa, affine)
        {
            for (channel, at) in places.enumerate() {
                let to = &mut dst[at..][..width * itemsize];
                let statistics = if apart { channel } else { 0 };
                // SAFETY: `Isa` says that the machine has the instructions. By invariant 1 of
                // `Stack` each pair has `out_plane` words from the channel's first on, the row's
                // width rounded up to whole registers. The affine's values were made for as many
                // channels: `apply` compared them.
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

    /// The sums of all words of a row, as bytes.
    fn sum(&self, stack: &Stack<'_>, bytes: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(sum) = vector::bytes(self.isa) {
            // SAFETY: `Isa` says that the machine has the instructions. By invariant 1 of `Stack`
            // each pair has a word for each byte; a row is a multiple of whole registers.
            unsafe { sum(stack, bytes) };
            return;
        }
        for (x, byte) in bytes.iter_mut().enumerate() {
            let pairs = stack.starts.iter().zip(stack.weights);
            let sum =
                pairs.map(|(start, &weight)| multiply_pair(stack.ring[start + x], weight)).sum();
            *byte = to_byte(sum, stack.precision) as u8;
        }
    }

    /// Makes what was streamed visible to other threads.
    fn finish(&self) {
        #[cfg(target_arch = "x86_64")]
        if self.stream {
            crate::simd::x86_64::vector::fence();
        }
    }
}

/// The registers that an instruction set's bodies expect.
fn register(isa: Isa) -> Register {
    #[cfg(target_arch = "x86_64")]
    if let Some(register) = vector::register(isa) {
        return register;
    }
    let _ = isa;
    SCALAR
}

/// Filters two rows, given as planes `plane` bytes apart, into planes of words `out_plane` apart.
fn filter(
    isa: Isa,
    lanes: &Lanes,
    upper: &[u8],
    lower: &[u8],
    plane: usize,
    words: &mut [u32],
    out_plane: usize,
) {
    #[cfg(target_arch = "x86_64")]
    if let Some(filter) = vector::filter(isa, lanes) {
        let planes = upper.chunks_exact(plane).zip(lower.chunks_exact(plane));
        for ((upper, lower), words) in planes.zip(words.chunks_exact_mut(out_plane)) {
            // SAFETY: `Isa` says that the machine has the instructions, and the lanes were built
            // for its registers. A plane has `PADDING` bytes behind its row's pixels; the words are
            // as many as there are lanes.
            unsafe { filter(lanes, upper, lower, words) };
        }
        return;
    }
    let _ = isa;
    let planes = upper.chunks_exact(plane).zip(lower.chunks_exact(plane));
    for ((upper, lower), words) in planes.zip(words.chunks_exact_mut(out_plane)) {
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

/// Both products of the halves, added.
fn multiply_pair(word: u32, weights: u32) -> i32 {
    let half = |word: u32, shift: u32| i32::from((word >> shift) as i16);
    half(word, 0) * half(weights, 0) + half(word, 16) * half(weights, 16)
}

/// The nearest byte of a fixed-point number.
fn to_byte(sum: i32, precision: u32) -> u32 {
    let half = 1i32 << precision >> 1;
    ((sum + half) >> precision).clamp(0, 255).cast_unsigned()
}

/// Planes of bytes, with [`BLOCK`] bytes behind the last, to pixels, rounded up to whole blocks.
fn interleave(
    isa: Isa,
    planes: &[u8],
    plane: usize,
    width: usize,
    channels: usize,
    pixels: &mut Vec<u8>,
) -> Result<()> {
    room::resize(pixels, width.next_multiple_of(BLOCK) * channels, 0)?;
    #[cfg(target_arch = "x86_64")]
    if let Some(join) = avx2::join(isa, channels) {
        const { assert!(BLOCK == avx2::JOINED) };
        assert!(planes.len() >= (channels - 1) * plane + width.next_multiple_of(BLOCK));
        // SAFETY: `Isa` says that the machine has the instructions. The pixels are whole blocks; as
        // many bytes are there from the last plane on, and so from each.
        unsafe { join(planes.as_ptr(), plane, pixels) };
        return Ok(());
    }
    let _ = isa;
    for (channel, plane) in planes.chunks_exact(plane).take(channels).enumerate() {
        for (to, &byte) in pixels[channel..].iter_mut().step_by(channels).zip(&plane[..width]) {
            *to = byte;
        }
    }
    Ok(())
}
