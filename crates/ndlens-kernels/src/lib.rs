//! Bytes to bytes, fast: what ndlens views show, converted, normalised and packed in one pass.
//!
//! A training pipeline reads an image as bytes, converts it to float, subtracts a mean, divides by
//! a standard deviation and reorders its axes. Written as five array operations that is five trips
//! through memory. Here geometry costs nothing, since crop, flip and permute are already in the
//! layout of the [`ViewRef`](ndlens_core::ViewRef), and all arithmetic is one [`ValueMap`],
//! compiled once: each element is read once, in the order that suits the cache, and written once,
//! to where it belongs in C order.
//!
//! The results are bit for bit those of torchvision's `v2.ToDtype` and `v2.Normalize` on the CPU,
//! whichever instruction set computes them; only a NaN may carry another payload.
//!
//! | source | map | body |
//! |---|---|---|
//! | pixels of 2 to 4 bytes, to planes | no step; any to 8 or 16 bits, by tables in registers; `uint8` to `float32` | AVX-512, in one pass |
//! | any | no step | a copy, of such pixels with AVX2 |
//! | `uint8`, 1 to 4 bytes apart | to floats of 16 or 32 bits, scaled or not, normalised or not | AVX-512, AVX2 |
//! | one byte | any | a table of 256 results per channel |
//! | any | any | blocks that stay in the first-level cache |
//!
//! A [`Resize`] gives images of one size out of images of any size, in the same pass: its results
//! are torchvision's too, to the bit for `uint8`. Where nothing is done to elements and rows are
//! packed, [`Take`] copies any of them, one after another. A [`Blend`] mixes elements with others,
//! in place.
//!
//! ```
//! use ndlens_core::{DType, View, s};
//! use ndlens_kernels::{MapStep, Stores, ValueMap};
//!
//! let images = View::from_vec(vec![255u8; 8 * 8 * 3]).reshape(&[8, 8, 3])?;
//! let crop = images.index(&[s(2..6), s(2..6)])?.permute(&[2, 0, 1])?;
//! let steps = [
//!     MapStep::ToDtype { dtype: DType::F32, scale: true },
//!     MapStep::Normalize { mean: vec![0.5], std: vec![0.25] },
//! ];
//! let map = ValueMap::new(&DType::U8, 3, &steps)?;
//! let mut bytes = vec![0; crop.len() * map.dtype().itemsize()];
//! map.apply(&crop.as_ref(), Some(0), &mut bytes, Stores::Cached)?;
//! assert_eq!(bytes[..4], 2.0f32.to_le_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(
    not(target_arch = "x86_64"),
    allow(
        dead_code,
        unfulfilled_lint_expectations,
        reason = "what vector bodies are prepared with has no user where there is none"
    )
)]

mod colour;
mod error;
mod gather;
mod map;
mod mix;
mod pixels;
mod resize;
mod simd;
#[cfg(test)]
mod tests;

pub use colour::Adjustment;
pub use error::{Error, Result};
pub use gather::{Take, ask_for_element};
pub use map::{MapStep, ValueMap};
pub use mix::Blend;
pub use resize::{Filter, Interpolation, Resize, ResizeOutput, ResizeScratch, ResizeWindow};
pub use simd::level::{Body, Isa, Level};
pub use simd::stores::Stores;
