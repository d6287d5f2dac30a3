//! Vector bodies for x86-64: one body, written once over [`Vector`], and its two instruction sets.
//!
//! A row of bytes that stand 1 to 4 apart, in either direction, is read as a block of one
//! register's lanes at a time: the bytes from the block's first element to its last, and none
//! beyond, are loaded and shuffled so that each lane gets its own. Interleaved and planar, mirrored
//! and not are so one body with another shuffle:
//!
//! ```text
//!  stride 3     |R..R..R..R..|      stride -3    |..R..R..R..R|
//!  lane          0  1  2  3         lane           3  2  1  0
//! ```
//!
//! Streaming stores need the destination aligned to the register, and a line of the cache written
//! by both kinds of store costs more than either. So a row's head and tail are masked stores of
//! just their lanes, of blocks that begin at the row's start and end at its end.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a body has not its instructions enabled and passes registers through memory"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;
use std::ops::RangeInclusive;
use std::ptr;

use crate::map::bodies::{Affine, MAX_LANES, Normalize, Rounding};
use crate::simd::level::Isa;
use crate::simd::x86_64::half::{Bfloat16, Float16, Form, Halves, Single};

/// The distances of bytes, in either direction, that the bodies know how to shuffle.
pub(crate) const STRIDES: RangeInclusive<usize> = 1..=4;

/// Bytes on their way into one row of floats.
#[derive(Clone, Copy)]
pub(crate) struct ByteRow {
    pub(crate) from: *const u8,
    pub(crate) stride: isize,
    /// The channel of the first element.
    pub(crate) channel: usize,
    /// After how many elements the channels repeat; 1 if all are of one channel.
    pub(crate) cycle: usize,
    /// How far from an element to fetch what is needed soon; may point anywhere.
    pub(crate) ahead_bytes: isize,
}

/// A body: maps a row of bytes to the little-endian floats of its third argument, past the cache if
/// the fourth says so.
///
/// # Safety
///
/// The machine must have the body's instructions. Each of the row's elements, as many as floats fit
/// the destination, must be readable, with all bytes between; there must be at least [`MAX_LANES`];
/// the stride must be among [`STRIDES`], or minus one. The affine's values must have been made for
/// more than `channel` channels, and for `cycle` of them where that is above 1.
pub(crate) type RowBody = unsafe fn(&Affine, ByteRow, &mut [u8], bool);

/// How a row is computed.
pub(crate) mod arithmetic {
    pub(crate) const SCALE: u8 = 0;
    pub(crate) const BY_INVERSE: u8 = 1;
    pub(crate) const DIVIDE: u8 = 2;
}
use arithmetic::{BY_INVERSE, DIVIDE, SCALE};

/// The body of an instruction set for these values, if it has one.
pub(crate) fn row_body(isa: Isa, affine: &Affine, cyclic: bool) -> Option<RowBody> {
    let by_inverse = affine.normalize.as_ref().map(|normalize| normalize.by_inverse);
    match affine.rounding {
        Rounding::Single => body::<Single>(isa, by_inverse, cyclic),
        Rounding::Float16 { each: false } => body::<Float16<false>>(isa, by_inverse, cyclic),
        Rounding::Float16 { each: true } => body::<Float16<true>>(isa, by_inverse, cyclic),
        Rounding::Bfloat16 { each: false } => body::<Bfloat16<false>>(isa, by_inverse, cyclic),
        Rounding::Bfloat16 { each: true } => body::<Bfloat16<true>>(isa, by_inverse, cyclic),
    }
}

