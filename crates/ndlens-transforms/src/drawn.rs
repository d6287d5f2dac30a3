//! What was drawn for an item: the parameters of its random transforms, before anything is done
//! with them.
//!
//! Drawing and doing are apart, so that the parameters of a batch can be told, and done again to
//! other items.

use ndlens_kernels::Adjustment;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::random::Noise;

/// The parameters of one random transform for one item.
///
/// As text they have no name: what is read is the first variant that it fits, so that a variant
/// with more fields comes before one with fewer, and whole numbers before others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Drawn {
    /// Whether it is done at all.
    Applied(bool),
    /// A rectangle of the image that is overwritten.
    Erased {
        /// The first row.
        top: usize,
        /// The first column.
        left: usize,
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// With what, where it is random.
        noise: Noise,
    },
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
    /// Changes of colour, in their order.
    Adjusted([Option<Adjustment>; 4]),
    /// Counter-clockwise turns by 90 degrees.
    QuarterTurns(u8),
    /// What all elements are multiplied by.
    Factor(f64),
    /// Numbers of their own for elements or features.
    Noise(Noise),
}

/// One entry for each random transform, in their order.
pub type DrawnList = SmallVec<[Drawn; 4]>;
