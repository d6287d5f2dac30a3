//! Batch memory between processes: a worker fills a slot, another process has it until its last view dies, and the worker fills
//! it again.
//!
//! A slot is an arena of shared memory; one word of its header says whose turn it is. It goes one way round:
//!
//! ```text
//!  FREE --lease--> FILLING --send--> SENT --receive--> TAKEN --last view dies--> FREE
//!                     |  never sent: FREE again
//! ```
//!
//! The word also counts how often the slot was leased, and a message says which of these it is about: one that is read again after
//! its slot went round finds another count there.
//!
//! A ring has as many slots as were ever in use at once. They are gone with the worker, but for those that another process
//! still looks at.

#![expect(unsafe_code, reason = "lends the memory of slots; see UNSAFE.md")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ndlens_core::{Access, Buffer, Owner};
use ndlens_store::{Arena, Handle};

use crate::error::{Error, Result};

const FREE: u64 = 0;
const FILLING: u64 = 1;
const SENT: u64 = 2;
const TAKEN: u64 = 3;

/// The word: the number of the lease times this, plus whose turn it is.
const TURNS: u64 = 4;

fn word(lease: u64, turn: u64) -> u64 {
    lease.wrapping_mul(TURNS).wrapping_add(turn)
}

fn state(arena: &Arena) -> &AtomicU64 {
    &arena.words()[0]
}

/// The slots of one process.
#[derive(Debug)]
pub struct Ring {
    process: u32,
    slots: Mutex<Vec<(Arc<Arena>, Weak<Slot>)>>,
}

impl Default for Ring {
    fn default() -> Self {
        Ring { process: std::process::id(), slots: Mutex::default() }
    }
}

impl Ring {
    /// Whether this process made it. A forked child makes its own: two that fill one slot would be one too many.
    pub fn is_own(&self) -> bool {
        self.process == std::process::id()
    }

