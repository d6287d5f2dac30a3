//! Draws in proportion to weights, each in constant time: Walker's alias method, with the tables of
//! Vose ("A linear algorithm for generating random numbers with a given distribution", 1991).
//!
//! Every item is a column of height 1 that holds its own weight, filled up with that of one other
//! item. A draw is a column and a height:
//!
//! ```text
//!  weights 1 3 4, scaled to a mean of 1:  0.375 1.125 1.5
//!
//!   1 +-----+-----+-----+
//!     | 2 2 | 2 2 | 2 2 |     keep   0.375  0.875  1
//!     | 2 2 | 1 1 | 2 2 |     other  2      2      -
//!     | 0 0 | 1 1 | 2 2 |
//!   0 +-----+-----+-----+
//! ```

use std::sync::Arc;

use ndlens_core::room::with_room_for;
use ndlens_transforms::Stream;

use crate::error::Result;

/// An item's column of the alias table: 16 bytes.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// The height up to which the column is the item itself.
    keep: f64,
    /// The item that the rest of the column is.
    other: usize,
}

/// The columns of all items.
// Not `Arc<[T]>`: making it copies the columns, in an allocation that cannot fail with an error.
#[derive(Debug, Clone)]
pub(crate) struct AliasTable(Arc<Vec<Column>>);

impl AliasTable {
    /// The table of these weights, which are finite, not negative and not all 0, and of which
    /// `heaviest` is the largest.
    pub(crate) fn new(weights: &[f64], heaviest: f64) -> Result<Self> {
        Ok(AliasTable(Arc::new(columns(weights, heaviest)?)))
    }

    /// `samples` draws of an epoch.
    pub(crate) fn draws(&self, stream: Stream, epoch: u32, samples: usize) -> AliasDraws {
        AliasDraws { table: self.clone(), stream, epoch, samples }
    }
}

/// The draws of one epoch with replacement. The k-th draw is a function of (seed, epoch, k).
#[derive(Debug, Clone)]
pub struct AliasDraws {
    table: AliasTable,
    stream: Stream,
    epoch: u32,
    samples: usize,
}

impl AliasDraws {
    /// The number of draws.
    pub(crate) fn len(&self) -> usize {
        self.samples
    }

    /// The number of items.
    pub(crate) fn items(&self) -> usize {
        self.table.0.len()
    }

    /// The item of the k-th draw.
    pub(crate) fn at(&self, k: usize) -> usize {
        let mut draws = self.stream.draws(self.epoch, k as u64);
        let column = draws.below(self.table.0.len() as u64) as usize;
        let Column { keep, other } = self.table.0[column];
        if draws.uniform() < keep { column } else { other }
    }
}

fn columns(weights: &[f64], heaviest: f64) -> Result<Vec<Column>> {
    // Relative to the heaviest, since sums of large weights could overflow.
    let total: f64 = weights.iter().map(|weight| weight / heaviest).sum();
    let scale = weights.len() as f64 / total;
    let at_heaviest = weights.iter().position(|&weight| weight >= heaviest).unwrap_or(0);
    let column = |weight: &f64| Column { keep: weight / heaviest * scale, other: at_heaviest };
    let mut columns = with_room_for(weights.len())?;
    columns.extend(weights.iter().map(column));
    let is_light = |column: &Column| column.keep < 1.0;
    let count = columns.iter().filter(|column| is_light(column)).count();
    // An item leaves `light` before another one enters it, so neither list grows.
    let (mut light, mut heavy) = (with_room_for(count)?, with_room_for(columns.len() - count)?);
    for (item, column) in columns.iter().enumerate() {
        if is_light(column) { light.push(item) } else { heavy.push(item) }
    }
    while let (Some(&donor), Some(lacking)) = (heavy.last(), light.pop()) {
        columns[lacking].other = donor;
        // In this order, which rounds least: both are near 1 at the end.
        columns[donor].keep = (columns[donor].keep + columns[lacking].keep) - 1.0;
        if columns[donor].keep < 1.0 {
            heavy.pop();
            light.push(donor);
        }
    }
    // The columns that are left over are full except for rounding.
    for item in light.into_iter().chain(heavy) {
        columns[item].keep = if weights[item] > 0.0 { 1.0 } else { 0.0 };
    }
    Ok(columns)
}
