//! What stands between the brackets of `v[...]`, extracted.

#![expect(unsafe_code, reason = "reads slice objects through CPython's C API; see UNSAFE.md")]

use ndlens::Index;
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyEllipsis, PyInt, PySlice, PyTuple};
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
    // A bool is an int to Python but a mask to NumPy.
    if !item.is_instance_of::<PyBool>() && item.get_type().hasattr("__index__")? {
        return extract_integer(item);
    }
    let kind = item.get_type().name()?;
    let selects = item.is_instance_of::<PyBool>()
        || item.hasattr("__array__")?
        || item.hasattr("__getitem__")? && item.hasattr("__len__")? && !item.hasattr("encode")?;
    Err(if selects {
        PyIndexError::new_err(format!(
            "indexing with a {kind} selects by copying, and views never copy: index with integers, slices, ... and None"
        ))
    } else {
        PyIndexError::new_err(format!("view indices must be integers, slices, ... or None, not {kind}"))
    })
}

fn extract_integer(item: &Bound<'_, PyAny>) -> PyResult<Index> {
    let py = item.py();
    item.extract::<isize>().map(Index::At).map_err(|error| {
        if error.is_instance_of::<PyTypeError>(py) {
            return error;
        }
        // An integer that fits no address is out of bounds for every axis.
        PyIndexError::new_err(format!("cannot fit '{}' into an index-sized integer", item.get_type()))
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
