//! One element, or all of them, as Python numbers.

use ndlens::kernels::{Bf16, F16, Half};
use ndlens::{DType, Index, View};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyComplexMethods, PyFloat, PyList};
use smallvec::SmallVec;

use crate::error::{OrRaise, no_python_value};
use crate::interrupt;
use crate::lists::{self, Number, list_of};

/// Bytes of elements that are packed at once on the way to lists.
const BLOCK_BYTES: usize = 1 << 20;

/// The element at a place of a view of rank 1, if it exists and has one of the most common dtypes,
/// for iteration.
///
/// Not a `Result`, which is as large as an exception, and moving it would take longer than making a
/// number.
#[inline]
pub(crate) fn common<'py>(py: Python<'py>, view: &View, place: isize) -> Option<Bound<'py, PyAny>> {
    macro_rules! number {
        ($type:ty) => {
            view.get::<$type>(place)?.object(py).ok()
        };
    }
    match view.dtype() {
        DType::U8 => number!(u8),
        DType::I32 => number!(i32),
        DType::I64 => number!(i64),
        DType::F32 => number!(f32),
        DType::F64 => number!(f64),
        _ => None,
    }
}

/// The element with these indices, one for each axis, if nothing is in the way. Runs no Python
/// code, as the text of an error would.
#[inline]
pub(crate) fn plain<'py>(
    py: Python<'py>,
    view: &View,
    indices: impl ExactSizeIterator<Item = isize>,
) -> Option<Bound<'py, PyAny>> {
    let mut bytes = [0; 16];
    let bytes = bytes.get_mut(..view.itemsize())?;
    view.read_element(indices, bytes).ok()?;
    element(py, view.dtype(), bytes).ok()
}

/// As [`plain`], or the reason why there is no such element.
pub(crate) fn scalar<'py>(
    py: Python<'py>,
    view: &View,
    indices: impl ExactSizeIterator<Item = isize>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut bytes = [0; 16];
    let Some(bytes) = bytes.get_mut(..view.itemsize()) else {
        return Err(no_python_value(view.dtype()));
    };
    view.read_element(indices, bytes).or_raise()?;
    element(py, view.dtype(), bytes)
}

/// The elements as nested lists; a view of rank 0 gives its element.
pub(crate) fn nested_lists<'py>(py: Python<'py>, view: &View) -> PyResult<Bound<'py, PyAny>> {
    let nbytes = view.nbytes();
    let Some(&count) = view.shape().first().filter(|_| nbytes > BLOCK_BYTES) else {
        let bytes = interrupt::detached(py, || view.packed_bytes())?;
        return nest(py, view.dtype(), view.shape(), &bytes);
    };
    if view.ndim() > 1 {
        let rows = view.unbind(0).or_raise()?;
        return list_of(py, rows.map(|row| nested_lists(py, &row.or_raise()?)))
            .map(Bound::into_any);
    }
    // One long row: its blocks, one after another.
    let per_block = (BLOCK_BYTES / view.itemsize()).max(1);
    let mut block = vec![];
    let element = |place: usize| {
        if place.is_multiple_of(per_block) {
            let end = (place + per_block).min(count) as isize;
            let part = view.index(&[(place as isize..end).into()]).or_raise()?;
            block = interrupt::detached(py, || part.packed_bytes())?;
        }
        let start = place % per_block * view.itemsize();
        element(py, view.dtype(), &block[start..start + view.itemsize()])
    };
    list_of(py, (0..count).map(element)).map(Bound::into_any)
}

/// Whether the elements of two views of one shape are equal as Python's numbers are.
///
/// Raises `NotImplementedError` if the elements of either are not Python numbers.
pub(crate) fn equal_as_numbers(py: Python<'_>, view: &View, other: &View) -> PyResult<bool> {
    let is_large = |count: usize| {
        view.nbytes().max(other.nbytes()) > BLOCK_BYTES && (count > 1 || view.ndim() > 1)
    };
    let Some(count) = view.shape().first().copied().filter(|&count| is_large(count)) else {
        return nested_lists(py, view)?.eq(nested_lists(py, other)?);
    };
    // In parts along the first axis, each some blocks of either view.
    let row_bytes = (view.nbytes() / count).max(other.nbytes() / count).max(1);
    for start in (0..count).step_by((BLOCK_BYTES / row_bytes).max(1)) {
        let end = start.saturating_add((BLOCK_BYTES / row_bytes).max(1)).min(count);
        let part = |view: &View| {
            let one = view.ndim() > 1 && end - start == 1;
            let rows = start as isize..end as isize;
            view.index(&[if one { Index::At(rows.start) } else { rows.into() }])
        };
        if !equal_as_numbers(py, &part(view).or_raise()?, &part(other).or_raise()?)? {
            return Ok(false);
        }
        py.check_signals()?;
    }
    Ok(true)
}

