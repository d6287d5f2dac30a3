//! `nl.View`.

#![expect(unsafe_code, reason = "implements the buffer protocol's slot; see UNSAFE.md")]

use std::ffi::c_int;

use ndlens::{Order, View};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyImportError, PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyCapsule, PyTuple};

use crate::error::OrRaise;
use crate::key::{names_an_element, with_key};
use crate::{dlpack, element, export};

/// An N-dimensional view of memory that something else owns; made by `nl.view` and `nl.open`.
///
/// `v[...]`, `permute`, `flip`, `windows` and `reshape` give views of the same memory and never copy. `numpy`, `torch`,
/// the buffer protocol and DLPack hand it on without a copy. `copy`, `tobytes` and `tolist` copy.
///
/// >>> import ndlens as nl
/// >>> v = nl.view(bytearray(range(24))).reshape(2, 3, 4)
/// >>> v[1, :, ::2]
/// <ndlens.View shape=(3, 2) dtype=uint8 strides=(4, 2)>
/// >>> v[1, :, ::2].tolist()
/// [[12, 14], [16, 18], [20, 22]]
#[pyclass(frozen, name = "View", module = "ndlens", weakref)]
pub(crate) struct PyView {
    view: View,
}

impl PyView {
    pub(crate) fn new(view: View) -> Self {
        PyView { view }
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }
}

/// Numbers given one by one, `v.permute(2, 0, 1)`, or as one sequence, `v.permute((2, 0, 1))`.
fn numbers(args: &Bound<'_, PyTuple>) -> PyResult<Vec<isize>> {
    let several = if args.len() == 1 { args.get_item(0)?.try_iter().ok() } else { None };
    several.map_or_else(|| args.try_iter(), Ok)?.map(|number| number?.extract()).collect()
}

/// A function of a module that is optional.
pub(crate) fn needs<'py>(
    py: Python<'py>,
    module: &str,
    name: &str,
    why: &'static str,
) -> PyResult<Bound<'py, PyAny>> {
    let module = py.import(module).map_err(|cause| {
        let error = PyImportError::new_err(why);
        error.set_cause(py, Some(cause));
        error
    })?;
    module.getattr(name)
}

fn tuple<'py, T: IntoPyObject<'py> + Copy>(py: Python<'py>, numbers: &[T]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, numbers.iter().copied())
}

