//! Picklers of messages, which are told of views.

use pyo3::prelude::*;

use crate::provided;

/// Tells the picklers of messages about views, wherever one is made that could be sent; see
/// `_sending.py`.
pub(crate) fn register_senders(py: Python<'_>, late: bool) -> PyResult<bool> {
    provided::REGISTER_SENDERS.get(py)?.call1((late,))?.is_truthy()
}
