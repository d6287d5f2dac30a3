//! A view as a `torch.Tensor` on the same memory.

use ndlens::View;
use pyo3::prelude::*;

use crate::error::OrRaise;
use crate::interop::dlpack::export;
use crate::interop::{tensor_memory, torch_table};
use crate::optional::needs;

/// `View.torch`: a tensor on the same memory, which is kept as long as any object shows it.
pub(crate) fn torch<'py>(
    py: Python<'py>,
    view: &View,
    allow_read_only: bool,
) -> PyResult<Bound<'py, PyAny>> {
    view.check_torch(allow_read_only).or_raise()?;
    let tensor = if let Some(tensor) = torch_table::torch(py, view)? {
        tensor
    } else {
        let capsule = export(py, view, Some((1, 0)), None, None)?;
        needs(py, "torch.utils.dlpack", "from_dlpack", torch_table::NEEDS_TORCH)?
            .call1((capsule,))?
    };
    tensor_memory::hold(&tensor, view)?;
    Ok(tensor)
}
