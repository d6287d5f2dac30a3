//! Memory that decoders reuse.

use crate::jpeg::scratch::JpegScratch;
use crate::jpeg::scratch::WholeScratch;

/// Memory that one thread needs to decode images. It grows to what the largest image needs, and
/// does not shrink.
#[derive(Debug, Default)]
pub struct DecodeScratch {
    pub(crate) jpeg: JpegScratch,
    pub(crate) whole: WholeScratch,
    /// A row, or an image of a decoder that has no regions.
    pub(crate) pixels: Vec<u8>,
    /// Rows that are handed on.
    pub(crate) strip: Vec<u8>,
    /// Pixels as stored, before they are turned upright.
    pub(crate) stored: Vec<u8>,
}
