//! The decoder of regions of baseline JPEG, and the markers of all JPEG.
//!
//! ```text
//!  markers     the segments of the file
//!  geometry    the blocks, samples and rows that a region needs
//!  intervals   entropy-coded data without stuffed bytes -> bits -> huffman: symbols
//!  entropy     block by block: into groups of sixteen, or past them; mcu: which of them
//!  strip       idct, reduced_idct: the samples of one MCU row
//!  pixels      upsample, colour: row by row into the given memory
//!  baseline    the loop over MCU rows
//! ```

#![expect(
    clippy::inline_always,
    reason = "bodies for instruction sets must be inlined, and the loop over symbols is one function"
)]

pub(crate) mod baseline;
mod bits;
mod blocks;
mod colour;
mod entropy;
mod geometry;
mod huffman;
mod idct;
mod intervals;
pub(crate) mod markers;
mod mcu;
mod pixels;
mod reduced_idct;
pub(crate) mod scratch;
mod strip;
mod upsample;
