//! The operations of registers of all instruction sets: the traits over which bodies are written.
//!
//! A body over these traits is written once. An instruction set gets it by implementing the three
//! traits for a type of its own: [`Vector`] is a register of floats, [`Halves`] the same as floats
//! of 16 bits, [`Words`] one of 32-bit integers. A [`Form`] is the format of stored results.
//!
//! torch computes with half-width floats in `f32` and rounds each result. If a chain is half-width
//! from its start, its body rounds each result to the half and back. If it becomes half-width at
//! its end, only the last result is rounded.

#![expect(unsafe_code, reason = "methods that need instructions and pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use std::ops::RangeInclusive;

/// The strides of bytes, in either direction, for which registers have shuffles.
pub(crate) const STRIDES: RangeInclusive<usize> = 1..=4;

/// A register of floats and its operations.
///
/// # Safety
///
/// All methods need the machine to have the implementor's instructions. Those with pointers need
/// them valid for what they say.
pub(crate) trait Vector: Copy {
    const LANES: usize;
    type Floats: Copy;
    type Shuffle: Copy;

    /// The shuffle of a block's bytes to their lanes, for a stride among [`STRIDES`] or minus one.
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
pub(crate) const SHUFFLES: usize = 2 * *STRIDES.end() + 1;

/// The place of a stride's shuffle.
#[inline(always)]
pub(crate) const fn shuffle_index(stride: isize) -> usize {
    (stride + *STRIDES.end() as isize) as usize
}

/// The byte of a lane, counted from the block's lowest element.
pub(crate) const fn byte_of_lane(lane: usize, lanes: usize, stride: isize) -> usize {
    let element = if stride > 0 { lane } else { lanes - 1 - lane };
    element * stride.unsigned_abs()
}

/// A register of floats as half-width floats.
///
/// # Safety
///
/// As [`Vector`]; no float that becomes a `bfloat16` may be NaN.
pub(crate) trait Halves: Vector {
    type Halves: Copy;

    unsafe fn to_float16(floats: Self::Floats) -> Self::Halves;
    unsafe fn round_to_float16(floats: Self::Floats) -> Self::Floats;
    unsafe fn to_bfloat16(floats: Self::Floats) -> Self::Halves;
    unsafe fn round_to_bfloat16(floats: Self::Floats) -> Self::Floats;
    unsafe fn store_halves(to: *mut u8, halves: Self::Halves);
    /// Past the cache; `to` must be aligned to the register.
    unsafe fn stream_halves(to: *mut u8, halves: Self::Halves);
    /// Lanes `start..end` to halves `start..end` of `to`; touches nothing else.
    unsafe fn store_half_lanes(to: *mut u8, halves: Self::Halves, start: usize, end: usize);
}

/// A register of words of 32 bits.
///
/// # Safety
///
/// All methods need the machine to have the implementor's instructions. Those with pointers need
/// them valid for a register, or for what they say.
pub(crate) trait Words: Halves {
    type Ints: Copy;
    /// The number of bits to shift, in the form that the instruction needs.
    type Shift: Copy;
    /// The number of loads that fill a window.
    const LOADS: usize;
    /// Where the two numbers of a pair stand: the second so many numbers of 16 bits after the
    /// first. As many lanes have their first numbers side by side, and behind them their second
    /// ones.
    const PAIR_DISTANCE: usize;

