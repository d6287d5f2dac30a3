//! Items that Python names: indices, masks and slices in, selections out; labels of items and
//! steps.

use ndlens::loader::{Labels, Selection, flags_of, sizes_of};
use ndlens::{View, loader, room};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyList, PySlice, PyString, PyTuple};

use crate::error::{OrRaise, in_place};
use crate::exit;
use crate::interop::import::extract_view;
use crate::lists::Asked;
use crate::optional;
use crate::trace;
use crate::view::key::{integer, selects_by_copying};

/// Selected items of a source. Several fields of a subset share it, also when they are sent to
/// another process.
#[pyclass(frozen, name = "_Selection", module = "ndlens._ndlens")]
pub(crate) struct PySelection {
    pub(crate) selection: Selection,
    /// The number of items that it is of.
    items: usize,
}

impl PySelection {
    pub(crate) fn new(selection: Selection, items: usize) -> Self {
        PySelection { selection, items }
    }
}

/// A selection's bytes and the number of items that it is of.
type Packed<'py> = (Bound<'py, PyBytes>, usize);

#[pymethods]
impl PySelection {
    /// What `index` selects of `items` items: a slice, or a list, array or view of integers or
    /// booleans.
    #[new]
    fn of(index: &Bound<'_, PyAny>, items: usize) -> PyResult<Self> {
        Ok(PySelection::new(extract_selection(index, items)?, items))
    }

    fn __len__(&self) -> usize {
        self.selection.len()
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, Packed<'py>)> {
        let bytes = exit::detach(py, || self.selection.to_bytes()).or_raise()?;
        Ok((
            optional::get(py, "ndlens._ndlens", "_selection_of_bytes")?,
            (PyBytes::new(py, &bytes), self.items),
        ))
    }
}

/// The selection whose bytes these are.
#[pyfunction]
#[pyo3(name = "_selection_of_bytes", signature = (packed, items, /))]
pub(crate) fn selection_of_bytes(
    py: Python<'_>,
    packed: &[u8],
    items: usize,
) -> PyResult<PySelection> {
    let selection = exit::detach(py, || Selection::from_bytes(packed, items)).or_raise()?;
    Ok(PySelection::new(selection, items))
}

/// The selection, of `items` items, by an index: a slice, a list or tuple of integers or booleans,
/// or anything of them that `nl.view` takes. Negative numbers count from the end.
pub(crate) fn extract_selection(index: &Bound<'_, PyAny>, items: usize) -> PyResult<Selection> {
    let py = index.py();
    if let Ok(slice) = index.cast::<PySlice>() {
        return selection_of_slice(slice, items);
    }
    if let Ok(selection) = index.cast::<PySelection>() {
        return Ok(selection.get().selection.clone());
    }
    let select = |view: View| exit::detach(py, || Selection::from_view(&view, items)).or_raise();
    match view_of_numbers(index)? {
        Some(view) => converted(py, "indices", view, select),
        None => select(view_of_list(index)?.ok_or_else(|| bad_index(index))?),
    }
}

/// A key in the brackets of items: one item, or some.
pub(crate) enum ItemKey {
    At(isize),
    Some(Selection),
}

impl ItemKey {
    pub(crate) fn extract(key: &Bound<'_, PyAny>, items: usize) -> PyResult<Self> {
        if let Some(place) = integer(key)? {
            return Ok(ItemKey::At(place));
        }
        if key.is_instance_of::<PySlice>() || selects_by_copying(key)? {
            return extract_items(key, items).map(ItemKey::Some);
        }
        let place = key.extract().if_taken(key.py())?;
        place.map(ItemKey::At).ok_or_else(|| bad_index(key))
    }
}

