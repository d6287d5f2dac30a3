//! Vector bodies of resizing for x86-64: each written once over [`Words`], for AVX2 and for
//! AVX-512.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a body has not its instructions enabled and passes registers through memory"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;

use crate::map::bodies::Affine;
use crate::resize::bytes::Stack;
use crate::resize::bytes::lanes::{Lanes, Register, WINDOWS};
use crate::resize::bytes::x86_64;
use crate::simd::level::Isa;
use crate::simd::x86_64::half::{Halves, Single};
use crate::simd::x86_64::vector::arithmetic::{BY_INVERSE, DIVIDE, SCALE};
use crate::simd::x86_64::vector::{Avx2, Avx512, Constants};

/// Filters one plane of an upper and a lower row: a word for each lane.
///
/// # Safety
///
/// The machine must have the body's instructions, the lanes must have been built for its
/// [`register`], the rows must have [`PADDING`](crate::resize::bytes::lanes::PADDING) bytes behind the
/// pixels that the lanes are of, and the words must be as many as there are lanes.
pub(crate) type Filter = unsafe fn(&Lanes, &[u8], &[u8], &mut [u32]);

/// Sums a stack's words from the first on to bytes, as many as there are in its second argument.
///
/// # Safety
///
/// The machine must have the body's instructions; the stack must have as many words from each start
/// on, and they must be a multiple of the lanes.
pub(crate) type Bytes = unsafe fn(&Stack<'_>, &mut [u8]);

/// Sums a stack's words from the second argument on, and maps them to the little-endian `f32`s of
/// the fifth, past the cache if the sixth says so and they are aligned. The fourth argument is the
/// channel.
///
/// # Safety
///
/// The machine must have the body's instructions; the stack must have as many words, rounded up to
/// whole registers, from each start plus the second argument on; the affine's values must have been
/// made for the channel.
pub(crate) type Floats = unsafe fn(&Stack<'_>, usize, &Affine, usize, &mut [u8], bool);

/// The registers that bodies expect.
pub(crate) fn register(isa: Isa) -> Option<Register> {
    match isa {
        Isa::Scalar => None,
        Isa::Avx2 => Some(Register { lanes: 8, loads: 2, load_bytes: 16, windows: 1 }),
        Isa::Avx512 => Some(Register { lanes: 16, loads: 1, load_bytes: 64, windows: WINDOWS }),
    }
}

/// The body for these lanes, if there is one.
pub(crate) fn filter(isa: Isa, lanes: &Lanes) -> Option<Filter> {
    Some(match (isa, lanes.pairs) {
        (Isa::Scalar, _) => return None,
        (_, 0) => x86_64::filter_long,
        (Isa::Avx2, 1) => avx2_filter::<1>,
        (Isa::Avx2, 2) => avx2_filter::<2>,
        (Isa::Avx2, 3) => avx2_filter::<3>,
        (Isa::Avx2, _) => avx2_filter::<0>,
        (Isa::Avx512, _) if lanes.windows > 1 => x86_64::avx512_filter_windows(lanes.windows),
        (Isa::Avx512, 1) => avx512_filter::<1>,
        (Isa::Avx512, 2) => avx512_filter::<2>,
        (Isa::Avx512, 3) => avx512_filter::<3>,
        (Isa::Avx512, _) => avx512_filter::<0>,
    })
}

/// The body that makes bytes, if there is one.
pub(crate) fn bytes(isa: Isa) -> Option<Bytes> {
    match isa {
        Isa::Scalar => None,
        Isa::Avx2 => Some(avx2_bytes),
        Isa::Avx512 => Some(avx512_bytes),
    }
}

/// The body that makes floats of these values, if there is one.
pub(crate) fn floats(isa: Isa, affine: &Affine) -> Option<Floats> {
    let by_inverse = affine.normalize.as_ref().map(|normalize| normalize.by_inverse);
    Some(match (isa, by_inverse) {
        (Isa::Scalar, _) => return None,
        (Isa::Avx2, None) => avx2_floats::<SCALE>,
        (Isa::Avx2, Some(true)) => avx2_floats::<BY_INVERSE>,
        (Isa::Avx2, Some(false)) => avx2_floats::<DIVIDE>,
        (Isa::Avx512, None) => avx512_floats::<SCALE>,
        (Isa::Avx512, Some(true)) => avx512_floats::<BY_INVERSE>,
        (Isa::Avx512, Some(false)) => avx512_floats::<DIVIDE>,
    })
}

/// Defines the entries of one instruction set.
macro_rules! entries {
    ($words:ty, $features:literal, $filter:ident, $bytes:ident, $floats:ident) => {
        /// # Safety
        ///
        /// As [`Filter`].
        #[target_feature(enable = $features)]
        unsafe fn $filter<const PAIRS: usize>(
            lanes: &Lanes,
            upper: &[u8],
            lower: &[u8],
            words: &mut [u32],
        ) {
            // SAFETY: the caller vouches for the same; this function has the instructions.
            unsafe { filter_lanes::<$words, PAIRS>(lanes, upper, lower, words) }
        }

        /// # Safety
        ///
        /// As [`Bytes`].
        #[target_feature(enable = $features)]
        unsafe fn $bytes(stack: &Stack<'_>, to: &mut [u8]) {
            // SAFETY: as above.
            unsafe { sum_to_bytes::<$words>(stack, to) }
        }

        /// # Safety
        ///
        /// As [`Floats`].
        #[target_feature(enable = $features)]
        unsafe fn $floats<const ARITHMETIC: u8>(
            stack: &Stack<'_>,
            first: usize,
            affine: &Affine,
            channel: usize,
            to: &mut [u8],
            stream: bool,
        ) {
            // SAFETY: as above.
            unsafe {
                sum_to_floats::<$words, ARITHMETIC>(stack, first, affine, channel, to, stream)
            }
        }
    };
}

entries! { Avx2, "avx2,fma", avx2_filter, avx2_bytes, avx2_floats }
entries! { Avx512, "avx2,fma,avx512f,avx512bw,avx512vl,avx512vbmi", avx512_filter, avx512_bytes, avx512_floats }

/// # Safety
///
/// As [`Filter`], with `V`'s instructions. `PAIRS` must be the lanes' pairs, or 0. It must be
/// inlined into a function that has the instructions enabled.
#[inline(always)]
unsafe fn filter_lanes<V: Words, const PAIRS: usize>(
    lanes: &Lanes,
    upper: &[u8],
    lower: &[u8],
    words: &mut [u32],
) {
    let pairs = if PAIRS > 0 { PAIRS } else { lanes.pairs };
    debug_assert!(
        words.len() == lanes.groups * V::LANES && lanes.pairs == pairs && lanes.windows == 1
    );
    let (upper, lower, to) = (upper.as_ptr(), lower.as_ptr(), words.as_mut_ptr());
    // SAFETY: by invariant 2 of `Lanes` each group has as many bases as loads and a register of
    // shuffles and weights for each pair; a base is a pixel of the row, with as many bytes behind
    // it as a load has. Words are as many as lanes.
    unsafe {
        let (mut bases, mut shuffles, mut weights) =
            (lanes.bases.as_ptr(), lanes.shuffles.as_ptr(), lanes.weights.as_ptr());
        let half = V::splat_word(1 << lanes.precision >> 1);
        let shift = _mm_cvtsi32_si128(lanes.precision as i32);
        for group in 0..lanes.groups {
            let (above, below) = (V::load_window(upper, bases), V::load_window(lower, bases));
            let (mut sum_above, mut sum_below) = (half, half);
            for _ in 0..pairs {
                let (shuffle, weight) = (V::load_words(shuffles), V::load_words(weights));
                sum_above = V::add_products(sum_above, V::pick(above, shuffle), weight);
                sum_below = V::add_products(sum_below, V::pick(below, shuffle), weight);
                shuffles = shuffles.add(V::LANES);
                weights = weights.add(V::LANES);
            }
            let (above, below) = (V::to_bytes(sum_above, shift), V::to_bytes(sum_below, shift));
            V::store_words(to.add(group * V::LANES), V::join(above, below));
            bases = bases.add(V::LOADS);
        }
    }
}

/// The sums of `N` registers of words from `x` on, as numbers from 0 to 255.
///
/// # Safety
///
/// `V`'s instructions; the stack must have the words. It must be inlined into a function that has
/// the instructions enabled.
#[inline(always)]
unsafe fn sum<V: Words, const N: usize>(
    stack: &Stack<'_>,
    x: usize,
    shift: __m128i,
) -> [V::Ints; N] {
    // SAFETY: by invariant 1 of `Stack` there are as many weights as starts; the caller vouches for
    // the words.
    unsafe {
        let mut sums = [V::splat_word(1 << stack.precision >> 1); N];
        for (pair, &start) in stack.starts.iter().enumerate() {
            let words = stack.ring.as_ptr().add(start + x);
            let weight = V::splat_word(stack.weights.get_unchecked(pair).cast_signed());
            let mut i = 0;
            while i < N {
                sums[i] = V::add_products(sums[i], V::load_words(words.add(i * V::LANES)), weight);
                i += 1;
            }
        }
        let mut i = 0;
        while i < N {
            sums[i] = V::to_bytes(sums[i], shift);
            i += 1;
        }
        sums
    }
}

/// # Safety
///
/// As [`Bytes`], with `V`'s instructions. It must be inlined into a function that has them enabled.
#[inline(always)]
unsafe fn sum_to_bytes<V: Words>(stack: &Stack<'_>, to: &mut [u8]) {
    const N: usize = 4;
    let (count, to) = (to.len(), to.as_mut_ptr());
    // SAFETY: `x` stays within `count`, a multiple of the lanes, for whose words the caller
    // vouches.
    unsafe {
        let shift = _mm_cvtsi32_si128(stack.precision as i32);
        let mut x = 0;
        while x + N * V::LANES <= count {
            let sums = sum::<V, N>(stack, x, shift);
            let mut i = 0;
            while i < N {
                V::store_low_bytes(to.add(x + i * V::LANES), sums[i]);
                i += 1;
            }
            x += N * V::LANES;
        }
        while x + V::LANES <= count {
            let [sums] = sum::<V, 1>(stack, x, shift);
            V::store_low_bytes(to.add(x), sums);
            x += V::LANES;
        }
    }
}

/// # Safety
///
/// As [`Floats`], with `V`'s instructions. It must be inlined into a function that has them
/// enabled.
#[expect(clippy::cast_ptr_alignment, reason = "no store but the streaming ones needs alignment")]
#[inline(always)]
unsafe fn sum_to_floats<V: Words, const ARITHMETIC: u8>(
    stack: &Stack<'_>,
    first: usize,
    affine: &Affine,
    channel: usize,
    to: &mut [u8],
    stream: bool,
) {
    const N: usize = 4;
    let count = to.len() / size_of::<f32>();
    let stream = stream && to.as_ptr().addr().is_multiple_of(V::LANES * size_of::<f32>());
    let to = to.as_mut_ptr().cast::<f32>();
    // SAFETY: `x` stays below `count`, for whose words, rounded up to a register, the caller
    // vouches; only lanes below `count` are stored. Streaming stores are aligned: the first is, as
    // was just looked at, and a register is as long as the alignment.
    unsafe {
        let constants = Constants::<V>::new::<ARITHMETIC, false>(affine, channel);
        let scale = V::splat(affine.scale);
        let shift = _mm_cvtsi32_si128(stack.precision as i32);
        let mut x = 0;
        while x + N * V::LANES <= count {
            let sums = sum::<V, N>(stack, first + x, shift);
            let mut i = 0;
            while i < N {
                let value =
                    constants.normalize::<Single, ARITHMETIC>(V::mul(V::to_floats(sums[i]), scale));
                if stream {
                    V::stream(to.add(x + i * V::LANES), value);
                } else {
                    V::store(to.add(x + i * V::LANES), value);
                }
                i += 1;
            }
            x += N * V::LANES;
        }
        while x < count {
            let [sums] = sum::<V, 1>(stack, first + x, shift);
            let value =
                constants.normalize::<Single, ARITHMETIC>(V::mul(V::to_floats(sums), scale));
            if x + V::LANES > count {
                V::store_lanes(to.add(x), value, 0, count - x);
            } else if stream {
                V::stream(to.add(x), value);
            } else {
                V::store(to.add(x), value);
            }
            x += V::LANES;
        }
    }
}

/// A register of words of 32 bits.
///
/// # Safety
///
/// All methods need the machine to have the implementor's instructions. Those with pointers need
/// them valid for a register, or for what they say.
trait Words: Halves {
    type Ints: Copy;
    /// How many loads fill a window; [`Register::loads`].
    const LOADS: usize;

    /// The bytes that the lanes of a group are picked from: of a row, from the bases on.
    unsafe fn load_window(row: *const u8, bases: *const u32) -> Self::Ints;
    /// For each lane two of its load's bytes, as numbers of 16 bits.
    unsafe fn pick(window: Self::Ints, shuffle: Self::Ints) -> Self::Ints;
    unsafe fn load_words(from: *const u32) -> Self::Ints;
    unsafe fn store_words(to: *mut u32, words: Self::Ints);
    unsafe fn splat_word(word: i32) -> Self::Ints;
    /// Adds to each lane the products of its halves.
    unsafe fn add_products(sum: Self::Ints, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    /// Shifted right and brought into 0..=255.
    unsafe fn to_bytes(sum: Self::Ints, shift: __m128i) -> Self::Ints;
    /// The first one's numbers in the lower halves, the second one's in the upper.
    unsafe fn join(lower: Self::Ints, upper: Self::Ints) -> Self::Ints;
    unsafe fn to_floats(words: Self::Ints) -> Self::Floats;
    /// The lowest byte of each lane; `to` must be valid for as many bytes.
    unsafe fn store_low_bytes(to: *mut u8, words: Self::Ints);
}

/// The methods of [`Words`] that are the same intrinsics at another width.
macro_rules! plain {
    ($ints:ty, $floats:ty, $load:ident, $store:ident, $splat:ident, $add:ident, $multiply:ident, $shift:ident, $max:ident,
    $min:ident, $or:ident, $left:ident, $to_floats:ident) => {
        #[inline(always)]
        unsafe fn load_words(from: *const u32) -> $ints {
            // SAFETY: the caller vouches for a register's words; they need not be aligned.
            unsafe { $load(from.cast()) }
        }
        #[inline(always)]
        unsafe fn store_words(to: *mut u32, words: $ints) {
            // SAFETY: the caller vouches for a register's words; they need not be aligned.
            unsafe { $store(to.cast(), words) }
        }
        #[inline(always)]
        unsafe fn splat_word(word: i32) -> $ints {
            // SAFETY: touches no memory; the caller vouches for the instruction.
            unsafe { $splat(word) }
        }
        #[inline(always)]
        unsafe fn add_products(sum: $ints, a: $ints, b: $ints) -> $ints {
            // SAFETY: as `splat_word`.
            unsafe { $add(sum, $multiply(a, b)) }
        }
        #[inline(always)]
        unsafe fn to_bytes(sum: $ints, shift: __m128i) -> $ints {
            // SAFETY: as `splat_word`.
            unsafe { $min($max($shift(sum, shift), $splat(0)), $splat(255)) }
        }
        #[inline(always)]
        unsafe fn join(lower: $ints, upper: $ints) -> $ints {
            // SAFETY: as `splat_word`.
            unsafe { $or(lower, $left::<16>(upper)) }
        }
        #[inline(always)]
        unsafe fn to_floats(words: $ints) -> $floats {
            // SAFETY: as `splat_word`.
            unsafe { $to_floats(words) }
        }
    };
}

impl Words for Avx512 {
    type Ints = __m512i;
    const LOADS: usize = 1;

    plain! { __m512i, __m512, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi32, _mm512_add_epi32,
    _mm512_madd_epi16, _mm512_sra_epi32, _mm512_max_epi32, _mm512_min_epi32, _mm512_or_si512, _mm512_slli_epi32,
    _mm512_cvtepi32_ps }

    #[inline(always)]
    unsafe fn load_window(row: *const u8, bases: *const u32) -> __m512i {
        // SAFETY: the caller vouches for a base and 64 bytes from it on.
        unsafe { _mm512_loadu_si512(row.add(*bases as usize).cast()) }
    }
    #[inline(always)]
    unsafe fn pick(window: __m512i, shuffle: __m512i) -> __m512i {
        /// Every second byte is 0.
        const LOWER: __mmask64 = 0x5555_5555_5555_5555;
        // SAFETY: touches no memory; the caller vouches for the instruction.
        unsafe { _mm512_maskz_permutexvar_epi8(LOWER, shuffle, window) }
    }
    #[inline(always)]
    unsafe fn store_low_bytes(to: *mut u8, words: __m512i) {
        // SAFETY: the caller vouches for 16 bytes.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(words)) }
    }
}

impl Words for Avx2 {
    type Ints = __m256i;
    const LOADS: usize = 2;

    plain! { __m256i, __m256, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi32, _mm256_add_epi32,
    _mm256_madd_epi16, _mm256_sra_epi32, _mm256_max_epi32, _mm256_min_epi32, _mm256_or_si256, _mm256_slli_epi32,
    _mm256_cvtepi32_ps }

    #[inline(always)]
    unsafe fn load_window(row: *const u8, bases: *const u32) -> __m256i {
        // SAFETY: the caller vouches for two bases and 16 bytes from each on.
        unsafe {
            let lower = _mm_loadu_si128(row.add(*bases as usize).cast());
            let upper = _mm_loadu_si128(row.add(*bases.add(1) as usize).cast());
            _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(lower), upper)
        }
    }
    #[inline(always)]
    unsafe fn pick(window: __m256i, shuffle: __m256i) -> __m256i {
        // SAFETY: touches no memory; the caller vouches for the instruction. 0x80 in a shuffle
        // makes a 0.
        unsafe { _mm256_shuffle_epi8(window, shuffle) }
    }
    #[inline(always)]
    unsafe fn store_low_bytes(to: *mut u8, words: __m256i) {
        // SAFETY: the caller vouches for 8 bytes.
        unsafe {
            let halves = _mm_packs_epi32(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(halves, halves));
        }
    }
}
