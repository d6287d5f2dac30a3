//! The samples of a component, for as many rows as are in use.
//!
//! A ring of two MCU rows: the upper one still has rows that the first pixels of the lower one look
//! at, and rows whose pixels look at the lower one.

use std::ops::Range;

use ndlens_kernels::{Body, Level};

use super::blocks::{BlockGroup, LANES};
use super::geometry::Plane;
use super::idct::idct;
use super::reduced_idct::{idct_1x1, idct_2x2, idct_4x4};
use crate::error::{Error, Result};

/// The samples of a component.
#[derive(Debug, Default)]
pub(super) struct Strip {
    /// The groups of one MCU row: rows of so many.
    groups: Range<usize>,
    groups_across: usize,
    samples: Vec<u8>,
    stride: usize,
    mcu_height: usize,
    /// Samples along each side of a block.
    size: usize,
    /// By place in the zigzag.
    quantisation: Vec<i16>,
}

impl Strip {
    /// Makes room for a component, and for its groups after those that there are.
    pub(super) fn prepare(
        &mut self,
        plane: &Plane,
        quantisation: &[i16; 64],
        groups: &mut Vec<BlockGroup>,
    ) -> Result<()> {
        self.groups_across = plane.blocks.len().div_ceil(LANES);
        self.size = plane.size;
        self.stride = self.groups_across * LANES * plane.size;
        self.mcu_height = plane.mcu_height();
        self.groups = groups.len()..groups.len() + self.groups_across * plane.vertical;
        fill(groups, self.groups.end, &BlockGroup::ZERO)?;
        fill(&mut self.samples, 2 * self.mcu_height * self.stride, &0)?;
        self.quantisation.clear();
        fill(&mut self.quantisation, 64, &0)?;
        self.quantisation.copy_from_slice(quantisation);
        Ok(())
    }

    /// The first group of a row of blocks.
    pub(super) fn first_group(&self, row: usize) -> usize {
        self.groups.start + row * self.groups_across
    }

    /// Makes samples of the blocks of an MCU row, which become zero.
    pub(super) fn transform(&mut self, level: Level, groups: &mut [BlockGroup], mcu_row: usize) {
        let half = self.mcu_height * self.stride;
        let start = (mcu_row % 2) * half;
        level.run(Transform {
            groups: &mut groups[self.groups.clone()],
            groups_across: self.groups_across,
            quantisation: self.quantisation.first_chunk().unwrap_or(&[0; 64]),
            samples: &mut self.samples[start..start + half],
            stride: self.stride,
            size: self.size,
        });
    }

    /// A row of samples, from the first block that is needed on.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> &[u8] {
        let start = row % (2 * self.mcu_height) * self.stride;
        &self.samples[start..start + self.stride]
    }
}

/// Makes a vector at least so long.
pub(super) fn fill<T: Clone>(vector: &mut Vec<T>, len: usize, value: &T) -> Result<()> {
    if vector.len() < len {
        let more = len - vector.len();
        let bytes = more * size_of::<T>();
        vector.try_reserve(more).map_err(|_| Error::OutOfMemory { bytes })?;
        vector.resize(len, value.clone());
    }
    Ok(())
}

struct Transform<'a> {
    groups: &'a mut [BlockGroup],
    groups_across: usize,
    quantisation: &'a [i16; 64],
    samples: &'a mut [u8],
    stride: usize,
    size: usize,
}

impl Body for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let rows = self.groups.chunks_exact_mut(self.groups_across);
        for (groups, samples) in rows.zip(self.samples.chunks_exact_mut(self.size * self.stride)) {
            for (place, group) in groups.iter_mut().enumerate() {
                let out = &mut samples[place * LANES * self.size..];
                match self.size {
                    8 => idct(group, self.quantisation, out, self.stride),
                    4 => idct_4x4(group, self.quantisation, out, self.stride),
                    2 => idct_2x2(group, self.quantisation, out, self.stride),
                    _ => idct_1x1(group, self.quantisation, out),
                }
            }
        }
    }
}
