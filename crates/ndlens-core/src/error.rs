//! The errors of a view, one variant for each kind of failure.

use crate::error_kind::ErrorKind;
use std::fmt;

use crate::dtype::table::DType;
use crate::layout::dims::MAX_NDIM;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a view, with the request, the values found and their place.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An integer index outside `-size..size`.
    #[error("index {index} is out of bounds for axis {axis} with size {size}")]
    IndexOutOfBounds { index: isize, axis: usize, size: usize },
    /// More integers and slices than axes.
    #[error("too many indices for view: view is {ndim}-dimensional, but {got} were indexed")]
    TooManyIndices { ndim: usize, got: usize },
    /// `v[..., ...]`.
    #[error("an index can only have a single ellipsis ('...')")]
    MultipleEllipses,
    /// `v[::0]`.
    #[error("slice step cannot be zero")]
    ZeroStep,
    /// An axis outside `-ndim..ndim`.
    #[error("axis {axis} is out of bounds for view of dimension {ndim}")]
    AxisOutOfBounds { axis: isize, ndim: usize },
    /// An axis named twice.
    #[error("repeated axis {axis} in {axes:?}")]
    RepeatedAxis { axis: usize, axes: Vec<isize> },
    /// `permute` with the wrong number of axes.
    #[error("axes don't match view: got {got} axes, expected {expected}")]
    AxesMismatch { got: usize, expected: usize },
    /// A window without elements, or a step of 0 between windows.
    #[error("window {name} must be at least 1, got {got}")]
    EmptyWindow { name: &'static str, got: isize },
    /// A window that does not fit its axis.
    #[error("window of {size} is larger than axis {axis} of size {len}")]
    WindowTooLarge { size: usize, axis: usize, len: usize },
    /// A reshape to another number of elements.
    #[error("cannot reshape view of {elements} elements into shape {shape:?}")]
    ReshapeSize { elements: usize, shape: Vec<isize> },
    /// A reshape with two unknown or a negative dimension.
    #[error(
        "cannot reshape into {shape:?}: one dimension may be -1, all others must be at least 0"
    )]
    ReshapeShape { shape: Vec<isize> },
    /// A squeeze of an axis that holds more or fewer than one element.
    #[error("cannot squeeze axis {axis} of size {size}: only axes of size 1 can be removed")]
    SqueezeSize { axis: usize, size: usize },
    /// A shape that another does not broadcast to.
    #[error("cannot broadcast shape {from:?} to shape {to:?}")]
    Broadcast { from: Vec<usize>, to: Vec<usize> },
    /// A split into pieces of different size.
    #[error("cannot split an axis of size {size} into {sections} equal pieces")]
    UnequalSplit { size: usize, sections: usize },
    /// Bytes that are not a whole number of the new elements.
    #[error(
        "cannot show elements of {itemsize} bytes in shape {shape:?} as elements of \
         {new_itemsize} bytes: the last axis is not a whole number of them"
    )]
    Reinterpret { shape: Vec<usize>, itemsize: usize, new_itemsize: usize },
    /// More axes than [`MAX_NDIM`](crate::MAX_NDIM).
    #[error("a view has at most {max} dimensions, got {got}", max = MAX_NDIM)]
    TooManyDimensions { got: usize },
    /// Shape and strides of different length.
    #[error("shape has {shape} dimensions but strides have {strides}")]
    RankMismatch { shape: usize, strides: usize },
    /// A size that does not fit the address space.
    #[error("shape {shape:?} with {itemsize}-byte elements does not fit the address space")]
    SizeOverflow { shape: Vec<usize>, itemsize: usize },
    /// A layout that reaches outside its buffer.
    #[error("layout reaches bytes {start}..{end} of a buffer of {len} bytes")]
    OutOfBuffer { start: i128, end: i128, len: usize },
    /// An operation that never copies would have to.
    #[error("{operation} would need a copy: {reason}; call .copy() first")]
    CopyRequired { operation: &'static str, reason: CopyReason },
    /// Writable access to read-only bytes.
    #[error("{operation} needs writable memory, but the view is read-only; {hint}")]
    ReadOnly { operation: &'static str, hint: &'static str },
    /// A hand-off to an unknown consumer.
    #[error("unknown target {got:?}: expected \"torch\", \"numpy\", \"jax\" or \"memoryview\"")]
    UnknownConsumer { got: String },
    /// A dtype that the consumer has no name for.
    #[error("{target} has no dtype for {dtype}{}", way_out(target, .dtype))]
    UnsupportedDType { target: &'static str, dtype: String },
    /// Numbers in the other byte order, which the consumer has no name for.
    #[error(
        "{target} has no dtype for {dtype}, numbers in big-endian byte order; convert them first, \
         with NumPy: .astype(\"{native}\")"
    )]
    ByteOrder { target: &'static str, dtype: String, native: String },
    /// An unknown name of a dtype.
    #[error(
        "unknown dtype {got:?}, expected one of {}, or NumPy's code of one, such as \"<f4\"",
        dtype_names()
    )]
    UnknownDType { got: String },
    /// A name of two dtypes.
    #[error("dtype {got:?} is {meanings}; say {instead}")]
    AmbiguousDType { got: String, meanings: &'static str, instead: &'static str },
    /// Dates and times.
    #[error(
        "{dtype} counts time, which no buffer has a format for; view the integers that count it: \
         array.view(\"i8\")"
    )]
    DateTime { dtype: String },
    /// Elements read as another dtype than theirs.
    #[error("view has dtype {got}, expected {expected}")]
    DTypeMismatch { got: String, expected: String },
    /// Elements that are references to Python objects.
    #[error(
        "elements of format {format:?} are Python objects, whose references ndlens cannot count; \
         convert them first"
    )]
    PythonObjects { format: String },
    /// A format string that is not PEP 3118.
    #[error("format {format:?} with itemsize {itemsize} is not one ndlens can pass through")]
    BadFormat { format: String, itemsize: usize },
    /// A destination of the wrong size.
    #[error("destination has {got} bytes, expected {expected}")]
    DestinationSize { got: usize, expected: usize },
    /// The allocator has no memory.
    #[error("cannot allocate {len_bytes} bytes")]
    OutOfMemory { len_bytes: usize },
    /// Work that its watch ended; see [`watched`](crate::watched).
    #[error("interrupted")]
    Interrupted,
    /// A tensor of another library whose fields contradict each other.
    #[error("invalid DLPack tensor: {what}")]
    InvalidDLPack { what: &'static str },
    /// Some bytes behind a view no longer exist.
    #[error(
        "{path}: file has {got} bytes, expected at least {expected}: it was truncated while mapped"
    )]
    Truncated { path: String, got: u64, expected: u64 },
    /// Some bytes behind a view did not exist when they were read.
    #[error(
        "{path}: pages were lost while mapped and read as zeros: the file was truncated, or the \
         disk is full or failing; open it again"
    )]
    Damaged { path: String },
    /// The bytes behind a view were moved elsewhere by their owner.
    #[error("the memory of this view was moved: {cause}")]
    Moved { cause: &'static str },
    /// Bytes of a file that cannot be written.
    #[error(
        "{path}: cannot be written: the disk is full or failing, or the file was truncated; \
         nothing was written"
    )]
    Unwritable { path: String },
    /// Encoded images where views are expected.
    #[error(
        "encoded images are no arrays: images[i] decodes one, and a loader decodes those of a batch"
    )]
    NotDecoded,
    /// The state of the bytes behind a view is unknown.
    #[error("{path}: {message}")]
    Unavailable { path: String, message: String },
}

