//! `nl.save`.

use std::sync::Arc;

use ndlens::loader::SavedItems;
use ndlens::store::{self, Contents, Items, Named};
use ndlens::{View, room};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMapping, PyString, PyTuple};

use crate::error::{OrRaise, in_place};
use crate::exit;
use crate::interop::import::extract_elements;
use crate::lists;
use crate::loader::items::PyItems;
use crate::provided;
use crate::store::path::fsdecode;
use crate::store::shards::PyShards;
use crate::trace;

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
#[pyo3(
    signature = (path, obj, /, *more, metadata = None),
    text_signature = "(path, obj, /, *, metadata=None)"
)]
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
            "nl.save takes path and obj by position, got {} arguments; metadata is given by \
             keyword",
            more.len() + 2
        )));
    }
    // As `torch.save` takes them.
    if is_path(obj)? && !is_path(path)? {
        return Err(PyTypeError::new_err(format!(
            "nl.save takes the path first, nl.save(path, obj), got {} and then the path",
            path.get_type().name()?
        )));
    }
    let path = fsdecode(path)?;
    let contents = contents(obj)?;
    let metadata = match metadata {
        Some(metadata) => extract_metadata(metadata)?,
        None if is_arrays(obj)? => extract_metadata(&obj.getattr("metadata")?)?,
        None => vec![],
    };
    let nbytes = if trace::is_open() { bytes_of(&contents) } else { 0 };
    trace::copying(py, "nl.save", nbytes, || {
        exit::detach(py, || store::save(&path, &contents, &metadata)).or_raise()
    })
}

fn is_path(obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(obj.is_instance_of::<PyString>()
        || obj.is_instance_of::<PyBytes>()
        || obj.hasattr("__fspath__")?)
}

/// Bytes of all elements.
fn bytes_of(contents: &Contents) -> usize {
    let of_items = |items: &dyn Items| {
        (0..items.len()).filter_map(|place| items.item(place).ok()).map(|item| item.nbytes()).sum()
    };
    let of_named = |named: &Named| match named {
        Named::Array(view) => view.nbytes(),
        Named::Items(items) => of_items(&**items),
    };
    match contents {
        Contents::Array(views) => views.iter().map(View::nbytes).sum(),
        Contents::Items(items) => of_named(items),
        Contents::Arrays(arrays) => arrays.iter().map(|(_, named)| of_named(named)).sum(),
    }
}

fn is_arrays(obj: &Bound<'_, PyAny>) -> PyResult<bool> {
    obj.is_instance(provided::ARRAYS.get(obj.py())?)
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
