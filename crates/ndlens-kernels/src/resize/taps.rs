//! Taps: the pixels of an axis, and their weights, from which each resized pixel is computed.
//!
//! This is torch's arithmetic, step by step: positions are of pixel centres; with antialias the
//! filter gets wider in proportion as the axis gets shorter; weights are normalised to a sum of 1.
//! For `uint8` they are computed in `f64` and become 16-bit integers with as many fraction bits as
//! the largest of the axis leaves room for; for `float32` they are computed in `f32`. So a rounding
//! error selects the same of two neighbours as in torch.

use std::ops::Range;

use ndlens_core::{DType, room};

use crate::error::Result;
use crate::resize::filter::{Filter, Interpolation};

/// The most fraction bits of a weight: 255 times the sum of the weights must fit an `i32`.
const MAX_PRECISION: u32 = 22;

/// The parameters that an axis was prepared for.
#[derive(Debug, Clone, PartialEq)]
struct Key {
    from: usize,
    to: usize,
    filter: Filter,
    dtype: DType,
}

/// The taps of all resized pixels of an axis.
///
/// # Invariants
///
/// 1. Pixel `i` has `counts[i] >= 1` taps, the source's pixels from `starts[i]` on; all are below
///    the source's size.
/// 2. Their weights begin at `i * stride`, in `fixed` for `uint8` and in `single` for `float32`. Up
///    to the stride, zeros follow.
/// 3. Neither `starts` nor the ends go down from one pixel to the next.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    key: Option<Key>,
    pub(crate) starts: Vec<u32>,
    pub(crate) counts: Vec<u32>,
    pub(crate) stride: usize,
    pub(crate) fixed: Vec<i16>,
    pub(crate) single: Vec<f32>,
    /// The fraction bits of `fixed`.
    pub(crate) precision: u32,
    weights: Vec<f64>,
}

/// The taps of both axes of an image.
#[derive(Debug, Default)]
pub(crate) struct AxisTaps {
    pub(crate) vertical: Taps,
    pub(crate) horizontal: Taps,
}

impl AxisTaps {
    /// Computes the taps for images of these sizes, unless they are already computed.
    pub(crate) fn prepare(
        &mut self,
        from: [usize; 2],
        to: [usize; 2],
        filter: Filter,
        dtype: &DType,
    ) -> Result<()> {
        self.vertical.prepare(from[0], to[0], filter, dtype)?;
        self.horizontal.prepare(from[1], to[1], filter, dtype)
    }
}

impl Taps {
    /// Computes the taps that resize `from` pixels to `to`, unless they are already computed.
    pub(crate) fn prepare(
        &mut self,
        from: usize,
        to: usize,
        filter: Filter,
        dtype: &DType,
    ) -> Result<()> {
        let key = Key { from, to, filter, dtype: dtype.clone() };
        if self.key.as_ref() == Some(&key) {
            return Ok(());
        }
        self.key = None;
        self.starts.clear();
        self.counts.clear();
        room::reserve(&mut self.starts, to)?;
        room::reserve(&mut self.counts, to)?;
        if *dtype == DType::U8 {
            let largest = self.compute::<false>(from, to, filter)?;
            self.fix(largest)?;
        } else {
            self.compute::<true>(from, to, filter)?;
            self.single.clear();
            room::reserve(&mut self.single, self.weights.len())?;
            self.single.extend(self.weights.iter().map(|&weight| weight as f32));
        }
        self.key = Some(key);
        Ok(())
    }

    /// The source's pixels that a range of pixels is computed from, which must not be empty.
    pub(crate) fn needed(&self, pixels: Range<usize>) -> Range<usize> {
        let (first, last) = (pixels.start, pixels.end - 1);
        let end = self.starts[last] + self.counts[last];
        self.starts[first] as usize..end as usize
    }

    /// The weights of pixel `i`, as fixed-point numbers.
    pub(crate) fn fixed_of(&self, i: usize) -> &[i16] {
        &self.fixed[i * self.stride..][..self.counts[i] as usize]
    }

    /// The weights of pixel `i`, as floats.
    pub(crate) fn single_of(&self, i: usize) -> &[f32] {
        &self.single[i * self.stride..][..self.counts[i] as usize]
    }