fn nest<'py>(
    py: Python<'py>,
    dtype: &DType,
    shape: &[usize],
    bytes: &[u8],
) -> PyResult<Bound<'py, PyAny>> {
    let Some((&count, inner)) = shape.split_first() else { return element(py, dtype, bytes) };
    if inner.is_empty()
        && let Some(list) = numbers(py, dtype, bytes)
    {
        return Ok(list?.into_any());
    }
    let size = inner.iter().product::<usize>() * dtype.itemsize();
    let items = (0..count).map(|i| nest(py, dtype, inner, &bytes[i * size..(i + 1) * size]));
    list_of(py, items).map(Bound::into_any)
}

/// A list of numbers of a common dtype, without a match on the dtype for each.
fn numbers<'py>(
    py: Python<'py>,
    dtype: &DType,
    bytes: &[u8],
) -> Option<PyResult<Bound<'py, PyList>>> {
    macro_rules! list {
        ($type:ty) => {{
            let chunks = bytes.as_chunks::<{ size_of::<$type>() }>().0;
            list_of(py, chunks.iter().map(|&bytes| <$type>::from_ne_bytes(bytes).object(py)))
        }};
    }
    Some(match dtype {
        DType::U8 => list!(u8),
        DType::I32 => list!(i32),
        DType::I64 => list!(i64),
        DType::F32 => list!(f32),
        DType::F64 => list!(f64),
        _ => return None,
    })
}

/// The element that `bytes` hold. They are as long as one element.
fn element<'py>(py: Python<'py>, dtype: &DType, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    macro_rules! number {
        ($type:ty) => {
            <$type>::from_ne_bytes(bytes.try_into()?).object(py)
        };
    }
    match dtype {
        DType::Bool => Ok(PyBool::new(py, bytes[0] != 0).to_owned().into_any()),
        DType::U8 => number!(u8),
        DType::I8 => number!(i8),
        DType::U16 => number!(u16),
        DType::I16 => number!(i16),
        DType::U32 => number!(u32),
        DType::I32 => number!(i32),
        DType::U64 => number!(u64),
        DType::I64 => number!(i64),
        DType::F16 => F16::widen(u16::from_ne_bytes(bytes.try_into()?)).object(py),
        DType::Bf16 => Bf16::widen(u16::from_ne_bytes(bytes.try_into()?)).object(py),
        DType::F32 => number!(f32),
        DType::F64 => number!(f64),
        DType::C64 => {
            let part = |at: usize| {
                Ok::<_, PyErr>(f64::from(f32::from_ne_bytes(bytes[at..at + 4].try_into()?)))
            };
            lists::complex(py, part(0)?, part(4)?)
        }
        DType::C128 => {
            let part =
                |at: usize| Ok::<_, PyErr>(f64::from_ne_bytes(bytes[at..at + 8].try_into()?));
            lists::complex(py, part(0)?, part(8)?)
        }
        // `memoryview` gives the characters of format 'c' as bytes of length 1.
        DType::Opaque(_) if dtype.name() == "c" => lists::plain_bytes(py, bytes),
        _ => {
            let native = dtype.swapped().ok_or_else(|| no_python_value(dtype))?;
            let mut bytes: SmallVec<[u8; 16]> = bytes.into();
            native.swap_bytes(&mut bytes);
            element(py, &native, &bytes)
        }
    }
}

