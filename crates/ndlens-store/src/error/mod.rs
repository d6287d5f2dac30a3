//! The errors of this crate, one variant for each way to fail.

mod kind;
mod tar;
mod text;

use std::io;
use std::path::{Path, PathBuf};

pub use crate::error::tar::TarProblem;
pub use crate::error::text::Names;
pub(crate) use crate::error::text::Shown;
use crate::error::text::{DTypeHint, InField, IoHint, MapHint, OfTensor, lower_case};
use crate::mode::MapMode;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with the value that was got, the value that was expected, and the file.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An unknown map mode.
    #[error("unknown mode {got:?}: expected \"r\", \"c\" or \"r+\"{}", DTypeHint(got))]
    UnknownMode { got: String },
    /// The system refuses the operation.
    #[error("{path}: {source}{}", IoHint(source))]
    Io { path: PathBuf, source: io::Error },
    /// The system refuses the map.
    #[error("{path}: cannot map {len} bytes: {source}{}", MapHint(source, *mode))]
    Map { path: PathBuf, mode: MapMode, len: usize, source: io::Error },
    /// A map beyond the maximum number of maps.
    #[error(
        "{path}: {most} files are mapped already, as many as ndlens maps in a process; open with \
         mode \"r\" or \"c\", which read the others, or raise vm.max_map_count"
    )]
    TooManyMaps { path: PathBuf, most: usize },
    /// A directory, FIFO, socket or device.
    #[error("{path}: not a regular file but {kind}")]
    NotRegular { path: PathBuf, kind: &'static str },
    /// A file of another format.
    #[error("{path}: not a .npy file: it starts with \"{}\", expected \
             \"\\x93NUMPY\"", .got.escape_ascii())]
    NotNpy { path: PathBuf, got: Vec<u8> },
    /// A file that is of none of the formats.
    #[error(
        "{path}: not a .npy, .npz, .safetensors or .tar file: it starts with \"{}\"; for raw bytes \
         say their dtype",
        .got.escape_ascii()
    )]
    UnknownFormat { path: PathBuf, got: Vec<u8> },
    /// An encoded image, which holds no array.
    #[error(
        "{path}: a {format} image, which holds no array; nl.decode_image(path) decodes one, and \
         nl.images(pattern) makes a field of many"
    )]
    EncodedImage { path: PathBuf, format: &'static str },
    /// A compressed archive.
    #[error(
        "{path}: compressed, so its members cannot be mapped; decompress it first: {command} {path}"
    )]
    CompressedArchive { path: PathBuf, command: &'static str },
    /// A tar archive that is damaged, or of a kind that cannot be mapped.
    #[error("{path}: bad archive: {problem}")]
    BadTar { path: PathBuf, problem: Box<TarProblem> },
    /// Another file among tar archives.
    #[error("{path}: not a tar archive, as the first of the files is; open the others apart")]
    NotTar { path: PathBuf },
    /// A copy of an archive of samples.
    #[error("{path}: members of a tar archive are read where they are; open it without copy=True")]
    CopyOfArchive { path: PathBuf },
    /// A name that no field of an archive has.
    #[error("{path}: no field {}; it has {has}", Shown(name))]
    NoSuchField { path: PathBuf, name: String, has: Names },
    /// A sample without a member that other samples have.
    #[error(
        "{path}: sample {} has no {}; choose fields that all samples have, \
         samples.select(NAME, ..), or leave such samples out, samples.select(NAME, .., \
         missing=\"skip\")",
        Shown(key),
        Shown(field)
    )]
    MissingMember { path: PathBuf, key: String, field: String },
    /// A file of `torch.save`, which holds a pickle.
    #[error(
        "{path}: a file of torch.save, which pickles what it holds; load it with torch.load, and \
         save its tensors with nl.save(\"model.safetensors\", tensors), which nl.open maps"
    )]
    TorchPickle { path: PathBuf },
    /// A file of arrays by name instead of one array.
    #[error(
        "{path}: holds arrays by name ({has}), expected a file of one array; take one of each \
         file by its name: [nl.open(path)[NAME] for path in paths]"
    )]
    SeveralArrays { path: PathBuf, has: Names },
    /// Two files of a checkpoint that have an array of one name.
    #[error(
        "{path}: has an array {}, as {first} has, expected other names in each file; open each by \
         itself: [nl.open(path)[{name:?}] for path in paths]",
        Shown(name)
    )]
    SharedName { path: PathBuf, name: String, first: PathBuf },
    /// A pointer of Git LFS in the place of a file.
    #[error("{path}: a Git LFS pointer, not the file itself; fetch it with `git lfs pull`")]
    GitLfsPointer { path: PathBuf },
    /// An index of a checkpoint that is malformed or does not fit its files.
    #[error("{path}: bad index: {problem}")]
    BadIndex { path: PathBuf, problem: IndexProblem },
    /// A note about sets of items that does not fit its file.
    #[error("{path}: bad note \"ndlens\" in the metadata: {problem}")]
    BadNote { path: PathBuf, problem: String },
    /// A set of items instead of one array.
    #[error("{path}: {} is a set of items of different sizes, not one array", Shown(name))]
    IsRagged { path: PathBuf, name: String },
    /// A name that no array in a file has.
    #[error("{path}: no array {}; it has {has}", Shown(name))]
    NoSuchArray { path: PathBuf, name: String, has: Names },
    /// Two arrays of one name.
    #[error("{path}: has two arrays of the name {}", Shown(name))]
    DuplicateName { path: PathBuf, name: String },
    /// A copy in the mode that writes to the file.
    #[error("mode \"r+\" writes to the file, which copy=True does not; expected \"r\" or \"c\"")]
    CopyOfFile,
    /// A shape of raw bytes with an invalid size, or with two sizes that are unknown.
    #[error(
        "{path}: shape {shape:?} is not valid: sizes must be at least 0; one may be -1 where no \
         strides are given and no other is 0"
    )]
    RawShape { path: PathBuf, shape: Vec<isize> },
    /// Raw elements that would be those of a file's header.
    #[error(
        "{path}: the file says its own dtype and shape, and its first bytes are that header: open \
         it without dtype, or give the offset of the elements; dtype=\"u1\" gives all its bytes"
    )]
    RawHeader { path: PathBuf },
    /// Raw bytes that are not a whole number of rows.
    #[error(
        "{path}: {got} bytes from byte {offset} on are no multiple of {expected}, which shape \
         {shape:?} needs"
    )]
    RawRemainder { path: PathBuf, offset: usize, got: u64, expected: usize, shape: Vec<isize> },
    /// Raw elements that are not all in the file.
    #[error("{path}: shape {shape:?} reaches bytes {start}..{end}, but the file has {got}")]
    OutsideFile { path: PathBuf, shape: Vec<isize>, start: i128, end: i128, got: u64 },
    /// A header that is not JSON, or not that of tensors.
    #[error("{path}: bad header: {source}")]
    BadJson { path: PathBuf, source: serde_json::Error },
    /// A header that is wrong about a tensor.
    #[error("{path}: tensor {} {problem}", Shown(name))]
    BadTensor { path: PathBuf, name: String, problem: Box<TensorProblem> },
    /// A file that is not as long as its header says.
    #[error("{path}: file has {got} bytes, expected {expected} as its header says")]
    FileSize { path: PathBuf, got: u64, expected: u64 },
    /// An archive whose directory cannot be read.
    #[error("{path}: damaged archive: {}", lower_case(source))]
    BadArchive { path: PathBuf, source: rawzip::Error },
    /// A directory that holds more or fewer entries than it should.
    #[error("{path}: damaged archive: its directory has {got} entries, expected {expected}")]
    ArchiveEntries { path: PathBuf, got: u64, expected: u64 },
    /// An archive that cannot be written in place.
    #[error(
        "{path}: mode \"r+\" would leave the archive's checksums wrong; open with mode=\"c\", or \
         save the arrays as .npy or .safetensors"
    )]
    ArchiveInPlace { path: PathBuf },
    /// An error of one member of an archive; the path is that of the archive and then of the
    /// member.
    #[error("{path}: {problem}")]
    BadMember { path: PathBuf, problem: MemberProblem },
    /// A pattern that matches no file.
    #[error("no file matches {pattern}")]
    NoMatch { pattern: PathBuf },
    /// A malformed pattern.
    #[error("bad pattern {pattern}: {source}")]
    BadPattern { pattern: PathBuf, source: glob::PatternError },
    /// Braces that are nested, or stand for too many names.
    #[error("bad pattern {pattern}: {problem}")]
    BadBraces { pattern: PathBuf, problem: &'static str },
    /// An empty list of files.
    #[error("no files to open: expected at least one")]
    NoShards,
    /// A shard without an axis to take items from.
    #[error("{path}: has rank 0, so it has no items; a shard needs at least one axis")]
    ShardRank { path: PathBuf },
    /// A shard of no items.
    #[error("{path}: has no items: its shape is {shape:?}")]
    EmptyShard { path: PathBuf, shape: Vec<usize> },
    /// Shards whose items differ.
    #[error("{path}: its {what} is {got}, but {first} has {expected}")]
    ShardMismatch {
        path: PathBuf,
        what: &'static str,
        got: Box<str>,
        first: PathBuf,
        expected: Box<str>,
    },
    /// A name without the suffix of a format.
    #[error("{path}: expected a name that ends in .npy or .safetensors")]
    UnknownSuffix { path: PathBuf },
    /// One array for a format of several, or several for a format of one.
    #[error("{path}: {suffix} holds {holds}, got {got}")]
    WrongContents { path: PathBuf, suffix: &'static str, holds: &'static str, got: &'static str },
    /// Metadata for a format that cannot hold it.
    #[error("{path}: metadata goes into .safetensors alone")]
    NoMetadata { path: PathBuf },
    /// A key of the metadata that ndlens reserves.
    #[error("{path}: metadata cannot have the key {key:?}, which says what ndlens saved")]
    ReservedKey { path: PathBuf, key: &'static str },
    /// A directory in which a file can be written but not replaced.
    #[error("{path}: no new file can be made beside it, which is to take its place: {source}")]
    NoNewFile { path: PathBuf, source: io::Error },
    /// A new file that would be another user's or group's.
    #[error(
        "{path}: it belongs to user {user} and group {group}, and a file in its place would not: \
         {source}; remove it first, or save under another name"
    )]
    OwnerLost { path: PathBuf, user: u32, group: u32, source: io::Error },
    /// A new file that would lack an attribute.
    #[error(
        "{path}: its extended attribute {name:?} cannot be kept: {source}; remove it first, or \
         save under another name"
    )]
    AttributeLost { path: PathBuf, name: String, source: io::Error },
    /// Elements that a format has no name for.
    #[error("{path}: {}the format has no dtype {dtype}; {hint}", OfTensor(name.as_deref()))]
    Unsavable { path: PathBuf, name: Option<String>, dtype: String, hint: &'static str },
    /// A name that the format reserves.
    #[error("{path}: no tensor can have the name {name:?}")]
    ReservedName { path: PathBuf, name: &'static str },
    /// A version that NumPy has not defined.
    #[error("{path}: .npy version {major}.{minor} is not one of 1.0, 2.0 and 3.0")]
    UnsupportedVersion { path: PathBuf, major: u8, minor: u8 },
    /// A header that is too long to read.
    #[error("{path}: header claims {got} bytes, expected at most {max}")]
    HeaderTooLong { path: PathBuf, got: u64, max: u64 },
    /// A header to write that is too long for readers.
    #[error(
        "{path}: names, shapes and metadata take a header of {got} bytes, expected at most {max}, \
         which is as much as readers take; save the arrays to several files"
    )]
    UnreadableHeader { path: PathBuf, got: u64, max: u64 },
    /// A file that ends inside its header.
    #[error("{path}: truncated: file has {got} bytes, its header alone takes {expected}")]
    HeaderTruncated { path: PathBuf, got: u64, expected: u64 },
    /// A header that is not the literal that NumPy writes.
    #[error("{path}: bad header at byte {at}: {problem}")]
    BadHeader { path: PathBuf, at: u64, problem: HeaderProblem },
    /// Elements that no view can have.
    #[error("{path}: {}dtype {problem}", InField(field.as_deref()))]
    UnsupportedDType { path: PathBuf, field: Option<String>, problem: DTypeProblem },
    /// A shape that no view can have.
    #[error("{path}: {source}")]
    Shape { path: PathBuf, source: Box<ndlens_core::Error> },
    /// A file that ends before its data does.
    #[error(
        "{path}: truncated: file has {got} bytes, expected at least {expected} for shape {shape:?}"
    )]
    Truncated { path: PathBuf, got: u64, expected: u64, shape: Vec<usize> },
    /// Less available memory than the arrays to share.
    #[error("cannot share {len_bytes} bytes: only {available} bytes of memory are available")]
    SharedMemoryExhausted { len_bytes: usize, available: u64 },
    /// The system refuses shared memory.
    #[error("cannot {operation} {len_bytes} bytes of shared memory: {source}")]
    SharedMemory { operation: &'static str, len_bytes: usize, source: io::Error },
    /// No process holds the memory that the handle names.
    #[error(
        "shared memory of process {process} is gone: keep the view alive there until it has been \
         unpickled here"
    )]
    SharedMemoryGone { process: u32 },
    /// The system refuses memory that another process holds.
    #[error("cannot open the shared memory of process {process}: {source}{}", IoHint(source))]
    SharedMemoryRefused { process: u32, source: io::Error },
    /// Memory of a process that hides its descriptors from others.
    #[error(
        "cannot open the shared memory of process {process}: it is not dumpable (prctl \
         PR_SET_DUMPABLE, or another user \
         since it was started), so no other process can look into its /proc/{process}/fd; send \
         copies of the arrays, or start it as the user that it runs as"
    )]
    SharedMemoryHidden { process: u32 },
    /// A search for shared memory where the platform's place for it cannot be read; `place` says
    /// which that is.
    #[error(
        "cannot look for the shared memory of {what}: processes find each other's in {place}: \
         {source}"
    )]
    NoProcesses { what: String, place: &'static str, source: io::Error },
    /// A name in a process that hides its descriptors from others.
    #[error(
        "cannot share under the name {name}: this process is not dumpable (prctl PR_SET_DUMPABLE, \
         or another user since \
         it was started), so no other process can look into its /proc/{process}/fd; share from a \
         process that is, or without a name before forking"
    )]
    NameHidden { name: String, process: u32 },
    /// Bytes that are not a handle.
    #[error("damaged handle: {problem}")]
    DamagedHandle { problem: String },
    /// A handle to a file that has changed.
    #[error(
        "{path}: file has changed since it was opened: its {what} is {got}, expected {expected}"
    )]
    FileChanged { path: PathBuf, what: &'static str, got: i128, expected: i128 },
    /// A file that became longer or shorter while it was read.
    #[error("{path}: the file changed while it was read: got {got} bytes, expected {expected}")]
    ChangedMeanwhile { path: PathBuf, got: u64, expected: u64 },
    /// A file that is longer than those that are read whole.
    #[error("{path}: the file has {got} bytes, more than the {most} of an encoded image")]
    FileTooLong { path: PathBuf, got: u64, most: u64 },
    /// A mapped file without a path.
    #[error(
        "{path}: the file was replaced or deleted since it was opened, so no other process can \
         open it; call .copy() first"
    )]
    FileReplaced { path: PathBuf },
    /// A malformed name of shared memory.
    #[error(
        "bad name {name:?}: expected 1 to 64 ASCII letters, digits, dots, hyphens and underscores"
    )]
    BadName { name: String },
    /// A name that holds other arrays than those to share.
    #[error("shared memory {name} holds {got}, expected {expected}")]
    OtherContents { name: String, got: String, expected: String },
    /// No array to share, so no view would keep the memory of the name.
    #[error("nothing to share under the name {name}: expected at least one array")]
    NothingToShare { name: String },
    /// The system has no lock for a name.
    #[error("cannot lock the name {name}: {source}")]
    NameLock { name: String, source: io::Error },
    /// A guard against shortened files, where the platform has none.
    #[error(
        "this platform has no guard against mapped files that become shorter: replace files \
         rather than shorten them, or read them with copy=True"
    )]
    NoGuard,
    /// An error of the core.
    #[error(transparent)]
    Core(#[from] ndlens_core::Error),
}

