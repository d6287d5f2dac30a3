//! Handles by which other processes open memory of this one: an arena, a mapped file, arrays by
//! name, a view.

pub(crate) mod arena;
pub(crate) mod arrays;
pub(crate) mod file;
pub(crate) mod samples;
pub(crate) mod view;
