//! Where a run stands, in a few words that any rank can write and any number of ranks can go on
//! from.
//!
//! An order is a function of the seed and the epoch, so a run is resumed by saying how far into the
//! order it has come: nothing is replayed. What the order depends on is said too, and a loader that
//! would give another order refuses the state.

use crate::error::{Error, Result};
use crate::resume::note::Note;

/// The layout of [`State`] itself.
pub const STATE_VERSION: u32 = 1;

/// How far a run has come, counting batches that were handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The epoch to go on with.
    pub epoch: u32,
    /// The first place of the epoch's order that no rank has taken.
    pub start: usize,
    /// What is kept there for whoever reads a sampler.
    pub note: Option<Note>,
    /// What the order was made of.
    pub basis: Basis,
}

/// What an order and its draws are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The number of items.
    pub items: usize,
    /// Whether each epoch has an order of its own.
    pub shuffle: bool,
    /// What makes the order: "in turn", "ndlens", "torch", "sampler", or how many draws by which
    /// weights.
    pub order: String,
    /// Of a part of the data set, how many items it has, and a digest of them.
    pub indices: Option<String>,
    /// What all randomness is made of.
    pub seed: u64,
    /// Each field's name, dtype and item shape, as "image uint8 [512, 512, 3]".
    pub fields: Vec<String>,
}

impl State {
    /// Whether a loader of this basis, with so many places in an epoch's order if that is known,
    /// can go on from here.
    ///
    /// # Errors
    ///
    /// [`Error::StateMismatch`] with the first thing that differs, [`Error::StateBeyondEnd`].
    pub fn check(&self, own: &Basis, places: Option<usize>) -> Result<()> {
        let differs =
            |what, got: String, expected: String| Err(Error::StateMismatch { what, got, expected });
        let (basis, text) = (&self.basis, |fields: &[String]| fields.join(", "));
        if basis.items != own.items {
            return differs("items", basis.items.to_string(), own.items.to_string());
        }
        if basis.fields != own.fields {
            return differs("fields", text(&basis.fields), text(&own.fields));
        }
        if basis.shuffle != own.shuffle {
            return differs("shuffle", basis.shuffle.to_string(), own.shuffle.to_string());
        }
        if basis.order != own.order {
            return differs("order", basis.order.clone(), own.order.clone());
        }
        if basis.seed != own.seed {
            return differs("seed", basis.seed.to_string(), own.seed.to_string());
        }
        if basis.indices != own.indices {
            let text = |indices: &Option<String>| {
                indices.clone().unwrap_or_else(|| "all items".to_owned())
            };
            return differs("indices", text(&basis.indices), text(&own.indices));
        }
        if let Some(places) = places.filter(|&places| self.start > places) {
            return Err(Error::StateBeyondEnd { start: self.start, items: places });
        }
        Ok(())
    }
}
