//! The transforms of `ndlens.transforms`, extracted.

use ndlens::transforms::{Argument, Convention, Error, Step, by_name};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyInt, PyList, PyString, PyTuple, PyType};

use crate::error::{OrRaise, in_place};
use crate::lists::{self, Asked};
use crate::provided;

/// A list of transforms, ours or torchvision's, and the library they are of.
pub(crate) fn extract_list(
    transforms: &Bound<'_, PyAny>,
) -> PyResult<(Vec<Box<dyn Step>>, Convention)> {
    let py = transforms.py();
    let lowered = provided::LOWERED.get(py)?.call1((transforms,))?;
    let (transforms, torchvisions, to_image): (Bound<'_, PyAny>, bool, bool) = lowered.extract()?;
    let convention =
        if torchvisions { Convention::Torchvision { to_image } } else { Convention::Ndlens };
    let several = transforms.try_iter().if_taken(py)?.ok_or_else(|| {
        let kind =
            transforms.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
        let hint = if is_ours(&transforms) {
            format!(": put it in one, [{kind}(..)]")
        } else {
            String::new()
        };
        PyTypeError::new_err(format!("expected a list of transforms, got {kind}{hint}"))
    });
    let in_list = |(number, transform): (usize, PyResult<Bound<'_, PyAny>>)| {
        extract(&transform?).map_err(|error| in_place(py, &format!("transform {number}"), error))
    };
    Ok((several?.enumerate().map(in_list).collect::<PyResult<_>>()?, convention))
}

/// Whether it is one of `ndlens.transforms`.
fn is_ours(object: &Bound<'_, PyAny>) -> bool {
    object.get_type().module().is_ok_and(|module| module == "ndlens.transforms")
}

/// Whether these are the transforms of one field, and not lists of them, one for each of several
/// fields.
pub(crate) fn is_one_list(transforms: &Bound<'_, PyAny>) -> PyResult<bool> {
    provided::IS_ONE_LIST.get(transforms.py())?.call1((transforms,))?.extract()
}

/// A transform of `ndlens.transforms`: the Rust transform of the class's name, with the object's
/// fields.
fn extract(transform: &Bound<'_, PyAny>) -> PyResult<Box<dyn Step>> {
    let class = transform.get_type();
    let unknown = || {
        if let Ok(itself) = transform.cast::<PyType>() {
            let name = itself.name()?;
            return Err(PyTypeError::new_err(format!(
                "{name} is a class, expected one of its objects: {name}(..)"
            )));
        }
        let name = class.fully_qualified_name()?;
        Err(PyTypeError::new_err(format!("{name} is not a transform of ndlens.transforms")))
    };
    if !is_ours(transform) {
        return unknown();
    }
    let arguments = match transform.getattr_opt("_arguments")? {
        Some(arguments) => arguments.call0()?.cast_into::<PyDict>()?,
        None => return unknown(),
    };
    let argument = |(name, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        PyResult::Ok((name.extract()?, extract_argument(&value)?))
    };
    let arguments = arguments.iter().map(argument).collect::<PyResult<_>>()?;
    match by_name(&class.name()?.to_cow()?, arguments) {
        Err(Error::UnknownTransform { .. }) => unknown(),
        made => made.or_raise(),
    }
}

/// The value of a field.
fn extract_argument(value: &Bound<'_, PyAny>) -> PyResult<Argument> {
    if value.is_none() {
        Ok(Argument::None)
    } else if let Ok(flag) = value.cast::<PyBool>() {
        Ok(Argument::Bool(flag.is_true()))
    } else if value.is_instance_of::<PyInt>() {
        value.extract().map(Argument::Int)
    } else if value.is_instance_of::<PyString>() {
        value.extract().map(Argument::Text)
    } else if value.is_instance_of::<PyTuple>() || value.is_instance_of::<PyList>() {
        let values = value.try_iter()?.map(|value| extract_argument(&value?));
        lists::collect(values).map(Argument::List)
    } else {
        value.extract().map(Argument::Float)
    }
}
