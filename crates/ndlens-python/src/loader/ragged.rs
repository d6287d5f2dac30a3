//! `nl.ragged`: items of different sizes.

use ndlens::View;
use ndlens::loader::{Ragged, Shapes};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::error::{OrRaise, in_place};
use crate::exit;
use crate::interop::import::extract_view;
use crate::interop::tensor_memory::extract_lasting_view;
use crate::lists::Asked;
use crate::loader::items::{PyItems, packed_items};
use crate::loader::selection::extract_sizes;
use crate::trace;

/// The views of a list, or one.
pub(crate) fn extract_views(views: &Bound<'_, PyAny>, what: &str) -> PyResult<Vec<View>> {
    if !views.is_instance_of::<PyList>() && !views.is_instance_of::<PyTuple>() {
        return Ok(vec![extract_lasting_view(views)?]);
    }
    let view = |(at, view): (usize, PyResult<Bound<'_, PyAny>>)| {
        let view = view?;
        extract_lasting_view(&view)
            .map_err(|error| in_place(view.py(), &format!("{what} {at}"), error))
    };
    crate::lists::collect(views.try_iter()?.enumerate().map(view))
}

/// Shapes in the rows of a table of integers, or of a list of tuples.
fn extract_shapes(shapes: &Bound<'_, PyAny>) -> PyResult<Shapes> {
    let py = shapes.py();
    let refuse = || {
        PyTypeError::new_err(format!(
            "shapes must be tuples of sizes, one for each item, got {shapes:?}"
        ))
    };
    let is_list = shapes.is_instance_of::<PyList>() || shapes.is_instance_of::<PyTuple>();
    if !is_list && let Some(view) = extract_view(shapes).if_taken(py)? {
        let read = || match exit::detach(py, || Shapes::from_view(&view)) {
            Err(ndlens::loader::Error::ShapesTable { .. }) => Err(refuse()),
            shapes => shapes.or_raise(),
        };
        return trace::copying(py, "array of shapes", view.nbytes(), read);
    }
    let mut found = Shapes::default();
    let rows = shapes.try_iter().if_taken(py)?.ok_or_else(refuse)?;
    for (place, row) in rows.enumerate() {
        let shape: Vec<usize> = row?.extract().if_taken(py)?.ok_or_else(refuse)?;
        if place == 0 {
            found.reserve(shapes.len().unwrap_or(0), shape.len()).or_raise()?;
        }
        found.push(&shape).or_raise()?;
    }
    Ok(found)
}

/// Items of different sizes but one dtype, rank and number of channels.
///
/// Such as images of shape (height, width, channels). `nl.Loader` takes them if a transform makes
/// one size of them, and `nl.windows` takes them as series.
///
/// Args:
///     `items`: A list of views, each an item; or, with `shapes`, a packed view of one axis that
///         holds them.
///     `offsets`: The first element of each item, of shape (N,); N + 1 also say where each must
///         end. None if each item follows the one before.
///     `shapes`: The shape of each item, of shape (N, rank).
///
/// Raises:
///     `ValueError`: Items differ in more than their first two axes, or reach beyond their memory;
///         the error names the first.
///
/// >>> import ndlens as nl
/// >>> images = nl.ragged(bytes(range(10)), shapes=[(2, 3), (2, 2)])
/// >>> images[1].tolist(), images.shape, images.offsets.tolist()
/// ([[6, 7], [8, 9]], (2, 2, None), [0, 6])
#[pyfunction]
#[pyo3(signature = (items, offsets = None, shapes = None))]
pub(crate) fn ragged(
    items: &Bound<'_, PyAny>,
    offsets: Option<&Bound<'_, PyAny>>,
    shapes: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyItems> {
    let Some(shapes) = shapes else {
        if offsets.is_some() {
            return Err(PyTypeError::new_err(
                "offsets are the places of items of given shapes: give shapes too",
            ));
        }
        if !items.is_instance_of::<PyList>() && !items.is_instance_of::<PyTuple>() {
            let kind = items.get_type().fully_qualified_name()?;
            return Err(PyTypeError::new_err(format!(
                "ragged takes a list of views, each an item, or packed elements with the shapes \
                 of items, got one {kind}"
            )));
        }
        return packed_items(Ragged::of_views(extract_views(items, "item")?).or_raise()?);
    };
    let shapes = extract_shapes(shapes)?;
    let flat = extract_lasting_view(items)?;
    let offsets = offsets.map(|offsets| extract_sizes(offsets, "offsets")).transpose()?;
    packed_items(
        exit::detach(items.py(), || Ragged::packed(flat, offsets.as_deref(), shapes)).or_raise()?,
    )
}
