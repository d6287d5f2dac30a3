//! Batches of items of views. Worker threads make them in a computed order, apply the transforms,
//! and reuse the memory.
//!
//! A [`Loader`] takes items along axis 0 of its sources, one for each row of a batch, and writes
//! each item once, straight into its row: cropped, flipped, converted, normalised and with its axes
//! reordered in one pass.
//!
//! ```text
//!  loader, builder     fields and settings, and the epochs of their batches
//!    dataset/          batches for torch's DataLoader
//!    epoch/            the division of batches among threads; the making of items
//!      memory/         the memory of batches, leased and given back
//!      compiled        a field with its transforms compiled to a pipeline
//!        field         a source, a name and a list of transforms
//!          source/     the items: views, files, encoded images, windows, ragged items, subsets
//!      order/          the k-th item of an epoch, and the items of a rank
//!      resume/         the state of a run, and how another run resumes from it
//! ```
//!
//! Every file uses files below it only. The transforms and their random numbers are in
//! [`ndlens_transforms`].
//!
//! The number of threads does not change the result: batches are
//! bit-identical for any number of threads.
//!
//! ```
//! use std::sync::Arc;
//! use ndlens_core::{DType, View};
//! use ndlens_loader::{Config, Field, Loader};
//! use ndlens_transforms::{ChannelsFirst, RandomCrop, Step, ToDtype};
//!
//! let images = View::from_vec(vec![128u8; 10 * 8 * 8 * 3]).reshape(&[10, 8, 8, 3])?;
//! let field = Field::new("image", Arc::new(images)).with_transforms(vec![
//!     RandomCrop::new(4, 4).boxed(),
//!     ToDtype { dtype: DType::F32, scale: true }.boxed(),
//!     ChannelsFirst::default().boxed(),
//! ]);
//! let config = Config { batch_size: 4, shuffle: true, num_workers: 2, ..Config::default() };
//! let loader = Loader::new(vec![field], config)?;
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
mod prepared;
mod replay;
mod resume;
mod scratch;
mod skipped;
mod source;
mod summary;
mod sync;

pub use batch::{Batch, DrawnMixing, Receipt};
pub use builder::LoaderBuilder;
pub use config::{Config, Values};
pub use dataset::message::SentBlock;
pub use dataset::ring::{Ring, Slot};
pub use dataset::{BatchPart, Gather, Randomness};
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
pub use prepared::{PreparedImage, fingerprint_of, prepare};
pub use replay::replay;
pub use resume::digest::Digest;
pub use resume::note::Note;
pub use resume::state::{Basis, STATE_VERSION, State};
pub use skipped::{OnError, SkipRecord, SkippedItem, SkippedItems};
pub use source::Source;
pub use source::encoded::{EncodedImages, ImageFiles};
pub use source::image_bytes::ImageBytes;
pub use source::images::{ImageOptions, Images, PixelFormat};
pub use source::labels::Labels;
pub use source::members::numbers_in_text;
pub use source::nan::{NanSearch, NanSteps};
pub use source::numbers::{flags_of, sizes_of, view_of_sizes};
pub use source::packing::{Packing, copy_rows, places_of};
pub use source::ragged::{Ragged, Shapes};
pub use source::saving::SavedItems;
pub use source::selection::Selection;
pub use source::split::{Dealing, PartSizes, split};
pub use source::subset::Subset;
pub use source::windows::{Columns, SeriesStep, Span, Windows, columns_of, lengths_of_groups};
pub use summary::FieldSummary;
