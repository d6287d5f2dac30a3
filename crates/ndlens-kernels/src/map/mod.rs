//! Steps on values, compiled once and applied to millions of items.

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
    /// All are of this one.
    One(usize),
    /// Channels follow each other again and again.
    All,
}

/// A chain of steps, compiled for one source dtype and one number of channels.
///
/// # Rationale
///
/// Results are bit for bit torch's. For `uint8` the division of `Normalize` is done by multiply,
/// residual, correct wherever that gives the very bits of a division for all 256 inputs of every
/// channel, which is tried out when the map is compiled; and by a division where not.
///
/// # Limitations
///
/// Which NaN comes out of a NaN is not promised. A `bool` element is true if its byte is not 0.
/// Integers keep their low bits where a narrower dtype cannot hold them, and so do floats,
/// truncated towards zero. A float that not even 32 bits hold (64 for `uint8`, `uint32` and 64-bit
/// targets), or NaN, for which C has no answer, becomes what it does for torch on x86-64: 0, the
/// lowest `int32` or `int64`; as `uint64` NaN and what is below -2^63 become 2^63, what is above
/// 2^64 becomes 0. As `uint32` torch itself has several answers to what does not fit.
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

    /// What it was compiled from.
    pub fn steps(&self) -> &[MapStep] {
        &self.steps
    }

    /// The dtype of what is read.
    pub fn source(&self) -> &DType {
        &self.program.source
    }

    /// The dtype of what is written.
    pub fn dtype(&self) -> &DType {
        &self.program.dtype
    }

    /// Whether elements are only copied.
    pub fn is_identity(&self) -> bool {
        self.program.stages.is_empty()
    }

    /// Reads the elements of `src` in C order of its axes, and writes what becomes of them packed
    /// to `dst`.
    ///
    /// `channel_axis` is the axis of `src` along which the channels lie, None if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::SourceDType`]; [`Error::ChannelAxisOutOfBounds`]; [`Error::ChannelCount`] where
    /// channels differ in what is done to them and `src` has another number of them;
    /// [`Error::DestinationSize`] where `dst` is not elements times `dtype().itemsize()` long.
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
        // The layout's own gate has found that this product fits for the source; a wider result may
        // not.
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

    /// Whether this many channels can be mapped.
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

    /// Writes what becomes of a row of packed elements, of one channel or of all in turn, to `dst`,
    /// which has room for just them.
    pub(crate) fn apply_packed(&self, src: &[u8], channels: RowChannels, dst: &mut [u8]) {
        let (channel, cycle) = match channels {
            _ if !self.program.tells_channels_apart() => (0, 1),
            RowChannels::One(channel) => (channel, 1),
            RowChannels::All => (0, self.channels),
        };
        self.bodies.run_packed(&self.program, src, channel, cycle, dst);
    }

    /// What becomes of a `uint8` value, if that is affine and a `float32`, and whether channels
    /// differ in it.
    pub(crate) fn affine(&self) -> Option<(&Affine, bool)> {
        let affine = self.bodies.affine().filter(|affine| affine.rounding == Rounding::Single);
        Some((affine?, self.program.tells_channels_apart()))
    }

    /// What becomes of one element.
    #[cfg(test)]
    pub(crate) fn map_element(&self, element: &[u8], channel: usize, out: &mut [u8]) {
        if self.is_identity() {
            out.copy_from_slice(element);
        } else {
            self.program.map_element(element, channel, out);
        }
    }
}
