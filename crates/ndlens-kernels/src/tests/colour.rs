//! Comparison of every body with the oracle: torchvision's formulas, one pixel at a time, with its
//! own branches and dtypes.

#![expect(clippy::float_cmp, reason = "bodies and oracle agree to the bit")]

use ndlens_core::DType;

use crate::colour::Adjustment::{self, Brightness, Contrast, Grayscale, Hue, Saturation};
use crate::colour::planes::LEN;
use crate::simd::level::Level;

/// An image between two adjustments: pixels of one or three values, `bound` the largest.
struct Oracle {
    pixels: Vec<Vec<f32>>,
    bound: f32,
}

impl Oracle {
    fn whole(&self, x: f32) -> f32 {
        if self.bound == 255.0 { f32::from(x as u8) } else { x }
    }

    fn gray(&self, pixel: &[f32]) -> f32 {
        match *pixel {
            [red, green, blue] => {
                self.whole(blue.mul_add(0.114, green.mul_add(0.587, red * 0.2989)))
            }
            _ => pixel[0],
        }
    }

    fn mean(&self) -> f32 {
        let sum: f64 = self.pixels.iter().map(|pixel| f64::from(self.gray(pixel))).sum();
        sum as f32 / self.pixels.len() as f32
    }

    fn blend(&self, x: f32, other: f32, factor: f64) -> f32 {
        let blended = other.mul_add((1.0 - factor) as f32, x * factor as f32);
        self.whole(blended.clamp(0.0, self.bound))
    }

    fn adjust(&mut self, adjustment: Adjustment) {
        let mean = self.mean();
        let change = |pixel: &Vec<f32>| -> Vec<f32> {
            let gray = self.gray(pixel);
            let each = |f: &dyn Fn(f32) -> f32| pixel.iter().map(|&x| f(x)).collect();
            match adjustment {
                Brightness(factor) => {
                    each(&|x| self.whole((x * factor as f32).clamp(0.0, self.bound)))
                }
                Contrast(factor) => each(&|x| self.blend(x, mean, factor)),
                Saturation(_) | Hue(_) | Grayscale if pixel.len() == 1 => pixel.clone(),
                Saturation(factor) => each(&|x| self.blend(x, gray, factor)),
                Grayscale => each(&|_| gray),
                Hue(shift) => {
                    let unit = if self.bound == 255.0 { 1.0 / 255.0 } else { 1.0 };
                    let turned =
                        turned([0, 1, 2].map(|channel: usize| pixel[channel] * unit), shift as f32);
                    let back =
                        |x: f32| if self.bound == 255.0 { self.whole(x * 255.999) } else { x };
                    turned.map(back).to_vec()
                }
            }
        };
        self.pixels = self.pixels.iter().map(change).collect();
    }
}

fn turned(pixel: [f32; 3], shift: f32) -> [f32; 3] {
    let most = pixel.into_iter().fold(f32::MIN, f32::max);
    let least = pixel.into_iter().fold(f32::MAX, f32::min);
    let (mut saturation, mut hue) = (0.0, 0.0);
    if most != least {
        let range = most - least;
        saturation = range / most;
        let [rc, gc, bc] = pixel.map(|x| (most - x) / range);
        hue = match most {
            most if most == pixel[0] => bc - gc,
            most if most == pixel[1] => 2.0 + rc - bc,
            _ => 4.0 + gc - rc,
        };
    }
    let hue = ((hue * (1.0f64 / 6.0) as f32 + 1.0) % 1.0 + shift) % 1.0;
    let hue = if hue < 0.0 { hue + 1.0 } else { hue };
    let sextant = (hue * 6.0).floor();
    let fraction = hue * 6.0 - sextant;
    let (part, rest) = (saturation * fraction, 1.0 - saturation);
    let [low, falling, rising] =
        [rest * most, (1.0 - part) * most, (part + rest) * most].map(|value| value.clamp(0.0, 1.0));
    match sextant as i32 % 6 {
        0 => [most, rising, low],
        1 => [falling, most, low],
        2 => [low, most, rising],
        3 => [low, falling, most],
        4 => [rising, low, most],
        _ => [most, low, falling],
    }
}

