//! The inverse DCT of 8 x 8 blocks, equal to libjpeg's accurate one to the bit.
//!
//! It is the algorithm of C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical fast 1-D DCT
//! algorithms with 11 multiplications", ICASSP 1989, with 12 multiplications, in fixed point with
//! 13 bits, on the columns and then on the rows. Between the two, values have 2 bits of fraction.
//! Sums of two inputs wrap at 16 bits, and results of the first pass saturate there, as in the
//! bodies of libjpeg-turbo for vectors. So values that no encoder makes give the same samples too.

use super::blocks::{BlockGroup, LANES, PLACES};

/// Bits of fraction of the constants.
pub(super) const CONSTANT_BITS: u32 = 13;
/// Bits of fraction between the passes.
pub(super) const PASS_BITS: u32 = 2;

/// The eight inputs, or outputs, of a one-dimensional transform, of all blocks of a group.
type Lines = [[i16; LANES]; 8];

/// Transforms a group, and writes 8 rows of 8 samples for each block. The group is zero after it.
#[inline(always)]
pub(super) fn idct(
    group: &mut BlockGroup,
    quantisation: &[i16; 64],
    out: &mut [u8],
    stride: usize,
) {
    let mut between = [[0; LANES]; 64];
    let mut has_right = false;
    for column in 0..8 {
        let lines: Lines = std::array::from_fn(|row| {
            let place = PLACES[8 * row + column];
            let factor = quantisation[place];
            group.coefficients[place].map(|coefficient| coefficient.wrapping_mul(factor))
        });
        // High frequencies are rare, and zeros shorten the transform.
        let results = if any(&lines[4..]) {
            has_right |= column >= 4;
            pass::<8>(&lines)
        } else if any(&lines[1..4]) {
            has_right |= column >= 4;
            pass::<4>(&lines)
        } else {
            has_right |= column >= 4 && any(&lines[..1]);
            [lines[0].map(|value| saturate(i32::from(value) << PASS_BITS)); 8]
        };
        for row in 0..8 {
            between[8 * row + column] = results[row];
        }
    }
    *group = BlockGroup::ZERO;
    for (lines, out) in between.chunks_exact(8).zip(out.chunks_mut(stride)) {
        let samples = if has_right { last_pass::<8>(lines) } else { last_pass::<4>(lines) };
        let out = &mut out[..8 * LANES];
        for lane in 0..LANES {
            out[8 * lane..8 * lane + 4].copy_from_slice(&samples[0][lane].to_le_bytes());
            out[8 * lane + 4..8 * lane + 8].copy_from_slice(&samples[1][lane].to_le_bytes());
        }
    }
}

/// Whether a value is not zero.
#[inline(always)]
fn any(lines: &[[i16; LANES]]) -> bool {
    let mut all = [0; LANES];
    for line in lines {
        for lane in 0..LANES {
            all[lane] |= line[lane];
        }
    }
    all.into_iter().fold(0, |any, value| any | value) != 0
}

/// The transform of columns of which the first inputs are not zero.
#[inline(always)]
fn pass<const INPUTS: usize>(lines: &Lines) -> Lines {
    let mut results = [[0; LANES]; 8];
    for lane in 0..LANES {
        let line = transform(std::array::from_fn(|k| if k < INPUTS { lines[k][lane] } else { 0 }));
        for k in 0..8 {
            results[k][lane] = saturate(round(line[k], CONSTANT_BITS - PASS_BITS));
        }
    }
    results
}

/// The transform of a row of which the first inputs are not zero: samples, four to a number.
#[inline(always)]
fn last_pass<const INPUTS: usize>(lines: &[[i16; LANES]]) -> [[u32; LANES]; 2] {
    let mut samples = [[0; LANES]; 2];
    for lane in 0..LANES {
        let line = transform(std::array::from_fn(|k| if k < INPUTS { lines[k][lane] } else { 0 }));
        let sample = line.map(|value| sample(round(value, CONSTANT_BITS + PASS_BITS + 3)));
        for half in 0..2 {
            samples[half][lane] = (0..4).map(|k| sample[4 * half + k] << (8 * k)).sum();
        }
    }
    samples
}

/// A value without its lowest bits, rounded.
#[inline(always)]
pub(super) fn round(value: i32, bits: u32) -> i32 {
    value.wrapping_add(1 << (bits - 1)) >> bits
}

#[inline(always)]
pub(super) fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

/// The sample of a value around zero.
#[inline(always)]
pub(super) fn sample(value: i32) -> u32 {
    value.wrapping_add(128).clamp(0, 255) as u32
}

/// A value times a constant with [`CONSTANT_BITS`] bits of fraction.
#[inline(always)]
pub(super) fn times(value: i16, constant: i16) -> i32 {
    i32::from(value) * i32::from(constant)
}

