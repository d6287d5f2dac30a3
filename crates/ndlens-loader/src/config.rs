//! The settings of a loader.

use crate::memory::external::BatchMemory;
use crate::memory::store_policy::StorePolicy;
use crate::order::shard::Shard;
use crate::order::shuffler::Shuffler;
use crate::skipped::OnError;

/// The place where values are computed that take more memory than their source, such as floats made
/// of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Values {
    /// In the loader.
    #[default]
    Computed,
    /// On the device that receives the batches, if the values are the last step of an item's
    /// transforms.
    Deferred,
}

/// The settings of a loader. Names and defaults are those of `torch.utils.data.DataLoader`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Number of items in a batch.
    pub batch_size: usize,
    /// Whether each epoch has its own random order.
    pub shuffle: bool,
    /// The algorithm that shuffles.
    pub shuffler: Shuffler,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Whether a last batch with fewer items is dropped.
    pub drop_last: bool,
    /// Number of worker threads. The consumer helps them while it waits for a batch; with 0
    /// workers, the consumer makes each batch itself.
    pub num_workers: usize,
    /// Maximum number of batches that are begun and not yet taken. (torch counts these for each
    /// worker.)
    pub prefetch_factor: usize,
    /// Whether batches hold the parameters that were drawn for their items.
    pub return_params: bool,
    /// The rank of this loader among those that share the data. An epoch may be started for another
    /// one.
    pub shard: Shard,
    /// Whether batches are written through the cache.
    pub stores: StorePolicy,
    /// Source of batch memory.
    pub memory: BatchMemory,
    /// The place where values are computed that take more memory than their source.
    /// [`Loader::deferred`](crate::Loader::deferred) gives the steps that are left.
    pub values: Values,
    /// The treatment of an item that cannot be made.
    pub on_error: OnError,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            batch_size: 1,
            shuffle: false,
            shuffler: Shuffler::default(),
            seed: 0,
            drop_last: false,
            num_workers: 0,
            prefetch_factor: 2,
            return_params: false,
            shard: Shard::default(),
            stores: StorePolicy::default(),
            memory: BatchMemory::default(),
            values: Values::default(),
            on_error: OnError::default(),
        }
    }
}

impl Config {
    /// The number of batches in `items` items of a rank.
    pub(crate) fn batches(&self, items: usize) -> usize {
        if self.drop_last { items / self.batch_size } else { items.div_ceil(self.batch_size) }
    }
}
