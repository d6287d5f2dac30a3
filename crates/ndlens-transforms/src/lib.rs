//! Transforms of items: crops, flips, colours, values, and mixed batches.
//!
//! A transform is one type that implements the trait [`Step`]. One file has all of it, with its
//! family: its parameters, checks, random draws, application and tests. A [`Pipeline`] is a list of
//! transforms, compiled for items of one shape and dtype. All functions are pure functions of an
//! item and of its drawn parameters: the crate has no threads, no pools and no files.
//!
//! ```text
//!   (seed, field)         Stream            random.rs      Philox: numbers by their place
//!     (epoch, item)         Draws
//!          |  draw
//!       DrawnList                           params.rs      typed; as JSON by replay.rs
//!          |  run   <- item                 frame.rs       where its pixels are
//!     bytes of the batch                    packed.rs      elements changed in place
//! ```
//!
//! Names, parameters and their meaning are those of `torchvision.transforms.v2`, but items are
//! channels-last, as images are in memory: (height, width) or (height, width, channels).
//! [`ChannelsFirst`] turns them for the model.
//! | content | file |
//! |---|---|
//! | a transform | `crop.rs`, `pad.rs`, `flip.rs`, `resize.rs`, `colour.rs`, `erase.rs`, `noise.rs`, `values.rs`, `layout.rs` |
//! | the trait of all transforms | `step.rs`; its input at the check: `input.rs`; the image that it is applied to: `frame.rs`, `packed.rs`, `lazy.rs` |
//! | shared types | `size.rs`, `interval.rs`, `fill.rs`, `scratch.rs` |
//! | a list of transforms | `pipeline.rs`; without its last values: `deferred.rs`; fields that draw together: `joint.rs` |
//! | transforms by name, for Python | `arguments.rs`, `registry.rs` |
//! | the order of channels | `channels.rs`, `item_shape.rs` |
//! | whole batches | `mixing/` |
//!
//! A new transform is a type in the file of a family, with a line in the family's `CONSTRUCTORS`.

mod arguments;
mod channels;
mod colour;
mod crop;
mod deferred;
mod erase;
mod error;
mod fill;
mod flip;
mod frame;
mod input;
mod interval;
mod item_shape;
mod joint;
mod layout;
mod lazy;
pub mod mixing;
mod noise;
mod packed;
mod pad;
mod params;
mod pipeline;
mod random;
mod registry;
mod replay;
mod resize;
mod scratch;
mod size;
mod stages;
mod step;
#[cfg(test)]
mod testing;
mod values;

pub use arguments::Argument;
pub use channels::{Channels, Convention};
pub use colour::{ColorJitter, RandomGrayscale};
pub use crop::{CenterCrop, Crop, RandomCrop};
pub use deferred::Deferred;
pub use erase::{Erasure, RandomErasing};
pub use error::{Error, Result};
pub use fill::{Fill, Padding};
pub use flip::{RandomHorizontalFlip, RandomQuarterTurn, RandomVerticalFlip};
pub use frame::Frame;
pub use input::Input;
pub use interval::Interval;
pub use item_shape::ItemShape;
pub use joint::Pair;
pub use layout::ChannelsFirst;
pub use lazy::LazyImage;
pub use mixing::{Mix, Mixing};
pub use noise::{RandomJitter, RandomScale};
pub use packed::Packed;
pub use pad::Pad;
pub use params::{Drawn, DrawnList, Erased, Kind, Rectangle};
pub use pipeline::Pipeline;
pub use random::{Draws, ItemStream, Noise, Stream, label};
pub use registry::{by_name, names};
pub use replay::{DrawnItems, split_params};
pub use resize::{RandomResizedCrop, Resize, TargetSize};
pub use scratch::Scratch;
pub use size::{Size, Sizes};
pub use stages::Stages;
pub use step::{Along, Axes, Choice, ChoiceOf, CloneStep, Effect, MemoryFormat, Step};
pub use values::{Normalize, Standardize, ToDtype};
