//! The threads that slice a view, if threads run in parallel.
//!
//! Each slice claims the owner of the view's memory. As long as one thread makes them all, they are
//! counted where the view's own claim is. From the first slice of a second thread on, each thread
//! counts its slices at a place of its own: [`Spread`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndlens::{Index, Spread, View};

use crate::threads;

/// The threads that slice a view.
#[derive(Default)]
pub(crate) struct Slicers {
    /// The number of the thread that sliced first, from 1; 0 for none.
    first: AtomicUsize,
    spread: OnceLock<Box<Spread>>,
}

impl Slicers {
    /// Basic indexing of the view that these threads slice, to a view in `out`.
    #[inline]
    pub(crate) fn index_into(
        &self,
        view: &View,
        key: &[Index],
        out: &mut Option<View>,
    ) -> ndlens::Result<()> {
        let Some(own) = threads::own() else { return view.index_into(key, out) };
        if let Some(spread) = self.spread.get() {
            return view.index_into_at(spread, own.number, key, out);
        }
        // Relaxed: of two that see none yet, each may take itself for the first until it looks
        // again.
        match self.first.load(Ordering::Relaxed) {
            first if first == own.number + 1 => {}
            0 => self.first.store(own.number + 1, Ordering::Relaxed),
            _ => self.begin_spread(view),
        }
        view.index_into(key, out)
    }

    /// Has the next slices counted by thread; those of a thread that finds no spread are counted as
    /// before.
    #[cold]
    fn begin_spread(&self, view: &View) {
        if let Some(spread) = Spread::new(view.buffer()) {
            // Not while others wait: a fork could copy that.
            self.spread.get_or_init(|| Box::new(spread));
        }
    }
}
