//! Batches out of views: which items, in what order, made how, by which thread, into whose memory.
//!
//! A [`Loader`] takes items along axis 0 of its sources, one row per batch place, and writes each
//! item once, straight into its place in the batch: cropped, flipped, converted, normalised and
//! with its axes reordered in one pass.
//!
//! - `order.rs`, `walk.rs`: which item comes k-th in an epoch, a pure function of (seed, epoch, k);
//!   many at once.
//! - `weights.rs`, `torch_order.rs`: orders drawn by weights; torch's orders.
//! - `laps.rs`: epochs of any number of items.
//! - `item_numbers.rs`, `feed.rs`, `digest.rs`: what a sampler gives: numbers where they lie, or
//!   while they come; whether it gives them again.
//! - `shard.rs`: which of them each rank takes.
//! - `position.rs`, `state.rs`, `note.rs`: how far a run has come, and how another goes on from
//!   there.
//! - `channels.rs`: the axes of items in the order in which transforms take them.
//! - `mix/`: whole batches mixed in their own memory.
//! - `pool.rs`: batch memory, leased and given back.
//! - `storing.rs`: whether batches are written through the cache.
//! - `engine.rs`: threads, prefetch, shutdown.
//! - `source.rs`, `windows.rs`, `ragged.rs`: where items come from; windows of several series;
//!   items of different sizes.
//! - `selection.rs`, `subset.rs`, `split.rs`: some items of a source; parts of a data set.
//! - `numbers.rs`, `labels.rs`, `nan.rs`: what is read of views of numbers: indices and sizes;
//!   labels; steps with NaN.
//! - `loader.rs`: the face.
//! - `replay.rs`: transforms with parameters that were drawn before.
//! - `gather.rs`, `ring.rs`: batches of items that somebody else chooses; memory for them between
//!   processes.
//!
//! Threads only change who does the work, never what comes out: batches are bit-identical for any
//! number of them.
//!
//! ```
//! use std::sync::Arc;
//! use ndlens_core::{DType, View};
//! use ndlens_loader::{Config, Field, Loader};
//! use ndlens_transforms::Transform;
//!
//! let images = View::from_vec(vec![128u8; 10 * 8 * 8 * 3]).reshape(&[10, 8, 8, 3])?;
//! let field = Field::new("image", Arc::new(images)).with_transforms(vec![
//!     Transform::random_crop(4, 4),
//!     Transform::ToDtype { dtype: DType::F32, scale: true },
//!     Transform::ChannelsFirst,
//! ]);
//! let loader = Loader::new(vec![field], Config { batch_size: 4, shuffle: true, num_workers: 2, ..Config::default() })?;
//! let batches: Vec<_> = loader.epoch(0)?.collect::<Result<_, _>>()?;
//! assert_eq!(batches.len(), 3);
//! assert_eq!(batches[0].views()[0].shape(), [4, 3, 4, 4]);
//! assert_eq!(batches[2].views()[0].shape(), [2, 3, 4, 4]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod builder;
mod channels;
mod compiled;
mod config;
mod dataset;
mod epoch;
mod error;
mod field;
mod loader;
mod memory;
mod order;
mod replay;
mod resume;
mod source;
mod sync;

pub use batch::{Batch, Receipt};
pub use builder::LoaderBuilder;
pub use config::{Config, Values};
pub use dataset::message::Block;
pub use dataset::ring::{Ring, Slot};
pub use dataset::{Gather, Part, Randomness};
pub use epoch::feed::Sampling;
pub use epoch::{Epoch, Progress};
pub use error::{Error, Result};
pub use field::Field;
pub use loader::{Loader, Sampled};
pub use memory::external::BatchMemory;
pub use memory::pool::PoolUse;
pub use memory::store_policy::StorePolicy;
pub use order::ItemOrder;
pub use order::alias::AliasDraws;
pub use order::item_numbers::ItemNumbers;
pub use order::laps::Laps;
pub use order::permutation::Permutation;
pub use order::shard::{Remainder, Shard};
pub use order::shuffler::Shuffler;
pub use order::weighted::Weights;
pub use replay::replay;
pub use resume::digest::Digest;
pub use resume::note::Note;
pub use resume::state::{Basis, STATE_VERSION, State};
pub use source::Source;
pub use source::labels::Labels;
pub use source::nan::{NanSearch, NanSteps};
pub use source::numbers::{flags_of, sizes_of, view_of_sizes};
pub use source::packing::{Packing, copy_rows, places_of};
pub use source::ragged::{Ragged, Shapes};
pub use source::saving::SavedItems;
pub use source::selection::Selection;
pub use source::split::{Dealing, Sizes, split};
pub use source::subset::Subset;
pub use source::windows::{Columns, SeriesStep, Span, Windows, columns_of, lengths_of_groups};