    /// Fills `weights`, and returns the largest.
    fn compute<const SINGLE: bool>(
        &mut self,
        from: usize,
        to: usize,
        filter: Filter,
    ) -> Result<f64> {
        let scale = round::<SINGLE>(from as f64 / to as f64);
        match (filter.interpolation, filter.antialias) {
            _ if from == to => self.pick(to, |i| i),
            // torch computes these positions in f32 for every dtype.
            (Interpolation::Nearest, _) if to == 2 * from => self.pick(to, |i| i / 2),
            (Interpolation::Nearest, _) => {
                let scale = from as f32 / to as f32;
                self.pick(to, |i| ((i as f32 * scale) as usize).min(from - 1))
            }
            (Interpolation::NearestExact, _) => {
                let scale = f64::from(from as f32 / to as f32);
                self.pick(to, |i| {
                    let position = ((scale * (i as f64 + 0.5) - 0.5) as f32).max(0.0);
                    (((f64::from(position) + 0.5) as f32) as usize).min(from - 1)
                })
            }
            (Interpolation::Bilinear, true) => {
                self.spread::<SINGLE>(from, to, scale, 1.0, line::<SINGLE>)
            }
            (Interpolation::Bicubic, true) => {
                self.spread::<SINGLE>(from, to, scale, 2.0, cubic::<SINGLE, true>)
            }
            (Interpolation::Bilinear, false) => {
                self.point::<SINGLE>(from, to, scale, 1, line::<SINGLE>)
            }
            (Interpolation::Bicubic, false) => {
                self.point::<SINGLE>(from, to, scale, 2, cubic::<SINGLE, false>)
            }
        }
    }

    /// One tap for each pixel.
    fn pick(&mut self, to: usize, index: impl Fn(usize) -> usize) -> Result<f64> {
        self.stride = 1;
        self.starts.extend((0..to).map(|i| index(i) as u32));
        self.counts.resize(to, 1);
        self.weights.clear();
        room::resize(&mut self.weights, to, 1.0)?;
        Ok(1.0)
    }

    /// Computes taps with antialias: all pixels under a filter of `half` pixels to either side,
    /// more if the axis gets shorter.
    fn spread<const SINGLE: bool>(
        &mut self,
        from: usize,
        to: usize,
        scale: f64,
        half: f64,
        filter: impl Fn(f64) -> f64,
    ) -> Result<f64> {
        let support = if scale >= 1.0 { round::<SINGLE>(half * scale) } else { half };
        let inverse = if scale >= 1.0 { round::<SINGLE>(1.0 / scale) } else { 1.0 };
        let stride = support.ceil() as usize * 2 + 1;
        self.stride = stride;
        self.weights.clear();
        room::resize(&mut self.weights, to.saturating_mul(stride), 0.0)?;
        let mut largest = 0.0f64;
        for (i, weights) in self.weights.chunks_exact_mut(stride).enumerate() {
            let center = round::<SINGLE>(scale * (i as f64 + 0.5));
            // The cast to usize rounds towards 0, and gives 0 for negative numbers.
            let start = ((round::<SINGLE>(center - support) + 0.5) as usize).min(from - 1);
            let end = ((round::<SINGLE>(center + support) + 0.5) as usize).min(from);
            let count = end.saturating_sub(start).clamp(1, stride);
            let mut total = 0.0;
            for (j, weight) in weights[..count].iter_mut().enumerate() {
                let distance = round::<SINGLE>((start + j) as f64 - center) + 0.5;
                *weight = filter(round::<SINGLE>(distance * inverse));
                total = round::<SINGLE>(total + *weight);
            }
            if total != 0.0 {
                for weight in &mut weights[..count] {
                    *weight = round::<SINGLE>(*weight / total);
                    largest = largest.max(*weight);
                }
            }
            self.starts.push(start as u32);
            self.counts.push(count as u32);
        }
        Ok(largest)
    }

