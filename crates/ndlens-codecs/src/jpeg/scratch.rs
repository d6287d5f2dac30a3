//! Memory that decoding a JPEG takes, kept from image to image.

use super::blocks::BlockGroup;
use super::coefficients::CoefficientPlane;
use super::huffman::{AcTable, DcTable, Tables};
use super::pixels::Rows;
use super::strip::Strip;

/// Buffers and tables of [`Baseline`](super::baseline::Baseline).
#[derive(Debug, Default)]
pub(crate) struct JpegScratch {
    /// Of one interval of entropy-coded data.
    pub(super) data: Vec<u8>,
    pub(super) dc_tables: Tables<DcTable>,
    pub(super) ac_tables: Tables<AcTable>,
    /// Blocks of one MCU row.
    pub(super) groups: Vec<BlockGroup>,
    /// A strip for each component.
    pub(super) strips: [Strip; 3],
    pub(super) rows: Rows,
}

/// Buffers of [`WholeJpeg`](super::whole::WholeJpeg).
#[derive(Debug, Default)]
pub(crate) struct WholeScratch {
    pub(super) data: Vec<u8>,
    pub(super) coefficients: [CoefficientPlane; 4],
    pub(super) groups: Vec<BlockGroup>,
    pub(super) strips: [Strip; 4],
    pub(super) rows: WholeRows,
}

/// Room for a row of each component, with as many samples as pixels, and for all of them.
#[derive(Debug, Default)]
pub(super) struct WholeRows {
    pub(super) upsampled: [Vec<u8>; 4],
    pub(super) sums: Vec<u16>,
    pub(super) samples: Vec<u8>,
}
