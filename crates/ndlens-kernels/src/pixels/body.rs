//! The bodies that an instruction set may have.

/// The pixels that are joined at once, by any body.
pub(crate) const JOINED: usize = 16;

/// Splits a row of pixels into planes. The second argument is the number of pixels, the last the
/// bytes from a plane to the next. The third is the distance from a pixel to the byte to prefetch,
/// which may be anywhere.
///
/// # Safety
///
/// The machine must have the body's instructions. The pixels must be readable; the planes must be
/// exclusive, and writable for as many bytes as there are pixels, rounded up to a multiple of 64.
pub(crate) type Split = unsafe fn(*const u8, usize, isize, *mut u8, usize);

/// Joins planes to pixels. The second argument is the bytes from a plane to the next.
///
/// # Safety
///
/// The machine must have the body's instructions. The pixels must be a multiple of [`JOINED`]; as
/// many bytes must be readable from the start of each plane on.
pub(crate) type Join = unsafe fn(*const u8, usize, &mut [u8]);
