//! Which blocks, samples and rows of each component a region needs.
//!
//! ```text
//!  region of pixels -> columns and rows of samples, with one more around where the upsampling
//!  looks at neighbours -> blocks of those columns, MCU rows of those rows
//! ```

use std::ops::Range;

use super::markers::JpegFrame;
use crate::region::{DecodeRegion, Scale};

/// How a component's samples become as many as there are pixels. libjpeg's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upsampling {
    /// A sample for each pixel.
    Full,
    /// Twice as many columns, by a triangle filter.
    Columns,
    /// Twice as many rows, by a triangle filter.
    Rows,
    /// Twice as many of both, by a triangle filter.
    Both,
    /// Each sample so many times along a row, and each row so many times.
    Replicate(usize, usize),
}

/// A component of an image, at a scale.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    /// Blocks of an MCU, along a row and along a column.
    pub(super) horizontal: usize,
    pub(super) vertical: usize,
    /// Samples along each side of a block: 8, 4, 2 or 1.
    pub(super) size: usize,
    /// Rows of samples of the image.
    pub(super) height: usize,
    pub(super) upsampling: Upsampling,
    /// The samples that are needed.
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
    /// The blocks of a row that are needed.
    pub(super) blocks: Range<usize>,
}

/// The region of an image, at a scale.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The components that are needed, from the first on.
    pub(super) planes: Vec<Plane>,
    /// MCUs of a row.
    pub(super) mcus_across: usize,
    /// The MCU rows that are needed.
    pub(super) mcu_rows: Range<usize>,
    /// The MCUs of a row that are needed.
    pub(super) mcu_columns: Range<usize>,
    /// The pixels.
    pub(super) columns: Range<usize>,
    pub(super) rows: Range<usize>,
}

/// The sampling factors that a frame is decoded by. Those of a single component stand for nothing.
pub(super) fn factors(frame: &JpegFrame) -> impl Iterator<Item = (usize, usize)> + '_ {
    let single = frame.components().len() == 1;
    frame.components().iter().map(move |component| {
        if single { (1, 1) } else { (component.horizontal, component.vertical) }
    })
}

/// The largest factors.
fn largest(frame: &JpegFrame) -> (usize, usize) {
    factors(frame).fold((1, 1), |most, (h, v)| (most.0.max(h), most.1.max(v)))
}

/// Whether each component has a whole number of pixels for a sample, at every scale, and an MCU at
/// most ten blocks. T.81, B.2.3, and libjpeg take no others.
pub(super) fn is_regular(frame: &JpegFrame) -> bool {
    let (most_h, most_v) = largest(frame);
    let blocks: usize = factors(frame).map(|(h, v)| h * v).sum();
    blocks <= 10
        && factors(frame).all(|(h, v)| most_h.is_multiple_of(h) && most_v.is_multiple_of(v))
}

impl Plane {
    fn new(frame: &JpegFrame, factors: (usize, usize), scale: Scale, plan: &Plan) -> Plane {
        let (most_h, most_v) = largest(frame);
        let (horizontal, vertical) = factors;
        let least = 8 / scale.step();
        // A component with fewer samples is reduced less, if that makes upsampling unnecessary.
        let mut size = least;
        while size < 8
            && (most_h * least).is_multiple_of(horizontal * size * 2)
            && (most_v * least).is_multiple_of(vertical * size * 2)
        {
            size *= 2;
        }
        let width = (frame.width * horizontal * size).div_ceil(most_h * 8);
        let height = (frame.height * vertical * size).div_ceil(most_v * 8);
        let across = most_h * least / (horizontal * size);
        let down = most_v * least / (vertical * size);
        // Context rows and columns are of no use at a scale of one sample per block.
        let fancy = least > 1;
        let upsampling = match (across, down) {
            (1, 1) => Upsampling::Full,
            (2, 1) if fancy && width > 2 => Upsampling::Columns,
            (1, 2) if fancy => Upsampling::Rows,
            (2, 2) if fancy && width > 2 => Upsampling::Both,
            _ => Upsampling::Replicate(across, down),
        };
        let (beside, above) = match upsampling {
            Upsampling::Full | Upsampling::Replicate(..) => (0, 0),
            Upsampling::Columns => (1, 0),
            Upsampling::Rows => (0, 1),
            Upsampling::Both => (1, 1),
        };
        let columns = samples(&plan.columns, across, beside, width);
        let rows = samples(&plan.rows, down, above, height);
        let blocks = columns.start / size..columns.end.div_ceil(size);
        Plane { horizontal, vertical, size, height, upsampling, columns, rows, blocks }
    }

