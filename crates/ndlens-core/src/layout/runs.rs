//! The bytes of a layout's elements, as runs.
//!
//! ```text
//!  |a a a|..gap..|a a a|..................|a a a|..gap..|a a a|
//!  |<------ a run ---->|   a larger gap   |<------ a run ---->|
//! ```

use std::ops::Range;

use crate::layout::Layout;
use crate::layout::dims::Dims;

/// Ranges of bytes that contain all elements, and gaps between them up to a size.
#[derive(Debug)]
pub(crate) struct Runs {
    /// The next range; None after the last.
    next: Option<Range<usize>>,
    /// Number and distance of the ranges along each axis; the last axis changes first.
    counts: Dims<usize>,
    strides: Dims<usize>,
    index: Dims<usize>,
}

impl Runs {
    /// The runs of a layout that was checked against its buffer.
    pub(crate) fn new(layout: &Layout, itemsize: usize, gap: usize) -> Self {
        let (mut counts, mut strides) = (Dims::new(), Dims::new());
        let start = layout.span(itemsize).start;
        let step = |axis: usize| layout.strides()[axis].unsigned_abs();
        // Axes that repeat their elements touch no more bytes.
        let axes = (0..layout.ndim()).filter(|&axis| layout.shape()[axis] > 1 && step(axis) > 0);
        let mut axes: Dims<usize> = axes.collect();
        axes.sort_unstable_by_key(|&axis| step(axis));
        let mut len = itemsize;
        for &axis in &*axes {
            let (count, stride) = (layout.shape()[axis], step(axis));
            if counts.is_empty() && stride <= len.saturating_add(gap) {
                len += (count - 1) * stride;
            } else {
                counts.insert(0, count);
                strides.insert(0, stride);
            }
        }
        let next = (!layout.is_empty() && len > 0).then_some(start..start + len);
        let index = Dims::from_elem(0, counts.len());
        Runs { next, counts, strides, index }
    }
}

impl Iterator for Runs {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let run = self.next.take()?;
        let mut start = run.start;
        for axis in (0..self.counts.len()).rev() {
            self.index[axis] += 1;
            if self.index[axis] < self.counts[axis] {
                start += self.strides[axis];
                self.next = Some(start..start + run.len());
                break;
            }
            start -= (self.counts[axis] - 1) * self.strides[axis];
            self.index[axis] = 0;
        }
        Some(run)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::samples::{any_layout, elements};

    proptest! {
        #[test]
        fn runs_hold_the_bytes_of_all_elements_and_no_larger_gap(
            layout in any_layout(),
            gap in 0usize..40,
        ) {
            let touched: BTreeSet<usize> =
                elements(&layout).iter().flat_map(|(_, at)| *at..at + 2).collect();
            let runs: Vec<_> = Runs::new(&layout, 2, gap).collect();
            let covered: BTreeSet<usize> = runs.iter().cloned().flatten().collect();
            prop_assert!(touched.is_subset(&covered));
            for run in runs {
                prop_assert!(touched.contains(&run.start) && touched.contains(&(run.end - 1)));
                let inside: Vec<_> = touched.range(run).collect();
                prop_assert!(inside.windows(2).all(|pair| pair[1] - pair[0] - 1 <= gap));
            }
        }
    }

    #[test]
    fn a_column_of_wide_rows_is_a_run_for_each_row() {
        let column = Layout::new(&[3, 2], &[10_000, 4], 8, 4, 30_000).unwrap();
        let runs: Vec<_> = Runs::new(&column, 4, 4096).collect();
        assert_eq!(runs, [8..16, 10_008..10_016, 20_008..20_016]);
        assert_eq!(Runs::new(&column, 4, 10_000).collect::<Vec<_>>(), vec![8..20_016; 1]);
        let repeated = Layout::new(&[1 << 40], &[0], 8, 4, 30_000).unwrap();
        assert_eq!(Runs::new(&repeated, 4, 0).collect::<Vec<_>>(), vec![8..12; 1]);
    }
}
