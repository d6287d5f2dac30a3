//! JPEG: the markers, the decoder of regions of the common form, and zune-jpeg for the others.

pub(crate) mod baseline;
pub(crate) mod components;
pub(crate) mod markers;
pub(crate) mod open;
pub(crate) mod scratch;
pub(crate) mod whole;