    /// Rows of samples of an MCU row.
    pub(super) fn mcu_height(&self) -> usize {
        self.vertical * self.size
    }

    /// Pixels for each sample, along a row and along a column.
    pub(super) fn expansion(&self) -> (usize, usize) {
        match self.upsampling {
            Upsampling::Full => (1, 1),
            Upsampling::Columns => (2, 1),
            Upsampling::Rows => (1, 2),
            Upsampling::Both => (2, 2),
            Upsampling::Replicate(across, down) => (across, down),
        }
    }

    /// The last row of samples that a row of pixels needs.
    pub(super) fn last_row_for(&self, row: usize) -> usize {
        match self.upsampling {
            Upsampling::Full | Upsampling::Columns => row,
            Upsampling::Rows | Upsampling::Both => (row.div_ceil(2)).min(self.height - 1),
            Upsampling::Replicate(_, down) => row / down,
        }
    }
}

/// The samples that pixels need, if each stands for so many of them, with some more around.
fn samples(pixels: &Range<usize>, each: usize, around: usize, all: usize) -> Range<usize> {
    let (first, last) = (pixels.start / each, (pixels.end - 1) / each);
    first.saturating_sub(around)..(last + around + 1).min(all)
}

impl Plan {
    /// The plan for a region that is within the image and is not empty, with the first `components`
    /// of its components.
    pub(super) fn new(
        frame: &JpegFrame,
        region: DecodeRegion,
        scale: Scale,
        components: usize,
    ) -> Plan {
        let (most_h, _) = largest(frame);
        let step = scale.step();
        let (height, width) = region.size_at(scale);
        let (top, left) = (region.top / step, region.left / step);
        let mut plan = Plan {
            planes: Vec::new(),
            mcus_across: frame.width.div_ceil(8 * most_h),
            mcu_rows: 0..0,
            mcu_columns: 0..0,
            columns: left..left + width,
            rows: top..top + height,
        };
        for factors in factors(frame).take(components) {
            let plane = Plane::new(frame, factors, scale, &plan);
            let rows = &plane.rows;
            cover(
                &mut plan.mcu_rows,
                rows.start / plane.mcu_height()..rows.end.div_ceil(plane.mcu_height()),
            );
            let blocks = &plane.blocks;
            cover(
                &mut plan.mcu_columns,
                blocks.start / plane.horizontal..blocks.end.div_ceil(plane.horizontal),
            );
            plan.planes.push(plane);
        }
        plan
    }

    /// Whether so many blocks are skipped that tables for it are worth making.
    pub(super) fn skips_much(&self, frame: &JpegFrame) -> bool {
        let (_, most_v) = largest(frame);
        let mcus = self.mcus_across * frame.height.div_ceil(8 * most_v);
        let read = self.mcu_columns.len() * self.mcu_rows.len();
        self.planes.len() < frame.components().len() || 8 * read < 7 * mcus
    }
}

/// Makes a range as large as to have all of another one too.
fn cover(range: &mut Range<usize>, more: Range<usize>) {
    let is_empty = range.start == range.end;
    let start = if is_empty { more.start } else { range.start.min(more.start) };
    *range = start..range.end.max(more.end);
}
