//! `nl.open`, `nl.save` and `nl.guard_truncation`.

use std::path::PathBuf;

use std::sync::Arc;

use ndlens::loader::SavedItems;
use ndlens::room;
use ndlens::store::{self, Arrays, Contents, MapMode, Named, Opened, Options, RaggedParts, Raw};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyMapping, PyString, PyTuple};

use crate::error::{OrRaise, Raise, in_place};
use crate::exit;
use crate::interop::dtype::extract_dtype;
use crate::interop::import::extract_elements;
use crate::lists;
use crate::loader::items::PyItems;
use crate::loader::ragged::ragged;
use crate::optional;
use crate::store::shards::PyShards;
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
///     `dtype`: Dtype of raw bytes: whatever `View.reinterpret` takes.
///     `offset`: First byte of raw bytes. It need not be aligned.
///     `strides`: Strides of raw bytes, in bytes; None if they are packed in C order.
///
/// Raises:
///     `OSError`: A file cannot be opened, such as `FileNotFoundError`.
///     `FormatError`: A file is damaged, of a format that is not read, or unlike the others of a
///         pattern.
///     `ValueError`: `mode` is another word, or `shape` is no shape.
///     `MemoryError`: There is not enough memory for a copy or a map.
#[pyfunction]
#[pyo3(
    signature = (path, mode = None, *more, copy = false, shape = None, dtype = None, offset = 0, strides = None),
    text_signature = "(path, mode='c', *, copy=False, shape=None, dtype=None, offset=0, strides=None)"
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
            "nl.open takes path and mode by position, got {} arguments; copy, dtype, shape, offset and strides are given by \
             keyword",
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
    let opened = if path.is_instance_of::<PyList>() || path.is_instance_of::<PyTuple>() {
        let paths = lists::extract_each(path, fsdecode)?;
        let label = paths.first().cloned().unwrap_or_default();
        exit::detach(py, || options.open_several(&label, &paths))
    } else {
        let path = fsdecode(path)?;
        exit::detach(py, || options.open(&path))
    };
    match opened.or_raise()? {
        Opened::Array(view) => PyView::new(view).into_bound_py_any(py),
        Opened::Arrays(arrays) => match arrays.whole() {
            Some(name) => set_of(py, &arrays, name)?.into_bound_py_any(py),
            None => wrap(py, arrays),
        },
        Opened::Shards(shards) => PyShards::new(shards).into_bound_py_any(py),
    }
}

/// A mode; what stands in its place is often a dtype.
fn extract_mode(mode: &Bound<'_, PyAny>) -> PyResult<MapMode> {
    match mode.cast::<PyString>() {
        Ok(mode) => mode.to_cow()?.parse().or_raise(),
        Err(_) => Err(PyTypeError::new_err(format!(
            "mode must be \"r\", \"c\" or \"r+\", got {}; nl.open takes path and mode by position, and dtype, shape, copy, \
             offset and strides by keyword",
            mode.repr()?.to_cow()?
        ))),
    }
}

/// The items of a set in a file.
fn set_of(py: Python<'_>, arrays: &Arrays, name: &str) -> PyResult<Option<PyItems>> {
    let Some(RaggedParts { data, offsets, shapes }) =
        exit::detach(py, || arrays.ragged(name)).or_raise()?
    else {
        return Ok(None);
    };
    let [data, offsets, shapes] =
        [data, offsets, shapes].map(|view| Bound::new(py, PyView::new(view)));
    let set = ragged(data?.as_any(), Some(offsets?.as_any()), Some(shapes?.as_any()));
    let bad = |error: PyErr| {
        if !lists::is_refusal(py, &error) {
            return error;
        }
        let problem = format!("set {name:?}: {}", error.value(py));
        store::Error::BadNote { path: arrays.path().to_owned(), problem }.raise()
    };
    set.map(Some).map_err(bad)
}

fn fsdecode(path: &Bound<'_, PyAny>) -> PyResult<PathBuf> {
    optional::get(path.py(), "os", "fsdecode")?.call1((path,))?.extract()
}

