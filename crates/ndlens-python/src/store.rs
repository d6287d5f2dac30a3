//! `nl.open`, `nl.save` and `nl.guard_truncation`.

use std::path::PathBuf;

use ndlens::room;
use ndlens::store::{self, Arrays, Contents, MapMode, Opened, Options, Raw, Shards};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMapping, PyString, PyTuple};

use crate::error::{OrRaise, in_place};
use crate::import::{extract_view, pairs};
use crate::lists;
use crate::shape::extract_dtype;
use crate::shards::PyShards;
use crate::view::PyView;

/// Opens arrays in files, mapped, not read: one as a view, several by name as a mapping of views.
///
/// - `.npy` (format versions 1 to 3, C or Fortran order) is a `View`.
/// - `.safetensors` and `.npz` are `nl.Arrays`, a read-only `Mapping` from names to views of one map of the file. An `.npz` member
///   that is compressed cannot be mapped.
/// - With a `dtype`, any file, an `.npy` too, is raw bytes of it (whatever `View.reinterpret` takes) from byte `offset` on, of `shape`,
///   in which one size may be -1, and which is (-1,) by default; with `strides`, in bytes, they lie as those say. Nothing need be aligned.
/// - A pattern such as "shards/*.npy", or a list of paths, is one array in several files, `nl.Shards`. Files that a pattern matches
///   are in natural order: 2 before 10. A path that leads to a file is no pattern.
///
/// `mode` says what a write does: "c" (the default) copies the touched page, so that memory is writable and the file
/// stays as it is; "r" refuses; "r+" writes to the file, which an `.npz` archive with its checksums does not allow.
/// `copy=True` reads each array into memory of its own instead, when it is first asked for, and decompresses it if need be.
///
/// Raises `OSError` (such as `FileNotFoundError`) where a file cannot be opened, `FormatError` where it is damaged, of no format
/// that is read, or not as the others of a pattern; `ValueError` for another mode or a shape that is none; `MemoryError` for a copy that
/// there is no memory for.
#[pyfunction]
#[pyo3(
    signature = (path, mode = "c", *, copy = false, shape = None, dtype = None, offset = 0, strides = None),
    text_signature = "(path, mode='c', *, copy=False, shape=None, dtype=None, offset=0, strides=None)"
)]
#[expect(clippy::too_many_arguments, reason = "Python's keywords")]
pub(crate) fn open<'py>(
    py: Python<'py>,
    path: &Bound<'py, PyAny>,
    mode: &str,
    copy: bool,
    shape: Option<&Bound<'py, PyAny>>,
    dtype: Option<&Bound<'py, PyAny>>,
    offset: usize,
    strides: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let mode: MapMode = mode.parse().or_raise()?;
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
    let opened = if path.is_instance_of::<PyList>() || path.is_instance_of::<PyTuple>() {
        let paths = lists::extract_each(path, fsdecode)?;
        py.detach(|| Shards::open(&paths, &options)).map(Opened::Shards)
    } else {
        let path = fsdecode(path)?;
        py.detach(|| options.open(&path))
    };
    match opened.or_raise()? {
        Opened::Array(view) => PyView::new(view).into_bound_py_any(py),
        Opened::Arrays(arrays) => wrap(py, arrays),
        Opened::Shards(shards) => PyShards::new(shards).into_bound_py_any(py),
    }
}

fn fsdecode(path: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    path.py().import("os")?.call_method1("fsdecode", (path,))?.extract()
}

/// A shape: one size, or several.
fn sizes(shape: &Bound<'_, PyAny>) -> PyResult<Vec<isize>> {
    shape.extract().map(|size| vec![size]).or_else(|_| lists::extract_axes(shape))
}

