//! `nl.windows`: windows of series, and what follows them.

use std::sync::Arc;

use ndlens::View;
use ndlens::loader::{
    Columns, Error, NanSearch, NanSteps, SeriesStep, Source, Span, Windows, columns_of,
    lengths_of_groups, sizes_of, view_of_sizes,
};
use pyo3::exceptions::{PyTypeError, PyUserWarning, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyString};

use crate::error::{OrRaise, in_place, with_hint};
use crate::exit;
use crate::lists::{self, Asked};
use crate::loader::items::{Base, PyItems};
use crate::loader::ragged::extract_views;
use crate::loader::selection::{
    PySelection, extract_flags, extract_labels, extract_selection, extract_sizes,
};
use crate::store::shards::PyShards;
use crate::view::object::PyView;

/// Bytes of series that are searched for NaN if the caller did not ask: some 50 ms of work.
const NAN_LOOK_BYTES: usize = 256 << 20;

/// Bytes that are searched between two checks for Ctrl-C.
const NAN_PIECE_BYTES: usize = 64 << 20;

/// Windows of one series or of several, as items for a loader.
///
/// No window crosses from one series or group to the next, and a series or group that is too short
/// for a window with its gap and horizon has none. Nothing is copied, and no window is listed:
/// memory grows with the number of groups.
///
/// Args:
///     `series`: A series of shape (steps, ...), or a list of them.
///     `size`: Steps in a window.
///     `step`: Steps from the start of one window to the next.
///     `horizon`: Steps that follow each window, after the gap, as a second field.
///     `groups`: `lengths`, or offsets from 0 to the number of steps, if they cannot be taken for
///         `ids`.
///     `lengths`: Steps of each group, which add up to those of the series.
///     `ids`: For each step what it belongs to: a number, a string or anything that can be hashed.
///         Steps of one id stand together.
///     `gap`: Steps between a window and its horizon.
///     `target`: Columns of the horizon, of a series of shape (steps, columns, ...). One column is
///         not an axis: items are of shape (horizon,).
///     `where`: A boolean for each window, or for each step (of all series one after another)
///         whether a window may start there.
///     `skip_nan`: Whether windows that hold NaN, or whose horizon does, are left out. If not, a
///         warning names the first such window in the first 256 MiB of the series.
///
/// Returns:
///     Items of shape (size, ...). With a `horizon`, a pair: the windows, and the horizons of shape
///     (horizon, ...).
///
/// Raises:
///     `ValueError`: A size is 0, series differ in dtype or shape of a step, groups do not divide
///         the series, ids are scattered, or no window fits or is left.
///
/// >>> import ndlens as nl
/// >>> past, future = nl.windows(bytes(range(9)), 3, horizon=1, ids=list("aaaaabbbb"))
/// >>> [(p.tolist(), f.tolist()) for p, f in zip(past, future)]
/// [([0, 1, 2], [3]), ([1, 2, 3], [4]), ([5, 6, 7], [8])]
#[pyfunction]
#[pyo3(
    signature = (
        series, size, step = 1, horizon = 0, groups = None, *, lengths = None, ids = None, gap = 0,
        target = None, r#where = None, skip_nan = false
    ),
    text_signature = "(series, size, step=1, horizon=0, groups=None, *, lengths=None, ids=None, \
                      gap=0, target=None, where=None, skip_nan=False)"
)]
#[expect(clippy::too_many_arguments, reason = "Python's keywords")]
pub(crate) fn windows<'py>(
    py: Python<'py>,
    series: &Bound<'py, PyAny>,
    size: usize,
    step: usize,
    horizon: usize,
    groups: Option<&Bound<'py, PyAny>>,
    lengths: Option<&Bound<'py, PyAny>>,
    ids: Option<&Bound<'py, PyAny>>,
    gap: usize,
    target: Option<&Bound<'py, PyAny>>,
    r#where: Option<&Bound<'py, PyAny>>,
    skip_nan: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let series = extract_series(series)?;
    let lengths = extract_lengths(&series, groups, lengths, ids)?;
    let span = Span { size, step, gap, horizon };
    let past = Windows::new(series, lengths.as_deref(), span).or_raise()?;
    let future = match (horizon, target) {
        (0, None) => None,
        (0, Some(_)) => {
            return Err(PyTypeError::new_err(
                "target names columns of the horizon: give horizon= too",
            ));
        }
        (_, None) => Some(past.following(None).or_raise()?),
        (_, Some(target)) => {
            let targets = past.series().iter().map(|series| extract_columns(series, target));
            Some(past.following(Some(lists::collect(targets)?)).or_raise()?)
        }
    };
    let mut flags =
        r#where.map(|mask| past.flags_of(&extract_flags(mask, "where")?).or_raise()).transpose()?;
    leave_out_nan(py, &past, future.as_ref(), &mut flags, skip_nan)?;
    let all = past.len();
    let selection = match flags {
        Some(flags) => exit::detach(py, || past.selected(&flags)).or_raise()?,
        None => None,
    };
    let selection =
        selection.map(|selection| Py::new(py, PySelection::new(selection, all))).transpose()?;
    let lengths =
        lengths.map(|lengths| view_of_sizes(lengths.into_iter())).transpose().or_raise()?;
    let part = |windows: Windows, future: bool| {
        let base = Base::Windows(Arc::new(windows), lengths.clone(), future);
        Bound::new(
            py,
            PyItems::of(base, selection.as_ref().map(|selection| selection.clone_ref(py)))?,
        )
    };
    match future {
        None => Ok(part(past, false)?.into_any()),
        Some(future) => Ok((part(past, false)?, part(future, true)?).into_pyobject(py)?.into_any()),
    }
}

