//! The errors of kernels, one variant for each kind of failure.

use ndlens_core::ErrorKind;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a kernel, with the request, the values found and their place.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A target or a source that is not a number.
    #[error("cannot convert {from} to {to}: {reason}")]
    UnsupportedConversion { from: String, to: String, reason: &'static str },
    /// A float scaled to the range of an integer that has more digits.
    #[error(
        "cannot scale {from} to {to} safely: {to} has more digits than {from}; scale to a \
         narrower integer, or convert with scale=False"
    )]
    UnsafeScale { from: String, to: String },
    /// A scale from or to an integer dtype without a range.
    #[error(
        "cannot scale {from} to {to}: of the integers only uint8, int8, uint16, int16, int32 and \
         int64 have a range to scale; convert with scale=False"
    )]
    NoRange { from: String, to: String },
    /// A normalize of elements that are not floats.
    #[error(
        "normalize needs a floating-point dtype, got {got}; put ToDtype(\"float32\", scale=True) \
         before it"
    )]
    NormalizeDType { got: String },
    /// A mean or std for another number of channels.
    #[error(
        "normalize got {got} values of {name}, expected {}",
        if *.expected <= 1 { "1".to_owned() } else { format!("1 or {expected}") }
    )]
    StatisticsLength { name: &'static str, got: usize, expected: usize },
    /// A standard deviation of 0, which would divide by zero.
    #[error("normalize needs a std other than 0, got 0 at position {position}")]
    ZeroStd { position: usize },
    /// A view of other elements than the map was compiled for.
    #[error("view has dtype {got}, expected {expected}")]
    SourceDType { got: String, expected: String },
    /// A destination of the wrong size.
    #[error("destination has {got} bytes, expected {expected}")]
    DestinationSize { got: usize, expected: usize },
    /// A channel axis the view does not have.
    #[error("channel axis {axis} is out of bounds for view of dimension {ndim}")]
    ChannelAxisOutOfBounds { axis: usize, ndim: usize },
    /// A view with another number of channels than the map was compiled for.
    #[error("view has {got} channels, expected {expected}")]
    ChannelCount { got: usize, expected: usize },
    /// A resize to an image without pixels or channels, or to one that is too large.
    #[error(
        "cannot resize to {height} x {width} in {channels} channels: each must be at least 1 and \
         below 2^24"
    )]
    ResizeSize { height: usize, width: usize, channels: usize },
    /// A resize of elements that are neither bytes nor single floats.
    #[error(
        "cannot resize {got} by {interpolation:?}, expected uint8 or float32: put \
         ToDtype(\"float32\") before it, or take interpolation=\"nearest\", which copies elements \
         of any dtype"
    )]
    ResizeDType { interpolation: &'static str, got: String },
    /// A resize of a view that is not an image.
    #[error(
        "cannot resize a view of shape {got:?}, expected {expected}, each size at least 1 and \
         below 2^24"
    )]
    ResizeShape { got: Vec<usize>, expected: &'static str },
    /// Rows of another shape than is left of the source of a resize.
    #[error(
        "got rows of shape {got:?}, expected up to {} rows of {} x {}, as are left of the image to \
         resize",
        expected[0], expected[1], expected[2]
    )]
    ResizeStrip { got: Vec<usize>, expected: [usize; 3] },
    /// A window outside of the resized image.
    #[error(
        "window {start}..{end} of the {axis} axis is out of bounds for a resized image of {size}"
    )]
    ResizeWindow { axis: &'static str, start: usize, end: usize, size: usize },
    /// A map of another dtype than that of the resized image.
    #[error("value map is of {got}, expected {expected}, the dtype of the resized image")]
    MapSource { got: String, expected: String },
    /// A change of colours of another dtype.
    #[error("colours are changed of uint8 and float32 images, got {got}")]
    ColourDType { got: String },
    /// A change of colours of another number of channels than 1 or 3.
    #[error("colours are changed of images with 1 or 3 channels, got {got}")]
    ColourChannels { got: usize },
    /// A mixture of elements that are not floats.
    #[error("elements of {got} cannot be mixed, expected float16, bfloat16, float32 or float64")]
    BlendDType { got: String },
    /// `NDLENS_ISA` does not name an instruction set of this architecture.
    #[error("NDLENS_ISA is {got:?}, expected {expected}")]
    UnknownLevel { got: String, expected: String },
    /// An error of the view.
    #[error(transparent)]
    View(#[from] ndlens_core::Error),
}

impl Error {
    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::UnsupportedConversion { .. }
            | Error::UnsafeScale { .. }
            | Error::NoRange { .. }
            | Error::NormalizeDType { .. }
            | Error::StatisticsLength { .. }
            | Error::ZeroStd { .. }
            | Error::SourceDType { .. }
            | Error::DestinationSize { .. }
            | Error::ChannelAxisOutOfBounds { .. }
            | Error::ChannelCount { .. }
            | Error::ResizeSize { .. }
            | Error::ResizeDType { .. }
            | Error::ResizeShape { .. }
            | Error::ResizeStrip { .. }
            | Error::ResizeWindow { .. }
            | Error::MapSource { .. }
            | Error::ColourDType { .. }
            | Error::ColourChannels { .. }
            | Error::BlendDType { .. }
            | Error::UnknownLevel { .. } => ErrorKind::Value,
            Error::View(source) => source.kind(),
        }
    }
}
