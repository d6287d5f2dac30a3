//! The filters of bytes over registers, and the body of each level.

#![expect(unsafe_code, reason = "bodies over registers and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

#[cfg(target_arch = "x86_64")]
use crate::resize::bytes::lanes::WINDOWS;
use crate::resize::bytes::lanes::{LaneLayout, Lanes};
use crate::resize::bytes::ring::Stack;
#[cfg(target_arch = "aarch64")]
use crate::simd::aarch64::vector::Neon;
use crate::simd::affine::arithmetic::{BY_INVERSE, DIVIDE, SCALE};
use crate::simd::affine::{Affine, Constants};
use crate::simd::level::{Isa, Level, vector_body};
use crate::simd::vector::{Single, Words};
#[cfg(target_arch = "x86_64")]
use crate::simd::x86_64::vector::{Avx2, Avx512};

/// Filters one plane of an upper and a lower row: a word for each lane.
///
/// # Safety
///
/// The machine must have the body's instructions, the lanes must have been built for its registers,
/// the rows must have [`PADDING`](crate::resize::bytes::lanes::PADDING) bytes behind the pixels
/// that the lanes are of, and the words must be as many as there are lanes.
pub(crate) type FilterBody = unsafe fn(&Lanes, &[u8], &[u8], &mut [u32]);

/// Sums a stack's words from the first on to bytes, as many as there are in its second argument.
///
/// # Safety
///
/// The machine must have the body's instructions; the stack must have as many words from each start
/// on, and they must be a multiple of the lanes.
pub(crate) type BytesBody = unsafe fn(&Stack<'_>, &mut [u8]);

/// Sums a stack's words from the second argument on, and maps them to the little-endian `f32`s of
/// the fifth, past the cache if the sixth says so and they are aligned. The fourth argument is the
/// channel.
///
/// # Safety
///
/// The machine must have the body's instructions; the stack must have as many words, rounded up to
/// whole registers, from each start plus the second argument on; the affine's values must have been
/// made for the channel.
pub(crate) type FloatsBody = unsafe fn(&Stack<'_>, usize, &Affine, usize, &mut [u8], bool);

/// The registers that a level's bodies expect.
pub(crate) fn lane_layout(level: Level) -> Option<LaneLayout> {
    match level.isa() {
        Isa::Scalar => None,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => Some(layout::<Avx2>(16, 1)),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => Some(layout::<Avx512>(64, WINDOWS)),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => Some(layout::<Neon>(16, 1)),
    }
}

/// The layout of registers that are filled by loads of so many bytes, and picked from so many
/// adjacent ones.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn layout<V: Words>(load_bytes: usize, windows: usize) -> LaneLayout {
    let (lanes, loads, pair_distance) = (V::LANES, V::LOADS, V::PAIR_DISTANCE);
    LaneLayout { lanes, loads, load_bytes, windows, pair_distance }
}

/// The body for these lanes, if they are picked from one load each and the level has one.
pub(crate) fn filter(level: Level, lanes: &Lanes) -> Option<FilterBody> {
    match lanes.pairs {
        0 => None,
        1 => compiled_filter::<1>(level),
        2 => compiled_filter::<2>(level),
        3 => compiled_filter::<3>(level),
        _ => compiled_filter::<0>(level),
    }
}

/// The body that makes floats of these values, if the level has one.
pub(crate) fn floats(level: Level, affine: &Affine) -> Option<FloatsBody> {
    match affine.normalize.as_ref().map(|normalize| normalize.by_inverse) {
        None => compiled_floats::<SCALE>(level),
        Some(true) => compiled_floats::<BY_INVERSE>(level),
        Some(false) => compiled_floats::<DIVIDE>(level),
    }
}

vector_body! {
    fn compiled_filter[const PAIRS: usize][PAIRS] -> FilterBody;
    filter_lanes(lanes: &Lanes, upper: &[u8], lower: &[u8], words: &mut [u32])
}

vector_body! {
    /// The body that makes bytes, if the level has one.
    pub(crate) fn bytes[][] -> BytesBody;
    sum_to_bytes(stack: &Stack<'_>, to: &mut [u8])
}

vector_body! {
    fn compiled_floats[const ARITHMETIC: u8][ARITHMETIC] -> FloatsBody;
    sum_to_floats(
        stack: &Stack<'_>,
        first: usize,
        affine: &Affine,
        channel: usize,
        to: &mut [u8],
        stream: bool,
    )
}

/// # Safety
///
/// As [`FilterBody`], with `V`'s instructions. `PAIRS` must be the lanes' pairs, or 0. It must be
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
        let shift = V::shift(lanes.precision);
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
            V::store_words(to.add(group * V::LANES), V::join(sum_above, sum_below, shift));
            bases = bases.add(V::LOADS);
        }
    }
}

