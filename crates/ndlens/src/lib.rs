//! The zero-copy road from arrays to tensors.
//!
//! This crate is the Rust face of ndlens. The views of [`ndlens_core`] stand at its root; [`store`]
//! opens files as views, [`kernels`] converts what views show, and [`loader`] streams augmented
//! batches out of them.
//!
//! ```
//! use ndlens::{View, s};
//!
//! let frames = View::from_vec((0..24u8).collect()).reshape(&[2, 3, 4])?;
//! let last_column = frames.index(&[s(..), s(..), s(-1)])?;
//! assert_eq!(last_column.to_vec::<u8>()?, [3, 7, 11, 15, 19, 23]);
//! # Ok::<(), ndlens::Error>(())
//! ```

pub use ndlens_core::*;
/// What converts elements, fast.
pub use ndlens_kernels as kernels;
/// Batches out of views.
pub use ndlens_loader as loader;
/// Arrays in files.
pub use ndlens_store as store;
/// What items become: crops, flips, colours, values, and batches mixed.
pub use ndlens_transforms as transforms;
