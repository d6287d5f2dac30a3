//! `nl.Loader`, `nl.torch.Dataset` and the items that they take.
//!
//! | file | contents |
//! |---|---|
//! | `options.rs` | the keywords of both, in groups |
//! | `fields.rs` | fields in, with their transforms |
//! | `transforms.rs`, `channels.rs`, `joint.rs`, `mixing.rs` | keywords about the fields |
//! | `core.rs` | the loader: its construction, its ranks, its states |
//! | `iteration.rs`, `epoch.rs` | its batches, by iteration and by number; the iterator |
//! | `sampling.rs`, `resume.rs` | items of a sampler; a state as a dict |
//! | `output.rs`, `batch.rs`, `params.rs` | tensors or arrays; a batch; its drawn parameters |
//! | `skipped.rs` | the items that an epoch left out |
//! | `pinned.rs`, `destination.rs` | batches in pinned memory; batches to a device |
//! | `dataset.rs` | batches for torch's `DataLoader`, also to other processes |
//! | `face.rs` | what notebooks show |
//! | `items.rs`, `subset.rs` | `nl.Items`; `nl.subset` |
//! | `images.rs` | `nl.images` |
//! | `ragged.rs`, `series.rs`, `splits.rs` | `nl.ragged`, `nl.windows`, `nl.split` |
//! | `prepared.rs` | images made once, for `nl.pack` |
//! | `labels.rs` | `nl.labels` |
//! | `selection.rs` | indices, masks and labels in |

pub(crate) mod batch;
pub(crate) mod channels;
pub(crate) mod core;
pub(crate) mod dataset;
pub(crate) mod destination;
pub(crate) mod epoch;
pub(crate) mod face;
pub(crate) mod fields;
pub(crate) mod images;
pub(crate) mod items;
pub(crate) mod iteration;
pub(crate) mod joint;
pub(crate) mod labels;
pub(crate) mod mixing;
pub(crate) mod options;
pub(crate) mod output;
pub(crate) mod params;
pub(crate) mod pinned;
pub(crate) mod prepared;
pub(crate) mod ragged;
pub(crate) mod resume;
pub(crate) mod sampling;
pub(crate) mod selection;
pub(crate) mod series;
pub(crate) mod skipped;
pub(crate) mod splits;
pub(crate) mod subset;
pub(crate) mod transforms;
