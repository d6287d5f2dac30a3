//! Batches as messages to another process: the assignment of fields to blocks, and blocks as bytes.
//!
//! A process that keeps one field of a batch keeps its block. So a small field does not share the
//! block of a large one:
//!
//! ```text
//!  fields, by size       place
//!  up to 2 KiB in all    in the message itself, as bytes
//!  the largest seven     each in a slot of its own
//!  those between         together in one slot
//! ```
//!
//! A slot costs a descriptor while it is on its way. If none is left, its bytes go into the
//! message, although they are slow.

use std::sync::Arc;

use ndlens_core::{ALIGNMENT, Buffer, DType, Layout, Order, View};

use crate::dataset::ring::{Ring, Slot};
use crate::error::{Error, Result};

/// Bytes of fields in a message. A message up to 4096 bytes goes into a pipe whole or not at all,
/// so a process that is killed while it sends leaves no half of a message, for whose rest the
/// receiver would wait. The rest of the 4096 bytes is for what surrounds the fields.
const MESSAGE_BYTES: usize = 2 << 10;

/// Maximum number of slots of a batch: the receiver opens and maps each.
const SLOTS_MAX: usize = 8;

/// The first byte of a block that is sent as bytes.
const BYTES: u8 = 0;
const SLOT: u8 = 1;

/// The place of a field: the number of its block, and the byte at which it starts there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FieldPlace {
    pub(crate) block: usize,
    pub(crate) offset: usize,
}

/// The places of fields of these sizes in blocks, and for each block its length and whether it is a
/// slot.
pub(crate) fn arrange(sizes: &[usize]) -> (Vec<FieldPlace>, Vec<(usize, bool)>) {
    let mut by_size: Vec<usize> = (0..sizes.len()).collect();
    by_size.sort_by_key(|&field| sizes[field]);
    let mut blocks: Vec<(usize, bool)> = vec![];
    let mut places = vec![FieldPlace { block: 0, offset: 0 }; sizes.len()];
    let mut in_message = 0usize;
    let mut left = by_size.len();
    for field in by_size {
        let size = sizes[field];
        in_message = in_message.saturating_add(size);
        let is_slot = in_message > MESSAGE_BYTES;
        let shares =
            is_slot && left >= SLOTS_MAX && blocks.last().is_some_and(|&(_, is_slot)| is_slot);
        if !shares {
            blocks.push((0, is_slot));
        }
        left -= 1;
        let block = blocks.len() - 1;
        let end = &mut blocks[block].0;
        let offset = end.next_multiple_of(ALIGNMENT);
        *end = offset.saturating_add(size);
        places[field] = FieldPlace { block, offset };
    }
    (places, blocks)
}

/// Memory of a batch that goes to another process.
#[derive(Debug)]
pub enum SentBlock {
    /// Shared memory, which is sent as a handle.
    Slot(Arc<Slot>),
    /// Memory whose bytes are sent.
    Bytes(Buffer),
}

impl SentBlock {
    /// Memory of at least `len` bytes.
    pub(crate) fn new(ring: &Ring, len: usize, is_slot: bool) -> Result<Self> {
        if !is_slot {
            return Ok(SentBlock::Bytes(Buffer::zeroed(len)?));
        }
        match ring.lease(len) {
            Ok(slot) => Ok(SentBlock::Slot(slot)),
            Err(Error::Store(error)) if error.is_out_of_descriptors() => {
                Ok(SentBlock::Bytes(Buffer::zeroed(len)?))
            }
            Err(error) => Err(error),
        }
    }

    /// Its memory, whose owner keeps it alive.
    pub fn buffer(&self) -> Buffer {
        match self {
            SentBlock::Slot(slot) => Slot::buffer(slot),
            SentBlock::Bytes(buffer) => buffer.clone(),
        }
    }

    /// A message by which another process can [`receive`](Self::receive) it once.
    ///
    /// # Errors
    ///
    /// [`Error::Store`], [`Error::Core`].
    pub fn send(&self) -> Result<Vec<u8>> {
        let (tag, content) = match self {
            SentBlock::Slot(slot) => (SLOT, slot.send()?),
            SentBlock::Bytes(buffer) => (BYTES, bytes(buffer.clone())?.to_vec()?),
        };
        Ok([&[tag], content.as_slice()].concat())
    }

    /// The memory that another process sent.
    ///
    /// # Errors
    ///
    /// As [`Slot::receive`]; [`Error::Core`] if there is no memory.
    pub fn receive(message: &[u8]) -> Result<Buffer> {
        match message.split_first() {
            Some((&BYTES, content)) => {
                // Into memory that is aligned.
                Ok(View::from_vec(content.to_vec()).copy(Order::C)?.buffer().clone())
            }
            Some((&SLOT, handle)) => Ok(Slot::buffer(&Slot::receive(handle)?)),
            _ => Err(Error::Store(ndlens_store::Error::DamagedHandle {
                problem: "it is no block of a batch".to_owned(),
            })),
        }
    }
}

/// The bytes of a buffer as a view.
fn bytes(buffer: Buffer) -> Result<View> {
    let layout = Layout::contiguous(&[buffer.len()], 1, Order::C)?;
    Ok(View::new(buffer, layout, DType::U8)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_small_field_never_lies_in_the_block_of_a_large_one() {
        let (places, blocks) = arrange(&[90 * MIB, 2000, 16 << 10, 8]);
        assert_eq!(blocks, [(8, false), (2000, false), (16 << 10, true), (90 * MIB, true)]);
        let numbers: Vec<_> = places.iter().map(|place| place.block).collect();
        assert_eq!(numbers, [3, 1, 2, 0]);
        assert!(places.iter().all(|place| place.offset == 0));
    }

    #[test]
    fn the_fields_of_a_message_are_together_no_longer_than_it_may_be() {
        let (_, blocks) = arrange(&[1500; 3]);
        assert_eq!(blocks, [(1500, false), (1500, true), (1500, true)]);
        assert_eq!(arrange(&[0]).1, [(0, false)]);
        assert_eq!(arrange(&[]), (vec![], vec![]));
    }

    #[test]
    fn many_fields_take_few_slots_and_do_not_overlap() {
        let sizes: Vec<usize> = (0..100).map(|field| MIB + 1000 * field + 7).collect();
        let (places, blocks) = arrange(&sizes);
        assert_eq!(blocks.len(), SLOTS_MAX);
        // The largest are alone.
        assert!(places[93..].iter().all(|place| place.offset == 0 && place.block > 0));
        let mut spans: Vec<_> =
            (0..93).map(|at| (places[at].offset, places[at].offset + sizes[at])).collect();
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0));
        assert!(spans.iter().all(|span| span.0 % ALIGNMENT == 0));
        assert_eq!(spans.last().unwrap().1, blocks[0].0);
    }

    #[test]
    fn a_block_arrives_as_it_was_sent() {
        let ring = Ring::default();
        for is_slot in [false, true] {
            let block = SentBlock::new(&ring, 5, is_slot).unwrap();
            bytes(block.buffer()).unwrap().fill(&[9]).unwrap();
            let received = SentBlock::receive(&block.send().unwrap()).unwrap();
            assert_eq!(received.as_ptr().addr().get() % ALIGNMENT, 0);
            assert_eq!(
                bytes(received).unwrap().to_vec::<u8>().unwrap(),
                bytes(block.buffer()).unwrap().to_vec::<u8>().unwrap()
            );
        }
        assert_eq!(
            SentBlock::receive(b"").unwrap_err().to_string(),
            "damaged handle: it is no block of a batch"
        );
    }
}
