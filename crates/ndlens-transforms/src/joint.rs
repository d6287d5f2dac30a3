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

use crate::error::{Error, Result};
use crate::params::Drawn;
use crate::pipeline::{Applied, Pipeline};
use crate::step::{Choice, ChoiceOf};

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
        for (own, other) in self.shared(first) {
            let both = own.one_size().is_some() && other.one_size().is_some();
            let choice = |applied: &Applied| {
                let size = applied.one_size().filter(|_| both);
                applied.choice(size).map_or_else(String::new, |Choice { text, .. }| text)
            };
            let (got, expected) = (choice(own), choice(other));
            if got != expected {
                return Err(Error::JointDraws {
                    transform: own.name(),
                    first: names.first.to_owned(),
                    field: names.field.to_owned(),
                    choices: Box::new([expected, got]),
                });
            }
        }
        let moves = |pipeline: &Pipeline, other: &Pipeline| -> Vec<(u64, &'static str)> {
            let shared = |applied: &&Applied| {
                chooses(applied, &[ChoiceOf::Moves, ChoiceOf::Rectangle])
                    && other.drawing_of(applied.label()).is_some()
            };
            let drawing = pipeline.drawing().filter(shared);
            drawing.map(|applied| (applied.label(), applied.name())).collect()
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
        self.shared(first).any(|(own, other)| {
            chooses(own, &[ChoiceOf::Rectangle])
                && (own.one_size().is_none() || other.one_size().is_none())
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
        for (own, got) in self.sizes(shape, drawn) {
            let other = others.iter().find(|(other, _)| other.label() == own.label());
            let Some(&(_, expected)) =
                other.filter(|(_, size)| *size != got && chooses(own, &[ChoiceOf::Rectangle]))
            else {
                continue;
            };
            return Err(Error::JointSizes {
                transform: own.name(),
                first: names.first.to_owned(),
                field: names.field.to_owned(),
                expected: [expected.height, expected.width],
                got: [got.height, got.width],
            });
        }
        Ok(())
    }

    /// The random transforms that both have, the n-th of a kind.
    fn shared<'a>(
        &'a self,
        first: &'a Pipeline,
    ) -> impl Iterator<Item = (&'a Applied, &'a Applied)> {
        self.drawing().filter_map(|own| Some((own, first.drawing_of(own.label())?)))
    }

    fn drawing_of(&self, label: u64) -> Option<&Applied> {
        self.drawing().find(|applied| applied.label() == label)
    }
}

/// Whether what it draws is one of these.
fn chooses(applied: &Applied, of: &[ChoiceOf]) -> bool {
    applied.choice(None).is_some_and(|choice| of.contains(&choice.of))
}