/// The names of all dtypes.
fn dtype_names() -> String {
    let names: Vec<_> = DType::table().iter().map(|row| row.name).collect();
    names.join(", ")
}

/// The remedy for a common format that torch has no dtype for; empty for other formats.
fn way_out(target: &str, format: &str) -> &'static str {
    let kind = format.trim_start_matches(|c: char| "<>=@!^".contains(c) || c.is_ascii_digit());
    match kind {
        "w" | "s" if target == "torch" => {
            "; make numbers of text: numpy.unique(text, return_inverse=True)[1] numbers its classes"
        }
        "g" if target == "torch" => "; convert them first, with NumPy: .astype(\"float64\")",
        _ if target == "torch" && kind.starts_with("T{") => {
            "; take the fields of a record by name: array[\"name\"]"
        }
        _ => "",
    }
}

impl Error {
    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::IndexOutOfBounds { .. }
            | Error::TooManyIndices { .. }
            | Error::MultipleEllipses
            | Error::AxisOutOfBounds { .. } => ErrorKind::Index,
            Error::ZeroStep
            | Error::RepeatedAxis { .. }
            | Error::AxesMismatch { .. }
            | Error::EmptyWindow { .. }
            | Error::WindowTooLarge { .. }
            | Error::ReshapeSize { .. }
            | Error::ReshapeShape { .. }
            | Error::SqueezeSize { .. }
            | Error::Broadcast { .. }
            | Error::UnequalSplit { .. }
            | Error::Reinterpret { .. }
            | Error::TooManyDimensions { .. }
            | Error::RankMismatch { .. }
            | Error::SizeOverflow { .. }
            | Error::UnknownConsumer { .. }
            | Error::BadFormat { .. }
            | Error::DestinationSize { .. } => ErrorKind::Value,
            Error::OutOfBuffer { .. } | Error::InvalidDLPack { .. } => ErrorKind::Buffer,
            Error::CopyRequired { .. } => ErrorKind::CopyRequired,
            Error::ReadOnly { .. } => ErrorKind::ReadOnly,
            Error::UnsupportedDType { .. }
            | Error::ByteOrder { .. }
            | Error::UnknownDType { .. }
            | Error::AmbiguousDType { .. }
            | Error::DateTime { .. }
            | Error::DTypeMismatch { .. }
            | Error::PythonObjects { .. }
            | Error::NotDecoded => ErrorKind::Type,
            Error::OutOfMemory { .. } => ErrorKind::OutOfMemory,
            Error::Interrupted => ErrorKind::Interrupted,
            Error::Truncated { .. } | Error::Damaged { .. } => ErrorKind::Truncated,
            Error::Moved { .. } => ErrorKind::Moved,
            Error::Unwritable { .. } | Error::Unavailable { .. } => ErrorKind::System,
        }
    }
}

