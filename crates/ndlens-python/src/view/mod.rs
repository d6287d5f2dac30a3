//! `nl.View`: the class, a group of its methods in each file.

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
