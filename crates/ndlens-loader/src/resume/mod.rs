//! The state of a run, and how another run resumes from it.

pub(crate) mod digest;
pub(crate) mod note;
pub(crate) mod position;
pub(crate) mod state;
