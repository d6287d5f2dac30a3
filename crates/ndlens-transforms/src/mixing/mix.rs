//! The ways of mixing a batch.

use crate::error::{Error, Result};

/// A way of mixing a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Mix {
    /// `lam * x + (1 - lam) * neighbour`, for images and labels, with lam from Beta(alpha, alpha):
    /// Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond empirical risk minimization", ICLR 2018,
    /// arXiv:1710.09412.
    MixUp {
        /// The number of classes; None if labels are probabilities already.
        num_classes: Option<usize>,
        /// Both parameters of the beta distribution.
        alpha: f64,
    },
    /// A rectangle of the neighbour in the image, of 1 - lam of its area unless it reaches beyond
    /// the edges, and labels in proportion to the visible areas: Yun et al., "`CutMix`:
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
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mix::MixUp { .. } => "MixUp",
            Mix::CutMix { .. } => "CutMix",
        }
    }

    pub(crate) fn alpha(self) -> f64 {
        let (Mix::MixUp { alpha, .. } | Mix::CutMix { alpha, .. }) = self;
        alpha
    }

    pub(crate) fn num_classes(self) -> Option<usize> {
        let (Mix::MixUp { num_classes, .. } | Mix::CutMix { num_classes, .. }) = self;
        num_classes
    }

    pub(crate) fn check(self) -> Result<()> {
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

/// The ways of mixing batches, and the mixed fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixing {
    pub(crate) mixes: Vec<Mix>,
    pub(crate) weights: Option<Vec<f64>>,
    pub(crate) images: Option<Vec<usize>>,
    pub(crate) labels: Option<usize>,
}

impl Mixing {
    /// Mixes every batch in this way.
    pub fn new(mix: Mix) -> Self {
        Mixing::choice(vec![mix], None)
    }

    /// Mixes each batch in one of these ways, drawn with probabilities in proportion to `weights`,
    /// or with equal probabilities.
    pub fn choice(mixes: Vec<Mix>, weights: Option<Vec<f64>>) -> Self {
        Mixing { mixes, weights, images: None, labels: None }
    }

    /// The same, with the images in the fields at these places. The default is the only field that
    /// has axes and no labels.
    #[must_use]
    pub fn of_images(self, fields: Vec<usize>) -> Self {
        Mixing { images: Some(fields), ..self }
    }

    /// The same, with the labels in the field at this place. The default is the only field that
    /// could hold labels, or, of several, the one with "label" in its name.
    #[must_use]
    pub fn with_labels(self, field: usize) -> Self {
        Mixing { labels: Some(field), ..self }
    }
}
