//! Rows of samples to rows of pixels: libjpeg's triangle filters, to the bit.
//!
//! A sample of a component with half the columns lies between two pixels. A pixel gets 3/4 of the
//! nearer sample and 1/4 of the farther one, rounded up and down in turn. The ends of a row count
//! as those of the image. Where they are not, the caller does not use the pixel there.

/// Twice as many columns.
#[inline(always)]
pub(super) fn columns(samples: &[u8], out: &mut [u8]) {
    let last = samples.len() - 1;
    let out = &mut out[..2 * samples.len()];
    out[0] = samples[0];
    out[2 * last + 1] = samples[last];
    // Pixels between two samples.
    let between = out[1..=2 * last].chunks_exact_mut(2);
    for ((out, &left), &right) in between.zip(samples).zip(&samples[1..]) {
        let (left, right) = (u16::from(left), u16::from(right));
        out[0] = ((3 * left + right + 2) >> 2) as u8;
        out[1] = ((3 * right + left + 1) >> 2) as u8;
    }
}

/// Twice as many rows: the row whose nearer row of samples is the first one. It is the `lower` of
/// the two that are made of that one, or the upper.
#[inline(always)]
pub(super) fn rows(near: &[u8], far: &[u8], lower: bool, out: &mut [u8]) {
    let bias = if lower { 2 } else { 1 };
    for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
        *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
    }
}

/// Twice as many rows and columns. `sums` has room for as many values as there are samples.
#[inline(always)]
pub(super) fn both(near: &[u8], far: &[u8], sums: &mut [u16], out: &mut [u8]) {
    let sums = &mut sums[..near.len()];
    for ((sum, &near), &far) in sums.iter_mut().zip(near).zip(far) {
        *sum = 3 * u16::from(near) + u16::from(far);
    }
    let last = sums.len() - 1;
    let out = &mut out[..2 * sums.len()];
    out[0] = ((4 * sums[0] + 8) >> 4) as u8;
    out[2 * last + 1] = ((4 * sums[last] + 7) >> 4) as u8;
    let between = out[1..=2 * last].chunks_exact_mut(2);
    for ((out, &left), &right) in between.zip(&*sums).zip(&sums[1..]) {
        out[0] = ((3 * left + right + 7) >> 4) as u8;
        out[1] = ((3 * right + left + 8) >> 4) as u8;
    }
}

/// Each sample so many times.
#[inline(always)]
pub(super) fn replicate(samples: &[u8], each: usize, out: &mut [u8]) {
    for (out, &sample) in out.chunks_exact_mut(each).zip(samples) {
        out.fill(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(len: usize) -> Vec<u8> {
        (0..len).map(|k| (k * k * 89 + k * 31) as u8).collect()
    }

    /// The nearer sample and the farther one of each of twice as many pixels.
    fn pairs(len: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..2 * len).map(move |pixel| match (pixel / 2, pixel % 2) {
            (near, 0) => (near, near.saturating_sub(1)),
            (near, _) => (near, (near + 1).min(len - 1)),
        })
    }

    #[test]
    fn pixels_are_three_quarters_of_the_nearer_sample_and_one_of_the_farther() {
        for len in [1, 2, 3, 15, 16, 17, 64, 100] {
            let (near, far) = (samples(len), samples(len + 9)[9..].to_vec());
            let mut out = vec![0; 2 * len];
            columns(&near, &mut out);
            for (pixel, (a, b)) in pairs(len).enumerate() {
                let sum = 3 * u16::from(near[a]) + u16::from(near[b]);
                // At the ends, rounding does not matter: both are the same sample.
                assert_eq!(u16::from(out[pixel]), (sum + 1 + pixel as u16 % 2) >> 2);
            }
            let mut sums = vec![0; len];
            both(&near, &far, &mut sums, &mut out);
            for (pixel, (a, b)) in pairs(len).enumerate() {
                let along = |k: usize| 3 * u16::from(near[k]) + u16::from(far[k]);
                let sum = 3 * along(a) + along(b);
                assert_eq!(u16::from(out[pixel]), (sum + 8 - pixel as u16 % 2) >> 4);
            }
            for lower in [false, true] {
                rows(&near, &far, lower, &mut out[..len]);
                for k in 0..len {
                    let sum = 3 * u16::from(near[k]) + u16::from(far[k]);
                    assert_eq!(u16::from(out[k]), (sum + 1 + u16::from(lower)) >> 2);
                }
            }
            replicate(&near, 2, &mut out);
            assert!(out.iter().enumerate().all(|(pixel, &got)| got == near[pixel / 2]));
        }
    }
}
