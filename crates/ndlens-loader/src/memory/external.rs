//! Batch memory that the consumer supplies, such as memory pinned for a GPU.
//!
//! Pinning needs the runtime of another library, which workers cannot call. So the consumer
//! allocates such memory. It supplies it before it asks for a batch.

#![expect(unsafe_code, reason = "takes over foreign memory to be written; see UNSAFE.md")]

use std::collections::VecDeque;

use ndlens_core::{Access, Buffer};

use crate::error::{Error, Result};
use crate::memory::pool::Slab;

/// Source of batch memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BatchMemory {
    /// The loader's own pools.
    #[default]
    Pooled,
    /// The consumer, by [`Epoch::supply`](crate::Epoch::supply).
    Supplied,
}

/// Memory for batches that are not begun, in their order.
#[derive(Debug, Default)]
pub(crate) struct Supply {
    waiting: VecDeque<Vec<Slab>>,
    /// Number of batches that were supplied with memory, begun or not.
    pub(crate) batches: usize,
}

impl Supply {
    /// Adds memory for one more batch.
    pub(crate) fn add(&mut self, slabs: Vec<Slab>) {
        self.waiting.push_back(slabs);
        self.batches += 1;
    }

    /// Takes the memory for the next batch.
    pub(crate) fn take(&mut self) -> Option<Vec<Slab>> {
        self.waiting.pop_front()
    }
}

/// Slabs on these buffers, which must be as many and as large as expected.
///
/// # Safety
///
/// The memory must be initialised, and nothing else may access it until the slab is dropped or
/// frozen.
pub(crate) unsafe fn slabs(
    buffers: Vec<Buffer>,
    expected: impl Iterator<Item = usize>,
) -> Result<Vec<Slab>> {
    let got: Vec<_> = buffers.iter().map(|buffer| (buffer.len(), buffer.access())).collect();
    let expected: Vec<_> = expected.map(|len| (len, Access::ReadWrite)).collect();
    if got != expected {
        return Err(Error::Supply { got, expected });
    }
    // SAFETY: writable, as was just seen; the rest is passed on.
    Ok(buffers.into_iter().map(|buffer| unsafe { Slab::supplied(buffer) }).collect())
}
