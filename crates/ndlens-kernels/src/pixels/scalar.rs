//! Pixels of any strides and number of channels, one byte at a time.

#![expect(unsafe_code, reason = "reads pixels through raw pointers; see UNSAFE.md")]

/// Splits a channel of `width` pixels, which stand `pixel` bytes apart, into a plane.
///
/// # Safety
///
/// The channel of every pixel must be a readable byte.
pub(crate) unsafe fn split(from: *const u8, pixel: isize, width: usize, plane: &mut [u8]) {
    for (x, to) in plane[..width].iter_mut().enumerate() {
        // SAFETY: this is a channel of a pixel, which the caller guarantees.
        *to = unsafe { from.wrapping_offset(pixel * x as isize).read() };
    }
}

/// Joins planes, `plane` bytes apart, to `width` pixels.
pub(crate) fn join(planes: &[u8], plane: usize, width: usize, channels: usize, pixels: &mut [u8]) {
    for (channel, plane) in planes.chunks_exact(plane).take(channels).enumerate() {
        for (to, &byte) in pixels[channel..].iter_mut().step_by(channels).zip(&plane[..width]) {
            *to = byte;
        }
    }
}
