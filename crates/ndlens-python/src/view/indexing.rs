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
        // SAFETY: making a number runs no Python code.
        let element =
            unsafe { slf.get().claim.glance(py, |view| element::common(py, view, place)) };
        match element.flatten() {
            Some(element) => Ok(element),
            None => Self::part_at(slf, place),
        }
    }

    /// As [`at`](Self::at), for any elements and any rank.
    fn part_at<'py>(slf: &Bound<'py, Self>, place: isize) -> PyResult<Bound<'py, PyAny>> {
        let view = slf.get();
        if view.rank(slf.py())? != 1 {
            return Self::slice(slf, &[Index::At(place)]);
        }
        element::scalar(slf.py(), &*view.view()?, [place].into_iter())
    }

    #[inline]
    fn rank(&self, py: Python<'_>) -> PyResult<usize> {
        // SAFETY: `ndim` runs no Python code.
        unsafe { self.claim.glance(py, View::ndim) }.ok_or_else(released)
    }

    /// Basic indexing, written in place, to the view of the new object.
    #[inline]
    fn slice<'py>(slf: &Bound<'py, Self>, key: &[Index]) -> PyResult<Bound<'py, PyAny>> {
        // The object first: making one may run the collector, and that may run any Python code.
        let object = closed_beside(slf)?;
        let fill = |slot: &mut Option<View>| {
            // SAFETY: indexing runs no Python code.
            let indexed =
                unsafe { slf.get().claim.glance(slf.py(), |view| view.index_into(key, slot)) };
            indexed.ok_or_else(released)?.or_raise()
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
                return element::scalar(py, &*view.view()?, indices.into_iter());
            }
            Self::slice(slf, key)
        })
    }
}
