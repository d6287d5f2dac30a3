//! Memory for intermediate images between passes, which a thread keeps from item to item.

#![expect(unsafe_code, reason = "lends its memory as bytes to write; see UNSAFE.md")]

use std::slice;

use ndlens_core::{Buffer, DType, Layout, ViewRef};

use crate::error::Result;

/// Memory that one thread needs to make items. It grows to the largest intermediate image, and does
/// not shrink.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Two blocks: one is read while the other is written.
    pub(crate) blocks: [ScratchBlock; 2],
    pub(crate) resize: ndlens_kernels::ResizeScratch,
}

impl Scratch {
    /// The bytes that it holds for images on their way.
    pub fn nbytes(&self) -> usize {
        self.blocks.iter().map(|block| block.0.len()).sum()
    }

    /// `len` bytes to be overwritten, for work between items. What they hold is lost when an item
    /// is made.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) if there is no memory.
    pub fn bytes_mut(&mut self, len: usize) -> Result<&mut [u8]> {
        self.blocks[0].bytes_mut(len)
    }
}

/// Memory that no other code has.
///
/// # Invariant
///
/// 1. The buffer was allocated here, and no clone of it leaves: every reader borrows the block.
#[derive(Debug)]
pub(crate) struct ScratchBlock(Buffer);

impl Default for ScratchBlock {
    fn default() -> Self {
        ScratchBlock(Buffer::from_vec(Vec::<u8>::new()))
    }
}

impl ScratchBlock {
    /// The first `len` bytes, to overwrite.
    pub(crate) fn bytes_mut(&mut self, len: usize) -> Result<&mut [u8]> {
        if self.0.len() < len {
            // The old buffer is freed before a larger one is allocated.
            *self = ScratchBlock::default();
            self.0 = Buffer::zeroed(len.checked_next_power_of_two().unwrap_or(len))?;
        }
        // SAFETY: the buffer has at least `len` bytes, written when it was zeroed. By invariant 1
        // all readers borrow the block, which is borrowed mutably here for as long as the
        // slice lives.
        Ok(unsafe { slice::from_raw_parts_mut(self.0.as_ptr().as_ptr(), len) })
    }

    /// The written bytes as a view.
    pub(crate) fn view<'a>(&'a self, layout: Layout, dtype: &'a DType) -> Result<ViewRef<'a>> {
        Ok(ViewRef::new(&self.0, layout, dtype)?)
    }
}
