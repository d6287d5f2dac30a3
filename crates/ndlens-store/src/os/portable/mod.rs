//! What is done with POSIX alone, where there is neither memfd nor `/proc` nor a guard.

pub(crate) mod advice;
pub(crate) mod files;
pub(crate) mod guard;
pub(crate) mod huge;
pub(crate) mod kernel;
pub(crate) mod shared;