#[pymethods]
impl PyView {
    /// The size of each axis.
    #[getter]
    fn shape<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.view.shape())
    }

    /// The bytes from one element to the next along each axis; negative where the axis runs backwards.
    #[getter]
    fn strides<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        tuple(py, self.view.strides())
    }

    /// The number of axes.
    #[getter]
    fn ndim(&self) -> usize {
        self.view.ndim()
    }

    /// What the elements are: NumPy's name, such as "float32", or the buffer format where NumPy has no one-word name.
    #[getter]
    fn dtype(&self) -> &str {
        self.view.dtype().name()
    }

    /// The buffer protocol's format (PEP 3118, the `struct` module's letters), or None where it has none.
    #[getter]
    fn format(&self) -> Option<&str> {
        self.view.dtype().format()?.to_str().ok()
    }

    /// Bytes of one element.
    #[getter]
    fn itemsize(&self) -> usize {
        self.view.itemsize()
    }

    /// Bytes of all elements: what a copy takes.
    #[getter]
    fn nbytes(&self) -> usize {
        self.view.nbytes()
    }

    /// The number of elements.
    #[getter]
    fn size(&self) -> usize {
        self.view.len()
    }

    /// Whether the memory must not be written through this view.
    #[getter]
    fn readonly(&self) -> bool {
        self.view.is_read_only()
    }

    /// Whether the elements lie packed, the last index fastest.
    #[getter]
    fn c_contiguous(&self) -> bool {
        self.view.is_contiguous(Order::C)
    }

    /// Whether the elements lie packed, the first index fastest.
    #[getter]
    fn f_contiguous(&self) -> bool {
        self.view.is_contiguous(Order::F)
    }

    /// Whether the elements lie packed in either order.
    #[getter]
    fn contiguous(&self) -> bool {
        self.c_contiguous() || self.f_contiguous()
    }

    fn __len__(&self) -> PyResult<usize> {
        self.view.shape().first().copied().ok_or_else(|| PyTypeError::new_err("0-dim view has no length"))
    }

    /// NumPy's basic indexing: integers, slices of any step, `...` and None, fewer than there are axes if you like.
    ///
    /// Gives a view on the same memory, or the element itself where integers name one.
    fn __getitem__(&self, py: Python<'_>, key: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        with_key(key, |key| {
            let view = self.view.index(key).or_raise()?;
            if view.ndim() == 0 && names_an_element(key) {
                return element::scalar(py, &view);
            }
            PyView::new(view).into_py_any(py)
        })
    }

    /// Axes in another order, as `torch.permute`: axis i of the result is axis `axes[i]` of this view.
    ///
    /// Raises `ValueError` unless each axis is named once, `IndexError` for an axis that is not there.
    #[pyo3(signature = (*axes))]
    fn permute(&self, axes: &Bound<'_, PyTuple>) -> PyResult<PyView> {
        self.view.permute(&numbers(axes)?).map(PyView::new).or_raise()
    }

    /// The given axes, or all of them, run backwards, by negative strides.
    #[pyo3(signature = (*axes))]
    fn flip(&self, axes: &Bound<'_, PyTuple>) -> PyResult<PyView> {
        let axes = if axes.is_empty() { (0..self.view.ndim() as isize).collect() } else { numbers(axes)? };
        self.view.flip(&axes).map(PyView::new).or_raise()
    }

    /// Runs of `size` elements along `axis`, one from every `step`-th start: shape (N, F) gives
    /// (1 + (N - size) // step, size, F) for axis 0. The windows overlap in memory where `step < size`.
    ///
    /// >>> import ndlens as nl
    /// >>> nl.view(bytes(range(5))).windows(3).tolist()
    /// [[0, 1, 2], [1, 2, 3], [2, 3, 4]]
    #[pyo3(signature = (size, step = 1, axis = 0))]
    fn windows(&self, size: isize, step: isize, axis: isize) -> PyResult<PyView> {
        let count =
            |name, got: isize| usize::try_from(got).map_err(|_| ndlens::Error::EmptyWindow { name, got });
        let (size, step) = (count("size", size).or_raise()?, count("step", step).or_raise()?);
        self.view.windows(size, step, axis).map(PyView::new).or_raise()
    }

    /// The same elements in C order under another shape; one size may be -1.
    ///
    /// Never copies: raises `CopyRequired` where no strides give this shape, `ValueError` where the sizes do not match.
    #[pyo3(signature = (*shape))]
    fn reshape(&self, shape: &Bound<'_, PyTuple>) -> PyResult<PyView> {
        self.view.reshape(&numbers(shape)?).map(PyView::new).or_raise()
    }

    /// The same view, read-only.
    fn toreadonly(&self) -> PyView {
        PyView::new(self.view.to_read_only())
    }

    /// The elements packed into new memory, writable and aligned to 64 bytes, in C order ("C") or Fortran order ("F").
    #[pyo3(signature = (order = "C"))]
    fn copy(&self, py: Python<'_>, order: &str) -> PyResult<PyView> {
        let order = match order {
            "C" => Order::C,
            "F" => Order::F,
            _ => {
                return Err(PyValueError::new_err(format!(
                    "unknown order {order:?}: expected \"C\" or \"F\""
                )));
            }
        };
        py.detach(|| self.view.copy(order)).map(PyView::new).or_raise()
    }

    /// The elements' bytes, in C order.
    fn tobytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, self.view.nbytes(), |bytes| self.view.read_into(bytes).or_raise())
    }

    /// The elements as nested lists of Python numbers; a view of rank 0 gives its element.
    fn tolist(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        element::nested_lists(py, &self.view)
    }

    /// A `numpy.ndarray` on the same memory. Nothing is copied; a read-only view gives a read-only array.
    ///
    /// Raises `BufferError` where NumPy has no such dtype (bfloat16, float8), `ImportError` without NumPy.
    pub(crate) fn numpy<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        export::format(slf.get().view())?;
        needs(slf.py(), "numpy", "asarray", "View.numpy() needs NumPy: pip install numpy")?.call1((slf,))
    }

    /// What NumPy asks for where the buffer protocol cannot help: the same array, or the reason why there is none.
    #[pyo3(signature = (dtype = None, copy = None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let array = PyView::numpy(slf)?;
        let arguments = [("copy", copy)].into_py_dict(slf.py())?;
        arguments.set_item("dtype", dtype)?;
        slf.py().import("numpy")?.call_method("array", (array,), Some(&arguments))
    }

    /// A `torch.Tensor` on the same memory, strides and all. Nothing is copied.
    ///
    /// Raises `CopyRequired` for negative strides, which torch does not have, and `ReadOnlyError` for a read-only view,
    /// since torch would write to it: open files with `mode="c"`, `copy()` first, or pass `readonly="allow"` and never
    /// write to the tensor. Raises `TypeError` where torch has no such dtype, `ImportError` without PyTorch.
    #[pyo3(signature = (*, readonly = None))]
    fn torch<'py>(&self, py: Python<'py>, readonly: Option<&str>) -> PyResult<Bound<'py, PyAny>> {
        let allow = match readonly {
            None => false,
            Some("allow") => true,
            Some(other) => {
                return Err(PyValueError::new_err(format!(
                    "unknown readonly={other:?}: expected \"allow\" or None"
                )));
            }
        };
        dlpack::torch(py, &self.view, allow)
    }

    /// A DLPack capsule on the same memory, as the array API asks for it.
    ///
    /// `stream` must be None, since memory on the CPU has no streams. `max_version` (1, 0) or later gives a versioned
    /// capsule, which can say read-only. `copy=True` gives the consumer its own memory.
    #[pyo3(signature = (*, stream = None, max_version = None, dl_device = None, copy = None))]
    fn __dlpack__<'py>(
        &self,
        py: Python<'py>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        if let Some(stream) = stream {
            return Err(PyValueError::new_err(format!(
                "stream must be None for memory on the CPU, got {stream}"
            )));
        }
        dlpack::export(py, &self.view, max_version, dl_device, copy)
    }

    /// The CPU: (1, 0).
    #[expect(clippy::unused_self, reason = "a method by the array API")]
    fn __dlpack_device__(&self) -> (i32, i32) {
        (ndlens::DLDevice::CPU.device_type, ndlens::DLDevice::CPU.device_id)
    }

    /// # Safety
    ///
    /// Called by the interpreter with a struct to fill.
    unsafe fn __getbuffer__(
        slf: &Bound<'_, Self>,
        buffer: *mut ffi::Py_buffer,
        flags: c_int,
    ) -> PyResult<()> {
        // SAFETY: passed on.
        unsafe { export::fill(slf, buffer, flags) }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let tuple = |numbers| PyResult::Ok(PyTuple::new(py, numbers)?.repr()?.to_string());
        Ok(format!(
            "<ndlens.View shape={} dtype={} strides={}{}>",
            tuple(self.view.shape().iter().map(|&n| n as isize).collect::<Vec<_>>())?,
            self.view.dtype(),
            tuple(self.view.strides().to_vec())?,
            if self.view.is_read_only() { " readonly" } else { "" }
        ))
    }
}