/// The bytes of one element with this value.
///
/// As in `memoryview`, integers take only integers and must fit, floats take any number.
pub(crate) fn pack(dtype: &DType, value: &Bound<'_, PyAny>) -> PyResult<SmallVec<[u8; 16]>> {
    let misfit = |error: PyErr| {
        let py = value.py();
        if error.is_instance_of::<PyOverflowError>(py) {
            return PyValueError::new_err(format!("{value} does not fit dtype {dtype}"));
        }
        if !error.is_instance_of::<PyTypeError>(py) {
            return error;
        }
        match value.get_type().name() {
            Ok(name) => {
                PyTypeError::new_err(format!("a {name} is not an element of dtype {dtype}"))
            }
            Err(error) => error,
        }
    };
    macro_rules! number {
        ($type:ty) => {
            value
                .extract::<$type>()
                .map_err(misfit)
                .map(|number| SmallVec::from_slice(&number.to_ne_bytes()))
        };
    }
    // A finite number that becomes infinite does not fit.
    macro_rules! rounded {
        ($round:expr, $widen:expr) => {{
            let number = real(value).map_err(misfit)?;
            let rounded = $round(number);
            if number.is_finite() && !f64::from($widen(rounded)).is_finite() {
                return Err(PyValueError::new_err(format!("{value} does not fit dtype {dtype}")));
            }
            rounded
        }};
    }
    let part = |number: f64| {
        let rounded = number as f32;
        if number.is_finite() && !rounded.is_finite() {
            return Err(PyValueError::new_err(format!("{value} does not fit dtype {dtype}")));
        }
        Ok(rounded.to_ne_bytes())
    };
    Ok(match dtype {
        DType::Bool => SmallVec::from_slice(&[u8::from(value.is_truthy()?)]),
        DType::U8 => number!(u8)?,
        DType::I8 => number!(i8)?,
        DType::U16 => number!(u16)?,
        DType::I16 => number!(i16)?,
        DType::U32 => number!(u32)?,
        DType::I32 => number!(i32)?,
        DType::U64 => number!(u64)?,
        DType::I64 => number!(i64)?,
        DType::F16 => {
            SmallVec::from_slice(&rounded!(F16::nearest_to_f64, F16::widen).to_ne_bytes())
        }
        DType::Bf16 => {
            SmallVec::from_slice(&rounded!(Bf16::nearest_to_f64, Bf16::widen).to_ne_bytes())
        }
        DType::F32 => {
            SmallVec::from_slice(&rounded!(|number| number as f32, |rounded| rounded).to_ne_bytes())
        }
        DType::F64 => SmallVec::from_slice(&real(value).map_err(misfit)?.to_ne_bytes()),
        DType::C64 | DType::C128 => {
            let (real, imaginary) = complex(value).map_err(misfit)?;
            if *dtype == DType::C64 {
                [part(real)?, part(imaginary)?].concat().into()
            } else {
                [real.to_ne_bytes(), imaginary.to_ne_bytes()].concat().into()
            }
        }
        DType::Opaque(_) if dtype.name() == "c" => {
            match value.extract::<&[u8]>().map_err(|error| misfit(error.into()))? {
                &[byte] => SmallVec::from_slice(&[byte]),
                other => {
                    return Err(PyValueError::new_err(format!(
                        "{} bytes are not an element of dtype c",
                        other.len()
                    )));
                }
            }
        }
        _ => {
            let native = dtype.swapped().ok_or_else(|| no_python_value(dtype))?;
            let mut bytes = pack(&native, value)?;
            native.swap_bytes(&mut bytes);
            bytes
        }
    })
}

/// The two parts of any number.
fn complex(value: &Bound<'_, PyAny>) -> PyResult<(f64, f64)> {
    if let Ok(number) = value.cast::<PyComplex>() {
        return Ok((number.real(), number.imag()));
    }
    // NumPy's complex64 is not a `complex`, but converts to one.
    match value.getattr_opt("__complex__")? {
        Some(convert) => {
            let number = convert.call0()?;
            let number = number.cast::<PyComplex>()?;
            Ok((number.real(), number.imag()))
        }
        None => Ok((value.extract()?, 0.0)),
    }
}

/// A number that is real. NumPy's complex scalars convert to a float by their real part.
fn real(value: &Bound<'_, PyAny>) -> PyResult<f64> {
    if !value.is_instance_of::<PyFloat>() && is_complex(value)? {
        return Err(PyTypeError::new_err("a complex number"));
    }
    value.extract()
}

/// Whether a NumPy scalar, or an array, is complex.
fn is_complex(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let dtype = value.getattr_opt("dtype")?;
    let kind = dtype.map(|dtype| dtype.getattr_opt("kind")).transpose()?.flatten();
    kind.map_or(Ok(false), |kind| kind.eq("c"))
}
