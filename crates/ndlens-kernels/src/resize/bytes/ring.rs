//! The ring of resized rows, two by two: the pairs from which a row is computed, and their weights.

use crate::resize::taps::Taps;

/// Pairs of rows and their weights, from which one row is computed.
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

/// The pairs of rows that a resized row is computed from.
pub(crate) fn pairs(taps: &Taps, row: usize) -> std::ops::Range<usize> {
    let (start, count) = (taps.starts[row] as usize, taps.counts[row] as usize);
    start / 2..(start + count).div_ceil(2)
}

pub(crate) fn most_pairs(taps: &Taps, rows: std::ops::Range<usize>) -> usize {
    rows.map(|row| pairs(taps, row).len()).max().unwrap_or(1)
}

/// The weights of a pair of rows, the upper one's in the lower half.
pub(crate) fn pair_weights(taps: &Taps, row: usize, pair: usize) -> u32 {
    let weights = taps.fixed_of(row);
    let weight = |y: usize| {
        let weight = y.checked_sub(taps.starts[row] as usize).and_then(|tap| weights.get(tap));
        u32::from(weight.map_or(0, |&weight| weight.cast_unsigned()))
    };
    weight(2 * pair) | weight(2 * pair + 1) << 16
}

/// The sum of a word of all pairs, as a byte.
pub(crate) fn sum_word(stack: &Stack<'_>, x: usize) -> u8 {
    let pairs = stack.starts.iter().zip(stack.weights);
    let sum = pairs.map(|(start, &weight)| multiply_pair(stack.ring[start + x], weight)).sum();
    to_byte(sum, stack.precision) as u8
}

/// The sum of both products of the halves.
fn multiply_pair(word: u32, weights: u32) -> i32 {
    let half = |word: u32, shift: u32| i32::from((word >> shift) as i16);
    half(word, 0) * half(weights, 0) + half(word, 16) * half(weights, 16)
}

/// The nearest byte of a fixed-point number.
pub(crate) fn to_byte(sum: i32, precision: u32) -> u32 {
    let half = 1i32 << precision >> 1;
    ((sum + half) >> precision).clamp(0, 255).cast_unsigned()
}
