//! Lists and numbers out to Python and in from it, with a `MemoryError` if there is no memory.
//!
//! `PyO3`'s own conversions panic if Python has no memory for an object, and end the process if
//! Rust has none for a list. Lists that grow with the data go through here instead. Long loops
//! check for Ctrl-C.

#![expect(unsafe_code, reason = "makes objects as CPython's C API does; see UNSAFE.md")]

use std::ptr;

use ndlens::{Error, MAX_NDIM, View, room};
use pyo3::exceptions::{PyException, PyMemoryError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyMapping, PyTuple};
use pyo3::{Borrowed, ffi};

use crate::error::OrRaise;
use crate::interrupt;
use crate::optional;

/// Elements between two checks for Ctrl-C.
pub(crate) const LOOK: usize = 1 << 14;

/// A list of the items of an iterator of known length.
pub(crate) fn list_of<'py>(
    py: Python<'py>,
    items: impl ExactSizeIterator<Item = PyResult<Bound<'py, PyAny>>>,
) -> PyResult<Bound<'py, PyList>> {
    let len = isize::try_from(items.len()).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: what is not null is a new list, which is ours.
    let list = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_New(len)) }?;
    // SAFETY: `PyList_New` gives lists and nothing else.
    let list = unsafe { list.cast_into_unchecked::<PyList>() };
    let mut place = 0;
    for item in items {
        if place % LOOK as isize == LOOK as isize - 1 {
            py.check_signals()?;
        }
        room::check().or_raise()?;
        // SAFETY: the list is alive; the call takes the item's reference, whether it succeeds or
        // not. A place beyond the list is an error of the call. Places that are not yet filled are
        // null, which a list may hold while it is made.
        if unsafe { ffi::PyList_SetItem(list.as_ptr(), place, item?.into_ptr()) } < 0 {
            return Err(PyErr::fetch(py));
        }
        place += 1;
    }
    if place < len {
        list.del_slice(place as usize, len as usize)?;
    }
    Ok(list)
}

/// A tuple of these items.
pub(crate) fn tuple_of<'py>(
    py: Python<'py>,
    items: impl ExactSizeIterator<Item = PyResult<Bound<'py, PyAny>>>,
) -> PyResult<Bound<'py, PyTuple>> {
    let list = list_of(py, items)?;
    // SAFETY: the list is alive; what is not null is a new tuple, which is ours.
    let tuple = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyList_AsTuple(list.as_ptr())) }?;
    // SAFETY: `PyList_AsTuple` gives tuples and nothing else.
    Ok(unsafe { tuple.cast_into_unchecked() })
}

/// The elements' bytes, in C order.
pub(crate) fn bytes_of<'py>(py: Python<'py>, view: &View) -> PyResult<Bound<'py, PyBytes>> {
    let nbytes = view.nbytes();
    // No view has more bytes than an `isize` counts.
    //
    // SAFETY: what is not null is a new object, which is ours; without contents it has room for
    // `nbytes` bytes.
    let bytes = unsafe {
        let bytes = ffi::PyBytes_FromStringAndSize(ptr::null(), nbytes as isize);
        Bound::from_owned_ptr_or_err(py, bytes)?
    };
    // SAFETY: `PyBytes_FromStringAndSize` gives `bytes` and nothing else. No other code has a
    // reference to it before it is returned, so its `nbytes` bytes are ours to write; as
    // `MaybeUninit` they may be anything.
    let room = unsafe {
        let start = ffi::PyBytes_AsString(bytes.as_ptr()).cast();
        std::slice::from_raw_parts_mut(start, nbytes)
    };
    interrupt::detached(py, || view.read_into_uninit(room))?;
    // SAFETY: as above.
    Ok(unsafe { bytes.cast_into_unchecked() })
}

/// Numbers that become Python objects.
pub(crate) trait Number: Copy {
    /// The number as an object; `MemoryError` if there is no memory for it.
    fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>>;
}

macro_rules! numbers {
    ($($make:ident: $($type:ty),*;)*) => {
        $($(impl Number for $type {
            #[inline]
            fn object(self, py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
                // SAFETY: what is not null is a new number, which is ours.
                unsafe { Bound::from_owned_ptr_or_err(py, ffi::$make(self.into())) }
            }
        })*)*
    };
}

numbers! {
    PyLong_FromLong: u8, i8, u16, i16, i32;
    PyLong_FromLongLong: u32, i64;
    PyLong_FromUnsignedLongLong: u64;
    PyFloat_FromDouble: f32, f64;
}

