//! How fields come in, with their transforms, and how batches of them go out.

use std::sync::Arc;

use ndlens::loader::{Field, Source};
use ndlens::transforms::{Convention, Transform};
use ndlens::{Consumer, DType, View};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyMapping, PyTuple};

use crate::error::{OrRaise, Raise, in_place};
use crate::interop::dlpack;
use crate::interop::handoff::numpy_here;
use crate::interop::import::pairs;
use crate::interop::tensor_memory::extract_lasting_view;
use crate::loader::channels::{Said, extract_channels};
use crate::loader::items::PyItems;
use crate::loader::joint::join_draws;
use crate::loader::transforms;
use crate::optional::{Optional, is_installed};
use crate::store::shards::PyShards;
use crate::view::attributes::PyView;

/// How fields came and batches go: one view, a tuple, or a dict.
#[derive(Debug)]
pub(crate) enum Structure {
    Single,
    Tuple(usize),
    Dict(Vec<Py<PyAny>>),
}

impl Structure {
    /// A batch of these views, one for each field.
    pub(crate) fn wrap<'py>(
        &self,
        py: Python<'py>,
        output: Output,
        views: Vec<View>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.wrap_parts(py, views.into_iter().map(|view| output.wrap(py, view)))
    }

    /// These objects, one for each field, as the fields came.
    pub(crate) fn wrap_parts<'py>(
        &self,
        py: Python<'py>,
        mut parts: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Structure::Single => parts.next().unwrap_or_else(|| Ok(py.None().into_bound(py))),
            Structure::Tuple(_) => {
                Ok(PyTuple::new(py, parts.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            Structure::Dict(keys) => {
                let batch = PyDict::new(py);
                for (key, part) in keys.iter().zip(parts) {
                    batch.set_item(key, part?)?;
                }
                Ok(batch.into_any())
            }
        }
    }

    /// Which field a key is of: a key of a dict, a place in a tuple.
    pub(crate) fn place(&self, key: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        match self {
            Structure::Single => Ok(None),
            Structure::Tuple(fields) => Ok(key.extract().ok().filter(|place| place < fields)),
            Structure::Dict(keys) => {
                for (place, own) in keys.iter().enumerate() {
                    if own.bind(key.py()).eq(key)? {
                        return Ok(Some(place));
                    }
                }
                Ok(None)
            }
        }
    }

    /// None for a single field, the number of fields for a tuple, the keys of a dict.
    pub(crate) fn to_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Structure::Single => Ok(py.None().into_bound(py)),
            Structure::Tuple(fields) => fields.into_bound_py_any(py),
            Structure::Dict(keys) => Ok(PyList::new(py, keys)?.into_any()),
        }
    }

    /// What [`to_key`](Self::to_key) says.
    pub(crate) fn from_key(key: &Bound<'_, PyAny>) -> Self {
        match key.cast::<PyList>() {
            Ok(keys) => Structure::Dict(keys.iter().map(Bound::unbind).collect()),
            Err(_) if key.is_none() => Structure::Single,
            Err(_) => Structure::Tuple(key.extract().unwrap_or_default()),
        }
    }
}

/// What a batch's views become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Torch,
    Numpy,
    View,
}

impl Output {
    pub(crate) fn extract(py: Python<'_>, name: Option<&str>) -> PyResult<Self> {
        match name {
            Some("torch") => Ok(Output::Torch),
            Some("numpy") => Ok(Output::Numpy),
            Some("view") => Ok(Output::View),
            Some(other) => Err(PyValueError::new_err(format!(
                "unknown output {other:?}: expected \"torch\", \"numpy\", \"view\" or None"
            ))),
            None if is_installed(py, Optional::Torch)? => Ok(Output::Torch),
            None if is_installed(py, Optional::Numpy)? => Ok(Output::Numpy),
            None => Ok(Output::View),
        }
    }

