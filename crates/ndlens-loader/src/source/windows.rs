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
//! A gap is a number of steps between a window and its horizon.
//!
//! Windows are numbered through all groups. A binary search finds the group of a window, and
//! arithmetic gives its steps. So memory grows with the number of groups, not with that of windows.

use std::sync::Arc;

use ndlens_core::room::{self, with_room_for};
use ndlens_core::{Buffer, DType, Index, View, ViewRef};
use ndlens_transforms::ItemShape;

use crate::error::{Error, Result};
use crate::source::nan::NanSteps;
use crate::source::selection::Selection;
use crate::source::{Source, all_there, buffers_of};

/// The layout of windows in a series, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Steps in a window.
    pub size: usize,
    /// Steps from the start of one window to that of the next.
    pub step: usize,
    /// Steps between a window and its horizon.
    pub gap: usize,
    /// Steps that follow a window, after the gap, and belong to it.
    pub horizon: usize,
}

impl Span {
    /// The steps of a window with its gap and horizon.
    pub fn needed(&self) -> usize {
        self.size.saturating_add(self.gap).saturating_add(self.horizon)
    }
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

/// Items of shape (size, ..): windows of series of shape (steps, ..), or the steps that follow
/// them.
#[derive(Debug, Clone)]
pub struct Windows {
    /// A vector, because to make a shared slice of it would take as much memory again.
    series: Arc<Vec<View>>,
    buffers: Arc<Vec<Buffer>>,
    groups: Arc<Vec<Group>>,
    len: usize,
    span: Span,
    /// Steps from the start of a window to those that are taken.
    offset: usize,
    shape: Vec<usize>,
    /// For one series, a view with a row for each step: the steps that are taken from there. Each
    /// item is a row of it.
    rows: Option<View>,
}

impl Windows {
    /// Windows of each series. A single series may be divided into groups of these `lengths`.
    ///
    /// # Errors
    ///
    /// [`Error::NoSeries`], [`Error::SeriesShape`], [`Error::UnequalSeries`],
    /// [`Error::GroupsOfSeveral`], [`Error::LengthsSum`], [`Error::ZeroSetting`],
    /// [`Error::GapWithoutHorizon`], [`Error::NoWindow`]; [`Error::Core`] if there is no memory
    /// for the list of groups.
    pub fn new(series: Vec<View>, lengths: Option<&[usize]>, span: Span) -> Result<Self> {
        for (name, value) in [("window size", span.size), ("window step", span.step)] {
            if value == 0 {
                return Err(Error::ZeroSetting { name });
            }
        }
        if span.gap > 0 && span.horizon == 0 {
            return Err(Error::GapWithoutHorizon { gap: span.gap });
        }
        let item = check_alike(&series)?.to_vec();
        let whole = |(at, view): (usize, &View)| (at, view.shape()[0]);
        let one = |&length: &usize| (0, length);
        let (mut parts, mut divided);
        let parts: &mut dyn Iterator<Item = (usize, usize)> = match lengths {
            None => {
                parts = series.iter().enumerate().map(whole);
                &mut parts
            }
            Some(lengths) => {
                check_lengths(&series, lengths)?;
                divided = lengths.iter().map(one);
                &mut divided
            }
        };
        let needed = span.needed();
        let mut groups = with_room_for(lengths.map_or(series.len(), <[usize]>::len))?;
        let (mut len, mut longest, mut at) = (0usize, 0, (0, 0));
        for (series, steps) in parts {
            // Groups of one series follow one another; the next series starts at its first step.
            let start = if series == at.0 { at.1 } else { 0 };
            at = (series, start + steps);
            longest = longest.max(steps);
            if steps >= needed {
                groups.push(Group { first: len, series, start });
                len = len.saturating_add((steps - needed) / span.step + 1);
            }
        }
        if len == 0 {
            let Span { size, gap, horizon, .. } = span;
            return Err(Error::NoWindow { size, gap, horizon, longest });
        }
        let shape = [&[span.size], &item[..]].concat();
        let (rows, buffers) = (rows_of(&series, 0, span.size), Arc::new(buffers_of(&series)?));
        Ok(Windows {
            series: Arc::new(series),
            buffers,
            groups: Arc::new(groups),
            len,
            span,
            offset: 0,
            shape,
            rows,
        })
    }

