//! The type of the parts of a batch: tensors, arrays or views.

use ndlens::{Consumer, DType, View};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::{OrRaise, in_place};
use crate::interop::handoff::numpy_here;
use crate::interop::tensor;
use crate::optional::{Optional, is_installed};
use crate::view::object::PyView;

/// Type that the views of a batch become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Torch,
    Numpy,
    View,
}

impl Output {
    pub(crate) fn extract(py: Python<'_>, name: Option<&str>) -> PyResult<Self> {
        match name {
            Some("torch") => Ok(Output::Torch),
            Some("numpy") => Ok(Output::Numpy),
            Some("view") => Ok(Output::View),
            Some(other) => Err(PyValueError::new_err(format!(
                "unknown output {other:?}: expected \"torch\", \"numpy\", \"view\" or None"
            ))),
            None if is_installed(py, Optional::Torch)? => Ok(Output::Torch),
            None if is_installed(py, Optional::Numpy)? => Ok(Output::Numpy),
            None => Ok(Output::View),
        }
    }

    /// Checks, before the first batch, that batches of this dtype can be handed out as this type.
    pub(crate) fn check(self, py: Python<'_>, dtype: &DType) -> PyResult<()> {
        match self {
            Output::Torch => Consumer::Torch.check_dtype(dtype).or_raise(),
            Output::Numpy => numpy_here(py)?.check_dtype(dtype).or_raise(),
            Output::View => Ok(()),
        }
    }

    /// As [`check`](Self::check), of each field.
    pub(crate) fn check_fields<'a>(
        self,
        py: Python<'_>,
        mut fields: impl Iterator<Item = (&'a str, &'a DType)>,
    ) -> PyResult<()> {
        fields.try_for_each(|(name, dtype)| {
            self.check(py, dtype).map_err(|error| in_place(py, &format!("field {name:?}"), error))
        })
    }

    pub(crate) fn wrap(self, py: Python<'_>, view: View) -> PyResult<Bound<'_, PyAny>> {
        match self {
            Output::Torch => tensor::torch(py, &view, false),
            Output::Numpy => PyView::numpy(&Bound::new(py, PyView::new(view))?),
            Output::View => PyView::new(view).into_bound_py_any(py),
        }
    }
}