/// The sums of `N` registers of words from `x` on.
///
/// # Safety
///
/// `V`'s instructions; the stack must have the words. It must be inlined into a function that has
/// the instructions enabled.
#[inline(always)]
unsafe fn sum<V: Words, const N: usize>(stack: &Stack<'_>, x: usize) -> [V::Ints; N] {
    // SAFETY: by invariant 1 of `Stack` there are as many weights as starts; the caller guarantees
    // the words.
    unsafe {
        let mut sums = [V::splat_word(1 << stack.precision >> 1); N];
        for (pair, &start) in stack.starts.iter().enumerate() {
            let words = stack.ring.as_ptr().add(start + x);
            let weight = V::splat_pair(*stack.weights.get_unchecked(pair));
            let mut i = 0;
            while i < N {
                sums[i] = V::add_products(sums[i], V::load_words(words.add(i * V::LANES)), weight);
                i += 1;
            }
        }
        sums
    }
}

/// # Safety
///
/// As [`BytesBody`], with `V`'s instructions. It must be inlined into a function that has them
/// enabled.
#[inline(always)]
unsafe fn sum_to_bytes<V: Words>(stack: &Stack<'_>, to: &mut [u8]) {
    const N: usize = 4;
    let (count, to) = (to.len(), to.as_mut_ptr());
    // SAFETY: `x` stays within `count`, a multiple of the lanes, whose words the caller
    // guarantees.
    unsafe {
        let shift = V::shift(stack.precision);
        let mut x = 0;
        while x + N * V::LANES <= count {
            let sums = sum::<V, N>(stack, x);
            let mut i = 0;
            while i < N {
                V::store_bytes(to.add(x + i * V::LANES), sums[i], shift);
                i += 1;
            }
            x += N * V::LANES;
        }
        while x + V::LANES <= count {
            let [sums] = sum::<V, 1>(stack, x);
            V::store_bytes(to.add(x), sums, shift);
            x += V::LANES;
        }
    }
}

/// # Safety
///
/// As [`FloatsBody`], with `V`'s instructions. It must be inlined into a function that has them
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
    // SAFETY: `x` stays below `count`, and the caller guarantees the words up to it, rounded up to
    // a register; only lanes below `count` are stored. Streaming stores are aligned: the first is,
    // as was just compared, and a register is as long as the alignment.
    unsafe {
        let constants = Constants::<V>::new::<ARITHMETIC, false>(affine, channel);
        let scale = V::splat(affine.scale);
        let shift = V::shift(stack.precision);
        let mut x = 0;
        while x + N * V::LANES <= count {
            let sums = sum::<V, N>(stack, first + x);
            let mut i = 0;
            while i < N {
                let scaled = V::mul(V::to_floats(sums[i], shift), scale);
                let value = constants.normalize::<Single, ARITHMETIC>(scaled);
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
            let [sums] = sum::<V, 1>(stack, first + x);
            let scaled = V::mul(V::to_floats(sums, shift), scale);
            let value = constants.normalize::<Single, ARITHMETIC>(scaled);
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
