//! JPEG: the markers, the decoder of regions of the common form, and zune-jpeg for the others.
//!
//! ```text
//!  open        the choice of a decoder
//!  markers     the segments of the file
//!
//!  whole       by zune-jpeg; components: samples to pixels
//!
//!  geometry    the blocks, samples and rows that a region needs
//!  intervals   entropy-coded data without stuffed bytes -> bits -> huffman: symbols
//!  entropy     MCU by MCU: blocks into groups of sixteen, or past them
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
mod components;
mod entropy;
mod geometry;
mod huffman;
mod idct;
mod intervals;
pub(crate) mod markers;
pub(crate) mod open;
mod pixels;
mod reduced_idct;
pub(crate) mod scratch;
mod strip;
mod upsample;
mod whole;
