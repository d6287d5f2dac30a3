//! Shared memory: arenas, arrays on them, messages about them, and arenas that are found by name.

pub(crate) mod arena;
pub(crate) mod block;
pub(crate) mod claims;
mod name_lock;
pub mod named;
pub(crate) mod nursery;
pub(crate) mod share;
pub(crate) mod transit;
