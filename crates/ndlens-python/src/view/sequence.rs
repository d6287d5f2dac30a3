//! The methods of a `memoryview` and of a sequence.

use std::sync::atomic::{AtomicUsize, Ordering};

use ndlens::{DType, Order, View};
use pyo3::basic::CompareOp;
use pyo3::exceptions::{
    PyBufferError, PyIndexError, PyNotImplementedError, PyOverflowError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyFloat, PyInt, PySequence, PyString};

use crate::error::OrRaise;
use crate::interop::dtype::extract_dtype;
use crate::interop::import::{extract_elements, extract_view};
use crate::interrupt;
use crate::lists::{self, LOOK};
use crate::optional;
use crate::trace;
use crate::view::element;
use crate::view::object::{NO_HASH, PyView};

/// "C" or "F", or "A" for whichever the elements are packed in.
fn order(view: &View, name: Option<&str>) -> PyResult<Order> {
    match name.unwrap_or("C") {
        "C" => Ok(Order::C),
        "F" => Ok(Order::F),
        "A" => Ok(view.packed_order()),
        other => Err(PyValueError::new_err(format!(
            "unknown order {other:?}: expected \"C\", \"F\" or \"A\""
        ))),
    }
}

fn bad_places(indices: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    match indices.get_type().name() {
        Ok(_) if !lists::is_refusal(indices.py(), &error) => error,
        Ok(_) if error.is_instance_of::<PyOverflowError>(indices.py()) => {
            PyIndexError::new_err("an index does not fit an index-sized integer")
        }
        Ok(name) => PyTypeError::new_err(format!("take needs a sequence of integers, got {name}")),
        Err(error) => error,
    }
}

/// An integer, or the farthest one of its sign that fits an index.
fn clamped(number: &Bound<'_, PyAny>) -> PyResult<isize> {
    match number.extract::<isize>() {
        Err(error) if error.is_instance_of::<PyOverflowError>(number.py()) => {
            Ok(if number.lt(0)? { isize::MIN } else { isize::MAX })
        }
        result => result,
    }
}

/// Checks for Ctrl-C in some rounds of a loop that runs no Python code.
#[inline]
fn look(py: Python<'_>, round: usize) -> PyResult<()> {
    if round % LOOK == LOOK - 1 { py.check_signals() } else { Ok(()) }
}

/// The elements packed in new memory, for this operation.
fn packed(py: Python<'_>, view: &View, order: Order, operation: &str) -> PyResult<PyView> {
    trace::copying(py, operation, view.nbytes(), || {
        interrupt::detached(py, || view.copy(order)).map(PyView::new)
    })
}

/// The elements' bytes in C order, for this operation.
fn bytes_for<'py>(py: Python<'py>, view: &View, operation: &str) -> PyResult<Bound<'py, PyBytes>> {
    trace::copying(py, operation, view.nbytes(), || lists::bytes_of(py, view))
}

/// A letter of the `struct` module and the bytes of its elements, for a letter or for a dtype that
/// has one.
fn native_format(py: Python<'_>, format: &Bound<'_, PyAny>) -> PyResult<(String, usize)> {
    let is_text = format.is_instance_of::<PyString>();
    let text = if is_text { format.extract()? } else { extract_dtype(format)?.to_string() };
    let refuse = || {
        PyValueError::new_err(format!(
            "destination format must be a native single character format, got {text:?}"
        ))
    };
    let letter = text.strip_prefix('@').unwrap_or(&text);
    let is_letter = letter.len() == 1 && !matches!(letter, "x" | "s" | "p");
    if is_letter && let Ok(size) = optional::get(py, "struct", "calcsize")?.call1((letter,)) {
        return Ok((letter.to_owned(), size.extract()?));
    }
    // A byte order before a single letter is the struct module's, and not native.
    if text.len() < 2 || text.len() == 2 && !text.as_bytes()[0].is_ascii_alphabetic() {
        return Err(refuse());
    }
    let dtype = DType::parse(&text).map_err(|_| refuse())?;
    match dtype.format().and_then(|letters| letters.to_str().ok()) {
        Some(letters) if letters.len() == 1 => Ok((letters.to_owned(), dtype.itemsize())),
        _ => Err(refuse()),
    }
}