fn body<F: Form>(isa: Isa, by_inverse: Option<bool>, cyclic: bool) -> Option<RowBody> {
    Some(match (isa, by_inverse, cyclic) {
        (Isa::Scalar, ..) => return None,
        (Isa::Avx2, None, _) => avx2_row::<F, SCALE, false>,
        (Isa::Avx2, Some(true), false) => avx2_row::<F, BY_INVERSE, false>,
        (Isa::Avx2, Some(true), true) => avx2_row::<F, BY_INVERSE, true>,
        (Isa::Avx2, Some(false), false) => avx2_row::<F, DIVIDE, false>,
        (Isa::Avx2, Some(false), true) => avx2_row::<F, DIVIDE, true>,
        (Isa::Avx512, None, _) => avx512_row::<F, SCALE, false>,
        (Isa::Avx512, Some(true), false) => avx512_row::<F, BY_INVERSE, false>,
        (Isa::Avx512, Some(true), true) => avx512_row::<F, BY_INVERSE, true>,
        (Isa::Avx512, Some(false), false) => avx512_row::<F, DIVIDE, false>,
        (Isa::Avx512, Some(false), true) => avx512_row::<F, DIVIDE, true>,
    })
}

/// # Safety
///
/// As [`RowBody`].
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn avx2_row<F: Form, const ARITHMETIC: u8, const CYCLIC: bool>(
    affine: &Affine,
    row: ByteRow,
    to: &mut [u8],
    stream: bool,
) {
    // SAFETY: the caller vouches for the same; this function has the instructions of `Avx2`.
    unsafe { map_row::<Avx2, F, ARITHMETIC, CYCLIC>(affine, row, to, stream) }
}

/// # Safety
///
/// As [`RowBody`].
#[target_feature(enable = "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn avx512_row<F: Form, const ARITHMETIC: u8, const CYCLIC: bool>(
    affine: &Affine,
    row: ByteRow,
    to: &mut [u8],
    stream: bool,
) {
    // SAFETY: the caller vouches for the same; this function has the instructions of `Avx512`.
    unsafe { map_row::<Avx512, F, ARITHMETIC, CYCLIC>(affine, row, to, stream) }
}

/// The one body.
///
/// # Safety
///
/// As [`RowBody`], with `V`'s instructions. It must be inlined into a function that has them
/// enabled.
#[inline(always)]
unsafe fn map_row<V: Halves, F: Form, const ARITHMETIC: u8, const CYCLIC: bool>(
    affine: &Affine,
    row: ByteRow,
    to: &mut [u8],
    stream: bool,
) {
    let count = to.len() / F::SIZE;
    let to = to.as_mut_ptr();
    debug_assert!(count >= V::LANES);
    // SAFETY: every block lies in `0..count`: `x + V::LANES <= count` is the loop's condition, the
    // head is the block at 0, the tail the one at `count - V::LANES`, and `count` is at least
    // MAX_LANES. So the bytes that `Blocks::map` loads, from a block's first element to its last,
    // are the caller's readable ones, and all stores are within `to`; the streaming ones are
    // aligned, since `x` starts at the first aligned lane and blocks are as long as a register.
    unsafe {
        let blocks = Blocks::<V>::new::<ARITHMETIC>(affine, row);
        let channel_at = |x: usize| if CYCLIC { x % row.cycle } else { row.channel };

        let misaligned = to.addr() % (V::LANES * F::SIZE);
        let stream = stream && misaligned.is_multiple_of(F::SIZE);
        let mut x = 0;
        if stream && misaligned != 0 {
            x = V::LANES - misaligned / F::SIZE;
            let block = blocks.map::<F, ARITHMETIC, CYCLIC>(affine, 0, channel_at(0));
            F::store_lanes::<V>(to, block, 0, x);
        }
        let mut channel = channel_at(x);
        let advance = if CYCLIC { V::LANES % row.cycle } else { 0 };
        while x + V::LANES <= count {
            let block = blocks.map::<F, ARITHMETIC, CYCLIC>(affine, x, channel);
            if stream {
                F::stream::<V>(to.add(x * F::SIZE), block);
            } else {
                F::store::<V>(to.add(x * F::SIZE), block);
            }
            x += V::LANES;
            channel += advance;
            if CYCLIC && channel >= row.cycle {
                channel -= row.cycle;
            }
        }
        if x < count {
            let last = count - V::LANES;
            let block = blocks.map::<F, ARITHMETIC, CYCLIC>(affine, last, channel_at(last));
            F::store_lanes::<V>(to.add(last * F::SIZE), block, x - last, V::LANES);
        }
    }
}

