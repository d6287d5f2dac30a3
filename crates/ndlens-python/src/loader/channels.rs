//! The place of the channels of images: the argument `channels`.

use ndlens::loader::{Error, Field};
use ndlens::transforms::{Channels, Convention};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use crate::error::{OrRaise, in_place};
use crate::structure::{Structure, dict_of};

/// The place of the channels of one field, as it was given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Said {
    /// Not given.
    Nothing,
    /// One word for all fields, some of which may not be images.
    OfAll(Channels),
    /// A word for this field.
    OfField(Channels),
}

impl Said {
    /// The field with its items' axes as its transforms take them.
    pub(crate) fn arrange(self, field: Field, convention: Convention) -> Result<Field, Error> {
        match self {
            Said::Nothing => field.arranged(None, convention),
            Said::OfAll(channels) => field.arranged(Some(channels), convention),
            Said::OfField(channels) => {
                field.with_channels(channels)?.arranged(Some(channels), convention)
            }
        }
    }
}

/// The place of the channels for each field: one word for all, or one for each in the fields' own
/// structure.
pub(crate) fn extract_channels(
    channels: Option<&Bound<'_, PyAny>>,
    structure: &Structure,
    names: &[&str],
) -> PyResult<Vec<Said>> {
    let Some(channels) = channels else { return Ok(vec![Said::Nothing; names.len()]) };
    if channels.is_instance_of::<PyString>() {
        return Ok(vec![Said::OfAll(word(channels)?); names.len()]);
    }
    let of_field = |name: &str, word_or_none: &Bound<'_, PyAny>| {
        if word_or_none.is_none() {
            return Ok(Said::Nothing);
        }
        let in_field = |error| in_place(word_or_none.py(), &format!("field {name:?}"), error);
        word(word_or_none).map(Said::OfField).map_err(in_field)
    };
    if let (Structure::Dict(_), Some(given)) = (structure, dict_of(channels)?) {
        let mut said = vec![Said::Nothing; names.len()];
        for (key, word) in given {
            let place = structure.place(&key)?.ok_or_else(|| {
                let key = key.to_string();
                PyValueError::new_err(format!(
                    "channels names field {key:?}, but the fields are {names:?}"
                ))
            })?;
            said[place] = of_field(names[place], &word)?;
        }
        return Ok(said);
    }
    let is_sequence = channels.is_instance_of::<PyTuple>() || channels.is_instance_of::<PyList>();
    if let (Structure::Tuple(fields), true) = (structure, is_sequence) {
        let given: Vec<Bound<'_, PyAny>> = channels.extract()?;
        if given.len() != *fields {
            let message = format!("channels has {} entries for {fields} fields", given.len());
            return Err(PyValueError::new_err(message));
        }
        return names.iter().zip(&given).map(|(name, word)| of_field(name, word)).collect();
    }
    word(channels).map(|channels| vec![Said::OfAll(channels); names.len()])
}

fn word(channels: &Bound<'_, PyAny>) -> PyResult<Channels> {
    let word = channels.cast::<PyString>().map_err(|_| {
        PyTypeError::new_err(format!(
            "channels must be \"first\" or \"last\", or one of them for each field in the \
             structure of fields, got {channels:?}"
        ))
    })?;
    Channels::from_name(&word.to_cow()?).or_raise()
}
