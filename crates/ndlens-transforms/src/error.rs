//! The errors of transforms, one variant for each kind of failure.

use ndlens_core::ErrorKind;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of a transform, with the request, the values found and their place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are named by the message above them")]
pub enum Error {
    /// Items of different shapes, which cannot form a batch.
    #[error(
        "items have different shapes, {got}, and a batch has one: {}",
        if *images {
            "a transform is needed that makes them one size, by cropping or resizing"
        } else {
            "take windows of one length of them, nl.windows(items, size), or pad them to one \
             length first; crops and resizes are \
             for images of (height, width, channels)"
        }
    )]
    ShapesDiffer { got: String, images: bool },
    /// Images of unknown sizes, which cannot form a batch.
    #[error(
        "images have sizes of their own, {got}, and a batch has one: end with a transform that \
         makes them one size, such as Resize((224, 224)), RandomResizedCrop(224) or CenterCrop(224)"
    )]
    SizesUnknown { got: String },
    /// A probability outside 0 to 1.
    #[error("{transform}: p must be between 0 and 1, got {p}")]
    Probability { transform: &'static str, p: f64 },
    /// An empty interval, or one with numbers that the parameter cannot have.
    #[error(
        "{transform}: {name} must go from a number to one that is no lower, {expected}; got {low} \
         to {high}"
    )]
    BadInterval {
        transform: &'static str,
        name: &'static str,
        low: f64,
        high: f64,
        expected: &'static str,
    },
    /// A negative standard deviation, or one that is not a number.
    #[error("{transform}: sigma must be a number from 0 on, got {sigma}")]
    Sigma { transform: &'static str, sigma: f64 },
    /// A transform that needs floats, on integers.
    #[error(
        "{transform} needs a floating-point dtype, got {got}; put {} before it",
        to_floats(.got)
    )]
    NotFloat { transform: &'static str, got: String },
    /// Values that the kernels cannot map as the transform asks.
    #[error("{transform}: {source}")]
    InTransform { transform: &'static str, source: Box<ndlens_kernels::Error> },
    /// A mean or std for another number of channels or features.
    #[error(
        "{transform} got {got} values of {name}, expected {}{hint}",
        if *.expected <= 1 { "1".to_owned() } else { format!("1 or {expected}") }
    )]
    StatisticsLength {
        transform: &'static str,
        name: &'static str,
        got: usize,
        expected: usize,
        hint: String,
    },
    /// A standard deviation of 0, which would divide by zero.
    #[error("{transform} needs a std other than 0, got 0 at position {position}")]
    ZeroStd { transform: &'static str, position: usize },
    /// A crop larger than the image.
    #[error(
        "{transform}({height}, {width}) is larger than the image, which has height {image_height} \
         and width {image_width}"
    )]
    CropTooLarge {
        transform: &'static str,
        height: usize,
        width: usize,
        image_height: usize,
        image_width: usize,
    },
    /// A crop without rows or columns.
    #[error("{transform}({height}, {width}): a crop needs at least one row and one column")]
    EmptyCrop { transform: &'static str, height: usize, width: usize },
    /// A padding that mirrors more pixels than the image has.
    #[error(
        "{transform}: padding {padding:?} (left, top, right, bottom) mirrors more than the image \
         has, which is {height} high and {width} wide"
    )]
    PaddingTooLarge { transform: &'static str, padding: [usize; 4], height: usize, width: usize },
    /// A fill for another number of channels.
    #[error(
        "{transform}: fill has {got} values, expected 1 or one for each of {expected} channels"
    )]
    FillLength { transform: &'static str, got: usize, expected: usize },
    /// A fill that the elements cannot hold.
    #[error(
        "{transform}: fill {value} is not a value of {dtype}, the dtype of the image at this point"
    )]
    FillValue { transform: &'static str, value: f64, dtype: String },
    /// An invalid target size of a resize.
    #[error(
        "Resize: size must be the shorter side, (height, width), or None with a max_size, and \
         max_size, which goes with the \
         shorter side, above it; got size {size} and max_size {max_size}"
    )]
    ResizeTarget { size: String, max_size: String },
    /// An invalid range.
    #[error(
        "{transform}: {parameter} must be two positive numbers, the first no more than the \
         second, got ({low}, {high})"
    )]
    Range { transform: &'static str, parameter: &'static str, low: f64, high: f64 },
    /// Invalid numbers of quarter turns.
    #[error("RandomQuarterTurn: turns must be one or more of 0, 1, 2 and 3, got {got:?}")]
    QuarterTurns { got: Vec<u8> },
    /// A turn that would change the shape of some items.
    #[error(
        "{transform} by 90 or 270 degrees needs a square image, got height {height} and width \
         {width}; crop it first"
    )]
    NotSquare { transform: &'static str, height: usize, width: usize },
    /// A turn of images of unknown sizes that would change the shape of some.
    #[error(
        "{transform} by 90 or 270 degrees needs square images, and these have sizes of their own; \
         crop them first"
    )]
    SquareUnknown { transform: &'static str },
    /// An invalid parameter of the beta distribution.
    #[error("{transform}: alpha must be a finite number above 0, got {alpha}")]
    MixAlpha { transform: &'static str, alpha: f64 },
    /// A number of classes of 0.
    #[error("{transform}: num_classes must be at least 1, got 0")]
    NoClasses { transform: &'static str },
    /// A choice among no transforms.
    #[error("RandomChoice needs at least one of MixUp and CutMix")]
    NoMix,
    /// Transforms of a choice that would give labels of different shapes.
    #[error("the transforms of a RandomChoice must agree on num_classes, got {first} and {other}")]
    ClassesDiffer { first: String, other: String },
    /// Invalid weights of a choice.
    #[error(
        "RandomChoice: p must be one number from 0 on for each of {expected} transforms, not all \
         of them 0, got {got:?}"
    )]
    ChoiceWeights { got: Vec<f64>, expected: usize },
    /// A place without a field.
    #[error("there is no field {got} to mix, there are {fields}")]
    NoSuchField { got: usize, fields: usize },
    /// Fields whose roles are unclear.
    #[error(
        "cannot tell which field holds the {what} to mix: {}; name it with mix_{what}{}",
        if candidates.is_empty() { "no field looks like it".to_owned() } else {
            format!("{candidates:?} could")
        },
        if *unnumbered { ", and if it holds numbers of classes, give num_classes" } else { "" }
    )]
    UnclearMix { what: &'static str, candidates: Vec<String>, unnumbered: bool },
    /// A field that would be mixed with itself.
    #[error("field {field:?} is named twice among the fields to mix")]
    MixedTwice { field: String },
    /// Images of different sizes, which one rectangle does not fit.
    #[error(
        "CutMix needs images of one height and width: field {first:?} has {first_size:?}, field \
         {field:?} has {size:?}"
    )]
    MixedSizes { first: String, first_size: [usize; 2], field: String, size: [usize; 2] },
    /// Labels that are numbers of classes, without the number of classes.
    #[error("labels are numbers of classes: num_classes must be given")]
    NumClassesNeeded,
    /// More or fewer probabilities than classes.
    #[error("labels are probabilities of {got} classes, but num_classes is {expected}")]
    OtherClasses { got: usize, expected: usize },
    /// Labels of an unsuitable dtype or shape.
    #[error(
        "labels must be integers of shape [], the numbers of classes, or floats of shape \
         [classes], got {dtype} of shape {shape:?}"
    )]
    NoLabels { dtype: String, shape: Vec<usize> },
    /// A label that is not the number of a class.
    #[error(
        "label {label} is not a class: num_classes is {classes}, so labels are from 0 to {}",
        classes - 1
    )]
    NoSuchClass { label: i128, classes: usize },
    /// Parameters for another list of transforms.
    #[error("parameters of {transform}: {reason}")]
    Params { transform: String, reason: &'static str },
    /// Parameters of an unknown version.
    #[error(
        "the parameters have version {got}, and this ndlens reads version {known}; draw them \
         again with it, or replay them with the ndlens that drew them"
    )]
    ParamsVersion { got: String, known: u64 },
    /// Parameters in a text of another form.
    #[error("the parameters are not a list of dicts with numbers: {message}")]
    ParamsText { message: String },
    /// Parameters that another list of transforms drew.
    #[error("{transform}: these parameters were not drawn for it")]
    Drawn { transform: &'static str },
    /// An image transform on items that are not images.
    #[error("{transform} needs items of shape {expected}, got {got:?}; {hint}")]
    ItemShape {
        transform: &'static str,
        expected: &'static str,
        got: Vec<usize>,
        hint: &'static str,
    },
    /// Fields that draw together from different choices.
    #[error(
        "fields {first:?} and {field:?} are joint, but {transform} draws from {} for {first:?} \
         and from {} for \
         {field:?}: give both the same, or remove one of them from joint",
        choices[0],
        choices[1]
    )]
    JointDraws { transform: &'static str, first: String, field: String, choices: Box<[String; 2]> },
    /// Fields that draw together in different orders.
    #[error(
        "fields {first:?} and {field:?} are joint, but what they draw together comes in different \
         orders: {} for {first:?} and \
         {} for {field:?}",
        orders[0].join(", "),
        orders[1].join(", ")
    )]
    JointOrder { first: String, field: String, orders: Box<[Vec<&'static str>; 2]> },
    /// An item of different sizes in fields that draw together.
    #[error(
        "fields {first:?} and {field:?} are joint, but {transform} draws of images of \
         {expected:?} for {first:?} and of {got:?} \
         for {field:?}, (height, width): they must be of one size"
    )]
    JointSizes {
        transform: &'static str,
        first: String,
        field: String,
        expected: [usize; 2],
        got: [usize; 2],
    },
    /// An unknown order of channels.
    #[error("channels must be \"first\" or \"last\", got {got:?}")]
    UnknownChannels { got: String },
    /// An image whose order of axes is unclear.
    #[error(
        "{transform} must know which axes of items of shape {got} are height and width: say \
         channels=\"first\" if they are \
         (channels, height, width), or volumes of (depth, height, width); say channels=\"last\" \
         if they are (height, width, \
         channels)"
    )]
    UnclearChannels { transform: &'static str, got: String },
    /// `ChannelsFirst` twice.
    #[error("ChannelsFirst comes twice: the channels are first already")]
    ChannelsFirstTwice,
    /// An argument with a value that the transform does not accept.
    #[error("{transform}: {name} must be {expected}, got {got}")]
    Argument { transform: &'static str, name: &'static str, expected: &'static str, got: String },
    /// A missing argument.
    #[error("{transform} needs {name}")]
    MissingArgument { transform: &'static str, name: &'static str },
    /// An unknown argument.
    #[error("{transform} has no argument {name:?}")]
    UnknownArgument { transform: &'static str, name: String },
    /// An unknown name of a transform.
    #[error("there is no transform {name:?}")]
    UnknownTransform { name: String },
    /// A transform that was checked as a change in place and moves pixels.
    #[error("a transform that changes elements in place must not move or replace them")]
    NotInPlace,
    /// A transform that the pipeline fuses with others, applied by itself.
    #[error("{transform} is fused with the transforms around it and never applied by itself")]
    Fused { transform: &'static str },
    /// A transform that is applied before it was checked.
    #[error("{transform} must be checked before it is applied")]
    NotChecked { transform: &'static str },
    /// A random transform that drew no parameters.
    #[error("{transform} must draw parameters, but drew none")]
    DrewNothing { transform: &'static str },
    /// An error of one field.
    #[error("field {field:?}: {source}")]
    Field { field: String, source: Box<Error> },
    /// An error of the core.
    #[error(transparent)]
    Core(#[from] ndlens_core::Error),
    /// An image that cannot be decoded.
    #[error(transparent)]
    Codecs(#[from] ndlens_codecs::Error),
    /// An error of the kernels.
    #[error(transparent)]
    Kernels(#[from] ndlens_kernels::Error),
}

impl Error {
    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::ShapesDiffer { .. }
            | Error::SizesUnknown { .. }
            | Error::SquareUnknown { .. }
            | Error::Probability { .. }
            | Error::BadInterval { .. }
            | Error::Sigma { .. }
            | Error::NotFloat { .. }
            | Error::StatisticsLength { .. }
            | Error::ZeroStd { .. }
            | Error::CropTooLarge { .. }
            | Error::EmptyCrop { .. }
            | Error::PaddingTooLarge { .. }
            | Error::FillLength { .. }
            | Error::FillValue { .. }
            | Error::ResizeTarget { .. }
            | Error::Range { .. }
            | Error::QuarterTurns { .. }
            | Error::NotSquare { .. }
            | Error::MixAlpha { .. }
            | Error::NoClasses { .. }
            | Error::NoMix
            | Error::ClassesDiffer { .. }
            | Error::ChoiceWeights { .. }
            | Error::NoSuchField { .. }
            | Error::UnclearMix { .. }
            | Error::MixedTwice { .. }
            | Error::MixedSizes { .. }
            | Error::NumClassesNeeded
            | Error::OtherClasses { .. }
            | Error::NoLabels { .. }
            | Error::NoSuchClass { .. }
            | Error::Params { .. }
            | Error::ParamsVersion { .. }
            | Error::ParamsText { .. }
            | Error::Drawn { .. }
            | Error::ItemShape { .. }
            | Error::JointDraws { .. }
            | Error::JointOrder { .. }
            | Error::JointSizes { .. }
            | Error::UnknownChannels { .. }
            | Error::UnclearChannels { .. }
            | Error::ChannelsFirstTwice => ErrorKind::Value,
            Error::Argument { .. }
            | Error::MissingArgument { .. }
            | Error::UnknownArgument { .. }
            | Error::UnknownTransform { .. } => ErrorKind::Type,
            Error::NotInPlace
            | Error::Fused { .. }
            | Error::NotChecked { .. }
            | Error::DrewNothing { .. } => ErrorKind::Runtime,
            Error::Field { source, .. } => source.kind(),
            Error::InTransform { source, .. } => source.kind(),
            Error::Core(source) => source.kind(),
            Error::Codecs(source) => source.kind(),
            Error::Kernels(source) => source.kind(),
        }
    }
}

/// The transform that makes floats of a dtype. Images of 8 and 16 bits are scaled, numbers of other
/// kinds are not.
fn to_floats(dtype: &str) -> &'static str {
    if matches!(dtype, "uint8" | "uint16") {
        "ToDtype(\"float32\", scale=True)"
    } else {
        "ToDtype(\"float32\")"
    }
}
