//! `nl.open`.

use std::path::PathBuf;

use ndlens::store::{self, MapMode};
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::view::PyView;

/// The array in a `.npy` file (format versions 1 to 3, C or Fortran order) as a view; mapped, not read.
///
/// `mode` says what a write does: "c" (the default) copies the touched page, so that memory is writable and the file
/// stays as it is; "r" refuses; "r+" writes to the file.
///
/// Raises `OSError` (such as `FileNotFoundError`) where the file cannot be opened, `FormatError` where it is damaged or
/// not a `.npy` file, `ValueError` for another mode.
#[pyfunction]
#[pyo3(signature = (path, mode = "c"))]
pub(crate) fn open(py: Python<'_>, path: &Bound<'_, PyAny>, mode: &str) -> PyResult<PyView> {
    let path: PathBuf = py.import("os")?.call_method1("fsdecode", (path,))?.extract()?;
    let mode: MapMode = mode.parse().or_raise()?;
    py.detach(|| store::open(&path, mode)).map(PyView::new).or_raise()
}
