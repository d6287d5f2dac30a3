//! `nl.Loader`, `nl.torch.Dataset` and the items that they take.

pub(crate) mod batch;
pub(crate) mod channels;
pub(crate) mod core;
pub(crate) mod dataset;
pub(crate) mod destination;
pub(crate) mod epoch;
pub(crate) mod fields;
pub(crate) mod items;
pub(crate) mod iteration;
pub(crate) mod joint;
pub(crate) mod mixing;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod params;
pub(crate) mod pinned;
pub(crate) mod ragged;
pub(crate) mod resume;
pub(crate) mod sampling;
pub(crate) mod selection;
pub(crate) mod series;
pub(crate) mod splits;
pub(crate) mod transforms;
