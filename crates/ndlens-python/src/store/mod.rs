//! Arrays in files and in shared memory, and views on their way to other processes.
//!
//! | file | contents |
//! |---|---|
//! | `path.rs` | paths, extracted |
//! | `open.rs` | `nl.open`, `nl.guard_truncation` |
//! | `save.rs` | `nl.save` |
//! | `arrays.rs` | the compiled half of `nl.Arrays` |
//! | `samples.rs` | the compiled half of `nl.Samples` |
//! | `shards.rs`, `shard_items.rs` | `nl.Shards`: the class, and its indexing |
//! | `share.rs`, `share_items.rs` | `nl.share`, `nl.attach`, `nl.empty_shared`; items in them |
//! | `pickle.rs`, `senders.rs` | views to bytes and back; picklers of messages |

pub(crate) mod arrays;
pub(crate) mod open;
pub(crate) mod path;
pub(crate) mod pickle;
pub(crate) mod samples;
pub(crate) mod save;
pub(crate) mod senders;
pub(crate) mod shard_items;
pub(crate) mod shards;
pub(crate) mod share;
pub(crate) mod share_items;
