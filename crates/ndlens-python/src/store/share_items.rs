//! Items and shards on shared memory, for fields of `nl.share` that are not views.
//!
//! Everything that is shared together is in one arena. The arrays for it are collected first, from
//! all fields:
//!
//! | field | arrays | comes back as |
//! |---|---|---|
//! | a view | it | a view |
//! | shards, or some rows of a view or of shards | the rows, packed | a view |
//! | ragged items | their elements, offsets and shapes | ragged items |
//! | windows | their series, once for all windows of them | the same windows |

use std::sync::Arc;

use ndlens::loader::{Packing, Source, Windows, copy_rows};
use ndlens::store;
use ndlens::{DType, View, room};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;
use crate::lists;
use crate::loader::items::{Base, PyItems};
use crate::loader::selection::PySelection;
use crate::trace;
use crate::view::object::PyView;

/// A field to be shared.
pub(crate) enum Part {
    View(View),
    /// Rows of one shape.
    Rows(Arc<dyn Source>),
    Ragged(Arc<dyn Source>),
    Windows(Arc<Windows>, Option<View>, bool, Option<Py<PySelection>>),
}

impl Part {
    pub(crate) fn of_items(py: Python<'_>, items: &PyItems) -> Self {
        match items.base() {
            Base::Windows(windows, lengths, future) => {
                Part::Windows(Arc::clone(windows), lengths.clone(), *future, items.selection(py))
            }
            Base::Ragged(..) => Part::Ragged(items.source()),
            Base::View(_) | Base::Shards(_) => Part::Rows(items.source()),
        }
    }
}

/// An array to be made, and its source.
enum Filling {
    View(View),
    Rows(Arc<dyn Source>),
    Packed(Arc<dyn Source>, Packing),
}

/// The arrays of all fields.
#[derive(Default)]
struct Plan {
    arrays: Vec<(Vec<usize>, DType)>,
    fillings: Vec<Filling>,
}

impl Plan {
    /// The place of an array among all.
    fn add(&mut self, shape: Vec<usize>, dtype: DType, filling: Filling) -> PyResult<usize> {
        room::push(&mut self.arrays, (shape, dtype)).or_raise()?;
        room::push(&mut self.fillings, filling).or_raise()?;
        Ok(self.arrays.len() - 1)
    }

    fn add_view(&mut self, view: &View) -> PyResult<usize> {
        // Windows and what follows them are of the same series.
        let same = |filling: &Filling| match filling {
            Filling::View(other) => {
                (other.as_ptr(), other.layout(), other.dtype())
                    == (view.as_ptr(), view.layout(), view.dtype())
            }
            Filling::Rows(_) | Filling::Packed(..) => false,
        };
        match self.fillings.iter().position(same) {
            Some(place) => Ok(place),
            None => {
                self.add(view.shape().to_vec(), view.dtype().clone(), Filling::View(view.clone()))
            }
        }
    }
}

/// The arrays that a field is made of.
enum Places {
    One(usize),
    Ragged { flat: usize, offsets: usize, shapes: usize },
    Windows(Vec<usize>),
}

/// All fields, copied to shared memory, each as an object.
pub(crate) fn share(py: Python<'_>, parts: Vec<Part>) -> PyResult<Vec<Bound<'_, PyAny>>> {
    let mut plan = Plan::default();
    let mut places = vec![];
    for part in &parts {
        let place = match part {
            // A view that was given twice gives two arrays.
            Part::View(view) => {
                let (shape, dtype) = (view.shape().to_vec(), view.dtype().clone());
                Places::One(plan.add(shape, dtype, Filling::View(view.clone()))?)
            }
            Part::Rows(source) => {
                let item =
                    source.item_shape().map(|shape| shape.most().to_vec()).unwrap_or_default();
                let shape = [&[source.len()], &item[..]].concat();
                Places::One(plan.add(
                    shape,
                    source.dtype().clone(),
                    Filling::Rows(Arc::clone(source)),
                )?)
            }
            Part::Ragged(source) => {
                let packing = exit::detach(py, || Packing::of(&**source)).or_raise()?;
                let (offsets, shapes) = packing.places().or_raise()?;
                let dtype = source.dtype().clone();
                let len = packing.len();
                let filling = Filling::Packed(Arc::clone(source), packing);
                Places::Ragged {
                    flat: plan.add(vec![len], dtype, filling)?,
                    offsets: plan.add_view(&offsets)?,
                    shapes: plan.add_view(&shapes)?,
                }
            }
            Part::Windows(windows, ..) => {
                let places = windows.series().iter().map(|series| plan.add_view(series));
                Places::Windows(lists::collect(places)?)
            }
        };
        room::push(&mut places, place).or_raise()?;
    }
    let Plan { arrays, fillings } = plan;
    let bytes_of = |(shape, dtype): &(Vec<usize>, DType)| {
        shape.iter().fold(dtype.itemsize(), |bytes, &size| bytes.saturating_mul(size))
    };
    let nbytes = arrays.iter().map(bytes_of).sum();
    let fill = || {
        let arrays = room::list_of(arrays.iter().map(|(shape, dtype)| (&shape[..], dtype.clone())))
            .or_raise()?;
        let views = store::empty_shared(&arrays).or_raise()?;
        for (target, filling) in views.iter().zip(&fillings) {
            match filling {
                Filling::View(view) => target.assign(view).or_raise()?,
                Filling::Rows(source) => copy_rows(&**source, target).or_raise()?,
                Filling::Packed(source, packing) => {
                    packing.copy_to(&**source, target).or_raise()?;
                }
            }
        }
        PyResult::Ok(views)
    };
    let views = trace::copying(py, "nl.share", nbytes, || exit::detach(py, fill))?;
    let view = |place: usize| {
        views.get(place).cloned().ok_or_else(|| PyRuntimeError::new_err("an array was not shared"))
    };
    let object = |(part, places): (Part, Places)| match places {
        Places::One(place) => PyView::new(view(place)?).into_bound_py_any(py),
        Places::Ragged { flat, offsets, shapes } => {
            let base = Base::packed(view(flat)?, view(offsets)?, view(shapes)?)?;
            PyItems::of(base, None)?.into_bound_py_any(py)
        }
        Places::Windows(places) => {
            let series = lists::collect(places.into_iter().map(view))?;
            let Part::Windows(windows, lengths, future, selection) = part else {
                return Err(PyRuntimeError::new_err("windows were not shared"));
            };
            let windows = windows.of_series(series).or_raise()?;
            PyItems::of(Base::Windows(Arc::new(windows), lengths, future), selection)?
                .into_bound_py_any(py)
        }
    };
    lists::collect(parts.into_iter().zip(places).map(object))
}
