//! Drawn parameters as Python objects, and transforms done again with them.

use std::sync::Arc;

use ndlens::View;
use ndlens::loader::{Field, replay as replay_field};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::OrRaise;
use crate::exit;
use crate::interop::import::extract_view;
use crate::lists;
use crate::loader::channels::{Said, extract_channels};
use crate::loader::images::items_of;
use crate::loader::transforms::extract_list;
use crate::optional;
use crate::structure::Structure;
use crate::trace;
use crate::view::object::PyView;

/// A list with a dict for each item, from its text.
pub(crate) fn from_text<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    // As bytes, which are its text in UTF-8.
    optional::get(py, "json", "loads")?.call1((lists::plain_bytes(py, text.as_bytes())?,))
}

/// Does `transforms` to the rows of `items`, with these parameters instead of drawn ones.
#[pyfunction]
#[pyo3(name = "_replay", signature = (transforms, items, params, channels = None, /))]
pub(crate) fn replay(
    transforms: &Bound<'_, PyAny>,
    items: &Bound<'_, PyAny>,
    params: &Bound<'_, PyAny>,
    channels: Option<&Bound<'_, PyAny>>,
) -> PyResult<PyView> {
    let _inside = exit::enter(items.py());
    let py = items.py();
    let items = match items_of(items) {
        Some(items) => items,
        None => Arc::new(extract_view(items)?),
    };
    let (transforms, convention) = extract_list(transforms)?;
    let field = Field::new("items", items).with_transforms(transforms);
    let channels = extract_channels(channels, &Structure::Single, &["items"])?;
    let field =
        channels.first().copied().unwrap_or(Said::Nothing).arrange(field, convention).or_raise()?;
    let text = optional::get(py, "json", "dumps")?.call1((params,))?.cast_into::<PyString>()?;
    let text = text.to_cow()?;
    let make = || exit::detach(py, || replay_field(&field, &text)).or_raise();
    trace::copying_some(py, "transforms.replay", make, View::nbytes).map(PyView::new)
}
