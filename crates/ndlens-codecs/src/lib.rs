//! Encoded images to pixels: bytes in, pixels out, with no I/O and no threads.
//!
//! ```text
//!  bytes -> open -> Decoder: header()                         size, channels, depth, orientation
//!                            decode(region, scale, mode, out) pixels of a part, in given memory
//!                            decode_strips(.., take)          the same, some rows at a time
//! ```
//!
//! [`open`] reads the header alone. A loader draws the parameters of an item from its size, and
//! then decodes the region that a crop keeps. [`DecodedImage`] is a whole image in memory of its
//! own.
//!
//! ```
//! use ndlens_codecs::{
//!     DecodeRegion, DecodeScratch, DecodedImage, ImageMut, Limits, Mode, Scale, open,
//! };
//!
//! let png = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x04\x00\x00\x00\x03\
//!     \x08\x00\x00\x00\x00\x91\x9f\xf1\x1a\x00\x00\x00\x17IDATx\xdac``dbf\xe0\xe2\
//!     \xe6\xe1e\x10\x11\x15\x13\x07\x00\x02{\x00\x8ba\xf4q\x17\x00\x00\x00\x00IEND\
//!     \xaeB`\x82";
//! let mut decoder = open(png, &Limits::default())?;
//! assert_eq!((decoder.header().height, decoder.header().width), (3, 4));
//!
//! let region = DecodeRegion { top: 1, left: 2, height: 2, width: 2 };
//! let mut pixels = [0; 4];
//! let out = ImageMut { bytes: &mut pixels, row_stride_bytes: 2 };
//! decoder.decode(region, Scale::Full, Mode::L, out, &mut DecodeScratch::default())?;
//! assert_eq!(pixels, [12, 13, 22, 23]);
//!
//! let whole = DecodedImage::decode(png, Mode::Rgb, false, &Limits::default())?;
//! assert_eq!((whole.height, whole.width, whole.channels), (3, 4, 3));
//! # Ok::<(), ndlens_codecs::Error>(())
//! ```
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

pub use decoder::{Decoder, ImageMut, RowsMut};
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
