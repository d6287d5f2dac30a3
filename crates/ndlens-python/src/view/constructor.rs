//! `nl.view`, `nl.shares_memory` and `nl.may_share_memory`.

use ndlens::Order;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;
use crate::interop::import::{extract_elements, extract_view};
use crate::interop::tensor_memory::extract_lasting_view;
use crate::trace;
use crate::view::object::PyView;

/// A view of any object that gives its memory; nothing is copied.
///
/// The object exports a buffer (PEP 3118: `bytes`, `bytearray`, `array.array`, `mmap`,
/// `memoryview`, a NumPy array), speaks DLPack on the CPU (a `torch.Tensor`, a JAX array), or has
/// an `__array_interface__` (a `PIL.Image`, which gives its pixels as bytes) or `__array_struct__`.
/// The view has the object's shape, strides and dtype. While the view, or anything made of it,
/// lives, the object's memory is held: a `bytearray` cannot be resized, an `mmap` not closed.
///
/// Args:
///     `obj`: The object.
///     `readonly`: True for a read-only view; False to refuse read-only memory; None for the
///         object's own.
///     `copy`: None to copy if there is no memory to use: of a tensor with the negative or the
///         conjugate bit set, or an object that NumPy makes an array of (`__array__`: a pandas
///         column, an h5py data set). True to copy in any case.
///
/// Raises:
///     `TypeError`: The object has no memory to view; the error says what to call instead.
///     `BufferError`: The object does not give its memory, or its memory is only a part of what it
///         means: a masked array, an array with a unit, a sparse tensor.
///     `ReadOnlyError`: `readonly=False`, and the memory is read-only.
///
/// >>> import ndlens as nl
/// >>> pixels = bytearray(range(6))
/// >>> v = nl.view(pixels)
/// >>> v.shape, v.dtype, v.readonly
/// ((6,), 'uint8', False)
/// >>> pixels.append(6)
/// Traceback (most recent call last):
///     ...
/// BufferError: Existing exports of data: object cannot be re-sized
#[pyfunction]
#[pyo3(
    signature = (obj, /, *, readonly = None, copy = Some(false)),
    text_signature = "(obj, /, *, readonly=None, copy=False)"
)]
pub(crate) fn view(
    obj: &Bound<'_, PyAny>,
    readonly: Option<bool>,
    copy: Option<bool>,
) -> PyResult<PyView> {
    let view = match copy {
        Some(false) => extract_lasting_view(obj)?,
        None => extract_lasting_view(obj).or_else(|_| extract_elements(obj))?,
        Some(true) => {
            let view = extract_elements(obj)?;
            trace::copying(obj.py(), "nl.view(copy=True)", view.nbytes(), || {
                exit::detach(obj.py(), || view.copy(Order::C)).or_raise()
            })?
        }
    };
    match readonly {
        Some(true) => Ok(PyView::new(view.to_read_only())),
        Some(false) if view.is_read_only() => {
            let hint = "pass readonly=None, or a copy";
            Err(ndlens::Error::ReadOnly { operation: "nl.view(..., readonly=False)", hint })
                .or_raise()
        }
        _ => Ok(PyView::new(view)),
    }
}

/// Whether some byte belongs to an element of both objects: exact, as `np.shares_memory`.
///
/// Args:
///     `a`: Anything `nl.view` takes.
///     `b`: Likewise.
///
/// >>> import ndlens as nl
/// >>> pixels = nl.view(bytearray(12)).reshape(4, 3)
/// >>> red, green = pixels[:, 0], pixels[:, 1]
/// >>> nl.shares_memory(red, green), nl.may_share_memory(red, green)
/// (False, True)
#[pyfunction]
#[pyo3(signature = (a, b, /))]
pub(crate) fn shares_memory(
    py: Python<'_>,
    a: &Bound<'_, PyAny>,
    b: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let (a, b) = (extract_view(a)?, extract_view(b)?);
    Ok(exit::detach(py, || a.shares_memory(&b)))
}

/// Whether the memory between the outermost elements of two objects overlaps.
///
/// Quick, and true more often than `shares_memory`; as `np.may_share_memory`.
///
/// Args:
///     `a`: Anything `nl.view` takes.
///     `b`: Likewise.
#[pyfunction]
#[pyo3(signature = (a, b, /))]
pub(crate) fn may_share_memory(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<bool> {
    Ok(extract_view(a)?.may_share_memory(&extract_view(b)?))
}
