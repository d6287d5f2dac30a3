//! The memory of torch tensors, kept if torch frees it.
//!
//! All tensors on one memory share a storage, and so do the arrays made of them. `share_memory_()`,
//! a queue and the arguments of a spawned process move a storage: torch copies it to shared memory,
//! swaps the pointer and frees the old memory, also while a view shows it. DLPack has no means to
//! prevent that. So:
//!
//! - A tensor that is made of a view has the view in its storage's `__dict__` too. The memory is
//!   given back when both are gone: the pointer, which torch frees when it moves the storage, and
//!   the storage, which lives as long as any tensor, array or capsule that was made of this tensor.
//! - A view that is made of a tensor holds the storage, and a [`Watch`] stands in the storage's
//!   `__dict__` before the two methods that move it. It takes a second claim on the old memory
//!   before torch moves the storage, and marks the views as moved: their memory stays valid, and
//!   they raise when they are read.
//!
//! # Rationale
//!
//! The second claim is `torch._lazy_clone`, which makes the old pointer a counted one, for clones
//! that copy on write. No clone of it is ever written, and none is left if nothing was moved.
//! torch has it for memory of its own allocator only. Other memory, such as NumPy's, would be
//! freed, so moving it is an error while a view lives, as resizing a `bytearray` is.
//!
//! # Limitations
//!
//! - `tensor.resize_` is prevented as NumPy does it: a storage that was viewed cannot be resized
//!   any more.
//! - `tensor.set_` and `tensor.data =` give a tensor another storage. A view stays with the storage
//!   that it was made of; an array that NumPy made of that tensor is lost, as torch says of its
//!   `numpy()`.

#![expect(unsafe_code, reason = "gives a view of a tensor another owner; see UNSAFE.md")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use ndlens::{Buffer, Owner, View};
use pyo3::exceptions::{PyBufferError, PyReferenceError};
use pyo3::prelude::*;
use pyo3::types::{
    PyByteArray, PyBytes, PyDict, PyMemoryView, PyTuple, PyType, PyWeakrefMethods,
    PyWeakrefReference,
};

use crate::error::OrRaise;
use crate::exit;
use crate::interop::buffer::attached;
use crate::interop::foreign;
use crate::interop::foreign::is_plain;
use crate::interop::import::extract_view;
use crate::optional;
use crate::optional::interned;
use crate::view::object::PyView;

/// The methods of a storage that move it.
const MOVERS: [&str; 2] = ["_share_fd_cpu_", "_share_filename_cpu_"];

/// The key of a view in a storage's `__dict__`.
const HELD: &str = "_ndlens_memory";

/// Number of bases of an array that are searched for a tensor.
const BASES_MAX: usize = 8;

const REFUSED: &str = "ndlens views this tensor's memory, which torch would free when it moves \
                       the tensor to shared memory: call share_memory_() before nl.view, or give \
                       nl.view a clone() of the tensor";

/// The memory of a view that a storage holds.
#[pyclass(frozen, name = "_HeldMemory", module = "ndlens._ndlens")]
struct HeldMemory {
    _buffer: Buffer,
}

/// Has a tensor's storage hold the view that the tensor was made of.
pub(crate) fn hold(tensor: &Bound<'_, PyAny>, view: &View) -> PyResult<()> {
    let py = tensor.py();
    let _inside = exit::enter(py);
    let storage = tensor.call_method0(interned!(py, "untyped_storage"))?;
    storage.setattr(
        interned!(py, HELD),
        Bound::new(py, HeldMemory { _buffer: view.buffer().clone() })?,
    )
}

/// A view of any object that `nl.view` takes, whose memory lasts as long as the view, also if it is
/// a tensor's.
pub(crate) fn extract_lasting_view(obj: &Bound<'_, PyAny>) -> PyResult<View> {
    let _inside = exit::enter(obj.py());
    let view = extract_view(obj)?;
    if view.is_empty() || obj.is_instance_of::<PyView>() {
        return Ok(view);
    }
    let Some(watch) = watch_over(obj)? else { return Ok(view) };
    let owner = Arc::new(Watched { buffer: view.buffer().clone(), watch });
    let (ptr, len, access) = (owner.buffer.as_ptr(), owner.buffer.len(), owner.buffer.access());
    // SAFETY: the bytes of a buffer, with its access; the buffer is in the owner, and the watch
    // holds their memory.
    let buffer = unsafe { Buffer::from_raw(ptr, len, access, owner) };
    View::new(buffer, view.layout().clone(), view.dtype().clone()).or_raise()
}

/// Fails if the view's memory is no longer that of the tensor it was made of. Checked before a view
/// is handed on.
pub(crate) fn check_in_place(view: &View) -> PyResult<()> {
    match view.buffer().owner::<Watched>() {
        Some(watched) => watched.watch.check().or_raise(),
        None => Ok(()),
    }
}