impl Error {
    /// The file of the error, if it has one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::UnknownMode { .. }
            | Error::SharedMemoryExhausted { .. }
            | Error::SharedMemory { .. }
            | Error::SharedMemoryGone { .. }
            | Error::SharedMemoryRefused { .. }
            | Error::SharedMemoryHidden { .. }
            | Error::NoProcesses { .. }
            | Error::NameHidden { .. }
            | Error::DamagedHandle { .. }
            | Error::BadName { .. }
            | Error::OtherContents { .. }
            | Error::NothingToShare { .. }
            | Error::NameLock { .. }
            | Error::CopyOfFile
            | Error::NoMatch { .. }
            | Error::BadPattern { .. }
            | Error::BadBraces { .. }
            | Error::NoShards
            | Error::NoGuard
            | Error::Core(_) => None,
            Error::Io { path, .. }
            | Error::Map { path, .. }
            | Error::TooManyMaps { path, .. }
            | Error::NotRegular { path, .. }
            | Error::NotNpy { path, .. }
            | Error::UnknownFormat { path, .. }
            | Error::EncodedImage { path, .. }
            | Error::SeveralArrays { path, .. }
            | Error::SharedName { path, .. }
            | Error::GitLfsPointer { path }
            | Error::TorchPickle { path }
            | Error::CompressedArchive { path, .. }
            | Error::BadTar { path, .. }
            | Error::NotTar { path }
            | Error::CopyOfArchive { path }
            | Error::NoSuchField { path, .. }
            | Error::MissingMember { path, .. }
            | Error::BadIndex { path, .. }
            | Error::BadNote { path, .. }
            | Error::IsRagged { path, .. }
            | Error::NoSuchArray { path, .. }
            | Error::DuplicateName { path, .. }
            | Error::RawShape { path, .. }
            | Error::RawHeader { path }
            | Error::RawRemainder { path, .. }
            | Error::OutsideFile { path, .. }
            | Error::BadJson { path, .. }
            | Error::BadTensor { path, .. }
            | Error::FileSize { path, .. }
            | Error::BadArchive { path, .. }
            | Error::ArchiveEntries { path, .. }
            | Error::ArchiveInPlace { path }
            | Error::BadMember { path, .. }
            | Error::ShardRank { path }
            | Error::EmptyShard { path, .. }
            | Error::ShardMismatch { path, .. }
            | Error::UnknownSuffix { path }
            | Error::WrongContents { path, .. }
            | Error::NoMetadata { path }
            | Error::ReservedKey { path, .. }
            | Error::NoNewFile { path, .. }
            | Error::OwnerLost { path, .. }
            | Error::AttributeLost { path, .. }
            | Error::Unsavable { path, .. }
            | Error::ReservedName { path, .. }
            | Error::UnsupportedVersion { path, .. }
            | Error::HeaderTooLong { path, .. }
            | Error::UnreadableHeader { path, .. }
            | Error::HeaderTruncated { path, .. }
            | Error::BadHeader { path, .. }
            | Error::UnsupportedDType { path, .. }
            | Error::Shape { path, .. }
            | Error::FileChanged { path, .. }
            | Error::ChangedMeanwhile { path, .. }
            | Error::FileTooLong { path, .. }
            | Error::FileReplaced { path }
            | Error::Truncated { path, .. } => Some(path),
        }
    }

    /// Whether shared memory was refused because the process, or the system, has no descriptor
    /// left.
    pub fn is_out_of_descriptors(&self) -> bool {
        match self {
            Error::SharedMemory { source, .. } | Error::SharedMemoryRefused { source, .. } => {
                is_out_of_descriptors(source)
            }
            _ => false,
        }
    }

    /// The system's error, if there is one.
    pub fn io(&self) -> Option<&io::Error> {
        match self {
            Error::Io { source, .. }
            | Error::Map { source, .. }
            | Error::NoNewFile { source, .. }
            | Error::OwnerLost { source, .. }
            | Error::AttributeLost { source, .. } => Some(source),
            _ => None,
        }
    }
}

