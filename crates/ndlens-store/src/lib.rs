//! Arrays in files as ndlens views. Elements are read only when they are used.
//!
//! An array on disk is often larger than memory, and most of a run touches a small part of it.
//! [`open`] reads the header of a `.npy` file, maps the rest, and gives a
//! [`View`](ndlens_core::View): the system loads pages as elements are read, and takes them back
//! when it needs the memory. [`Arrays`] are the arrays of an `.npz` or `.safetensors` file by name,
//! [`Shards`] one array in several files, [`Raw`] bytes without a header. [`Options::open`] opens
//! all of them. A header is checked before the file is mapped. A header that is wrong gives a typed
//! [`Error`] with the path, never a panic and never a large allocation. [`save`] replaces a file
//! whole or not at all.
//!
//! ```
//! use ndlens_store::{MapMode, open};
//!
//! let directory = tempfile::tempdir()?;
//! let path = directory.path().join("ramp.npy");
//! let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n";
//! let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
//! bytes.extend((header.len() as u16).to_le_bytes());
//! bytes.extend(header.as_bytes());
//! bytes.extend((0..6i32).flat_map(i32::to_le_bytes));
//! std::fs::write(&path, bytes)?;
//!
//! let view = open(&path, MapMode::CopyOnWrite)?;
//! assert_eq!(view.shape(), [2, 3]);
//! assert_eq!(view.to_vec::<i32>()?, [0, 1, 2, 3, 4, 5]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod encoding;
mod error;
mod file;
mod format;
mod handle;
mod mode;
mod os;
mod shm;

pub use error::{
    DTypeProblem, Error, HeaderProblem, IndexProblem, MemberProblem, Names, Result, TarProblem,
    TensorProblem,
};
pub use file::arrays::{Arrays, RaggedParts};
pub use file::map::MappedFile;
pub use file::open::{Opened, Options, open};
pub use file::pattern::files_of;
pub use file::samples::{Missing, SampleField, TarSamples};
pub use file::save::{Contents, Items, Named, save, save_npy, save_safetensors, save_tensors};
pub use file::shards::Shards;
pub use file::whole::{ask_for_file, read_file};
pub use format::raw::Raw;
pub use handle::arena::Handle;
pub use handle::view::{PackedView, ViewHandle};
pub use mode::MapMode;
pub use os::guard::{MAPS_MAX, READINGS_MAX, Reading, guard_all_threads};
pub use os::huge::in_huge_pages;
pub use os::kernel::{available_bytes, is_running};
pub use shm::arena::{ARENA_WORDS, Arena, ArenaId};
pub use shm::block::sharers;
pub use shm::named;
pub use shm::share::{empty_shared, share};
pub use shm::transit::wait_for_receipts;
