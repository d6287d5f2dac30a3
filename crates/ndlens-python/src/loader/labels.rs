//! `nl.labels`: numbers that are written in items of text.

use ndlens::View;
use ndlens::loader::numbers_in_text;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;
use crate::loader::items::PyItems;
use crate::trace;
use crate::view::object::PyView;

/// The integers that are written in items of text, such as "7", as an array.
///
/// Labels in archives are text: `nl.labels(samples["cls"])`.
///
/// Args:
///     `items`: Items of bytes: a field of `nl.Samples`, ragged items, or some of them.
///
/// Returns:
///     `View`: int64, of shape (items,).
///
/// Raises:
///     `TypeError`: Items are not uint8 of rank 1.
///     `ValueError`: An item is not an integer in ASCII digits, with or without spaces around it;
///         the error names the first.
///
/// >>> import ndlens as nl
/// >>> nl.labels(nl.ragged([b"7", b" 12 "])).tolist()
/// [7, 12]
#[pyfunction]
#[pyo3(signature = (items, /))]
pub(crate) fn labels(items: &Bound<'_, PyAny>) -> PyResult<PyView> {
    let py = items.py();
    let Ok(items) = items.cast::<PyItems>() else {
        let kind = items.get_type().fully_qualified_name()?;
        return Err(PyTypeError::new_err(format!(
            "labels takes items of bytes, such as a field of nl.open(\"x.tar\"), got {kind}"
        )));
    };
    let source = items.get().source();
    let read = || exit::detach(py, || numbers_in_text(&*source)).or_raise();
    trace::copying_some(py, "nl.labels", read, View::nbytes).map(PyView::new)
}
