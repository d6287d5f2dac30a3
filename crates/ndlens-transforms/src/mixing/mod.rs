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
//! - `fields.rs`: which fields hold images and which labels, and whether they can be mixed.
//! - `beta.rs`: random numbers of the beta distribution.
//! - `draw.rs`: what is drawn for a batch, and that as text.
//! - `labels.rs`: labels that are numbers of classes, and the probabilities that they become.
//! - `region.rs`: the bytes of an item that are mixed.

mod beta;
mod draw;
mod fields;
mod labels;
mod region;

use ndlens_core::DType;

use crate::error::{Error, Result};
use crate::random::{Stream, label};

pub use draw::{Cut, DrawnMix};
pub use fields::MixField;
pub use labels::soften;
pub use region::{Image, Region};

/// What becomes of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Mix {
    /// `lam * x + (1 - lam) * neighbour`, for images and labels, with lam from Beta(alpha, alpha):
    /// Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond empirical risk minimization", ICLR 2018,
    /// arXiv:1710.09412.
    MixUp {
        /// The number of classes; None where labels are probabilities already.
        num_classes: Option<usize>,
        /// Both parameters of the beta distribution.
        alpha: f64,
    },
    /// A rectangle of the neighbour in the image, of 1 - lam of its area where it does not reach
    /// beyond the edges, and labels in proportion to what is seen: Yun et al., "`CutMix`:
    /// Regularization strategy to train strong classifiers with localizable features", ICCV 2019,
    /// arXiv:1905.04899.
    CutMix {
        /// As for [`MixUp`](Mix::MixUp).
        num_classes: Option<usize>,
        /// As for [`MixUp`](Mix::MixUp).
        alpha: f64,
    },
}

impl Mix {
    fn name(self) -> &'static str {
        match self {
            Mix::MixUp { .. } => "MixUp",
            Mix::CutMix { .. } => "CutMix",
        }
    }

    fn alpha(self) -> f64 {
        let (Mix::MixUp { alpha, .. } | Mix::CutMix { alpha, .. }) = self;
        alpha
    }

    fn num_classes(self) -> Option<usize> {
        let (Mix::MixUp { num_classes, .. } | Mix::CutMix { num_classes, .. }) = self;
        num_classes
    }

    fn check(self) -> Result<()> {
        let (transform, alpha) = (self.name(), self.alpha());
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::MixAlpha { transform, alpha });
        }
        if self.num_classes() == Some(0) {
            return Err(Error::NoClasses { transform });
        }
        Ok(())
    }
}

/// How batches are mixed, and which of their fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixing {
    mixes: Vec<Mix>,
    weights: Option<Vec<f64>>,
    images: Option<Vec<usize>>,
    labels: Option<usize>,
}

impl Mixing {
    /// Every batch in this way.
    pub fn new(mix: Mix) -> Self {
        Mixing::choice(vec![mix], None)
    }

    /// Each batch in one of these ways, drawn with probabilities in proportion to `weights`, or all
    /// equally likely.
    pub fn choice(mixes: Vec<Mix>, weights: Option<Vec<f64>>) -> Self {
        Mixing { mixes, weights, images: None, labels: None }
    }

    /// The same, of the images in these fields, by their place; by default in the only field that
    /// has axes and no labels.
    #[must_use]
    pub fn of_images(self, fields: Vec<usize>) -> Self {
        Mixing { images: Some(fields), ..self }
    }

    /// The same, with the labels in this field, by its place; by default in the only one that could
    /// hold labels, or of several in the one whose name has "label" in it.
    #[must_use]
    pub fn with_labels(self, field: usize) -> Self {
        Mixing { labels: Some(field), ..self }
    }
}

/// One of the ways, with its random numbers.
#[derive(Debug, Clone)]
struct Choice {
    mix: Mix,
    /// Those of a kind after its first are numbered.
    name: String,
    stream: Stream,
}

/// A [`Mixing`] checked against the fields.
#[derive(Debug, Clone)]
pub struct Mixer {
    choices: Vec<Choice>,
    weights: Vec<f64>,
    /// Which of the choices is drawn from.
    stream: Stream,
    images: Vec<usize>,
    /// The height and width of the images, where rectangles are cut.
    size: Option<[usize; 2]>,
    labels: usize,
    /// The number of classes, where labels are their numbers.
    classes: Option<usize>,
}

impl Mixer {
    /// Checks all that can be checked before the first batch.
    ///
    /// # Errors
    ///
    /// [`Error::MixAlpha`], [`Error::NoClasses`], [`Error::NoMix`], [`Error::ClassesDiffer`],
    /// [`Error::ChoiceWeights`]; where the fields cannot be mixed so, [`Error::NoSuchField`],
    /// [`Error::UnclearMix`], [`Error::MixedTwice`], [`Error::MixedSizes`] and [`Error::Field`].
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
            Choice { mix, name, stream: stream.child(label(mix.name(), before as u64)) }
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

    /// The number of classes, where labels are their numbers and become probabilities.
    pub fn classes(&self) -> Option<usize> {
        self.classes
    }

    /// Whether batches of the field at this place are mixed.
    pub fn mixes(&self, place: usize) -> bool {
        place == self.labels || self.images.contains(&place)
    }

    /// The first of these labels, and its place, that is not the number of a class; None where
    /// labels are probabilities.
    pub fn first_bad_label(&self, labels: &[u8], dtype: &DType) -> Option<(usize, Error)> {
        let classes = self.classes?;
        let (at, label) = labels::first_outside(labels, dtype, classes)?;
        Some((at, Error::NoSuchClass { label, classes }))
    }
}
