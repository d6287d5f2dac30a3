//! `nl.windows`, `nl.ragged` and the items they give.

use std::sync::Arc;

use ndlens::View;
use ndlens::loader::{Ragged, Source, Span, Windows};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::error::{OrRaise, in_place};
use crate::tensor_memory::extract_lasting_view;
use crate::view::PyView;

/// Items for `nl.Loader` and `nl.torch.Dataset` that are no rows of one view: what `nl.windows` and `nl.ragged` give.
///
/// `items[i]` is item i as a view, which copies nothing. They pickle as their views do.
#[pyclass(frozen, name = "Items", module = "ndlens")]
pub(crate) struct PyItems {
    source: Arc<dyn Source>,
    /// What makes the same again: a function of `ndlens._ndlens` by name, and its arguments.
    maker: &'static str,
    arguments: Py<PyTuple>,
}

impl PyItems {
    pub(crate) fn source(&self) -> Arc<dyn Source> {
        Arc::clone(&self.source)
    }
}

#[pymethods]
impl PyItems {
    fn __len__(&self) -> usize {
        self.source.len()
    }

    /// NumPy would make an array of a single object of them.
    #[pyo3(signature = (*_args, **_kwargs))]
    fn __array__(&self, _args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        let items = self.source.len();
        Err(PyTypeError::new_err(format!(
            "{items} items are no array: index them, as in numpy.stack([item.numpy() for item in items])"
        )))
    }

    fn __getitem__(&self, index: isize) -> PyResult<PyView> {
        let len = self.source.len();
        let place = if index < 0 { index.saturating_add_unsigned(len) } else { index };
        let place = usize::try_from(place).ok().filter(|&place| place < len);
        let place = place.ok_or_else(|| PyIndexError::new_err(format!("item {index} of {len} items")))?;
        let item = self.source.item(place).or_raise()?;
        let view = View::new(item.buffer().clone(), item.layout().clone(), item.dtype().clone());
        view.map(PyView::new).or_raise()
    }

    /// The shape of each item, with None for axes in which items differ.
    #[getter]
    fn item_shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let sizes = self.source.item_shape().map(|shape| shape.sizes().collect::<Vec<_>>());
        PyTuple::new(py, sizes.unwrap_or_default())
    }

    /// The name of the elements' dtype.
    #[getter]
    fn dtype(&self) -> String {
        self.source.dtype().to_string()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let maker = py.import("ndlens._ndlens")?.getattr(self.maker)?;
        Ok((maker, self.arguments.bind(py).clone()))
    }

    fn __repr__(&self) -> String {
        let shape = self.source.item_shape().map(|shape| shape.to_string()).unwrap_or_default();
        format!("<ndlens.Items items={} item_shape={shape} dtype={}>", self.source.len(), self.source.dtype())
    }
}

