//! The kinds of failures, of all crates.

/// The kind of an error of any crate.
///
/// Each error type maps its variants to kinds by an exhaustive `match`, so a new variant does not
/// compile without a kind. Callers use the kind to decide what to do. The Python package maps each
/// kind to an exception by an exhaustive `match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A value that is not allowed, such as a shape, a size or a name.
    Value,
    /// An object of the wrong type, such as a dtype.
    Type,
    /// An index that is out of bounds or is no index.
    Index,
    /// An unknown key.
    Key,
    /// A file that does not exist, or a pattern that matches no file.
    NotFound,
    /// Memory that cannot be handed over.
    Buffer,
    /// Elements that only a copy can provide.
    CopyRequired,
    /// A write to memory that is read-only.
    ReadOnly,
    /// Memory that its owner has moved.
    Moved,
    /// A file that became shorter while it was mapped.
    Truncated,
    /// A file or message that is damaged or of an unknown format.
    Format,
    /// An encoded image that is damaged, too large, or coded in a way that is not decoded.
    Image,
    /// A handle to memory or to a file that is gone or has changed.
    StaleHandle,
    /// The allocator has no memory.
    OutOfMemory,
    /// The operating system refused a request.
    System,
    /// A thread or process that has ended or cannot be started.
    Runtime,
    /// A signal ended the work.
    Interrupted,
}
