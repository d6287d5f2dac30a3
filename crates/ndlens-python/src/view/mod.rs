//! `nl.View`: the class, and a group of its methods in each file.
//!
//! | file | contents |
//! |---|---|
//! | `object.rs` | the class, and new objects of it |
//! | `claim.rs` | a view that can be given up, but not while it is read |
//! | `slicers.rs` | the threads that slice a view, if they run in parallel |
//! | `constructor.rs` | `nl.view`, `nl.shares_memory`, `nl.may_share_memory` |
//! | `attributes.rs` | attributes of a view; `release` |
//! | `face.rs` | what notebooks show |
//! | `key.rs` | keys, extracted as indices |
//! | `indexing.rs` | reading: `view[key]` |
//! | `write.rs` | writing: `view[key] = value`, `fill` |
//! | `element.rs` | elements as Python numbers and back |
//! | `shape.rs` | other shapes over the same memory |
//! | `sequence.rs` | the methods of a `memoryview` and of a sequence |

pub(crate) mod attributes;
pub(crate) mod claim;
pub(crate) mod constructor;
pub(crate) mod element;
pub(crate) mod face;
pub(crate) mod holders;
pub(crate) mod indexing;
pub(crate) mod key;
pub(crate) mod object;
pub(crate) mod sequence;
pub(crate) mod shape;
#[cfg(Py_GIL_DISABLED)]
pub(crate) mod slicers;
pub(crate) mod write;