/// One of the two fields that `windows` gives, from its pickle.
#[pyfunction]
#[pyo3(name = "_windows_part", signature = (series, span, lengths, future, /))]
pub(crate) fn windows_part(
    series: &Bound<'_, PyAny>,
    span: (usize, usize, usize, usize),
    lengths: Option<Bound<'_, PyView>>,
    future: bool,
) -> PyResult<PyItems> {
    let (size, step, gap, horizon) = span;
    let view = lengths.map(|lengths| PyResult::Ok(lengths.get().view()?.clone())).transpose()?;
    let lengths = view.as_ref().map(|view| sizes_of(view, "lengths")).transpose().or_raise()?;
    let windows = Windows::new(
        extract_views(series, "series")?,
        lengths.as_deref(),
        Span { size, step, gap, horizon },
    );
    let windows = windows.or_raise()?;
    let windows = if future { windows.following(None).or_raise()? } else { windows };
    PyItems::of(Base::Windows(Arc::new(windows), view, future), None)
}

/// One series, a list of them, or items of different lengths.
fn extract_series(series: &Bound<'_, PyAny>) -> PyResult<Vec<View>> {
    if let Ok(shards) = series.cast::<PyShards>() {
        let files = shards.get().views().len();
        return Err(PyTypeError::new_err(format!(
            "no window is a view of two files, and this series is in {files}: \
             nl.windows(shards.shards, ..) takes each as a series of its own"
        )));
    }
    let Ok(items) = series.cast::<PyItems>() else { return extract_views(series, "series") };
    if matches!(items.get().base(), Base::View(_) | Base::Shards(_)) {
        return Err(PyValueError::new_err(
            "these items are rows of one array, steps and not series: take windows of the array \
             and nl.subset of them, or parts in order, nl.split(.., shuffle=False); \
             nl.windows(list(items), ..) takes each as a series",
        ));
    }
    let source = items.get().source();
    let item = |item| {
        let item = source.item(item).or_raise()?;
        View::new(item.buffer().clone(), item.layout().clone(), item.dtype().clone()).or_raise()
    };
    lists::collect((0..source.len()).map(item))
}