/// The items that a slice, list or array in brackets selects. A tuple there stands for axes.
pub(crate) fn extract_items(key: &Bound<'_, PyAny>, items: usize) -> PyResult<Selection> {
    if key.is_instance_of::<PyTuple>() {
        return Err(PyIndexError::new_err(
            "items are indexed along one axis; index the item further",
        ));
    }
    if key.is_instance_of::<PyBool>() { Err(bad_index(key)) } else { extract_selection(key, items) }
}

fn selection_of_slice(slice: &Bound<'_, PySlice>, items: usize) -> PyResult<Selection> {
    let indices = slice.indices(items as isize)?;
    let first = usize::try_from(indices.start).unwrap_or(0);
    Selection::range(first, indices.step, indices.slicelength, items).or_raise()
}

fn bad_index(index: &Bound<'_, PyAny>) -> PyErr {
    let mut kind = name_of_type(index);
    if index.is_instance_of::<PyList>() {
        // Floats, or integers beside booleans.
        let mut kinds: Vec<String> = vec![];
        for item in index.try_iter().into_iter().flatten().flatten() {
            let name = name_of_type(&item);
            if !kinds.contains(&name) {
                kinds.push(name);
            }
        }
        kind = format!("a list of {}", kinds.join(" and "));
    } else if index.is_instance_of::<PyTuple>() {
        kind.push_str(": of what numpy.nonzero and numpy.where give, take [0]");
    }
    PyIndexError::new_err(format!(
        "items are selected by an integer, a slice, or a list or an array of integers or \
         booleans, not {kind}"
    ))
}