#[pymethods]
impl PyView {
    fn __len__(&self) -> PyResult<usize> {
        self.view()?
            .shape()
            .first()
            .copied()
            .ok_or_else(|| PyTypeError::new_err("0-dim view has no length"))
    }

    /// The elements of a view of rank 1, or the views along axis 0.
    fn __iter__(slf: Bound<'_, Self>) -> PyResult<PyViewIterator> {
        let len = slf.get().__len__()?;
        Ok(PyViewIterator { view: slf.unbind(), next: AtomicUsize::new(0), end: len })
    }

    fn __reversed__(&self, py: Python<'_>) -> PyResult<PyViewIterator> {
        self.__len__()?;
        let backwards = PyView::new(self.view()?.flip(&[0]).or_raise()?);
        PyView::__iter__(Bound::new(py, backwards)?)
    }

    /// The elements packed in new memory, writable and aligned to 64 bytes.
    ///
    /// Args:
    ///     `order`: "C" order, Fortran order ("F"), or the one that they are packed in ("A").
    ///
    /// Raises:
    ///     `MemoryError`: There is not enough memory.
    ///     `TruncatedError`: Bytes of the view are lost.
    #[pyo3(signature = (order = "C"))]
    fn copy(&self, py: Python<'_>, order: &str) -> PyResult<PyView> {
        let view = self.view()?.clone();
        let order = self::order(&view, Some(order))?;
        packed(py, &view, order, "View.copy")
    }

