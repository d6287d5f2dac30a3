//! Batches of items that the caller chooses, made on its own thread: the batches that torch's
//! `DataLoader` asks a data set for.
//!
//! Each field has memory of its own, so that a consumer which keeps the labels does not keep the
//! images. In a message to another process, fields share few blocks; see `message.rs`.

#![expect(unsafe_code, reason = "writes rows of memory that nothing else has seen; see UNSAFE.md")]

pub(crate) mod message;
pub(crate) mod ring;
mod slot_state;

use std::sync::Mutex;

use ndlens_core::{Buffer, DType, Layout, View};
use ndlens_kernels::Stores;
use ndlens_transforms::Stream;

use crate::compiled::{CompiledField, compile};
use crate::config::Values;
use crate::dataset::message::{FieldPlace, SentBlock, arrange};
use crate::dataset::ring::Ring;
use crate::epoch::make_items::{ItemBatch, make_items};
use crate::epoch::mixture::summary_of;
use crate::error::{Error, Result};
use crate::field::Field;
use crate::memory::pool::Pool;
use crate::memory::store_policy::StorePolicy;
use crate::scratch::ItemScratch;
use crate::summary::FieldSummary;

/// The seed of the draws for an item, beside the item and its field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Randomness {
    /// The data set's seed and this epoch: the draws of a [`Loader`](crate::Loader) of the same
    /// seed.
    Epoch(u32),
    /// This number, which the caller uses only once.
    Nonce(u64),
}

/// One field of a batch in one of its blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchPart {
    /// The layout of its elements: items, then an item's own axes.
    pub layout: Layout,
    /// The dtype of its elements.
    pub dtype: DType,
    /// The number of the block.
    pub block: usize,
}

impl BatchPart {
    /// The view of the field in its block.
    ///
    /// # Errors
    ///
    /// As [`Layout::check`], if the blocks are not of this batch.
    pub fn view(&self, blocks: &[Buffer]) -> Result<View> {
        let none = || Error::NoSuchBlock { got: self.block, blocks: blocks.len() };
        let block = blocks.get(self.block).ok_or_else(none)?;
        Ok(View::new(block.clone(), self.layout.clone(), self.dtype.clone())?)
    }
}

/// Fields that give batches of any items.
#[derive(Debug)]
pub struct Gather {
    fields: Vec<CompiledField>,
    items: usize,
    /// Pools of memory for batches that stay in this process, one for each size, the last used at
    /// the end.
    pools: Mutex<Vec<Pool>>,
    /// What items are made with: one for each thread that made some at the same time as others.
    scratches: Mutex<Vec<ItemScratch>>,
}

/// Minimum number of sizes whose memory is reused: those of fields in a whole batch and in the last
/// one.
const SIZES_MAX: usize = 8;

/// Maximum number of free blocks of one size.
const FREE_MAX: usize = 4;