    /// The horizon of each window: that of window i is item i. With `targets`, it is taken from
    /// them. They are other views of the same steps, one for each series, such as one of its
    /// columns.
    ///
    /// # Errors
    ///
    /// [`Error::SeriesShape`], [`Error::UnequalSeries`], [`Error::TargetSteps`].
    pub fn following(&self, targets: Option<Vec<View>>) -> Result<Self> {
        let series = match targets {
            None => Arc::clone(&self.series),
            Some(targets) => Arc::new(targets),
        };
        self.taking(series, self.span.size + self.span.gap, self.span.horizon)
    }

    /// The series that items are taken from.
    pub fn series(&self) -> &[View] {
        &self.series
    }

    /// The same items of other views of the same steps, such as copies.
    ///
    /// # Errors
    ///
    /// [`Error::SeriesShape`], [`Error::UnequalSeries`], [`Error::TargetSteps`].
    pub fn of_series(&self, series: Vec<View>) -> Result<Self> {
        self.taking(Arc::new(series), self.offset, self.shape[0])
    }

    /// `size` steps of each window, from the `offset`-th on, of these series.
    fn taking(&self, series: Arc<Vec<View>>, offset: usize, size: usize) -> Result<Self> {
        let item = check_alike(&series)?;
        let steps = |series: &[View]| room::list_of(series.iter().map(|view| view.shape()[0]));
        let (got, expected) = (steps(&series)?, steps(&self.series)?);
        if got != expected {
            return Err(Error::TargetSteps { got, expected });
        }
        let shape = [&[size], item].concat();
        let (rows, buffers) = (rows_of(&series, offset, size), Arc::new(buffers_of(&series)?));
        Ok(Windows { series, buffers, offset, shape, rows, ..self.clone() })
    }

    /// Whether its items are of the same views as those of `other`.
    pub fn shares_series(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.series, &other.series)
    }

    /// The layout of the windows.
    pub fn span(&self) -> Span {
        self.span
    }

    /// A set flag for each window.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn all_flags(&self) -> Result<Vec<bool>> {
        let mut flags = with_room_for(self.len)?;
        flags.resize(self.len, true);
        Ok(flags)
    }

    /// The windows that a mask selects: one boolean for each window, or one for each step, of all
    /// series one after another, that says whether a window may start there.
    ///
    /// # Errors
    ///
    /// [`Error::WindowMask`] for a mask of another length; [`Error::Core`] if there is no memory
    /// for the list.
    pub fn flags_of(&self, mask: &[bool]) -> Result<Vec<bool>> {
        let steps: usize = self.series.iter().map(|view| view.shape()[0]).sum();
        if mask.len() != self.len && mask.len() != steps {
            return Err(Error::WindowMask { got: mask.len(), windows: self.len, steps });
        }
        let mut flags = with_room_for(self.len)?;
        // If both numbers are the same, a window starts at every step, and both meanings are the
        // same.
        if mask.len() == self.len {
            flags.extend_from_slice(mask);
            return Ok(flags);
        }
        let starts = self.series.iter().scan(0, |end, view| {
            let start = *end;
            *end += view.shape()[0];
            Some(start)
        });
        let starts: Vec<usize> = room::list_of(starts)?;
        for (at, group) in self.groups.iter().enumerate() {
            let first = starts[group.series] + group.start;
            flags.extend((0..self.count(at)).map(|window| mask[first + window * self.span.step]));
        }
        Ok(flags)
    }

    /// The first item that holds one of these steps, and the step; if there are flags, only of
    /// items whose flag is set.
    pub fn first_with(
        &self,
        steps: &NanSteps,
        flags: Option<&[bool]>,
    ) -> Option<(usize, SeriesStep)> {
        let mut found = (0..self.series.len()).flat_map(|series| {
            steps.of(series).iter().map(move |&step| SeriesStep { series, step })
        });
        let is_set = |&item: &usize| flags.is_none_or(|flags| flags[item]);
        found.find_map(|step| Some((self.items_with(step)?.find(is_set)?, step)))
    }

    /// Clears the flags of items that hold one of these steps.
    pub fn clear_with(&self, steps: &NanSteps, flags: &mut [bool]) {
        let mut cleared = 0;
        for series in 0..self.series.len() {
            for &step in steps.of(series) {
                let Some(items) = self.items_with(SeriesStep { series, step }) else { continue };
                // Ranges are in ascending order, so flags that are cleared already are skipped.
                let from = cleared.max(*items.start());
                cleared = cleared.max(items.end() + 1);
                flags[from.min(cleared)..cleared].fill(false);
            }
        }
    }

    /// The items that hold this step.
    fn items_with(
        &self,
        SeriesStep { series, step }: SeriesStep,
    ) -> Option<std::ops::RangeInclusive<usize>> {
        let before = |group: &Group| (group.series, group.start) <= (series, step);
        let at = self.groups.partition_point(before).checked_sub(1)?;
        let group = self.groups[at];
        if group.series != series {
            return None;
        }
        let first_step = step.checked_sub(group.start + self.offset)?;
        let last = (first_step / self.span.step).min(self.count(at) - 1);
        let first = (first_step + 1).saturating_sub(self.shape[0]).div_ceil(self.span.step);
        (first <= last).then(|| group.first + first..=group.first + last)
    }

    /// The number of windows of a group.
    fn count(&self, group: usize) -> usize {
        self.groups.get(group + 1).map_or(self.len, |next| next.first) - self.groups[group].first
    }

    /// The group of a window and the step that it starts at.
    fn start_of(&self, index: usize) -> (Group, usize) {
        // The first window of the first group is 0, so every window has a group at or before it.
        let group = self.groups[self.groups.partition_point(|group| group.first <= index) - 1];
        (group, group.start + (index - group.first) * self.span.step)
    }

    /// The windows whose flag is set; None if all are.
    ///
    /// # Errors
    ///
    /// [`Error::NoWindowLeft`] if none is; [`Error::Core`] if there is no memory for the
    /// list.
    pub fn selected(&self, flags: &[bool]) -> Result<Option<Selection>> {
        if flags.iter().all(|&flag| flag) {
            return Ok(None);
        }
        let selection = Selection::of_flags(flags)?;
        if selection.is_empty() {
            Err(Error::NoWindowLeft { windows: self.len })
        } else {
            Ok(Some(selection))
        }
    }
}

