//! State of a process that a fork must not break.
//!
//! A fork copies memory and one thread. A lock that another thread held is never released in the
//! child, and state such as the next free byte would be used by parent and child alike. So each
//! process makes its own lock on first use. The value under it is made from the parent's, if the
//! fork left that whole, and is new otherwise.

#![expect(unsafe_code, reason = "follows a pointer to what is never freed; see UNSAFE.md")]

use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A value and its lock, of which each process has its own.
///
/// A process does not free its parent's value: one value for each generation of forks is never
/// freed.
pub(crate) struct PerProcess<T: 'static> {
    current: AtomicPtr<Slot<T>>,
    inherit: fn(&mut T) -> T,
}

struct Slot<T> {
    process: u32,
    value: Mutex<T>,
}

impl<T: Default + Send> PerProcess<T> {
    /// `inherit` makes a child's value of its copy of the parent's, which is not read again.
    pub(crate) const fn new(inherit: fn(&mut T) -> T) -> Self {
        PerProcess { current: AtomicPtr::new(ptr::null_mut()), inherit }
    }

    /// This process's value.
    pub(crate) fn lock(&self) -> MutexGuard<'static, T> {
        // A panic leaves the value whole, since every change is one step.
        self.slot(process::id()).value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, process: u32) -> &'static Slot<T> {
        loop {
            // Acquire: what the slot holds was written before the pointer was published.
            let current = self.current.load(Ordering::Acquire);
            // SAFETY: null, or a box that was leaked below and is never freed.
            let existing: Option<&'static Slot<T>> = unsafe { current.as_ref() };
            if let Some(slot) = existing.filter(|slot| slot.process == process) {
                return slot;
            }
            let value = existing.and_then(|slot| match slot.value.try_lock() {
                Ok(mut value) => Some((self.inherit)(&mut value)),
                Err(TryLockError::Poisoned(value)) => Some((self.inherit)(&mut value.into_inner())),
                // Held by a thread that the fork left behind, perhaps in the middle of a change.
                Err(TryLockError::WouldBlock) => None,
            });
            let new = Box::into_raw(Box::new(Slot {
                process,
                value: Mutex::new(value.unwrap_or_default()),
            }));
            // Release: publishes the slot; Acquire is not needed if it fails, since the loop
            // loads again.
            if self
                .current
                .compare_exchange(current, new, Ordering::Release, Ordering::Relaxed)
                .is_err()
            {
                // SAFETY: made above, and nothing else has a reference to it.
                drop(unsafe { Box::from_raw(new) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_has_a_lock_and_a_value_of_its_own() {
        static STATE: PerProcess<Vec<u32>> = PerProcess::new(|parent| parent.clone());
        STATE.slot(1).value.lock().unwrap().push(7);
        assert_eq!(*STATE.slot(1).value.lock().unwrap(), [7]);
        // The parent's lock is free: the child goes on with a copy.
        STATE.slot(2).value.lock().unwrap().push(8);
        assert_eq!(*STATE.slot(2).value.lock().unwrap(), [7, 8]);
        // The lock is held by a thread that the child does not have: the child starts with a new
        // value.
        let held = STATE.slot(2).value.lock().unwrap();
        assert!(STATE.slot(3).value.lock().unwrap().is_empty());
        drop(held);
    }

    #[test]
    fn threads_of_one_process_share_a_value() {
        static STATE: PerProcess<usize> = PerProcess::new(|_| 0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..1000).for_each(|_| *STATE.lock() += 1));
            }
        });
        assert_eq!(*STATE.lock(), 8000);
    }
}
