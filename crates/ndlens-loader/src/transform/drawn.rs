//! What was drawn for an item: the parameters of its random transforms, before anything is done with them.
//!
//! Drawing and doing are apart, so that the parameters of a batch can be told, and done again to other items.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// The parameters of one random transform for one item.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Drawn {
    /// A rectangle of the image, padding included: what crops keep.
    Rectangle {
        /// The first row.
        top: usize,
        /// The first column.
        left: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// Whether it is done at all.
    Applied(bool),
    /// Counter-clockwise turns by 90 degrees.
    QuarterTurns(u8),
}

/// One entry for each random transform, in their order.
pub type DrawnList = SmallVec<[Drawn; 4]>;