/// A step of one of several series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesStep {
    /// The number of the series.
    pub series: usize,
    /// The step.
    pub step: usize,
}

/// Checks that all series have steps of one shape, and returns it.
fn check_alike(series: &[View]) -> Result<&[usize]> {
    let first = series.first().ok_or(Error::NoSeries)?;
    let kind = |view: &View| (view.dtype().clone(), view.shape().get(1..).map(<[usize]>::to_vec));
    for (at, view) in series.iter().enumerate() {
        if view.ndim() == 0 {
            return Err(Error::SeriesShape { series: at });
        }
        if kind(view) != kind(first) {
            let text = |view: &View| format!("{} {:?}", view.dtype(), &view.shape()[1..]);
            return Err(Error::UnequalSeries {
                series: at,
                got: text(view),
                expected: text(first),
            });
        }
    }
    Ok(&first.shape()[1..])
}

/// Checks that lengths divide the one series.
fn check_lengths(series: &[View], lengths: &[usize]) -> Result<()> {
    if series.len() > 1 {
        return Err(Error::GroupsOfSeveral { series: series.len() });
    }
    let steps = series[0].shape()[0];
    let sum = sum_of(lengths);
    if sum == steps {
        Ok(())
    } else {
        Err(Error::LengthsSum { lengths: lengths.len(), sum, steps })
    }
}

fn sum_of(lengths: &[usize]) -> usize {
    lengths.iter().fold(0, |sum, &length| sum.saturating_add(length))
}

/// A view with a row for each step of one series: `size` steps from the `offset`-th after it. None
/// if no view shows them.
fn rows_of(series: &[View], offset: usize, size: usize) -> Option<View> {
    let [series] = series else { return None };
    let start = isize::try_from(offset).ok()?;
    let rest = series.index(&[Index::Slice { start: Some(start), stop: None, step: 1 }]).ok()?;
    rest.windows(size, 1, 0).ok()
}