/// A row on its way through registers.
#[derive(Clone, Copy)]
struct Blocks<V: Vector> {
    row: ByteRow,
    shuffle: V::Shuffle,
    scale: V::Floats,
    constants: Constants<V>,
}

/// What a block is normalised with.
#[derive(Clone, Copy)]
pub(crate) struct Constants<V: Vector> {
    mean: V::Floats,
    std: V::Floats,
    inverse: V::Floats,
}

// No closures here: they cannot be told to be inlined.
impl<V: Halves> Blocks<V> {
    /// # Safety
    ///
    /// As [`map_row`].
    #[inline(always)]
    unsafe fn new<const ARITHMETIC: u8>(affine: &Affine, row: ByteRow) -> Self {
        // SAFETY: the caller vouches for the stride and for the channel.
        unsafe {
            Blocks {
                row,
                shuffle: V::shuffle(row.stride),
                scale: V::splat(affine.scale),
                constants: Constants::new::<ARITHMETIC, false>(affine, row.channel),
            }
        }
    }

    /// The results for elements `x..x + V::LANES`; `channel` is the first's.
    ///
    /// # Safety
    ///
    /// As [`map_row`]; the elements must be the row's.
    #[inline(always)]
    unsafe fn map<F: Form, const ARITHMETIC: u8, const CYCLIC: bool>(
        &self,
        affine: &Affine,
        x: usize,
        channel: usize,
    ) -> V::Floats {
        // The end of the block that has the lowest address.
        let low = if self.row.stride > 0 { x } else { x + V::LANES - 1 };
        // SAFETY: the caller vouches for the elements and the channel.
        unsafe {
            let bytes = self.row.from.offset(low as isize * self.row.stride);
            _mm_prefetch::<_MM_HINT_T0>(bytes.wrapping_offset(self.row.ahead_bytes).cast());
            let scaled = V::mul(V::load_bytes(bytes, &self.shuffle), self.scale);
            let scaled = if ARITHMETIC == SCALE { scaled } else { F::round::<V>(scaled) };
            let constants = if CYCLIC {
                Constants::new::<ARITHMETIC, true>(affine, channel)
            } else {
                self.constants
            };
            constants.normalize::<F, ARITHMETIC>(scaled)
        }
    }
}

impl<V: Halves> Constants<V> {
    /// Those of one channel, or `CYCLIC` from that channel on.
    ///
    /// # Safety
    ///
    /// `V`'s instructions; `channel` must be one that the affine's values were made for.
    #[inline(always)]
    pub(crate) unsafe fn new<const ARITHMETIC: u8, const CYCLIC: bool>(
        affine: &Affine,
        channel: usize,
    ) -> Self {
        // SAFETY: the caller vouches for the channel.
        unsafe {
            match &affine.normalize {
                Some(Normalize { mean, std, inverse, .. }) if ARITHMETIC != SCALE => Constants {
                    mean: Self::load::<CYCLIC>(mean, channel),
                    std: Self::load::<CYCLIC>(std, channel),
                    inverse: Self::load::<CYCLIC>(inverse, channel),
                },
                _ => Constants { mean: V::splat(0.0), std: V::splat(1.0), inverse: V::splat(1.0) },
            }
        }
    }

    /// # Safety
    ///
    /// As [`new`](Self::new).
    #[inline(always)]
    unsafe fn load<const CYCLIC: bool>(values: &[f32], channel: usize) -> V::Floats {
        debug_assert!(channel + MAX_LANES <= values.len());
        // SAFETY: the values go on for MAX_LANES beyond the channels, so a register's fit from any
        // channel on.
        unsafe {
            let first = values.as_ptr().add(channel);
            if CYCLIC { V::load(first) } else { V::splat(*first) }
        }
    }

