//! The mappings of this process by their ids, so that none is made twice.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use ndlens_core::room;

/// Values by ids of 128 random bits. Their owners are elsewhere.
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

    /// Adds the value of `make`, after memory for its entry is reserved. So no value is dropped
    /// here: its drop may use the registry, which is locked.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::OutOfMemory`]; `make` is not called then.
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
        // In place: another `insert` would allocate one entry more, and a failure would end the
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
