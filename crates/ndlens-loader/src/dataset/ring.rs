//! Batch memory between processes: a worker fills a slot, another process has it until its last
//! view is dropped, and the worker fills it again.
//!
//! A slot is an arena of shared memory; one word of its header holds its state; see
//! `slot_state.rs`.
//!
//! A slot is used again only for batches that are not much smaller, so that a process which keeps a
//! small batch does not keep a large slot. Free slots that are not leased for long are given up. A
//! slot whose message was lost becomes free again when later slots have come back for an hour. A
//! message that waits in its queue, however long, is not lost, since no later one overtakes it.
//!
//! A slot costs the worker a descriptor, by which another process opens it. A process that receives
//! it needs none, since a map does not need its descriptor. So if many batches are kept, the worker
//! gives up slots that other processes have. These then own the slots alone, and the memory is
//! freed after their last use. When the worker ends, only slots that another process has mapped
//! remain.

#![expect(unsafe_code, reason = "lends the memory of slots; see UNSAFE.md")]

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use ndlens_core::{Access, Buffer, Owner};
use ndlens_store::{Arena, Error as StoreError, Handle, is_running};

use crate::dataset::slot_state::SlotTurn;
use crate::error::{Error, Result};

fn word(arena: &Arena) -> &AtomicU64 {
    &arena.words()[0]
}

/// A message that has not been received after this time counts as lost, if enough later ones have
/// been.
const LOST_AFTER: Duration = Duration::from_hours(1);

/// Number of these later ones, beyond the number of slots, which may have been sent before.
const LATER: u64 = 64;

/// Maximum number of slots of one process. Beyond it, slots that another process has are given up.
/// It is enough for the batches that are made ahead and in use in a training loop, and small beside
/// the 256 descriptors that some systems allow a process.
const SLOTS_MAX: usize = 32;

/// A free slot is given up when the number of leases since its last one exceeds the number of slots
/// by this. Such slots are left over after many batches were kept for a while, or after batches
/// became smaller.
const LEASES_IDLE: usize = 200;

/// The slots of one process.
#[derive(Debug)]
pub struct Ring {
    process: u32,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Slots by their last lease, the oldest first.
    all: Vec<Place>,
    leases: usize,
    /// Number of leases of slots that had come back.
    rounds: u64,
}

/// A slot in the ring's list.
#[derive(Debug)]
struct Place {
    arena: Arc<Arena>,
    slot: Weak<Slot>,
    /// The number of its last lease.
    leased: usize,
    /// A turn that was sent, and the time and the ring's rounds when the ring first saw it.
    sent: Option<(SlotTurn, Instant, u64)>,
}

impl Place {
    fn is_unused_here(&self) -> bool {
        self.slot.strong_count() == 0
    }

    fn is_free(&self) -> bool {
        self.is_unused_here() && SlotTurn::is_free(word(&self.arena))
    }

    fn is_taken(&self) -> bool {
        self.is_unused_here() && SlotTurn::is_taken(word(&self.arena))
    }

    /// Makes it free if its message is lost.
    fn forget_lost(&mut self, now: Instant, rounds: u64, slots: usize) {
        let Some(turn) = SlotTurn::sent(word(&self.arena)) else {
            self.sent = None;
            return;
        };
        match self.sent {
            Some((seen, since, at)) if seen == turn => {
                let overtaken = rounds - at >= LATER + slots as u64;
                if overtaken && now.duration_since(since) >= LOST_AFTER {
                    turn.take_back(word(&self.arena));
                }
            }
            _ => self.sent = Some((turn, now, rounds)),
        }
    }
}

impl Slots {
    /// Gives up slots that were not leased in a long time.
    fn give_up_idle(&mut self) {
        let idle = LEASES_IDLE.saturating_add(self.all.len());
        self.all.retain(|place| self.leases - place.leased < idle || !place.is_free());
    }

    /// Gives up slots that another process has, the oldest first, until `most` are left.
    fn give_up_taken(&mut self, most: usize) {
        let mut surplus = self.all.len().saturating_sub(most);
        self.all.retain(|place| {
            let gives_up = surplus > 0 && place.is_taken();
            surplus -= usize::from(gives_up);
            !gives_up
        });
    }
}

impl Default for Ring {
    fn default() -> Self {
        Ring { process: std::process::id(), slots: Mutex::default() }
    }
}

impl Ring {
    /// Whether this process made it. A forked child makes its own, since two processes must not
    /// fill one slot.
    pub fn is_own(&self) -> bool {
        self.process == std::process::id()
    }

    /// A slot of at least `len` bytes that is not in use: a free one that is less than twice as
    /// long, or a new one.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if there is no memory, or no descriptor.
    pub fn lease(&self, len: usize) -> Result<Arc<Slot>> {
        self.lease_at(len, Instant::now())
    }

