//! Fields in, with their transforms, and batches of them out.

use std::sync::Arc;

use ndlens::loader::{Field, Source};
use ndlens::transforms::{Convention, Step};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyMapping, PyTuple};

use crate::error::{Raise, in_place};
use crate::interop::tensor_memory::extract_lasting_view;
use crate::lists::{Asked, pairs};
use crate::loader::channels::{Said, extract_channels};
use crate::loader::images::items_of;
use crate::loader::joint::join_draws;
use crate::loader::options::FieldOptions;
use crate::loader::transforms;
use crate::structure::{Structure, dict_of};

/// A list of transforms, and the library they are of.
type TransformList = (Vec<Box<dyn Step>>, Convention);

/// First words of errors about a field's transforms.
fn transforms_of(name: &str) -> String {
    format!("transforms of field {name:?}")
}

/// A field by its name.
type Named = (String, Arc<dyn Source>);

/// The fields by name, and their structure.
fn extract_sources(fields: &Bound<'_, PyAny>) -> PyResult<(Structure, Vec<Named>)> {
    let of_field = |name: &str, source: &Bound<'_, PyAny>| {
        if let Some(items) = items_of(source) {
            return PyResult::Ok((name.to_owned(), items));
        }
        let view = extract_lasting_view(source)
            .map_err(|error| in_place(source.py(), &format!("field {name:?}"), error))?;
        Ok((name.to_owned(), Arc::new(view) as Arc<dyn Source>))
    };
    if let Ok(mapping) = fields.cast::<PyMapping>() {
        let items = pairs(mapping)?;
        let views = items.iter().map(|(key, source)| of_field(&key.str()?.to_cow()?, source));
        let views = views.collect::<PyResult<_>>()?;
        Ok((Structure::Dict(items.into_iter().map(|(key, _)| key.unbind()).collect()), views))
    } else if fields.is_instance_of::<PyTuple>() || fields.is_instance_of::<PyList>() {
        let sources = fields.try_iter()?.enumerate();
        let views = sources.map(|(i, source)| of_field(&i.to_string(), &source?));
        let views = views.collect::<PyResult<Vec<_>>>()?;
        Ok((Structure::Tuple(views.len()), views))
    } else {
        Ok((Structure::Single, vec![of_field("items", fields)?]))
    }
}

/// One list of transforms for each field, given in the fields' own structure.
fn extract_transforms(
    transforms: Option<&Bound<'_, PyAny>>,
    structure: &Structure,
    names: &[Named],
) -> PyResult<Vec<TransformList>> {
    let nothing = || (vec![], Convention::Ndlens);
    let list = |(name, _): &Named, transforms: Option<Bound<'_, PyAny>>| match transforms {
        Some(transforms) if !transforms.is_none() => transforms::extract_list(&transforms)
            .map_err(|error| in_place(transforms.py(), &transforms_of(name), error)),
        _ => Ok(nothing()),
    };
    let Some(transforms) = transforms else { return Ok(names.iter().map(|_| nothing()).collect()) };
    match structure {
        Structure::Single if transforms.is_instance_of::<PyMapping>() => Err(PyTypeError::new_err(
            "transforms is a dict, but fields is one view: give its list alone, transforms=[..]",
        )),
        Structure::Single => Ok(vec![list(&names[0], Some(transforms.clone()))?]),
        Structure::Tuple(_) => {
            let given: Option<Vec<Bound<'_, PyAny>>> =
                transforms.extract().if_taken(transforms.py())?;
            let given = match given {
                Some(given) if !transforms::is_one_list(transforms)? => Some(given),
                _ => None,
            };
            let given = given.ok_or_else(|| {
                PyTypeError::new_err(format!(
                    "transforms must hold one list or None for each of {} fields, since fields is \
                     a sequence: transforms=([..], None)",
                    names.len()
                ))
            })?;
            if given.len() != names.len() {
                let message = format!(
                    "transforms has {} entries for {} fields; None leaves one as it is",
                    given.len(),
                    names.len()
                );
                return Err(PyValueError::new_err(message));
            }
            names
                .iter()
                .zip(given)
                .map(|(field, transforms)| list(field, Some(transforms)))
                .collect()
        }
        Structure::Dict(keys) => {
            let given = dict_of(transforms)?.ok_or_else(|| {
                let first = names.first().map_or("", |(name, _)| name);
                PyTypeError::new_err(format!(
                    "transforms must be a dict of lists, since fields is a dict: name the fields \
                     that a list is for, transforms={{{first:?}: [..]}}"
                ))
            })?;
            let py = given.py();
            for key in given.keys() {
                let mut known = false;
                for own in keys {
                    known |= own.bind(py).eq(&key).if_taken(py)? == Some(true);
                }
                if !known {
                    let fields: Vec<_> = names.iter().map(|(name, _)| name).collect();
                    let message = format!(
                        "transforms names field {:?}, but the fields are {fields:?}",
                        key.str()?.to_cow()?
                    );
                    return Err(PyValueError::new_err(message));
                }
            }
            names.iter().zip(keys).map(|(field, key)| list(field, given.get_item(key)?)).collect()
        }
    }
}

/// The fields with their transforms, and their structure.
pub(crate) fn extract_fields(options: &FieldOptions<'_>) -> PyResult<(Structure, Vec<Field>)> {
    let FieldOptions { fields, transforms, joint, channels } = options;
    let py = fields.py();
    let (structure, sources) = extract_sources(fields)?;
    let transforms = extract_transforms(transforms.as_ref(), &structure, &sources)?;
    let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    let channels = extract_channels(channels.as_ref(), &structure, &names)?;
    let field =
        |(((name, source), (transforms, convention)), channels): ((Named, TransformList), Said)| {
            let place = transforms_of(&name);
            let field = Field::new(name, source).with_transforms(transforms);
            channels.arrange(field, convention).map_err(|error| in_place(py, &place, error.raise()))
        };
    let fields =
        sources.into_iter().zip(transforms).zip(channels).map(field).collect::<PyResult<_>>()?;
    let fields = join_draws(fields, &structure, joint.as_ref())?;
    Ok((structure, fields))
}
