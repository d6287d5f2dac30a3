//! Python objects in: an object that exports a buffer, speaks DLPack or has an array interface
//! becomes a view, which keeps the object alive.

use ndlens::{View, room};
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::exit;
use crate::interop::buffer::{BufferExport, exports_buffer, references};
use crate::interop::exporter::{extract_buffer, view_of};
use crate::interop::foreign::{Copies, is_plain, is_torch, no_array, strided};
use crate::interop::{dlpack, interface, torch_table};
use crate::trace;
use crate::view::object::PyView;

/// A view of any object that `nl.view` takes, without a copy.
pub(crate) fn extract_view(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    extract(obj, Copies::Never)
}

/// The same if elements are only read: also objects whose elements must be computed, or that only
/// NumPy can make an array of.
pub(crate) fn extract_elements(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    extract(obj, Copies::WhereNeeded)
}

fn extract(obj: &Bound<'_, PyAny>, copies: Copies) -> PyResult<View> {
    let _inside = exit::enter(obj.py());
    // Each of many objects has its own small owner.
    room::check().or_raise()?;
    if let Ok(view) = obj.cast::<PyView>() {
        return Ok(view.get().view()?.clone());
    }
    if exports_buffer(obj) {
        if !is_plain(&obj.get_type())
            && let Some(interface) = obj.getattr_opt("__array_interface__")?
            && interface::is_of_own_buffer(&interface)?
        {
            return interface::import(obj, &interface);
        }
        return match BufferExport::take(obj) {
            // Some dtypes have no buffer format but a DLPack code: JAX's bfloat16 arrays come this
            // way.
            Err(error)
                if error.is_instance_of::<PyBufferError>(obj.py())
                    && obj.hasattr("__dlpack__")? =>
            {
                through_dlpack(obj, copies)
            }
            taken => view_of(obj, taken),
        };
    }
    if obj.hasattr("__dlpack__")? {
        return through_dlpack(obj, copies);
    }
    if let Some(interface) = obj.getattr_opt("__array_interface__")? {
        return interface::import(obj, &interface);
    }
    if let Some(capsule) = obj.getattr_opt("__array_struct__")? {
        return interface::import_struct(obj, &capsule);
    }
    if copies == Copies::WhereNeeded && obj.hasattr("__array__")? {
        let array = obj.call_method0("__array__")?;
        if exports_buffer(&array) {
            if trace::is_open() {
                let operation = format!("{}.__array__", obj.get_type().name()?);
                trace::copied(obj.py(), &operation, bytes_made(&array)?)?;
            }
            return extract_buffer(&array);
        }
    }
    Err(no_array(obj))
}

/// A view of an object that speaks DLPack.
fn through_dlpack(obj: &Bound<'_, PyAny>, copies: Copies) -> PyResult<View> {
    let source = strided(obj, copies)?;
    let view = if is_torch(&source) { torch_table::from_torch(&source)? } else { None };
    let view = view.map_or_else(|| dlpack::import(&source), Ok)?;
    if !source.is(obj) {
        trace::copied(obj.py(), "resolved tensor", view.nbytes())?;
    }
    Ok(view)
}

/// Bytes of an array whose memory is new: no other object holds it or an array that it is of.
fn bytes_made(array: &Bound<'_, PyAny>) -> PyResult<usize> {
    let mut root = array.clone();
    loop {
        // By its array and by us; an object that is not an array shows memory of some other owner.
        if references(&root) > 2 || !root.hasattr("base")? || !root.hasattr("flags")? {
            return Ok(0);
        }
        let base = root.getattr("base")?;
        if base.is_none() {
            break;
        }
        root = base;
    }
    let is_own = root.getattr("flags")?.getattr("owndata")?.is_truthy()?;
    if is_own { array.getattr("nbytes")?.extract() } else { Ok(0) }
}
