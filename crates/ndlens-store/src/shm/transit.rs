//! Shared memory in messages to other processes.
//!
//! A handle does not hold memory. A process that sends one through a queue and then drops the view,
//! such as a worker that returns a result, would free the memory before the receiver has it. So the
//! sender holds an arena that was sent until the receiver confirms the message in the arena itself:
//!
//! ```text
//!  header.senders |  0  |pid 17, received 2|  0  | ..    a word for each sending process
//! ```
//!
//! The sender counts its messages. It compares the counts whenever it sends or shares an array, and
//! releases the arena if they agree.
//!
//! # Limitations
//!
//! - The memory of a lost message, such as one in a queue without a reader or of a killed worker,
//!   is held for an hour.
//! - If two processes receive one message, the sender releases the memory too early for the second.

use std::collections::HashSet;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ndlens_core::room;
use serde::{Deserialize, Serialize};

use crate::os::process::PerProcess;
use crate::os::shared;
use crate::shm::arena::{Arena, ArenaId};
use crate::shm::claims::LOST_AFTER;
use crate::shm::nursery::Nursery;

/// The place of the counting word in the arena, and the sender that it must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ticket {
    slot: u8,
    sender: u32,
}

/// An arena with messages that were not all received yet.
#[derive(Debug)]
struct Parcel {
    arena: Arc<Arena>,
    /// Held too, so that new blocks go to the same arena as those of lost messages.
    _nursery: Option<Arc<Nursery>>,
    /// None if all words are taken: the arena is held until its message counts as lost.
    ticket: Option<Ticket>,
    sent: u32,
    last: Instant,
}

/// The messages of this process that were not received yet. A forked child starts with none, and
/// holds no memory for its parent.
static PARCELS: PerProcess<Vec<Parcel>> = PerProcess::new(|parent| {
    parent.clear();
    vec![]
});

/// A word: the sender in the upper half, the number of received messages in the lower.
fn word(sender: u32, received: u32) -> u64 {
    u64::from(sender) << 32 | u64::from(received)
}

/// Holds the arena, and its nursery if it has one, until the receiver of this message has it.
///
/// # Errors
///
/// [`ndlens_core::Error::OutOfMemory`] if there is no memory for its entry: then nothing is held.
pub(crate) fn send(
    arena: &Arc<Arena>,
    nursery: Option<Arc<Nursery>>,
) -> ndlens_core::Result<Option<Ticket>> {
    sweep();
    let mut parcels = PARCELS.lock();
    if let Some(parcel) = parcels.iter_mut().find(|parcel| Arc::ptr_eq(&parcel.arena, arena)) {
        parcel.sent += 1;
        parcel.last = Instant::now();
        return Ok(parcel.ticket);
    }
    // Before a word is taken, which would have to be given back.
    room::reserve(&mut parcels, 1)?;
    let ticket = claim(arena.senders(), process::id());
    parcels.push(Parcel {
        arena: arena.clone(),
        _nursery: nursery,
        ticket,
        sent: 1,
        last: Instant::now(),
    });
    Ok(ticket)
}

/// Confirms a message.
pub(crate) fn receive(arena: &Arena, ticket: Ticket) {
    let Some(slot) = arena.senders().get(usize::from(ticket.slot)) else { return };
    // Relaxed: only the number counts. The kernel orders the shared memory itself.
    let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |was| {
        let received = was as u32;
        (was == word(ticket.sender, received))
            .then(|| word(ticket.sender, received.wrapping_add(1)))
    });
}

/// A word for this sender: a free one, or one of a sender that is gone.
fn claim(slots: &[AtomicU64], sender: u32) -> Option<Ticket> {
    let take = |slot: &AtomicU64, was| {
        // Relaxed: see `receive`.
        slot.compare_exchange(was, word(sender, 0), Ordering::Relaxed, Ordering::Relaxed).is_ok()
    };
    let place = slots.iter().position(|slot| take(slot, 0)).or_else(|| {
        slots.iter().position(|slot| {
            let was = slot.load(Ordering::Relaxed);
            shared::is_gone((was >> 32) as u32) && take(slot, was)
        })
    })?;
    Some(Ticket { slot: u8::try_from(place).ok()?, sender })
}

impl Parcel {
    /// Whether all messages were received, or count as lost.
    fn is_done(&self, now: Instant) -> bool {
        let lost = now.duration_since(self.last) >= LOST_AFTER;
        let Some((slot, ticket)) = self.slot() else { return lost };
        // Relaxed: see `receive`.
        let was = slot.load(Ordering::Relaxed);
        // Another sender's number: a process overwrote the word, so later receipts are not counted.
        let received = was as u32;
        let counted = was == word(ticket.sender, received);
        !counted || received.wrapping_sub(self.sent) < u32::MAX / 2 || lost
    }

    fn slot(&self) -> Option<(&AtomicU64, Ticket)> {
        let ticket = self.ticket?;
        Some((self.arena.senders().get(usize::from(ticket.slot))?, ticket))
    }