    fn lease_at(&self, len: usize, now: Instant) -> Result<Arc<Slot>> {
        let len = len.max(1);
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let (rounds, count) = (slots.rounds, slots.all.len());
        slots.all.iter_mut().for_each(|place| place.forget_lost(now, rounds, count));
        slots.leases += 1;
        slots.give_up_idle();
        let leased = slots.leases;
        loop {
            let fits = |place: &Place| (len..len.saturating_mul(2)).contains(&place.arena.len());
            // The last of several slots of one length, so that the others become idle.
            let back = slots
                .all
                .iter()
                .enumerate()
                .rev()
                .filter(|(_, place)| fits(place) && place.is_free());
            let best = back.min_by_key(|(_, place)| place.arena.len()).map(|(at, _)| at);
            let Some(best) = best else {
                slots.give_up_taken(SLOTS_MAX - 1);
                let arena = Arena::create(len).or_else(|error| {
                    if !error.is_out_of_descriptors() {
                        return Err(error);
                    }
                    slots.give_up_taken(0);
                    Arena::create(len)
                })?;
                // A new slot is free, since its words are 0.
                slots.all.push(Place { arena, slot: Weak::new(), leased, sent: None });
                continue;
            };
            let mut place = slots.all.remove(best);
            let turn = SlotTurn::lease(word(&place.arena));
            let slot = turn.map(|turn| {
                Arc::new(Slot { arena: Arc::clone(&place.arena), turn, process: self.process })
            });
            if let Some(slot) = &slot {
                (place.slot, place.leased) = (Arc::downgrade(slot), leased);
            }
            slots.all.push(place);
            if let Some(slot) = slot {
                slots.rounds += 1;
                return Ok(slot);
            }
        }
    }

    /// The number of slots.
    pub fn len(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).all.len()
    }

    /// Whether there is no slot yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A slot that one process has. When the process drops it, it is free again, unless it was sent on.
#[derive(Debug)]
pub struct Slot {
    arena: Arc<Arena>,
    turn: SlotTurn,
    /// The process that has it: a fork copies this value, but the copy has no turn.
    process: u32,
}

impl Owner for Slot {
    fn description(&self) -> String {
        "shared memory of a batch".to_owned()
    }
}

impl Slot {
    /// Its memory, whose owner is the slot.
    pub fn buffer(slot: &Arc<Self>) -> Buffer {
        let len = slot.arena.len();
        let all = slot.arena.buffer(0, len);
        let start = all.map_or(std::ptr::NonNull::dangling(), |all| all.as_ptr());
        // SAFETY: all of the arena, which lives as long as the slot that is the owner here, and may
        // be written.
        unsafe {
            Buffer::from_raw(start, len, Access::ReadWrite, Arc::clone(slot) as Arc<dyn Owner>)
        }
    }

    /// A message by which another process can [`receive`](Self::receive) it once.
    ///
    /// # Errors
    ///
    /// [`Error::Store`].
    pub fn send(&self) -> Result<Vec<u8>> {
        let message =
            [self.arena.handle()?.to_bytes().as_slice(), &self.turn.number().to_le_bytes()]
                .concat();
        self.turn.send(word(&self.arena));
        Ok(message)
    }