    /// The results, of which the last is not rounded.
    ///
    /// # Safety
    ///
    /// `V`'s instructions.
    #[inline(always)]
    pub(crate) unsafe fn normalize<F: Form, const ARITHMETIC: u8>(
        self,
        scaled: V::Floats,
    ) -> V::Floats {
        // SAFETY: arithmetic on registers.
        unsafe {
            match ARITHMETIC {
                SCALE => scaled,
                BY_INVERSE => {
                    let centered = F::round::<V>(V::sub(scaled, self.mean));
                    let quotient = V::mul(centered, self.inverse);
                    let residual = V::negated_mul_add(quotient, self.std, centered);
                    V::mul_add(residual, self.inverse, quotient)
                }
                _ => V::div(F::round::<V>(V::sub(scaled, self.mean)), self.std),
            }
        }
    }
}

/// A register of floats and what the body does with it.
///
/// # Safety
///
/// All methods need the machine to have the implementor's instructions. Those with pointers need
/// them valid for what they say.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    type Floats: Copy;
    type Shuffle: Copy;

    /// How the bytes of a block get to their lanes, for a stride among [`STRIDES`] or minus one.
    unsafe fn shuffle(stride: isize) -> Self::Shuffle;
    /// A block's bytes as floats. Reads from the block's lowest element, at `from`, to its highest
    /// and not beyond.
    unsafe fn load_bytes(from: *const u8, shuffle: &Self::Shuffle) -> Self::Floats;
    unsafe fn splat(value: f32) -> Self::Floats;
    unsafe fn load(from: *const f32) -> Self::Floats;
    unsafe fn mul(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn sub(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    unsafe fn div(a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// a * b + c.
    unsafe fn mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// c - a * b.
    unsafe fn negated_mul_add(a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    unsafe fn store(to: *mut f32, floats: Self::Floats);
    /// Past the cache; `to` must be aligned to the register.
    unsafe fn stream(to: *mut f32, floats: Self::Floats);
    /// Lanes `start..end` to `to + start..to + end`; touches nothing else.
    unsafe fn store_lanes(to: *mut f32, floats: Self::Floats, start: usize, end: usize);
}

/// The strides that have a shuffle, from -4 to 4.
const SHUFFLES: usize = 2 * *STRIDES.end() + 1;

/// Where a stride's shuffle stands.
#[inline(always)]
const fn shuffle_index(stride: isize) -> usize {
    (stride + *STRIDES.end() as isize) as usize
}

/// The byte of a lane, counted from the block's lowest element.
const fn byte_of_lane(lane: usize, lanes: usize, stride: isize) -> usize {
    let element = if stride > 0 { lane } else { lanes - 1 - lane };
    element * stride.unsigned_abs()
}

/// The methods of [`Vector`] that are one intrinsic.
macro_rules! plain {
    ($floats:ty, $splat:ident, $load:ident, $store:ident, $mul:ident, $sub:ident, $div:ident, $mul_add:ident,
    $negated_mul_add:ident) => {
        #[inline(always)]
        unsafe fn splat(value: f32) -> $floats {
            // SAFETY: touches no memory; the caller vouches for the instruction.
            unsafe { $splat(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> $floats {
            // SAFETY: the caller vouches for a register's floats; they need not be aligned.
            unsafe { $load(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, floats: $floats) {
            // SAFETY: the caller vouches for a register's floats; they need not be aligned.
            unsafe { $store(to, floats) }
        }
        #[inline(always)]
        unsafe fn mul(a: $floats, b: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $mul(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: $floats, b: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $sub(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: $floats, b: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $div(a, b) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: $floats, b: $floats, c: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $mul_add(a, b, c) }
        }
        #[inline(always)]
        unsafe fn negated_mul_add(a: $floats, b: $floats, c: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $negated_mul_add(a, b, c) }
        }
    };
}

#[derive(Clone, Copy)]
pub(crate) struct Avx512;

#[derive(Clone, Copy)]
pub(crate) struct Avx512Shuffle {
    /// For each byte of the register, the block's byte it comes from; only every fourth is used.
    bytes: __m512i,
    /// The bytes from a block's first element to its last.
    readable: __mmask64,
}

impl Vector for Avx512 {
    const LANES: usize = 16;
    type Floats = __m512;
    type Shuffle = Avx512Shuffle;

    #[inline(always)]
    unsafe fn shuffle(stride: isize) -> Avx512Shuffle {
        /// For each stride and lane, the block's byte that becomes the lane's lowest.
        static BYTES: [[u32; 16]; SHUFFLES] = {
            let mut bytes = [[0; 16]; SHUFFLES];
            let mut stride = -4;
            while stride <= 4 {
                let mut lane = 0;
                while lane < 16 {
                    bytes[shuffle_index(stride)][lane] = byte_of_lane(lane, 16, stride) as u32;
                    lane += 1;
                }
                stride += 1;
            }
            bytes
        };
        // At most 15 * 4 + 1 = 61 bits.
        let readable = (1 << (15 * stride.unsigned_abs() + 1)) - 1;
        // SAFETY: the row of the table is 64 bytes long.
        let bytes = unsafe { _mm512_loadu_si512(BYTES[shuffle_index(stride)].as_ptr().cast()) };
        Avx512Shuffle { bytes, readable }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8, shuffle: &Avx512Shuffle) -> __m512 {
        /// The lowest byte of each lane; the others become 0, which widens it.
        const LOWEST: __mmask64 = 0x1111_1111_1111_1111;
        // SAFETY: a masked load touches no byte but those of its mask, for which the caller
        // vouches.
        unsafe {
            let block = _mm512_maskz_loadu_epi8(shuffle.readable, from.cast());
            _mm512_cvtepi32_ps(_mm512_maskz_permutexvar_epi8(LOWEST, shuffle.bytes, block))
        }
    }

    plain! { __m512, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_mul_ps, _mm512_sub_ps, _mm512_div_ps,
    _mm512_fmadd_ps, _mm512_fnmadd_ps }

    #[inline(always)]
    unsafe fn stream(to: *mut f32, floats: __m512) {
        // SAFETY: the caller vouches for 16 aligned floats, and the face ends with a fence.
        unsafe { _mm512_stream_ps(to, floats) }
    }

    #[inline(always)]
    unsafe fn store_lanes(to: *mut f32, floats: __m512, start: usize, end: usize) {
        let lanes = ((1u32 << end) - (1u32 << start)) as __mmask16;
        // SAFETY: a masked store touches no lane but those of its mask, for which the caller
        // vouches.
        unsafe { _mm512_mask_storeu_ps(to, lanes, floats) }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Avx2;

#[derive(Clone, Copy)]
pub(crate) struct Avx2Shuffle {
    /// For each byte of a half, the byte of that half's load it comes from; 0x80 makes a 0.
    bytes: __m256i,
    /// Where the loads of the lower and the upper half start.
    starts: [usize; 2],
    /// Whether a half is loaded as 16 bytes, or as 8.
    long: bool,
}

impl Avx2Shuffle {
    /// One load starts with the block, the other ends with it; each covers its four elements:
    ///
    /// | stride | block | load | first load | needs | second load | needs |
    /// |---|---|---|---|---|---|---|
    /// | 1 | 0..8 | 8 | 0..8 | 0..4 | 0..8 | 4..8 |
    /// | 2 | 0..15 | 8 | 0..8 | 0..7 | 7..15 | 8..15 |
    /// | 3 | 0..22 | 16 | 0..16 | 0..10 | 6..22 | 12..22 |
    /// | 4 | 0..29 | 16 | 0..16 | 0..13 | 13..29 | 16..29 |
    #[inline(always)]
    const fn starts(stride: isize) -> [usize; 2] {
        let len = if Avx2Shuffle::is_long(stride) { 16 } else { 8 };
        let second = (7 * stride.unsigned_abs() + 1).saturating_sub(len);
        // Backwards, the lower lanes want the block's end.
        if stride > 0 { [0, second] } else { [second, 0] }
    }

    #[inline(always)]
    const fn is_long(stride: isize) -> bool {
        stride.unsigned_abs() > 2
    }
}

impl Vector for Avx2 {
    const LANES: usize = 8;
    type Floats = __m256;
    type Shuffle = Avx2Shuffle;

    #[inline(always)]
    unsafe fn shuffle(stride: isize) -> Avx2Shuffle {
        /// The three upper bytes of a lane become 0, which widens the lowest.
        const ZEROS: u32 = 0x8080_8000;
        /// For each stride and lane, the half's byte that becomes the lane's lowest.
        static BYTES: [[u32; 8]; SHUFFLES] = {
            let mut bytes = [[ZEROS; 8]; SHUFFLES];
            let mut stride = -4;
            while stride <= 4 {
                let starts = Avx2Shuffle::starts(stride);
                let mut lane = 0;
                while lane < 8 && stride != 0 {
                    let byte = byte_of_lane(lane, 8, stride) - starts[lane / 4];
                    bytes[shuffle_index(stride)][lane] |= byte as u32;
                    lane += 1;
                }
                stride += 1;
            }
            bytes
        };
        // SAFETY: the row of the table is 32 bytes long.
        let bytes = unsafe { _mm256_loadu_si256(BYTES[shuffle_index(stride)].as_ptr().cast()) };
        Avx2Shuffle {
            bytes,
            starts: Avx2Shuffle::starts(stride),
            long: Avx2Shuffle::is_long(stride),
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8, shuffle: &Avx2Shuffle) -> __m256 {
        // SAFETY: by the table above both loads lie between the block's first byte and its last,
        // for which the caller vouches.
        unsafe {
            let [lower, upper] = shuffle.starts.map(|start| from.add(start).cast());
            let [lower, upper] = if shuffle.long {
                [_mm_loadu_si128(lower), _mm_loadu_si128(upper)]
            } else {
                [_mm_loadl_epi64(lower), _mm_loadl_epi64(upper)]
            };
            let halves = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(lower), upper);
            _mm256_cvtepi32_ps(_mm256_shuffle_epi8(halves, shuffle.bytes))
        }
    }

    plain! { __m256, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_mul_ps, _mm256_sub_ps, _mm256_div_ps,
    _mm256_fmadd_ps, _mm256_fnmadd_ps }

    #[inline(always)]
    unsafe fn stream(to: *mut f32, floats: __m256) {
        // SAFETY: the caller vouches for 8 aligned floats, and the face ends with a fence.
        unsafe { _mm256_stream_ps(to, floats) }
    }

    #[inline(always)]
    unsafe fn store_lanes(to: *mut f32, floats: __m256, start: usize, end: usize) {
        let lanes: [i32; 8] = std::array::from_fn(|lane| -i32::from((start..end).contains(&lane)));
        // SAFETY: the array is 32 bytes long; a masked store touches no lane but those of its mask,
        // for which the caller vouches.
        unsafe { _mm256_maskstore_ps(to, _mm256_loadu_si256(lanes.as_ptr().cast()), floats) }
    }
}

/// A line of the cache: filled as a whole, it goes to memory in one piece.
pub(crate) const LINE: usize = 64;

/// Copies bytes past the cache. [`fence`] must follow before another thread may read them.
///
/// # Safety
///
/// The machine must have AVX2. As many bytes as `to` has must be readable at `from`, apart from
/// `to`.
#[target_feature(enable = "avx2")]
pub(crate) unsafe fn stream_copy(from: *const u8, to: &mut [u8]) {
    let (count, to) = (to.len(), to.as_mut_ptr());
    let head = to.align_offset(LINE).min(count);
    // SAFETY: `x` never exceeds `count`, and lines are only written where one fits; from `head` on,
    // each is aligned.
    unsafe {
        ptr::copy_nonoverlapping(from, to, head);
        let mut x = head;
        while x + LINE <= count {
            let low = _mm256_loadu_si256(from.add(x).cast());
            let high = _mm256_loadu_si256(from.add(x + LINE / 2).cast());
            _mm256_stream_si256(to.add(x).cast(), low);
            _mm256_stream_si256(to.add(x + LINE / 2).cast(), high);
            x += LINE;
        }
        ptr::copy_nonoverlapping(from.add(x), to.add(x), count - x);
    }
}

/// Makes streaming stores visible to whoever synchronises with this thread afterwards.
pub(crate) fn fence() {
    // SAFETY: every x86-64 has SSE.
    unsafe { _mm_sfence() }
}