    /// Loads the bytes of a row, from the bases on, from which the lanes of a group are picked.
    unsafe fn load_window(row: *const u8, bases: *const u32) -> Self::Ints;
    /// Picks for each lane two bytes of its load, as a pair of numbers of 16 bits.
    unsafe fn pick(window: Self::Ints, shuffle: Self::Ints) -> Self::Ints;
    unsafe fn load_words(from: *const u32) -> Self::Ints;
    unsafe fn store_words(to: *mut u32, words: Self::Ints);
    unsafe fn splat_word(word: i32) -> Self::Ints;
    /// The same pair for all lanes: the first number is the lower half, the second the upper one.
    unsafe fn splat_pair(pair: u32) -> Self::Ints;
    /// Adds to each lane the products of its pairs' first numbers and of their second ones.
    unsafe fn add_products(sum: Self::Ints, a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn shift(bits: u32) -> Self::Shift;
    /// Shifts both sums right and clamps them to 0..=255: the numbers of each lane's pair.
    unsafe fn join(first: Self::Ints, second: Self::Ints, shift: Self::Shift) -> Self::Ints;
    /// Shifts right and clamps to 0..=255.
    unsafe fn to_floats(sum: Self::Ints, shift: Self::Shift) -> Self::Floats;
    /// Shifts right and clamps to 0..=255, a byte for each lane; `to` must be valid for as many
    /// bytes.
    unsafe fn store_bytes(to: *mut u8, sum: Self::Ints, shift: Self::Shift);
}

/// A kind of result.
///
/// # Safety
///
/// All methods need the machine to have `V`'s instructions, and pointers valid for what they say.
pub(crate) trait Form {
    /// The bytes of a result.
    const SIZE: usize;

    /// Rounds the result of an operation that is not the last.
    unsafe fn round<V: Halves>(floats: V::Floats) -> V::Floats;
    /// A register's results; `to` need not be aligned.
    unsafe fn store<V: Halves>(to: *mut u8, floats: V::Floats);
    /// Past the cache; `to` must be aligned to a register of results.
    unsafe fn stream<V: Halves>(to: *mut u8, floats: V::Floats);
    /// Lanes `start..end` to results `start..end` of `to`; touches nothing else.
    unsafe fn store_lanes<V: Halves>(to: *mut u8, floats: V::Floats, start: usize, end: usize);
}

/// `float32`.
pub(crate) struct Single;

/// `float16`, rounded after `EACH` operation or only after the last.
pub(crate) struct Float16<const EACH: bool>;

/// `bfloat16`, likewise.
pub(crate) struct Bfloat16<const EACH: bool>;

impl Form for Single {
    const SIZE: usize = 4;

    #[inline(always)]
    unsafe fn round<V: Halves>(floats: V::Floats) -> V::Floats {
        floats
    }
    #[inline(always)]
    unsafe fn store<V: Halves>(to: *mut u8, floats: V::Floats) {
        // SAFETY: the caller guarantees the instructions and the room.
        unsafe { V::store(to.cast(), floats) }
    }
    #[inline(always)]
    unsafe fn stream<V: Halves>(to: *mut u8, floats: V::Floats) {
        // SAFETY: as above, and the alignment.
        unsafe { V::stream(to.cast(), floats) }
    }
    #[inline(always)]
    unsafe fn store_lanes<V: Halves>(to: *mut u8, floats: V::Floats, start: usize, end: usize) {
        // SAFETY: as above.
        unsafe { V::store_lanes(to.cast(), floats, start, end) }
    }
}

/// A half-width form: the methods that narrow a register to halves, and that round it to halves.
macro_rules! half_width {
    ($form:ident, $narrow:ident, $round:ident) => {
        impl<const EACH: bool> Form for $form<EACH> {
            const SIZE: usize = 2;

            #[inline(always)]
            unsafe fn round<V: Halves>(floats: V::Floats) -> V::Floats {
                // SAFETY: arithmetic on registers.
                if EACH { unsafe { V::$round(floats) } } else { floats }
            }
            #[inline(always)]
            unsafe fn store<V: Halves>(to: *mut u8, floats: V::Floats) {
                // SAFETY: the caller guarantees the instructions and the room.
                unsafe { V::store_halves(to, V::$narrow(floats)) }
            }
            #[inline(always)]
            unsafe fn stream<V: Halves>(to: *mut u8, floats: V::Floats) {
                // SAFETY: as above, and the alignment.
                unsafe { V::stream_halves(to, V::$narrow(floats)) }
            }
            #[inline(always)]
            unsafe fn store_lanes<V: Halves>(
                to: *mut u8,
                floats: V::Floats,
                start: usize,
                end: usize,
            ) {
                // SAFETY: as above.
                unsafe { V::store_half_lanes(to, V::$narrow(floats), start, end) }
            }
        }
    };
}

half_width!(Float16, to_float16, round_to_float16);
half_width!(Bfloat16, to_bfloat16, round_to_bfloat16);
