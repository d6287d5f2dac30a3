//! Images that are made once and kept: the compiled half of `nl.pack`.

use std::ops::Range;

use ndlens::loader::{fingerprint_of, prepare};
use ndlens::transforms::Convention;
use ndlens::{View, room};
use pyo3::exceptions::{PyIndexError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::error::{OrRaise, Raise};
use crate::exit;
use crate::lists;
use crate::loader::images::PyImages;
use crate::loader::transforms::extract_list;
use crate::trace;
use crate::view::object::PyView;

/// The numbers of images in their source.
fn places_of(images: &PyImages, range: Range<usize>) -> PyResult<Vec<usize>> {
    if range.end > images.source().len() {
        return Err(PyIndexError::new_err(format!(
            "images {range:?} of {}",
            images.source().len()
        )));
    }
    room::list_of(range.map(|index| images.place(index))).or_raise()
}

/// Images that were made: their elements one after the other, the dtype of the first, the shape of
/// each or the exception that it failed with.
type Made<'py> = (PyView, Option<String>, Bound<'py, PyList>);

/// Makes the images `start:stop`.
#[pyfunction]
#[pyo3(
    name = "_prepare_images",
    signature = (images, start, stop, transforms, quality, threads, /)
)]
pub(crate) fn prepare_images<'py>(
    py: Python<'py>,
    images: &Bound<'py, PyImages>,
    start: usize,
    stop: usize,
    transforms: &Bound<'py, PyAny>,
    quality: Option<u8>,
    threads: usize,
) -> PyResult<Made<'py>> {
    let _inside = exit::enter(py);
    let (steps, convention) = extract_list(transforms)?;
    if convention != Convention::Ndlens {
        return Err(PyTypeError::new_err(
            "pack takes the transforms of ndlens, such as ndlens.transforms.Resize(256)",
        ));
    }
    let images = images.get();
    let places = places_of(images, start..stop)?;
    let made = exit::detach(py, || prepare(images.all(), &places, &steps, quality, threads));
    let made = made.or_raise()?;
    let len = made.iter().flatten().map(|image| image.bytes.len()).sum();
    let mut bytes: Vec<u8> = room::with_room_for(len).or_raise()?;
    let mut dtype = None;
    let outcomes = made.into_iter().map(|made| match made {
        Ok(image) => {
            bytes.extend_from_slice(&image.bytes);
            let own = image.dtype.name();
            if *dtype.get_or_insert_with(|| own.to_owned()) != own {
                return Err(PyTypeError::new_err("images of one set have one dtype"));
            }
            Ok(PyTuple::new(py, image.shape)?.into_any())
        }
        Err(error) => Ok(error.raise().into_value(py).into_bound(py).into_any()),
    });
    let outcomes = lists::list_of(py, outcomes)?;
    trace::copied(py, "nl.pack", bytes.len())?;
    Ok((PyView::new(View::from_vec(bytes)), dtype, outcomes))
}

/// A digest of images: of their number, their names and some of their bytes.
#[pyfunction]
#[pyo3(name = "_fingerprint_of_images", signature = (images, /))]
pub(crate) fn fingerprint_of_images(py: Python<'_>, images: &Bound<'_, PyImages>) -> PyResult<u64> {
    let images = images.get();
    let places = places_of(images, 0..images.source().len())?;
    exit::detach(py, || fingerprint_of(images.all(), &places)).or_raise()
}
