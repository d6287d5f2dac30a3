//! A view of an object that exports a buffer, unless the object means more than its buffer.

use ndlens::{DType, View};
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::interop::buffer::BufferExport;
use crate::interop::dtype::extract_dtype;
use crate::interop::foreign::{check_whole, origin, unexported};

/// A view of the buffer that an object exports.
pub(crate) fn extract_buffer(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    view_of(obj, BufferExport::take(obj))
}

/// A view of a buffer that was taken of `obj`, or of the array behind a buffer without a format.
pub(crate) fn view_of(obj: &Bound<'_, PyAny>, taken: PyResult<BufferExport>) -> PyResult<View> {
    match taken {
        Ok(export) => {
            let Some(exporter) = export.exporter(obj.py()) else { return export.into_view() };
            let origin = origin(exporter.into_bound(obj.py()))?;
            check_whole(&origin)?;
            let view = export.into_view()?;
            // For one record, NumPy does not say whether it is padded, and cannot read its own
            // format.
            let is_record = view.len() <= 1 && view.dtype().name().starts_with("T{");
            match if is_record { origin.getattr_opt("dtype")? } else { None } {
                Some(dtype) => view.reinterpret(extract_dtype(&dtype)?).or_raise(),
                None => Ok(view),
            }
        }
        Err(error) => extension_array(obj)?.ok_or_else(|| unexported(obj, error)),
    }
}

/// A NumPy array of an extension dtype that we know by its name, such as `ml_dtypes.bfloat16`. The
/// buffer protocol has no format for it, but for an array of integers on the same memory.
fn extension_array(obj: &Bound<'_, PyAny>) -> PyResult<Option<View>> {
    let Some(name) =
        obj.getattr_opt("dtype")?.map(|dtype| dtype.getattr_opt("name")).transpose()?.flatten()
    else {
        return Ok(None);
    };
    let Some(dtype) = name.extract::<String>().ok().and_then(|name| DType::from_name(&name)) else {
        return Ok(None);
    };
    // NumPy's own `view` shares memory. The `view` of another class may copy.
    let (Some(carrier), true) = (dtype.carrier(), obj.hasattr("__array_interface__")?) else {
        return Ok(None);
    };
    let bits = obj.call_method1("view", (carrier.name(),))?;
    extract_buffer(&bits)?.reinterpret(dtype).or_raise().map(Some)
}