    /// Whether batches of this dtype can be handed out so, known before the first.
    pub(crate) fn check(self, py: Python<'_>, dtype: &DType) -> PyResult<()> {
        match self {
            Output::Torch => Consumer::Torch.check_dtype(dtype).or_raise(),
            Output::Numpy => numpy_here(py)?.check_dtype(dtype).or_raise(),
            Output::View => Ok(()),
        }
    }

    pub(crate) fn wrap(self, py: Python<'_>, view: View) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Output::Torch => dlpack::torch(py, &view, false),
            Output::Numpy => PyView::numpy(&Bound::new(py, PyView::new(view))?),
            Output::View => PyView::new(view).into_bound_py_any(py),
        }
    }
}

/// A list of transforms, and whose they are.
type TransformList = (Vec<Transform>, Convention);

/// What errors of a field's transforms start with.
fn transforms_of(name: &str) -> String {
    format!("transforms of field {name:?}")
}

/// A field by its name.
type Named = (String, Arc<dyn Source>);

/// The fields by name, and how they came.
fn extract_fields(fields: &Bound<'_, PyAny>) -> PyResult<(Structure, Vec<Named>)> {
    let of_field = |name: &str, source: &Bound<'_, PyAny>| {
        if let Ok(shards) = source.cast::<PyShards>() {
            return PyResult::Ok((name.to_owned(), shards.get().source()));
        }
        if let Ok(items) = source.cast::<PyItems>() {
            return Ok((name.to_owned(), items.get().source()));
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
        Structure::Single if transforms.is_instance_of::<PyDict>() => Err(PyTypeError::new_err(
            "transforms is a dict, but fields is one view: give its list alone, transforms=[..]",
        )),
        Structure::Single => Ok(vec![list(&names[0], Some(transforms.clone()))?]),
        Structure::Tuple(_) => {
            let given: Option<Vec<Bound<'_, PyAny>>> = transforms.extract().ok();
            let given = match given {
                Some(given) if !transforms::is_one_list(transforms)? => Some(given),
                _ => None,
            };
            let given = given.ok_or_else(|| {
                PyTypeError::new_err(format!(
                    "transforms must hold one list or None for each of {} fields, since fields is a sequence: \
                     transforms=([..], None)",
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
            let given = transforms.cast::<PyDict>().map_err(|_| {
                let first = names.first().map_or("", |(name, _)| name);
                PyTypeError::new_err(format!(
                    "transforms must be a dict of lists, since fields is a dict: name the fields that a list is for, \
                     transforms={{{first:?}: [..]}}"
                ))
            })?;
            let py = given.py();
            for key in given.keys() {
                if !keys.iter().any(|own| own.bind(py).eq(&key).unwrap_or(false)) {
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

/// The fields with their transforms, and how they came.
pub(crate) fn extract_fields_and_transforms(
    fields: &Bound<'_, PyAny>,
    transforms: Option<&Bound<'_, PyAny>>,
    joint: Option<&Bound<'_, PyAny>>,
    channels: Option<&Bound<'_, PyAny>>,
) -> PyResult<(Structure, Vec<Field>)> {
    let py = fields.py();
    let (structure, sources) = extract_fields(fields)?;
    let transforms = extract_transforms(transforms, &structure, &sources)?;
    let names: Vec<&str> = sources.iter().map(|(name, _)| name.as_str()).collect();
    let channels = extract_channels(channels, &structure, &names)?;
    let field =
        |(((name, source), (transforms, convention)), channels): ((Named, TransformList), Said)| {
            let place = transforms_of(&name);
            let field = Field::new(name, source).with_transforms(transforms);
            channels.arrange(field, convention).map_err(|error| in_place(py, &place, error.raise()))
        };
    let fields =
        sources.into_iter().zip(transforms).zip(channels).map(field).collect::<PyResult<_>>()?;
    let fields = join_draws(fields, &structure, joint)?;
    Ok((structure, fields))
}
