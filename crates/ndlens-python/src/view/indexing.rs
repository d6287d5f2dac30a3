//! Basic indexing: elements and views for the keys in a view's brackets.

#![expect(
    unsafe_code,
    reason = "looks without counting where nothing can intervene; see UNSAFE.md"
)]

use ndlens::{Index, View};
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::view::element;
use crate::view::key::{element_of, integer, with_key};
use crate::view::object::{PyView, closed_beside, released};

impl PyView {
    /// The element or the view at a place of axis 0.
    #[inline]
    pub(crate) fn at<'py>(slf: &Bound<'py, Self>, place: isize) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let look = |view: &View| match view.ndim() {
            1 => Some(element::common(py, view, place)),
            _ => None,
        };
        // SAFETY: making a number runs no Python code.
        match unsafe { slf.get().claim.glance(py, look) }.ok_or_else(released)? {
            None => Self::slice(slf, &[Index::At(place)]),
            Some(Some(element)) => Ok(element),
            Some(None) => slf.get().element(py, [place].into_iter()),
        }
    }

    /// The element with these indices, one for each axis.
    fn element<'py>(
        &self,
        py: Python<'py>,
        indices: impl ExactSizeIterator<Item = isize> + Clone,
    ) -> PyResult<Bound<'py, PyAny>> {
        let look = |view: &View| element::plain(py, view, indices.clone());
        // SAFETY: making a number runs no Python code.
        match unsafe { self.claim.glance(py, look) }.flatten() {
            Some(element) => Ok(element),
            None => element::scalar(py, &*self.view()?, indices),
        }
    }

    /// Basic indexing, written in place, to the view of the new object.
    #[inline]
    fn slice<'py>(slf: &Bound<'py, Self>, key: &[Index]) -> PyResult<Bound<'py, PyAny>> {
        // The object first: making one may run the collector, and that may run any Python code.
        let object = closed_beside(slf)?;
        let fill = |slot: &mut Option<View>| {
            slf.get().claim.slice(slf.py(), key, slot).ok_or_else(released)?.or_raise()
        };
        // SAFETY: the object was just made closed, and no other code has a reference to it.
        unsafe { object.get().claim.open(fill) }?;
        Ok(object.into_any())
    }
}

#[pymethods]
impl PyView {
    /// NumPy's basic indexing: integers, slices of any step, `...` and None, fewer than there are
    /// axes if you like.
    ///
    /// Gives a view on the same memory, or the element itself if integers name one.
    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        py: Python<'py>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Some(place) = integer(key)? {
            return Self::at(slf, place);
        }
        with_key(key, |key| {
            let view = slf.get();
            if let Some(indices) = element_of(key, view.rank(py)?) {
                return view.element(py, indices.iter().copied());
            }
            Self::slice(slf, key)
        })
    }
}
