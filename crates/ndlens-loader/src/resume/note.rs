//! A value that a state keeps for the caller, such as the state of a sampler. The loader does not
//! read it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// A shared value of any type.
#[derive(Clone)]
pub struct Note(Arc<dyn Any + Send + Sync>);

impl Note {
    /// A note that holds this value.
    pub fn new(value: impl Any + Send + Sync) -> Self {
        Note(Arc::new(value))
    }

    /// The value, if it is of this type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl PartialEq for Note {
    /// Whether both hold the same allocation.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Note {}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Note")
    }
}