/// The buffer that a view was made of, if it is a tensor's.
pub(crate) fn unwatched(buffer: &Buffer) -> &Buffer {
    buffer.owner::<Watched>().map_or(buffer, |watched| &watched.buffer)
}

/// The storage of the tensor that a view was made of, if it is a tensor's.
pub(crate) fn storage_of(py: Python<'_>, buffer: &Buffer) -> Option<Py<PyAny>> {
    let watched = buffer.owner::<Watched>()?;
    let held = watched.watch.held.lock().unwrap_or_else(PoisonError::into_inner);
    held.first().map(|storage| storage.clone_ref(py))
}

/// The owner of a view of a tensor's memory.
struct Watched {
    buffer: Buffer,
    watch: Arc<Watch>,
}

impl Owner for Watched {
    fn description(&self) -> String {
        "a torch tensor's storage".to_owned()
    }

    fn verify(&self, _len: usize) -> ndlens::Result<()> {
        self.watch.check()?;
        self.buffer.verify()
    }

    fn can_shrink(&self) -> bool {
        self.buffer.can_shrink()
    }

    fn is_damaged(&self) -> bool {
        self.watch.is_moved() || self.buffer.is_damaged()
    }
}

/// State that the views of one storage share.
struct Watch {
    moved: AtomicBool,
    /// The storage, and the memory that it had.
    held: Mutex<Vec<Py<PyAny>>>,
}

impl Watch {
    fn is_moved(&self) -> bool {
        // Acquire: if it is false, what was read before was read before the move; see `Mover`.
        self.moved.load(Ordering::Acquire)
    }

    fn check(&self) -> ndlens::Result<()> {
        let cause = "torch moved the tensor's memory after this view was made (share_memory_(), a \
                     queue and a worker's arguments do that): make the view again, or share the \
                     tensor first";
        if self.is_moved() { Err(ndlens::Error::Moved { cause }) } else { Ok(()) }
    }

    fn hold(&self, object: Bound<'_, PyAny>) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).push(object.unbind());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let held = std::mem::take(self.held.get_mut().unwrap_or_else(PoisonError::into_inner));
        // Leaked if the interpreter is gone.
        let mut held = std::mem::ManuallyDrop::new(held);
        attached(|_| drop(std::mem::take(&mut *held)));
    }
}

/// The watch over the tensor that an object is, or is made of; None if there is none.
fn watch_over(obj: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Watch>>> {
    let py = obj.py();
    let Some(tensor) = tensor_class(py)? else { return Ok(None) };
    let mut base = obj.clone();
    for _ in 0..BASES_MAX {
        if base.is_exact_instance_of::<PyBytes>() || base.is_exact_instance_of::<PyByteArray>() {
            return Ok(None);
        }
        if base.is_instance(tensor)? {
            return watch_storage(&foreign::storage(&base)?).map(Some);
        }
        if let Ok(view) = base.cast::<PyView>() {
            let view = view.get().view()?;
            return Ok(view.buffer().owner::<Watched>().map(|watched| Arc::clone(&watched.watch)));
        }
        // Not for other classes: their attributes may run any code.
        let next = if base.cast::<PyMemoryView>().is_ok() {
            base.getattr(interned!(py, "obj"))?
        } else if is_plain(&base.get_type()) {
            // Not for an array, which would build an interface only to say that it has one.
            base.getattr(interned!(py, "base"))?
        } else if base.hasattr(interned!(py, "__array_interface__"))? {
            base.getattr_opt(interned!(py, "base"))?.unwrap_or_else(|| py.None().into_bound(py))
        } else {
            return Ok(None);
        };
        if next.is_none() {
            return Ok(None);
        }
        base = next;
    }
    Ok(None)
}

/// `torch.Tensor`, if torch is imported.
fn tensor_class(py: Python<'_>) -> PyResult<Option<&Bound<'_, PyType>>> {
    static CLASS: OnceLock<Py<PyType>> = OnceLock::new();
    if let Some(class) = CLASS.get() {
        return Ok(Some(class.bind(py)));
    }
    let Some(torch) = optional::loaded(py, "torch")? else { return Ok(None) };
    // Another thread may be half-way through importing it.
    let Some(class) = torch.getattr_opt(interned!(py, "Tensor"))? else { return Ok(None) };
    let class = class.cast_into::<PyType>()?.unbind();
    Ok(Some(CLASS.get_or_init(|| class).bind(py)))
}

/// The place of a storage's watch, which both movers of the storage have.
#[derive(Default)]
struct Post(Mutex<Weak<Watch>>);

impl Post {
    /// The lock is held for moments in which no Python code runs: a fork does not copy it.
    fn lock(&self) -> MutexGuard<'_, Weak<Watch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) -> Option<Arc<Watch>> {
        self.lock().upgrade()
    }

    /// The watch, or a new one over this storage.
    fn watch_or_new(&self, storage: &Bound<'_, PyAny>) -> Arc<Watch> {
        let mut place = self.lock();
        if let Some(watch) = place.upgrade() {
            return watch;
        }
        let watch = Arc::new(Watch { moved: AtomicBool::new(false), held: Mutex::default() });
        watch.hold(storage.clone());
        *place = Arc::downgrade(&watch);
        watch
    }
}

/// The watch over a storage: the existing one, or a new one.
fn watch_storage(storage: &Bound<'_, PyAny>) -> PyResult<Arc<Watch>> {
    let py = storage.py();
    let attributes = storage.getattr(interned!(py, "__dict__"))?.cast_into::<PyDict>()?;
    if let Some(mover) = attributes.get_item(MOVERS[0])?
        && let Ok(mover) = mover.cast::<Mover>()
        && let Some(watch) = mover.get().post.watch()
    {
        return Ok(watch);
    }
    prevent_resizing(storage)?;
    let mut post = Arc::new(Post::default());
    for method in MOVERS {
        let storage = PyWeakrefReference::new(storage)?.unbind();
        let mover = Bound::new(py, Mover { method, storage, post: Arc::clone(&post) })?;
        // Threads that view one tensor at the same time all get the mover of the first.
        let first = attributes.call_method1(interned!(py, "setdefault"), (method, mover))?;
        post = Arc::clone(&first.cast::<Mover>()?.get().post);
    }
    Ok(post.watch_or_new(storage))
}

/// A tensor of bytes on a storage.
fn bytes_of<'py>(storage: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = storage.py();
    let keywords = PyDict::new(py);
    keywords.set_item(interned!(py, "dtype"), optional::get(py, "torch", "uint8")?)?;
    // On the CPU, for any default device.
    keywords.set_item(interned!(py, "device"), interned!(py, "cpu"))?;
    let bytes = optional::get(py, "torch", "empty")?.call((0,), Some(&keywords))?;
    bytes.call_method1(interned!(py, "set_"), (storage,))
}