    /// Computes taps without antialias: `half` pixels to either side. Weights of pixels outside are
    /// added to the outermost pixel inside.
    fn point<const SINGLE: bool>(
        &mut self,
        from: usize,
        to: usize,
        scale: f64,
        half: usize,
        filter: impl Fn(f64) -> f64,
    ) -> Result<f64> {
        let stride = 2 * half;
        self.stride = stride;
        self.weights.clear();
        room::resize(&mut self.weights, to.saturating_mul(stride), 0.0)?;
        let last = from as i64 - 1;
        let mut largest = 0.0f64;
        for (i, weights) in self.weights.chunks_exact_mut(stride).enumerate() {
            // This rounds once: torch is compiled to fused multiply-adds. In f64 such a small
            // difference changes nothing.
            let position = round::<SINGLE>(scale * (i as f64 + 0.5) - 0.5);
            let position = if half == 1 { position.max(0.0) } else { position };
            // torch takes the floor in f32 even if the rest is f64.
            let index = ((position as f32).floor() as i64).min(last);
            let fraction = round::<SINGLE>(position - index as f64).clamp(0.0, 1.0);
            let first = index - half as i64 + 1;
            let start = first.max(0);
            let end = (index + half as i64 + 1).min(from as i64);
            let count = (end - start).clamp(1, stride as i64) as usize;
            let mut at = 0;
            for j in 0..stride {
                if first + j as i64 <= 0 {
                    at = 0;
                } else if first + j as i64 >= last {
                    at = count - 1;
                }
                let weight = filter(round::<SINGLE>((j + 1) as f64 - half as f64 - fraction));
                weights[at] = round::<SINGLE>(weights[at] + weight);
                // The weights are differences of the running sums, as in torch.
                largest = largest.max(weights[at]);
                at += 1;
            }
            self.starts.push(start as u32);
            self.counts.push(count as u32);
        }
        Ok(largest)
    }

    /// Rounds the weights to 16-bit integers, and drops those at either end that become 0.
    fn fix(&mut self, largest: f64) -> Result<()> {
        let fits = |precision: u32| {
            ((0.5 + largest * f64::from(1u32 << (precision + 1))) as i64) < 1 << 15
        };
        self.precision =
            (0..MAX_PRECISION).find(|&precision| !fits(precision)).unwrap_or(MAX_PRECISION);
        let one = f64::from(1u32 << self.precision);
        self.fixed.clear();
        room::reserve(&mut self.fixed, self.weights.len())?;
        self.fixed.extend(self.weights.iter().map(|&weight| {
            let scaled = weight * one;
            (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i16
        }));
        self.trim();
        Ok(())
    }

    /// Drops taps of weight 0 at either end, if invariant 3 allows it. A position at the exact
    /// centre of a pixel has one tap, and its neighbours have more: without invariant 3 it would
    /// start later than the next.
    fn trim(&mut self) {
        let mut next_start = u32::MAX;
        for (i, weights) in self.fixed.chunks_exact_mut(self.stride).enumerate().rev() {
            let count = self.counts[i] as usize;
            let zeros =
                weights[..count].iter().take_while(|&&weight| weight == 0).count().min(count - 1);
            let before = (zeros as u32).min(next_start.saturating_sub(self.starts[i]));
            weights[..count].rotate_left(before as usize);
            self.starts[i] += before;
            self.counts[i] -= before;
            next_start = self.starts[i];
        }
        let mut last_end = 0;
        for (i, weights) in self.fixed.chunks_exact(self.stride).enumerate() {
            let (start, count) = (self.starts[i], self.counts[i]);
            let zeros =
                weights[1..count as usize].iter().rev().take_while(|&&weight| weight == 0).count();
            let end = (start + count - zeros as u32).max(last_end.min(start + count));
            self.counts[i] = end - start;
            last_end = end;
        }
    }
}

/// A result, rounded as torch's arithmetic in `f32` or in `f64` rounds it. The `f64` result of a
/// basic operation, rounded to `f32`, has the bits of the operation in `f32`.
fn round<const SINGLE: bool>(value: f64) -> f64 {
    if SINGLE { f64::from(value as f32) } else { value }
}

/// The filter of bilinear interpolation.
fn line<const SINGLE: bool>(x: f64) -> f64 {
    round::<SINGLE>((1.0 - x.abs()).max(0.0))
}

/// The filter of bicubic interpolation: R. Keys, "Cubic convolution interpolation for digital image
/// processing", with his a = -0.5 with antialias, as in Pillow, and -0.75 otherwise,
/// as in `OpenCV`.
fn cubic<const SINGLE: bool, const ANTIALIAS: bool>(x: f64) -> f64 {
    let a = if ANTIALIAS { -0.5 } else { -0.75 };
    let x = x.abs();
    let round = round::<SINGLE>;
    if x < 1.0 {
        let factor = round(round((a + 2.0) * x) - (a + 3.0));
        round(round(round(factor * x) * x) + 1.0)
    } else if x < 2.0 {
        let factor = round(round(round(round(a * x) - 5.0 * a) * x) + 8.0 * a);
        round(round(factor * x) - 4.0 * a)
    } else {
        0.0
    }
}