/// A shape: one size, or several.
fn sizes(shape: &Bound<'_, PyAny>) -> PyResult<Vec<isize>> {
    shape.extract().map(|size| vec![size]).or_else(|_| lists::extract_axes(shape))
}

fn wrap(py: Python<'_>, arrays: Arrays) -> PyResult<Bound<'_, PyAny>> {
    let path = arrays.path().to_owned();
    optional::get(py, "ndlens._arrays", "Arrays")?
        .call1((PyArrayFile(arrays), path.into_os_string()))
}

/// What is behind `nl.Arrays`: a file of arrays that have names.
#[pyclass(frozen, name = "_ArrayFile", module = "ndlens._ndlens")]
pub(crate) struct PyArrayFile(Arrays);

#[pymethods]
impl PyArrayFile {
    fn __getitem__<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match set_of(py, &self.0, name)? {
            Some(items) => items.into_bound_py_any(py),
            None => exit::detach(py, || self.0.get(name))
                .map(PyView::new)
                .or_raise()?
                .into_bound_py_any(py),
        }
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let names = self.0.names().or_raise()?;
        let names = names.iter().map(|name| lists::string(py, name));
        Ok(lists::list_of(py, names)?.try_iter()?.into_any())
    }

    fn array_bytes(&self, py: Python<'_>, name: &str) -> PyResult<PyView> {
        exit::detach(py, || self.0.bytes(name)).map(PyView::new).or_raise()
    }

    fn info<'py>(&self, py: Python<'py>, name: &str) -> PyResult<(String, Bound<'py, PyTuple>)> {
        let (dtype, shape) = self.0.info(name).or_raise()?;
        Ok((dtype, PyTuple::new(py, shape)?))
    }

    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let metadata = PyDict::new(py);
        for (key, value) in self.0.metadata().or_raise()? {
            metadata.set_item(key, value)?;
        }
        Ok(metadata)
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
    let arrays = exit::detach(py, || Arrays::from_handle(handle)).or_raise()?;
    wrap(py, arrays)
}

/// Saves an array as `.npy`, or a dict of arrays as `.safetensors`, as the path ends.
///
/// Elements are written in pieces, without a second copy of the array. A `.npy` is in Fortran order
/// if the array is, otherwise in C order. Items of different sizes are saved as three tensors of a
/// `.safetensors` (elements, offsets and shapes) with a note that `nl.open` reads.
///
/// A reader sees the old file or the whole new one, also after a crash; on an error nothing is left
/// behind. Views of the old file stay as they are, so an array can be saved to the file it comes
/// from. The new file has the owner, group, permissions, ACL and extended attributes of the old
/// one, and only its user can read it until it is whole. What `open(path, "w")` refuses is refused:
/// a file without write permission is not replaced. Other hard links of the old file keep the old
/// contents.
///
/// Args:
///     `path`: Path that ends in `.npy` or `.safetensors`.
///     `obj`: Anything `nl.view` takes, an `nl.Shards`, an `nl.Items`, or a mapping from strings to
///         views and items.
///     `metadata`: Strings that a `.safetensors` holds beside its arrays, such as the
///         `{"format": "pt"}` that transformers asks for. By default those of the `nl.Arrays` that
///         is saved, and none of anything else.
///
/// Raises:
///     `OSError`: The file cannot be written, or its owner or attributes cannot be kept.
///     `TypeError`: The format has no name for a dtype, or does not hold such an object.
///     `ValueError`: The path ends otherwise.
///
/// >>> import os, tempfile
/// >>> import ndlens as nl
/// >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
/// >>> nl.save(path, {"bias": nl.view(bytes(range(3)))}, metadata={"format": "pt"})
/// >>> nl.open(path)["bias"].tolist(), nl.open(path).metadata
/// ([0, 1, 2], {'format': 'pt'})
#[pyfunction]
#[pyo3(signature = (path, obj, /, *more, metadata = None), text_signature = "(path, obj, /, *, metadata=None)")]
pub(crate) fn save(
    py: Python<'_>,
    path: &Bound<'_, PyAny>,
    obj: &Bound<'_, PyAny>,
    more: &Bound<'_, PyTuple>,
    metadata: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    let _inside = exit::enter(py);
    if !more.is_empty() {
        return Err(PyTypeError::new_err(format!(
            "nl.save takes path and obj by position, got {} arguments; metadata is given by keyword",
            more.len() + 2
        )));
    }
    let path = fsdecode(path)?;
    let contents = contents(obj)?;
    let metadata = match metadata {
        Some(metadata) => extract_metadata(metadata)?,
        None if is_arrays(obj)? => extract_metadata(&obj.getattr("metadata")?)?,
        None => vec![],
    };
    exit::detach(py, || store::save(&path, &contents, &metadata)).or_raise()
}

