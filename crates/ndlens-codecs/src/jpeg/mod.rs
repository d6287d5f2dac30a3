//! JPEG: the markers, the decoder of regions of the common form, and the one of the others.
//!
//! ```text
//!  open        the choice of a decoder
//!  markers     the segments of the file
//!
//!  geometry    the blocks, samples and rows that a region needs
//!  intervals   entropy-coded data without stuffed bytes -> bits -> huffman: symbols
//!  entropy     block by block: into groups of sixteen, or past them; mcu: which of them
//!  strip       idct, reduced_idct: the samples of one MCU row
//!  pixels      upsample, colour: row by row into the given memory
//!  baseline    the loop over MCU rows
//!
//!  whole       several scans, CMYK: all coefficients first
//!  scans       scan by scan, MCU by MCU
//!  bands       what a scan has of a block
//!  components  what the components are; their samples to pixels
//! ```

#![expect(
    clippy::inline_always,
    reason = "bodies for instruction sets must be inlined, and so must the loop over symbols"
)]

mod bands;
pub(crate) mod baseline;
mod bits;
mod blocks;
mod coefficients;
mod colour;
mod components;
mod entropy;
mod geometry;
mod huffman;
mod idct;
mod intervals;
pub(crate) mod markers;
mod mcu;
pub(crate) mod open;
mod pixels;
mod reduced_idct;
mod scans;
pub(crate) mod scratch;
mod strip;
mod upsample;
pub(crate) mod whole;
