//! One element, or all of them, as Python numbers.

use half::{bf16, f16};
use ndlens::{DType, View};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyComplex, PyList};

use crate::error::{OrRaise, no_python_value};

/// The only element of a view of rank 0.
pub(crate) fn scalar(py: Python<'_>, view: &View) -> PyResult<Py<PyAny>> {
    let mut bytes = [0; 16];
    let Some(bytes) = bytes.get_mut(..view.itemsize()) else { return Err(no_python_value(view.dtype())) };
    view.read_into(bytes).or_raise()?;
    element(py, view.dtype(), bytes)
}

/// The elements as nested lists; a view of rank 0 gives its element.
pub(crate) fn nested_lists(py: Python<'_>, view: &View) -> PyResult<Py<PyAny>> {
    let mut bytes = vec![];
    let len_bytes = view.nbytes();
    bytes.try_reserve_exact(len_bytes).map_err(|_| ndlens::Error::OutOfMemory { len_bytes }).or_raise()?;
    bytes.resize(len_bytes, 0);
    view.read_into(&mut bytes).or_raise()?;
    nest(py, view.dtype(), view.shape(), &bytes)
}

fn nest(py: Python<'_>, dtype: &DType, shape: &[usize], bytes: &[u8]) -> PyResult<Py<PyAny>> {
    let Some((&count, inner)) = shape.split_first() else { return element(py, dtype, bytes) };
    let size = inner.iter().product::<usize>() * dtype.itemsize();
    let items = (0..count).map(|i| nest(py, dtype, inner, &bytes[i * size..(i + 1) * size]));
    Ok(PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any().unbind())
}

/// The element that `bytes` hold; they are as long as one.
fn element(py: Python<'_>, dtype: &DType, bytes: &[u8]) -> PyResult<Py<PyAny>> {
    macro_rules! number {
        ($type:ty) => {
            <$type>::from_ne_bytes(bytes.try_into()?).into_py_any(py)
        };
    }
    match dtype {
        DType::Bool => (bytes[0] != 0).into_py_any(py),
        DType::U8 => number!(u8),
        DType::I8 => number!(i8),
        DType::U16 => number!(u16),
        DType::I16 => number!(i16),
        DType::U32 => number!(u32),
        DType::I32 => number!(i32),
        DType::U64 => number!(u64),
        DType::I64 => number!(i64),
        DType::F16 => f16::from_ne_bytes(bytes.try_into()?).to_f32().into_py_any(py),
        DType::Bf16 => bf16::from_ne_bytes(bytes.try_into()?).to_f32().into_py_any(py),
        DType::F32 => number!(f32),
        DType::F64 => number!(f64),
        DType::C64 => {
            let part =
                |at: usize| Ok::<_, PyErr>(f64::from(f32::from_ne_bytes(bytes[at..at + 4].try_into()?)));
            Ok(PyComplex::from_doubles(py, part(0)?, part(4)?).into_any().unbind())
        }
        DType::C128 => {
            let part = |at: usize| Ok::<_, PyErr>(f64::from_ne_bytes(bytes[at..at + 8].try_into()?));
            Ok(PyComplex::from_doubles(py, part(0)?, part(8)?).into_any().unbind())
        }
        // `memoryview` gives the characters of format 'c' as bytes of length 1.
        DType::Opaque(_) if dtype.name() == "c" => bytes.into_py_any(py),
        _ => Err(no_python_value(dtype)),
    }
}
