//! Fields of `nl.share` on shared memory: views, items and shards.
//!
//! Everything that is shared together is in one arena. The arrays for it are collected first, from
//! all fields:
//!
//! | field | arrays | comes back as |
//! |---|---|---|
//! | a view | it | a view |
//! | shards, or some rows of a view or of shards | the rows, packed | a view |
//! | ragged items | their elements, offsets and shapes | ragged items |
//! | windows | their series, once for all windows of them | the same windows (not by name) |

use std::collections::HashMap;
use std::sync::Arc;

use ndlens::loader::{Packing, Source, Windows, copy_rows};
use ndlens::store;
use ndlens::store::named::Member;
use ndlens::{DType, View, room};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;
use crate::lists;
use crate::loader::items::{Base, PyItems};
use crate::loader::selection::PySelection;
use crate::trace;
use crate::view::object::PyView;

/// A field to be shared.
pub(crate) enum SharedField {
    View(View),
    /// Rows of one shape.
    Rows(Arc<dyn Source>),
    Ragged(Arc<dyn Source>),
    Windows(Arc<Windows>, Option<View>, bool, Option<Py<PySelection>>),
}

impl SharedField {
    pub(crate) fn of_items(py: Python<'_>, items: &PyItems) -> Self {
        match items.base() {
            Base::Windows(windows, lengths, future) => SharedField::Windows(
                Arc::clone(windows),
                lengths.clone(),
                *future,
                items.selection(py),
            ),
            Base::Ragged(..) | Base::Members(_) => SharedField::Ragged(items.source()),
            Base::View(_) | Base::Shards(_) => SharedField::Rows(items.source()),
        }
    }

    /// What the field is under a name.
    pub(crate) fn member(&self) -> PyResult<Member> {
        match self {
            SharedField::View(_) | SharedField::Rows(_) => Ok(Member::Array),
            SharedField::Ragged(_) => Ok(Member::Ragged),
            SharedField::Windows(..) => Err(PyTypeError::new_err(
                "windows cannot be shared by name: share their series by name, and make the \
                 windows of what comes back",
            )),
        }
    }
}

/// The source of an array that is to be made.
enum Contents {
    View(View),
    Rows(Arc<dyn Source>),
    Packed(Arc<dyn Source>, Packing),
}

/// Fields, and the arrays that they become.
#[derive(Default)]
pub(crate) struct SharedFields {
    parts: Vec<(SharedField, Places)>,
    arrays: Vec<(Vec<usize>, DType)>,
    contents: Vec<Contents>,
    /// Series of windows, by address, shape, strides and dtype.
    series: HashMap<(usize, Vec<usize>, Vec<isize>, DType), usize>,
}

/// The arrays that a field is made of.
enum Places {
    One(usize),
    Ragged { flat: usize, offsets: usize, shapes: usize },
    Windows(Vec<usize>),
}

impl SharedFields {
    pub(crate) fn new(py: Python<'_>, parts: Vec<SharedField>) -> PyResult<Self> {
        let mut fields = SharedFields::default();
        for part in parts {
            let places = fields.add_part(py, &part)?;
            room::push(&mut fields.parts, (part, places)).or_raise()?;
        }
        Ok(fields)
    }

    fn add_part(&mut self, py: Python<'_>, part: &SharedField) -> PyResult<Places> {
        Ok(match part {
            // A view that was given twice gives two arrays.
            SharedField::View(view) => Places::One(self.add_view(view)?),
            SharedField::Rows(source) => {
                let item =
                    source.item_shape().map(|shape| shape.most().to_vec()).unwrap_or_default();
                let shape = [&[source.len()], &item[..]].concat();
                let dtype = source.dtype().clone();
                Places::One(self.add(shape, dtype, Contents::Rows(Arc::clone(source)))?)
            }
            SharedField::Ragged(source) => {
                let packing = exit::detach(py, || Packing::of(&**source)).or_raise()?;
                let (offsets, shapes) = packing.places().or_raise()?;
                let dtype = source.dtype().clone();
                let len = packing.len();
                let contents = Contents::Packed(Arc::clone(source), packing);
                // In the order that `Member::Ragged` has.
                Places::Ragged {
                    flat: self.add(vec![len], dtype, contents)?,
                    offsets: self.add_view(&offsets)?,
                    shapes: self.add_view(&shapes)?,
                }
            }
            SharedField::Windows(windows, ..) => {
                let places = windows.series().iter().map(|series| self.place_of(series));
                Places::Windows(lists::collect(places)?)
            }
        })
    }

