//! A list of transforms, compiled to one pipeline that makes an item in as few passes as it can,
//! most often one.
//!
//! Three kinds of transforms:
//!
//! - Geometry (crops, flips, quarter turns, padding, the order of axes) chooses elements, so it
//!   becomes a layout.
//! - Values (conversion, normalisation) map each element, so they become one
//!   [`ValueMap`](ndlens_kernels::ValueMap), which commutes with geometry.
//! - What needs more than an element at once (resizing) makes a new image, in memory of the
//!   thread's own.
//! - What changes elements one by one, but differently (colours, erased rectangles, noise), changes
//!   such an image in place, or the item's place in the batch where nothing comes after it.
//!
//! A pipeline narrows and turns the item's layout and lets the last pass read through it, writing
//! each element once. Only what cannot be fused is made in between.
//!
//! Names, parameters and their meaning are those of `torchvision.transforms.v2`, but items are
//! channels-last, as images are in memory: (height, width) or (height, width, channels).
//! [`Transform::ChannelsFirst`] turns them for the model.
//!
//! - `channels.rs`: where the channels of an image are.
//! - `compile.rs`: the list to a pipeline.
//! - `pipeline.rs`: the pipeline's steps, drawing for them and running them.
//! - `deferred.rs`: values that are left to whoever gets the batches.
//! - `drawn.rs`, `params.rs`: what was drawn, and that as text.
//! - `sizes.rs`: how large images become.
//! - `frame.rs`: an image on its way.
//! - `joint.rs`: whether fields that draw together draw the same thing.
//! - `augment.rs`: what colours, erased rectangles, scales and noise are drawn from.
//! - `packed.rs`: changes in place.

mod augment;
mod channels;
mod compile;
mod deferred;
mod drawn;
mod error;
mod frame;
mod item_shape;
mod joint;
pub mod mixing;
mod packed;
mod params;
mod pipeline;
mod random;
mod scratch;
mod sizes;
mod transform;

pub use channels::{Channels, Convention};
pub use deferred::Deferred;
pub use drawn::{Drawn, DrawnList};
pub use error::{Error, Result};
pub use item_shape::ItemShape;
pub use joint::Pair;
pub use mixing::{Mix, Mixing};
pub use params::split_params;
pub use pipeline::Pipeline;
pub use random::{Draws, Noise, Stream, label};
pub use scratch::Scratch;
pub use sizes::Target;
pub use transform::{Erasure, Filling, Interval, Padding, Transform};