    /// This view if its elements are packed in C order, else a copy.
    ///
    /// As `np.ascontiguousarray`. (`contiguous` is `memoryview`'s name of the flag.)
    fn ascontiguous(slf: Bound<'_, Self>) -> PyResult<Bound<'_, Self>> {
        let view = slf.get().view()?.clone();
        if view.is_contiguous(Order::C) {
            return Ok(slf);
        }
        let copy = packed(slf.py(), &view, Order::C, "View.ascontiguous")?;
        Bound::new(slf.py(), copy)
    }

    /// The elements at the given places of an axis, in their order, packed in new memory.
    ///
    /// As `np.take`.
    ///
    /// Args:
    ///     `indices`: Integers, or anything `nl.view` takes of integers, of shape (n,); negative
    ///         ones count from the end.
    ///     `axis`: Axis along which elements are taken.
    ///
    /// Raises:
    ///     `IndexError`: A place is out of bounds, or the view has no such axis.
    ///     `TypeError`: `indices` are not integers.
    #[pyo3(signature = (indices, axis = 0))]
    fn take(&self, py: Python<'_>, indices: &Bound<'_, PyAny>, axis: isize) -> PyResult<PyView> {
        let places: Vec<isize> = match extract_elements(indices) {
            Ok(places) => trace::copying(py, "array of indices", places.nbytes(), || {
                lists::extract_all(&element::nested_lists(py, &places)?)
            })?,
            Err(error)
                if error.is_instance_of::<PyBufferError>(py) || !lists::is_refusal(py, &error) =>
            {
                return Err(error);
            }
            Err(_) => indices
                .cast::<PySequence>()
                .map_err(PyErr::from)
                .and_then(|_| lists::extract_all(indices))
                .map_err(|error: PyErr| bad_places(indices, error))?,
        };
        let view = self.view()?.clone();
        let sizes = view.shape().iter().enumerate();
        let at = if axis < 0 { axis.wrapping_add_unsigned(view.ndim()) } else { axis };
        let others = sizes.filter(|(other, _)| *other as isize != at).map(|(_, &size)| size);
        let nbytes = others.fold(places.len() * view.itemsize(), usize::saturating_mul);
        trace::copying(py, "View.take", nbytes, || {
            interrupt::detached(py, || view.take(&places, axis)).map(PyView::new)
        })
    }

    /// The bytes of the elements.
    ///
    /// Args:
    ///     `order`: "C" order (the default), Fortran order ("F"), or the one that they are packed
    ///         in ("A").
    #[pyo3(signature = (order = None))]
    fn tobytes<'py>(&self, py: Python<'py>, order: Option<&str>) -> PyResult<Bound<'py, PyBytes>> {
        let view = self.view()?;
        let turned = match self::order(&view, order)? {
            Order::C => None,
            Order::F => Some(self.reversed_axes()?),
        };
        let view = turned.as_ref().map_or(Ok(view), PyView::view)?;
        bytes_for(py, &view, "View.tobytes")
    }

    /// The elements as nested lists of Python numbers.
    ///
    /// A view of rank 0 gives its element.
    fn tolist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let view = self.view()?;
        trace::copying(py, "View.tolist", view.nbytes(), || element::nested_lists(py, &view))
    }

    /// The only element, as a Python number.
    ///
    /// Raises:
    ///     `ValueError`: The view has no element, or several.
    fn item<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let view = self.view()?;
        if view.len() != 1 {
            return Err(PyValueError::new_err(format!(
                "item() needs one element, got {}",
                view.len()
            )));
        }
        element::scalar(py, &view, view.shape().iter().map(|_| 0))
    }

    fn __int__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.get_type::<PyInt>().call1((self.item(py)?,))
    }

    fn __float__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.get_type::<PyFloat>().call1((self.item(py)?,))
    }

    /// The bytes of the elements in C order as hexadecimal digits, as `bytes.hex`.
    ///
    /// Args:
    ///     `sep`: Character between groups of bytes.
    ///     `bytes_per_sep`: Bytes in a group, counted from the right; from the left if negative.
    #[pyo3(signature = (sep = None, bytes_per_sep = 1))]
    fn hex<'py>(
        &self,
        py: Python<'py>,
        sep: Option<&Bound<'py, PyAny>>,
        bytes_per_sep: isize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let bytes = bytes_for(py, &*self.view()?, "View.hex")?;
        match sep {
            Some(sep) => bytes.call_method1("hex", (sep, bytes_per_sep)),
            None => bytes.call_method0("hex"),
        }
    }

    /// The same bytes in another format of the `struct` module, as `memoryview.cast`.
    ///
    /// To or from a format of one byte, of a view that is packed in C order.
    ///
    /// Args:
    ///     `format`: A letter of the `struct` module, or a dtype that has one.
    ///     `shape`: Shape of the result; None for one axis.
    ///
    /// Raises:
    ///     `TypeError`: `memoryview` would not cast it either.
    #[pyo3(signature = (format, shape = None))]
    fn cast(
        &self,
        py: Python<'_>,
        format: &Bound<'_, PyAny>,
        shape: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<PyView> {
        let refuse = |message: String| Err(PyTypeError::new_err(message));
        let (letter, itemsize) = native_format(py, format)?;
        let letter = letter.as_str();
        let view = self.view()?;
        if !view.is_contiguous(Order::C) {
            return refuse("casts are restricted to C-contiguous views".to_owned());
        }
        let byte = |format: &str| matches!(format, "B" | "b" | "c");
        if !byte(letter)
            && !byte(view.dtype().format().and_then(|own| own.to_str().ok()).unwrap_or(""))
        {
            return refuse(format!(
                "cannot cast between two non-byte formats, {} and {letter}",
                view.dtype()
            ));
        }
        let dtype = DType::from_format(letter, itemsize).or_raise()?;
        if !view.nbytes().is_multiple_of(itemsize) {
            return refuse(format!(
                "{} bytes are not a whole number of elements of {itemsize} bytes",
                view.nbytes()
            ));
        }
        let bytes = view
            .reshape(&[-1])
            .and_then(|flat| flat.reinterpret(DType::U8))
            .and_then(|b| b.reinterpret(dtype));
        let cast = bytes.or_raise()?;
        let Some(shape) = shape else { return Ok(PyView::new(cast)) };
        let shape: Vec<isize> = lists::extract_axes(shape)?;
        if shape.iter().any(|&n| n < 0) {
            return Err(PyValueError::new_err(format!(
                "a shape to cast to has no negative size, got {shape:?}"
            )));
        }
        match cast.reshape(&shape) {
            Ok(cast) => Ok(PyView::new(cast)),
            Err(_) => refuse(format!("{} elements do not fit shape {shape:?}", cast.len())),
        }
    }

    /// Whether two views, or a view and anything `nl.view` takes, have the same shape and equal
    /// elements.
    fn __richcmp__(
        &self,
        py: Python<'_>,
        other: &Bound<'_, PyAny>,
        op: CompareOp,
    ) -> PyResult<Py<PyAny>> {
        let unequal = match op {
            CompareOp::Eq => false,
            CompareOp::Ne => true,
            _ => return Ok(py.NotImplemented()),
        };
        let other = match extract_view(other) {
            // A tensor whose elements must be computed is compared too.
            Err(error) if error.is_instance_of::<PyBufferError>(py) => extract_elements(other),
            result => result,
        };
        let other = match other {
            Err(error) if !lists::is_refusal(py, &error) => return Err(error),
            other => other,
        };
        let (Ok(view), Ok(other)) = (self.view(), other) else { return Ok(py.NotImplemented()) };
        let equal = match interrupt::detached(py, || view.equals(&other))? {
            Some(equal) => equal,
            // Numbers of different dtypes are equal as Python's numbers are.
            None if view.shape() != other.shape() => false,
            None => match element::equal_as_numbers(py, &view, &other) {
                // An element that is not a Python number equals no number.
                Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => false,
                equal => equal?,
            },
        };
        Ok((equal != unequal).into_pyobject(py)?.to_owned().into_any().unbind())
    }

    /// The hash of the bytes, for a read-only view of bytes: equal to that of the `bytes` object.
    ///
    /// A view that was hashed keeps its hash when it is released, so that a dict still finds it.
    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        // Relaxed, here and below: the number is all that is read.
        let known = self.hash.load(Ordering::Relaxed);
        if known != NO_HASH {
            return Ok(known);
        }
        let view = self.view()?;
        if !view.is_read_only() {
            return Err(PyValueError::new_err("cannot hash writable View object"));
        }
        if !matches!(
            view.dtype().format().and_then(|format| format.to_str().ok()),
            Some("B" | "b" | "c")
        ) {
            return Err(PyValueError::new_err("hashing is restricted to formats 'B', 'b' or 'c'"));
        }
        // The hash would change with memory that other code may write.
        if let Some(exporter) = self.obj(py)? {
            exporter.bind(py).hash()?;
        }
        let hash = bytes_for(py, &view, "hash(View)")?.hash()?;
        self.hash.store(hash, Ordering::Relaxed);
        Ok(hash)
    }

    /// The first place along axis 0 that holds `value`, as `memoryview.index`.
    ///
    /// Args:
    ///     `value`: Number to look for.
    ///     `start`: First place that is looked at.
    ///     `stop`: Place before which the search ends.
    ///
    /// Raises:
    ///     `ValueError`: No place holds it.
    #[pyo3(signature = (value, start = None, stop = None, /))]
    fn index(
        slf: &Bound<'_, Self>,
        value: &Bound<'_, PyAny>,
        start: Option<&Bound<'_, PyAny>>,
        stop: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<usize> {
        let start = start.map_or(Ok(0), clamped)?;
        let stop = stop.map_or(Ok(isize::MAX), clamped)?;
        let len = slf.get().__len__()? as isize;
        let bound = |at: isize| (if at < 0 { at.saturating_add(len) } else { at }).clamp(0, len);
        for place in bound(start)..bound(stop) {
            look(slf.py(), place as usize)?;
            if slf.get_item(place)?.eq(value)? {
                return Ok(place as usize);
            }
        }
        Err(PyValueError::new_err("value is not in the view"))
    }

    /// The number of places along axis 0 that hold `value`, as `memoryview.count`.
    #[pyo3(signature = (value, /))]
    fn count(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<usize> {
        // The iterator checks for Ctrl-C.
        slf.try_iter()?.try_fold(0, |count, item| Ok(count + usize::from(item?.eq(value)?)))
    }
}

/// The iterator that `iter(view)` gives.
#[pyclass(frozen, name = "ViewIterator", module = "ndlens")]
pub(crate) struct PyViewIterator {
    view: Py<PyView>,
    next: AtomicUsize,
    end: usize,
}

#[pymethods]
impl PyViewIterator {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        // Relaxed: a number. Threads that share an iterator get each place once.
        let place = self.next.load(Ordering::Relaxed);
        if place >= self.end {
            return Ok(None);
        }
        let place = if cfg!(Py_GIL_DISABLED) {
            self.next.fetch_add(1, Ordering::Relaxed)
        } else {
            // In two steps, which are quicker: no other thread is attached.
            self.next.store(place + 1, Ordering::Relaxed);
            place
        };
        if place >= self.end {
            return Ok(None);
        }
        look(py, place)?;
        PyView::at(self.view.bind(py), place as isize).map(Some)
    }

    fn __length_hint__(&self) -> usize {
        self.end.saturating_sub(self.next.load(Ordering::Relaxed))
    }
}
