//! The two algorithms that shuffle.

use crate::error::{Error, Result};

/// The algorithm that shuffles epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shuffler {
    /// The order of ndlens: computed, not stored.
    #[default]
    Ndlens,
    /// The order of `torch.utils.data.RandomSampler` and `DistributedSampler`: a list of 8 bytes an
    /// item, made for each epoch.
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
