//! Files: opened, mapped and guarded; arrays in them by name; files that are replaced whole.

pub(crate) mod array_file;
pub(crate) mod arrays;
mod braces;
mod fault_access;
pub(crate) mod map;
pub(crate) mod open;
pub(crate) mod origin;
pub(crate) mod pattern;
pub(crate) mod regular;
mod replacement;
mod sample_index;
pub(crate) mod samples;
pub(crate) mod save;
pub(crate) mod shards;
pub(crate) mod sigbus;
mod target;
pub(crate) mod whole;
