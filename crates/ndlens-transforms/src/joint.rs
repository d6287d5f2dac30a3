//! Checks that fields that draw together draw the same choices.
//!
//! The n-th transform of a kind has one stream of random numbers in all fields that draw together.
//! The same numbers give the same rectangle only if they are drawn from the same choice. The
//! rectangle shows the same pixels only if the transforms that move pixels come in the same order.
//! So for each transform that two fields share:
//!
//! 1. the parameters that it draws by are equal: `p`, `scale`, `ratio`, the size of a crop and the
//!    like;
//! 2. its input images are of one size, if it draws a rectangle of them;
//! 3. it comes in the same order as the others that they share and that move pixels.
//!
//! A transform of one field alone may be anywhere in the list: a change of colour, or a resize of
//! crops to one size. If items differ in size, 2 can only be checked when an item is made.

use crate::error::{Error, Result};
use crate::params::Drawn;
use crate::pipeline::{Applied, Pipeline};
use crate::step::{Choice, ChoiceOf};

/// Names of two fields that draw together.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    /// Name of the first field.
    pub first: &'a str,
    /// Name of the other field.
    pub field: &'a str,
}

impl Pipeline {
    /// Checks that the pipeline can draw together with `first`, whose stream it uses.
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

    /// Checks that each transform that drew a rectangle for this item had images of one size in
    /// both fields.
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

    /// The random transforms of both fields, paired by kind and number.
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

/// Whether its choice is of one of these kinds.
fn chooses(applied: &Applied, of: &[ChoiceOf]) -> bool {
    applied.choice(None).is_some_and(|choice| of.contains(&choice.of))
}
