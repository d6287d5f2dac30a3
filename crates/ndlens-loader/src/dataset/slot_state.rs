//! The state of memory that is passed between processes: one word, and its only transitions.
//!
//! ```text
//!  FREE --lease--> FILLING --send--> SENT --receive--> TAKEN --end--> FREE
//!                     |                  |  take back, never received: FREE again
//!                     |  end, never sent: FREE again
//! ```
//!
//! The word also counts the leases of the memory, and a message holds the count of its lease. A
//! message that is read again after a later lease finds another count.

use std::sync::atomic::{AtomicU64, Ordering};

const FREE: u64 = 0;
const FILLING: u64 = 1;
const SENT: u64 = 2;
const TAKEN: u64 = 3;

/// The word is the number of the lease times this, plus the state.
const TURNS: u64 = 4;

/// An atomic number: that of std, or that of loom, which tries every order of events.
pub(crate) trait Word {
    fn get(&self, order: Ordering) -> u64;
    /// Changes the number to `to` if it is `from`. Returns whether it was.
    fn change(&self, from: u64, to: u64, order: Ordering) -> bool;
}

impl Word for AtomicU64 {
    fn get(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn change(&self, from: u64, to: u64, order: Ordering) -> bool {
        self.compare_exchange(from, to, order, Ordering::Relaxed).is_ok()
    }
}

/// One state of one lease, which its holder may end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotTurn {
    lease: u64,
    whose: u64,
}

impl SlotTurn {
    /// Whether the memory is free.
    pub(crate) fn is_free(word: &impl Word) -> bool {
        // Acquire: all reads of the memory came before its return.
        word.get(Ordering::Acquire) % TURNS == FREE
    }

    /// The lease that was sent and not received yet, if the memory is in that state.
    pub(crate) fn sent(word: &impl Word) -> Option<Self> {
        // Relaxed: only compared; `take_back` looks again.
        let was = word.get(Ordering::Relaxed);
        (was % TURNS == SENT).then_some(SlotTurn { lease: was / TURNS, whose: SENT })
    }

    /// Frees memory whose message was lost. It changes nothing if the message was received
    /// meanwhile.
    pub(crate) fn take_back(self, word: &impl Word) {
        // Relaxed: nothing has read what is there.
        word.change(self.word(), SlotTurn { whose: FREE, ..self }.word(), Ordering::Relaxed);
    }

    /// Whether another process has received the memory and not given it back.
    pub(crate) fn is_taken(word: &impl Word) -> bool {
        // Relaxed: nothing is read there for it.
        word.get(Ordering::Relaxed) % TURNS == TAKEN
    }

    /// Takes free memory to fill it; None if it is not free. Only its owner leases, from one
    /// thread at a time.
    pub(crate) fn lease(word: &impl Word) -> Option<Self> {
        // Acquire: as in `is_free`.
        let lease = Some(word.get(Ordering::Acquire)).filter(|was| was % TURNS == FREE)? / TURNS;
        let filling = SlotTurn { lease: lease.wrapping_add(1), whose: FILLING };
        let free = SlotTurn { lease, whose: FREE };
        // Relaxed: nothing reads what is there before it is sent.
        word.change(free.word(), filling.word(), Ordering::Relaxed).then_some(filling)
    }

    /// Lets another process receive it. It changes nothing if it was sent before.
    pub(crate) fn send(self, word: &impl Word) {
        // Release: the process that receives it sees what was written.
        word.change(self.word(), SlotTurn { whose: SENT, ..self }.word(), Ordering::Release);
    }

    /// Receives the memory of this lease; None if it was received before, or the lease is another.
    pub(crate) fn receive(word: &impl Word, lease: u64) -> Option<Self> {
        let (sent, taken) = (SlotTurn { lease, whose: SENT }, SlotTurn { lease, whose: TAKEN });
        // Acquire: see `send`.
        word.change(sent.word(), taken.word(), Ordering::Acquire).then_some(taken)
    }

    /// Ends this turn, so that the memory is free. It changes nothing if it was sent on and is
    /// another process's.
    pub(crate) fn end(self, word: &impl Word) {
        // Release: all reads of the memory come before its return.
        word.change(self.word(), SlotTurn { whose: FREE, ..self }.word(), Ordering::Release);
    }

    /// The number of the lease, for a message.
    pub(crate) fn number(self) -> u64 {
        self.lease
    }

    fn word(self) -> u64 {
        self.lease.wrapping_mul(TURNS).wrapping_add(self.whose)
    }
}

/// Two processes are two threads here.
#[cfg(all(test, loom))]
mod in_every_order {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;

    impl Word for loom::sync::atomic::AtomicU64 {
        fn get(&self, order: Ordering) -> u64 {
            self.load(order)
        }

        fn change(&self, from: u64, to: u64, order: Ordering) -> bool {
            self.compare_exchange(from, to, order, Ordering::Relaxed).is_ok()
        }
    }

    /// Memory whose races loom detects, and its word.
    struct Memory {
        word: loom::sync::atomic::AtomicU64,
        /// Reports accesses of the batch to loom.
        place: UnsafeCell<()>,
        batch: AtomicU64,
    }

    impl Memory {
        fn new() -> Arc<Self> {
            let word = loom::sync::atomic::AtomicU64::new(0);
            Arc::new(Memory { word, place: UnsafeCell::new(()), batch: AtomicU64::new(0) })
        }

        /// Leases, fills and sends it; None if it is not free.
        fn fill(&self, batch: u64) -> Option<u64> {
            let turn = SlotTurn::lease(&self.word)?;
            self.place.with_mut(|_| self.batch.store(batch, Ordering::Relaxed));
            turn.send(&self.word);
            // As the drop of a slot that was sent.
            turn.end(&self.word);
            Some(turn.number())
        }

        /// Receives, reads and gives it back.
        fn read(&self, lease: u64) -> Option<u64> {
            let turn = SlotTurn::receive(&self.word, lease)?;
            let batch = self.place.with(|_| self.batch.load(Ordering::Relaxed));
            turn.end(&self.word);
            Some(batch)
        }
    }

    #[test]
    fn memory_is_filled_again_only_once_it_was_read() {
        loom::model(|| {
            let memory = Memory::new();
            // The thread starts before the message, so that only the word synchronises it with the
            // writes.
            let reader = {
                let memory = Arc::clone(&memory);
                loom::thread::spawn(move || {
                    loop {
                        if let Some(batch) = memory.read(1) {
                            return batch;
                        }
                        loom::thread::yield_now();
                    }
                })
            };
            assert_eq!(memory.fill(1), Some(1));
            let second = memory.fill(2);
            assert_eq!(reader.join().unwrap(), 1);
            // Filled meanwhile or not, it holds what its last message says.
            let second = second.unwrap_or_else(|| memory.fill(2).unwrap());
            assert_eq!(memory.read(second), Some(2));
        });
    }

    #[test]
    fn a_batch_is_received_once_and_a_stale_message_takes_no_other() {
        loom::model(|| {
            let memory = Memory::new();
            let first = memory.fill(1).unwrap();
            let readers = [0, 1].map(|_| {
                let memory = Arc::clone(&memory);
                loom::thread::spawn(move || memory.read(first))
            });
            let second = memory.fill(2);
            let read = readers.map(|reader| reader.join().unwrap());
            assert!(read == [Some(1), None] || read == [None, Some(1)]);
            if let Some(second) = second {
                assert_eq!((memory.read(first), memory.read(second)), (None, Some(2)));
            }
        });
    }
}
