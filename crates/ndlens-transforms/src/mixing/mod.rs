//! Whole batches mixed, once all their items are there: images with their neighbours, and their
//! labels in the same proportion.
//!
//! A network that sees parts of two images and is told how much of each learns smoother borders
//! between classes: all of both images in [`Mix::MixUp`], a rectangle of one in the other in
//! [`Mix::CutMix`]. Item i is mixed with item i - 1, and the first with the last, which torch calls
//! `roll(1, 0)`; all items of a batch in one proportion. Names, parameters and results are those of
//! `torchvision.transforms.v2`.
//!
//! What is drawn for a batch is a pure function of (seed, epoch, the place of its first item in the
//! order, kind of transform and place among its kind), so that it is the same for any number of
//! threads, and after going on from a state.
//!
//! - `mix.rs`: the ways of mixing, and which fields are mixed.
//! - `mixer.rs`: a mixing checked against the fields; what is drawn for a batch, and that as JSON.
//! - `fields.rs`: which fields hold images and which labels, and whether they can be mixed.
//! - `beta.rs`: random numbers of the beta distribution.
//! - `labels.rs`: labels that are numbers of classes, and the probabilities that they become.
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