/// The one-dimensional transform, with [`CONSTANT_BITS`] more bits of fraction.
#[inline(always)]
fn transform(line: [i16; 8]) -> [i32; 8] {
    // The even part.
    let tail = times(line[2], 4433).wrapping_add(times(line[6], 4433 - 15137));
    let head = times(line[2], 4433 + 6270).wrapping_add(times(line[6], 4433));
    let sum = i32::from(line[0].wrapping_add(line[4])) << CONSTANT_BITS;
    let difference = i32::from(line[0].wrapping_sub(line[4])) << CONSTANT_BITS;
    let even = [
        sum.wrapping_add(head),
        difference.wrapping_add(tail),
        difference.wrapping_sub(tail),
        sum.wrapping_sub(head),
    ];
    // The odd part.
    let (a, b) = (line[7].wrapping_add(line[3]), line[5].wrapping_add(line[1]));
    let (a, b) = (
        times(a, 9633 - 16069).wrapping_add(times(b, 9633)),
        times(a, 9633).wrapping_add(times(b, 9633 - 3196)),
    );
    let part = |near: i16, factor: i16, far: i16, other: i16, rest: i32| {
        times(near, factor).wrapping_add(times(far, other)).wrapping_add(rest)
    };
    let odd = [
        part(line[1], 12299 - 7373, line[7], -7373, b),
        part(line[3], 25172 - 20995, line[5], -20995, a),
        part(line[5], 16819 - 20995, line[3], -20995, b),
        part(line[7], 2446 - 7373, line[1], -7373, a),
    ];
    std::array::from_fn(|k| {
        if k < 4 { even[k].wrapping_add(odd[k]) } else { even[7 - k].wrapping_sub(odd[7 - k]) }
    })
}

#[cfg(test)]
mod tests {
    use ndlens_kernels::{Body, Level};

    use super::*;
    use crate::jpeg::blocks::ZIGZAG;

    struct Transform<'a>(&'a mut BlockGroup, &'a [i16; 64], &'a mut [u8]);

    impl Body for Transform<'_> {
        type Output = ();

        #[inline(always)]
        fn run(self) {
            idct(self.0, self.1, self.2, 8 * LANES);
        }
    }

    fn group(random: &mut u32, most: i16) -> BlockGroup {
        let mut group = BlockGroup::ZERO;
        for k in 0..64 {
            for value in &mut group.coefficients[k] {
                *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *value = ((*random >> 16) as i16) % (most / (1 + k as i16 / 4)).max(1);
            }
        }
        group
    }

    /// T.81, A.3.3, and the level shift.
    fn reference(group: &BlockGroup, factors: &[i16; 64], lane: usize) -> [f64; 64] {
        let cosine = |x: usize, u: usize| {
            let scale = if u == 0 { 0.5_f64.sqrt() } else { 1.0 };
            scale / 2.0 * ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos()
        };
        std::array::from_fn(|at| {
            let terms = (0..64).map(|k| {
                let place = usize::from(ZIGZAG[k]);
                let value = f64::from(group.coefficients[k][lane]) * f64::from(factors[k]);
                value * cosine(at / 8, place / 8) * cosine(at % 8, place % 8)
            });
            (128.0 + terms.sum::<f64>()).clamp(0.0, 255.0)
        })
    }

    #[test]
    fn samples_are_those_of_floating_point_within_one_at_every_level() {
        let mut random = 1;
        for round in 0..50 {
            let group = group(&mut random, [2, 10, 40, 100][round % 4]);
            let factors = std::array::from_fn(|k| 1 + (k % 5) as i16);
            let mut out = [0; 64 * LANES];
            Level::SCALAR.run(Transform(&mut group.clone(), &factors, &mut out));
            for lane in 0..LANES {
                let expected = reference(&group, &factors, lane);
                for (at, expected) in expected.into_iter().enumerate() {
                    let got = out[at / 8 * 8 * LANES + 8 * lane + at % 8];
                    assert!((f64::from(got) - expected).abs() <= 1.0, "{round} {lane} {at}");
                }
            }
            for level in Level::all() {
                let (mut same, mut used) = ([0; 64 * LANES], group.clone());
                level.run(Transform(&mut used, &factors, &mut same));
                assert_eq!(same, out, "{level:?}");
                assert!(used.coefficients.as_flattened().iter().all(|&value| value == 0));
            }
        }
    }

    #[test]
    fn values_that_no_encoder_makes_are_the_same_at_every_level() {
        let mut random = 2;
        for _ in 0..50 {
            let group = group(&mut random, i16::MAX);
            let factors = std::array::from_fn(|k| [1, 255, -1, i16::MAX][k % 4]);
            let results = Level::all().map(|level| {
                let mut out = [0; 64 * LANES];
                level.run(Transform(&mut group.clone(), &factors, &mut out));
                out
            });
            let results: Vec<_> = results.collect();
            assert!(results.windows(2).all(|pair| pair[0] == pair[1]));
        }
    }
}
