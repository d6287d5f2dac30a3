//! What this process has mapped, by its id, so that nothing is mapped twice.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use ndlens_core::room;

/// Values that somebody else owns, by ids of 128 random bits.
#[derive(Debug)]
pub(crate) struct Registry<T> {
    entries: HashMap<[u8; 16], Weak<T>>,
    /// The number of entries at which those are removed whose value is gone.
    sweep_at: usize,
}

impl<T> Default for Registry<T> {
    fn default() -> Self {
        Registry { entries: HashMap::new(), sweep_at: 0 }
    }
}

impl<T> Registry<T> {
    pub(crate) fn find(&self, id: &[u8; 16]) -> Option<Arc<T>> {
        self.entries.get(id)?.upgrade()
    }

    /// Adds what `make` makes, after there is room for its entry: a value that is dropped may ask
    /// for the registry, which is locked.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::OutOfMemory`]; nothing is made then.
    pub(crate) fn insert(
        &mut self,
        id: [u8; 16],
        make: impl FnOnce() -> Arc<T>,
    ) -> ndlens_core::Result<Arc<T>> {
        if self.entries.len() >= self.sweep_at {
            self.entries.retain(|_, value| value.strong_count() > 0);
            self.sweep_at = 2 * self.entries.len() + 16;
        }
        room::insert_key(&mut self.entries, id, Weak::new())?;
        let value = make();
        // In its place: another `insert` would make room for one entry more, which may end the
        // process.
        if let Some(entry) = self.entries.get_mut(&id) {
            *entry = Arc::downgrade(&value);
        }
        Ok(value)
    }

    /// Removes an entry, as if the value were another process's.
    #[cfg(test)]
    pub(crate) fn forget(&mut self, id: &[u8; 16]) {
        self.entries.remove(id);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