fn is_arrays(obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    obj.is_instance(&optional::get(obj.py(), "ndlens._arrays", "Arrays")?)
}

fn extract_metadata(metadata: &Bound<'_, PyAny>) -> PyResult<Vec<(String, String)>> {
    let refuse = |got: &Bound<'_, PyAny>| {
        PyTypeError::new_err(format!("metadata must be a dict of strings, got {got:?}"))
    };
    let mapping = metadata.cast::<PyMapping>().map_err(|_| refuse(metadata))?;
    let pair = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let text = |obj: &Bound<'_, PyAny>| obj.extract::<String>().map_err(|_| refuse(obj));
        PyResult::Ok((text(&key)?, text(&value)?))
    };
    lists::collect(lists::pairs(mapping)?.into_iter().map(pair))
}

fn contents(obj: &Bound<'_, PyAny>) -> PyResult<Contents> {
    if let Ok(shards) = obj.cast::<PyShards>() {
        let views = room::list_of(shards.get().views().iter().cloned()).or_raise()?;
        return Ok(Contents::Array(views));
    }
    if let Ok(items) = obj.cast::<PyItems>() {
        return Ok(Contents::Items(named_items(items)));
    }
    let Ok(mapping) = obj.cast::<PyMapping>() else {
        return Ok(Contents::Array(vec![extract_elements(obj)?]));
    };
    let named = |(name, array): &(Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let name: String = name.extract().map_err(|_| {
            PyTypeError::new_err(format!("names of arrays must be strings, got {name:?}"))
        })?;
        if let Ok(items) = array.cast::<PyItems>() {
            return Ok((name, named_items(items)));
        }
        let view = extract_elements(array)
            .map_err(|error| in_place(array.py(), &format!("array {name:?}"), error))?;
        PyResult::Ok((name, view.into()))
    };
    lists::collect(lists::pairs(mapping)?.iter().map(named)).map(Contents::Arrays)
}

fn named_items(items: &Bound<'_, PyItems>) -> Named {
    Named::Items(Arc::new(SavedItems::new(items.get().source())))
}

/// Makes reads of a mapped file that has become shorter give zeros instead of SIGBUS.
///
/// From now on, in any thread of this process or of one forked from it later, for any reader:
/// ndlens, NumPy or torch. Without it the system ends the process.
///
/// Zeros pass for data, so this is not the default, and code that reads memory itself must ask
/// afterwards: `view.verify()` raises `TruncatedError` if anything was lost. ndlens asks for what
///     it
/// reads (`copy`, `tolist`, `v[3]`, ...). An `nl.Loader` and an `nl.torch.Dataset` need no call:
/// their own reads of views of `nl.open` are guarded in any case.
///
/// Writes are not guarded: one through "r+" that does not reach the file, since the disk is full,
/// is the signal it was, and never lost in silence. `view[...] = ..` and `view.fill` ask for room
/// first, and raise `OSError`.
///
/// A view that met lost pages is damaged: all that ndlens does with it raises, also if the file has
/// grown back. Open it again.
///
/// It handles SIGBUS, and passes on what is not about a mapped file of ndlens. Call it again after
/// something else took the signal, such as `faulthandler.enable()`; otherwise a second call does
/// nothing.
///
/// >>> import ndlens as nl
/// >>> nl.guard_truncation()
#[pyfunction]
pub(crate) fn guard_truncation() {
    store::guard_all_threads();
}