fn name_of_type(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

/// Reads an array of numbers, which the trace has under their name.
fn converted<T>(
    py: Python<'_>,
    name: &str,
    view: View,
    read: impl FnOnce(View) -> PyResult<T>,
) -> PyResult<T> {
    if !trace::is_open() {
        return read(view);
    }
    trace::copying(py, &format!("array of {name}"), view.nbytes(), || read(view))
}

/// An object that `nl.view` takes, or that has a `to_numpy`, as a pandas index has.
fn view_of_numbers(numbers: &Bound<'_, PyAny>) -> PyResult<Option<View>> {
    let text = numbers.is_instance_of::<PyString>() || numbers.is_instance_of::<PyBytes>();
    if text || numbers.is_instance_of::<PyList>() || numbers.is_instance_of::<PyTuple>() {
        return Ok(None);
    }
    let py = numbers.py();
    if let Some(view) = extract_view(numbers).if_taken(py)? {
        return Ok(Some(view));
    }
    let array = numbers.getattr_opt("to_numpy")?.map(|method| method.call0()).transpose()?;
    let Some(array) = array else { return Ok(None) };
    extract_view(&array).if_taken(py)
}

/// A list of integers, or of booleans; None if an item is neither.
fn view_of_list(list: &Bound<'_, PyAny>) -> PyResult<Option<View>> {
    let text = list.is_instance_of::<PyString>() || list.is_instance_of::<PyBytes>();
    let py = list.py();
    if text || list.len().if_taken(py)?.is_none() {
        return Ok(None);
    }
    let Some(items) = list.try_iter().if_taken(py)? else { return Ok(None) };
    let (mut numbers, mut booleans): (Vec<i64>, Vec<u8>) = (vec![], vec![]);
    for item in items {
        let item = item?;
        if let Some(value) = item.extract::<bool>().if_taken(py)? {
            // NumPy's too.
            room::push(&mut booleans, u8::from(value)).or_raise()?;
        } else if let Some(number) = number(&item)? {
            room::push(&mut numbers, number).or_raise()?;
        } else {
            return Ok(None);
        }
    }
    match (numbers.is_empty(), booleans.is_empty()) {
        (_, true) => Ok(Some(View::from_vec(numbers))),
        (true, false) => {
            View::from_vec(booleans).reinterpret(ndlens::DType::Bool).map(Some).or_raise()
        }
        // NumPy would make integers of the booleans.
        (false, false) => Ok(None),
    }
}

/// An integer; one that fits no address becomes one that is out of bounds anywhere.
fn number(item: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    if !item.hasattr("__index__")? {
        return Ok(None);
    }
    match item.extract::<i64>() {
        Ok(number) => Ok(Some(number)),
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyOverflowError>(item.py()) => {
            Ok(Some(if item.lt(0)? { i64::MIN } else { i64::MAX }))
        }
        Err(error) => Err(error).if_taken(item.py()),
    }
}

/// Sizes or places, from 0 on: a list of integers, or anything of them that `nl.view` takes.
pub(crate) fn extract_sizes(
    numbers: &Bound<'_, PyAny>,
    name: &'static str,
) -> PyResult<Vec<usize>> {
    let refuse =
        || PyTypeError::new_err(format!("{name} must be integers from 0 on, got {numbers:?}"));
    let is_boolean = |view: &View| *view.dtype() == ndlens::DType::Bool && !view.is_empty();
    let read = |view: View| {
        if is_boolean(&view) {
            return Err(refuse());
        }
        match exit::detach(numbers.py(), || sizes_of(&view, name)) {
            Err(loader::Error::NegativeNumber { .. } | loader::Error::NumbersShape { .. }) => {
                Err(refuse())
            }
            sizes => sizes.or_raise(),
        }
    };
    match view_of_numbers(numbers)? {
        Some(view) => converted(numbers.py(), name, view, read),
        None => read(view_of_list(numbers)?.ok_or_else(refuse)?),
    }
}

/// A mask: one boolean for each, of a list or of anything that `nl.view` takes.
pub(crate) fn extract_flags(mask: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<bool>> {
    let array = view_of_numbers(mask)?;
    let is_array = array.is_some();
    let view = if is_array { array } else { view_of_list(mask)? };
    let view = view.filter(|view| *view.dtype() == ndlens::DType::Bool && view.ndim() == 1);
    let view = view.ok_or_else(|| {
        PyTypeError::new_err(format!(
            "{name} must be a list or an array of booleans, of one axis, got {mask:?}"
        ))
    })?;
    let read = |view: View| exit::detach(mask.py(), || flags_of(&view)).or_raise();
    if is_array { converted(mask.py(), name, view, read) } else { read(view) }
}

/// Labels of steps or items: numbers, strings or anything that can be hashed, of an array or of a
/// list.
pub(crate) fn extract_labels(labels: &Bound<'_, PyAny>, name: &'static str) -> PyResult<Labels> {
    let py = labels.py();
    if labels.is_instance_of::<PyString>() || labels.is_instance_of::<PyBytes>() {
        return Err(PyTypeError::new_err(format!(
            "{name} must be a list or an array of labels, got {labels:?}"
        )));
    }
    if let Some(view) = view_of_numbers(labels)?
        && let Some(labels) = converted(py, name, view, |view| {
            exit::detach(py, || Labels::from_view(&view, name)).or_raise()
        })?
    {
        return Ok(labels);
    }
    let (codes, mut found) = (PyDict::new(py), Labels::default());
    for (place, label) in labels.try_iter().map_err(|error| in_place(py, name, error))?.enumerate()
    {
        let label = label?;
        // A value that is not equal to itself, as NaN, or whose comparison fails, as that of
        // pandas.NA, is not a label.
        let known = label.eq(&label).if_taken(py)?;
        if known != Some(true) {
            return Err(loader::Error::MissingLabel { name, place }).or_raise();
        }
        // Asked for by itself: what a dict says of a key differs between Pythons.
        let in_its_place = |error| in_place(py, &format!("{name}, place {place}"), error);
        label.hash().map_err(in_its_place)?;
        let code = codes.get_item(&label).map_err(in_its_place)?;
        let code: Option<u32> = code.map(|code| code.extract()).transpose()?;
        let new = code.is_none();
        let code = found.push(code).or_raise()?;
        if new {
            codes.set_item(label, code)?;
        }
    }
    Ok(found)
}
