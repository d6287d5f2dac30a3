//! Paths, in and out.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;

use crate::lists;
use crate::optional;

/// The path that a string, bytes or an `os.PathLike` stands for.
pub(crate) fn fsdecode(path: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    optional::get(path.py(), "os", "fsdecode")?.call1((path,))?.extract()
}

/// The string that stands for a path.
pub(crate) fn text_of<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyAny>> {
    if let Some(text) = path.to_str() {
        return lists::string(py, text);
    }
    let bytes = lists::plain_bytes(py, path.as_os_str().as_bytes())?;
    optional::get(py, "os", "fsdecode")?.call1((bytes,))
}
