//! Picklers of messages, which are told of views.

use pyo3::prelude::*;

use crate::optional::once;

/// Tells the picklers of messages about views, wherever one is made that could be sent; see
/// `_sending.py`.
pub(crate) fn register_senders(py: Python<'_>, late: bool) -> PyResult<bool> {
    once!(py, "ndlens._sending", "register")?.call1((late,))?.is_truthy()
}