/// The reason why bytes would have to move.
#[expect(missing_docs, reason = "axis, stride and itemsize say what they are")]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopyReason {
    /// The consumer has no negative strides.
    NegativeStride { axis: usize, stride_bytes: isize },
    /// The consumer counts strides in elements.
    FractionalStride { axis: usize, stride_bytes: isize, itemsize: usize },
    /// Elements that must be packed have gaps between them.
    UnpackedAxis { axis: usize, stride_bytes: isize, itemsize: usize },
    /// No strides give these elements this shape.
    IncompatibleShape { shape: Vec<usize>, strides: Vec<isize>, target: Vec<usize> },
}

impl fmt::Display for CopyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyReason::NegativeStride { axis, stride_bytes } => {
                write!(f, "axis {axis} has the negative stride {stride_bytes}")
            }
            CopyReason::FractionalStride { axis, stride_bytes, itemsize } => {
                write!(
                    f,
                    "axis {axis} has a stride of {stride_bytes} bytes, not a multiple of the \
                     itemsize {itemsize}"
                )
            }
            CopyReason::UnpackedAxis { axis, stride_bytes, itemsize } => write!(
                f,
                "axis {axis} has a stride of {stride_bytes} bytes, so its elements of {itemsize} \
                 bytes are not packed"
            ),
            CopyReason::IncompatibleShape { shape, strides, target } => {
                write!(
                    f,
                    "no strides lay shape {target:?} over shape {shape:?} with strides {strides:?}"
                )
            }
        }
    }
}
