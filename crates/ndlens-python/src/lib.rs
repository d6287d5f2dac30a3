//! The Python face of ndlens: extract, detach, call, wrap.
//!
//! Nothing here decides anything about arrays; an `if` about the domain belongs into a crate below.

mod channels;
mod claim;
mod destination;
mod dlpack;
mod dtype;
mod element;
mod epoch;
mod error;
mod exchange;
mod exit;
mod export;
#[cfg(feature = "failing-allocator")]
mod failing;
mod fields;
mod foreign;
mod gather;
mod handoff;
mod import;
mod interface;
mod interrupt;
mod items;
mod joint;
mod key;
mod lists;
mod loader;
mod mixing;
mod modules;
mod object;
mod params;
mod pickle;
mod pinned;
mod ragged;
mod run_state;
mod sampling;
mod selection;
mod sequence;
mod series;
mod shape;
mod shards;
mod share;
mod share_items;
mod splits;
mod store;
mod tensor_memory;
mod transform;
mod view;
mod write;

use pyo3::prelude::*;

/// N-dimensional zero-copy views and batches; the compiled half of `ndlens`.
#[pymodule(gil_used = false)]
fn _ndlens(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<view::PyView>()?;
    module.add_class::<handoff::PyExplanation>()?;
    module.add_class::<epoch::PyEpoch>()?;
    module.add_class::<items::PyItems>()?;
    module.add_function(wrap_pyfunction!(series::windows, module)?)?;
    module.add_function(wrap_pyfunction!(ragged::ragged, module)?)?;
    module.add_function(wrap_pyfunction!(import::view, module)?)?;
    module.add_class::<sequence::PyViewIterator>()?;
    module.add_function(wrap_pyfunction!(handoff::explain, module)?)?;
    module.add_function(wrap_pyfunction!(import::shares_memory, module)?)?;
    module.add_function(wrap_pyfunction!(import::may_share_memory, module)?)?;
    module.add_class::<shards::PyShards>()?;
    module.add_function(wrap_pyfunction!(store::open, module)?)?;
    module.add_function(wrap_pyfunction!(store::save, module)?)?;
    module.add_function(wrap_pyfunction!(store::guard_truncation, module)?)?;
    module.add_function(wrap_pyfunction!(share::share, module)?)?;
    module.add_function(wrap_pyfunction!(share::empty_shared, module)?)?;
    module.add_function(wrap_pyfunction!(share::attach, module)?)?;
    module.add_function(wrap_pyfunction!(dtype::dtype_name, module)?)?;
    #[cfg(feature = "failing-allocator")]
    {
        module.setattr("_fail_allocation", wrap_pyfunction!(failing::fail_allocation, module)?)?;
        module
            .setattr("_count_allocations", wrap_pyfunction!(failing::count_allocations, module)?)?;
    }
    modules::prepare(&module.py().get_type::<view::PyView>())?;
    // Not `add_class` and `add_function`, which would list them as public.
    module.setattr("_Loader", module.py().get_type::<loader::PyLoader>())?;
    module.setattr("_Gatherer", module.py().get_type::<gather::PyGatherer>())?;
    module.setattr("_SentBatch", module.py().get_type::<gather::PySentBatch>())?;
    module.setattr("_replay", wrap_pyfunction!(params::replay, module)?)?;
    module.setattr("_check_numbers", wrap_pyfunction!(sampling::check_numbers, module)?)?;
    module.setattr("_digest_numbers", wrap_pyfunction!(sampling::digest_numbers, module)?)?;
    module.setattr("_read_numbers", wrap_pyfunction!(sampling::read_numbers, module)?)?;
    module.setattr("_ArrayFile", module.py().get_type::<store::PyArrayFile>())?;
    module.setattr("_arrays_of_handle", wrap_pyfunction!(store::arrays_of_handle, module)?)?;
    module.setattr("_shards_of_views", wrap_pyfunction!(shards::shards_of_views, module)?)?;
    module.setattr("_receive_batch", wrap_pyfunction!(gather::receive_batch, module)?)?;
    module.setattr("_windows_part", wrap_pyfunction!(series::windows_part, module)?)?;
    module.setattr("_Selection", module.py().get_type::<selection::PySelection>())?;
    module
        .setattr("_selection_of_bytes", wrap_pyfunction!(selection::selection_of_bytes, module)?)?;
    module.setattr("_subset", wrap_pyfunction!(items::subset, module)?)?;
    module.setattr("_split", wrap_pyfunction!(splits::split, module)?)?;
    module.setattr("_view_of_handle", wrap_pyfunction!(pickle::view_of_handle, module)?)?;
    module.setattr("_view_of_bytes", wrap_pyfunction!(pickle::view_of_bytes, module)?)?;
    module.setattr("_reduce_sent", wrap_pyfunction!(pickle::reduce_sent, module)?)?;
    module.setattr("_wait_for_receipts", wrap_pyfunction!(pickle::wait_for_receipts, module)?)?;
    module.setattr("_Gate", module.py().get_type::<exit::Gate>())?;
    module.setattr("_forget_threads", wrap_pyfunction!(exit::forget_threads, module)?)?;
    Ok(())
}
