//! Fields that draw together: whether what they draw is the same thing.
//!
//! The n-th transform of a kind has one stream of random numbers in all fields that draw together.
//! The same numbers are the same rectangle only where they are drawn from the same choice, and they
//! show the same pixels only where what moves pixels comes in the same order. So of each transform
//! that two fields share
//!
//! 1. the parameters that it draws by are equal: `p`, `scale`, `ratio`, the size of a crop and the
//!    like;
//! 2. the images that come to it are of one size, if it draws a rectangle of them;
//! 3. it comes in the same order as the others that they share and that move pixels.
//!
//! What one of them does not have may stand anywhere: a change of colour, or a resize to one size
//! of what was cropped. Where items differ in size, 2 can only be seen when an item is made.

use smallvec::SmallVec;

use crate::drawn::Drawn;
use crate::error::{Error, Result};
use crate::pipeline::{Act, Pipeline, Step};
use crate::sizes::Size;
use crate::transform::Interval;

/// The names of two fields that draw together.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// The first of them.
    pub first: &'a str,
    /// The other.
    pub field: &'a str,
}

impl Pipeline {
    /// Whether it draws together with `first`, whose stream it has.
    ///
    /// # Errors
    ///
    /// [`Error::JointDraws`], [`Error::JointOrder`].
    pub fn check_joint(&self, first: &Pipeline, names: Pair<'_>) -> Result<()> {
        for (step, other) in self.shared(first) {
            let both = step.fixed().is_some() && other.fixed().is_some();
            let (got, expected) = (step.choice(both), other.choice(both));
            if got != expected {
                return Err(Error::JointDraws {
                    transform: step.name,
                    first: names.first.to_owned(),
                    field: names.field.to_owned(),
                    choices: Box::new([expected, got]),
                });
            }
        }
        let moves = |pipeline: &Pipeline, other: &Pipeline| -> Vec<(u64, &'static str)> {
            let shared =
                |step: &&Step| step.act.moves_pixels() && other.step_of(step.label).is_some();
            pipeline.drawing_steps().filter(shared).map(|step| (step.label, step.name)).collect()
        };
        let (own, others) = (moves(self, first), moves(first, self));
        if own == others {
            return Ok(());
        }
        let names_of =
            |steps: &[(u64, &'static str)]| steps.iter().map(|(_, name)| *name).collect();
        Err(Error::JointOrder {
            first: names.first.to_owned(),
            field: names.field.to_owned(),
            orders: Box::new([names_of(&others), names_of(&own)]),
        })
    }

    /// Whether images of different sizes may come to a transform that draws a rectangle for both.
    pub fn sizes_may_part(&self, first: &Pipeline) -> bool {
        self.shared(first).any(|(step, other)| {
            step.act.draws_rectangle() && (step.fixed().is_none() || other.fixed().is_none())
        })
    }

    /// Whether the images are of one size in both fields where a rectangle was drawn for this item,
    /// of this shape and drawn so.
    ///
    /// # Errors
    ///
    /// [`Error::JointSizes`].
    pub fn check_sizes(
        &self,
        (shape, drawn): (&[usize], &[Drawn]),
        first: &Pipeline,
        (first_shape, first_drawn): (&[usize], &[Drawn]),
        names: Pair<'_>,
    ) -> Result<()> {
        let others = first.sizes(first_shape, first_drawn);
        for (step, got) in self.sizes(shape, drawn) {
            let other = others.iter().find(|(other, _)| other.label == step.label);
            let Some(&(_, expected)) =
                other.filter(|(_, size)| step.act.draws_rectangle() && *size != got)
            else {
                continue;
            };
            return Err(Error::JointSizes {
                transform: step.name,
                first: names.first.to_owned(),
                field: names.field.to_owned(),
                expected: [expected.height, expected.width],
                got: [got.height, got.width],
            });
        }
        Ok(())
    }

    /// The sizes of the image as it comes to each transform that draws.
    fn sizes(&self, shape: &[usize], drawn: &[Drawn]) -> SmallVec<[(&Step, Size); 4]> {
        let (mut size, mut drawn) = (Size::of(shape), drawn.iter());
        let mut sizes = SmallVec::new();
        for step in self.all_steps() {
            let own = if step.act.is_random() { drawn.next() } else { None };
            if own.is_some() {
                sizes.push((step, size));
            }
            size = step.resized(size, own);
        }
        sizes
    }

    /// The random transforms that both have, the n-th of a kind.
    fn shared<'a>(&'a self, first: &'a Pipeline) -> impl Iterator<Item = (&'a Step, &'a Step)> {
        self.drawing_steps().filter_map(|step| Some((step, first.step_of(step.label)?)))
    }

    fn step_of(&self, label: u64) -> Option<&Step> {
        self.drawing_steps().find(|step| step.label == label)
    }
}

impl Act {
    /// Whether pixels are elsewhere after it, or others than before by their place.
    fn moves_pixels(&self) -> bool {
        self.draws_rectangle() || matches!(self, Act::Flip { .. } | Act::QuarterTurn { .. })
    }

    /// Whether what it draws is a rectangle of the image.
    fn draws_rectangle(&self) -> bool {
        matches!(self, Act::RandomCrop { .. } | Act::RandomResizedCrop { .. } | Act::Erase { .. })
    }
}

impl Step {
    /// The one size of images that come to it.
    fn fixed(&self) -> Option<Size> {
        let (least, most) = self.sees;
        (least == most).then_some(least)
    }

    /// What is drawn from, in words; with the size of images, if wanted.
    fn choice(&self, with_size: bool) -> String {
        let of_images = || {
            self.fixed().filter(|_| with_size).map_or_else(String::new, |Size { height, width }| {
                format!(" of images of {height} x {width}")
            })
        };
        match &self.act {
            Act::RandomCrop { height, width, padding, pad_if_needed, .. } => {
                let padded = match (padding, pad_if_needed) {
                    ([0, 0, 0, 0], false) => String::new(),
                    (padding, needed) => {
                        let needed = if *needed { " and where needed" } else { "" };
                        format!(", padded by {padding:?}{needed}")
                    }
                };
                format!("crops of {height} x {width}{}{padded}", of_images())
            }
            Act::RandomResizedCrop { area, .. } => {
                format!("scale {}, ratio {}{}", area.scale, area.ratio, of_images())
            }
            Act::Erase { p, scale, ratio, .. } => {
                format!("p = {p}, scale {scale}, ratio {ratio}{}", of_images())
            }
            Act::Flip { p, .. } | Act::Grayscale { p } => format!("p = {p}"),
            Act::QuarterTurn { turns } => {
                let degrees: Vec<_> = turns.iter().map(|&turns| u32::from(turns) * 90).collect();
                format!("degrees {degrees:?}")
            }
            Act::Colour(colours) => {
                let parts = [
                    ("brightness", colours.brightness),
                    ("contrast", colours.contrast),
                    ("saturation", colours.saturation),
                    ("hue", colours.hue),
                ];
                let part = |(name, interval): (&str, Option<Interval>)| {
                    Some(format!("{name} {}", interval?))
                };
                parts.into_iter().filter_map(part).collect::<Vec<_>>().join(", ")
            }
            Act::Scale { factor, per_feature } => {
                format!("factors {factor}{}", if *per_feature { " of each feature" } else { "" })
            }
            // Normal numbers, of which each takes as much as its sigma says.
            Act::Jitter { .. }
            | Act::CenterCrop { .. }
            | Act::Crop { .. }
            | Act::Pad { .. }
            | Act::Resize { .. }
            | Act::Values { .. } => String::new(),
        }
    }
}
