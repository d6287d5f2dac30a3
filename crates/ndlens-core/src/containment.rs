//! Whether all bytes of a view belong to another.
//!
//! The bytes of a view are runs, at places that its strides give. If each stride steps over all
//! that the smaller ones reach, as those of slices do, the run that holds a byte is found by
//! division, from the largest stride down. Strides that interleave, as those of windows do, have no
//! such answer: then the bytes are marked in a bitmap of the view's span, and looked up.

use std::ops::Range;

use crate::error::Result;
use crate::layout::Layout;
use crate::layout::dims::Dims;
use crate::layout::runs::Runs;
use crate::room;
use crate::view::View;
use crate::watch::Meter;

impl View {
    /// Whether every byte of this view's elements is a byte of an element of the other. It is
    /// exact. A view without elements has no byte, and lies in any.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) if the other's strides interleave and
    /// there is no memory for a bit for each byte of its span.
    pub fn lies_in(&self, other: &View) -> Result<bool> {
        if self.nbytes() == 0 {
            return Ok(true);
        }
        let (own, others) = (span(self), span(other));
        let Some(start) = own.start.checked_sub(others.start).filter(|_| own.end <= others.end)
        else {
            return Ok(false);
        };
        let known = match Nested::of(other) {
            Some(nested) => Known::Nested(nested),
            None => Known::Marked(Marked::of(other)?),
        };
        let base = self.layout().span(self.itemsize()).start;
        let mut meter = Meter::default();
        for run in Runs::new(self.layout(), self.itemsize(), 0) {
            let mut rest = run.start - base + start..run.end - base + start;
            while !rest.is_empty() {
                meter.count_row(1, 0, false)?;
                let Some(end) = known.end_of_run(rest.start) else { return Ok(false) };
                rest.start = end.min(rest.end);
            }
        }
        Ok(true)
    }
}

/// The addresses of the bytes between a view's outermost elements.
fn span(view: &View) -> Range<usize> {
    let first = view.buffer().as_ptr().addr().get();
    let bytes = view.layout().span(view.itemsize());
    first + bytes.start..first + bytes.end
}

/// The bytes of a view, counted from the first.
enum Known {
    Nested(Nested),
    Marked(Marked),
}

impl Known {
    /// The end of the run that holds a byte; None if no element has it.
    fn end_of_run(&self, byte: usize) -> Option<usize> {
        match self {
            Known::Nested(nested) => nested.end_of_run(byte),
            Known::Marked(marked) => marked.has(byte).then_some(byte + 1),
        }
    }
}

/// Runs at strides of which each steps over all that the smaller ones reach.
struct Nested {
    run_len: usize,
    /// The count and the stride of each axis of runs, the largest stride first.
    axes: Dims<(usize, usize)>,
}

impl Nested {
    /// None if strides interleave.
    fn of(view: &View) -> Option<Self> {
        let mut run_len = view.itemsize();
        let mut axes = Dims::new();
        let mut reach = run_len;
        for &(count, stride) in &*ascending(view.layout()) {
            if stride < reach {
                return None;
            }
            if axes.is_empty() && stride == run_len {
                run_len *= count;
            } else {
                axes.insert(0, (count, stride));
            }
            reach += (count - 1) * stride;
        }
        Some(Nested { run_len, axes })
    }

    fn end_of_run(&self, byte: usize) -> Option<usize> {
        let mut left = byte;
        for &(count, stride) in &*self.axes {
            left -= (left / stride).min(count - 1) * stride;
        }
        (left < self.run_len).then(|| byte - left + self.run_len)
    }
}

/// The counts and strides, as distances, of axes that reach other bytes, the smallest stride first.
fn ascending(layout: &Layout) -> Dims<(usize, usize)> {
    let axes = layout.shape().iter().zip(layout.strides());
    let axes = axes.map(|(&count, stride)| (count, stride.unsigned_abs()));
    let mut axes: Dims<_> = axes.filter(|&(count, stride)| count > 1 && stride > 0).collect();
    axes.sort_unstable_by_key(|&(_, stride)| stride);
    axes
}

/// A bit for each byte of a view's span.
struct Marked(Vec<u64>);

impl Marked {
    fn of(view: &View) -> Result<Self> {
        let span = view.layout().span(view.itemsize());
        let mut words = vec![];
        room::resize(&mut words, span.len().div_ceil(64), 0)?;
        let mut meter = Meter::default();
        for run in Runs::new(view.layout(), view.itemsize(), 0) {
            meter.count_row(1, run.len(), false)?;
            for byte in run.start - span.start..run.end - span.start {
                words[byte / 64] |= 1 << (byte % 64);
            }
        }
        Ok(Marked(words))
    }

    fn has(&self, byte: usize) -> bool {
        self.0[byte / 64] >> (byte % 64) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::samples::{LARGEST, any_layout};
    use crate::{Buffer, DType, Index, s};
    use proptest::prelude::*;

    fn bytes(layout: &Layout) -> HashSet<usize> {
        layout.offsets().flat_map(|at| [at, at + 1]).collect()
    }

    fn view(buffer: &Buffer, layout: Layout) -> View {
        View::new(buffer.clone(), layout, DType::U16).unwrap()
    }

    proptest! {
        #[test]
        fn a_view_lies_in_another_if_all_its_bytes_are_bytes_of_it(
            a in any_layout(),
            b in any_layout(),
            shift in 0usize..40,
        ) {
            let buffer = Buffer::zeroed(LARGEST + 40).unwrap();
            let shifted =
                Layout::new(b.shape(), b.strides(), b.offset() + shift, 2, LARGEST + 40).unwrap();
            for (outer, inner) in [(&a, &shifted), (&shifted, &a)] {
                let expected = bytes(inner).is_subset(&bytes(outer));
                let inner = view(&buffer, inner.clone());
                prop_assert_eq!(inner.lies_in(&view(&buffer, outer.clone())).unwrap(), expected);
            }
        }

        #[test]
        fn what_is_cut_out_of_a_view_lies_in_it(
            a in any_layout(),
            starts in prop::collection::vec(0isize..3, 4),
            step in 1isize..3,
        ) {
            let outer = view(&Buffer::zeroed(LARGEST).unwrap(), a);
            let slice = |&start: &isize| {
                Index::Slice { start: Some(start), stop: None, step }
            };
            let indices: Vec<Index> = starts.iter().take(outer.ndim()).map(slice).collect();
            let inner = outer.index(&indices).unwrap();
            prop_assert!(inner.lies_in(&outer).unwrap());
        }
    }

    #[test]
    fn strides_that_interleave_are_looked_up() {
        let row = View::from_vec((0..40u16).collect());
        let windows = row.index(&[s(..20)]).unwrap().windows(3, 2, 0).unwrap();
        assert!(Nested::of(&windows).is_none());
        assert!(row.index(&[s(..19)]).unwrap().lies_in(&windows).unwrap());
        assert!(!row.index(&[s(..20)]).unwrap().lies_in(&windows).unwrap());
        assert!(windows.lies_in(&row).unwrap());
        // Every second window of two leaves elements out.
        let apart = row.windows(2, 3, 0).unwrap();
        assert!(!row.lies_in(&apart).unwrap());
        assert!(apart.index(&[s(1)]).unwrap().lies_in(&apart).unwrap());
    }
}
