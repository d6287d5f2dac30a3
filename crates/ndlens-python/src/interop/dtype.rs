//! Dtypes in: by name, or as NumPy's, torch's or Python's own objects.
//!
//! Every parameter that is a dtype comes through [`extract_dtype`], so all take the same.

use ndlens::{DType, Error};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyComplex, PyFloat, PyInt, PyString, PyType};

use crate::error::OrRaise;
use crate::interop::buffer::BufferExport;
use crate::interop::dlpack;
use crate::optional;

/// The name of a dtype, however it is given.
///
/// `"float32"`, `"<f4"`, `"f4"`, `torch.float32`, `numpy.float32` and `numpy.dtype("float32")` are
/// all "float32". A dtype without a name keeps its buffer format: `">f4"` is ">f".
///
/// Args:
///     `dtype`: A name, a format of the buffer protocol, a NumPy or a torch dtype, or a Python
///         type.
///
/// Raises:
///     `TypeError`: ndlens has no such dtype, or the name has two meanings: "float" is 64 bits to
///         NumPy and 32 to torch.
///
/// >>> import ndlens as nl
/// >>> nl.dtype_name("<f4"), nl.dtype_name("half"), nl.dtype_name(float)
/// ('float32', 'float16', 'float64')
#[pyfunction]
#[pyo3(signature = (dtype, /))]
pub(crate) fn dtype_name(dtype: &Bound<'_, PyAny>) -> PyResult<String> {
    extract_dtype(dtype).map(|dtype| dtype.to_string())
}

/// The dtype that any of those objects stands for.
pub(crate) fn extract_dtype(dtype: &Bound<'_, PyAny>) -> PyResult<DType> {
    if let Ok(name) = dtype.cast::<PyString>() {
        return DType::parse(&name.to_cow()?).or_raise();
    }
    if let Ok(class) = dtype.cast::<PyType>() {
        return match number(class) {
            Some(dtype) => Ok(dtype),
            None => DType::parse(&class.name()?.to_cow()?).or_raise(),
        };
    }
    if dtype.get_type().fully_qualified_name()?.to_cow()?.starts_with("numpy.dtype") {
        return of_numpy(dtype);
    }
    let name = match string(dtype, "name").or_else(|| string(dtype, "__name__")) {
        Some(name) => name,
        None => dtype.str()?,
    };
    DType::parse(&name.to_cow()?).or_raise()
}

/// An attribute that is a string.
fn string<'py>(object: &Bound<'py, PyAny>, name: &str) -> Option<Bound<'py, PyString>> {
    object.getattr_opt(name).ok().flatten()?.cast_into().ok()
}

/// The dtype of Python's numbers of a class, on which NumPy and torch agree.
fn number(class: &Bound<'_, PyType>) -> Option<DType> {
    let py = class.py();
    Some(match () {
        () if class.is(py.get_type::<PyBool>()) => DType::Bool,
        () if class.is(py.get_type::<PyInt>()) => DType::I64,
        () if class.is(py.get_type::<PyFloat>()) => DType::F64,
        () if class.is(py.get_type::<PyComplex>()) => DType::C128,
        () => return None,
    })
}

/// The dtype of a `numpy.dtype`.
fn of_numpy(dtype: &Bound<'_, PyAny>) -> PyResult<DType> {
    let py = dtype.py();
    let name: String = dtype.getattr("name")?.extract()?;
    // By name if the name is enough: dtypes of `ml_dtypes` have no typestr of their own.
    if dtype.getattr("isnative")?.is_truthy()?
        && let Some(named) = DType::from_name(&name)
    {
        return Ok(named);
    }
    match dtype.getattr("kind")?.extract()? {
        'M' | 'm' => return Err(Error::DateTime { dtype: name }).or_raise(),
        'O' => return Err(Error::PythonObjects { format: "O".to_owned() }).or_raise(),
        _ => {}
    }
    if !dtype.getattr("subdtype")?.is_none() {
        return Err(PyTypeError::new_err(format!(
            "{dtype} is an array of elements, which belongs in the shape; give its base dtype"
        )));
    }
    // NumPy gives the format of an array of several elements. For one record its format does not
    // say that the record is packed.
    let elements = optional::get(py, "numpy", "empty")?.call1((2, dtype))?;
    let view = match BufferExport::take(&elements) {
        Ok(export) => export.into_view()?,
        // Elements without a buffer format; NumPy's error says why.
        Err(_) => dlpack::import(&elements)?,
    };
    Ok(view.dtype().clone())
}
