//! Encoded bytes, extracted.

use std::path::PathBuf;

use ndlens::{View, store};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::error::{OrRaise, in_place};
use crate::exit;
use crate::interop::import::extract_elements;
use crate::store::path::fsdecode;
use crate::trace;

/// An encoded image.
pub(crate) enum ImageSource {
    /// A file.
    Path(PathBuf),
    /// Memory, of elements of one byte.
    Memory(View),
}

impl ImageSource {
    /// A path, or an object whose memory is the encoded bytes.
    pub(crate) fn extract(source: &Bound<'_, PyAny>) -> PyResult<Self> {
        if source.is_instance_of::<PyString>() || source.hasattr("__fspath__")? {
            return fsdecode(source).map(ImageSource::Path);
        }
        let view = extract_elements(source)?;
        if view.itemsize() != 1 {
            return Err(PyTypeError::new_err(format!(
                "source must be a path or encoded bytes, got elements of {}",
                view.dtype()
            )));
        }
        Ok(ImageSource::Memory(view))
    }

    /// Reads the bytes into memory of their own, since that of others may change meanwhile, and
    /// does work on them without the interpreter. An error names the file.
    pub(crate) fn with<R: Send>(
        &self,
        py: Python<'_>,
        operation: &str,
        work: impl FnOnce(&[u8]) -> ndlens::codecs::Result<R> + Send,
    ) -> PyResult<R> {
        match self {
            ImageSource::Path(path) => {
                let mut bytes = vec![];
                exit::detach(py, || store::read_file(path, &mut bytes)).or_raise()?;
                exit::detach(py, || work(&bytes))
                    .or_raise()
                    .map_err(|error| in_place(py, &path.display().to_string(), error))
            }
            ImageSource::Memory(view) => {
                let bytes = trace::copying(py, operation, view.nbytes(), || {
                    exit::detach(py, || view.packed_bytes()).or_raise()
                })?;
                exit::detach(py, || work(&bytes)).or_raise()
            }
        }
    }
}
