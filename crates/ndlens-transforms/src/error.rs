//! Everything that can go wrong with transforms, one variant each.

use ndlens_core::ErrorKind;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was asked for, what was found, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are named by the message above them")]
pub enum Error {
    /// Items that make no batch.
    #[error(
        "items have different shapes, {got}, and a batch has one: {}",
        if *images {
            "a transform is needed that makes them one size, by cropping or resizing"
        } else {
            "take windows of one length of them, nl.windows(items, size), or pad them to one length first; crops and resizes are \
             for images of (height, width, channels)"
        }
    )]
    ShapesDiffer { got: String, images: bool },
    /// A probability that is none.
    #[error("{transform}: p must be between 0 and 1, got {p}")]
    Probability { transform: &'static str, p: f64 },
    /// An interval that has no numbers, or numbers that are none for it.
    #[error(
        "{transform}: {name} must go from a number to one that is no lower, {expected}; got {low} to {high}"
    )]
    BadInterval {
        transform: &'static str,
        name: &'static str,
        low: f64,
        high: f64,
        expected: &'static str,
    },
    /// A standard deviation that is none.
    #[error("{transform}: sigma must be a number from 0 on, got {sigma}")]
    Sigma { transform: &'static str, sigma: f64 },
    /// Fractions into integers.
    #[error(
        "{transform} needs a floating-point dtype, got {got}; put {} before it",
        to_floats(.got)
    )]
    NotFloat { transform: &'static str, got: String },
    /// Values that a transform cannot compute so.
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
    /// A division by zero to come.
    #[error("{transform} needs a std other than 0, got 0 at position {position}")]
    ZeroStd { transform: &'static str, position: usize },
    /// A crop that does not fit.
    #[error(
        "{transform}({height}, {width}) is larger than the image, which has height {image_height} and width {image_width}"
    )]
    CropTooLarge {
        transform: &'static str,
        height: usize,
        width: usize,
        image_height: usize,
        image_width: usize,
    },
    /// A crop of nothing.
    #[error("{transform}({height}, {width}): a crop needs at least one row and one column")]
    EmptyCrop { transform: &'static str, height: usize, width: usize },
    /// A padding that mirrors more than there is.
    #[error(
        "{transform}: padding {padding:?} (left, top, right, bottom) mirrors more than the image has, which is {height} high and {width} wide"
    )]
    PaddingTooLarge { transform: &'static str, padding: [usize; 4], height: usize, width: usize },
    /// A fill for another number of channels.
    #[error(
        "{transform}: fill has {got} values, expected 1 or one for each of {expected} channels"
    )]
    FillLength { transform: &'static str, got: usize, expected: usize },
    /// A fill that the elements cannot hold.
    #[error("{transform}: fill {value} is no {dtype}, which the image has at this point")]
    FillValue { transform: &'static str, value: f64, dtype: String },
    /// A size to resize to that is none.
    #[error(
        "Resize: size must be the shorter side, (height, width), or None with a max_size, and max_size, which goes with the \
         shorter side, above it; got size {size} and max_size {max_size}"
    )]
    ResizeTarget { size: String, max_size: String },
    /// A range that is none.
    #[error(
        "{transform}: {parameter} must be two positive numbers, the first no more than the second, got ({low}, {high})"
    )]
    Range { transform: &'static str, parameter: &'static str, low: f64, high: f64 },
    /// Turns that are none.
    #[error("RandomQuarterTurn: turns must be one or more of 0, 1, 2 and 3, got {got:?}")]
    QuarterTurns { got: Vec<u8> },
    /// A turn that would change the shape of some items.
    #[error(
        "{transform} by 90 or 270 degrees needs a square image, got height {height} and width {width}; crop it first"
    )]
    NotSquare { transform: &'static str, height: usize, width: usize },
    /// A parameter of the beta distribution that is none.
    #[error("{transform}: alpha must be a finite number above 0, got {alpha}")]
    MixAlpha { transform: &'static str, alpha: f64 },
    /// Labels of nothing.
    #[error("{transform}: num_classes must be at least 1, got 0")]
    NoClasses { transform: &'static str },
    /// A choice of nothing.
    #[error("RandomChoice needs at least one of MixUp and CutMix")]
    NoMix,
    /// Labels that would have one shape in one batch and another in the next.
    #[error("the transforms of a RandomChoice must agree on num_classes, got {first} and {other}")]
    ClassesDiffer { first: String, other: String },
    /// Probabilities that are none.
    #[error(
        "RandomChoice: p must be one number from 0 on for each of {expected} transforms, not all of them 0, got {got:?}"
    )]
    ChoiceWeights { got: Vec<f64>, expected: usize },
    /// A place where no field is.
    #[error("there is no field {got} to mix, there are {fields}")]
    NoSuchField { got: usize, fields: usize },
    /// Fields that do not say what they are.
    #[error(
        "cannot tell which field holds the {what} to mix: {}; name it with mix_{what}{}",
        if candidates.is_empty() { "none looks like it".to_owned() } else { format!("{candidates:?} could") },
        if *unnumbered { ", and if it holds numbers of classes, give num_classes" } else { "" }
    )]
    UnclearMix { what: &'static str, candidates: Vec<String>, unnumbered: bool },
    /// A field that would be mixed with itself.
    #[error("field {field:?} is named twice among what is to be mixed")]
    MixedTwice { field: String },
    /// Images that one rectangle does not fit.
    #[error(
        "CutMix needs images of one height and width: field {first:?} has {first_size:?}, field {field:?} has {size:?}"
    )]
    MixedSizes { first: String, first_size: [usize; 2], field: String, size: [usize; 2] },
    /// Numbers of classes, and nobody knows how many there are.
    #[error("labels are numbers of classes: num_classes must be given")]
    NumClassesNeeded,
    /// More or fewer probabilities than classes.
    #[error("labels are probabilities of {got} classes, but num_classes is {expected}")]
    OtherClasses { got: usize, expected: usize },
    /// Labels that are none.
    #[error(
        "labels must be integers of shape [], the numbers of classes, or floats of shape [classes], got {dtype} of shape {shape:?}"
    )]
    NoLabels { dtype: String, shape: Vec<usize> },
    /// A label that names no class.
    #[error("label {label} is no class: num_classes is {classes}, so labels are from 0 to {}", classes - 1)]
    NoSuchClass { label: i128, classes: usize },
    /// Parameters for another list of transforms.
    #[error("parameters of {transform}: {reason}")]
    Params { transform: String, reason: &'static str },
    /// Parameters that are no text of ours.
    #[error("the parameters are no list of dicts with numbers: {message}")]
    ParamsText { message: String },
    /// Parameters that another list of transforms drew.
    #[error("{transform}: these parameters were not drawn for it")]
    Drawn { transform: &'static str },
    /// An image transform on something else.
    #[error("{transform} needs items of shape {expected}, got {got:?}; {hint}")]
    ItemShape {
        transform: &'static str,
        expected: &'static str,
        got: Vec<usize>,
        hint: &'static str,
    },
    /// Fields that draw together from different choices.
    #[error(
        "fields {first:?} and {field:?} are joint, but {transform} draws from {} for {first:?} and from {} for \
         {field:?}: give both the same, or leave one of them out of joint",
        choices[0],
        choices[1]
    )]
    JointDraws { transform: &'static str, first: String, field: String, choices: Box<[String; 2]> },
    /// Fields that draw together and do it in another order.
    #[error(
        "fields {first:?} and {field:?} are joint, but what they draw together comes in different orders: {} for {first:?} and \
         {} for {field:?}",
        orders[0].join(", "),
        orders[1].join(", ")
    )]
    JointOrder { first: String, field: String, orders: Box<[Vec<&'static str>; 2]> },
    /// An item of different sizes in fields that draw together.
    #[error(
        "fields {first:?} and {field:?} are joint, but {transform} draws of images of {expected:?} for {first:?} and of {got:?} \
         for {field:?}, (height, width): they must be of one size"
    )]
    JointSizes {
        transform: &'static str,
        first: String,
        field: String,
        expected: [usize; 2],
        got: [usize; 2],
    },
    /// A word for where channels are that is none.
    #[error("channels must be \"first\" or \"last\", got {got:?}")]
    UnknownChannels { got: String },
    /// An image whose axes may be either way.
    #[error(
        "{transform} must know which axes of items of shape {got} are height and width: say channels=\"first\" if they are \
         (channels, height, width), or volumes of (depth, height, width); say channels=\"last\" if they are (height, width, \
         channels)"
    )]
    UnclearChannels { transform: &'static str, got: String },
    /// `ChannelsFirst` twice.
    #[error("ChannelsFirst comes twice: the channels are first already")]
    ChannelsFirstTwice,
    /// An argument that a transform does not take so.
    #[error("{transform}: {name} must be {expected}, got {got}")]
    Argument { transform: &'static str, name: &'static str, expected: &'static str, got: String },
    /// An argument that a transform needs.
    #[error("{transform} needs {name}")]
    MissingArgument { transform: &'static str, name: &'static str },
    /// An argument that a transform does not have.
    #[error("{transform} has no argument {name:?}")]
    UnknownArgument { transform: &'static str, name: String },
    /// A name of no transform.
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
    /// A random transform that drew nothing.
    #[error("{transform} says what it draws from, but drew nothing")]
    DrewNothing { transform: &'static str },
    /// Something about one field.
    #[error("field {field:?}: {source}")]
    Field { field: String, source: Box<Error> },
    /// From the core.
    #[error(transparent)]
    Core(#[from] ndlens_core::Error),
    /// From the kernels.
    #[error(transparent)]
    Kernels(#[from] ndlens_kernels::Error),
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::ShapesDiffer { .. }
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
