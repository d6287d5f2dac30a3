//! Columns: adjacent floats that share a weight, on which the filters of `float32` images work.
//!
//! A sum must go from its first tap to its last to have the right bits, so no vector may have
//! several taps of one sum. But all rows and channels of an image have the same horizontal weights.
//! So some rows of the source are turned into columns, one for each pixel of a row. Every weight is
//! multiplied with a whole column, which compilers turn into vector code:
//!
//! ```text
//!  source, 3 channels      columns of 16 lanes, 4 for each row
//!   row 4  RGBRGBRGB..      x = 0  RGB-RGB-RGB-RGB-
//!   row 5  RGBRGBRGB..      x = 1  RGB-RGB-RGB-RGB-
//!   row 6  RGBRGBRGB..       ..    row 4, 5, 6, 7
//!   row 7  RGBRGBRGB..
//! ```
//!
//! Vertically the lanes are the pixels of a row, which have the same weights as they are.

#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use crate::resize::output::ColumnOrder;
use crate::resize::taps::Taps;
use crate::simd::level::{Body, Level};

/// The floats of a column: a register of AVX-512, two of AVX2.
pub(crate) const LANES: usize = 16;

/// Number of floats of a row that are summed in registers at once. Rows are padded to a multiple of
/// it.
pub(crate) const BLOCK: usize = 64;

/// One float of each of the lanes.
pub(crate) type Column = [f32; LANES];

/// Filters columns, with one result for each place of the order.
pub(crate) fn filter(
    level: Level,
    taps: &Taps,
    order: &ColumnOrder,
    columns: &[Column],
    to: &mut [Column],
) {
    level.run(FilterColumns { taps, order, columns, to });
}

/// Sums rows of the ring, each of `to.len()` floats, times their weights.
///
/// # Panics
///
/// If there is a slot beyond the ring, or `to` is no multiple of [`BLOCK`].
pub(crate) fn sum(level: Level, weights: &[f32], slots: &[u32], ring: &[f32], to: &mut [f32]) {
    level.run(SumRows { weights, slots, ring, to });
}

struct FilterColumns<'a> {
    taps: &'a Taps,
    order: &'a ColumnOrder,
    columns: &'a [Column],
    to: &'a mut [Column],
}

impl Body for FilterColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let FilterColumns { taps, order, columns, to } = self;
        for (place, to) in to.iter_mut().enumerate() {
            let i = order.pixel(place);
            let weighted = taps.single_of(i).iter().zip(&columns[taps.starts[i] as usize..]);
            *to = weigh(weighted);
        }
    }
}

struct SumRows<'a> {
    weights: &'a [f32],
    slots: &'a [u32],
    ring: &'a [f32],
    to: &'a mut [f32],
}

impl Body for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let SumRows { weights, slots, ring, to } = self;
        let len = to.len();
        let (blocks, rest) = to.as_chunks_mut::<BLOCK>();
        assert!(rest.is_empty());
        for (i, to) in blocks.iter_mut().enumerate() {
            let block =
                |&slot: &u32| &ring.as_chunks::<BLOCK>().0[slot as usize * (len / BLOCK) + i];
            *to = weigh(weights.iter().zip(slots.iter().map(block)));
        }
    }
}

/// The sum of all columns times their weights, from first to last.
#[inline(always)]
fn weigh<'a, const N: usize>(
    mut weighted: impl Iterator<Item = (&'a f32, &'a [f32; N])>,
) -> [f32; N] {
    let Some((&weight, column)) = weighted.next() else { return [0.0; N] };
    let mut sums = [0.0; N];
    for lane in 0..N {
        sums[lane] = weight * column[lane];
    }
    for (&weight, column) in weighted {
        for lane in 0..N {
            sums[lane] += weight * column[lane];
        }
    }
    sums
}
