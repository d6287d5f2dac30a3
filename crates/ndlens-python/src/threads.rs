//! What each thread tells the others, in a record of its own.
//!
//! A count that all threads write to is in the cache of one processor at a time, and threads that
//! run in parallel wait for it. So a thread writes to its own [`Record`], which nobody else writes
//! to, and the rare work that must know of all threads reads all records: the end of the
//! interpreter (`exit.rs`), and the release of a view (`claim.rs`).
//!
//! Records are in a list that only grows. A thread that ends leaves its record to the next one that
//! starts, so there are as many as threads ran at once.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::thread;

/// A record; alone in the cache lines that processors fetch together.
#[repr(align(128))]
pub(crate) struct Record {
    /// Its place in the list, from 0.
    pub(crate) number: usize,
    is_taken: AtomicBool,
    /// Calls of the thread that are inside; see `exit.rs`.
    inside: AtomicUsize,
    /// The address of what the thread glances at; 0 for nothing.
    glance: AtomicUsize,
    next: OnceLock<&'static Record>,
}

static FIRST: OnceLock<&'static Record> = OnceLock::new();

thread_local! {
    /// This thread's record.
    static OWN: Cell<Option<&'static Record>> = const { Cell::new(None) };
    /// Leaves the record to another thread.
    static LEAVE: Leave = const { Leave };
}

struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        if let Some(record) = OWN.take() {
            // Release: the next thread sees what this one wrote.
            record.is_taken.store(false, Ordering::Release);
        }
    }
}

/// This thread's record; None once the thread is being torn down.
#[inline]
pub(crate) fn own() -> Option<&'static Record> {
    match OWN.get() {
        None => take(),
        own => own,
    }
}

/// Takes a record for this thread.
#[cold]
fn take() -> Option<&'static Record> {
    // The first access has the record left when the thread ends; it fails if it is ending.
    LEAVE.try_with(|_| ()).ok()?;
    let mut link = &FIRST;
    let record = loop {
        let record = match link.get() {
            Some(record) => record,
            None => append(link),
        };
        // Acquire: what its last thread wrote is seen.
        let free =
            record.is_taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        if free.is_ok() {
            break record;
        }
        link = &record.next;
    };
    OWN.set(Some(record));
    // Pairs with the fence in `all`: a reader that misses the record is before what it will say.
    fence(Ordering::SeqCst);
    Some(record)
}

/// The record at the end of the list, which another thread may append first.
fn append(link: &OnceLock<&'static Record>) -> &'static Record {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let record = Box::leak(Box::new(Record {
        // Relaxed: any number will do that no other record has.
        number: COUNT.fetch_add(1, Ordering::Relaxed),
        is_taken: AtomicBool::new(false),
        inside: AtomicUsize::new(0),
        glance: AtomicUsize::new(0),
        next: OnceLock::new(),
    }));
    // Not while others wait: a fork could copy that.
    link.get_or_init(|| record)
}

/// The records of all threads, and those that no thread has.
fn all() -> impl Iterator<Item = &'static Record> {
    // After what the caller wrote: a thread whose record is not seen sees that.
    fence(Ordering::SeqCst);
    std::iter::successors(FIRST.get().copied(), |record| record.next.get().copied())
}

impl Record {
    /// One call more is inside.
    #[inline]
    pub(crate) fn come_in(&self) {
        let inside = self.inside.load(Ordering::Relaxed) + 1;
        // SeqCst: see `exit::close`.
        self.inside.store(inside, Ordering::SeqCst);
    }

    /// One call less is inside.
    #[inline]
    pub(crate) fn go_out(&self) {
        let inside = self.inside.load(Ordering::Relaxed).saturating_sub(1);
        // Release: what was done inside is done.
        self.inside.store(inside, Ordering::Release);
    }

    /// Says that the thread glances at what is at an address, until the guard is dropped. None
    /// while it glances at something else.
    #[inline]
    pub(crate) fn glance(&'static self, address: usize) -> Option<Glance> {
        if self.glance.load(Ordering::Relaxed) != 0 {
            return None;
        }
        // SeqCst: see `Claim::release`.
        self.glance.store(address, Ordering::SeqCst);
        Some(Glance(self))
    }
}

/// Guard: the thread glances at something.
#[must_use]
pub(crate) struct Glance(&'static Record);

impl Drop for Glance {
    #[inline]
    fn drop(&mut self) {
        // Release: what was read in the glance was read before its end.
        self.0.glance.store(0, Ordering::Release);
    }
}

/// Whether calls of any thread are inside.
pub(crate) fn are_inside() -> bool {
    all().any(|record| record.inside.load(Ordering::SeqCst) > 0)
}

/// Waits until no thread glances at what is at an address. A glance is a few instructions long and
/// waits for nothing, so this wait is for the processor alone.
pub(crate) fn await_glances(address: usize) {
    for record in all() {
        while record.glance.load(Ordering::SeqCst) == address {
            thread::yield_now();
        }
    }
}

/// In a forked child: frees the records of the threads that it does not have.
pub(crate) fn forget_others() {
    let own = own();
    for record in all().filter(|record| own.is_none_or(|own| own.number != record.number)) {
        record.inside.store(0, Ordering::SeqCst);
        record.glance.store(0, Ordering::SeqCst);
        record.is_taken.store(false, Ordering::Release);
    }
}