    /// The place of a new array among all.
    fn add(&mut self, shape: Vec<usize>, dtype: DType, contents: Contents) -> PyResult<usize> {
        room::push(&mut self.arrays, (shape, dtype)).or_raise()?;
        room::push(&mut self.contents, contents).or_raise()?;
        Ok(self.arrays.len() - 1)
    }

    fn add_view(&mut self, view: &View) -> PyResult<usize> {
        self.add(view.shape().to_vec(), view.dtype().clone(), Contents::View(view.clone()))
    }

    /// The place of a series, which windows and what follows them share.
    fn place_of(&mut self, series: &View) -> PyResult<usize> {
        let (shape, strides) = (series.shape().to_vec(), series.strides().to_vec());
        let key = (series.as_ptr().addr(), shape, strides, series.dtype().clone());
        if let Some(&place) = self.series.get(&key) {
            return Ok(place);
        }
        let place = self.add_view(series)?;
        room::insert_key(&mut self.series, key, place).or_raise()?;
        Ok(place)
    }

    /// Shape and dtype of each array.
    pub(crate) fn arrays(&self) -> PyResult<Vec<(&[usize], DType)>> {
        let arrays = self.arrays.iter().map(|(shape, dtype)| (&shape[..], dtype.clone()));
        room::list_of(arrays).or_raise()
    }

    /// Bytes of all arrays.
    pub(crate) fn nbytes(&self) -> usize {
        let nbytes = |(shape, dtype): &(Vec<usize>, DType)| {
            shape.iter().fold(dtype.itemsize(), |product, &size| product.saturating_mul(size))
        };
        self.arrays.iter().map(nbytes).fold(0, usize::saturating_add)
    }

    /// Copies the elements to arrays of these shapes and dtypes.
    pub(crate) fn copy_to(&self, views: &[View]) -> PyResult<()> {
        for (target, contents) in views.iter().zip(&self.contents) {
            match contents {
                Contents::View(view) => target.assign(view).or_raise()?,
                Contents::Rows(source) => copy_rows(&**source, target).or_raise()?,
                Contents::Packed(source, packing) => {
                    packing.copy_to(&**source, target).or_raise()?;
                }
            }
        }
        Ok(())
    }

    /// Each field as an object on the arrays.
    pub(crate) fn objects<'py>(
        self,
        py: Python<'py>,
        views: &[View],
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let view = |place: usize| views.get(place).cloned().ok_or_else(no_array);
        let object = |(part, places): (SharedField, Places)| match places {
            Places::One(place) => PyView::new(view(place)?).into_bound_py_any(py),
            Places::Ragged { flat, offsets, shapes } => {
                ragged(py, view(flat)?, view(offsets)?, view(shapes)?)
            }
            Places::Windows(places) => {
                let SharedField::Windows(windows, lengths, future, selection) = part else {
                    return Err(no_array());
                };
                let series = lists::collect(places.into_iter().map(view))?;
                let windows = windows.of_series(series).or_raise()?;
                PyItems::of(Base::Windows(Arc::new(windows), lengths, future), selection)?
                    .into_bound_py_any(py)
            }
        };
        lists::collect(self.parts.into_iter().map(object))
    }
}

/// Items of different sizes, as an object.
fn ragged(py: Python<'_>, flat: View, offsets: View, shapes: View) -> PyResult<Bound<'_, PyAny>> {
    PyItems::of(Base::packed(flat, offsets, shapes)?, None)?.into_bound_py_any(py)
}

/// What was shared under a name, each member as an object.
pub(crate) fn objects_of(
    py: Python<'_>,
    members: Vec<Member>,
    views: Vec<View>,
) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let mut views = views.into_iter();
    let object = |member| {
        let mut next = || views.next().ok_or_else(no_array);
        match member {
            Member::Array => PyView::new(next()?).into_bound_py_any(py),
            Member::Ragged => ragged(py, next()?, next()?, next()?),
        }
    };
    lists::collect(members.into_iter().map(object))
}

/// All fields, copied to shared memory, each as an object.
pub(crate) fn share(py: Python<'_>, parts: Vec<SharedField>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let fields = SharedFields::new(py, parts)?;
    let views = trace::copying(py, "nl.share", fields.nbytes(), || {
        exit::detach(py, || {
            let views = store::empty_shared(&fields.arrays()?).or_raise()?;
            fields.copy_to(&views)?;
            Ok(views)
        })
    })?;
    fields.objects(py, &views)
}

pub(crate) fn no_array() -> PyErr {
    PyRuntimeError::new_err("an array was not shared")
}
