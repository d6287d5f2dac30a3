//! What keeps the memory of a view alive, for `View.holders`; and facts for tests about memory.

use std::sync::atomic::Ordering;

use ndlens::store::sharers;
use ndlens::{DType, Layout, View};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::OrRaise;
use crate::exit;
use crate::interop::buffer::BufferExport;
use crate::interop::import::extract_view;
use crate::interop::interface::Kept;
use crate::interop::tensor_memory::{storage_of, unwatched};
use crate::lists::Asked;
use crate::provided;
use crate::view::object::PyView;

#[pymethods]
impl PyView {
    /// What keeps the bytes of this view alive: an `nl.Holders` to look at and to print.
    ///
    /// The owner of the memory; how many views, tensors and loaders hold it through ndlens; how
    /// many buffers are taken of this view, for which `release` waits; the other processes that
    /// hold shared memory; and what ndlens cannot know.
    ///
    /// Args:
    ///     `search`: Whether to look for views, arrays and tensors on this memory among all Python
    ///         objects, and to say where they are. That takes up to a second.
    ///
    /// >>> import ndlens as nl
    /// >>> view = nl.view(bytearray(6))
    /// >>> row = view[2:]
    /// >>> held = memoryview(view)
    /// >>> [(holder.what, holder.count) for holder in view.holders()]
    /// [('owner', 1), ('claims', 2), ('exports', 1), ('others', None)]
    #[pyo3(signature = (*, search = false))]
    fn holders<'py>(slf: &Bound<'py, Self>, search: bool) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let _inside = exit::enter(py);
        let own = slf.get();
        let view = own.view()?;
        let (buffer, below) = (view.buffer(), unwatched(view.buffer()));
        let facts = PyDict::new(py);
        facts.set_item("owner", below.owner_description())?;
        facts.set_item("is_held_by_others", below.is_held_by_others())?;
        let object = match below.owner::<BufferExport>() {
            Some(export) => export.exporter(py),
            None => below.owner::<Kept>().and_then(|kept| kept.object(py)),
        };
        facts.set_item("object", object.or_else(|| storage_of(py, buffer)))?;
        facts.set_item("start", buffer.as_ptr().addr().get())?;
        facts.set_item("nbytes", buffer.len())?;
        facts.set_item("claims", buffer.claims())?;
        // Relaxed: a number to show.
        facts.set_item("exports", own.exports.load(Ordering::Relaxed))?;
        let sharers = exit::detach(py, || sharers(below));
        facts.set_item("is_shared", sharers.is_some())?;
        facts.set_item("processes", sharers.and_then(Result::ok))?;
        drop(view);
        provided::HOLDERS.get(py)?.call1((facts, search))
    }
}

/// Addresses of the first byte of a view's elements and of the one after the last, and whether the
/// memory is read-only.
type Extent = (usize, usize, bool);

fn extent(view: &View) -> PyResult<Extent> {
    let (below, above) = Layout::reach(view.shape(), view.strides(), view.itemsize()).or_raise()?;
    let first = view.as_ptr().addr();
    Ok((first - below, first + above, view.is_read_only()))
}

/// The memory of two objects, and of the second whether all of it lies in that of the first, and
/// whether any.
#[pyfunction]
#[pyo3(name = "_compare_memory", signature = (a, b, /))]
pub(crate) fn compare_memory(
    py: Python<'_>,
    a: &Bound<'_, PyAny>,
    b: &Bound<'_, PyAny>,
) -> PyResult<(Extent, Extent, bool, bool)> {
    let (a, b) = (extract_view(a)?, extract_view(b)?);
    let (lies, shares) = exit::detach(py, || (b.lies_in(&a), b.shares_memory(&a)));
    Ok((extent(&a)?, extent(&b)?, lies.or_raise()?, shares))
}

/// The addresses of an object's memory; None for an object that `nl.view` does not take.
#[pyfunction]
#[pyo3(name = "_extent", signature = (obj, /))]
pub(crate) fn extent_of(obj: &Bound<'_, PyAny>) -> PyResult<Option<(usize, usize)>> {
    let Some(view) = extract_view(obj).if_taken(obj.py())? else { return Ok(None) };
    Ok(extent(&view).if_taken(obj.py())?.map(|(start, end, _)| (start, end)))
}

/// Inverts the first byte of `b`, which is one of `a`, through either of them, reads it through the
/// other, and puts it back. Whether the other read what was written; None if both are read-only.
#[pyfunction]
#[pyo3(name = "_write_through", signature = (a, b, /))]
pub(crate) fn write_through(a: &Bound<'_, PyAny>, b: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let (a, b) = (extract_view(a)?, extract_view(b)?);
    let at = b.as_ptr().addr();
    let (written, read) = match (a.is_read_only(), b.is_read_only()) {
        (_, false) => (&b, &a),
        (false, true) => (&a, &b),
        (true, true) => return Ok(None),
    };
    let (written, read) = (byte_at(written, at)?, byte_at(read, at)?);
    let before = written.to_vec::<u8>().or_raise()?;
    let inverted = before.iter().map(|byte| !byte).collect::<Vec<_>>();
    written.fill(&inverted).or_raise()?;
    let seen = read.to_vec::<u8>();
    written.fill(&before).or_raise()?;
    Ok(Some(seen.or_raise()? == inverted))
}

/// The byte of a view's buffer at an address.
fn byte_at(view: &View, address: usize) -> PyResult<View> {
    let buffer = view.buffer();
    let offset = address.wrapping_sub(buffer.as_ptr().addr().get());
    let layout = Layout::new(&[1], &[1], offset, 1, buffer.len()).or_raise()?;
    View::new(buffer.clone(), layout, DType::U8).or_raise()
}