fn wrap(py: Python<'_>, arrays: Arrays) -> PyResult<Bound<'_, PyAny>> {
    let path = arrays.path().to_owned();
    py.import("ndlens._arrays")?.getattr("Arrays")?.call1((PyArrayFile(arrays), path.into_os_string()))
}

/// What is behind `nl.Arrays`: a file of arrays that have names.
#[pyclass(frozen, name = "_ArrayFile", module = "ndlens._ndlens")]
pub(crate) struct PyArrayFile(Arrays);

#[pymethods]
impl PyArrayFile {
    fn __getitem__(&self, py: Python<'_>, name: &str) -> PyResult<PyView> {
        py.detach(|| self.0.get(name)).map(PyView::new).or_raise()
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn __len__(&self) -> usize {
        self.0.names().len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let names = self.0.names();
        let names = names.iter().map(|name| Ok(PyString::new(py, name).into_any()));
        Ok(lists::list_of(py, names)?.try_iter()?.into_any())
    }

    /// A handle to the file for other processes; None where its arrays are read.
    fn handle<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let mapped = (!self.0.is_loaded()).then(|| self.0.to_handle());
        Ok(mapped.transpose().or_raise()?.map(|handle| PyBytes::new(py, &handle)))
    }
}

/// The `nl.Arrays` that a handle is to.
#[pyfunction]
#[pyo3(name = "_arrays_of_handle", signature = (handle, /))]
pub(crate) fn arrays_of_handle<'py>(py: Python<'py>, handle: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let arrays = py.detach(|| Arrays::from_handle(handle)).or_raise()?;
    wrap(py, arrays)
}

/// Saves an array as `.npy` or a dict of arrays as `.safetensors`, as the path ends.
///
/// `obj` is anything `nl.view` takes, an `nl.Shards`, or a mapping from strings to such. A `.npy` is in Fortran order where the array
/// lies so, otherwise in C order. Elements are written in pieces, without a second copy of the array.
///
/// Whoever looks sees the old file or the whole new one, also after a crash; on an error nothing is left behind. Views of the old file
/// stay as they are, so an array can be saved to the file it comes from.
///
/// Raises `OSError` where the file cannot be written, `TypeError` for a dtype that the format has no name for, and for what is not
/// what the format holds; `ValueError` for a path that ends otherwise.
///
/// >>> import os, tempfile
/// >>> import ndlens as nl
/// >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
/// >>> nl.save(path, {"bias": nl.view(bytes(range(3)))})
/// >>> nl.open(path)["bias"].tolist()
/// [0, 1, 2]
#[pyfunction]
#[pyo3(signature = (path, obj, /))]
pub(crate) fn save(py: Python<'_>, path: &Bound<'_, PyAny>, obj: &Bound<'_, PyAny>) -> PyResult<()> {
    let path = fsdecode(path)?;
    let contents = contents(obj)?;
    py.detach(|| store::save(&path, &contents)).or_raise()
}

fn contents(obj: &Bound<'_, PyAny>) -> PyResult<Contents> {
    if let Ok(shards) = obj.cast::<PyShards>() {
        let views = room::list_of(shards.get().views().iter().cloned()).or_raise()?;
        return Ok(Contents::Array(views));
    }
    let Ok(mapping) = obj.cast::<PyMapping>() else { return Ok(Contents::Array(vec![extract_view(obj)?])) };
    let named = |(name, array): &(Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let name: String = name
            .extract()
            .map_err(|_| PyTypeError::new_err(format!("names of arrays must be strings, got {name:?}")))?;
        let view =
            extract_view(array).map_err(|error| in_place(array.py(), &format!("array {name:?}"), error))?;
        PyResult::Ok((name, view))
    };
    lists::collect(pairs(mapping)?.iter().map(named)).map(Contents::Arrays)
}

/// From now on, reading a mapped file that somebody has shortened gives zeros where its pages are lost, instead of ending the
/// process with SIGBUS: whoever reads, ndlens, NumPy or torch, in any thread of this process or of one forked from it later.
///
/// Zeros pass for data, so this is not the default, and whoever reads memory itself must ask afterwards: `view.verify()` raises
/// `TruncatedError` where anything was lost. What ndlens reads (`copy`, `tolist`, `v[3]`, ...) it asks by itself. An `nl.Loader` and
/// an `nl.torch.Dataset` need no call: their own reads of views of `nl.open` are guarded in any case.
///
/// A view that met lost pages is damaged: all that ndlens does with it raises, also where the file has grown back. Open it again.
///
/// It handles SIGBUS, and passes on what is not about a mapped file of ndlens. Call it again after something else took the signal, such
/// as `faulthandler.enable()`; otherwise a second call does nothing.
///
/// >>> import ndlens as nl
/// >>> nl.guard_truncation()
#[pyfunction]
pub(crate) fn guard_truncation() {
    store::guard_all_threads();
}