fn bytes(count: usize) -> Vec<u8> {
    let mut state = 7u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    // The branches concern grays and pixels of few values.
    (0..count).map(|i| if i / 30 % 3 == 0 { 127 + next() % 2 * 128 } else { next() }).collect()
}

fn cases() -> Vec<Vec<Adjustment>> {
    let mut cases = vec![vec![], vec![Grayscale]];
    for factor in [0.0, 0.3, 0.999, 1.0, 1.7, 40.0] {
        cases.extend([vec![Brightness(factor)], vec![Contrast(factor)], vec![Saturation(factor)]]);
    }
    cases.extend([-0.5, -0.21, -1e-9, 0.0, 1e-9, 0.13, 0.5].map(|shift| vec![Hue(shift)]));
    let four = [Brightness(1.2), Contrast(0.7), Saturation(1.4), Hue(0.1)];
    cases.extend((0..4).map(|turn| {
        let mut turned = four.to_vec();
        turned.rotate_left(turn);
        turned
    }));
    cases.push(vec![Contrast(1.5), Contrast(0.5), Grayscale, Contrast(1.1)]);
    cases
}

/// Adjusts bytes with every instruction set, and as the oracle does.
fn check_bytes(bytes: &[u8], channels: usize, adjustments: &[Adjustment]) {
    let pixels = bytes.chunks(channels).map(|pixel| pixel.iter().map(|&x| x.into()).collect());
    let mut oracle = Oracle { pixels: pixels.collect(), bound: 255.0 };
    for &adjustment in adjustments {
        oracle.adjust(adjustment);
    }
    let expected: Vec<u8> = oracle.pixels.concat().iter().map(|&x| x as u8).collect();
    for level in Level::all() {
        let mut got = bytes.to_vec();
        Adjustment::apply_at_level(adjustments, &mut got, &DType::U8, channels, level).unwrap();
        assert_eq!(
            got,
            expected,
            "{adjustments:?}, {level:?}, {} x {channels}",
            bytes.len() / channels
        );
    }
}

#[test]
fn every_body_adjusts_bytes_as_the_oracle_does() {
    for channels in [1, 3] {
        for count in [0, 1, 15, LEN, LEN + 1, 3 * LEN - 1] {
            let bytes = bytes(count * channels);
            for adjustments in cases() {
                check_bytes(&bytes, channels, &adjustments);
            }
        }
    }
}