impl Gather {
    /// Compiles the fields' transforms and checks everything that can be checked before the first
    /// batch.
    ///
    /// # Errors
    ///
    /// As [`Loader::new`](crate::Loader::new).
    pub fn new(fields: Vec<Field>, seed: u64) -> Result<Self> {
        let (fields, items) = compile(fields, seed, Values::Computed)?;
        Ok(Gather { fields, items, pools: Mutex::default(), scratches: Mutex::default() })
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Each field's name and the dtype that its transforms end in.
    pub fn dtypes(&self) -> impl Iterator<Item = (&str, &DType)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.pipeline.dtype()))
    }

    /// Its fields in words and numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn summary(&self) -> Result<Vec<FieldSummary>> {
        summary_of(&self.fields, None)
    }

    /// A batch in new memory: one view for each field.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchItem`], [`Error::Item`], and [`Error::Core`] if there is no memory.
    pub fn batch(&self, items: &[usize], randomness: Randomness) -> Result<Vec<View>> {
        let sizes = self.sizes(items.len())?;
        let blocks = sizes.iter().map(|&size| self.block(size)).collect::<Result<Vec<_>>>()?;
        let places: Vec<_> =
            (0..sizes.len()).map(|block| FieldPlace { block, offset: 0 }).collect();
        let parts = self.parts(items.len(), &places)?;
        // SAFETY: the blocks were just leased, so nothing else sees them.
        unsafe { self.make(items, randomness, &parts, &blocks) }?;
        parts.iter().map(|part| part.view(&blocks)).collect()
    }

    /// A batch in blocks that can be sent to another process.
    ///
    /// # Errors
    ///
    /// As [`batch`](Self::batch); [`Error::Store`] if there is no shared memory.
    pub fn batch_in(
        &self,
        ring: &Ring,
        items: &[usize],
        randomness: Randomness,
    ) -> Result<(Vec<BatchPart>, Vec<SentBlock>)> {
        let (places, blocks) = arrange(&self.sizes(items.len())?);
        let parts = self.parts(items.len(), &places)?;
        let blocks = blocks.into_iter().map(|(len, is_slot)| SentBlock::new(ring, len, is_slot));
        let blocks = blocks.collect::<Result<Vec<_>>>()?;
        let buffers: Vec<_> = blocks.iter().map(SentBlock::buffer).collect();
        // SAFETY: memory that is new, or a slot that was just leased, is seen by nothing else.
        unsafe { self.make(items, randomness, &parts, &buffers) }?;
        Ok((parts, blocks))
    }

    /// Memory that nothing else sees: a block used before, if one of this size is free. New blocks
    /// of any size between memory that is kept, such as labels, would fragment the heap.
    fn block(&self, len_bytes: usize) -> Result<Buffer> {
        // A fork may have copied the lock while it was held.
        let Ok(mut pools) = self.pools.try_lock() else {
            return Ok(Pool::new(len_bytes).lease()?.freeze());
        };
        let at = pools.iter().position(|pool| pool.slab_bytes() == len_bytes);
        let pool = at.map_or_else(|| Pool::new(len_bytes), |at| pools.remove(at));
        let slab = pool.lease();
        pool.keep_free(FREE_MAX);
        pools.push(pool);
        let surplus = pools.len().saturating_sub(SIZES_MAX.max(2 * self.fields.len()));
        pools.drain(..surplus);
        Ok(slab?.freeze())
    }

    /// The layouts of the fields of a batch of `items` items.
    fn layouts(&self, items: usize) -> impl Iterator<Item = Result<(&DType, Layout)>> {
        self.fields
            .iter()
            .map(move |field| Ok((field.pipeline.dtype(), field.pipeline.batch_layout(items)?)))
    }

    /// The number of bytes of each field of a batch.
    fn sizes(&self, items: usize) -> Result<Vec<usize>> {
        self.layouts(items)
            .map(|layout| layout.map(|(dtype, packed)| packed.len() * dtype.itemsize()))
            .collect()
    }

    /// The fields of a batch in their places.
    fn parts(&self, items: usize, places: &[FieldPlace]) -> Result<Vec<BatchPart>> {
        let part =
            |(layout, &FieldPlace { block, offset }): (Result<(&DType, Layout)>, &FieldPlace)| {
                let (dtype, packed) = layout?;
                let end = offset.saturating_add(packed.len() * dtype.itemsize());
                let layout =
                    Layout::new(packed.shape(), packed.strides(), offset, dtype.itemsize(), end)?;
                Ok(BatchPart { layout, dtype: dtype.clone(), block })
            };
        self.layouts(items).zip(places).map(part).collect()
    }

    /// Makes all items in their places.
    ///
    /// # Safety
    ///
    /// The blocks are as many and as long as the parts need, and nothing else reads or writes them
    /// meanwhile.
    unsafe fn make(
        &self,
        items: &[usize],
        randomness: Randomness,
        parts: &[BatchPart],
        blocks: &[Buffer],
    ) -> Result<()> {
        if let Some((place, &got)) = items.iter().enumerate().find(|&(_, &item)| item >= self.items)
        {
            return Err(Error::NoSuchItem { got: got.to_string(), place, items: self.items });
        }
        let stream = |field: &CompiledField| match randomness {
            Randomness::Epoch(_) => field.stream,
            Randomness::Nonce(nonce) => field.stream_of(nonce),
        };
        let streams: Vec<Stream> = self.fields.iter().map(stream).collect();
        let batch =
            GatheredBatch { fields: &self.fields, items, randomness, streams, parts, blocks };
        // A fork may have copied it locked.
        let kept = self.scratches.try_lock().ok().and_then(|mut scratches| scratches.pop());
        let mut scratch = kept.unwrap_or_default();
        // SAFETY: the rows of the parts, which lie in the blocks; the caller has them alone.
        let made = unsafe { make_items(&self.fields, &batch, 0..items.len(), &mut scratch) };
        if let Ok(mut scratches) = self.scratches.try_lock() {
            scratches.push(scratch);
        }
        made.map_err(|failure| failure.error)
    }
}

