//! Ways for other processes to what this one has: an arena, a mapped file, arrays by name, a view.

pub(crate) mod arena;
pub(crate) mod arrays;
pub(crate) mod file;
pub(crate) mod view;
