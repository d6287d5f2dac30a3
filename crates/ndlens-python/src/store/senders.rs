//! Picklers of messages, in which views are registered.

use pyo3::prelude::*;

use crate::provided;

/// Registers views with the picklers of messages, in each place that makes a view that could be
/// sent; see `_sending.py`.
pub(crate) fn register_senders(py: Python<'_>, late: bool) -> PyResult<bool> {
    provided::REGISTER_SENDERS.get(py)?.call1((late,))?.is_truthy()
}
