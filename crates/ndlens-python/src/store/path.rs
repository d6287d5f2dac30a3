//! Paths, in and out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::lists;
use crate::optional;

/// The path that a string, bytes or an `os.PathLike` stands for.
pub(crate) fn fsdecode(path: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    let path: PathBuf = optional::get(path.py(), "os", "fsdecode")?.call1((path,))?.extract()?;
    refuse_address(&path)?;
    Ok(path)
}

/// Refuses an address such as `https://host/file`, unless a directory has the name of its scheme.
pub(crate) fn refuse_address(path: &Path) -> PyResult<()> {
    let text = path.as_os_str().as_bytes();
    let Some(len) = text.windows(3).position(|three| three == b"://") else { return Ok(()) };
    let scheme = &text[..len];
    // RFC 3986, section 3.1.
    let in_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let is_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic);
    if is_scheme
        && scheme.iter().all(in_scheme)
        && !Path::new(OsStr::from_bytes(&text[..=len])).exists()
    {
        return Err(PyValueError::new_err(format!(
            "{} is an address, expected a path: files must be on this machine, so download it \
             first",
            path.display()
        )));
    }
    Ok(())
}

/// The string that stands for a path.
pub(crate) fn text_of<'py>(py: Python<'py>, path: &Path) -> PyResult<Bound<'py, PyAny>> {
    if let Some(text) = path.to_str() {
        return lists::string(py, text);
    }
    let bytes = lists::plain_bytes(py, path.as_os_str().as_bytes())?;
    optional::get(py, "os", "fsdecode")?.call1((bytes,))
}
