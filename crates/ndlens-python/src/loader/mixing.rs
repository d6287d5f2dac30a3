//! The mixing of batches: the arguments `mix`, `mix_images` and `mix_labels`.

use ndlens::transforms::{Mix, Mixing};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::loader::options::MixingOptions;
use crate::provided;
use crate::structure::Structure;

impl MixingOptions<'_> {
    /// Refuses `mix_images` and `mix_labels` without `mix`.
    pub(crate) fn check(&self) -> PyResult<()> {
        if self.mix.is_none() && (self.mix_images.is_some() || self.mix_labels.is_some()) {
            return Err(PyValueError::new_err(
                "mix_images and mix_labels say what to mix: give mix too",
            ));
        }
        Ok(())
    }
}

/// A mixing of fields that came in this structure.
pub(crate) fn extract_mixing(
    options: &MixingOptions<'_>,
    structure: &Structure,
) -> PyResult<Option<Mixing>> {
    let MixingOptions { mix: Some(mix), mix_images: images, mix_labels: labels } = options else {
        return Ok(None);
    };
    let lowered = provided::LOWERED_MIX.get(mix.py())?.call1((mix,))?;
    let (mixes, weights): (Vec<Bound<'_, PyAny>>, Option<Vec<f64>>) = lowered.extract()?;
    let mut mixing =
        Mixing::choice(mixes.iter().map(extract_mix).collect::<PyResult<_>>()?, weights);
    if let Some(images) = images {
        mixing = mixing.of_images(places(images, structure)?);
    }
    if let Some(labels) = labels {
        mixing = mixing.with_labels(known("mix_labels", labels, structure.place(labels)?)?);
    }
    Ok(Some(mixing))
}

fn extract_mix(mix: &Bound<'_, PyAny>) -> PyResult<Mix> {
    let (num_classes, alpha) =
        (mix.getattr("num_classes")?.extract()?, mix.getattr("alpha")?.extract()?);
    match mix.get_type().name()?.to_str()? {
        "MixUp" => Ok(Mix::MixUp { num_classes, alpha }),
        "CutMix" => Ok(Mix::CutMix { num_classes, alpha }),
        other => Err(PyTypeError::new_err(format!("mix must be MixUp or CutMix, got {other}"))),
    }
}

/// The places of one key, or of several in a tuple or a list.
fn places(images: &Bound<'_, PyAny>, structure: &Structure) -> PyResult<Vec<usize>> {
    if let Some(place) = structure.place(images)? {
        return Ok(vec![place]);
    }
    if !images.is_instance_of::<PyTuple>() && !images.is_instance_of::<PyList>() {
        return Ok(vec![known("mix_images", images, None)?]);
    }
    let place = |key: PyResult<Bound<'_, PyAny>>| {
        let key = key?;
        known("mix_images", &key, structure.place(&key)?)
    };
    images.try_iter()?.map(place).collect()
}

fn known(argument: &str, key: &Bound<'_, PyAny>, place: Option<usize>) -> PyResult<usize> {
    place.ok_or_else(|| {
        PyValueError::new_err(format!("{argument} names {key:?}, which is not a field"))
    })
}
