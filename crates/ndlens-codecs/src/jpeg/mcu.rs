//! The blocks of an MCU: which are needed, and where they go.

use std::ops::Range;

use ndlens_kernels::Body;

use super::bits::Bits;
use super::blocks::{BlockGroup, LANES};
use super::entropy::{Entropy, McuReader, read_block, skip_block};
use super::geometry::Plane;
use super::huffman::{AcTable, DcTable};
use super::strip::Strip;
use crate::error::Result;

/// Blocks of an MCU, at most.
const MOST_BLOCKS: usize = 10;

/// The blocks of an MCU, in their order.
#[derive(Debug, Clone)]
pub(super) struct Mcu<'a> {
    blocks: [Block<'a>; MOST_BLOCKS],
    count: usize,
}

/// A block of an MCU, and the row of blocks that it is of.
#[derive(Debug, Clone, Copy)]
struct Block<'a> {
    component: usize,
    tables: (&'a DcTable, &'a AcTable),
    /// Blocks of an MCU along a row, and the place of this one.
    horizontal: usize,
    across: usize,
    /// The first block of the row that is needed, and how many are.
    start: usize,
    needed: usize,
    /// Blocks of an MCU along a column, and the place of this one.
    vertical: usize,
    down: usize,
    /// The first row of blocks that is needed, and what follows the last one.
    rows: (usize, usize),
    /// The group of the first block that is needed.
    group: usize,
    /// Whether the other coefficients have no part in the samples.
    only_dc: bool,
}

impl<'a> Mcu<'a> {
    /// An MCU without blocks.
    pub(super) fn new(tables: (&'a DcTable, &'a AcTable)) -> Mcu<'a> {
        let block = Block {
            component: 0,
            tables,
            horizontal: 1,
            across: 0,
            start: 0,
            needed: 0,
            vertical: 1,
            down: 0,
            rows: (0, 0),
            group: 0,
            only_dc: false,
        };
        Mcu { blocks: [block; MOST_BLOCKS], count: 0 }
    }

    /// Adds the blocks of a component. There are at most ten in all.
    pub(super) fn push(
        &mut self,
        component: usize,
        (horizontal, vertical): (usize, usize),
        tables: (&'a DcTable, &'a AcTable),
        needed: Option<(&Plane, &Strip)>,
    ) {
        for down in 0..vertical {
            for across in 0..horizontal {
                let place = self.blocks[self.count];
                let mut block =
                    Block { component, tables, horizontal, across, vertical, down, ..place };
                if let Some((plane, strip)) = needed {
                    block.start = plane.blocks.start;
                    block.needed = plane.blocks.len();
                    block.rows =
                        (plane.rows.start / plane.size, plane.rows.end.div_ceil(plane.size));
                    block.group = strip.first_group(down);
                    block.only_dc = plane.size == 1;
                }
                self.blocks[self.count] = block;
                self.count += 1;
            }
        }
    }

    /// The MCUs of a row, which need no blocks of rows of blocks above or below the region.
    fn of_row(&self, mcu_row: usize) -> Mcu<'a> {
        let mut mcu = self.clone();
        for block in &mut mcu.blocks[..self.count] {
            let row = mcu_row * block.vertical + block.down;
            if !(block.rows.0..block.rows.1).contains(&row) {
                block.needed = 0;
            }
        }
        mcu
    }
}

/// Reads the blocks of an MCU row that are needed, past those before them.
pub(super) struct ReadRow<'a, 'b, 's> {
    pub(super) entropy: &'a mut Entropy<'b, 's>,
    pub(super) mcu: &'a Mcu<'a>,
    pub(super) mcu_row: usize,
    /// MCUs before them.
    pub(super) skipped: usize,
    /// MCUs of the row that have blocks that are needed.
    pub(super) columns: Range<usize>,
    pub(super) groups: &'a mut [BlockGroup],
}

impl Body for ReadRow<'_, '_, '_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run(self) -> Result<()> {
        let ReadRow { entropy, mcu, mcu_row, skipped, columns, groups } = self;
        let mcu = mcu.of_row(mcu_row);
        let blocks = &mcu.blocks[..mcu.count];
        entropy.skip(skipped, &mut Past { blocks })?;
        entropy.read(columns.len(), &mut IntoGroups { blocks, column: columns.start, groups })
    }
}

/// Goes past MCUs.
struct Past<'a> {
    blocks: &'a [Block<'a>],
}

impl McuReader for Past<'_> {
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, last_dc: &mut [i32; 4]) -> Result<()> {
        for block in self.blocks {
            skip_block(bits, block.tables, &mut last_dc[block.component & 3])?;
        }
        Ok(())
    }
}

/// Reads MCUs into groups.
struct IntoGroups<'a> {
    blocks: &'a [Block<'a>],
    /// Of the MCU.
    column: usize,
    groups: &'a mut [BlockGroup],
}

impl McuReader for IntoGroups<'_> {
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, last_dc: &mut [i32; 4]) -> Result<()> {
        for block in self.blocks {
            let last_dc = &mut last_dc[block.component & 3];
            let place = (self.column * block.horizontal + block.across).wrapping_sub(block.start);
            let group = self.groups.get_mut(block.group + place / LANES);
            match group.filter(|_| place < block.needed) {
                Some(group) if !block.only_dc => {
                    read_block(bits, block.tables, last_dc, group, place)?;
                }
                Some(group) => {
                    skip_block(bits, block.tables, last_dc)?;
                    group.set(0, place, *last_dc as i16);
                }
                None => skip_block(bits, block.tables, last_dc)?,
            }
        }
        self.column += 1;
        Ok(())
    }
}
