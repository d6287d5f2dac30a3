//! The Python classes and functions of ndlens: each extracts its arguments, detaches, calls and
//! wraps.
//!
//! This crate decides nothing about arrays; an `if` about the domain belongs in a crate below.

mod codecs;
mod error;
mod exit;
#[cfg(feature = "failing-allocator")]
mod failing;
mod interop;
mod interrupt;
mod lists;
mod loader;
mod optional;
mod provided;
mod store;
mod structure;
mod threads;
mod trace;
mod view;

use pyo3::prelude::*;

/// Small allocations succeed where memory runs out, so that the operation can end with an error.
#[cfg(not(feature = "failing-allocator"))]
#[global_allocator]
static ALLOCATOR: ndlens::Reserve = ndlens::Reserve::new(std::alloc::System);

/// N-dimensional zero-copy views and batches; the compiled half of `ndlens`.
#[pymodule(gil_used = false)]
fn _ndlens(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<view::object::PyView>()?;
    module.add_class::<interop::handoff::PyExplanation>()?;
    module.add_class::<loader::epoch::PyEpoch>()?;
    module.add_class::<loader::items::PyItems>()?;
    module.add_class::<loader::images::PyImages>()?;
    module.add_class::<loader::skipped::PySkipped>()?;
    module.add_function(wrap_pyfunction!(loader::images::images, module)?)?;
    module.add_function(wrap_pyfunction!(loader::series::windows, module)?)?;
    module.add_function(wrap_pyfunction!(loader::ragged::ragged, module)?)?;
    module.add_function(wrap_pyfunction!(loader::labels::labels, module)?)?;
    module.add_function(wrap_pyfunction!(view::constructor::view, module)?)?;
    module.add_class::<view::sequence::PyViewIterator>()?;
    module.add_function(wrap_pyfunction!(interop::handoff::explain, module)?)?;
    module.add_function(wrap_pyfunction!(view::constructor::shares_memory, module)?)?;
    module.add_function(wrap_pyfunction!(view::constructor::may_share_memory, module)?)?;
    module.add_function(wrap_pyfunction!(codecs::decode::decode_image, module)?)?;
    module.add_class::<store::shards::PyShards>()?;
    module.add_function(wrap_pyfunction!(store::open::open, module)?)?;
    module.add_function(wrap_pyfunction!(store::save::save, module)?)?;
    module.add_function(wrap_pyfunction!(store::open::guard_truncation, module)?)?;
    module.add_function(wrap_pyfunction!(store::share::share, module)?)?;
    module.add_function(wrap_pyfunction!(store::share::empty_shared, module)?)?;
    module.add_function(wrap_pyfunction!(store::share::attach, module)?)?;
    module.add_function(wrap_pyfunction!(interop::dtype::dtype_name, module)?)?;
    #[cfg(feature = "failing-allocator")]
    {
        module.setattr("_fail_allocation", wrap_pyfunction!(failing::fail_allocation, module)?)?;
        module
            .setattr("_count_allocations", wrap_pyfunction!(failing::count_allocations, module)?)?;
    }
    #[cfg(Py_GIL_DISABLED)]
    view::object::keep_class(&module.py().get_type::<view::object::PyView>());
    optional::prepare(&module.py().get_type::<view::object::PyView>())?;
    // Not `add_class` and `add_function`, which would list them as public.
    module.setattr("_Loader", module.py().get_type::<loader::core::PyLoader>())?;
    module.setattr("_Gatherer", module.py().get_type::<loader::dataset::PyGatherer>())?;
    module.setattr("_SentBatch", module.py().get_type::<loader::dataset::PySentBatch>())?;
    module.setattr("_replay", wrap_pyfunction!(loader::params::replay, module)?)?;
    module.setattr("_check_numbers", wrap_pyfunction!(loader::sampling::check_numbers, module)?)?;
    module
        .setattr("_digest_numbers", wrap_pyfunction!(loader::sampling::digest_numbers, module)?)?;
    module.setattr("_read_numbers", wrap_pyfunction!(loader::sampling::read_numbers, module)?)?;
    module.setattr("_image_header", wrap_pyfunction!(codecs::decode::image_header, module)?)?;
    module.setattr("_ArrayFile", module.py().get_type::<store::arrays::PyArrayFile>())?;
    module
        .setattr("_arrays_of_handle", wrap_pyfunction!(store::arrays::arrays_of_handle, module)?)?;
    module
        .setattr("_shards_of_views", wrap_pyfunction!(store::shards::shards_of_views, module)?)?;
    module
        .setattr("_prepare_images", wrap_pyfunction!(loader::prepared::prepare_images, module)?)?;
    module.setattr(
        "_fingerprint_of_images",
        wrap_pyfunction!(loader::prepared::fingerprint_of_images, module)?,
    )?;
    module.setattr("_SampleSet", module.py().get_type::<store::samples::PySampleSet>())?;
    module.setattr(
        "_samples_of_handle",
        wrap_pyfunction!(store::samples::samples_of_handle, module)?,
    )?;
    module.setattr(
        "_items_of_samples",
        wrap_pyfunction!(store::samples::items_of_samples, module)?,
    )?;
    module.setattr("_receive_batch", wrap_pyfunction!(loader::dataset::receive_batch, module)?)?;
    module.setattr("_windows_part", wrap_pyfunction!(loader::series::windows_part, module)?)?;
    module.setattr("_Selection", module.py().get_type::<loader::selection::PySelection>())?;
    module.setattr(
        "_selection_of_bytes",
        wrap_pyfunction!(loader::selection::selection_of_bytes, module)?,
    )?;
    module.setattr("_images_again", wrap_pyfunction!(loader::images::images_again, module)?)?;
    module.setattr("_subset", wrap_pyfunction!(loader::subset::subset, module)?)?;
    module.setattr("_split", wrap_pyfunction!(loader::splits::split, module)?)?;
    module.setattr("_view_of_handle", wrap_pyfunction!(store::pickle::view_of_handle, module)?)?;
    module.setattr("_view_of_bytes", wrap_pyfunction!(store::pickle::view_of_bytes, module)?)?;
    module.setattr("_reduce_sent", wrap_pyfunction!(store::pickle::reduce_sent, module)?)?;
    module.setattr(
        "_wait_for_receipts",
        wrap_pyfunction!(store::pickle::wait_for_receipts, module)?,
    )?;
    module.setattr("_provide", wrap_pyfunction!(provided::provide, module)?)?;
    module.setattr("_compare_memory", wrap_pyfunction!(view::holders::compare_memory, module)?)?;
    module.setattr("_extent", wrap_pyfunction!(view::holders::extent_of, module)?)?;
    module.setattr("_write_through", wrap_pyfunction!(view::holders::write_through, module)?)?;
    module.setattr("_open_trace", wrap_pyfunction!(trace::open_trace, module)?)?;
    module.setattr("_close_trace", wrap_pyfunction!(trace::close_trace, module)?)?;
    module.setattr("_copied", wrap_pyfunction!(trace::copied_by_python, module)?)?;
    module.setattr("_Gate", module.py().get_type::<exit::Gate>())?;
    module.setattr("_forget_threads", wrap_pyfunction!(exit::forget_threads, module)?)?;
    Ok(())
}
