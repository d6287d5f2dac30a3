//! Pickling: a handle if another process can find the memory, otherwise the elements' bytes.

use std::time::Duration;

use ndlens::store::{self, PackedView, ViewHandle};
use ndlens::{Order, View, room};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyTuple};

use crate::error::OrRaise;
use crate::exit;
use crate::interop::import::extract_view;
use crate::optional::once;
use crate::store::senders::register_senders;
use crate::store::share;
use crate::trace;
use crate::view::object::PyView;

/// First protocol of pickle that can leave buffers out of the stream (PEP 574).
const BUFFER_PROTOCOL: i32 = 5;

/// The operation of a pickle that holds elements, not a handle.
const PICKLE: &str = "pickle of a View";

/// The view that a handle is to.
#[pyfunction]
#[pyo3(name = "_view_of_handle", signature = (handle, /))]
pub(crate) fn view_of_handle(py: Python<'_>, handle: &[u8]) -> PyResult<PyView> {
    let _inside = exit::enter(py);
    register_senders(py, false)?;
    let handle = ViewHandle::from_bytes(handle).or_raise()?;
    exit::detach(py, || handle.open()).map(PyView::new).or_raise()
}

/// The view whose elements' bytes these are.
#[pyfunction]
#[pyo3(name = "_view_of_bytes", signature = (packed, buffer, /))]
pub(crate) fn view_of_bytes(packed: &[u8], buffer: &Bound<'_, PyAny>) -> PyResult<PyView> {
    let bytes = extract_view(buffer)?;
    let view = PackedView::from_bytes(packed).and_then(|packed| packed.open(&bytes)).or_raise()?;
    Ok(PyView::new(view))
}

/// What `__reduce_ex__` returns, for a message that one process will receive.
#[pyfunction]
#[pyo3(name = "_reduce_sent", signature = (view, /))]
pub(crate) fn reduce_sent<'py>(view: &Bound<'py, PyView>) -> PyResult<Bound<'py, PyTuple>> {
    let py = view.py();
    let _inside = exit::enter(py);
    let view = view.borrow().view()?.clone();
    // Picklers of messages cannot send buffers apart.
    reduce(py, &view, BUFFER_PROTOCOL - 1, true)
}

/// Waits until all that was sent is received: at most `seconds`, and at most an hour.
#[pyfunction]
#[pyo3(name = "_wait_for_receipts", signature = (seconds, /))]
pub(crate) fn wait_for_receipts(py: Python<'_>, seconds: f64) -> PyResult<bool> {
    let timeout = share::duration("seconds", seconds)?.min(Duration::from_hours(1));
    Ok(exit::detach(py, || store::wait_for_receipts(timeout)))
}

/// What `__reduce_ex__` returns: the function that makes the view again, and its arguments.
fn reduce<'py>(
    py: Python<'py>,
    view: &View,
    protocol: i32,
    sent: bool,
) -> PyResult<Bound<'py, PyTuple>> {
    room::check().or_raise()?;
    let handle = if sent { ViewHandle::sent(view) } else { ViewHandle::of(view) };
    if let Some(handle) = handle.or_raise()? {
        let arguments = (PyBytes::new(py, &handle.to_bytes()),);
        return (once!(py, "ndlens._ndlens", "_view_of_handle")?, arguments).into_pyobject(py);
    }
    let pack = || exit::detach(py, || PackedView::of(view)).or_raise();
    let is_packed = view.is_contiguous(Order::C) || view.is_contiguous(Order::F);
    let (packed, bytes) =
        trace::copying(py, PICKLE, if is_packed { 0 } else { view.nbytes() }, pack)?;
    let packed = PyBytes::new(py, &packed.to_bytes());
    let read_only = bytes.is_read_only();
    let bytes = Bound::new(py, PyView::new(bytes))?;
    let buffer = if protocol >= BUFFER_PROTOCOL {
        once!(py, "pickle", "PickleBuffer")?.call1((bytes,))?
    } else {
        let builtin =
            if read_only { py.get_type::<PyBytes>() } else { py.get_type::<PyByteArray>() };
        trace::copying(py, PICKLE, view.nbytes(), || builtin.call1((bytes,)))?
    };
    (once!(py, "ndlens._ndlens", "_view_of_bytes")?, (packed, buffer)).into_pyobject(py)
}

#[pymethods]
impl PyView {
    fn __reduce_ex__<'py>(&self, py: Python<'py>, protocol: i32) -> PyResult<Bound<'py, PyTuple>> {
        let _inside = exit::enter(py);
        let view = self.view()?.clone();
        // If multiprocessing was imported since the last look-up, this may be the first message
        // that it sends.
        let sent = register_senders(py, true)?;
        reduce(py, &view, protocol, sent)
    }

    /// A view of the same memory, for `copy.copy`.
    fn __copy__(&self) -> PyResult<PyView> {
        Ok(PyView::new(self.view()?.clone()))
    }

    /// A view of new memory, for `copy.deepcopy`.
    fn __deepcopy__(&self, py: Python<'_>, _memo: &Bound<'_, PyDict>) -> PyResult<PyView> {
        let view = self.view()?.clone();
        trace::copying(py, "copy.deepcopy(View)", view.nbytes(), || {
            exit::detach(py, || view.copy(view.packed_order())).map(PyView::new).or_raise()
        })
    }
}
