//! The channels that pixels are decoded to.

use std::str::FromStr;

use crate::error::Error;
use crate::header::{Depth, Header};

/// The channels of decoded pixels, by Pillow's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Red, green and blue, uint8. Alpha is left out; grey is repeated.
    #[default]
    Rgb,
    /// Grey, uint8, one channel: of JPEG its luma; else as Pillow, ITU-R BT.601 of the RGB value.
    L,
    /// Red, green, blue and alpha, uint8. Alpha is 255 if there is none.
    Rgba,
    /// The channels and the depth of the file.
    Unchanged,
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "RGB" => Ok(Mode::Rgb),
            "L" => Ok(Mode::L),
            "RGBA" => Ok(Mode::Rgba),
            "unchanged" => Ok(Mode::Unchanged),
            _ => Err(Error::UnknownMode { got: name.to_owned() }),
        }
    }
}

impl Mode {
    /// The number of channels of a pixel of an image with this header.
    pub fn channels(self, header: &Header) -> usize {
        match self {
            Mode::Rgb => 3,
            Mode::L => 1,
            Mode::Rgba => 4,
            Mode::Unchanged => header.channels,
        }
    }

    /// The type of the samples of an image with this header.
    pub fn depth(self, header: &Header) -> Depth {
        match self {
            Mode::Rgb | Mode::L | Mode::Rgba => Depth::Eight,
            Mode::Unchanged => header.depth,
        }
    }

    /// Bytes of a pixel of an image with this header.
    pub fn pixel_bytes(self, header: &Header) -> usize {
        self.channels(header) * self.depth(header).bytes()
    }
}
