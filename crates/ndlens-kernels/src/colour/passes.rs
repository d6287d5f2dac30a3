//! Passes over an image.

#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use std::marker::PhantomData;

use crate::colour::adjustment::Adjustment;
use crate::colour::planes::{LEN, PlaneElement, Planes};
use crate::simd::level::{Body, Level};

/// Makes passes over the image, each up to the next adjustment that needs a mean.
pub(crate) fn run<E: PlaneElement, const CHANNELS: usize>(
    adjustments: &[Adjustment],
    pixels: &mut [u8],
    level: Level,
) {
    let count = pixels.len() / (size_of::<E>() * CHANNELS);
    // `own` is 1 if the first adjustment of the rest has its mean, and 0 otherwise.
    let (mut rest, mut mean, mut own) = (adjustments, 0.0, 0);
    loop {
        let next = rest.iter().skip(own).position(|adjustment| adjustment.needs_mean());
        let (now, later) = rest.split_at(next.map_or(rest.len(), |next| next + own));
        let pass = Pass { adjustments: now, mean, sums: next.is_some() };
        let sum = level.run(PassOver::<E, CHANNELS> { pass, pixels, element: PhantomData });
        if next.is_none() {
            return;
        }
        // The sum of bytes is exact in an f64; torch rounds it to f32 before it divides.
        mean = sum as f32 / count as f32;
        (rest, own) = (later, 1);
    }
}

/// One pass over the image.
#[derive(Clone, Copy)]
struct Pass<'a> {
    adjustments: &'a [Adjustment],
    /// The mean gray before the first adjustment.
    mean: f32,
    /// Whether the grays after the last are summed.
    sums: bool,
}

/// A pass and the image that it changes. It returns the sum of the grays, if that is requested.
struct PassOver<'a, E, const CHANNELS: usize> {
    pass: Pass<'a>,
    pixels: &'a mut [u8],
    element: PhantomData<E>,
}

impl<E: PlaneElement, const CHANNELS: usize> Body for PassOver<'_, E, CHANNELS> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        let PassOver { pass, pixels, .. } = self;
        if pass.adjustments.is_empty() && !pass.sums {
            return 0.0;
        }
        let mut planes = Planes::<E, CHANNELS>::new();
        let mut sum = 0.0;
        for block in pixels.chunks_mut(LEN * CHANNELS * size_of::<E>()) {
            planes.load(block);
            for adjustment in pass.adjustments {
                match *adjustment {
                    Adjustment::Brightness(factor) => planes.brightness(factor),
                    Adjustment::Contrast(factor) => planes.contrast(factor, pass.mean),
                    Adjustment::Saturation(factor) => planes.saturation(factor),
                    Adjustment::Hue(shift) => planes.hue(shift),
                    Adjustment::Grayscale => planes.grayscale(),
                }
            }
            if pass.sums {
                sum += planes.sum(block.len() / (CHANNELS * size_of::<E>()));
            }
            if !pass.adjustments.is_empty() {
                planes.store(block);
            }
        }
        sum
    }
}
