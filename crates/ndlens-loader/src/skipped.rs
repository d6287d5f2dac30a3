//! Items that are left out of their batches because they cannot be made.
//!
//! Which items these are is a function of the data and the transforms: not of the threads, and not
//! of what the machine has left. Where memory or descriptors run out, the epoch ends with that
//! error, whatever the treatment of items is.

use std::sync::{Arc, OnceLock, PoisonError};

use ndlens_core::ErrorKind;

use crate::error::{Error, Result};
use crate::sync::{Mutex, MutexGuard};

/// The treatment of an item that cannot be read, decoded or transformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// Its error ends the epoch.
    #[default]
    Raise,
    /// It is left out of its batch, in all fields.
    Skip,
}

impl OnError {
    /// The treatment with this name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownOnError`].
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "raise" => Ok(OnError::Raise),
            "skip" => Ok(OnError::Skip),
            _ => Err(Error::UnknownOnError { got: name.to_owned() }),
        }
    }
}

/// An item that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedItem {
    /// The number of the item.
    pub item: usize,
    /// The name of its image, such as a path, if it has one.
    pub name: Option<String>,
    /// The text of its error.
    pub error: String,
}

/// The items that were left out of batches, in the order of the batches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedItems {
    /// The number of all.
    pub count: usize,
    /// The first [`NAMED`](Self::NAMED) of them.
    pub first: Vec<SkippedItem>,
}

impl SkippedItems {
    /// Maximum number of items that are named.
    pub const NAMED: usize = 100;
}

/// The items that an epoch left out so far.
#[derive(Debug)]
pub struct SkipRecord {
    /// The process that made the lock. A fork may copy it while it is held.
    process: u32,
    items: Mutex<SkippedItems>,
}

impl Default for SkipRecord {
    fn default() -> Self {
        SkipRecord { process: std::process::id(), items: Mutex::default() }
    }
}

impl SkipRecord {
    /// The items so far; none in a forked process, where the epoch does not go on.
    pub fn items(&self) -> SkippedItems {
        self.lock().map_or_else(SkippedItems::default, |items| items.clone())
    }

    /// Adds the items of a batch.
    pub(crate) fn add(&self, batch: SkippedItems) {
        let Some(mut items) = self.lock() else { return };
        items.count += batch.count;
        let room = SkippedItems::NAMED - items.first.len();
        items.first.extend(batch.first.into_iter().take(room));
    }

    fn lock(&self) -> Option<MutexGuard<'_, SkippedItems>> {
        let own = self.process == std::process::id();
        own.then(|| self.items.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The record of the epoch that a loader began last. A forked process begins with none, since the
/// fork may have copied the lock while it was held.
#[derive(Debug)]
pub(crate) struct LastSkipped {
    process: u32,
    record: Mutex<Arc<SkipRecord>>,
    forked: OnceLock<Box<LastSkipped>>,
}

impl Default for LastSkipped {
    fn default() -> Self {
        let (record, forked) = Default::default();
        LastSkipped { process: std::process::id(), record, forked }
    }
}

impl LastSkipped {
    pub(crate) fn set(&self, record: Arc<SkipRecord>) {
        *self.lock() = record;
    }

    pub(crate) fn items(&self) -> SkippedItems {
        let record = Arc::clone(&self.lock());
        record.items()
    }

    fn own(&self, process: u32) -> &Self {
        if self.process == process {
            self
        } else {
            self.forked.get_or_init(Box::default).own(process)
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<SkipRecord>> {
        self.own(std::process::id()).record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item of a batch that is left out of it.
#[derive(Debug)]
pub(crate) struct Skipped {
    /// Its row.
    pub(crate) row: usize,
    /// The place of the field that failed.
    pub(crate) field: usize,
    pub(crate) item: usize,
    pub(crate) name: Option<String>,
    pub(crate) error: Error,
}

/// Whether an error is one of the item: of its bytes, or of its file, and not of the machine.
pub(crate) fn is_of_item(error: &Error) -> bool {
    if let Some(source) = error.io() {
        return !matches!(
            source.raw_os_error(),
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EINTR)
        );
    }
    match error.kind() {
        ErrorKind::OutOfMemory | ErrorKind::Interrupted | ErrorKind::Runtime => false,
        ErrorKind::Value
        | ErrorKind::Type
        | ErrorKind::Index
        | ErrorKind::Key
        | ErrorKind::NotFound
        | ErrorKind::Buffer
        | ErrorKind::CopyRequired
        | ErrorKind::ReadOnly
        | ErrorKind::Moved
        | ErrorKind::Truncated
        | ErrorKind::Format
        | ErrorKind::Image
        | ErrorKind::StaleHandle
        | ErrorKind::System => true,
    }
}
