//! Everything that can go wrong between a path and a view, one variant each.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was asked for, what was found, and in which file.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A map mode that is none.
    #[error("unknown mode {got:?}: expected \"r\", \"c\" or \"r+\"")]
    UnknownMode { got: String },
    /// The system said no.
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// A directory, FIFO, socket or device.
    #[error("{path}: not a regular file but {kind}")]
    NotRegular { path: PathBuf, kind: &'static str },
    /// A file of another format.
    #[error("{path}: not a .npy file: it starts with \"{}\", expected \"\\x93NUMPY\"", .got.escape_ascii())]
    NotNpy { path: PathBuf, got: Vec<u8> },
    /// A zip archive, as `numpy.savez` writes them.
    #[error(
        "{path}: not a .npy file: it starts with \"{}\", as an .npz archive does, which is not supported yet; \
         save each array with numpy.save",
        .got.escape_ascii()
    )]
    Npz { path: PathBuf, got: Vec<u8> },
    /// A version NumPy has not defined.
    #[error("{path}: .npy version {major}.{minor} is not one of 1.0, 2.0 and 3.0")]
    UnsupportedVersion { path: PathBuf, major: u8, minor: u8 },
    /// A header larger than any honest one.
    #[error("{path}: header claims {got} bytes, expected at most {max}")]
    HeaderTooLong { path: PathBuf, got: u64, max: u64 },
    /// A file that ends inside its header.
    #[error("{path}: truncated: file has {got} bytes, its header alone takes {expected}")]
    HeaderTruncated { path: PathBuf, got: u64, expected: u64 },
    /// A header that is not the literal NumPy writes.
    #[error("{path}: bad header at byte {at}: {problem}")]
    BadHeader { path: PathBuf, at: u64, problem: HeaderProblem },
    /// Elements that no view can have.
    #[error("{path}: {}dtype {problem}", InField(field.as_deref()))]
    UnsupportedDType { path: PathBuf, field: Option<String>, problem: DTypeProblem },
    /// A shape that no view can have.
    #[error("{path}: {source}")]
    Shape { path: PathBuf, source: Box<ndlens_core::Error> },
    /// A file that ends before its data does.
    #[error("{path}: truncated: file has {got} bytes, expected at least {expected} for shape {shape:?}")]
    Truncated { path: PathBuf, got: u64, expected: u64, shape: Vec<usize> },
    /// Less memory than was to be shared.
    #[error("cannot share {len_bytes} bytes: only {available} bytes of memory are available")]
    SharedMemoryExhausted { len_bytes: usize, available: u64 },
    /// The system said no to shared memory.
    #[error("cannot {operation} {len_bytes} bytes of shared memory: {source}")]
    SharedMemory { operation: &'static str, len_bytes: usize, source: io::Error },
    /// Nobody holds the memory where the handle says.
    #[error(
        "shared memory of process {process} is gone: keep the view alive there until it has been unpickled here"
    )]
    SharedMemoryGone { process: u32 },
    /// The system said no to memory that another process holds.
    #[error("cannot open the shared memory of process {process}: {source}")]
    SharedMemoryRefused { process: u32, source: io::Error },
    /// Bytes that are not a handle.
    #[error("damaged handle: {problem}")]
    DamagedHandle { problem: String },
    /// A handle to a file that is another now.
    #[error("{path}: file has changed since it was opened: its {what} is {got}, expected {expected}")]
    FileChanged { path: PathBuf, what: &'static str, got: i128, expected: i128 },
    /// A mapped file that no path leads to.
    #[error(
        "{path}: the file was replaced or deleted since it was opened, so no other process can open it; \
         call .copy() first"
    )]
    FileReplaced { path: PathBuf },
    /// A name that cannot be looked for.
    #[error("bad name {name:?}: expected 1 to 64 ASCII letters, digits, dots, hyphens and underscores")]
    BadName { name: String },
    /// Other arrays than were to be shared.
    #[error("shared memory {name} holds {got}, expected {expected}")]
    OtherContents { name: String, got: String, expected: String },
    /// No array, and so nobody who would hold what has the name.
    #[error("nothing to share under the name {name}: expected at least one array")]
    NothingToShare { name: String },
    /// The system has no lock for a name.
    #[error("cannot lock the name {name}: {source}")]
    NameLock { name: String, source: io::Error },
    /// A gate of the core closed where this crate had already checked.
    #[error(transparent)]
    Core(#[from] ndlens_core::Error),
}

