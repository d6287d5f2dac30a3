//! Shared memory: arenas, arrays on them, the processes that hold them, and arenas that are found
//! by name.

pub(crate) mod arena;
pub(crate) mod block;
pub(crate) mod claims;
pub(crate) mod holders;
mod name_lock;
pub mod named;
pub(crate) mod nursery;
pub(crate) mod share;
pub(crate) mod transit;