/// A complex number.
pub(crate) fn complex(py: Python<'_>, real: f64, imaginary: f64) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: what is not null is a new number, which is ours.
    unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyComplex_FromDoubles(real, imaginary)) }
}

/// These bytes.
pub(crate) fn plain_bytes<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the bytes are a live slice; what is not null is a new object, which is ours.
    unsafe {
        let object = ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as isize);
        Bound::from_owned_ptr_or_err(py, object)
    }
}

/// This text.
pub(crate) fn string<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the bytes are a live slice, and UTF-8; what is not null is a new string, which is
    // ours.
    unsafe {
        let object = ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize);
        Bound::from_owned_ptr_or_err(py, object)
    }
}

/// Whether an error says that an object is not of the expected kind, and not that memory ran out or
/// that the user interrupted.
pub(crate) fn is_refusal(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyException>(py) && !error.is_instance_of::<PyMemoryError>(py)
}

/// What became of asking an object whether it is of some kind.
pub(crate) trait Asked<T> {
    /// What the object gave; None if it is not of the kind; any other error, such as Ctrl-C, as it
    /// is.
    fn if_taken(self, py: Python<'_>) -> PyResult<Option<T>>;
}

impl<T, E: Into<PyErr>> Asked<T> for Result<T, E> {
    fn if_taken(self, py: Python<'_>) -> PyResult<Option<T>> {
        match self.map_err(Into::into) {
            Ok(taken) => Ok(Some(taken)),
            Err(error) if is_refusal(py, &error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// All elements of an iterator as a list, or the first error: `collect`.
pub(crate) fn collect<T>(elements: impl IntoIterator<Item = PyResult<T>>) -> PyResult<Vec<T>> {
    let mut list = vec![];
    for element in elements {
        room::push(&mut list, element?).or_raise()?;
    }
    Ok(list)
}

/// The items of an iterable, extracted.
pub(crate) fn extract_all<'py, T>(items: &Bound<'py, PyAny>) -> PyResult<Vec<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    extract_each(items, |item| item.extract::<T>().map_err(Into::into))
}

/// The items of an iterable, each as `extract` makes it.
pub(crate) fn extract_each<'py, T>(
    items: &Bound<'py, PyAny>,
    mut extract: impl FnMut(&Bound<'py, PyAny>) -> PyResult<T>,
) -> PyResult<Vec<T>> {
    // Without a known length, the list grows item by item.
    let mut list = room::with_room_for(items.len().unwrap_or(0)).or_raise()?;
    for item in items.try_iter()? {
        let item = extract(&item?)?;
        room::push(&mut list, item).or_raise()?;
        if list.len().is_multiple_of(LOOK) {
            items.py().check_signals()?;
        }
    }
    Ok(list)
}

/// A list that is an argument: a `Vec<T>`, or `MemoryError` if there is no memory for it.
pub(crate) struct ListArgument<T>(pub(crate) Vec<T>);

impl<'py, T> FromPyObject<'_, 'py> for ListArgument<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    type Error = PyErr;

    fn extract(items: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        extract_all(&items).map(ListArgument)
    }
}

/// Numbers of which there is at most one for each axis that a view can have.
pub(crate) fn extract_axes<'py, T>(numbers: &Bound<'py, PyAny>) -> PyResult<Vec<T>>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let mut list = vec![];
    for number in numbers.try_iter()? {
        list.push(number?.extract::<T>().map_err(Into::into)?);
        if list.len() > MAX_NDIM {
            let got = numbers.len().unwrap_or(list.len());
            return Err(Error::TooManyDimensions { got }).or_raise();
        }
    }
    Ok(list)
}

/// Keys and values of a mapping, copied out of it: reading a value may run code that changes the
/// mapping.
pub(crate) fn pairs<'py>(
    mapping: &Bound<'py, PyMapping>,
) -> PyResult<Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
    extract_all(mapping.items()?.as_any())
}

/// `items[0]`, `items[1]`, .., each when it is asked for.
pub(crate) fn each_item<'py>(items: &Bound<'py, PyAny>, len: usize) -> PyResult<Bound<'py, PyAny>> {
    let py = items.py();
    let places = optional::get(py, "builtins", "range")?.call1((len,))?;
    optional::get(py, "builtins", "map")?.call1((items.getattr("__getitem__")?, places))
}
