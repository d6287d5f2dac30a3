//! What the header of an encoded image says.

use std::fmt;

/// The format of an encoded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// JPEG: ITU-T T.81.
    Jpeg,
    /// PNG: W3C Portable Network Graphics, third edition.
    Png,
    /// WebP: RFC 9649.
    WebP,
}

impl fmt::Display for Coding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Coding::Jpeg => "JPEG",
            Coding::Png => "PNG",
            Coding::WebP => "WebP",
        })
    }
}

/// The type of a stored sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// At most 8 bits: uint8.
    Eight,
    /// 16 bits: uint16.
    Sixteen,
}

impl Depth {
    /// Bytes of a decoded sample.
    pub fn bytes(self) -> usize {
        match self {
            Depth::Eight => 1,
            Depth::Sixteen => 2,
        }
    }
}

/// The turn and the mirroring that show an image upright: EXIF 2.32, tag 0x0112.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Orientation {
    /// 1: as stored.
    #[default]
    Upright,
    /// 2: mirrored, left to right.
    FlipHorizontal,
    /// 3: by 180 degrees.
    Rotate180,
    /// 4: mirrored, top to bottom.
    FlipVertical,
    /// 5: mirrored at the diagonal from the top left.
    Transpose,
    /// 6: stored turned by 90 degrees counter-clockwise, so shown by turning it clockwise.
    Rotate90,
    /// 7: mirrored at the diagonal from the top right.
    Transverse,
    /// 8: stored turned by 90 degrees clockwise, so shown by turning it counter-clockwise.
    Rotate270,
}

impl Orientation {
    /// The value of the tag, 1 to 8.
    pub fn tag(self) -> u8 {
        match self {
            Orientation::Upright => 1,
            Orientation::FlipHorizontal => 2,
            Orientation::Rotate180 => 3,
            Orientation::FlipVertical => 4,
            Orientation::Transpose => 5,
            Orientation::Rotate90 => 6,
            Orientation::Transverse => 7,
            Orientation::Rotate270 => 8,
        }
    }
}

/// The header of an encoded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// The format.
    pub coding: Coding,
    /// Rows, as stored.
    pub height: usize,
    /// Columns, as stored.
    pub width: usize,
    /// Channels of a decoded pixel: 1 (grey), 2 (grey and alpha), 3 (RGB), 4 (RGBA or CMYK).
    pub channels: usize,
    /// The samples.
    pub depth: Depth,
    /// How the image is to be turned to be upright. Decoders do not turn it.
    pub orientation: Orientation,
}
