//! Zero-copy views of arrays in memory and in files, and loaders that make batches of them.
//!
//! This crate is the Rust interface of ndlens. Its root has the views of [`ndlens_core`]. [`store`]
//! opens files as views, [`kernels`] converts the elements of views, and [`loader`] makes augmented
//! batches of them.
//!
//! ```
//! use ndlens::{View, s};
//!
//! let frames = View::from_vec((0..24u8).collect()).reshape(&[2, 3, 4])?;
//! let last_column = frames.index(&[s(..), s(..), s(-1)])?;
//! assert_eq!(last_column.to_vec::<u8>()?, [3, 7, 11, 15, 19, 23]);
//! # Ok::<(), ndlens::Error>(())
//! ```

/// Encoded images to pixels.
pub use ndlens_codecs as codecs;
pub use ndlens_core::*;
/// Fast conversion of elements.
pub use ndlens_kernels as kernels;
/// Loaders that make batches of views.
pub use ndlens_loader as loader;
/// Views of arrays in files.
pub use ndlens_store as store;
/// Transforms of items: crops, flips, colours, values, and mixed batches.
pub use ndlens_transforms as transforms;
