//! A view that can be given up, but not while it is read.
//!
//! `View.release()` ends a view's claim on its memory while other threads, or code further down
//! this thread's stack, may be reading it. So readers are counted, a buffer export for as long as
//! it lives, and a claim with readers is not released. The count is one atomic number: it costs
//! half of what `PyO3`'s borrow flags do.
//!
//! A glance, as for an element or a slice, is a look that ends before Python code runs. It needs no
//! count if the interpreter runs one thread at a time. If threads run in parallel, a glance is
//! announced in the thread's own record, not counted in the view, which threads may share:
//!
//! ```text
//!  glance:    record = this claim | is it closed? no: read | record = nothing
//!  release:   close the claim | wait while any record is this claim | take the view
//! ```
//!
//! Either the glance finds the claim closed, or the release finds the glance in the record.

#![expect(unsafe_code, reason = "lends what a count protects; see UNSAFE.md")]

use std::cell::UnsafeCell;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndlens::{Index, View};
use pyo3::prelude::*;

use crate::threads;
#[cfg(Py_GIL_DISABLED)]
use crate::view::slicers::Slicers;

/// Set in the count if there is no view: before it is filled in, and after its release.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// The claim of a Python object on its memory.
///
/// # Invariant
///
/// While `looks` has [`CLOSED`] set, and no glance is left that began before, only the thread that
/// set it, or that made the claim, touches `view` and `slicers`. While it has not, `view` is `Some`
/// and both are only read.
pub(crate) struct Claim {
    looks: AtomicUsize,
    view: UnsafeCell<Option<View>>,
    #[cfg(Py_GIL_DISABLED)]
    slicers: UnsafeCell<Slicers>,
}

// SAFETY: by the invariant `view` and `slicers` are shared by readers only, or held by one; both
// are Send and Sync.
unsafe impl Sync for Claim {}

/// A look at a view, which is not released meanwhile.
pub(crate) struct Look<'a>(&'a Claim);

/// Reason why a claim is not released.
pub(crate) struct InUse;

impl Claim {
    pub(crate) fn new(view: View) -> Self {
        Claim {
            looks: AtomicUsize::new(0),
            view: UnsafeCell::new(Some(view)),
            #[cfg(Py_GIL_DISABLED)]
            slicers: UnsafeCell::default(),
        }
    }

    /// A claim on nothing, until [`open`](Self::open) fills it.
    #[inline]
    pub(crate) fn closed() -> Self {
        Claim {
            looks: AtomicUsize::new(CLOSED),
            view: UnsafeCell::new(None),
            #[cfg(Py_GIL_DISABLED)]
            slicers: UnsafeCell::default(),
        }
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
            return self.announced(look);
        }
        // Relaxed: claims are released by attached threads, of which this is the only one.
        if self.looks.load(Ordering::Relaxed) & CLOSED != 0 {
            return None;
        }
        // SAFETY: the claim is open, and no thread can release it before `look` is over, so it is
        // only read.
        unsafe { (*self.view.get()).as_ref() }.map(look)
    }

    /// A look that the thread announces in its record; counted, if it has none to announce it in.
    #[inline]
    fn announced<R>(&self, look: impl FnOnce(&View) -> R) -> Option<R> {
        let Some(_glance) = threads::own().and_then(|record| record.glance(self.address())) else {
            return self.look().map(|view| look(&view));
        };
        // SeqCst: after the announcement, in the one order of what is SeqCst; see `release`.
        if self.looks.load(Ordering::SeqCst) & CLOSED != 0 {
            return None;
        }
        // SAFETY: the claim is open, or a thread that closes it waits for `_glance`, so it is only
        // read.
        unsafe { (*self.view.get()).as_ref() }.map(look)
    }

    /// Basic indexing, at a glance, to a view in `out`; None once the claim is released.
    #[inline]
    pub(crate) fn slice(
        &self,
        py: Python<'_>,
        key: &[Index],
        out: &mut Option<View>,
    ) -> Option<ndlens::Result<()>> {
        let index = |view: &View| {
            #[cfg(Py_GIL_DISABLED)]
            // SAFETY: a glance at the claim goes on, so by the invariant they are only read.
            return unsafe { &*self.slicers.get() }.index_into(view, key, out);
            #[cfg(not(Py_GIL_DISABLED))]
            view.index_into(key, out)
        };
        // SAFETY: indexing runs no Python code.
        unsafe { self.glance(py, index) }
    }

    /// What a glance at this claim is announced by.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Ends the claim, and gives what it held; None if it had ended before.
    pub(crate) fn release(&self) -> Result<Option<View>, InUse> {
        // Acquire: looks that are over are over for us too. SeqCst, because a glance writes to its
        // record and then reads this, and we write to this and then read its record: one of the two
        // sees what the other wrote.
        match self.looks.compare_exchange(0, CLOSED, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => {
                if cfg!(Py_GIL_DISABLED) {
                    threads::await_glances(self.address());
                }
                #[cfg(Py_GIL_DISABLED)]
                // SAFETY: we set CLOSED, the count was 0, and no glance is left.
                drop(std::mem::take(unsafe { &mut *self.slicers.get() }));
                // SAFETY: as above.
                Ok(unsafe { (*self.view.get()).take() })
            }
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