#[test]
fn every_body_adjusts_floats_as_the_oracle_does() {
    for channels in [1, 3] {
        let count = 2 * LEN + 77;
        let floats: Vec<f32> =
            bytes(count * channels).iter().map(|&x| f32::from(x) * 0.003_921_568_6).collect();
        for adjustments in cases() {
            // A mean is summed in another order; all else is exact.
            let tolerance = if adjustments.iter().any(|a| a.needs_mean()) { 1e-5 } else { 0.0 };
            let pixels = floats.chunks(channels).map(<[f32]>::to_vec).collect();
            let mut oracle = Oracle { pixels, bound: 1.0 };
            for &adjustment in &adjustments {
                oracle.adjust(adjustment);
            }
            for level in Level::all() {
                let mut got: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
                Adjustment::apply_at_level(&adjustments, &mut got, &DType::F32, channels, level)
                    .unwrap();
                for (got, expected) in
                    got.as_chunks::<4>().0.iter().zip(oracle.pixels.iter().flatten())
                {
                    let got = f32::from_le_bytes(*got);
                    assert!(
                        (got - expected).abs() <= tolerance,
                        "{adjustments:?}, {level:?}: {got}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_body_agrees_on_numbers_beyond_all_bounds() {
    let floats = [f32::NAN, f32::INFINITY, -1.0, 1e38, f32::NEG_INFINITY, 0.0].repeat(3);
    for adjustments in cases().into_iter().chain(extremes()) {
        let results: Vec<Vec<f32>> = Level::all()
            .map(|level| {
                let mut got: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
                Adjustment::apply_at_level(&adjustments, &mut got, &DType::F32, 3, level).unwrap();
                got.as_chunks().0.iter().map(|&x| f32::from_le_bytes(x)).collect()
            })
            .collect();
        let same = |a: f32, b: f32| a == b || a.is_nan() && b.is_nan();
        for result in &results[1..] {
            assert!(
                result.iter().zip(&results[0]).all(|(&a, &b)| same(a, b)),
                "{adjustments:?}: {results:?}"
            );
        }
    }
}

/// Parameters that are never drawn, but that a user can replay: out of range, infinite as `f32`, or
/// infinite.
fn extremes() -> Vec<Vec<Adjustment>> {
    let factors = [0.0, -0.0, -1.0, 1e-300, 1e-45, 1e30, -1e30, 1e300, -1e300, f64::MAX, f64::MIN];
    let shifts =
        [-0.5, 0.5, 0.499_999_999, -0.500_000_001, 1.0, -1.0, 7.25, 1e9 + 0.5, 1e30, -1e30, 1e300];
    let mut cases = vec![];
    for factor in factors.into_iter().chain([f64::INFINITY, f64::NEG_INFINITY]) {
        let each = [Brightness(factor), Contrast(factor), Saturation(factor)];
        cases.extend(each.map(|adjustment| vec![adjustment]));
        cases.push(vec![each[0], Hue(0.5), Saturation(1.5)]);
        cases.push(vec![each[2], Contrast(0.5), each[0]]);
        cases.push(each.to_vec());
    }
    for shift in shifts.into_iter().chain([f64::INFINITY, f64::NEG_INFINITY]) {
        cases.push(vec![Hue(shift)]);
        cases.push(vec![Hue(shift), Brightness(1.5), Hue(-shift)]);
    }
    cases
}

#[test]
fn extreme_parameters_change_bytes_as_the_oracle_does() {
    for channels in [1, 3] {
        let bytes = bytes((LEN + 77) * channels);
        for adjustments in extremes() {
            check_bytes(&bytes, channels, &adjustments);
        }
    }
}

#[test]
fn extreme_parameters_change_floats_as_the_oracle_does() {
    // Far from each mean, which is summed in another order.
    let values = [0.0f32, 0.125, 1.0];
    for channels in [1, 3] {
        let floats: Vec<f32> =
            bytes((LEN + 77) * channels).iter().map(|&x| values[usize::from(x) % 3]).collect();
        // One at a time: infinity times 0 is NaN, whose hue is undefined.
        for adjustments in extremes().into_iter().filter(|adjustments| adjustments.len() == 1) {
            let pixels = floats.chunks(channels).map(<[f32]>::to_vec).collect();
            let mut oracle = Oracle { pixels, bound: 1.0 };
            for &adjustment in &adjustments {
                oracle.adjust(adjustment);
            }
            for level in Level::all() {
                let mut got: Vec<u8> = floats.iter().flat_map(|x| x.to_le_bytes()).collect();
                Adjustment::apply_at_level(&adjustments, &mut got, &DType::F32, channels, level)
                    .unwrap();
                for (got, expected) in
                    got.as_chunks::<4>().0.iter().zip(oracle.pixels.iter().flatten())
                {
                    let got = f32::from_le_bytes(*got);
                    let same = got.is_nan() && expected.is_nan() || (got - expected).abs() <= 1e-5;
                    assert!(same, "{adjustments:?}, {level:?}: {got}, {expected}");
                }
            }
        }
    }
}

#[test]
fn refused_images_say_why() {
    let message = |dtype, channels, len: usize| {
        Adjustment::apply(&[Grayscale], &mut vec![0; len], &dtype, channels)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message(DType::F16, 3, 6),
        "colours are changed of uint8 and float32 images, got float16"
    );
    assert_eq!(
        message(DType::U8, 4, 8),
        "colours are changed of images with 1 or 3 channels, got 4"
    );
    assert_eq!(message(DType::U8, 3, 7), "destination has 7 bytes, expected 6");
}
