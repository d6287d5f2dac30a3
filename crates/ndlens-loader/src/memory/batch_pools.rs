//! The memory of a loader's batches: a pool for each field, all for batches of one size.

use ndlens_core::room;
use ndlens_transforms::mixing::Mixer;

use crate::compiled::CompiledField;
use crate::error::Result;
use crate::memory::pool::{Pool, PoolUse};

/// Pools for batches of at most `items` items.
#[derive(Debug)]
pub(crate) struct BatchPools {
    /// The most items of a batch.
    items: usize,
    /// One pool for each field.
    fields: Vec<Pool>,
    /// Memory for probabilities, if labels that are numbers of classes become such.
    probabilities: Option<Pool>,
}

impl BatchPools {
    pub(crate) fn new(
        fields: &[CompiledField],
        mixer: Option<&Mixer>,
        items: usize,
    ) -> Result<Self> {
        let pools = fields.iter().map(|field| field.batch_bytes(items).map(Pool::new));
        let probabilities = mixer.and_then(Mixer::classes).map(|classes| {
            let nbytes =
                classes.checked_mul(items).and_then(|count| count.checked_mul(size_of::<f32>()));
            let nbytes = nbytes.filter(|&nbytes| isize::try_from(nbytes).is_ok());
            let (shape, itemsize) = (vec![items, classes], size_of::<f32>());
            nbytes.map(Pool::new).ok_or(ndlens_core::Error::SizeOverflow { shape, itemsize })
        });
        Ok(BatchPools {
            items,
            fields: room::try_list_of(pools)?,
            probabilities: probabilities.transpose()?,
        })
    }

    /// The most items of a batch.
    pub(crate) fn items(&self) -> usize {
        self.items
    }

    /// The pools of the fields.
    pub(crate) fn fields(&self) -> &[Pool] {
        &self.fields
    }

    /// The pool of probabilities.
    pub(crate) fn probabilities(&self) -> Option<&Pool> {
        self.probabilities.as_ref()
    }

    /// Whether a batch can begin without memory from the system.
    pub(crate) fn have_free(&self) -> bool {
        self.all().all(Pool::has_free)
    }

    /// The memory of all pools together.
    pub(crate) fn usage(&self) -> PoolUse {
        self.all().map(Pool::usage).fold(PoolUse::default(), |sum, pool| PoolUse {
            slabs: sum.slabs + pool.slabs,
            leased: sum.leased + pool.leased,
            bytes: sum.bytes + pool.bytes,
        })
    }

    fn all(&self) -> impl Iterator<Item = &Pool> {
        self.fields.iter().chain(&self.probabilities)
    }
}
