//! Arrays in files as ndlens views, nothing read before it is looked at.
//!
//! An array on disk is often larger than memory, and most of a run touches a small part of it. [`open`] reads the
//! header of a `.npy` file, maps the rest, and gives a [`View`](ndlens_core::View): pages come in as elements are
//! read, and the system takes them back when it needs the memory. [`Arrays`] are those of an `.npz` or `.safetensors` file by
//! name, [`Shards`] one array in several files, [`Raw`] bytes that say nothing of themselves; [`Options::open`] is the door to all.
//! What a file says is checked before anything is mapped; one that lies about itself gives a typed [`Error`] with its path, never
//! a panic and never a large allocation. [`save`] writes files that are there whole or not at all.
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

mod array_file;
mod arrays;
mod available;
mod block;
mod checkpoint;
mod claims;
mod descr;
mod descriptor;
mod error;
mod error_text;
mod file_handle;
mod forks;
mod guard;
mod handle;
mod holders;
mod ids;
mod json_pairs;
mod literal;
mod map;
mod name_lock;
pub mod named;
mod names;
mod npy;
mod npy_header;
mod npz;
mod nursery;
mod open;
mod origin;
mod placement;
mod process;
mod ragged_note;
mod raw;
mod reading;
mod replacement;
mod safetensors;
mod safetensors_header;
mod save;
mod shards;
mod share;
mod shared;
mod target;
mod tensor_dtype;
mod transit;
mod view_handle;

pub use arrays::{Arrays, RaggedParts};
pub use available::available_bytes;
pub use error::{
    DTypeProblem, Error, HeaderProblem, IndexProblem, MemberProblem, Names, Result, TensorProblem,
};
pub use guard::{MAPS_MAX, READINGS_MAX, Reading, guard_all_threads};
pub use handle::Handle;
pub use map::{MapMode, MappedFile};
pub use open::{Opened, Options, open};
pub use raw::Raw;
pub use save::{Contents, Items, Named, save, save_npy, save_safetensors, save_tensors};
pub use shards::Shards;
pub use share::{empty_shared, share};
pub use shared::{ARENA_WORDS, Arena, ArenaId};
pub use transit::wait_for_receipts;
pub use view_handle::{Packed, ViewHandle};
