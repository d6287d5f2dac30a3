//! Paths, extracted.

use std::path::PathBuf;

use pyo3::prelude::*;

use crate::optional;

/// The path that a string, bytes or an `os.PathLike` stands for.
pub(crate) fn fsdecode(path: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    optional::get(path.py(), "os", "fsdecode")?.call1((path,))?.extract()
}
