//! The decoder of regions of baseline JPEG, and the markers of all JPEG.

pub(crate) mod baseline;
pub(crate) mod markers;
pub(crate) mod scratch;