/// The lengths of groups, in any form they can be given in.
fn extract_lengths(
    series: &[View],
    groups: Option<&Bound<'_, PyAny>>,
    lengths: Option<&Bound<'_, PyAny>>,
    ids: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Vec<usize>>> {
    let given =
        [("groups", groups.is_some()), ("lengths", lengths.is_some()), ("ids", ids.is_some())];
    let mut names = given.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
    let Some(first) = names.next() else { return Ok(None) };
    if let Some(second) = names.next() {
        return Err(PyTypeError::new_err(format!(
            "{first} and {second} exclude each other: both divide the series"
        )));
    }
    let steps = match series {
        [series] => series.shape().first().copied().unwrap_or(0),
        [] => return Ok(None),
        several => return Err(Error::GroupsOfSeveral { series: several.len() }).or_raise(),
    };
    if let Some(lengths) = lengths {
        return extract_sizes(lengths, "lengths").map(Some);
    }
    if let Some(groups) = groups {
        let sizes = extract_sizes(groups, "groups").map_err(|error| {
            with_hint(groups.py(), error, "the id of each step, of any kind, is ids=")
        })?;
        return lengths_of_groups(steps, sizes).map(Some).or_raise();
    }
    let Some(ids) = ids else { return Ok(None) };
    let labels = extract_labels(ids, "ids")?;
    if labels.len() != steps {
        return Err(Error::IdsLength { got: labels.len(), expected: steps }).or_raise();
    }
    exit::detach(ids.py(), || labels.runs()).map(Some).or_raise()
}

/// The columns of a series that `target` names: a number, a slice, or a list or an array of numbers
/// or booleans.
fn extract_columns(series: &View, target: &Bound<'_, PyAny>) -> PyResult<View> {
    let columns = series.shape().get(1).copied().unwrap_or(0);
    if target.is_instance_of::<PyString>() {
        return Err(PyTypeError::new_err(format!(
            "target takes columns by their numbers, got {0}: of a pandas frame, \
             frame.columns.get_loc({0}) is one",
            target.repr()?
        )));
    }
    let index = match target.extract::<isize>().if_taken(target.py())? {
        Some(column)
            if !target.is_instance_of::<PyBool>()
                && target
                    .getattr_opt("shape")?
                    .is_none_or(|shape| shape.len().is_ok_and(|axes| axes == 0)) =>
        {
            Columns::One(column)
        }
        _ => Columns::Some(
            extract_selection(target, columns)
                .map_err(|error| in_place(target.py(), "target", error))?,
        ),
    };
    columns_of(series, &index).or_raise()
}

/// Clears the flags of windows that hold NaN, or names the first of them.
fn leave_out_nan(
    py: Python<'_>,
    past: &Windows,
    future: Option<&Windows>,
    flags: &mut Option<Vec<bool>>,
    skip: bool,
) -> PyResult<()> {
    let look = if skip { usize::MAX } else { NAN_LOOK_BYTES };
    let Some(in_past) = nan_steps(py, past.series(), look, skip)? else { return Ok(()) };
    let own = match future {
        // Without targets, the horizon is of the same series.
        Some(future) if !future.shares_series(past) => nan_steps(py, future.series(), look, skip)?,
        _ => None,
    };
    let in_future = own.as_ref().unwrap_or(&in_past);
    if skip {
        if in_past.is_empty() && in_future.is_empty() {
            return Ok(());
        }
        let cleared = match flags {
            Some(flags) => flags,
            None => flags.insert(past.all_flags().or_raise()?),
        };
        return exit::detach(py, || {
            past.clear_with(&in_past, cleared);
            if let Some(future) = future {
                future.clear_with(in_future, cleared);
            }
            Ok(())
        });
    }
    let first = past.first_with(&in_past, flags.as_deref()).map(|found| ("window", found));
    let after = future.and_then(|future| future.first_with(in_future, flags.as_deref()));
    let after = after.map(|found| ("the horizon of window", found));
    if let Some((what, (window, SeriesStep { series, step }))) =
        first.into_iter().chain(after).min_by_key(|&(_, (window, _))| window)
    {
        let place =
            if past.series().len() > 1 { format!(" of series {series}") } else { String::new() };
        let message = format!(
            "windows hold NaN, first {what} {window}, at step {step}{place}; skip_nan=True leaves \
             such windows out"
        );
        let message = std::ffi::CString::new(message)?;
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 1)?;
    }
    Ok(())
}

/// The steps with NaN in the first bytes of series; None if elements are not floats. Checks for
/// Ctrl-C meanwhile.
fn nan_steps(
    py: Python<'_>,
    series: &[View],
    look: usize,
    must: bool,
) -> PyResult<Option<NanSteps>> {
    let search = match NanSearch::new(series) {
        // The caller did not ask for a search.
        Err(Error::NanOfOpaque { .. }) if !must => None,
        search => search.or_raise()?,
    };
    let Some(mut search) = search else { return Ok(None) };
    let mut left = look;
    while left > 0 && exit::detach(py, || search.advance(left.min(NAN_PIECE_BYTES))).or_raise()? {
        left = left.saturating_sub(NAN_PIECE_BYTES);
        py.check_signals()?;
    }
    Ok(Some(search.into_found()))
}
