//! Maps of values: steps that are compiled once and applied to millions of items.
//!
//! The first of these bodies that fits the source and the chain runs (`bodies.rs`):
//!
//! 1. Pixels of 2 to 4 bytes, to planes: no step; any chain to 8 or 16 bits; `uint8` to `float32`.
//!    AVX-512 splits, maps and writes them in one pass (`packed.rs`).
//! 2. No step: a copy, past the cache if that is requested.
//! 3. Long rows of adjacent bytes: results of 8 or 16 bits, looked up in registers of
//!    AVX-512 (`packed.rs`).
//! 4. `uint8` with strides of 1 to 4 bytes, to floats of 16 or 32 bits, scaled or not, normalised
//!    or not: computed in registers (`vector.rs`).
//! 5. Elements of one byte: a table of 256 results for each channel (`table.rs`).
//! 6. Anything: blocks that stay in the first-level cache (`generic.rs`).
//!
//! `reference.rs` defines the result for each element. It computes the tables, and the tests
//! compare every body with it.

mod affine;
mod bodies;
mod generic;
mod integer;
#[cfg(target_arch = "x86_64")]
mod packed;
pub(crate) mod program;
mod reference;
mod rows;
mod step;
mod table;
mod vector;

use ndlens_core::{DType, ViewRef};

use crate::error::{Error, Result};
use crate::map::bodies::MapBodies;
use crate::map::program::MapProgram;
use crate::simd::affine::{Affine, Rounding};
use crate::simd::level::Level;
use crate::simd::stores::Stores;

pub use crate::map::step::MapStep;

/// The channels of a row's elements.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RowChannels {
    /// All are of this channel.
    One(usize),
    /// Channels `0..n` follow each other in turn.
    All,
}

/// A chain of steps, compiled for one source dtype and one number of channels.
///
/// # Rationale
///
/// Results are bit for bit torch's. For `uint8` the division of `Normalize` is done by multiply,
/// residual, correct if that gives the bits of a division for all 256 inputs of every
/// channel, which is tested when the map is compiled, and by a division otherwise.
///
/// # Limitations
///
/// The payload of a NaN is not specified. A `bool` element is true if its byte is not 0. Integers
/// keep their low bits if a narrower dtype cannot hold them, and so do floats, truncated towards
/// zero. NaN, and a float that does not fit 32 bits (64 for `uint8`, `uint32` and 64-bit targets),
/// are undefined in C and become what they are for torch on x86-64: 0, or the lowest `int32` or
/// `int64`. As `uint64`, NaN and numbers below -2^63 become 2^63, and numbers above 2^64 become 0.
/// As `uint32`, torch itself is not consistent for numbers that do not fit.
#[derive(Debug, Clone)]
pub struct ValueMap {
    steps: Vec<MapStep>,
    program: MapProgram,
    channels: usize,
    bodies: MapBodies,
}

