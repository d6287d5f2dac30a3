//! Batches of items that somebody else chooses, made by the caller: what a `DataLoader` of torch asks a data set for.
//!
//! All fields of a batch lie in one block, each from a multiple of [`ALIGNMENT`] on:
//!
//! ```text
//!  0                offset 1            offset 2
//!  |field 0: (n, ..)|..|field 1: (n, ..)|..|field 2: (n, ..)|
//! ```

#![expect(unsafe_code, reason = "writes rows of memory that nobody else has seen; see UNSAFE.md")]

use std::sync::Arc;

use ndlens_core::{ALIGNMENT, Buffer, DType, Layout, View};

use crate::error::{Error, Result};
use crate::loader::{Compiled, Draws, Field, compile};
use crate::plan::reading;
use crate::ring::{Ring, Slot};
use crate::scratch::Scratch;
use crate::storing::Storing;
use crate::transform::Values;

/// What the draws for an item are made of, beside the item and its field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Randomness {
    /// The seed and this epoch: the draws of a [`Loader`](crate::Loader) of the same seed.
    Epoch(u32),
    /// This number, which comes from elsewhere and once only.
    Nonce(u64),
}

/// One field of a batch in its block.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Where its elements are: items, then an item's own axes.
    pub layout: Layout,
    /// What they are.
    pub dtype: DType,
}

impl Part {
    /// The view of it in its block.
    ///
    /// # Errors
    ///
    /// What [`Layout::check`] says where the block is not of this batch.
    pub fn view(&self, block: &Buffer) -> Result<View> {
        Ok(View::new(block.clone(), self.layout.clone(), self.dtype.clone())?)
    }
}

/// Fields that give batches of any items.
#[derive(Debug)]
pub struct Gather {
    fields: Arc<[Compiled]>,
    items: usize,
}

impl Gather {
    /// Compiles the fields' transforms and checks everything that can be checked before the first batch.
    ///
    /// # Errors
    ///
    /// As [`Loader::new`](crate::Loader::new).
    pub fn new(fields: Vec<Field>, seed: u64) -> Result<Self> {
        let (fields, items) = compile(fields, seed, 1, Values::Computed)?;
        Ok(Gather { fields, items })
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// Each field's name and the dtype that its transforms end in.
    pub fn dtypes(&self) -> impl Iterator<Item = (&str, &DType)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.program.dtype()))
    }

    /// A batch in new memory: one view for each field.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchItem`], [`Error::Item`], and [`Error::Core`] where there is no memory.
    pub fn batch(&self, items: &[usize], randomness: Randomness) -> Result<Vec<View>> {
        let (parts, len) = self.parts(items.len())?;
        let block = Buffer::zeroed(len)?;
        // SAFETY: the block is new.
        unsafe { self.make(items, randomness, &parts, &block) }?;
        parts.iter().map(|part| part.view(&block)).collect()
    }

    /// A batch in a slot of a ring, for another process.
    ///
    /// # Errors
    ///
    /// As [`batch`](Self::batch); [`Error::Store`] where there is no shared memory.
    pub fn batch_in(
        &self,
        ring: &Ring,
        items: &[usize],
        randomness: Randomness,
    ) -> Result<(Vec<Part>, Arc<Slot>)> {
        let (parts, len) = self.parts(items.len())?;
        let slot = ring.lease(len)?;
        // SAFETY: a slot that was just leased is seen by nobody else.
        unsafe { self.make(items, randomness, &parts, &Slot::buffer(&slot)) }?;
        Ok((parts, slot))
    }

    /// Where the fields of a batch lie, and the length of its block.
    fn parts(&self, items: usize) -> Result<(Vec<Part>, usize)> {
        let mut end = 0usize;
        let mut part = |field: &Compiled| {
            let dtype = field.program.dtype().clone();
            let packed = field.program.batch_layout(items)?;
            let nbytes = packed.len() * dtype.itemsize();
            let offset = end.next_multiple_of(ALIGNMENT);
            end = offset.saturating_add(nbytes);
            let layout = Layout::new(packed.shape(), packed.strides(), offset, dtype.itemsize(), end)?;
            Ok(Part { layout, dtype })
        };
        let parts = self.fields.iter().map(&mut part).collect::<Result<_>>()?;
        Ok((parts, end))
    }

    /// Makes all items in their places.
    ///
    /// # Safety
    ///
    /// `block` is as long as the parts need, and nobody else reads or writes it meanwhile.
    unsafe fn make(
        &self,
        items: &[usize],
        randomness: Randomness,
        parts: &[Part],
        block: &Buffer,
    ) -> Result<()> {
        if let Some((place, &got)) = items.iter().enumerate().find(|&(_, &item)| item >= self.items) {
            return Err(Error::NoSuchItem { got: got as i128, place, items: self.items });
        }
        let mut scratch = Scratch::default();
        let _reading = reading(&self.fields);
        for (field, part) in self.fields.iter().zip(parts) {
            let nbytes = field.program.nbytes();
            let stores = Storing::Auto.of(nbytes * items.len());
            let complete = field.source.is_complete();
            if let Some(take) = field.take.as_ref().filter(|_| complete) {
                // SAFETY: the whole part, which lies in the block; the caller has it alone.
                let destination = unsafe {
                    let start = block.as_ptr().as_ptr().add(part.layout.offset());
                    std::slice::from_raw_parts_mut(start, items.len() * nbytes)
                };
                take.rows(items, destination, stores)?;
                if let Some((_, error)) = field.first_lost(complete, items) {
                    return Err(error);
                }
                continue;
            }
            let stream = match randomness {
                Randomness::Epoch(_) => field.stream,
                Randomness::Nonce(nonce) => field.stream_of(nonce),
            };
            for (row, &item) in items.iter().enumerate() {
                let round = match randomness {
                    Randomness::Epoch(epoch) => epoch,
                    // A sampler may give an item twice.
                    Randomness::Nonce(_) => row as u32,
                };
                let draws = Draws { stream, epoch: round, item: item as u64 };
                // SAFETY: row `row` of the part, which lies in the block; the caller has it alone.
                let destination = unsafe {
                    let start = block.as_ptr().as_ptr().add(part.layout.offset() + row * nbytes);
                    std::slice::from_raw_parts_mut(start, nbytes)
                };
                field
                    .make(item, complete, draws, destination, stores, &mut scratch)
                    .map_err(|error| field.fail(item, error))?;
            }
            if let Some((_, error)) = field.first_lost(complete, items) {
                return Err(error);
            }
        }
        Ok(())
    }
}
