//! What Linux has.

pub(crate) mod advice;
mod fault_access;
pub(crate) mod files;
pub(crate) mod guard;
pub(crate) mod huge;
pub(crate) mod kernel;
pub(crate) mod shared;
