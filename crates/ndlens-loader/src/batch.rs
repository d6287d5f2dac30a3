//! What comes out: a batch, and what counts it.

use std::sync::Arc;

use ndlens_core::View;

use crate::resume::note::Note;
use crate::resume::position::Tracker;

/// One batch: a view for each field, of shape (items, ..). It is yours until you drop it.
#[derive(Debug, Clone)]
pub struct Batch {
    pub(crate) views: Vec<View>,
    pub(crate) params: Option<Vec<String>>,
    pub(crate) mixed: Option<String>,
    pub(crate) receipt: Option<Receipt>,
}

/// What tells the loader that a batch was handed out, apart from the batch, or that an epoch came
/// to its end.
#[derive(Debug, Clone)]
pub struct Receipt {
    pub(crate) tracker: Arc<Tracker>,
    /// The first place of the order that is then not handed out; None if all is.
    pub(crate) reached: Option<usize>,
    /// What a state keeps then.
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

    /// What was drawn, where [`Config::return_params`](crate::Config::return_params) asks for it:
    /// for each field a JSON array with an object for each item, as
    /// [`Program::params_to_json`](crate::Program::params_to_json) gives it.
    pub fn params(&self) -> Option<&[String]> {
        self.params.as_deref()
    }

    /// What was drawn to mix the batch, where
    /// [`Config::return_params`](crate::Config::return_params) asks for it and it was mixed: a JSON
    /// object with the name of what mixed it and its parameters, as `{"MixUp": {"lam": 0.25}}` or
    /// `{"CutMix": {"lam": 0.5, "box": [x1, y1, x2, y2], "lam_adjusted": 0.6}}`.
    pub fn mixed(&self) -> Option<&str> {
        self.mixed.as_deref()
    }

    /// What counts it as handed out; None if its epoch does not count, as one of
    /// [`Loader::epoch`](crate::Loader::epoch).
    pub fn receipt(&self) -> Option<&Receipt> {
        self.receipt.as_ref()
    }

    /// The [`views`](Self::views), by value.
    pub fn into_views(self) -> Vec<View> {
        self.views
    }
}
