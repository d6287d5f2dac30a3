//! What kinds of failures there are, in all crates.

/// The kind of an error, whatever crate it comes from.
///
/// Each error gives one, by a `match` over all of its variants beside them: a new variant does not
/// compile before it has a kind. Callers decide by it what to do; the Python package has an
/// exception for each, by a `match` over all of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A value that is not allowed, such as a shape, a size or a name.
    Value,
    /// An object of the wrong type, such as a dtype.
    Type,
    /// An index that is out of bounds or is no index.
    Index,
    /// A key that nothing has.
    Key,
    /// A file or pattern that leads nowhere.
    NotFound,
    /// Memory that cannot be handed over.
    Buffer,
    /// Elements that only a copy could give.
    CopyRequired,
    /// A write to memory that is read-only.
    ReadOnly,
    /// Memory that its owner moved elsewhere.
    Moved,
    /// A file that has become shorter while it was mapped.
    Truncated,
    /// A file or message that is damaged or of an unknown format.
    Format,
    /// A handle to memory or to a file that is gone or has changed.
    StaleHandle,
    /// No memory.
    OutOfMemory,
    /// The operating system refused.
    System,
    /// A thread or process that is gone or cannot be.
    Runtime,
    /// A signal ended the work.
    Interrupted,
}
