//! The AVX-512 bodies for bytes, 64 at once: adjacent bytes of one channel, and pixels of 2 to 4
//! bytes that become planes.
//!
//! Pixels are loaded once, split in registers, mapped there and written, so that memory is the only
//! limit:
//!
//! ```text
//!  loads    RGBRGBRG BRGBRGBR GBRGBRGB
//!  channel  RRRRRRRR                    GGGGGGGG  BBBBBBBB
//!  mapped   R1 R2 R3 R4 ...             G1 G2 ... B1 B2 ...    each to the row of its plane
//! ```
//!
//! A byte has 256 results in every map. Results of one or two bytes are looked up: VBMI looks up in
//! two registers, 128 bytes, so there are two look-ups, and an element's highest bit selects one.
//! Floats are computed.
//!
//! Results of several bytes come out of a register in parts. The order of the elements before that
//! costs nothing, since a shuffle moves all of them anyway. The order is such that the parts are
//! whole, and reversed for mirrored pixels:
//!
//! ```text
//!  two bytes   elements 0..8 32..40 | 8..16 40..48 | ..
//!              low and high bytes are joined in each quarter by itself
//!  four bytes  elements 0 16 32 48 | 1 17 33 49 | ..
//!              the first 16 are the lowest bytes of the register's lanes
//! ```

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;

use crate::simd::affine::arithmetic::{BY_INVERSE, DIVIDE, SCALE};
use crate::simd::affine::{Affine, Constants};
use crate::simd::level::avx512;
use crate::simd::vector::{Single, Vector};
use crate::simd::x86_64::vector::Avx512;

/// The elements of a block, and the bytes of a register and of a line of the cache.
pub(crate) const BLOCK: usize = 64;

/// The number of blocks of a row of pixels that have separate instructions. The processor learns
/// for each load how far apart it reads, and fetches that far ahead. A load that goes along a row
/// learns the distance of blocks, and behind a row's end fetches unused lines, which takes a third
/// of the time of reading a crop. A load that reads once in a row learns the distance of rows, and
/// fetches the right lines.
const BLOCKS: usize = 4;

/// A map of bytes.
///
/// # Safety
///
/// The method needs AVX-512 F, BW, VL and VBMI, and the map must have been made for this channel,
/// counted from that of the pixels' first byte.
pub(crate) trait MapBytes: Copy {
    /// The bytes of a result.
    const SIZE: usize;
    /// As many registers.
    type Results: AsRef<[__m512i]>;

    /// The results of 64 elements, which are in the [order] of results of this many bytes.
    unsafe fn map(&self, elements: __m512i, channel: usize) -> Self::Results;
}

/// The identity.
#[derive(Clone, Copy)]
pub(crate) struct Same;

/// The results of all 256 bytes, split into their bytes, the lowest first.
pub(crate) type SplitTable<const SIZE: usize> = [[u8; 256]; SIZE];

/// Look-ups in the tables, one for each channel.
#[derive(Clone, Copy)]
pub(crate) struct LookedUp<'a, const SIZE: usize>(pub(crate) &'a [SplitTable<SIZE>]);

/// `float32`, scaled and normalised as [`arithmetic`](crate::simd::affine::arithmetic) says; of up
/// to 4 channels.
#[derive(Clone, Copy)]
pub(crate) struct Compute<const ARITHMETIC: u8> {
    scale: __m512,
    constants: [Constants<Avx512>; 4],
}

impl MapBytes for Same {
    const SIZE: usize = 1;
    type Results = [__m512i; 1];

    #[inline(always)]
    unsafe fn map(&self, elements: __m512i, _: usize) -> [__m512i; 1] {
        [elements]
    }
}

/// # Safety
///
/// As [`MapBytes::map`].
#[inline(always)]
unsafe fn looked_up(table: &[u8; 256], elements: __m512i) -> __m512i {
    // SAFETY: the table is four registers long.
    unsafe {
        let [a, b, c, d] = [0, 1, 2, 3]
            .map(|quarter| _mm512_loadu_si512(table.as_ptr().add(quarter * BLOCK).cast()));
        let lower = _mm512_permutex2var_epi8(a, elements, b);
        let upper = _mm512_permutex2var_epi8(c, elements, d);
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(elements), lower, upper)
    }
}

impl MapBytes for LookedUp<'_, 1> {
    const SIZE: usize = 1;
    type Results = [__m512i; 1];

    #[inline(always)]
    unsafe fn map(&self, elements: __m512i, channel: usize) -> [__m512i; 1] {
        // SAFETY: passed on.
        unsafe { [looked_up(&self.0[channel][0], elements)] }
    }
}

