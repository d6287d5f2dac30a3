//! The inverse DCT of 8 x 8 blocks to 4 x 4, 2 x 2 or 1 x 1 samples, equal to libjpeg's to the bit.
//!
//! A sample is the mean of those of the full transform that it stands for: their sums, simplified.

#![expect(clippy::needless_range_loop, reason = "a lane is a place in several arrays")]

use super::blocks::{BlockGroup, LANES, PLACES};
use super::idct::{CONSTANT_BITS, PASS_BITS, round, sample, saturate, times};

/// Transforms a group, and writes 4 rows of 4 samples for each block. The group is zero after it.
#[inline(always)]
pub(super) fn idct_4x4(
    group: &mut BlockGroup,
    quantisation: &[i16; 64],
    out: &mut [u8],
    stride: usize,
) {
    let mut between = [[0; LANES]; 4 * 8];
    // The fourth column has no part in the result.
    for column in [0, 1, 2, 3, 5, 6, 7] {
        for lane in 0..LANES {
            let line = transform_4(dequantised(group, quantisation, column, lane));
            for row in 0..4 {
                let value = round(line[row], CONSTANT_BITS - PASS_BITS + 1);
                between[8 * row + column][lane] = saturate(value);
            }
        }
    }
    *group = BlockGroup::ZERO;
    for (lines, out) in between.chunks_exact(8).zip(out.chunks_mut(stride)) {
        let mut samples = [0_u32; LANES];
        for (lane, samples) in samples.iter_mut().enumerate() {
            let line = transform_4(std::array::from_fn(|k| lines[k][lane]));
            let line = line.map(|value| sample(round(value, CONSTANT_BITS + PASS_BITS + 4)));
            *samples = (0..4).map(|k| line[k] << (8 * k)).sum();
        }
        for (out, samples) in out.chunks_exact_mut(4).zip(samples) {
            out.copy_from_slice(&samples.to_le_bytes());
        }
    }
}

/// Transforms a group, and writes 2 rows of 2 samples for each block. The group is zero after it.
#[inline(always)]
pub(super) fn idct_2x2(
    group: &mut BlockGroup,
    quantisation: &[i16; 64],
    out: &mut [u8],
    stride: usize,
) {
    let mut between = [[0; LANES]; 2 * 8];
    // The even columns have no part in the result, except the first.
    for column in [0, 1, 3, 5, 7] {
        for lane in 0..LANES {
            let line = transform_2(dequantised(group, quantisation, column, lane).map(i32::from));
            for row in 0..2 {
                between[8 * row + column][lane] = round(line[row], CONSTANT_BITS - PASS_BITS + 2);
            }
        }
    }
    *group = BlockGroup::ZERO;
    for (lines, out) in between.chunks_exact(8).zip(out.chunks_mut(stride)) {
        for (lane, out) in out.chunks_exact_mut(2).take(LANES).enumerate() {
            let line = transform_2(std::array::from_fn(|k| lines[k][lane]));
            let line = line.map(|value| sample(round(value, CONSTANT_BITS + PASS_BITS + 5)));
            out.copy_from_slice(&[line[0] as u8, line[1] as u8]);
        }
    }
}

/// Writes a sample for each block. The group is zero after it.
#[inline(always)]
pub(super) fn idct_1x1(group: &mut BlockGroup, quantisation: &[i16; 64], out: &mut [u8]) {
    for (out, &dc) in out.iter_mut().zip(&group.coefficients[0]) {
        *out = sample(round(i32::from(dc.wrapping_mul(quantisation[0])), 3)) as u8;
    }
    *group = BlockGroup::ZERO;
}

/// A column of coefficients of a block.
#[inline(always)]
fn dequantised(
    group: &BlockGroup,
    quantisation: &[i16; 64],
    column: usize,
    lane: usize,
) -> [i16; 8] {
    std::array::from_fn(|row| {
        let place = PLACES[8 * row + column];
        group.coefficients[place][lane].wrapping_mul(quantisation[place])
    })
}

/// Four means of two outputs, with [`CONSTANT_BITS`] + 1 more bits of fraction.
#[inline(always)]
fn transform_4(line: [i16; 8]) -> [i32; 4] {
    let start = i32::from(line[0]) << (CONSTANT_BITS + 1);
    let even = sum([times(line[2], 15137), times(line[6], -6270)]);
    let inner = sum([
        times(line[7], -1730),
        times(line[5], 11893),
        times(line[3], -17799),
        times(line[1], 8697),
    ]);
    let outer = sum([
        times(line[7], -4176),
        times(line[5], -4926),
        times(line[3], 7373),
        times(line[1], 20995),
    ]);
    let (head, tail) = (start.wrapping_add(even), start.wrapping_sub(even));
    [
        head.wrapping_add(outer),
        tail.wrapping_add(inner),
        tail.wrapping_sub(inner),
        head.wrapping_sub(outer),
    ]
}

/// Two means of four outputs, with [`CONSTANT_BITS`] + 2 more bits of fraction.
#[inline(always)]
fn transform_2(line: [i32; 8]) -> [i32; 2] {
    let start = line[0].wrapping_shl(CONSTANT_BITS + 2);
    let odd = sum([
        line[7].wrapping_mul(-5906),
        line[5].wrapping_mul(6967),
        line[3].wrapping_mul(-10426),
        line[1].wrapping_mul(29692),
    ]);
    [start.wrapping_add(odd), start.wrapping_sub(odd)]
}

#[inline(always)]
fn sum<const N: usize>(values: [i32; N]) -> i32 {
    values.into_iter().fold(0, i32::wrapping_add)
}
