//! Fast kernels: the elements of views are converted, normalised and packed in one pass.
//!
//! A training pipeline reads an image as bytes, converts it to float, subtracts a mean, divides by
//! a standard deviation and reorders its axes. Five array operations read and write memory five
//! times. Here geometry costs nothing, since crop, flip and permute are already in the layout of
//! the [`ViewRef`](ndlens_core::ViewRef). All arithmetic is one [`ValueMap`], compiled once: each
//! element is read once, in an order that suits the cache, and written once, to its place in C
//! order.
//!
//! The results are bit for bit those of torchvision's `v2.ToDtype` and `v2.Normalize` on the CPU,
//! with every instruction set; only the payload of a NaN may differ.
//!
//! Each operation has a folder or a file; in a folder, each file has the bodies of one instruction
//! set. `simd/` is common to all operations: it has the instruction sets of this machine, the one
//! way to pick a body ([`Level`]), registers, and floats of 16 bits.
//!
//! | operation | any machine | any registers (AVX2, AVX-512, NEON) | AVX2 alone | AVX-512 alone | NEON alone |
//! |---|---|---|---|---|---|
//! | pixels of bytes to planes and back | `pixels/scalar.rs` | | `pixels/avx2.rs` | `pixels/avx512.rs`, mapped on the way | `pixels/neon.rs` |
//! | [`ValueMap`] | `map/generic.rs`*, `map/table.rs` | `map/vector.rs` | | `map/packed.rs` | |
//! | [`Resizer`] of bytes | `resize/bytes/mod.rs` | `resize/bytes/vector.rs` | `resize/bytes/x86_64.rs` | `resize/bytes/x86_64.rs` | `resize/bytes/aarch64.rs` |
//! | [`Resizer`] of floats | `resize/floats/columns.rs`* | | | | |
//! | [`Resizer`] by the nearest pixel | `resize/nearest.rs` | | | | |
//! | [`Adjustment`] of colours | `colour/passes.rs`* | | | | |
//! | [`Take`] | `gather.rs`* | | | | |
//! | [`Blend`] | `mix.rs`* | | | | |
//!
//! A file with * is plain Rust that is compiled for each level. Every machine of aarch64 has NEON,
//! so compilers use it there in all plain Rust, and both levels run the same code of such a file.
//! `map/mod.rs` says which body of a [`ValueMap`] runs. A new instruction set implements the traits
//! of `simd/vector.rs`, which gives it all bodies of the third column.
//!
//! A [`Resizer`] makes images of one size from images of any size, in the same pass. Its results
//! are those of torchvision too, to the bit for `uint8`. A [`StripResizer`] takes the rows of bytes
//! some at a time, as a decoder makes them. [`Take`] copies any packed rows, one after
//! another, without arithmetic. A [`Blend`] mixes elements with others, in place.
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
    not(any(target_arch = "x86_64", target_arch = "aarch64")),
    allow(
        dead_code,
        unfulfilled_lint_expectations,
        reason = "without vector bodies, the code that prepares them is unused"
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
pub use resize::{
    Filter, Interpolation, ResizeOutput, ResizeScratch, ResizeWindow, Resizer, StripResizer,
};
pub use simd::half::{Bf16, F16, Half};
pub use simd::level::{Body, Isa, Level};
pub use simd::stores::Stores;
