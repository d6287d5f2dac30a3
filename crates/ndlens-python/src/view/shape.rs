//! Other shapes over the same memory.

use ndlens::View;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::error::OrRaise;
use crate::interop::dtype::extract_dtype;
use crate::lists::{Asked, extract_all, extract_axes, list_of};
use crate::view::object::PyView;

/// Numbers given one by one, `v.permute(2, 0, 1)`, or as one sequence, `v.permute((2, 0, 1))`.
fn numbers(args: &Bound<'_, PyTuple>) -> PyResult<Vec<isize>> {
    match args.get_item(0) {
        Ok(several) if args.len() == 1 && is_iterable(&several)? => extract_axes(&several),
        _ => extract_axes(args.as_any()),
    }
}

fn is_iterable(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(object.try_iter().if_taken(object.py())?.is_some())
}

/// One number or several.
fn one_or_more(numbers: &Bound<'_, PyAny>) -> PyResult<Vec<isize>> {
    if is_iterable(numbers)? { extract_axes(numbers) } else { Ok(vec![numbers.extract()?]) }
}

/// A list of new views.
fn wrap(
    py: Python<'_>,
    views: impl ExactSizeIterator<Item = ndlens::Result<View>>,
) -> PyResult<Bound<'_, PyList>> {
    list_of(py, views.map(|view| Ok(Bound::new(py, PyView::new(view.or_raise()?))?.into_any())))
}

#[pymethods]
impl PyView {
    /// The view with its axes in another order, as `torch.permute`.
    ///
    /// Args:
    ///     `*axes`: Each axis once; axis i of the result is axis `axes[i]` of this view.
    ///
    /// Raises:
    ///     `ValueError`: An axis is missing or named twice.
    ///     `IndexError`: The view has no such axis.
    #[pyo3(signature = (*axes))]
    fn permute(&self, axes: &Bound<'_, PyTuple>) -> PyResult<PyView> {
        self.view()?.permute(&numbers(axes)?).map(PyView::new).or_raise()
    }

    /// The view with the given axes, or all of them, reversed by negative strides.
    ///
    /// Args:
    ///     `*axes`: Axes to reverse; all if none is given.
    ///
    /// Raises:
    ///     `ValueError`: An axis is named twice.
    ///     `IndexError`: The view has no such axis.
    #[pyo3(signature = (*axes))]
    fn flip(&self, axes: &Bound<'_, PyTuple>) -> PyResult<PyView> {
        let axes = if axes.is_empty() {
            (0..self.view()?.ndim() as isize).collect()
        } else {
            numbers(axes)?
        };
        self.view()?.flip(&axes).map(PyView::new).or_raise()
    }

    /// Windows of `size` elements along an axis, one from every `step`-th start.
    ///
    /// Shape (N, F) gives (1 + (N - size) // step, size, F) for axis 0. The windows overlap in
    /// memory if `step < size`.
    ///
    /// Args:
    ///     `size`: Elements in a window.
    ///     `step`: Elements from one start to the next.
    ///     `axis`: Axis along which windows are taken.
    ///
    /// Raises:
    ///     `ValueError`: `size` or `step` is not positive, or `size` is larger than the axis.
    ///     `IndexError`: The view has no such axis.
    ///
    /// >>> import ndlens as nl
    /// >>> nl.view(bytes(range(5))).windows(3).tolist()
    /// [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    #[pyo3(signature = (size, step = 1, axis = 0))]
    fn windows(&self, size: isize, step: isize, axis: isize) -> PyResult<PyView> {
        let count = |name, got: isize| {
            usize::try_from(got).map_err(|_| ndlens::Error::EmptyWindow { name, got })
        };
        let (size, step) = (count("size", size).or_raise()?, count("step", step).or_raise()?);
        self.view()?.windows(size, step, axis).map(PyView::new).or_raise()
    }

