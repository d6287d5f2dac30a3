//! Rows of components to rows of pixels: JFIF's YCbCr to RGB, as libjpeg's tables, to the bit.
//!
//! ```text
//!  R = Y + 1.402 (Cr - 128)
//!  G = Y - 0.34414 (Cb - 128) - 0.71414 (Cr - 128)
//!  B = Y + 1.772 (Cb - 128)
//! ```
//!
//! The constants have 16 bits of fraction. Their integer parts are added apart here, so that the
//! rest are numbers of 16 bits.

/// Writes pixels of 3 or 4 bytes.
#[inline(always)]
pub(super) fn ycc<const BYTES: usize>(rows: [&[u8]; 3], out: &mut [u8]) {
    let [luma, blue, red] = rows;
    let pixels = out.chunks_exact_mut(BYTES);
    for (((out, &luma), &blue), &red) in pixels.zip(luma).zip(blue).zip(red) {
        let luma = i32::from(luma);
        let (blue, red) = (i32::from(blue) - 128, i32::from(red) - 128);
        let r = luma + red + ((26345 * red + 32768) >> 16);
        let g = luma - red + ((-22554 * blue + 18734 * red + 32768) >> 16);
        let b = luma + 2 * blue + ((-14942 * blue + 32768) >> 16);
        write(out, [r, g, b].map(|value| value.clamp(0, 255) as u8));
    }
}

/// Writes pixels of 3 or 4 bytes from a row of each.
#[inline(always)]
pub(super) fn rgb<const BYTES: usize>(rows: [&[u8]; 3], out: &mut [u8]) {
    let pixels = out.chunks_exact_mut(BYTES);
    for (((out, &r), &g), &b) in pixels.zip(rows[0]).zip(rows[1]).zip(rows[2]) {
        write(out, [r, g, b]);
    }
}

/// Writes pixels of 3 or 4 bytes from a row of grey.
#[inline(always)]
pub(super) fn grey<const BYTES: usize>(row: &[u8], out: &mut [u8]) {
    for (out, &grey) in out.chunks_exact_mut(BYTES).zip(row) {
        write(out, [grey; 3]);
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

#[inline(always)]
fn write(out: &mut [u8], rgb: [u8; 3]) {
    out[..3].copy_from_slice(&rgb);
    if let Some(alpha) = out.get_mut(3) {
        *alpha = 255;
    }
}
