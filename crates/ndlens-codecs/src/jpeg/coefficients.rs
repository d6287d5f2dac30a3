//! The coefficients of a whole image, which scans send in parts.

use super::geometry::factors;
use super::markers::JpegFrame;
use crate::error::{Error, Result};

/// The coefficients of a component: blocks in rows, of whole MCUs.
#[derive(Debug, Default)]
pub(super) struct CoefficientPlane {
    /// 64 for each block, in the order of the zigzag.
    values: Vec<i16>,
    /// Blocks of a row, in whole MCUs.
    stride: usize,
    /// Blocks of a row, and rows of blocks, that the component has.
    pub(super) across: usize,
    pub(super) down: usize,
    /// Blocks of an MCU, along a row and along a column.
    pub(super) horizontal: usize,
    pub(super) vertical: usize,
}

impl CoefficientPlane {
    /// A block, by its place in a row and its row.
    pub(super) fn block(&self, across: usize, down: usize) -> &[i16; 64] {
        self.values[64 * (down * self.stride + across)..].first_chunk().unwrap_or(&[0; 64])
    }

    pub(super) fn block_mut(&mut self, across: usize, down: usize) -> &mut [i16] {
        &mut self.values[64 * (down * self.stride + across)..][..64]
    }
}

/// MCUs of a row, and rows of MCUs.
pub(super) fn mcus(frame: &JpegFrame) -> (usize, usize) {
    let (horizontal, vertical) =
        factors(frame).fold((1, 1), |(h, v), own| (h.max(own.0), v.max(own.1)));
    (frame.width.div_ceil(8 * horizontal), frame.height.div_ceil(8 * vertical))
}

/// Makes room for all coefficients of an image, which are zero.
pub(super) fn prepare(components: &mut [CoefficientPlane; 4], frame: &JpegFrame) -> Result<()> {
    let (across, down) = mcus(frame);
    let (most_h, most_v) = factors(frame).fold((1, 1), |(h, v), own| (h.max(own.0), v.max(own.1)));
    for (component, (horizontal, vertical)) in components.iter_mut().zip(factors(frame)) {
        component.stride = across * horizontal;
        component.across = (frame.width * horizontal).div_ceil(8 * most_h);
        component.down = (frame.height * vertical).div_ceil(8 * most_v);
        (component.horizontal, component.vertical) = (horizontal, vertical);
        let len = component.stride * down * vertical * 64;
        component.values.clear();
        component
            .values
            .try_reserve_exact(len)
            .map_err(|_| Error::OutOfMemory { bytes: 2 * len })?;
        component.values.resize(len, 0);
    }
    Ok(())
}
