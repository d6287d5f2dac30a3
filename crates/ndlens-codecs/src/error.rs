//! The errors of this crate.

use ndlens_core::ErrorKind;

use crate::header::Coding;
use crate::region::DecodeRegion;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A reason why an image cannot be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are of no known format.
    #[error("not a JPEG, PNG or WebP image: it begins with {first:02x?}")]
    UnknownFormat {
        /// Up to eight bytes.
        first: Vec<u8>,
    },
    /// The image has too many pixels.
    #[error("the image has {height} x {width} pixels, more than the limit of {limit}")]
    TooLarge {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// See [`Limits`](crate::Limits).
        limit: u64,
    },
    /// The bytes end before the image does.
    #[error("the {coding} image is truncated after {len} bytes")]
    Truncated {
        /// The format.
        coding: Coding,
        /// The number of bytes.
        len: usize,
    },
    /// The bytes are not a valid image.
    #[error("the {coding} image is damaged: {what}")]
    Damaged {
        /// The format.
        coding: Coding,
        /// The damage.
        what: String,
    },
    /// The image uses a part of its format that is not decoded.
    #[error("the {coding} image cannot be decoded: {what}")]
    Unsupported {
        /// The format.
        coding: Coding,
        /// The part of the format.
        what: String,
    },
    /// A number of pixels that is none.
    #[error("max_pixels is {got}, expected 0 or more")]
    NegativeLimit {
        /// The number.
        got: i64,
    },
    /// The name of no mode.
    #[error("mode is {got:?}, expected \"RGB\", \"L\", \"RGBA\" or \"unchanged\"")]
    UnknownMode {
        /// The name.
        got: String,
    },
    /// A region that is not within the image, or does not start at a multiple of the scale.
    #[error("the region {region:?} at scale 1/{step} is not one of an image of {height} x {width}")]
    Region {
        /// The region.
        region: DecodeRegion,
        /// The step of the scale.
        step: usize,
        /// Rows of the image.
        height: usize,
        /// Columns of the image.
        width: usize,
    },
    /// A scale that the decoder of the image does not have.
    #[error("the {coding} decoder has no scale of 1/{step}: decode at full size and resize")]
    Scale {
        /// The format.
        coding: Coding,
        /// The step of the scale.
        step: usize,
    },
    /// The given memory is too small, or its rows are too short.
    #[error("the pixels need rows of {row_bytes} bytes and {bytes} bytes in all, got {got}")]
    Memory {
        /// The least bytes of a row.
        row_bytes: usize,
        /// The least bytes.
        bytes: usize,
        /// The given bytes.
        got: usize,
    },
    /// Pixels that the encoder does not take.
    #[error(
        "pixels of shape {shape:?} cannot be a JPEG of quality {quality}: expected height and \
         width from 1 to 65535, 1 or 3 channels and a quality from 1 to 100"
    )]
    NotEncodable {
        /// The shape.
        shape: Vec<usize>,
        /// The quality.
        quality: u8,
    },
    /// There is no memory.
    #[error("no memory for {bytes} bytes")]
    OutOfMemory {
        /// The bytes that were asked for.
        bytes: usize,
    },
}

impl Error {
    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::UnknownFormat { .. }
            | Error::TooLarge { .. }
            | Error::Truncated { .. }
            | Error::Damaged { .. }
            | Error::Unsupported { .. } => ErrorKind::Image,
            Error::NegativeLimit { .. }
            | Error::UnknownMode { .. }
            | Error::Region { .. }
            | Error::Scale { .. }
            | Error::NotEncodable { .. }
            | Error::Memory { .. } => ErrorKind::Value,
            Error::OutOfMemory { .. } => ErrorKind::OutOfMemory,
        }
    }
}
