//! The two ways to shuffle.

use crate::error::{Error, Result};

/// Whose orders shuffled epochs have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shuffler {
    /// Ours: computed, not stored.
    #[default]
    Ndlens,
    /// `torch.utils.data.RandomSampler`'s and `DistributedSampler`'s: a list of 8 bytes an item,
    /// made anew each epoch.
    Torch,
}

impl Shuffler {
    /// By its name: "ndlens" or "torch".
    ///
    /// # Errors
    ///
    /// [`Error::UnknownShuffler`].
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "ndlens" => Ok(Shuffler::Ndlens),
            "torch" => Ok(Shuffler::Torch),
            _ => Err(Error::UnknownShuffler { got: name.to_owned() }),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Shuffler::Ndlens => "ndlens",
            Shuffler::Torch => "torch",
        }
    }
}
