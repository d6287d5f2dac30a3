//! The Python face of ndlens: extract, detach, call, wrap.
//!
//! Nothing here decides anything about arrays; an `if` about the domain belongs into a crate below.

mod dlpack;
mod element;
mod error;
mod export;
mod import;
mod key;
mod loader;
mod store;
mod transform;
mod view;

use pyo3::prelude::*;

/// N-dimensional zero-copy views and batches; the compiled half of `ndlens`.
#[pymodule(gil_used = false)]
fn _ndlens(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<view::PyView>()?;
    module.add_class::<loader::PyLoader>()?;
    module.add_class::<loader::PyEpoch>()?;
    module.add_function(wrap_pyfunction!(import::view, module)?)?;
    module.add_function(wrap_pyfunction!(store::open, module)?)?;
    Ok(())
}
