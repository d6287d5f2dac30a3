//! Fields that draw the same: the argument `joint`.

use ndlens::loader::Field;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::structure::Structure;

/// Makes the fields of each group draw as its first. `joint` is one group of keys or several.
pub(crate) fn join_draws(
    fields: Vec<Field>,
    structure: &Structure,
    joint: Option<&Bound<'_, PyAny>>,
) -> PyResult<Vec<Field>> {
    let Some(joint) = joint else { return Ok(fields) };
    let mut leaders: Vec<Option<usize>> = vec![None; fields.len()];
    for group in groups(joint, structure)? {
        for &member in &group {
            if leaders[member].is_some() {
                let name = fields[member].name();
                return Err(PyValueError::new_err(format!("joint names field {name:?} twice")));
            }
            leaders[member] = group.first().copied();
        }
    }
    let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
    let join = |(field, leader): (Field, Option<usize>)| match leader {
        Some(leader) => field.drawing_as(names[leader].clone()),
        None => field,
    };
    Ok(fields.into_iter().zip(leaders).map(join).collect())
}

fn groups(joint: &Bound<'_, PyAny>, structure: &Structure) -> PyResult<Vec<Vec<usize>>> {
    if !is_sequence(joint) {
        return Err(PyTypeError::new_err(
            "joint must be a tuple of fields that draw the same, or a list of such tuples",
        ));
    }
    let members: Vec<Bound<'_, PyAny>> = joint.try_iter()?.collect::<PyResult<_>>()?;
    let places: Vec<Option<usize>> =
        members.iter().map(|key| structure.place(key)).collect::<PyResult<_>>()?;
    // One group, unless it holds groups instead of keys.
    if places.iter().any(Option::is_some) || !members.iter().all(is_sequence) {
        return Ok(vec![members.iter().zip(places).map(known).collect::<PyResult<_>>()?]);
    }
    let group = |group: &Bound<'_, PyAny>| {
        group
            .try_iter()?
            .map(|key| {
                let key = key?;
                let place = structure.place(&key)?;
                known((&key, place))
            })
            .collect()
    };
    members.iter().map(group).collect()
}

fn is_sequence(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyTuple>() || object.is_instance_of::<PyList>()
}

fn known((key, place): (&Bound<'_, PyAny>, Option<usize>)) -> PyResult<usize> {
    place.ok_or_else(|| PyValueError::new_err(format!("joint names {key:?}, which is not a field")))
}