impl MapBytes for LookedUp<'_, 2> {
    const SIZE: usize = 2;
    type Results = [__m512i; 2];

    #[inline(always)]
    unsafe fn map(&self, elements: __m512i, channel: usize) -> [__m512i; 2] {
        let [low, high] = &self.0[channel];
        // SAFETY: passed on; arithmetic on registers.
        unsafe {
            let (low, high) = (looked_up(low, elements), looked_up(high, elements));
            [_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)]
        }
    }
}

impl<const ARITHMETIC: u8> Compute<ARITHMETIC> {
    /// # Safety
    ///
    /// As [`to_planes`].
    #[inline(always)]
    unsafe fn new(affine: &Affine, pixels: Pixels) -> Self {
        let channels = if pixels.apart { pixels.channels } else { 1 };
        // SAFETY: the caller guarantees the channels.
        unsafe {
            let mut constants = [Constants::new::<ARITHMETIC, false>(affine, pixels.channel); 4];
            for (i, constants) in constants.iter_mut().enumerate().take(channels) {
                *constants = Constants::new::<ARITHMETIC, false>(affine, pixels.channel + i);
            }
            Compute { scale: Avx512::splat(affine.scale), constants }
        }
    }
}

impl<const ARITHMETIC: u8> MapBytes for Compute<ARITHMETIC> {
    const SIZE: usize = 4;
    type Results = [__m512i; 4];

    #[inline(always)]
    unsafe fn map(&self, elements: __m512i, channel: usize) -> [__m512i; 4] {
        let constants = self.constants[channel];
        // SAFETY: arithmetic on registers.
        unsafe {
            let lowest = _mm512_set1_epi32(0xff);
            let quarters = [
                _mm512_and_si512(elements, lowest),
                _mm512_and_si512(_mm512_srli_epi32::<8>(elements), lowest),
                _mm512_and_si512(_mm512_srli_epi32::<16>(elements), lowest),
                _mm512_srli_epi32::<24>(elements),
            ];
            let mut results = quarters;
            for (result, quarter) in results.iter_mut().zip(quarters) {
                let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(quarter), self.scale);
                *result = _mm512_castps_si512(constants.normalize::<Single, ARITHMETIC>(scaled));
            }
            results
        }
    }
}

/// For each byte of a register of channel 0, the byte of a block's loads that it takes, for pixels
/// of this many bytes.
const fn order(pixel_bytes: usize, size: usize, mirrored: bool) -> [u8; BLOCK] {
    let mut order = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        let element = match size {
            1 => at,
            2 => 8 * (at / 16) + at % 8 + 32 * (at % 16 / 8),
            _ => 16 * (at % 4) + at / 4,
        };
        let pixel = if mirrored { BLOCK - 1 - element } else { element };
        order[at] = (pixel * pixel_bytes) as u8;
        at += 1;
    }
    order
}

/// A mask of the lowest `bits` bits, or of all.
#[inline(always)]
const fn lowest(bits: usize) -> __mmask64 {
    if bits < BLOCK { (1 << bits) - 1 } else { !0 }
}

/// Adjacent pixels of bytes: rows of them, or one row of a single channel.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pixels {
    /// The lowest byte of the first row.
    pub(crate) from: *const u8,
    pub(crate) row_stride: isize,
    /// Distance from a byte to the byte to prefetch, which may be anywhere.
    pub(crate) ahead: isize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Number of elements from one plane to the next: those of all rows, or more.
    pub(crate) plane: usize,
    /// Whether the pixels of a row are read from the last to the first.
    pub(crate) mirrored: bool,
    /// The bytes of a pixel, from 1 to 4.
    pub(crate) channels: usize,
    /// Channel of the first byte of a pixel, and whether the next byte is of the next channel.
    pub(crate) channel: usize,
    pub(crate) apart: bool,
}

