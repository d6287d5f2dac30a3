//! Arrays in files and in shared memory, and views on their way to other processes.

pub(crate) mod arrays;
pub(crate) mod open;
pub(crate) mod path;
pub(crate) mod pickle;
pub(crate) mod save;
pub(crate) mod senders;
pub(crate) mod shard_items;
pub(crate) mod shards;
pub(crate) mod share;
pub(crate) mod share_items;
