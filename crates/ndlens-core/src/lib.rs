//! N-dimensional zero-copy views over any memory.
//!
//! Three types carry everything:
//!
//! - [`Buffer`]: the bytes: their owner, their number, and whether they may be written. It keeps
//!   its [`Owner`] alive.
//! - [`Layout`]: the places of the elements: shape, signed byte strides, offset.
//! - [`DType`]: the type of the elements.
//!
//! A [`View`] consists of the three. Every operation that does not touch bytes is a function from
//! `Layout` to `Layout`; nothing else computes an address. There is no I/O here, no thread and no
//! Python.
//!
//! ```
//! use ndlens_core::{Index, View, s};
//!
//! let images = View::from_vec(vec![0u8; 4 * 8 * 8 * 3]).reshape(&[4, 8, 8, 3])?;
//! let crop = images.index(&[s(..), s(2..6), s(2..6), Index::Ellipsis])?;
//! assert_eq!(crop.shape(), [4, 4, 4, 3]);
//! assert_eq!(crop.strides(), [192, 24, 3, 1]);
//! # Ok::<(), ndlens_core::Error>(())
//! ```

#[cfg(target_endian = "big")]
compile_error!(
    "ndlens reads and writes little-endian memory; big-endian machines are not supported"
);

mod assign;
mod buffer;
mod containment;
mod dlpack;
mod dtype;
mod equal;
mod error;
mod error_kind;
mod exchange;
mod layout;
mod overlap;
mod reserve;
pub mod room;
#[cfg(test)]
mod samples;
mod spread;
mod transfer;
mod view;
mod watch;

pub use buffer::{ALIGNMENT, Access, Buffer, Owner};
pub use dlpack::{
    DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPACK_FLAG_IS_COPIED,
    DLPACK_FLAG_READ_ONLY, DLPACK_VERSION, DLPackExchangeAPI, DLPackExchangeAPIHeader,
    DLPackVersion, DLTensor,
};
pub use dtype::{DType, DTypeRow, Element, OpaqueFormat};
pub use error::{CopyReason, Error, Result};
pub use error_kind::ErrorKind;
pub use exchange::{Consumer, Explanation};
pub use layout::dims::MAX_NDIM;
pub use layout::index::{Index, s};
pub use layout::{Layout, Order};
pub use reserve::Reserve;
pub use spread::Spread;
pub use view::{View, ViewRef};
pub use watch::watched;