    fn give_slot_back(&self) {
        if let Some((slot, ticket)) = self.slot() {
            // Relaxed: see `receive`.
            let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |was| {
                (was == word(ticket.sender, was as u32)).then_some(0)
            });
        }
    }
}

/// Releases the arenas whose messages were received.
pub(crate) fn sweep() {
    let now = Instant::now();
    let mut parcels = PARCELS.lock();
    let count = parcels.iter().filter(|parcel| parcel.is_done(now)).count();
    // Without memory for the list, these arenas are held until there is some.
    let Ok(mut done) = room::with_room_for::<Parcel>(count) else { return };
    done.extend(parcels.extract_if(.., |parcel| parcel.is_done(now)).take(count));
    drop(parcels);
    done.iter().for_each(Parcel::give_slot_back);
    // Not under the lock: to unmap much memory takes long.
    drop(done);
}

/// Waits, no longer than `timeout`, until the messages of this process were received: a sender that
/// exits first frees the memory. Memory that another process holds too does not need this process.
/// Returns whether all messages were received.
pub fn wait_for_receipts(timeout: Duration) -> bool {
    sweep();
    // Without memory for the lists, no arena counts as held by others.
    let arenas = room::list_of(PARCELS.lock().iter().map(|parcel| parcel.arena.clone()));
    let mut safe: HashSet<ArenaId> = HashSet::new();
    for arena in arenas.unwrap_or_default() {
        if shared::others_hold(arena.device(), arena.inode()) {
            let _ = room::insert(&mut safe, *arena.id());
        }
    }

    let until = Instant::now() + timeout;
    let mut interval = Duration::from_millis(1);
    loop {
        sweep();
        if PARCELS.lock().iter().all(|parcel| safe.contains(parcel.arena.id())) {
            return true;
        }
        let now = Instant::now();
        if now >= until {
            return false;
        }
        thread::sleep(interval.min(until - now));
        interval = (interval * 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(arena: &Arc<Arena>) -> bool {
        sweep();
        PARCELS.lock().iter().any(|parcel| Arc::ptr_eq(&parcel.arena, arena))
    }

    #[test]
    fn an_arena_is_held_until_it_was_received_as_often_as_sent() {
        let arena = Arena::create(10).unwrap();
        let tickets = [send(&arena, None).unwrap().unwrap(), send(&arena, None).unwrap().unwrap()];
        assert_eq!(tickets[0], tickets[1]);
        assert!(held(&arena));
        receive(&arena, tickets[0]);
        assert!(held(&arena));
        receive(&arena, tickets[1]);
        assert!(!held(&arena));
        assert!(arena.senders().iter().all(|slot| slot.load(Ordering::Relaxed) == 0));
        // And once more.
        let ticket = send(&arena, None).unwrap().unwrap();
        assert!(held(&arena));
        receive(&arena, ticket);
        assert!(!held(&arena));
    }

    #[test]
    fn receipts_for_others_do_not_count() {
        let arena = Arena::create(10).unwrap();
        let ticket = send(&arena, None).unwrap().unwrap();
        receive(&arena, Ticket { sender: ticket.sender + 1, ..ticket });
        receive(&arena, Ticket { slot: ticket.slot + 1, ..ticket });
        receive(&arena, Ticket { slot: u8::MAX, ..ticket });
        assert!(held(&arena));
        receive(&arena, ticket);
        assert!(!held(&arena));
    }

    #[test]
    fn nonsense_in_the_header_holds_nothing_for_good() {
        let arena = Arena::create(10).unwrap();
        send(&arena, None).unwrap().unwrap();
        arena.senders().iter().for_each(|slot| slot.store(u64::MAX, Ordering::Relaxed));
        assert!(!held(&arena));
    }

    #[test]
    fn what_is_lost_is_let_go() {
        let arena = Arena::create(10).unwrap();
        let ticket = send(&arena, None).unwrap();
        let parcel = Parcel { arena, _nursery: None, ticket, sent: 9, last: Instant::now() };
        assert!(!parcel.is_done(Instant::now() + LOST_AFTER / 2));
        assert!(parcel.is_done(Instant::now() + LOST_AFTER));
        let parcel = Parcel { ticket: None, ..parcel };
        assert!(!parcel.is_done(Instant::now()) && parcel.is_done(Instant::now() + LOST_AFTER));
    }

    #[test]
    fn words_of_senders_that_are_gone_are_taken_over() {
        let slots: Vec<_> = (0..4).map(|_| AtomicU64::new(word(process::id(), 3))).collect();
        assert_eq!(claim(&slots, 7), None);
        slots[2].store(word(u32::MAX, 1), Ordering::Relaxed);
        assert_eq!(claim(&slots, 7), Some(Ticket { slot: 2, sender: 7 }));
        slots[3].store(0, Ordering::Relaxed);
        assert_eq!(claim(&slots, 8), Some(Ticket { slot: 3, sender: 8 }));
    }
}
