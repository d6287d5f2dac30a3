//! Encoded images to pixels: bytes in, pixels out, with no I/O and no threads.
//!
//! ```text
//!  bytes -> open -> Decoder: header()                         size, channels, depth, orientation
//!                            decode(region, scale, mode, out) pixels of a part, in given memory
//! ```
//!
//! [`open`] reads the header alone. A loader draws the parameters of an item from its size, and
//! then decodes the region that a crop keeps.
//!
//! No code here is unsafe. Bytes are hostile: each size is checked against [`Limits`] before memory
//! is taken, and what cannot be decoded is an [`Error`].

#![forbid(unsafe_code)]

mod decoder;
mod error;
mod header;
mod jpeg;
mod limits;
mod mode;
mod open;
mod region;
mod scratch;

pub use decoder::{Decoder, ImageMut};
pub use error::{Error, Result};
pub use header::{Coding, Depth, Header, Orientation};
pub use limits::Limits;
pub use mode::Mode;
pub use open::open;
pub use region::{DecodeRegion, Scale};
pub use scratch::DecodeScratch;
