//! Keys in the brackets of `v[...]`, extracted.

#![expect(unsafe_code, reason = "reads slices and integers through CPython's C API; see UNSAFE.md")]

use ndlens::Index;
use pyo3::Borrowed;
use pyo3::exceptions::{PyIndexError, PyOverflowError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyEllipsis, PyInt, PySequence, PySlice, PyString, PyTuple};
use smallvec::SmallVec;

use crate::error::OrRaise;

/// A key's parts: room for six before the heap is asked.
pub(crate) type Key = SmallVec<[Index; 6]>;

/// The parts of `key`, and what `use_key` makes of them.
///
/// The key is lent, not returned: it is the largest value of an index operation, and a move of it
/// takes measurable time.
pub(crate) fn with_key<R>(
    key: &Bound<'_, PyAny>,
    use_key: impl FnOnce(&Key) -> PyResult<R>,
) -> PyResult<R> {
    let mut indices = Key::new();
    if let Ok(tuple) = key.cast::<PyTuple>() {
        if tuple.len() > indices.inline_size() {
            let len_bytes = tuple.len() * size_of::<Index>();
            let reserved = indices.try_reserve_exact(tuple.len());
            reserved.map_err(|_| ndlens::Error::OutOfMemory { len_bytes }).or_raise()?;
        }
        for item in tuple.iter_borrowed() {
            push_index(&mut indices, &item)?;
        }
    } else {
        push_index(&mut indices, key)?;
    }
    use_key(&indices)
}

/// The integers of a key that names one element of a view of `ndim` axes: `v[1, 2]` does,
/// `v[1, 2, ...]` is a view on it.
pub(crate) fn element_of(key: &Key, ndim: usize) -> Option<SmallVec<[isize; 6]>> {
    let integers = key.iter().map(|index| if let Index::At(at) = index { Some(*at) } else { None });
    if key.len() == ndim { integers.collect() } else { None }
}

/// Pushes an item's index in the branch that recognises the item. An `Index` that was returned
/// would be read back before it is out of the store buffer, and that wait would be the largest part
/// of the work.
#[inline]
fn push_index(indices: &mut Key, item: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(slice) = item.cast::<PySlice>() {
        return push_slice(indices, slice);
    }
    if let Some(place) = fitting(item) {
        indices.push(Index::At(place));
        return Ok(());
    }
    if item.is_none() {
        indices.push(Index::NewAxis);
        return Ok(());
    }
    if item.is_instance_of::<PyEllipsis>() {
        indices.push(Index::Ellipsis);
        return Ok(());
    }
    if selects_by_copying(item)? {
        return Err(PyIndexError::new_err(format!(
            "indexing with a {} selects by copying, and views never copy: index with integers, \
             slices, ... and None; v.take(indices) copies, and nl.subset(v, indices) gives items \
             for a loader without a copy",
            item.get_type().name()?
        )));
    }
    // Integers that do not fit are among these.
    if item.hasattr("__index__")? {
        return push_integer(indices, item);
    }
    Err(PyIndexError::new_err(format!(
        "view indices must be integers, slices, ... or None, not {}",
        item.get_type().name()?
    )))
}

/// Whether a key is NumPy's advanced indexing: sequences, arrays with axes, and booleans, which are
/// masks although Python counts them as integers.
pub(crate) fn selects_by_copying(item: &Bound<'_, PyAny>) -> PyResult<bool> {
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

/// A key that is one integer, the most frequent key.
#[inline]
pub(crate) fn integer(key: &Bound<'_, PyAny>) -> PyResult<Option<isize>> {
    match fitting(key) {
        None if key.is_exact_instance_of::<PyInt>() => place(key).map(Some),
        fitting => Ok(fitting),
    }
}

/// A plain `int` that fits an index.
#[inline]
fn fitting(item: &Bound<'_, PyAny>) -> Option<isize> {
    if !item.is_exact_instance_of::<PyInt>() {
        return None;
    }
    // SAFETY: the object is an integer.
    let number = unsafe { ffi::PyLong_AsSsize_t(item.as_ptr()) };
    // -1 with an exception also means that the integer does not fit.
    if number == -1 && PyErr::take(item.py()).is_some() { None } else { Some(number) }
}

fn push_integer(indices: &mut Key, item: &Bound<'_, PyAny>) -> PyResult<()> {
    indices.push(Index::At(place(item)?));
    Ok(())
}

fn place(item: &Bound<'_, PyAny>) -> PyResult<isize> {
    item.extract().map_err(|error| integer_error(item, error))
}

#[cold]
fn integer_error(item: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    let py = item.py();
    match item.get_type().fully_qualified_name() {
        // An integer that fits no address is out of bounds for every axis.
        Ok(name) if error.is_instance_of::<PyOverflowError>(py) => {
            PyIndexError::new_err(format!("cannot fit '{name}' into an index-sized integer"))
        }
        _ => error,
    }
}

#[inline]
fn push_slice(indices: &mut Key, slice: &Bound<'_, PySlice>) -> PyResult<()> {
    // SAFETY: `slice` is a slice object, which holds these three objects as long as it lives and
    // never others.
    let [start, stop, step] = unsafe {
        let parts = slice.as_ptr().cast::<ffi::PySliceObject>();
        [(*parts).start, (*parts).stop, (*parts).step]
            .map(|part| Borrowed::from_ptr(slice.py(), part))
    };
    if step.is_none()
        && let Some(start) = plain_bound(start, 0)
        && let Some(stop) = plain_bound(stop, isize::MAX)
    {
        indices.push(Index::Slice { start: Some(start), stop: Some(stop), step: 1 });
        return Ok(());
    }
    unpack_slice(indices, slice)
}

/// A bound that is missing, or an integer that fits an index, as nearly every bound does.
#[inline]
fn plain_bound(bound: Borrowed<'_, '_, PyAny>, missing: isize) -> Option<isize> {
    if bound.is_none() { Some(missing) } else { fitting(&bound) }
}

/// Any slice, by Python's rules for bounds that are not integers or do not fit an index.
fn unpack_slice(indices: &mut Key, slice: &Bound<'_, PySlice>) -> PyResult<()> {
    let (mut start, mut stop, mut step) = (0, 0, 0);
    // SAFETY: `slice` is a slice object and the three pointers are to live integers.
    let status = unsafe {
        ffi::PySlice_Unpack(slice.as_ptr(), &raw mut start, &raw mut stop, &raw mut step)
    };
    if status < 0 {
        return Err(PyErr::fetch(slice.py()));
    }
    // Missing bounds come as the farthest ones, which select the same elements.
    indices.push(Index::Slice { start: Some(start), stop: Some(stop), step });
    Ok(())
}
