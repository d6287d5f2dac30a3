//! Windows of several series, none of which crosses from one series to the next.
//!
//! ```text
//!  steps      0 1 2 3 4 5 | 6 7 | 8 9 10 11        groups of 6, 2 and 4 steps
//!  windows of 2 with a horizon of 1, every second step:
//!  0          p p f
//!  1              p p f
//!  2                        -     p p  f           the second group is too short
//! ```
//!
//! Windows are numbered through all groups. Which steps one covers is arithmetic within its group, which a binary search
//! finds: memory grows with the groups, not with the windows.

use std::sync::Arc;

use ndlens_core::{Buffer, DType, View, ViewRef};

use crate::error::{Error, Result};
use crate::source::{ItemShape, Source, all_there, buffers_of};

/// How windows lie in a series, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Steps in a window.
    pub size: usize,
    /// From the start of one window to that of the next.
    pub step: usize,
    /// Steps that follow a window and belong to it.
    pub horizon: usize,
}

/// A part of a series that has windows.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// The number of its first window.
    first: usize,
    series: usize,
    /// The step of the series that it starts at.
    start: usize,
}

/// Items of shape (size, ..): windows of series of shape (steps, ..), or what follows them.
#[derive(Debug, Clone)]
pub struct Windows {
    series: Arc<[View]>,
    buffers: Arc<[Buffer]>,
    groups: Arc<[Group]>,
    len: usize,
    step: usize,
    /// From the start of a window to what is taken.
    offset: usize,
    shape: Vec<usize>,
}

impl Windows {
    /// Windows of each series; of one series, also of each of its `groups`: their lengths, or where each starts and the last ends.
    ///
    /// # Errors
    ///
    /// [`Error::NoSeries`], [`Error::SeriesShape`], [`Error::UnequalSeries`], [`Error::GroupsOfSeveral`], [`Error::BadGroups`],
    /// [`Error::ZeroSetting`], [`Error::NoWindow`].
    pub fn new(series: Vec<View>, groups: Option<&[usize]>, span: Span) -> Result<Self> {
        let Span { size, step, horizon } = span;
        for (name, value) in [("window size", size), ("window step", step)] {
            if value == 0 {
                return Err(Error::ZeroSetting { name });
            }
        }
        let first = series.first().ok_or(Error::NoSeries)?;
        let kind = |view: &View| (view.dtype().clone(), view.shape().get(1..).map(<[usize]>::to_vec));
        for (at, view) in series.iter().enumerate() {
            if view.ndim() == 0 {
                return Err(Error::SeriesShape { series: at });
            }
            if kind(view) != kind(first) {
                let text = |view: &View| format!("{} {:?}", view.dtype(), &view.shape()[1..]);
                return Err(Error::UnequalSeries { series: at, got: text(view), expected: text(first) });
            }
        }
        let whole = |(at, view): (usize, &View)| (at, 0, view.shape()[0]);
        let parts: Vec<(usize, usize, usize)> = match groups {
            None => series.iter().enumerate().map(whole).collect(),
            Some(_) if series.len() > 1 => return Err(Error::GroupsOfSeveral { series: series.len() }),
            Some(groups) => parts_of(first.shape()[0], groups)?,
        };
        let needed = size.saturating_add(horizon);
        let (mut len, mut groups) = (0usize, vec![]);
        for &(series, start, steps) in parts.iter().filter(|(.., steps)| *steps >= needed) {
            groups.push(Group { first: len, series, start });
            len = len.saturating_add((steps - needed) / step + 1);
        }
        if len == 0 {
            let longest = parts.iter().map(|&(.., steps)| steps).max().unwrap_or(0);
            return Err(Error::NoWindow { size, horizon, longest });
        }
        let shape = [&[size], &first.shape()[1..]].concat();
        let buffers = buffers_of(&series).into();
        Ok(Windows { series: series.into(), buffers, groups: groups.into(), len, step, offset: 0, shape })
    }

    /// The `horizon` steps that follow each window: window i's are item i.
    #[must_use]
    pub fn following(&self, horizon: usize) -> Self {
        let mut shape = self.shape.clone();
        let size = std::mem::replace(&mut shape[0], horizon);
        Windows { offset: self.offset + size, shape, ..self.clone() }
    }
}

/// Groups of one series as (0, start, steps).
fn parts_of(steps: usize, groups: &[usize]) -> Result<Vec<(usize, usize, usize)>> {
    let sum = groups.iter().fold(0usize, |sum, &group| sum.saturating_add(group));
    // Numbers that are both lengths and offsets, such as 0 and n, divide the series alike either way.
    if sum == steps {
        let mut start = 0;
        let part = |&length: &usize| {
            start += length;
            (0, start - length, length)
        };
        return Ok(groups.iter().map(part).collect());
    }
    if groups.is_sorted() && groups.first() == Some(&0) && groups.last() == Some(&steps) {
        return Ok(groups.windows(2).map(|pair| (0, pair[0], pair[1] - pair[0])).collect());
    }
    Err(Error::BadGroups { groups: groups.len(), sum, steps })
}

