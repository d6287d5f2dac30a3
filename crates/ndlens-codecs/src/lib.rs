//! Encoded images to pixels: bytes in, pixels out, with no I/O and no threads.
//!
//! ```text
//!  bytes -> open -> Decoder: header()                         size, channels, depth, orientation
//!                            decode(region, scale, mode, out) pixels of a part, in given memory
//! ```
//!
//! [`open`] reads the header alone. A loader draws the parameters of an item from its size, and
//! then decodes the region that a crop keeps. [`DecodedImage`] is a whole image in memory of its
//! own.
//!
//! | file | contents |
//! |---|---|
//! | `jpeg/` | JPEG |
//! | `png.rs` | PNG, by the crate png |
//! | `webp.rs` | WebP, by the crate image-webp, with the feature `webp` |
//! | `samples.rs` | the conversion of samples to a [`Mode`] |
//! | `encode.rs` | pixels to JPEG, by the crate jpeg-encoder |
//! | `exif.rs`, `orientation.rs` | the orientation tag, and pixels turned upright |
//!
//! No code here is unsafe. Bytes are hostile: each size is checked against [`Limits`] before memory
//! is taken, and what cannot be decoded is an [`Error`].

#![forbid(unsafe_code)]

mod decoder;
mod encode;
mod error;
mod exif;
mod foreign;
mod header;
mod image;
mod jpeg;
mod limits;
mod memory;
mod mode;
mod open;
mod orientation;
mod png;
mod region;
mod samples;
mod scratch;
mod webp;

pub use decoder::{Decoder, ImageMut};
pub use encode::encode_jpeg;
pub use error::{Error, Result};
pub use header::{Coding, Depth, Header, Orientation};
pub use image::DecodedImage;
pub use limits::Limits;
pub use mode::Mode;
pub use open::open;
pub use orientation::{AxisTurn, decode_upright};
pub use region::{DecodeRegion, Scale};
pub use scratch::DecodeScratch;
