//! What stands between the brackets of `v[...]`, extracted.

#![expect(unsafe_code, reason = "reads slice objects through CPython's C API; see UNSAFE.md")]

use ndlens::Index;
use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyEllipsis, PyInt, PySequence, PySlice, PyString, PyTuple};
use smallvec::SmallVec;

/// A key's parts: room for six before the heap is asked.
pub(crate) type Key = SmallVec<[Index; 6]>;

/// The parts of `key`, and what `use_key` makes of them.
///
/// The key is lent, not returned: it is the largest thing an index operation touches, and moving it would show.
pub(crate) fn with_key<R>(key: &Bound<'_, PyAny>, use_key: impl FnOnce(&Key) -> PyResult<R>) -> PyResult<R> {
    let mut indices = Key::new();
    if let Ok(tuple) = key.cast::<PyTuple>() {
        for item in tuple.iter_borrowed() {
            indices.push(extract_index(&item)?);
        }
    } else {
        indices.push(extract_index(key)?);
    }
    use_key(&indices)
}

/// Whether a key leaves no room for an axis: `v[1, 2]` names an element, `v[1, 2, ...]` a view on it.
pub(crate) fn names_an_element(key: &Key) -> bool {
    key.iter().all(|index| matches!(index, Index::At(_)))
}

fn extract_index(item: &Bound<'_, PyAny>) -> PyResult<Index> {
    if let Ok(slice) = item.cast::<PySlice>() {
        return extract_slice(slice);
    }
    if item.is_exact_instance_of::<PyInt>() {
        return extract_integer(item);
    }
    if item.is_none() {
        return Ok(Index::NewAxis);
    }
    if item.is_instance_of::<PyEllipsis>() {
        return Ok(Index::Ellipsis);
    }
    if selects_by_copying(item)? {
        return Err(PyIndexError::new_err(format!(
            "indexing with a {} selects by copying, and views never copy: index with integers, slices, ... and None",
            item.get_type().name()?
        )));
    }
    if item.hasattr("__index__")? {
        return extract_integer(item);
    }
    Err(PyIndexError::new_err(format!(
        "view indices must be integers, slices, ... or None, not {}",
        item.get_type().name()?
    )))
}

/// What NumPy calls advanced indexing: sequences, arrays with axes, and booleans, which are masks also where Python calls
/// them integers.
fn selects_by_copying(item: &Bound<'_, PyAny>) -> PyResult<bool> {
    if item.is_instance_of::<PyBool>() {
        return Ok(true);
    }
    if let Some(dtype) = item.getattr_opt("dtype")?
        && ["bool", "torch.bool"].contains(&&*dtype.str()?.to_cow()?)
    {
        return Ok(true);
    }
    if let Some(shape) = item.getattr_opt("shape")? {
        return Ok(shape.len().is_ok_and(|ndim| ndim > 0));
    }
    let text = item.is_instance_of::<PyString>() || item.is_instance_of::<PyBytes>();
    Ok(!text && item.cast::<PySequence>().is_ok())
}

fn extract_integer(item: &Bound<'_, PyAny>) -> PyResult<Index> {
    item.extract::<isize>().map(Index::At).map_err(|error| {
        let py = item.py();
        match item.get_type().fully_qualified_name() {
            // An integer that fits no address is out of bounds for every axis.
            Ok(name) if error.is_instance_of::<PyOverflowError>(py) => {
                PyIndexError::new_err(format!("cannot fit '{name}' into an index-sized integer"))
            }
            _ => error,
        }
    })
}

fn extract_slice(slice: &Bound<'_, PySlice>) -> PyResult<Index> {
    let (mut start, mut stop, mut step) = (0, 0, 0);
    // SAFETY: `slice` is a slice object and the three pointers are to live integers.
    let status = unsafe { ffi::PySlice_Unpack(slice.as_ptr(), &raw mut start, &raw mut stop, &raw mut step) };
    if status < 0 {
        return Err(PyErr::fetch(slice.py()));
    }
    // Missing bounds come as the farthest ones, which select the same elements.
    Ok(Index::Slice { start: Some(start), stop: Some(stop), step })
}
