//! `nl.open` and `nl.guard_truncation`.

use std::slice;

use ndlens::View;
use ndlens::store::{self, MapMode, MappedFile, Opened, Options, Raw};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::error::OrRaise;
use crate::exit;
use crate::interop::dtype::extract_dtype;
use crate::lists;
use crate::store::arrays::{COPIED, set_of, wrap};
use crate::store::path::fsdecode;
use crate::store::samples::wrap as wrap_samples;
use crate::store::shards::PyShards;
use crate::trace;
use crate::view::object::PyView;

/// Opens arrays in files, mapped, not read.
///
/// - `.npy` (format versions 1 to 3, C or Fortran order) is a `View`.
/// - `.safetensors` and `.npz` are `nl.Arrays`, a read-only `Mapping` from names to views of one
///   map of the file. An `.npz` member that is compressed cannot be mapped.
/// - With a `dtype`, any file, an `.npy` too, is a `View` of raw bytes.
/// - A pattern such as "shards/*.npy", or a list of paths, is one array in several files,
///   `nl.Shards`; of `.safetensors` files, it is `nl.Arrays` by the names of all. Files that a
///   pattern matches are in natural order: 2 before 10. A path that leads to a file is not a
///   pattern.
/// - Tar archives in the layout of WebDataset are `nl.Samples`, a read-only `Mapping` from
///   extensions to `nl.Items` of bytes. What is in an archive is kept in a hidden file beside it.
/// - "model.safetensors.index.json" is `nl.Arrays` of the files that the index names.
/// - Items of different sizes that `nl.save` saved are `nl.Items` again: all of a file, or one of
///   its names.
///
/// A map holds no descriptor; an `nl.Arrays` that is read holds one.
///
/// Args:
///     `path`: A path, a pattern, or a list of paths.
///     `mode`: What a write does. "c" copies the touched page, so that memory is writable and the
///         file stays as it is; "r" refuses; "r+" writes to the file, which an `.npz` archive with
///         its checksums does not allow.
///     `copy`: Whether each array is read into memory of its own instead of mapped, when it is
///         first asked for, and decompressed if need be.
///     `shape`: Shape of raw bytes; one size may be -1. By default (-1,).
///     `dtype`: Dtype of raw bytes: any that `View.reinterpret` takes.
///     `offset`: First byte of raw bytes. It need not be aligned.
///     `strides`: Strides of raw bytes, in bytes; None if they are packed in C order.
///
/// Raises:
///     `OSError`: A file cannot be opened, such as `FileNotFoundError`.
///     `FormatError`: A file is damaged, of a format that is not read, or unlike the others of a
///         pattern.
///     `ValueError`: `mode` is another word, or `shape` is not a shape.
///     `MemoryError`: There is not enough memory for a copy or a map.
#[pyfunction]
#[pyo3(
    signature = (
        path, mode = None, *more, copy = false, shape = None, dtype = None, offset = 0,
        strides = None
    ),
    text_signature = "(path, mode='c', *, copy=False, shape=None, dtype=None, offset=0, \
                      strides=None)"
)]
#[expect(clippy::too_many_arguments, reason = "Python's keywords")]
pub(crate) fn open<'py>(
    py: Python<'py>,
    path: &Bound<'py, PyAny>,
    mode: Option<&Bound<'py, PyAny>>,
    more: &Bound<'py, PyTuple>,
    copy: bool,
    shape: Option<&Bound<'py, PyAny>>,
    dtype: Option<&Bound<'py, PyAny>>,
    offset: usize,
    strides: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let _inside = exit::enter(py);
    if !more.is_empty() {
        return Err(PyTypeError::new_err(format!(
            "nl.open takes path and mode by position, got {} arguments; copy, dtype, shape, \
             offset and strides are given by keyword",
            more.len() + 2
        )));
    }
    let mode = mode.map_or(Ok(MapMode::default()), extract_mode)?;
    let raw = match dtype {
        Some(dtype) => {
            let shape = shape.map_or_else(|| Ok(vec![-1]), sizes)?;
            let strides = strides.map(lists::extract_axes).transpose()?;
            Some(Raw { shape, dtype: extract_dtype(dtype)?, offset, strides })
        }
        None if shape.is_some() || strides.is_some() || offset != 0 => {
            return Err(PyTypeError::new_err(
                "shape, offset and strides are of raw bytes: give their dtype too",
            ));
        }
        None => None,
    };
    let options = Options { mode, copy, raw };
    let opened = || {
        if path.is_instance_of::<PyList>() || path.is_instance_of::<PyTuple>() {
            let paths = lists::extract_each(path, fsdecode)?;
            let label = paths.first().cloned().unwrap_or_default();
            exit::detach(py, || options.open_several(&label, &paths)).or_raise()
        } else {
            let path = fsdecode(path)?;
            exit::detach(py, || options.open(&path)).or_raise()
        }
    };
    let operation = if copy { COPIED } else { "nl.open" };
    if copy {
        trace::before_any(py, operation)?;
    }
    match trace::copying_some(py, operation, opened, |opened| bytes_read(opened, copy))? {
        Opened::Array(view) => PyView::new(view).into_bound_py_any(py),
        Opened::Arrays(arrays) => match arrays.whole() {
            Some(name) => set_of(py, &arrays, name)?.into_bound_py_any(py),
            None => wrap(py, arrays),
        },
        Opened::Shards(shards) => PyShards::new(shards).into_bound_py_any(py),
        Opened::Samples(samples) => wrap_samples(py, samples),
    }
}