impl Source for Windows {
    fn len(&self) -> usize {
        self.len
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        Some(ItemShape::fixed(&self.shape))
    }

    fn dtype(&self) -> &DType {
        self.series[0].dtype()
    }

    fn is_complete(&self) -> bool {
        all_there(&self.buffers)
    }

    fn can_shrink(&self) -> bool {
        self.buffers.iter().any(Buffer::can_shrink)
    }

    fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        // The first group's first window is 0, so there is one at or before any.
        let group = self.groups[self.groups.partition_point(|group| group.first <= index) - 1];
        let start = group.start + (index - group.first) * self.step + self.offset;
        self.series[group.series].as_ref().narrow(0, start, self.shape[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(from: i64, steps: i64) -> View {
        View::from_vec((from..from + steps).collect())
    }

    fn span(size: usize, step: usize, horizon: usize) -> Span {
        Span { size, step, horizon }
    }

    fn items(source: &Windows) -> Vec<Vec<i64>> {
        let item = |index| {
            let mut bytes = vec![0; source.shape[0] * 8];
            source.item(index).unwrap().read_into(&mut bytes).unwrap();
            bytes.as_chunks().0.iter().map(|&number| i64::from_ne_bytes(number)).collect()
        };
        (0..source.len()).map(item).collect()
    }

    #[test]
    fn windows_lie_as_the_drawing_says() {
        for groups in [&[6, 2, 4][..], &[0, 6, 8, 12]] {
            let past = Windows::new(vec![series(0, 12)], Some(groups), span(2, 2, 1)).unwrap();
            assert_eq!(items(&past), [[0, 1], [2, 3], [8, 9]]);
            assert_eq!(items(&past.following(1)), [[2], [4], [10]]);
        }
        let several =
            Windows::new(vec![series(0, 6), series(6, 2), series(8, 4)], None, span(2, 2, 1)).unwrap();
        assert_eq!(items(&several), [[0, 1], [2, 3], [8, 9]]);
    }

    #[test]
    fn every_window_that_fits_comes_once_and_no_other() {
        let lengths = [5usize, 0, 1, 9, 3, 4];
        for (size, step, horizon) in [(1, 1, 0), (2, 1, 1), (3, 2, 0), (3, 5, 1), (1, 3, 4)] {
            let (mut expected, mut start) = (vec![], 0);
            for length in lengths {
                let mut at = 0;
                while at + size + horizon <= length {
                    expected.push((0..size).map(|k| (start + at + k) as i64).collect::<Vec<_>>());
                    at += step;
                }
                start += length;
            }
            let got = Windows::new(vec![series(0, 22)], Some(&lengths), span(size, step, horizon)).unwrap();
            assert_eq!(items(&got), expected, "{size} {step} {horizon}");
        }
    }

    #[test]
    fn windows_that_cannot_be_say_why() {
        let message = |series: Vec<View>, groups: Option<&[usize]>, span: Span| {
            Windows::new(series, groups, span).unwrap_err().to_string()
        };
        assert_eq!(message(vec![], None, span(1, 1, 0)), "there is no series to take windows of");
        assert_eq!(message(vec![series(0, 3)], None, span(0, 1, 0)), "window size must be at least 1, got 0");
        assert_eq!(message(vec![series(0, 3)], None, span(1, 0, 0)), "window step must be at least 1, got 0");
        assert_eq!(
            message(vec![series(0, 3), series(0, 4)], Some(&[3]), span(1, 1, 0)),
            "groups divide one series, got 2 series, which are groups already"
        );
        assert_eq!(
            message(vec![series(0, 3)], Some(&[1, 1]), span(1, 1, 0)),
            "groups must be lengths that add up to the 3 steps of the series or offsets from 0 to 3: got 2 numbers that add up to 2"
        );
        assert_eq!(
            message(vec![series(0, 3), series(0, 4)], None, span(3, 1, 2)),
            "no window fits: a window of 3 and a horizon of 2 need 5 steps, but the longest series or group has 4"
        );
        let scalar = series(0, 1).reshape(&[]).unwrap();
        assert_eq!(message(vec![scalar], None, span(1, 1, 0)), "series 0 has no axis: its view has rank 0");
        assert_eq!(
            message(vec![series(0, 4), View::from_vec(vec![0u8; 4])], None, span(1, 1, 0)),
            "series 1 has steps of uint8 [], but series 0 of int64 []"
        );
    }
}
