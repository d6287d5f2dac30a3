//! Whole batches mixed in the memory they were made in; [`ndlens_transforms::mixing`] says how.
//!
//! - `pieces.rs`: the work, in pieces for any thread.

mod pieces;

use ndlens_core::DType;
use ndlens_transforms::mixing::{DrawnMix, MixField, Mixer as Plan, Mixing};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::loader::Compiled;
use crate::memory::pool::{Pool, PoolUse};

pub(crate) use pieces::Mixture;

/// How batches are mixed, with memory for what is not mixed in place.
#[derive(Debug, Clone)]
pub(crate) struct Mixer {
    plan: Plan,
    /// Memory for batches of probabilities, where labels are numbers of classes, and how many there
    /// are.
    soft: Option<(usize, Pool)>,
}

impl Mixer {
    /// Checks all that can be checked before the first batch; batches have so many items at most.
    pub(crate) fn new(
        mixing: &Mixing,
        fields: &[Compiled],
        seed: u64,
        batch_size: usize,
    ) -> Result<Self> {
        let plan =
            Plan::new(mixing, &fields.iter().map(Compiled::to_mix).collect::<Vec<_>>(), seed)?;
        let soft =
            plan.classes().map(|classes| Ok::<_, Error>((classes, pool_for(classes, batch_size)?)));
        Ok(Mixer { soft: soft.transpose()?, plan })
    }

    /// The same, with memory for batches of so many items.
    pub(crate) fn with_room_for(&self, items: usize) -> Result<Self> {
        let soft = self
            .soft
            .as_ref()
            .map(|&(classes, _)| Ok::<_, Error>((classes, pool_for(classes, items)?)));
        Ok(Mixer { soft: soft.transpose()?, plan: self.plan.clone() })
    }

    /// Draws for the batch whose first item has this place in the order.
    pub(crate) fn draw(&self, epoch: u32, place: u64) -> DrawnMix {
        self.plan.draw(epoch, place)
    }

    /// The parameters of a batch by the name of what mixes it.
    pub(crate) fn params_to_json(&self, drawn: &DrawnMix) -> Value {
        self.plan.params_to_json(drawn)
    }

    /// Whether batches of the field at this place are mixed.
    pub(crate) fn mixes(&self, place: usize) -> bool {
        self.plan.mixes(place)
    }

    /// The place of the field with labels, where batches hold probabilities instead of what its
    /// items are.
    pub(crate) fn softened(&self) -> Option<usize> {
        self.soft.as_ref().map(|_| self.plan.labels())
    }

    /// The bytes of a batch of probabilities, where the field holds labels that become such.
    pub(crate) fn batch_bytes(&self, place: usize) -> Option<usize> {
        self.soft
            .as_ref()
            .filter(|_| place == self.plan.labels())
            .map(|(_, pool)| pool.slab_bytes())
    }

    /// The dtype that batches of a field have.
    pub(crate) fn dtype<'a>(&self, place: usize, field: &'a Compiled) -> &'a DType {
        if self.softened() == Some(place) { &DType::F32 } else { field.program.dtype() }
    }

    /// Whether a batch of probabilities needs no memory from the system.
    pub(crate) fn has_memory(&self) -> bool {
        self.soft.as_ref().is_none_or(|(_, pool)| pool.has_free())
    }

    /// The memory of probabilities.
    pub(crate) fn pool_use(&self) -> PoolUse {
        self.soft.as_ref().map_or_else(PoolUse::default, |(_, pool)| pool.usage())
    }

    /// The error of the first label, of those just made for these items, that is no class.
    pub(crate) fn check_labels(
        &self,
        fields: &[Compiled],
        place: usize,
        labels: &[u8],
        items: &[usize],
    ) -> Option<(usize, Error)> {
        if self.softened() != Some(place) {
            return None;
        }
        let field = &fields[place];
        let (at, error) = self.plan.first_bad_label(labels, field.program.dtype())?;
        Some((at, field.fail(items[at], error.into())))
    }
}

impl Compiled {
    /// What is written of each of its items, to be mixed.
    fn to_mix(&self) -> MixField<'_> {
        MixField {
            name: &self.name,
            shape: self.program.shape(),
            dtype: self.program.dtype(),
            image: self.image(),
            channels_unclear: self.channels_unclear(),
        }
    }
}

/// Memory for the probabilities of so many items.
fn pool_for(classes: usize, items: usize) -> Result<Pool> {
    let nbytes = classes.checked_mul(items).and_then(|count| count.checked_mul(size_of::<f32>()));
    let nbytes = nbytes.filter(|&nbytes| isize::try_from(nbytes).is_ok());
    let overflow = ndlens_core::Error::SizeOverflow {
        shape: vec![items, classes],
        itemsize: size_of::<f32>(),
    };
    Ok(Pool::new(nbytes.ok_or(overflow)?))
}
