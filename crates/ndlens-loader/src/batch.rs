//! A batch, and the receipt that counts it as handed out.

use std::sync::Arc;

use ndlens_core::View;
use ndlens_transforms::DrawnItems;
use ndlens_transforms::mixing::{DrawnMix, Mixer};

use crate::resume::note::Note;
use crate::resume::position::Tracker;

/// One batch: a view for each field, of shape (items, ..). The loader does not write to it again
/// while a view of it exists.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) views: Vec<View>,
    pub(crate) params: Option<Vec<DrawnItems>>,
    pub(crate) mixed: Option<DrawnMixing>,
    pub(crate) receipt: Option<Receipt>,
}

/// The parameters drawn to mix a batch.
#[derive(Debug, Clone)]
pub struct DrawnMixing {
    pub(crate) mixer: Arc<Mixer>,
    pub(crate) drawn: DrawnMix,
}

impl DrawnMixing {
    /// The parameters.
    pub fn drawn(&self) -> &DrawnMix {
        &self.drawn
    }

    /// A JSON object with the name of the mixing and its parameters, as `{"MixUp": {"lam": 0.25}}`
    /// or `{"CutMix": {"lam": 0.5, "box": [x1, y1, x2, y2], "lam_adjusted": 0.6}}`.
    pub fn to_json(&self) -> String {
        self.mixer.params_to_json(&self.drawn).to_string()
    }
}

/// A receipt for a batch, or for the end of an epoch. Counting it tells the loader that the batch
/// was handed out or the end was reached.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub(crate) tracker: Arc<Tracker>,
    /// The first place of the order that is not handed out afterwards; None if all places are.
    pub(crate) reached: Option<usize>,
    /// The note that a state keeps afterwards.
    pub(crate) note: Option<Note>,
}

impl Receipt {
    /// Counts the batch or the end, and all before it, for [`Loader::state`](crate::Loader::state).
    pub fn hand_out(&self) {
        self.tracker.reached(self.reached, self.note.clone());
    }
}

impl Batch {
    /// One view for each field, in the order of the fields.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The parameters drawn for the items, if
    /// [`Config::return_params`](crate::Config::return_params) is set, in the order of the fields.
    pub fn params(&self) -> Option<&[DrawnItems]> {
        self.params.as_deref()
    }

    /// The parameters drawn to mix the batch, if it was mixed and
    /// [`Config::return_params`](crate::Config::return_params) is set.
    pub fn mixed(&self) -> Option<&DrawnMixing> {
        self.mixed.as_ref()
    }

    /// The receipt that counts it as handed out; None if its epoch does not count, such as one of
    /// [`Loader::epoch`](crate::Loader::epoch).
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// The [`views`](Self::views), by value.
    pub fn into_views(self) -> Vec<View> {
        self.views
    }
}
