//! Passes over an image: one body, compiled for each instruction set.

#![expect(unsafe_code, reason = "calls bodies compiled for instruction sets; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a body has not its instructions enabled"
)]

use super::Adjustment;
use super::planes::{Element, LEN, Planes};
use crate::simd::level::Isa;

/// Passes over the image, each up to the next adjustment that needs a mean.
pub(super) fn run<E: Element, const CHANNELS: usize>(
    adjustments: &[Adjustment],
    pixels: &mut [u8],
    isa: Isa,
) {
    let count = pixels.len() / (size_of::<E>() * CHANNELS);
    // `own` counts the adjustment at the head of the rest whose mean is known.
    let (mut rest, mut mean, mut own) = (adjustments, 0.0, 0);
    loop {
        let next = rest.iter().skip(own).position(|adjustment| adjustment.needs_mean());
        let (now, later) = rest.split_at(next.map_or(rest.len(), |next| next + own));
        let pass = Pass { adjustments: now, mean, sums: next.is_some() };
        let sum = match isa.min(Isa::best()) {
            // SAFETY: `best` says that the machine has the body's instructions.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512_pass::<E, CHANNELS>(pass, pixels) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2_pass::<E, CHANNELS>(pass, pixels) },
            _ => run_pass::<E, CHANNELS>(pass, pixels),
        };
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

/// # Safety
///
/// The machine must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2_pass<E: Element, const CHANNELS: usize>(pass: Pass<'_>, pixels: &mut [u8]) -> f64 {
    run_pass::<E, CHANNELS>(pass, pixels)
}

/// # Safety
///
/// The machine must have AVX-512 F, BW, VL and VBMI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn avx512_pass<E: Element, const CHANNELS: usize>(pass: Pass<'_>, pixels: &mut [u8]) -> f64 {
    run_pass::<E, CHANNELS>(pass, pixels)
}

/// The one body. Gives the sum of the grays, if it was asked for.
#[inline(always)]
fn run_pass<E: Element, const CHANNELS: usize>(pass: Pass<'_>, pixels: &mut [u8]) -> f64 {
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