/// Bytes that were read and not mapped: of `copies`, or of files beyond the number of maps that the
/// process may have. Arrays by name are copied when they are asked for.
fn bytes_read(opened: &Opened, copies: bool) -> usize {
    let of_views = |views: &[View]| {
        let is_read = |view: &&View| {
            copies || view.buffer().owner::<MappedFile>().is_some_and(MappedFile::is_read)
        };
        views.iter().filter(is_read).map(View::nbytes).sum()
    };
    match opened {
        Opened::Array(view) => of_views(slice::from_ref(view)),
        Opened::Shards(shards) => of_views(shards.views()),
        Opened::Arrays(arrays) => arrays.read_bytes(),
        Opened::Samples(samples) => samples.read_bytes(),
    }
}

/// A mode. A frequent mistake is a dtype in its place.
fn extract_mode(mode: &Bound<'_, PyAny>) -> PyResult<MapMode> {
    match mode.cast::<PyString>() {
        Ok(mode) => mode.to_cow()?.parse().or_raise(),
        Err(_) => Err(PyTypeError::new_err(format!(
            "mode must be \"r\", \"c\" or \"r+\", got {}; nl.open takes path and mode by \
             position, and dtype, shape, copy, offset and strides by keyword",
            mode.repr()?.to_cow()?
        ))),
    }
}

/// A shape: one size, or several.
fn sizes(shape: &Bound<'_, PyAny>) -> PyResult<Vec<isize>> {
    shape.extract().map(|size| vec![size]).or_else(|_| lists::extract_axes(shape))
}

/// Makes reads of a mapped file that has become shorter give zeros instead of SIGBUS.
///
/// It holds from now on, in any thread of this process or of a process forked from it later, for
/// any reader: ndlens, NumPy or torch. Without it the system ends the process.
///
/// Zeros pass for data, so this is not the default, and code that reads memory itself must ask
/// afterwards: `view.verify()` raises `TruncatedError` if anything was lost. ndlens asks for what
/// it reads (`copy`, `tolist`, `v[3]`, ...). An `nl.Loader` and an `nl.torch.Dataset` need no call:
/// their own reads of views of `nl.open` are guarded in any case.
///
/// Writes are not guarded: a write through "r+" that does not reach the file, since the disk is
/// full, is a signal as before, and is never lost without an error. `view[...] = ..` and
/// `view.fill` ask for room first, and raise `OSError`.
///
/// A view that met lost pages is damaged: all that ndlens does with it raises, also if the file has
/// grown back. Open it again.
///
/// On macOS there is no such guard: `OSError`.
///
/// It handles SIGBUS, and passes on signals that are not about a mapped file of ndlens. Call it
/// again after another handler was installed, as by `faulthandler.enable()`; otherwise a second
/// call does nothing.
///
/// >>> import ndlens as nl
/// >>> nl.guard_truncation()
#[pyfunction]
pub(crate) fn guard_truncation() -> PyResult<()> {
    store::guard_all_threads().or_raise()
}