    /// The slot that another process sent.
    ///
    /// # Errors
    ///
    /// [`Error::SenderGone`], [`Error::AlreadyReceived`]; [`Error::Store`] if the system refuses.
    pub fn receive(message: &[u8]) -> Result<Arc<Self>> {
        // Bytes that are too short for a lease are not a handle either.
        let (handle, lease) = message.split_last_chunk().unwrap_or((message, &[0; 8]));
        let (arena, lease) = (Handle::from_bytes(handle)?.open_map(), u64::from_le_bytes(*lease));
        let arena = arena.map_err(|error| match error {
            StoreError::SharedMemoryGone { process } => Error::SenderGone { process },
            // Until its parent has waited for it, only root may inspect a process that has ended.
            StoreError::SharedMemoryRefused { process, .. } if !is_running(process) => {
                Error::SenderGone { process }
            }
            error => Error::Store(error),
        })?;
        let turn = SlotTurn::receive(word(&arena), lease).ok_or(Error::AlreadyReceived)?;
        Ok(Arc::new(Slot { arena, turn, process: std::process::id() }))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            self.turn.end(word(&self.arena));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of a message that identifies its arena.
    fn arena(message: &[u8]) -> &[u8] {
        &message[..message.len() - 8]
    }

    #[test]
    fn a_slot_comes_back_when_the_last_view_on_it_dies_and_not_before() {
        let ring = Ring::default();
        let slot = ring.lease(1000).unwrap();
        let handle = slot.send().unwrap();
        drop(slot);
        assert!(
            ring.lease(1000).is_ok_and(|other| arena(&other.send().unwrap()) != arena(&handle))
        );
        assert_eq!(ring.len(), 2);
        let received = Slot::receive(&handle).unwrap();
        let buffer = Slot::buffer(&received);
        drop(received);
        let _third = ring.lease(1000).unwrap();
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
        let early =
            [slot.arena.handle().unwrap().to_bytes().as_slice(), &slot.turn.number().to_le_bytes()]
                .concat();
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
    fn a_process_that_was_killed_is_not_running_though_nobody_asked_how_it_ended() {
        assert!(is_running(std::process::id()));
        assert!(!is_running(u32::MAX));
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        assert!(is_running(child.id()));
        child.kill().unwrap();
        while is_running(child.id()) {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!is_running(child.id()));
    }

    #[test]
    fn a_copy_that_a_fork_made_ends_nobodys_turn() {
        let ring = Ring::default();
        let slot = ring.lease(10).unwrap();
        drop(Slot { arena: Arc::clone(&slot.arena), turn: slot.turn, process: 0 });
        let message = slot.send().unwrap();
        drop(slot);
        assert!(Slot::receive(&message).is_ok());
    }

    /// Sends a slot, receives it and drops it, `times` times.
    fn go_round(ring: &Ring, times: u64, now: Instant) {
        for _ in 0..times {
            let message = ring.lease_at(10, now).unwrap().send().unwrap();
            drop(Slot::receive(&message).unwrap());
        }
    }

    #[test]
    fn a_slot_that_was_sent_and_never_received_comes_back() {
        let ring = Ring::default();
        let (begin, late) = (Instant::now(), Instant::now() + LOST_AFTER);
        let lost = ring.lease_at(10, begin).unwrap().send().unwrap();
        go_round(&ring, 2 * LATER, begin);
        assert_eq!(ring.len(), 2);
        drop(ring.lease_at(10, late).unwrap());
        let [one, other] = [ring.lease_at(10, late).unwrap(), ring.lease_at(10, late).unwrap()];
        assert_eq!(ring.len(), 2);
        assert!(Slot::receive(&lost).is_err());
        drop((one, other));
    }

    #[test]
    fn a_message_that_waits_long_in_its_queue_is_not_lost() {
        let ring = Ring::default();
        let (begin, late) = (Instant::now(), Instant::now() + 3 * LOST_AFTER);
        let waiting: Vec<_> =
            (0..5).map(|_| ring.lease_at(10, begin).unwrap().send().unwrap()).collect();
        // No message was received for hours; now they come in the order of sending.
        for message in waiting {
            drop(ring.lease_at(10, late).unwrap());
            drop(Slot::receive(&message).unwrap());
        }
        // Overtaken, but not late.
        let message = ring.lease_at(10, begin).unwrap().send().unwrap();
        go_round(&ring, 3 * LATER, begin + LOST_AFTER / 2);
        assert!(Slot::receive(&message).is_ok());
    }

    #[test]
    fn a_slot_is_used_again_for_what_it_is_not_much_too_large_for() {
        let ring = Ring::default();
        drop(ring.lease(100_000).unwrap());
        assert_eq!(ring.lease(60_000).unwrap().arena.len(), 100_000);
        assert_eq!(ring.lease(10).unwrap().arena.len(), 10);
        assert_eq!(ring.lease(200_000).unwrap().arena.len(), 200_000);
        assert_eq!(ring.len(), 3);
    }

    #[test]
    fn slots_that_nobody_asks_for_any_more_are_given_up() {
        let ring = Ring::default();
        let many: Vec<_> = (0..20).map(|_| ring.lease(5000).unwrap()).collect();
        drop(many);
        drop(ring.lease(10).unwrap());
        assert_eq!(ring.len(), 21);
        for _ in 0..LEASES_IDLE + 30 {
            drop(ring.lease(5000).unwrap());
        }
        assert_eq!(ring.len(), 1);
    }

    #[test]
    fn a_ring_holds_few_descriptors_however_many_batches_are_kept() {
        let ring = Ring::default();
        let mut kept = vec![];
        for batch in 0..300 {
            let slot = ring.lease(10).unwrap();
            // SAFETY: within the slot, which nothing else has.
            unsafe { Slot::buffer(&slot).as_ptr().cast::<u16>().write(batch) };
            let message = slot.send().unwrap();
            drop(slot);
            kept.push(Slot::receive(&message).unwrap());
        }
        assert_eq!(ring.len(), SLOTS_MAX);
        for (batch, slot) in kept.iter().enumerate() {
            // SAFETY: within the slot, which is not written any more.
            let got = unsafe { Slot::buffer(slot).as_ptr().cast::<u16>().read() };
            assert_eq!(usize::from(got), batch);
        }
        // A slot that was sent and not received is not given up.
        let sent: Vec<_> = (0..100).map(|_| ring.lease(10).unwrap().send().unwrap()).collect();
        assert_eq!(ring.len(), 100);
        assert!(sent.iter().all(|message| Slot::receive(message).is_ok()));
    }
}
