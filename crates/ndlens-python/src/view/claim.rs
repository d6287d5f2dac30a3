//! A view that can be given up, but not while it is read.
//!
//! `View.release()` ends a view's claim on its memory while other threads, or code further down
//! this thread's stack, may be reading it. So readers are counted, a buffer export for as long as
//! it lives, and a claim with readers is not released. The count is one atomic number: it costs
//! half of what `PyO3`'s borrow flags do. A slice, the most frequent look, needs no count if the
//! interpreter runs one thread at a time.

#![expect(unsafe_code, reason = "lends what a count protects; see UNSAFE.md")]

use std::cell::UnsafeCell;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndlens::View;
use pyo3::prelude::*;

/// Set in the count if there is no view: before it is filled in, and after its release.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The claim of a Python object on its memory.
///
/// # Invariant
///
/// While `looks` has [`CLOSED`] set, only the thread that set it, or that made the claim, touches
/// `view`; while it has not, `view` is `Some` and is only read.
pub(crate) struct Claim {
    looks: AtomicUsize,
    view: UnsafeCell<Option<View>>,
}

// SAFETY: by the invariant `view` is shared by readers only, or held by one; a View is Send and
// Sync.
unsafe impl Sync for Claim {}

/// A look at a view, which is not released meanwhile.
pub(crate) struct Look<'a>(&'a Claim);

/// Reason why a claim is not released.
pub(crate) struct InUse;

impl Claim {
    pub(crate) fn new(view: View) -> Self {
        Claim { looks: AtomicUsize::new(0), view: UnsafeCell::new(Some(view)) }
    }

    /// A claim on nothing, until [`open`](Self::open) fills it.
    #[inline]
    pub(crate) fn closed() -> Self {
        Claim { looks: AtomicUsize::new(CLOSED), view: UnsafeCell::new(None) }
    }

    /// Fills a claim that was made closed, in place: a move of a view, which is large, takes
    /// measurable time.
    ///
    /// # Safety
    ///
    /// The claim comes from [`closed`](Self::closed), and no other code opens it.
    #[inline]
    pub(crate) unsafe fn open<E>(
        &self,
        fill: impl FnOnce(&mut Option<View>) -> Result<(), E>,
    ) -> Result<(), E> {
        // SAFETY: closed, so by the invariant only this function touches the view.
        let view = unsafe { &mut *self.view.get() };
        fill(view)?;
        if view.is_some() {
            // Release: a thread that sees it open sees what was filled in.
            self.looks.store(0, Ordering::Release);
        }
        Ok(())
    }

    /// A look; None once the claim is released.
    #[inline]
    pub(crate) fn look(&self) -> Option<Look<'_>> {
        // Acquire: what was filled in before it was opened is seen.
        if self.looks.fetch_add(1, Ordering::Acquire) & CLOSED == 0 {
            return Some(Look(self));
        }
        self.looks.fetch_sub(1, Ordering::Relaxed);
        None
    }

    /// A look that is over before any Python code can run again; None once the claim is released.
    ///
    /// # Safety
    ///
    /// While `look` runs, no Python code runs in this thread and the thread stays attached.
    #[inline]
    pub(crate) unsafe fn glance<R>(
        &self,
        _py: Python<'_>,
        look: impl FnOnce(&View) -> R,
    ) -> Option<R> {
        if cfg!(Py_GIL_DISABLED) {
            return self.look().map(|view| look(&view));
        }
        // Relaxed: claims are released by attached threads, of which this is the only one.
        if self.looks.load(Ordering::Relaxed) & CLOSED != 0 {
            return None;
        }
        // SAFETY: the claim is open, and no thread can release it before `look` is over, so it is
        // only read.
        unsafe { (*self.view.get()).as_ref() }.map(look)
    }

    /// Ends the claim, and gives what it held; None if it had ended before.
    pub(crate) fn release(&self) -> Result<Option<View>, InUse> {
        // Acquire: looks that are over are over for us too.
        match self.looks.compare_exchange(0, CLOSED, Ordering::Acquire, Ordering::Relaxed) {
            // SAFETY: we set CLOSED, and the count was 0.
            Ok(_) => Ok(unsafe { (*self.view.get()).take() }),
            Err(looks) if looks & CLOSED != 0 => Ok(None),
            Err(_) => Err(InUse),
        }
    }

    /// Ends a look that was [kept](Look::keep).
    pub(crate) fn end_look(&self) {
        // Release: what was read in the look was read before its end.
        self.looks.fetch_sub(1, Ordering::Release);
    }
}

impl Look<'_> {
    /// Keeps the look until [`Claim::end_look`].
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Deref for Look<'_> {
    type Target = View;

    #[inline]
    fn deref(&self) -> &View {
        // SAFETY: the claim was open when the look began and is not closed before its end.
        match unsafe { &*self.0.view.get() } {
            Some(view) => view,
            None => unreachable!("an open claim holds a view"),
        }
    }
}

impl Drop for Look<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.end_look();
    }
}