impl Error {
    /// The file this is about, if it is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::UnknownMode { .. }
            | Error::SharedMemoryExhausted { .. }
            | Error::SharedMemory { .. }
            | Error::SharedMemoryGone { .. }
            | Error::SharedMemoryRefused { .. }
            | Error::DamagedHandle { .. }
            | Error::BadName { .. }
            | Error::OtherContents { .. }
            | Error::NothingToShare { .. }
            | Error::NameLock { .. }
            | Error::Core(_) => None,
            Error::Io { path, .. }
            | Error::NotRegular { path, .. }
            | Error::NotNpy { path, .. }
            | Error::Npz { path, .. }
            | Error::UnsupportedVersion { path, .. }
            | Error::HeaderTooLong { path, .. }
            | Error::HeaderTruncated { path, .. }
            | Error::BadHeader { path, .. }
            | Error::UnsupportedDType { path, .. }
            | Error::Shape { path, .. }
            | Error::FileChanged { path, .. }
            | Error::FileReplaced { path }
            | Error::Truncated { path, .. } => Some(path),
        }
    }

    /// What the system said, if it was the system.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Error::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// How a header fails to be a dict with the keys `descr`, `fortran_order` and `shape`.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// Something else stands here.
    #[error("expected {expected}, got {got}")]
    Unexpected { expected: &'static str, got: String },
    /// Brackets in brackets in brackets.
    #[error("nested deeper than {max} levels")]
    TooDeep { max: usize },
    /// A quote without its partner.
    #[error("string does not end")]
    UnterminatedString,
    /// A backslash before something Python's `repr` does not write.
    #[error("unknown escape in a string")]
    BadEscape,
    /// A version 3 header that is not what it must be.
    #[error("string is not UTF-8")]
    NotUtf8,
    /// A number beyond 63 bits.
    #[error("integer does not fit 64 bits")]
    IntegerTooLarge,
    /// A dimension below zero.
    #[error("dimension {got} is negative")]
    NegativeDimension { got: i64 },
    /// A key of no meaning.
    #[error("unknown key {}, expected \"descr\", \"fortran_order\" and \"shape\"", Shown(key))]
    UnknownKey { key: String },
    /// A key that was already there.
    #[error("key {} appears twice", Shown(key))]
    DuplicateKey { key: String },
    /// A key that is not there.
    #[error("key {key:?} is missing")]
    MissingKey { key: &'static str },
}

/// Why elements of this kind cannot be seen through a view.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DTypeProblem {
    /// Pickled objects, not bytes.
    #[error(
        "{} holds Python objects (pickle); convert before saving, for example with arr.astype(\"float32\")",
        Shown(descr)
    )]
    PythonObjects { descr: String },
    /// `datetime64` and `timedelta64`, for which PEP 3118 has no format.
    #[error(
        "{} is a date or time, which the buffer protocol cannot say; save arr.view(\"int64\")",
        Shown(descr)
    )]
    DateTime { descr: String },
    /// A typestr that is not in the table.
    #[error("{} is not one ndlens knows", Shown(descr))]
    Unknown { descr: String },
    /// Elements of no bytes, of which a file could claim any number.
    #[error("has elements of 0 bytes")]
    ZeroSize,
    /// Elements of more bytes than memory has addresses.
    #[error("has elements that do not fit the address space")]
    TooLarge,
    /// A field without a name that is not padding.
    #[error("has a field without a name that is not padding")]
    UnnamedField,
    /// Two fields of one name.
    #[error("has a field name twice")]
    DuplicateField,
    /// A name that ends the format early.
    #[error("has a field name with ':' or NUL, which the buffer protocol cannot say")]
    FieldName,
}

/// Text from a file, quoted, and cut where it would flood a terminal.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST_CHARS: usize = 60;
        match self.0.char_indices().nth(MOST_CHARS) {
            Some((end, _)) => write!(f, "{:?}...", &self.0[..end]),
            None => write!(f, "{:?}", self.0),
        }
    }
}

/// `field "a.b": `, or nothing.
struct InField<'a>(Option<&'a str>);

impl fmt::Display for InField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |field| write!(f, "field {}: ", Shown(field)))
    }
}

/// What is wrong inside a header, before anyone says whose header it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    Header { at: usize, problem: HeaderProblem },
    DType { field: Option<String>, problem: DTypeProblem },
}

impl Flaw {
    /// `at` counts from the header's first byte, which is the file's byte `start`.
    pub(crate) fn in_file(self, path: &Path, start: u64) -> Error {
        let path = path.to_owned();
        match self {
            Flaw::Header { at, problem } => Error::BadHeader { path, at: start + at as u64, problem },
            Flaw::DType { field, problem } => Error::UnsupportedDType { path, field, problem },
        }
    }
}