/// Whether the system refused because memory, addresses or descriptors ran out, and not because the
/// object does not exist.
pub(crate) fn is_shortage(source: &io::Error) -> bool {
    source.kind() == io::ErrorKind::OutOfMemory || is_out_of_descriptors(source)
}

fn is_out_of_descriptors(source: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE]
        .map(|errno| Some(errno.raw_os_error()))
        .contains(&source.raw_os_error())
}

/// The reason why a header is not a dict with the keys `descr`, `fortran_order` and `shape`.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderProblem {
    /// Another token than expected.
    #[error("expected {expected}, got {got}")]
    Unexpected { expected: &'static str, got: String },
    /// Too many nested brackets.
    #[error("nested deeper than {max} levels")]
    TooDeep { max: usize },
    /// A quote without its closing quote.
    #[error("string does not end")]
    UnterminatedString,
    /// A backslash before a character that Python's `repr` does not escape.
    #[error("unknown escape in a string")]
    BadEscape,
    /// A version 3 header with invalid UTF-8.
    #[error("string is not UTF-8")]
    NotUtf8,
    /// A number beyond 63 bits.
    #[error("integer does not fit 64 bits")]
    IntegerTooLarge,
    /// A dimension below zero.
    #[error("dimension {got} is negative")]
    NegativeDimension { got: i64 },
    /// An unknown key.
    #[error("unknown key {}, expected \"descr\", \"fortran_order\" and \"shape\"", Shown(key))]
    UnknownKey { key: String },
    /// A key that occurs twice.
    #[error("key {} appears twice", Shown(key))]
    DuplicateKey { key: String },
    /// A missing key.
    #[error("key {key:?} is missing")]
    MissingKey { key: &'static str },
}

/// The reason why no view can show elements of this kind.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DTypeProblem {
    /// Pickled objects, not bytes.
    #[error(
        "{} holds Python objects (pickle); convert before saving, for example with \
         arr.astype(\"float32\")",
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
    /// Elements of 0 bytes. A header could claim any number of them.
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

/// The reason why a header is wrong or unsupported about one tensor.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TensorProblem {
    /// A dtype without a counterpart here, such as floats of 6 bits.
    #[error(
        "has dtype {}, which no view can show; .bytes(name) gives its bytes, .info(name) its shape",
        Shown(dtype)
    )]
    DType { dtype: String },
    /// An odd number of floats of 4 bits along the last axis.
    #[error(
        "has shape {shape:?} of F4, of which two are one element of a view: its last axis must be \
         even; .bytes(name) gives its bytes"
    )]
    OddPairs { shape: Vec<usize> },
    /// Elements that are not a whole number of bytes.
    #[error("has shape {shape:?} of {dtype}, which is not a whole number of bytes")]
    Bits { shape: Vec<usize>, dtype: &'static str },
    /// A gap before the tensor, or an overlap with another one.
    #[error(
        "is at bytes {start}..{end} of the data, expected it to start at {expected}, where the \
         one before ends"
    )]
    Place { start: usize, end: usize, expected: usize },
    /// More or fewer bytes than its shape needs.
    #[error("has {got} bytes, expected {expected} for shape {shape:?} of {dtype}")]
    Size { got: usize, expected: usize, shape: Vec<usize>, dtype: String },
    /// A shape that no view can have.
    #[error("cannot be: {source}")]
    Shape { source: Box<ndlens_core::Error> },
}