    /// The same elements in C order in another shape; never copies.
    ///
    /// Args:
    ///     `*shape`: Size of each axis; one may be -1 for what is left.
    ///
    /// Raises:
    ///     `CopyRequired`: No strides give this shape.
    ///     `ValueError`: The sizes do not match.
    #[pyo3(signature = (*shape))]
    fn reshape(&self, shape: &Bound<'_, PyTuple>) -> PyResult<PyView> {
        self.view()?.reshape(&numbers(shape)?).map(PyView::new).or_raise()
    }

    /// The view with its axes in reverse order.
    #[getter(T)]
    pub(crate) fn reversed_axes(&self) -> PyResult<PyView> {
        let axes: Vec<isize> = (0..self.view()?.ndim() as isize).rev().collect();
        self.view()?.permute(&axes).map(PyView::new).or_raise()
    }

    /// The view with its last two axes exchanged: each matrix transposed.
    #[getter(mT)]
    fn transposed_matrices(&self) -> PyResult<PyView> {
        if self.view()?.ndim() < 2 {
            return Err(PyValueError::new_err("mT needs at least 2 dimensions"));
        }
        self.swapaxes(-2, -1)
    }

    /// The view with its axes in another order, as `permute`; without axes, as `T`.
    ///
    /// Args:
    ///     `*axes`: Each axis once, or none.
    ///
    /// Raises:
    ///     `ValueError`: An axis is missing or named twice.
    ///     `IndexError`: The view has no such axis.
    #[pyo3(signature = (*axes))]
    fn transpose(&self, axes: &Bound<'_, PyTuple>) -> PyResult<PyView> {
        if axes.is_empty() || axes.len() == 1 && axes.get_item(0)?.is_none() {
            return self.reversed_axes();
        }
        self.permute(axes)
    }

    /// The view with two axes exchanged, as `np.swapaxes`.
    ///
    /// Raises:
    ///     `IndexError`: The view has no such axis.
    #[pyo3(signature = (axis1, axis2, /))]
    fn swapaxes(&self, axis1: isize, axis2: isize) -> PyResult<PyView> {
        self.view()?.swapaxes(axis1, axis2).map(PyView::new).or_raise()
    }

    /// The view with some axes moved to other places, as `np.moveaxis`.
    ///
    /// Args:
    ///     `source`: Axis or axes to move.
    ///     `destination`: Places of these axes in the result. The other axes keep their order.
    ///
    /// Raises:
    ///     `ValueError`: An axis is named twice, or `source` and `destination` are not as many.
    ///     `IndexError`: The view has no such axis.
    fn moveaxis(
        &self,
        source: &Bound<'_, PyAny>,
        destination: &Bound<'_, PyAny>,
    ) -> PyResult<PyView> {
        let (source, destination) = (one_or_more(source)?, one_or_more(destination)?);
        self.view()?.moveaxis(&source, &destination).map(PyView::new).or_raise()
    }

    /// The elements along one axis, in C order; never copies, as `reshape(-1)`.
    ///
    /// Raises:
    ///     `CopyRequired`: No single stride leads from each element to the next.
    fn ravel(&self) -> PyResult<PyView> {
        self.view()?.reshape(&[-1]).map(PyView::new).or_raise()
    }

    /// The view without the given axes of size 1, or without all of them.
    ///
    /// Args:
    ///     `axis`: Axis or axes to drop; None for all of size 1.
    ///
    /// Raises:
    ///     `ValueError`: An axis is not of size 1.
    ///     `IndexError`: The view has no such axis.
    #[pyo3(signature = (axis = None))]
    fn squeeze(&self, axis: Option<&Bound<'_, PyAny>>) -> PyResult<PyView> {
        let axes = axis.map(one_or_more).transpose()?;
        self.view()?.squeeze(axes.as_deref()).map(PyView::new).or_raise()
    }

