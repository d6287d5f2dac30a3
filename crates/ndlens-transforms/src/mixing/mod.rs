//! Mixing of whole batches, once all their items are made: images with their neighbours, and their
//! labels in the same proportion.
//!
//! A network that sees parts of two images and is told how much of each learns smoother borders
//! between classes: all of both images in [`Mix::MixUp`], a rectangle of one in the other in
//! [`Mix::CutMix`]. Item i is mixed with item i - 1, and the first with the last, which torch calls
//! `roll(1, 0)`; all items of a batch in one proportion. Names, parameters and results are those of
//! `torchvision.transforms.v2`.
//!
//! The parameters of a batch are a pure function of (seed, epoch, the place of its first item in
//! the order, kind of transform and place among its kind). So they are the same for any number of
//! threads, and after a loader resumes from a state.
//!
//! - `mix.rs`: the ways of mixing, and the mixed fields.
//! - `mixer.rs`: a mixing checked against the fields; its draws for a batch, also as JSON.
//! - `fields.rs`: the fields of images and of labels, and whether they can be mixed.
//! - `beta.rs`: random numbers of the beta distribution.
//! - `labels.rs`: labels that are numbers of classes, and their conversion to probabilities.
//! - `region.rs`: the bytes of an item that are mixed.

mod beta;
mod fields;
mod labels;
mod mix;
mod mixer;
pub(crate) mod region;

pub use fields::MixField;
pub use labels::soften;
pub use mix::{Mix, Mixing};
pub use mixer::{DrawnMix, Mixer};
pub use region::{Cut, Image, Region};