/// The kind of a map.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mapping<'a> {
    Same,
    One(&'a [SplitTable<1>]),
    Two(&'a [SplitTable<2>]),
    /// To `float32`.
    Floats(&'a Affine),
}

impl Mapping<'_> {
    /// The bytes of a result.
    pub(crate) fn size(self) -> usize {
        match self {
            Mapping::Same | Mapping::One(_) => 1,
            Mapping::Two(_) => 2,
            Mapping::Floats(_) => 4,
        }
    }
}

avx512! {
    /// Writes the result of each byte to planes, one for each byte of a pixel. It writes past the
    /// cache if `stream` is true and rows are whole lines. A [`fence`](crate::simd::stores::fence)
    /// must follow then before another thread may read the planes.
    ///
    /// # Panics
    ///
    /// If `to` has another size than the planes, or the planes have no room for the pixels, or
    /// pixels are not 1 to 4 bytes. Sizes must not overflow.
    ///
    /// # Safety
    ///
    /// The machine must have AVX-512 F, BW, VL and VBMI. All pixels must be readable, and the map
    /// made for their channels.
    pub(crate) unsafe fn to_planes(
        mapping: Mapping<'_>,
        pixels: Pixels,
        to: &mut [u8],
        stream: bool,
    ) {
        // SAFETY: passed on.
        unsafe {
            match mapping {
                Mapping::Same => by_channels(Same, pixels, to, stream),
                Mapping::One(tables) => {
                    by_channels(LookedUp(&tables[pixels.channel..]), pixels, to, stream);
                }
                Mapping::Two(tables) => {
                    by_channels(LookedUp(&tables[pixels.channel..]), pixels, to, stream);
                }
                Mapping::Floats(affine) => {
                    match affine.normalize.as_ref().map(|normalize| normalize.by_inverse) {
                        None => {
                            by_channels(Compute::<SCALE>::new(affine, pixels), pixels, to, stream);
                        }
                        Some(true) => by_channels(
                            Compute::<BY_INVERSE>::new(affine, pixels),
                            pixels,
                            to,
                            stream,
                        ),
                        Some(false) => {
                            by_channels(Compute::<DIVIDE>::new(affine, pixels), pixels, to, stream);
                        }
                    }
                }
            }
        }
    }
}

avx512! {
    /// # Safety
    ///
    /// As [`to_planes`].
    unsafe fn by_channels<M: MapBytes>(map: M, pixels: Pixels, to: &mut [u8], stream: bool) {
        // SAFETY: passed on.
        unsafe {
            match pixels.channels {
                1 => all_rows::<M, 1>(map, pixels, to, stream),
                2 => all_rows::<M, 2>(map, pixels, to, stream),
                3 => all_rows::<M, 3>(map, pixels, to, stream),
                4 => all_rows::<M, 4>(map, pixels, to, stream),
                channels => panic!("pixels of {channels} bytes"),
            }
        }
    }
}

avx512! {
    /// # Safety
    ///
    /// As [`to_planes`].
    unsafe fn all_rows<M: MapBytes, const C: usize>(
        map: M,
        pixels: Pixels,
        to: &mut [u8],
        stream: bool,
    ) {
        let row_bytes = pixels.width * M::SIZE;
        let plane_bytes = pixels.plane * M::SIZE;
        assert!(pixels.plane >= pixels.height * pixels.width && to.len() == C * plane_bytes);
        let to = to.as_mut_ptr();
        // A line that is streamed in part, or next to a line that is written through the cache,
        // costs more than caching all lines. So rows are whole lines, or there is one row, whose
        // ends are written by masked stores.
        let in_lines = pixels.height == 1
            || row_bytes.is_multiple_of(BLOCK) && to.addr().is_multiple_of(BLOCK);
        let planes_start_alike = C == 1 || plane_bytes.is_multiple_of(BLOCK);
        let row = Row::<M, C> {
            map,
            pixels,
            plane_bytes,
            stream: stream && in_lines && planes_start_alike && to.addr().is_multiple_of(M::SIZE),
        };
        for y in 0..pixels.height {
            // SAFETY: the caller guarantees the pixels; there is room for the planes.
            unsafe {
                let from = pixels.from.wrapping_offset(pixels.row_stride * y as isize);
                row.run(from, to.add(y * row_bytes));
            }
        }
    }
}

/// The operation on each row of pixels of `C` bytes.
struct Row<M: MapBytes, const C: usize> {
    map: M,
    pixels: Pixels,
    /// Bytes from the results of a channel to those of the next.
    plane_bytes: usize,
    stream: bool,
}

// All of these need the instructions, a readable row from `from` on, and room for its results from
// `to` on, in each plane. No closures: they cannot be told to be inlined.
impl<M: MapBytes, const C: usize> Row<M, C> {
    /// Maps the row. Streaming stores need whole lines, so the ends of a row are written by masked
    /// stores.
    #[inline(always)]
    unsafe fn run(&self, from: *const u8, to: *mut u8) {
        let head = if self.stream { (BLOCK - to.addr() % BLOCK) % BLOCK / M::SIZE } else { 0 };
        let head = head.min(self.pixels.width);
        // SAFETY: all blocks are of the row, and what is streamed starts after the head. Each call
        // is compiled by itself.
        unsafe {
            if head > 0 {
                self.part(from, to, 0, head);
            }
            for x in (head..self.pixels.width).step_by(BLOCKS * BLOCK) {
                self.block(from, to, x);
                self.block(from, to, x + BLOCK);
                self.block(from, to, x + 2 * BLOCK);
                self.block(from, to, x + 3 * BLOCK);
            }
        }
    }

    /// Maps pixels `x..x + BLOCK`, or those up to the end of the row.
    #[inline(always)]
    unsafe fn block(&self, from: *const u8, to: *mut u8, x: usize) {
        // SAFETY: these pixels are the row's.
        unsafe {
            if x + BLOCK <= self.pixels.width {
                self.map::<true>(from, to, x, BLOCK);
            } else if x < self.pixels.width {
                self.part(from, to, x, self.pixels.width - x);
            }
        }
    }

    avx512! {
        #[inline(never)]
        unsafe fn part(&self, from: *const u8, to: *mut u8, x: usize, count: usize) {
            // SAFETY: passed on.
            unsafe { self.map::<false>(from, to, x, count) }
        }
    }

    /// Maps pixels `x..x + count`, which are a block if `WHOLE`, and fewer otherwise.
    #[inline(always)]
    unsafe fn map<const WHOLE: bool>(&self, from: *const u8, to: *mut u8, x: usize, count: usize) {
        let start = if self.pixels.mirrored { self.pixels.width - x - count } else { x };
        let orders = const { [order(C, M::SIZE, false), order(C, M::SIZE, true)] };
        // SAFETY: the order is as long as a register. Loads are of the bytes of these pixels, which
        // are readable, or masked to them. Whole blocks are stored where their results belong,
        // aligned where they are streamed; of others the stores are masked. A prefetch may point
        // anywhere.
        unsafe {
            let mut loads = [_mm512_setzero_si512(); 4];
            for (i, load) in loads[..C].iter_mut().enumerate() {
                let bytes = from.wrapping_add(start * C + i * BLOCK);
                _mm_prefetch::<_MM_HINT_T0>(bytes.wrapping_offset(self.pixels.ahead).cast());
                *load = if WHOLE {
                    _mm512_loadu_si512(bytes.cast())
                } else {
                    _mm512_maskz_loadu_epi8(
                        lowest((count * C).saturating_sub(i * BLOCK)),
                        bytes.cast(),
                    )
                };
            }
            let mut order =
                _mm512_loadu_si512(orders[usize::from(self.pixels.mirrored)].as_ptr().cast());
            if !WHOLE && self.pixels.mirrored {
                // With fewer pixels, the last one is nearer to the first.
                order = _mm512_sub_epi8(order, _mm512_set1_epi8(((BLOCK - count) * C) as i8));
            }
            for channel in 0..C {
                let elements = if C == 1 {
                    _mm512_permutexvar_epi8(order, loads[0])
                } else {
                    let lower = _mm512_permutex2var_epi8(loads[0], order, loads[1]);
                    if C == 2 {
                        lower
                    } else {
                        // The highest bit selects the loads: the first two, or those after.
                        let upper = _mm512_permutex2var_epi8(loads[2], order, loads[3]);
                        _mm512_mask_blend_epi8(_mm512_movepi8_mask(order), lower, upper)
                    }
                };
                let results = self.map.map(elements, if self.pixels.apart { channel } else { 0 });
                let to = to.add(channel * self.plane_bytes + x * M::SIZE);
                for (i, &register) in results.as_ref().iter().enumerate() {
                    let left =
                        if WHOLE { BLOCK } else { (count * M::SIZE).saturating_sub(i * BLOCK) };
                    // A store with an empty mask would still fetch a line, which the next row will
                    // stream.
                    if left == 0 {
                        break;
                    }
                    let to = to.wrapping_add(i * BLOCK);
                    let stream =
                        self.stream && (WHOLE || left >= BLOCK && to.addr().is_multiple_of(BLOCK));
                    if stream {
                        _mm512_stream_si512(to.cast(), register);
                    } else if WHOLE {
                        _mm512_storeu_si512(to.cast(), register);
                    } else {
                        _mm512_mask_storeu_epi8(to.cast(), lowest(left), register);
                    }
                }
                order = _mm512_add_epi8(order, _mm512_set1_epi8(1));
            }
        }
    }
}