/// Columns of a series of shape (steps, columns, ..): a single one, without its axis, or several
/// that are evenly spaced.
///
/// # Errors
///
/// [`Error::NoColumns`] for a series of steps without axes, [`Error::TargetColumns`] for columns
/// that no view shows alone; [`Error::Core`] for a column that does not exist.
pub fn columns_of(series: &View, columns: &Columns) -> Result<View> {
    if series.ndim() < 2 {
        return Err(Error::NoColumns { got: series.shape().to_vec() });
    }
    let column = match columns {
        Columns::One(column) => Index::At(*column),
        Columns::Some(columns) => {
            let uneven = || Error::TargetColumns { got: columns.iter().collect() };
            let (first, step, count) = columns
                .as_range()
                .filter(|&(_, step, count)| step != 0 && count > 0)
                .ok_or_else(uneven)?;
            let stop = first as isize + step * count as isize;
            Index::Slice { start: Some(first as isize), stop: (stop >= 0).then_some(stop), step }
        }
    };
    Ok(series.index(&[Index::from(..), column])?)
}

/// Columns of a series.
#[derive(Debug, Clone)]
pub enum Columns {
    /// One column; a negative number counts from the end.
    One(isize),
    /// Several columns.
    Some(Selection),
}

/// The lengths of groups of a series of `steps` steps. `groups` are these lengths, or offsets from
/// 0 to `steps`.
///
/// # Errors
///
/// [`Error::GroupsUnclear`] if they could be the id of each step too; [`Error::BadGroups`] if
/// they are neither.
pub fn lengths_of_groups(steps: usize, groups: Vec<usize>) -> Result<Vec<usize>> {
    if groups.len() == steps {
        return Err(Error::GroupsUnclear { steps });
    }
    let sum = sum_of(&groups);
    // Numbers that are both lengths and offsets, such as 0 and n, divide the series alike either
    // way.
    if sum == steps {
        return Ok(groups);
    }
    if groups.is_sorted() && groups.first() == Some(&0) && groups.last() == Some(&steps) {
        let mut lengths = groups;
        for at in 1..lengths.len() {
            lengths[at - 1] = lengths[at] - lengths[at - 1];
        }
        lengths.pop();
        return Ok(lengths);
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

    fn rows(&self) -> Option<&View> {
        self.rows.as_ref()
    }

    fn to_rows(&self, items: &mut [usize]) {
        // All groups are of the one series that has rows.
        for item in items {
            *item = self.start_of(*item).1;
        }
    }

    fn mapped_bytes(&self) -> usize {
        self.series.iter().map(Source::mapped_bytes).sum()
    }

    fn prefetch(&self, index: usize) {
        // An item that cannot be had says so when it is read.
        let _ = self.item(index).and_then(|item| item.prefetch());
    }

    fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        let (group, start) = self.start_of(index);
        self.series[group.series].as_ref().narrow(0, start + self.offset, self.shape[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(from: i64, steps: i64) -> View {
        View::from_vec((from..from + steps).collect())
    }

    fn span(size: usize, step: usize, horizon: usize) -> Span {
        Span { size, step, gap: 0, horizon }
    }

    fn items(source: &Windows) -> Vec<Vec<i64>> {
        let item = |index| {
            let item = source.item(index).unwrap();
            let mut bytes = vec![0; item.nbytes()];
            item.read_into(&mut bytes).unwrap();
            if let Some(rows) = source.rows() {
                let mut place = [index];
                source.to_rows(&mut place);
                let row = rows.index(&[Index::At(place[0] as isize)]).unwrap();
                assert_eq!((row.as_ptr().cast_const(), row.shape()), (item.as_ptr(), item.shape()));
            }
            bytes.as_chunks().0.iter().map(|&number| i64::from_ne_bytes(number)).collect()
        };
        (0..source.len()).map(item).collect()
    }

    #[test]
    fn windows_lie_as_the_drawing_says() {
        for groups in [vec![6, 2, 4], vec![0, 6, 8, 12]] {
            let lengths = lengths_of_groups(12, groups).unwrap();
            assert_eq!(lengths, [6, 2, 4]);
            let past = Windows::new(vec![series(0, 12)], Some(&lengths), span(2, 2, 1)).unwrap();
            assert_eq!(items(&past), [[0, 1], [2, 3], [8, 9]]);
            assert_eq!(items(&past.following(None).unwrap()), [[2], [4], [10]]);
        }
        let several =
            Windows::new(vec![series(0, 6), series(6, 2), series(8, 4)], None, span(2, 2, 1))
                .unwrap();
        assert_eq!(items(&several), [[0, 1], [2, 3], [8, 9]]);
    }

    #[test]
    fn every_window_that_fits_comes_once_and_no_other() {
        let lengths = [5usize, 0, 1, 9, 3, 4];
        for (size, step, gap, horizon) in
            [(1, 1, 0, 0), (2, 1, 0, 1), (3, 2, 0, 0), (3, 5, 1, 1), (1, 3, 0, 4), (2, 1, 3, 2)]
        {
            let (mut expected, mut after, mut start) = (vec![], vec![], 0);
            for length in lengths {
                let mut at = 0;
                while at + size + gap + horizon <= length {
                    let taken =
                        |from: usize, count: usize| (0..count).map(move |k| (from + k) as i64);
                    expected.push(taken(start + at, size).collect::<Vec<_>>());
                    after.push(taken(start + at + size + gap, horizon).collect::<Vec<_>>());
                    at += step;
                }
                start += length;
            }
            let span = Span { size, step, gap, horizon };
            let got = Windows::new(vec![series(0, 22)], Some(&lengths), span).unwrap();
            assert_eq!(items(&got), expected, "{span:?}");
            if horizon > 0 {
                assert_eq!(items(&got.following(None).unwrap()), after, "{span:?}");
                let other = series(100, 22);
                let other = items(&got.following(Some(vec![other])).unwrap());
                assert!(
                    other.iter().flatten().map(|&step| step - 100).eq(after.into_iter().flatten())
                );
            }
        }
    }

    #[test]
    fn a_mask_selects_windows_by_number_or_by_the_step_they_start_at() {
        let lengths = [6, 2, 4];
        let windows = Windows::new(vec![series(0, 12)], Some(&lengths), span(2, 2, 1)).unwrap();
        assert_eq!(windows.flags_of(&[true, false, true]).unwrap(), [true, false, true]);
        let starts: Vec<bool> = (0..12).map(|step| step == 2 || step == 8 || step == 9).collect();
        assert_eq!(windows.flags_of(&starts).unwrap(), [false, true, true]);
        let several = Windows::new(vec![series(0, 6), series(6, 6)], None, span(2, 2, 1)).unwrap();
        let starts: Vec<bool> = (0..12).map(|step| step >= 8).collect();
        assert_eq!(several.flags_of(&starts).unwrap(), [false, false, false, true]);
        assert_eq!(
            windows.flags_of(&[true; 5]).unwrap_err().to_string(),
            "a filter of windows is one boolean for each of 3 windows or for each of 12 steps, \
             got 5"
        );
        assert!(windows.selected(&[true; 3]).unwrap().is_none());
        assert_eq!(
            windows.selected(&[false; 3]).unwrap_err().to_string(),
            "no window is left: all 3 are filtered out or hold NaN"
        );
    }

    #[test]
    fn windows_with_a_step_are_those_that_hold_it() {
        let lengths = [5usize, 0, 1, 9, 3, 4];
        for (size, step, gap, horizon) in [(2, 1, 0, 1), (3, 2, 1, 2), (3, 5, 0, 1), (1, 3, 0, 4)] {
            let span = Span { size, step, gap, horizon };
            let past = Windows::new(vec![series(0, 22)], Some(&lengths), span).unwrap();
            for windows in [past.following(None).unwrap(), past] {
                let all = items(&windows);
                for bad in 0..22 {
                    let holds = |item: &Vec<i64>| item.contains(&bad);
                    let steps = NanSteps::of_steps(vec![vec![bad as usize]]);
                    let mut flags = vec![true; windows.len()];
                    windows.clear_with(&steps, &mut flags);
                    assert_eq!(flags, all.iter().map(|item| !holds(item)).collect::<Vec<_>>());
                    let first = windows.first_with(&steps, None).map(|(item, _)| item);
                    assert_eq!(first, all.iter().position(holds));
                    let none = vec![false; windows.len()];
                    assert_eq!(windows.first_with(&steps, Some(&none)), None);
                }
            }
        }
    }

    #[test]
    fn windows_that_cannot_be_say_why() {
        let message = |series: Vec<View>, lengths: Option<&[usize]>, span: Span| {
            Windows::new(series, lengths, span).unwrap_err().to_string()
        };
        assert_eq!(message(vec![], None, span(1, 1, 0)), "there is no series to take windows of");
        assert_eq!(
            message(vec![series(0, 3)], None, span(0, 1, 0)),
            "window size must be at least 1, got 0"
        );
        assert_eq!(
            message(vec![series(0, 3)], None, span(1, 0, 0)),
            "window step must be at least 1, got 0"
        );
        assert_eq!(
            message(vec![series(0, 3)], None, Span { size: 1, step: 1, gap: 2, horizon: 0 }),
            "a gap of 2 steps needs a horizon: give horizon= too"
        );
        assert_eq!(
            message(vec![series(0, 3), series(0, 4)], Some(&[3]), span(1, 1, 0)),
            "groups divide one series, got 2 series, which are groups already"
        );
        assert_eq!(
            message(vec![series(0, 3)], Some(&[1, 1]), span(1, 1, 0)),
            "lengths must add up to the 3 steps of the series: got 2 that add up to 2"
        );
        assert_eq!(
            message(vec![series(0, 3)], Some(&[7, 7, 8]), span(1, 1, 0)),
            "lengths must add up to the 3 steps of the series: got 3 that add up to 22; if they \
             are the id of each step, type ids="
        );
        assert_eq!(
            message(vec![series(0, 3), series(0, 4)], None, span(3, 1, 2)),
            "no window fits: a window of 3 and a horizon of 2 need 5 steps, but the longest \
             series or group has 4"
        );
        assert_eq!(
            message(vec![series(0, 3)], None, Span { size: 1, step: 1, gap: 1, horizon: 2 }),
            "no window fits: a window of 1, a gap of 1 and a horizon of 2 need 4 steps, but the \
             longest series or group has 3"
        );
        let scalar = series(0, 1).reshape(&[]).unwrap();
        assert_eq!(
            message(vec![scalar], None, span(1, 1, 0)),
            "series 0 has no axis: its view has rank 0"
        );
        assert_eq!(
            message(vec![series(0, 4), View::from_vec(vec![0u8; 4])], None, span(1, 1, 0)),
            "series 1 has steps of uint8 [], but series 0 of int64 []"
        );
        let windows = Windows::new(vec![series(0, 4)], None, span(1, 1, 1)).unwrap();
        assert_eq!(
            windows.following(Some(vec![series(0, 3)])).unwrap_err().to_string(),
            "targets must have the steps of their series: got [3], expected [4]"
        );
    }

    #[test]
    fn columns_are_views_of_the_series() {
        let table = series(0, 12).reshape(&[3, 4]).unwrap();
        let some = |numbers: &[usize]| {
            Columns::Some(Selection::of(numbers.iter().copied(), numbers.len(), 4).unwrap())
        };
        let read = |columns| columns_of(&table, &columns).unwrap().to_vec::<i64>().unwrap();
        assert_eq!(read(Columns::One(-1)), [3, 7, 11]);
        assert_eq!(read(some(&[2])), [2, 6, 10]);
        assert_eq!(read(some(&[0, 3])), [0, 3, 4, 7, 8, 11]);
        assert_eq!(read(some(&[2, 1, 0])), [2, 1, 0, 6, 5, 4, 10, 9, 8]);
        let message =
            |series: &View, columns| columns_of(series, &columns).unwrap_err().to_string();
        assert_eq!(
            message(&table, some(&[0, 1, 3])),
            "target must be one column or evenly spaced ones, which a view can show, got [0, 1, \
             3]: put them side by side, or \
             take each as a field of its own"
        );
        assert_eq!(
            message(&table, Columns::One(4)),
            "index 4 is out of bounds for axis 1 with size 4"
        );
        assert_eq!(
            message(&series(0, 3), Columns::One(0)),
            "target names columns of a series of shape (steps, columns, ..), got shape [3]"
        );
    }

    #[test]
    fn groups_that_can_be_read_two_ways_or_none_say_what_to_type() {
        let message =
            |groups: &[usize]| lengths_of_groups(6, groups.to_vec()).unwrap_err().to_string();
        let unclear = "6 numbers for a series of 6 steps could be the lengths of groups or the id \
        of each step: type lengths= or ids=";
        for ids in [[1; 6], [0, 0, 1, 1, 2, 2], [7, 7, 8, 8, 9, 9]] {
            assert_eq!(message(&ids), format!("groups are unclear: {unclear}"));
        }
        assert_eq!(
            message(&[1, 1]),
            "groups must be lengths that add up to the 6 steps of the series or offsets from 0 to \
             6: got 2 numbers that add up to 2"
        );
        assert_eq!(lengths_of_groups(6, vec![0, 6]).unwrap(), [0, 6]);
        assert_eq!(lengths_of_groups(6, vec![0, 2, 2, 6]).unwrap(), [2, 0, 4]);
    }
}