    /// The view with new axes of size 1.
    ///
    /// Args:
    ///     `axis`: Place or places of the new axes in the result.
    ///
    /// Raises:
    ///     `IndexError`: The result has no such axis.
    fn expand_dims(&self, axis: &Bound<'_, PyAny>) -> PyResult<PyView> {
        self.view()?.expand_dims(&one_or_more(axis)?).map(PyView::new).or_raise()
    }

    /// The same elements in a larger shape, with axes of size 1 repeated by a stride of 0.
    ///
    /// The result is read-only, as `np.broadcast_to` gives it.
    ///
    /// Args:
    ///     `*shape`: Size of each axis.
    ///
    /// Raises:
    ///     `ValueError`: The shapes do not broadcast.
    ///
    /// >>> import ndlens as nl
    /// >>> nl.view(b"abc").broadcast_to(2, 3).tobytes()
    /// b'abcabc'
    #[pyo3(signature = (*shape))]
    fn broadcast_to(&self, shape: &Bound<'_, PyTuple>) -> PyResult<PyView> {
        let refuse = |_| PyValueError::new_err("all sizes of a shape must be at least 0");
        let shape = numbers(shape)?
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<Vec<_>, _>>()
            .map_err(refuse)?;
        self.view()?.broadcast_to(&shape).map(|view| PyView::new(view.to_read_only())).or_raise()
    }

    /// The elements whose indices along two axes differ by `offset`, along a new last axis.
    ///
    /// Args:
    ///     `offset`: Index along `axis2` less index along `axis1`.
    ///     `axis1`: First axis of the planes.
    ///     `axis2`: Second axis of the planes.
    ///
    /// Raises:
    ///     `ValueError`: The two axes are the same.
    ///     `IndexError`: The view has no such axis.
    #[pyo3(signature = (offset = 0, axis1 = 0, axis2 = 1))]
    fn diagonal(&self, offset: isize, axis1: isize, axis2: isize) -> PyResult<PyView> {
        self.view()?.diagonal(offset, axis1, axis2).map(PyView::new).or_raise()
    }

    /// The view cut along an axis, as `np.split`.
    ///
    /// Args:
    ///     `indices_or_sections`: Number of equal pieces, or the places of the cuts.
    ///     `axis`: Axis that is cut.
    ///
    /// Raises:
    ///     `ValueError`: The axis does not divide into equal pieces.
    ///     `IndexError`: The view has no such axis.
    #[pyo3(signature = (indices_or_sections, axis = 0))]
    fn split<'py>(
        &self,
        py: Python<'py>,
        indices_or_sections: &Bound<'py, PyAny>,
        axis: isize,
    ) -> PyResult<Bound<'py, PyList>> {
        if let Ok(sections) = indices_or_sections.extract::<isize>() {
            let view = self.view()?.clone();
            return wrap(py, view.split(usize::try_from(sections).unwrap_or(0), axis).or_raise()?);
        }
        let places = extract_all(indices_or_sections)?;
        let view = self.view()?.clone();
        wrap(py, view.split_at(&places, axis).or_raise()?)
    }

    /// The view at each place of an axis, as `torch.unbind`.
    ///
    /// Raises:
    ///     `IndexError`: The view has no such axis.
    #[pyo3(signature = (axis = 0))]
    fn unbind<'py>(&self, py: Python<'py>, axis: isize) -> PyResult<Bound<'py, PyList>> {
        let view = self.view()?.clone();
        wrap(py, view.unbind(axis).or_raise()?)
    }

    /// The same bytes as elements of another dtype, as `ndarray.view`; never copies.
    ///
    /// Args:
    ///     `dtype`: A name, a format of the buffer protocol, a NumPy or a torch dtype.
    ///
    /// Raises:
    ///     `ValueError`: The last axis does not hold a whole number of elements.
    ///     `CopyRequired`: The last axis is not packed.
    ///     `TypeError`: ndlens has no such dtype.
    fn reinterpret(&self, dtype: &Bound<'_, PyAny>) -> PyResult<PyView> {
        self.view()?.reinterpret(extract_dtype(dtype)?).map(PyView::new).or_raise()
    }
}
