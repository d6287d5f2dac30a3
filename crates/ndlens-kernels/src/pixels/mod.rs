//! Interleaved pixels of bytes to planes, and back.
//!
//! ```text
//!  pixels   RGBRGBRGB..   split ->   plane R  RRR..
//!                         <- join    plane G  GGG..
//!                                    plane B  BBB..
//! ```
//!
//! - `scalar.rs`: pixels of any strides and number of channels.
//! - `avx2.rs`: adjacent pixels of 2 to 4 bytes, split and joined.
//! - `neon.rs`: the same with NEON.
//! - `avx512.rs`: the same, split and mapped on the way.
//! - `body.rs`: the arguments of a body that splits or joins.

#![expect(unsafe_code, reason = "calls bodies with raw pointers; see UNSAFE.md")]

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
mod body;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use std::ptr;

use ndlens_core::room;

use crate::error::Result;
#[cfg(target_arch = "x86_64")]
use crate::pixels::avx512::{Mapping, Pixels, to_planes};
use crate::simd::level::{Isa, Level};

/// The most bytes of a pixel that registers split.
pub(crate) const MAX_CHANNELS: usize = 4;

/// Number of rows ahead that pixels are prefetched: the rows of a crop are too short for the
/// processor's own prefetch.
pub(crate) const ROWS_AHEAD: isize = 4;

/// Planes have room for a row of pixels, rounded up to a multiple of this.
pub(crate) const BLOCK: usize = 64;

/// Number of pixels that are joined from planes at once.
pub(crate) const JOINED: usize = body::JOINED;

/// A row of pixels of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PixelRow {
    /// The first channel of the first pixel.
    pub(crate) from: *const u8,
    /// The pixels of the row.
    pub(crate) width: usize,
    /// The channels of a pixel.
    pub(crate) channels: usize,
    /// Bytes from a pixel to the next.
    pub(crate) pixel: isize,
    /// Bytes from a channel to the next.
    pub(crate) channel: isize,
    /// Bytes from this row to the next: a hint, which may be anything.
    pub(crate) row_stride: isize,
}

/// Whether a level has registers that split adjacent pixels of `channels` bytes.
pub(crate) fn has_split(level: Level, channels: usize) -> bool {
    let is_vector = match level.isa() {
        Isa::Scalar => false,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => true,
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => true,
    };
    is_vector && (2..=MAX_CHANNELS).contains(&channels)
}

impl PixelRow {
    /// Splits the row into planes, `plane` bytes apart. The bytes between them may be overwritten.
    ///
    /// # Panics
    ///
    /// If `planes` is not `plane` bytes for each channel, or these are fewer than the width,
    /// rounded up to a multiple of [`BLOCK`].
    ///
    /// # Safety
    ///
    /// Every channel of every pixel must be a readable byte, apart from the planes.
    pub(crate) unsafe fn split(self, level: Level, planes: &mut [u8], plane: usize) {
        assert!(planes.len() == plane * self.channels);
        assert!(plane >= self.width.next_multiple_of(BLOCK));
        if self.pixel == 1 {
            for (channel, to) in planes.chunks_exact_mut(plane).enumerate() {
                let from = self.from.wrapping_offset(self.channel * channel as isize);
                // SAFETY: these are the bytes of a channel, which the caller guarantees; the plane
                // is exclusive and as long.
                unsafe { ptr::copy_nonoverlapping(from, to.as_mut_ptr(), self.width) };
            }
            return;
        }
        if self.channel == 1 && self.pixel == self.channels as isize {
            // SAFETY: the pixels lie side by side; the caller guarantees that they are readable,
            // and the planes were just measured.
            if unsafe { self.split_in_registers(level, planes, plane) } {
                return;
            }
        }
        for (channel, to) in planes.chunks_exact_mut(plane).enumerate() {
            let from = self.from.wrapping_offset(self.channel * channel as isize);
            // SAFETY: passed on, for one channel.
            unsafe { scalar::split(from, self.pixel, self.width, to) };
        }
    }

    /// Splits the row by the level's body, if it has one for pixels of this many bytes.
    ///
    /// # Safety
    ///
    /// The pixels must lie side by side and be readable; the planes must be as
    /// [`split`](Self::split) needs them.
    #[cfg(target_arch = "x86_64")]
    unsafe fn split_in_registers(self, level: Level, planes: &mut [u8], plane: usize) -> bool {
        let ahead = self.row_stride.wrapping_mul(ROWS_AHEAD);
        // SAFETY: the bodies are the level's, so the machine has their instructions by invariant 1
        // of `Level`. The caller guarantees pixels and planes.
        unsafe {
            match level.isa() {
                Isa::Avx512 if self.channels <= MAX_CHANNELS => {
                    let pixels = Pixels {
                        from: self.from,
                        row_stride: 0,
                        ahead,
                        height: 1,
                        width: self.width,
                        plane,
                        mirrored: false,
                        channels: self.channels,
                        channel: 0,
                        apart: false,
                    };
                    to_planes(Mapping::Same, pixels, planes, false);
                    true
                }
                Isa::Avx2 => match avx2::split(self.channels) {
                    Some(split) => {
                        split(self.from, self.width, ahead, planes.as_mut_ptr(), plane);
                        true
                    }
                    None => false,
                },
                Isa::Scalar | Isa::Avx512 => false,
            }
        }
    }

    /// The same with NEON.
    ///
    /// # Safety
    ///
    /// As above.
    #[cfg(target_arch = "aarch64")]
    unsafe fn split_in_registers(self, level: Level, planes: &mut [u8], plane: usize) -> bool {
        match (level.isa(), neon::split(self.channels)) {
            (Isa::Neon, Some(split)) => {
                let ahead = self.row_stride.wrapping_mul(ROWS_AHEAD);
                // SAFETY: every machine of the architecture has the body's instructions. The caller
                // guarantees pixels and planes.
                unsafe { split(self.from, self.width, ahead, planes.as_mut_ptr(), plane) };
                true
            }
            (Isa::Scalar | Isa::Neon, _) => false,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    unsafe fn split_in_registers(self, _: Level, _: &mut [u8], _: usize) -> bool {
        false
    }
}

/// The body of a level that joins pixels of this many bytes, if there is one.
fn join_body(level: Level, channels: usize) -> Option<body::Join> {
    match level.isa() {
        Isa::Scalar => None,
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 | Isa::Avx512 => avx2::join(channels),
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => neon::join(channels),
    }
}

/// Joins planes of bytes, `plane` bytes apart, to `width` pixels, rounded up to a multiple of
/// [`JOINED`].
///
/// # Errors
///
/// [`ndlens_core::Error::OutOfMemory`].
///
/// # Panics
///
/// If the planes do not have as many bytes as the pixels need, including the last plane.
pub(crate) fn join(
    level: Level,
    planes: &[u8],
    plane: usize,
    width: usize,
    channels: usize,
    pixels: &mut Vec<u8>,
) -> Result<()> {
    let joined = width.next_multiple_of(JOINED);
    room::resize(pixels, joined * channels, 0)?;
    if let Some(join) = join_body(level, channels) {
        assert!(planes.len() >= (channels - 1) * plane + joined);
        // SAFETY: the body is the level's, so the machine has its instructions by invariant 1 of
        // `Level`. The pixels are whole blocks; as many bytes are there from the last plane on, and
        // so from each.
        unsafe { join(planes.as_ptr(), plane, pixels) };
        return Ok(());
    }
    scalar::join(planes, plane, width, channels, pixels);
    Ok(())
}