/// A batch of items that the caller chose.
struct GatheredBatch<'a> {
    fields: &'a [CompiledField],
    items: &'a [usize],
    randomness: Randomness,
    /// The stream of each field's random draws.
    streams: Vec<Stream>,
    parts: &'a [BatchPart],
    blocks: &'a [Buffer],
}

// SAFETY: `bytes` gives a range of the field's part.
unsafe impl ItemBatch for GatheredBatch<'_> {
    fn items(&self, row: usize, items: &mut [usize]) -> Option<(usize, Error)> {
        items.copy_from_slice(&self.items[row..row + items.len()]);
        None
    }

    fn stream(&self, field: usize) -> Stream {
        self.streams[field]
    }

    fn draws_as(&self, row: usize, item: usize) -> (u32, u64) {
        match self.randomness {
            Randomness::Epoch(epoch) => (epoch, item as u64),
            // A sampler may give an item twice.
            Randomness::Nonce(_) => (row as u32, item as u64),
        }
    }

    fn stores(&self, field: usize) -> Stores {
        StorePolicy::Auto.of(self.fields[field].pipeline.nbytes() * self.items.len())
    }

    fn check(&self, _: usize, _: &[u8], _: &[usize]) -> Option<(usize, Error)> {
        None
    }

    unsafe fn bytes(&self, field: usize, start: usize, len: usize) -> &mut [u8] {
        let part = &self.parts[field];
        let block = &self.blocks[part.block];
        // SAFETY: a range of the part, which lies in the block; the caller has it alone.
        unsafe {
            let start = block.as_ptr().as_ptr().add(part.layout.offset() + start);
            std::slice::from_raw_parts_mut(start, len)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndlens_transforms::{RandomCrop, RandomJitter, Step, ToDtype};

    use super::*;

    #[test]
    fn scratch_memory_is_used_again_and_goes_with_the_data_set() {
        let gather = || {
            let images =
                View::from_vec(vec![7u8; 2 * 64 * 64 * 3]).reshape(&[2, 64, 64, 3]).unwrap();
            let field = Field::new("image", Arc::new(images)).with_transforms(vec![
                ToDtype { dtype: DType::F32, scale: true }.boxed(),
                RandomJitter { sigma: 0.5 }.boxed(),
                RandomCrop::new(8, 8).boxed(),
            ]);
            Gather::new(vec![field], 0).unwrap()
        };
        let sizes = |gather: &Gather| {
            let scratches = gather.scratches.lock().unwrap();
            scratches.iter().map(|scratch| scratch.pixels.nbytes()).collect::<Vec<_>>()
        };
        let used = gather();
        used.batch(&[0], Randomness::Epoch(0)).unwrap();
        let after_one = sizes(&used);
        assert!(after_one.len() == 1 && after_one[0] > 0);
        used.batch(&[1, 0], Randomness::Epoch(0)).unwrap();
        assert_eq!(sizes(&used), after_one);
        assert!(sizes(&gather()).is_empty());
    }
}
