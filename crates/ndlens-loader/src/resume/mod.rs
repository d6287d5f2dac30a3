//! How far a run has come, and how another goes on from there.

pub(crate) mod digest;
pub(crate) mod note;
pub(crate) mod position;
pub(crate) mod state;