impl ValueMap {
    /// Compiles steps for elements of `source` in `channels` channels (1 if there is no channel
    /// axis).
    ///
    /// Without steps, or with steps that change nothing, the map is an identity and takes any
    /// dtype. The instruction set is the best of this machine, or a lower one that the environment
    /// variable `NDLENS_ISA` names (`scalar`, `avx2`, `avx512`; read once).
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedConversion`], [`Error::UnsafeScale`], [`Error::NoRange`],
    /// [`Error::NormalizeDType`], [`Error::StatisticsLength`], [`Error::ZeroStd`],
    /// [`Error::UnknownLevel`].
    pub fn new(source: &DType, channels: usize, steps: &[MapStep]) -> Result<ValueMap> {
        ValueMap::at_level(source, channels, steps, Level::chosen()?)
    }

    /// As [`new`](Self::new), by the bodies of a level.
    pub(crate) fn at_level(
        source: &DType,
        channels: usize,
        steps: &[MapStep],
        level: Level,
    ) -> Result<ValueMap> {
        let program = MapProgram::new(source, channels, steps)?;
        let bodies = MapBodies::new(&program, channels, level);
        Ok(ValueMap { steps: steps.to_vec(), program, channels, bodies })
    }

    /// The steps that the map was compiled from.
    pub fn steps(&self) -> &[MapStep] {
        &self.steps
    }

    /// The dtype of the source.
    pub fn source(&self) -> &DType {
        &self.program.source
    }

    /// The dtype of the results.
    pub fn dtype(&self) -> &DType {
        &self.program.dtype
    }

    /// Whether elements are only copied.
    pub fn is_identity(&self) -> bool {
        self.program.stages.is_empty()
    }

    /// Reads the elements of `src` in C order of its axes, and writes their results to `dst`,
    /// packed.
    ///
    /// `channel_axis` is the axis of `src` that has the channels; None if there is no such axis.
    ///
    /// # Errors
    ///
    /// [`Error::SourceDType`]; [`Error::ChannelAxisOutOfBounds`]; [`Error::ChannelCount`] if the
    /// map treats channels differently and `src` has another number of channels;
    /// [`Error::DestinationSize`] if `dst` is not elements times `dtype().itemsize()` long.
    pub fn apply(
        &self,
        src: &ViewRef<'_>,
        channel_axis: Option<usize>,
        dst: &mut [u8],
        stores: Stores,
    ) -> Result<()> {
        if src.dtype() != self.source() {
            let (got, expected) = (src.dtype().to_string(), self.source().to_string());
            return Err(Error::SourceDType { got, expected });
        }
        let channels = match channel_axis {
            None => 1,
            Some(axis) => *src
                .shape()
                .get(axis)
                .ok_or(Error::ChannelAxisOutOfBounds { axis, ndim: src.shape().len() })?,
        };
        self.check_channels(channels)?;
        // The check of the layout guarantees that this product fits for the source; a wider result
        // may not fit.
        let expected = src.layout().len().saturating_mul(self.dtype().itemsize());
        if dst.len() != expected {
            return Err(Error::DestinationSize { got: dst.len(), expected });
        }
        if !src.layout().is_empty() {
            let channel_axis = channel_axis.filter(|_| self.program.tells_channels_apart());
            self.bodies.run(&self.program, src, channel_axis, dst, stores)?;
        }
        Ok(())
    }

    /// Checks that this many channels can be mapped.
    ///
    /// # Errors
    ///
    /// [`Error::ChannelCount`].
    pub(crate) fn check_channels(&self, channels: usize) -> Result<()> {
        if self.program.tells_channels_apart() && channels != self.channels {
            return Err(Error::ChannelCount { got: channels, expected: self.channels });
        }
        Ok(())
    }

    /// Writes the results for a row of packed elements, of one channel or of all in turn, to `dst`,
    /// which has their exact size.
    pub(crate) fn apply_packed(&self, src: &[u8], channels: RowChannels, dst: &mut [u8]) {
        let (channel, cycle) = match channels {
            _ if !self.program.tells_channels_apart() => (0, 1),
            RowChannels::One(channel) => (channel, 1),
            RowChannels::All => (0, self.channels),
        };
        self.bodies.run_packed(&self.program, src, channel, cycle, dst);
    }

    /// The map of a `uint8` value, if it is affine and gives `float32`, and whether channels
    /// differ.
    pub(crate) fn affine(&self) -> Option<(&Affine, bool)> {
        let affine = self.bodies.affine().filter(|affine| affine.rounding == Rounding::Single);
        Some((affine?, self.program.tells_channels_apart()))
    }

    /// Writes the result for one element.
    #[cfg(test)]
    pub(crate) fn map_element(&self, element: &[u8], channel: usize, out: &mut [u8]) {
        if self.is_identity() {
            out.copy_from_slice(element);
        } else {
            self.program.map_element(element, channel, out);
        }
    }
}
