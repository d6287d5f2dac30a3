//! Arrays in files as ndlens views, nothing read before it is looked at.
//!
//! An array on disk is often larger than memory, and most of a run touches a small part of it.
//! [`open`] reads the header of a `.npy` file, maps the rest, and gives a
//! [`View`](ndlens_core::View): pages come in as elements are read, and the system takes them back
//! when it needs the memory. [`Arrays`] are those of an `.npz` or `.safetensors` file by name,
//! [`Shards`] one array in several files, [`Raw`] bytes that say nothing of themselves;
//! [`Options::open`] is the door to all. What a file says is checked before anything is mapped; one
//! that lies about itself gives a typed [`Error`] with its path, never a panic and never a large
//! allocation. [`save`] writes files that are there whole or not at all.
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
    DTypeProblem, Error, HeaderProblem, IndexProblem, MemberProblem, Names, Result, TensorProblem,
};
pub use file::arrays::{Arrays, RaggedParts};
pub use file::map::MappedFile;
pub use file::open::{Opened, Options, open};
pub use file::save::{Contents, Items, Named, save, save_npy, save_safetensors, save_tensors};
pub use file::shards::Shards;
pub use file::sigbus::{MAPS_MAX, READINGS_MAX, Reading, guard_all_threads};
pub use format::raw::Raw;
pub use handle::arena::Handle;
pub use handle::view::{Packed, ViewHandle};
pub use mode::MapMode;
pub use os::available::available_bytes;
pub use shm::arena::{ARENA_WORDS, Arena, ArenaId};
pub use shm::named;
pub use shm::share::{empty_shared, share};
pub use shm::transit::wait_for_receipts;
