//! `nl.View`: the class, and a group of its methods in each file.
//!
//! | file | what it has |
//! |---|---|
//! | `object.rs` | the class, and new objects of it |
//! | `claim.rs` | a view that can be given up, but not while it is read |
//! | `constructor.rs` | `nl.view`, `nl.shares_memory`, `nl.may_share_memory` |
//! | `attributes.rs` | what a view says of itself; `release` |
//! | `key.rs` | keys in, as indices |
//! | `indexing.rs` | reading: `view[key]` |
//! | `write.rs` | writing: `view[key] = value`, `fill` |
//! | `element.rs` | elements as Python numbers and back |
//! | `shape.rs` | other shapes over the same memory |
//! | `sequence.rs` | what a `memoryview` and a sequence have |

pub(crate) mod attributes;
pub(crate) mod claim;
pub(crate) mod constructor;
pub(crate) mod element;
pub(crate) mod indexing;
pub(crate) mod key;
pub(crate) mod object;
pub(crate) mod sequence;
pub(crate) mod shape;
pub(crate) mod write;
