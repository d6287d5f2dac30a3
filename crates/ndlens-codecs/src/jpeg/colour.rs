//! Rows of components to rows of pixels: JFIF's YCbCr to RGB, as libjpeg's tables, to the bit.
//!
//! ```text
//!  R = Y + 1.402 (Cr - 128)
//!  G = Y - 0.34414 (Cb - 128) - 0.71414 (Cr - 128)
//!  B = Y + 1.772 (Cb - 128)
//! ```
//!
//! The constants have 16 bits of fraction. Their integer parts are added apart, so that the rest
//! are numbers of 16 bits. Conversion and interleaving are two loops: compilers make vectors of
//! each.

/// Samples that are converted at once.
const CHUNK: usize = 32;

/// Converts rows of Y, Cb, Cr to rows of R, G, B.
#[inline(always)]
pub(super) fn ycc_to_rgb(ycc: [&[u8]; 3], rgb: [&mut [u8]; 3]) {
    let [luma, blue, red] = ycc.map(<[u8]>::as_chunks::<CHUNK>);
    let [r, g, b] = rgb.map(<[u8]>::as_chunks_mut::<CHUNK>);
    let inputs = luma.0.iter().zip(blue.0).zip(red.0);
    for (((luma, blue), red), ((r, g), b)) in inputs.zip(r.0.iter_mut().zip(g.0).zip(b.0)) {
        convert([luma, blue, red], [r, g, b]);
    }
    let mut rest = [[0; CHUNK]; 3];
    for (rest, from) in rest.iter_mut().zip([luma.1, blue.1, red.1]) {
        rest[..from.len()].copy_from_slice(from);
    }
    let mut converted = [[0; CHUNK]; 3];
    convert(rest.each_ref(), converted.each_mut());
    for (from, to) in converted.iter().zip([r.1, g.1, b.1]) {
        to.copy_from_slice(&from[..to.len()]);
    }
}

#[inline(always)]
fn convert(ycc: [&[u8; CHUNK]; 3], rgb: [&mut [u8; CHUNK]; 3]) {
    let [r, g, b] = rgb;
    for k in 0..CHUNK {
        let [luma, blue, red] = ycc.map(|row| i16::from(row[k]));
        let (blue, red) = (blue - 128, red - 128);
        let green = -22554 * i32::from(blue) + 18734 * i32::from(red) + 32768;
        r[k] = clamp(luma + red + times(red, 26345));
        g[k] = clamp(luma - red + (green >> 16) as i16);
        b[k] = clamp(luma + 2 * blue + times(blue, -14942));
    }
}

/// A sample times a constant with 16 bits of fraction, rounded. The upper half of the product of
/// numbers of 16 bits is one instruction, which twice the sample leaves a bit of fraction for.
#[inline(always)]
fn times(sample: i16, constant: i16) -> i16 {
    let twice = (i32::from(2 * sample) * i32::from(constant)) >> 16;
    (twice as i16 + 1) >> 1
}

#[inline(always)]
fn clamp(value: i16) -> u8 {
    value.clamp(0, 255) as u8
}

/// Writes pixels of a sample of each row.
#[inline(always)]
pub(super) fn interleave(rows: [&[u8]; 3], out: &mut [u8]) {
    let pixels = out.as_chunks_mut::<3>().0.iter_mut();
    for (((out, &r), &g), &b) in pixels.zip(rows[0]).zip(rows[1]).zip(rows[2]) {
        *out = [r, g, b];
    }
}

/// Writes pixels of a sample of each row, and alpha.
#[inline(always)]
pub(super) fn interleave_opaque(rows: [&[u8]; 3], out: &mut [u8]) {
    let pixels = out.as_chunks_mut::<4>().0.iter_mut();
    for (((out, &r), &g), &b) in pixels.zip(rows[0]).zip(rows[1]).zip(rows[2]) {
        *out = [r, g, b, 255];
    }
}

/// Writes grey pixels from a row of each: ITU-R BT.601, as Pillow rounds it.
#[inline(always)]
pub(super) fn rgb_to_grey(rows: [&[u8]; 3], out: &mut [u8]) {
    for (((out, &r), &g), &b) in out.iter_mut().zip(rows[0]).zip(rows[1]).zip(rows[2]) {
        let [r, g, b] = [r, g, b].map(u32::from);
        *out = ((19595 * r + 38470 * g + 7471 * b + 0x8000) >> 16) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::components;

    #[test]
    fn rows_of_any_length_are_converted_as_single_pixels_are() {
        // Every luma and red, and enough of blue.
        let all: Vec<[u8; 3]> = (0..=255)
            .flat_map(|red| (0..=255).map(move |luma: u8| [luma, luma.wrapping_mul(7) ^ red, red]))
            .collect();
        for len in [1, 31, 32, 33, 100, all.len()] {
            let ycc = [0, 1, 2].map(|k| all[..len].iter().map(|p| p[k]).collect::<Vec<u8>>());
            let mut rgb = [0, 1, 2].map(|_| vec![0; len]);
            ycc_to_rgb(ycc.each_ref().map(|row| &row[..]), rgb.each_mut().map(|row| &mut row[..]));
            let mut out = vec![0; 3 * len];
            interleave(rgb.each_ref().map(|row| &row[..]), &mut out);
            for (got, [luma, blue, red]) in out.as_chunks::<3>().0.iter().zip(&all) {
                assert_eq!(*got, components::rgb(*luma, *blue, *red));
            }
        }
    }
}