/// Has torch refuse to resize a storage, which would free its memory.
fn prevent_resizing(storage: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = storage.py();
    if storage.call_method0(interned!(py, "resizable"))?.is_truthy()? {
        // An array of it makes it so, if there is NumPy.
        let _ = bytes_of(storage)?.call_method0(interned!(py, "numpy"));
    }
    Ok(())
}

/// Replaces a method that moves a storage, and calls it.
#[pyclass(frozen, name = "_Mover", module = "ndlens._ndlens")]
struct Mover {
    method: &'static str,
    storage: Py<PyWeakrefReference>,
    post: Arc<Post>,
}

#[pymethods]
impl Mover {
    #[pyo3(signature = (*arguments, **keywords))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        arguments: &Bound<'py, PyTuple>,
        keywords: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _inside = exit::enter(py);
        let storage = self.storage.bind(py).upgrade();
        let storage = storage.ok_or_else(|| PyReferenceError::new_err("the storage is gone"))?;
        let run = || {
            let method =
                storage.get_type().getattr(self.method)?.call_method1("__get__", (&storage,))?;
            method.call(arguments, keywords)
        };
        let is_shared = || storage.call_method0(interned!(py, "is_shared"))?.is_truthy();
        let address = || storage.call_method0(interned!(py, "data_ptr"))?.extract::<usize>();
        let Some(watch) = self.post.watch() else {
            unwatch(&storage)?;
            return run();
        };
        let before = address()?;
        // A storage that is shared already is not moved.
        let held = if is_shared()? { None } else { second_claim(&storage)? };
        if held.is_none() && !is_shared()? {
            return Err(PyBufferError::new_err(REFUSED));
        }
        let result = run();
        // It may fail once the memory is moved.
        if address()? != before {
            if let Some(held) = held {
                watch.hold(held);
            }
            // Release: the memory is held.
            watch.moved.store(true, Ordering::Release);
            unwatch(&storage)?;
        }
        result
    }
}

/// Takes the watch from a storage.
fn unwatch(storage: &Bound<'_, PyAny>) -> PyResult<()> {
    let attributes = storage.getattr(interned!(storage.py(), "__dict__"))?.cast_into::<PyDict>()?;
    for method in MOVERS {
        if attributes.contains(method)? {
            attributes.del_item(method)?;
        }
    }
    Ok(())
}

/// An object that holds the memory that a storage has now; None if torch cannot make one.
fn second_claim<'py>(storage: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = storage.py();
    if let Some(held) = storage.getattr_opt(interned!(py, HELD))? {
        return Ok(Some(held));
    }
    let bytes = bytes_of(storage)?;
    // The clone fails for memory that is not of torch's own allocator.
    Ok(optional::get(py, "torch", "_lazy_clone")?.call1((bytes,)).ok())
}