    /// A slot of at least `len` bytes that nobody uses: one that came back, or a new one.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] where there is no memory.
    pub fn lease(&self, len: usize) -> Result<Arc<Slot>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        // Acquire: what was read from the slot was read before it came back.
        let is_free = |arena: &Arena, slot: &Weak<Slot>| {
            slot.strong_count() == 0 && state(arena).load(Ordering::Acquire) % TURNS == FREE
        };
        // A slot that came back and is too small is never used again.
        slots.retain(|(arena, slot)| arena.len() >= len || !is_free(arena, slot));
        let at = slots.iter().position(|(arena, slot)| is_free(arena, slot)).unwrap_or(slots.len());
        if at == slots.len() {
            slots.push((Arena::create(len.max(1))?, Weak::new()));
        }
        let (arena, weak) = &mut slots[at];
        // Relaxed: nobody else looks at a free slot.
        let lease = (state(arena).load(Ordering::Relaxed) / TURNS).wrapping_add(1);
        let slot = Arc::new(Slot { arena: Arc::clone(arena), lease, ends: FILLING });
        state(arena).store(slot.word(FILLING), Ordering::Relaxed);
        *weak = Arc::downgrade(&slot);
        Ok(slot)
    }

    /// The number of slots.
    pub fn len(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is none yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A slot in one process's hands. When they let go, it is free again, unless it was sent on.
#[derive(Debug)]
pub struct Slot {
    arena: Arc<Arena>,
    /// Which lease of the arena this is.
    lease: u64,
    /// Whose turn ends with this.
    ends: u64,
}

impl Owner for Slot {}

impl Slot {
    fn word(&self, turn: u64) -> u64 {
        word(self.lease, turn)
    }

    /// Its memory, which holds the slot.
    pub fn buffer(slot: &Arc<Self>) -> Buffer {
        let len = slot.arena.len();
        let all = slot.arena.buffer(0, len);
        let start = all.map_or(std::ptr::NonNull::dangling(), |all| all.as_ptr());
        // SAFETY: all of the arena, which lives as long as the slot that is the owner here, and may be written.
        unsafe { Buffer::from_raw(start, len, Access::ReadWrite, Arc::clone(slot) as Arc<dyn Owner>) }
    }

    /// What another process needs to [`receive`](Self::receive) it, once.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn send(&self) -> Result<Vec<u8>> {
        let message = [self.arena.handle()?.to_bytes().as_slice(), &self.lease.to_le_bytes()].concat();
        // Release: what was written is there for whoever receives it. It fails where it was sent before.
        let (filling, sent) = (self.word(FILLING), self.word(SENT));
        let _ = state(&self.arena).compare_exchange(filling, sent, Ordering::Release, Ordering::Relaxed);
        Ok(message)
    }

    /// The slot that another process sent.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] where it is gone, [`Error::AlreadyReceived`].
    pub fn receive(message: &[u8]) -> Result<Arc<Self>> {
        // What is too short for a lease is no handle either.
        let (handle, lease) = message.split_last_chunk().unwrap_or((message, &[0; 8]));
        let (arena, lease) = (Handle::from_bytes(handle)?.open()?, u64::from_le_bytes(*lease));
        // Acquire: see `send`.
        let taken = state(&arena).compare_exchange(
            word(lease, SENT),
            word(lease, TAKEN),
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        taken.map_err(|_| Error::AlreadyReceived)?;
        Ok(Arc::new(Slot { arena, lease, ends: TAKEN }))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // Release: what was read of it was read before. It fails where it was sent on, and is somebody else's.
        let _ = state(&self.arena).compare_exchange(
            self.word(self.ends),
            self.word(FREE),
            Ordering::Release,
            Ordering::Relaxed,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which memory a message is about.
    fn arena(message: &[u8]) -> &[u8] {
        &message[..message.len() - 8]
    }

    #[test]
    fn a_slot_comes_back_when_the_last_view_on_it_dies_and_not_before() {
        let ring = Ring::default();
        let slot = ring.lease(1000).unwrap();
        let handle = slot.send().unwrap();
        drop(slot);
        assert!(ring.lease(1000).is_ok_and(|other| arena(&other.send().unwrap()) != arena(&handle)));
        assert_eq!(ring.len(), 2);
        let received = Slot::receive(&handle).unwrap();
        let buffer = Slot::buffer(&received);
        drop(received);
        drop(ring.lease(1000).unwrap());
        assert_eq!(ring.len(), 3);
        drop(buffer);
        let again = ring.lease(1000).unwrap();
        assert_eq!(arena(&again.send().unwrap()), arena(&handle));
        assert_eq!(ring.len(), 3);
    }

    #[test]
    fn a_slot_that_is_never_sent_is_free_again_and_one_is_received_once() {
        let ring = Ring::default();
        drop(ring.lease(10).unwrap());
        let slot = ring.lease(10).unwrap();
        assert_eq!(ring.len(), 1);
        let early = [slot.arena.handle().unwrap().to_bytes().as_slice(), &slot.lease.to_le_bytes()].concat();
        assert!(matches!(Slot::receive(&early), Err(Error::AlreadyReceived)));
        let handle = slot.send().unwrap();
        let _received = Slot::receive(&handle).unwrap();
        let error = Slot::receive(&handle).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this batch was received before: what a worker sends is unpickled once"
        );
    }

    #[test]
    fn a_message_that_is_read_again_does_not_take_what_came_after_it() {
        let ring = Ring::default();
        let first = ring.lease(10).unwrap();
        let old = first.send().unwrap();
        drop(first);
        drop(Slot::receive(&old).unwrap());
        let second = ring.lease(10).unwrap();
        let new = second.send().unwrap();
        assert_eq!((ring.len(), arena(&old)), (1, arena(&new)));
        assert!(matches!(Slot::receive(&old), Err(Error::AlreadyReceived)));
        assert!(Slot::receive(&new).is_ok());
    }

    #[test]
    fn slots_grow_with_what_is_asked_for() {
        let ring = Ring::default();
        drop(ring.lease(10).unwrap());
        drop(ring.lease(100_000).unwrap());
        assert_eq!(ring.len(), 1);
    }
}
