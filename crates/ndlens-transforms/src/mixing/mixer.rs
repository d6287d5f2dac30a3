//! A mixing checked against the fields, and its draws for a batch.

use ndlens_core::DType;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::mixing::fields::{self, MixField};
use crate::mixing::mix::{Mix, Mixing};
use crate::mixing::region::Cut;
use crate::mixing::{beta, labels};
use crate::random::{Stream, label};

/// A way of mixing, with its random numbers.
#[derive(Debug, Clone)]
struct MixStream {
    mix: Mix,
    /// Name of the way, numbered from the second of a kind on.
    name: String,
    stream: Stream,
}

/// The parameters of one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DrawnMix {
    /// Place among the mixer's choices.
    choice: usize,
    /// Number of the beta distribution.
    lam: f64,
    /// Rectangle of the neighbour; None if all elements are mixed.
    pub cut: Option<Cut>,
    /// Share of an item's own elements.
    pub share: f64,
}

/// A [`Mixing`] checked against the fields.
#[derive(Debug, Clone)]
pub struct Mixer {
    choices: Vec<MixStream>,
    weights: Vec<f64>,
    /// Random numbers that select a choice.
    stream: Stream,
    images: Vec<usize>,
    /// Height and width of the images, if rectangles are cut.
    size: Option<[usize; 2]>,
    labels: usize,
    /// Number of classes, if labels are their numbers.
    classes: Option<usize>,
}

impl Mixer {
    /// Checks a mixing against the fields, before the first batch.
    ///
    /// # Errors
    ///
    /// [`Error::MixAlpha`], [`Error::NoClasses`], [`Error::NoMix`], [`Error::ClassesDiffer`],
    /// [`Error::ChoiceWeights`]; for fields that cannot be mixed in these ways,
    /// [`Error::NoSuchField`], [`Error::UnclearMix`], [`Error::MixedTwice`], [`Error::MixedSizes`]
    /// and [`Error::Field`].
    pub fn new(mixing: &Mixing, fields: &[MixField<'_>], seed: u64) -> Result<Self> {
        let Mixing { mixes, weights, images, labels } = mixing;
        mixes.iter().try_for_each(|mix| mix.check())?;
        let first = mixes.first().ok_or(Error::NoMix)?;
        if let Some(other) = mixes.iter().find(|mix| mix.num_classes() != first.num_classes()) {
            let text =
                |mix: &Mix| mix.num_classes().map_or_else(|| "None".to_owned(), |n| n.to_string());
            return Err(Error::ClassesDiffer { first: text(first), other: text(other) });
        }
        let weights = weights.clone().unwrap_or_else(|| vec![1.0; mixes.len()]);
        let sum: f64 = weights.iter().sum();
        if weights.len() != mixes.len()
            || weights.iter().any(|weight| weight.is_nan() || *weight < 0.0)
            || !(sum > 0.0 && sum.is_finite())
        {
            return Err(Error::ChoiceWeights { got: weights, expected: mixes.len() });
        }
        let (images, labels) =
            fields::find(fields, images.as_deref(), *labels, first.num_classes())?;
        let size = fields::check_images(fields, &images, mixes)?;
        let classes = fields::classes(&fields[labels], first.num_classes())?;
        let stream = Stream::new(seed, "mix");
        let choice = |(n, &mix): (usize, &Mix)| {
            let before = mixes[..n].iter().filter(|other| other.name() == mix.name()).count();
            let name = if before == 0 {
                mix.name().to_owned()
            } else {
                format!("{}.{before}", mix.name())
            };
            MixStream { mix, name, stream: stream.child(label(mix.name(), before as u64)) }
        };
        let choices = mixes.iter().enumerate().map(choice).collect();
        let stream = stream.child(label("RandomChoice", 0));
        Ok(Mixer { choices, weights, stream, images, size, labels, classes })
    }

    /// The places of the fields with images.
    pub fn images(&self) -> &[usize] {
        &self.images
    }

    /// The place of the field with labels.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// The number of classes, if labels are their numbers and become probabilities.
    pub fn classes(&self) -> Option<usize> {
        self.classes
    }

    /// Whether batches of the field at this place are mixed.
    pub fn mixes(&self, place: usize) -> bool {
        place == self.labels || self.images.contains(&place)
    }

    /// The place and the value of the first label that is not the number of a class; None if labels
    /// are probabilities.
    pub fn first_bad_label(&self, labels: &[u8], dtype: &DType) -> Option<(usize, Error)> {
        let classes = self.classes?;
        let (at, label) = labels::first_outside(labels, dtype, classes)?;
        Some((at, Error::NoSuchClass { label, classes }))
    }

    /// Draws for the batch whose first item has this place in the order.
    pub fn draw(&self, epoch: u32, place: u64) -> DrawnMix {
        let choice = self.choose(epoch, place);
        let MixStream { mix, stream, .. } = &self.choices[choice];
        let mut draws = stream.draws(epoch, place);
        let lam = beta::draw(mix.alpha(), &mut draws);
        let (Mix::CutMix { .. }, Some([height, width])) = (mix, self.size) else {
            return DrawnMix { choice, lam, cut: None, share: lam };
        };
        // As in torchvision: the middle is uniform, and the rectangle is cut off at the edges.
        let (x, y) = (draws.below(width as u64) as usize, draws.below(height as u64) as usize);
        let half = |side: usize| (0.5 * (1.0 - lam).sqrt() * side as f64) as usize;
        let (half_width, half_height) = (half(width), half(height));
        let (left, right) = (x.saturating_sub(half_width), (x + half_width).min(width));
        let (top, bottom) = (y.saturating_sub(half_height), (y + half_height).min(height));
        let area = (right - left) as f64 * (bottom - top) as f64;
        let share = 1.0 - area / (width as f64 * height as f64);
        DrawnMix { choice, lam, cut: Some(Cut { left, top, right, bottom }), share }
    }

    fn choose(&self, epoch: u32, place: u64) -> usize {
        let mut left = self.stream.draws(epoch, place).uniform() * self.weights.iter().sum::<f64>();
        for (choice, weight) in self.weights.iter().enumerate() {
            if left < *weight {
                return choice;
            }
            left -= weight;
        }
        // Sums are rounded, so the default is the last choice with a weight.
        self.weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0)
    }

    /// The parameters of a batch by the name of its way of mixing: `{"MixUp": {"lam": 0.3}}`, or
    /// for `CutMix` lam, the box as (x1, y1, x2, y2) and `lam_adjusted`, the share of the image
    /// outside of it.
    pub fn params_to_json(&self, drawn: &DrawnMix) -> Value {
        let lam = drawn.lam;
        let params = match drawn.cut {
            Some(Cut { left, top, right, bottom }) => {
                json!({"lam": lam, "box": [left, top, right, bottom], "lam_adjusted": drawn.share})
            }
            None => json!({"lam": lam}),
        };
        Value::Object([(self.choices[drawn.choice].name.clone(), params)].into_iter().collect())
    }
}