/// The reason why the files of a checkpoint cannot be found by its index.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexProblem {
    /// JSON that is not an index.
    #[error("{message}")]
    Json { message: String },
    /// A file in another directory.
    #[error("it names the file {}, expected one beside it", Shown(file))]
    Outside { file: String },
    /// A tensor that is not in its file.
    #[error("it says that tensor {} is in {}, which has none of that \
             name", Shown(name), .file.display())]
    NoTensor { name: String, file: PathBuf },
}

/// The reason why a member of an archive cannot be a view.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemberProblem {
    /// Compressed bytes, which cannot be mapped.
    #[error("is compressed, so it cannot be mapped; decompress it into memory with copy=True")]
    Compressed,
    /// A method of compression that NumPy never writes.
    #[error("is compressed by method {method}, expected deflate or none")]
    Method { method: rawzip::CompressionMethod },
    /// Bytes that need a password.
    #[error("is encrypted")]
    Encrypted,
    /// A name that is not text.
    #[error("its name is not UTF-8")]
    NotUtf8,
    /// A name that differs from the one beside the data.
    #[error(
        "before its data its name is \"{}\", expected that of the directory",
        .got.escape_ascii()
    )]
    OtherName { got: Vec<u8> },
    /// Data that overlaps other data.
    #[error("is at bytes {start}..{end}, which {with} has too")]
    Overlap { start: u64, end: u64, with: String },
    /// Data beyond the end.
    #[error("is at bytes {start}..{end}, but the archive's directory starts at byte {got}")]
    Outside { start: u64, end: u64, got: u64 },
    /// More or fewer bytes than the directory claims.
    #[error("has {got} bytes, expected {expected}")]
    Size { got: u64, expected: u64 },
    /// A size that deflate cannot reach.
    #[error("claims {got} bytes, but deflate cannot make more than {max} of {compressed}")]
    Expansion { got: u64, max: u64, compressed: u64 },
    /// A checksum that the bytes do not have.
    #[error("has the checksum {got:08x}, expected {expected:08x}")]
    Checksum { got: u32, expected: u32 },
    /// Compressed bytes that are malformed.
    #[error("cannot be decompressed: {source}")]
    Damaged { source: io::Error },
}

/// A flaw in a header, without the path of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    Header {
        at: usize,
        problem: HeaderProblem,
    },
    DType {
        field: Option<String>,
        problem: DTypeProblem,
    },
    /// No memory for the contents of a valid header.
    Memory(ndlens_core::Error),
}

impl From<ndlens_core::Error> for Flaw {
    fn from(error: ndlens_core::Error) -> Self {
        Flaw::Memory(error)
    }
}

impl Flaw {
    /// `at` counts from the header's first byte, which is the file's byte `start`.
    pub(crate) fn in_file(self, path: &Path, start: u64) -> Error {
        let path = path.to_owned();
        match self {
            Flaw::Header { at, problem } => {
                Error::BadHeader { path, at: start + at as u64, problem }
            }
            Flaw::DType { field, problem } => Error::UnsupportedDType { path, field, problem },
            Flaw::Memory(error) => error.into(),
        }
    }
}