/// The views of a list, or one.
fn extract_views(views: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<View>> {
    if !views.is_instance_of::<PyList>() && !views.is_instance_of::<PyTuple>() {
        return Ok(vec![extract_lasting_view(views)?]);
    }
    let view = |(at, view): (usize, PyResult<Bound<'_, PyAny>>)| {
        let view = view?;
        extract_lasting_view(&view).map_err(|error| in_place(view.py(), &format!("{what} {at}"), error))
    };
    views.try_iter()?.enumerate().map(view).collect()
}

/// Numbers from 0 on, of a list or of anything that has `tolist()`, and how many each row has.
fn extract_sizes(sizes: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<usize>> {
    let refuse = |_| PyTypeError::new_err(format!("{what} must be integers from 0 on, got {sizes:?}"));
    if let Ok(numbers) = sizes.extract() {
        return Ok(numbers);
    }
    sizes.call_method0("tolist").and_then(|list| list.extract()).map_err(refuse)
}

/// Windows of `size` steps of one series of shape (steps, ..) or of several, `step` apart, none of which crosses from one series or
/// group to the next: items of shape (size, ..). With a `horizon`, a pair: the windows, and the `horizon` steps that follow
/// each, as two fields of a loader.
///
/// `groups` divides one series: the lengths of its groups, or their offsets from 0 to the number of steps. A series or group
/// that is too short for a window and its horizon has none. Nothing is copied, and no window is listed: memory grows with
/// the number of groups.
///
/// Raises `ValueError` where sizes are 0, series differ in dtype or shape of a step, groups do not divide the series, or no
/// window fits.
///
/// >>> import ndlens as nl
/// >>> past, future = nl.windows(bytes(range(9)), 3, horizon=1, groups=[5, 4])
/// >>> [(p.tolist(), f.tolist()) for p, f in zip(past, future)]
/// [([0, 1, 2], [3]), ([1, 2, 3], [4]), ([5, 6, 7], [8])]
#[pyfunction]
#[pyo3(signature = (series, size, step = 1, horizon = 0, groups = None))]
pub(crate) fn windows<'py>(
    py: Python<'py>,
    series: &Bound<'py, PyAny>,
    size: usize,
    step: usize,
    horizon: usize,
    groups: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let series = extract_views(series, "series")?;
    let groups = groups.map(|groups| extract_sizes(groups, "groups")).transpose()?;
    let part = |future| windows_part(py, series.clone(), (size, step, horizon), groups.clone(), future);
    if horizon == 0 {
        return Ok(Bound::new(py, part(false)?)?.into_any());
    }
    Ok((part(false)?, part(true)?).into_pyobject(py)?.into_any())
}

fn windows_part(
    py: Python<'_>,
    series: Vec<View>,
    (size, step, horizon): (usize, usize, usize),
    groups: Option<Vec<usize>>,
    future: bool,
) -> PyResult<PyItems> {
    let views: Vec<PyView> = series.iter().cloned().map(PyView::new).collect();
    let windows = Windows::new(series, groups.as_deref(), Span { size, step, horizon }).or_raise()?;
    let source = if future { windows.following(horizon) } else { windows };
    let arguments = (views, (size, step, horizon), groups, future).into_pyobject(py)?.unbind();
    Ok(PyItems { source: Arc::new(source), maker: "_windows_part", arguments })
}

/// One of the two that `windows` gives, as it was pickled.
#[pyfunction]
#[pyo3(name = "_windows_part", signature = (series, span, groups, future, /))]
pub(crate) fn windows_part_of(
    py: Python<'_>,
    series: &Bound<'_, PyAny>,
    span: (usize, usize, usize),
    groups: Option<Vec<usize>>,
    future: bool,
) -> PyResult<PyItems> {
    windows_part(py, extract_views(series, "series")?, span, groups, future)
}

/// Items of different sizes but one dtype, rank and number of channels, such as images of (height, width, channels).
///
/// Either `items` is a list of views, each an item; or `shapes`, of shape (N, rank), says that N items lie in `items`, a packed view
/// of one axis: item i in C order from element `offsets[i]` on. Without `offsets` they lie one after another; N + 1 offsets
/// also say where each must end.
///
/// `nl.Loader` takes them where a transform makes one size of them.
///
/// Raises `ValueError` for items that differ in more than their first two axes or do not lie within their memory, and names the first.
///
/// >>> import ndlens as nl
/// >>> images = nl.ragged(bytes(range(10)), shapes=[(2, 3), (2, 2)])
/// >>> images[1].tolist(), images.item_shape
/// ([[6, 7], [8, 9]], (2, None))
#[pyfunction]
#[pyo3(signature = (items, offsets = None, shapes = None))]
pub(crate) fn ragged(
    py: Python<'_>,
    items: &Bound<'_, PyAny>,
    offsets: Option<&Bound<'_, PyAny>>,
    shapes: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyItems> {
    let maker = "ragged";
    let Some(shapes) = shapes else {
        if offsets.is_some() {
            return Err(PyTypeError::new_err("offsets say where items of given shapes lie: give shapes too"));
        }
        if !items.is_instance_of::<PyList>() && !items.is_instance_of::<PyTuple>() {
            let kind = items.get_type().fully_qualified_name()?;
            return Err(PyTypeError::new_err(format!(
                "ragged takes a list of views, each an item, or packed elements with the shapes of items, got one {kind}"
            )));
        }
        let views = extract_views(items, "item")?;
        let copies: Vec<PyView> = views.iter().cloned().map(PyView::new).collect();
        let source = Arc::new(Ragged::of_views(views).or_raise()?);
        return Ok(PyItems { source, maker, arguments: (copies,).into_pyobject(py)?.unbind() });
    };
    let rows: Vec<Vec<usize>> = match shapes.extract() {
        Ok(rows) => rows,
        Err(_) => shapes.call_method0("tolist").and_then(|rows| rows.extract()).map_err(|_| {
            PyTypeError::new_err(format!("shapes must be tuples of sizes, one for each item, got {shapes:?}"))
        })?,
    };
    let flat = extract_lasting_view(items)?;
    let offsets = offsets.map(|offsets| extract_sizes(offsets, "offsets")).transpose()?;
    let arguments = (PyView::new(flat.clone()), offsets.clone(), rows.clone()).into_pyobject(py)?.unbind();
    let source = Ragged::packed(flat, offsets.as_deref(), &rows).or_raise()?;
    Ok(PyItems { source: Arc::new(source), maker, arguments })
}
