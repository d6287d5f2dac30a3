//! The errors of this crate, one variant for each way to fail.

use ndlens_core::Access;

use ndlens_core::ErrorKind;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, with the value that was got, the value that was expected, and the place.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the fields are named by the message above them")]
pub enum Error {
    /// A loader without fields.
    #[error("a loader needs at least one field")]
    NoFields,
    /// A field without items.
    #[error("the data set is empty: field {field:?} has no items")]
    EmptyDataset { field: String },
    /// A view of rank 0.
    #[error("field {field:?} has no axis to take items from: its view has rank 0")]
    NoItems { field: String },
    /// Fields that are not rows of one table.
    #[error("fields have different lengths: {first:?} has {first_len} items, {field:?} has {len}")]
    UnequalLengths { first: String, first_len: usize, field: String, len: usize },
    /// A setting of 0 that must be positive.
    #[error("{name} must be at least 1, got 0")]
    ZeroSetting { name: &'static str },
    /// A rank that is not below `world_size`.
    #[error("rank must be below world_size, got rank {rank} of {world_size}")]
    NoSuchRank { rank: usize, world_size: usize },
    /// An unknown name of a remainder.
    #[error("unknown remainder {got:?}: expected \"pad\", \"drop\" or \"keep\"")]
    UnknownRemainder { got: String },
    /// An unknown name of a store policy.
    #[error("unknown stores {got:?}: expected \"auto\", \"stream\" or \"cached\"")]
    UnknownStores { got: String },
    /// A state of another run.
    #[error("this state is of another run: its {what}: {got}; this loader's: {expected}")]
    StateMismatch { what: &'static str, got: String, expected: String },
    /// A state of a run over other items.
    #[error(
        "this state is of another run: the items of field {field:?} are others than this loader's: \
         the names or the order of their files differ, or a subset takes others"
    )]
    OtherItems { field: String },
    /// A state that is beyond the last item.
    #[error("this state says that {start} of {items} items are done")]
    StateBeyondEnd { start: usize, items: usize },
    /// A number in a state that is out of range.
    #[error("the state's {key} must be between 0 and {most}, got {got}")]
    StateNumber { key: &'static str, got: i128, most: u64 },
    /// A number of a sampler that is not an item.
    #[error("the sampler gave item {got} at place {place}, but there are {items} items")]
    NoSuchItem { got: String, place: usize, items: usize },
    /// A part of the data set without items.
    #[error("indices choose no item")]
    NoIndices,
    /// A transform that draws parameters, where each image is made once.
    #[error(
        "{name} is random, and images that are packed are made once: leave it to the loader of \
         the packed set"
    )]
    RandomStep { name: &'static str },
    /// Pixels that are not bytes, where they become a JPEG.
    #[error("a JPEG has pixels of uint8, got {dtype}")]
    NotBytePixels { dtype: String },
    /// An image whose thread ended before it was made.
    #[error("the thread that made the image ended early")]
    NotPrepared,
    /// Items that are not text.
    #[error("expected items of text, uint8 of rank 1, got {dtype} of rank {rank}")]
    NotText { dtype: String, rank: usize },
    /// A text that is not an integer.
    #[error(
        "item {item} is \"{text}\", expected an integer in ASCII digits; \
         bytes(items[{item}]).decode() is its text"
    )]
    NotANumber { item: usize, text: String },
    /// Item numbers of more or fewer than one axis.
    #[error("item numbers must be of shape (items,), got {got:?}")]
    ItemNumbersShape { got: Vec<usize> },
    /// Bools where item numbers are expected.
    #[error(
        "bools are not item numbers: a mask goes to indices=, and np.flatnonzero(mask) is a list \
         of items"
    )]
    ItemNumbersMask,
    /// Item numbers that are not integers.
    #[error("item numbers must be integers, got {got}; convert them with .astype(\"int64\")")]
    ItemNumbersDType { got: String },
    /// A sampler that gives more items than its length. Memory was allocated for that length.
    #[error("the sampler gives more items than its length, {expected}")]
    SamplerLength { expected: usize },
    /// A batch that is due, and the sampler was not read for its items.
    #[error("batch {batch} has no items: read the sampler before the batch is asked for")]
    NotRead { batch: usize },
    /// An unknown name of a shuffler.
    #[error("unknown order {got:?}: expected \"ndlens\" or \"torch\"")]
    UnknownShuffler { got: String },
    /// Two settings that both give an order.
    #[error("{first} and {second} exclude each other: both give the order")]
    TwoOrders { first: &'static str, second: &'static str },
    /// Weights of more or fewer than one axis.
    #[error("weights must be of shape (items,), got {got:?}")]
    WeightsShape { got: Vec<usize> },
    /// More or fewer weights than items.
    #[error("weights must be one for each item: got {got}, expected {expected}")]
    WeightsLength { got: usize, expected: usize },
    /// A weight that is negative, infinite or NaN.
    #[error("item {item} has weight {got}: weights must be finite numbers, 0 or more")]
    BadWeight { got: f64, item: usize },
    /// Weights that are all 0.
    #[error("all weights are 0: there is nothing to draw")]
    NoWeight,
    /// More draws without replacement than items with a weight.
    #[error("cannot draw {samples} items without replacement: {weighty} have a weight above 0")]
    TooManySamples { samples: usize, weighty: usize },
    /// Windows of no series.
    #[error("there is no series to take windows of")]
    NoSeries,
    /// A series without steps.
    #[error("series {series} has no axis: its view has rank 0")]
    SeriesShape { series: usize },
    /// Series whose steps differ in dtype or shape.
    #[error("series {series} has steps of {got}, but series 0 of {expected}")]
    UnequalSeries { series: usize, got: String, expected: String },
    /// Groups with several series, each of which is a group already.
    #[error("groups divide one series, got {series} series, which are groups already")]
    GroupsOfSeveral { series: usize },
    /// Lengths of groups that do not add up to the series.
    #[error(
        "lengths must add up to the {steps} steps of the series: got {lengths} that add up to \
         {sum}{}",
        if lengths == steps { "; if they are the id of each step, type ids=" } else { "" }
    )]
    LengthsSum { lengths: usize, sum: usize, steps: usize },
    /// Groups that could be lengths or ids.
    #[error(
        "groups are unclear: {steps} numbers for a series of {steps} steps could be the lengths \
         of groups or the id of each \
         step: type lengths= or ids="
    )]
    GroupsUnclear { steps: usize },
    /// A gap without a horizon.
    #[error("a gap of {gap} steps needs a horizon: give horizon= too")]
    GapWithoutHorizon { gap: usize },
    /// Targets whose steps are not those of the series.
    #[error("targets must have the steps of their series: got {got:?}, expected {expected:?}")]
    TargetSteps { got: Vec<usize>, expected: Vec<usize> },
    /// Columns of a series without columns.
    #[error("target names columns of a series of shape (steps, columns, ..), got shape {got:?}")]
    NoColumns { got: Vec<usize> },
    /// Columns that one view cannot show.
    #[error(
        "target must be one column or evenly spaced ones, which a view can show, got {got:?}: put \
         them side by side, or take each \
         as a field of its own"
    )]
    TargetColumns { got: Vec<usize> },
    /// A filter whose length fits neither windows nor steps.
    #[error(
        "a filter of windows is one boolean for each of {windows} windows or for each of {steps} \
         steps, got {got}"
    )]
    WindowMask { got: usize, windows: usize, steps: usize },
    /// A filter that leaves no window.
    #[error("no window is left: all {windows} are filtered out or hold NaN")]
    NoWindowLeft { windows: usize },
    /// Elements of a format with an unknown representation of NaN.
    #[error(
        "cannot tell NaN among elements of format {dtype}; convert them to a float of this machine"
    )]
    NanOfOpaque { dtype: String },
    /// Groups that do not add up to the series.
    #[error(
        "groups must be lengths that add up to the {steps} steps of the series or offsets from 0 \
         to {steps}: got \
         {groups} numbers that add up to {sum}"
    )]
    BadGroups { groups: usize, sum: usize, steps: usize },
    /// Windows that are longer than every series.
    #[error(
        "no window fits: a window of {size}{} and a horizon of {horizon} need {} steps, but the \
         longest series or group has {longest}",
        if *gap > 0 { format!(", a gap of {gap}") } else { String::new() },
        size.saturating_add(*gap).saturating_add(*horizon)
    )]
    NoWindow { size: usize, gap: usize, horizon: usize, longest: usize },
    /// Items that differ in more than their first two axes.
    #[error("item {item} has {got}, but those before it {expected}: only axes 0 and 1 may differ")]
    UnequalItems { item: usize, got: String, expected: String },
    /// Shapes that are not a table of integers.
    #[error("shapes must be integers of shape (items, rank), got {dtype} of shape {got:?}")]
    ShapesTable { dtype: String, got: Vec<usize> },
    /// A size or a place below 0.
    #[error("{name} must be integers from 0 on, got {got} at place {place}")]
    NegativeNumber { name: &'static str, got: i128, place: usize },
    /// Numbers of more or fewer than one axis.
    #[error("{name} must be integers of one axis, got {dtype} of shape {got:?}")]
    NumbersShape { name: &'static str, dtype: String, got: Vec<usize> },
    /// An index that is out of bounds.
    #[error("index {got} at place {place} is out of bounds for {items} items")]
    NoSuchIndex { got: i128, place: usize, items: usize },
    /// Indices along more than one axis.
    #[error("items are selected along one axis, got indices of shape {got:?}")]
    SelectionShape { got: Vec<usize> },
    /// Indices that are neither integers nor booleans.
    #[error("items are selected by integers or booleans, got {got}")]
    SelectionDType { got: String },
    /// A mask of another length.
    #[error("a boolean index needs one value for each of {items} items, got {got}")]
    MaskLength { got: usize, items: usize },
    /// Bytes that are not a selection.
    #[error("these {len} bytes are not a selection of items")]
    SelectionBytes { len: usize },
    /// Labels of more than one axis.
    #[error("{name} must be of one axis, got shape {got:?}")]
    LabelsShape { name: &'static str, got: Vec<usize> },
    /// More or fewer labels than there are items or steps.
    #[error("{name} must be one for each item: got {got}, expected {expected}")]
    LabelsLength { name: &'static str, got: usize, expected: usize },
    /// More or fewer ids than steps.
    #[error("ids must be one for each of the {expected} steps of the series, got {got}")]
    IdsLength { got: usize, expected: usize },
    /// A missing label.
    #[error("{name}: the one at place {place} is missing (NaN)")]
    MissingLabel { name: &'static str, place: usize },
    /// More different labels than a 32-bit number counts.
    #[error("there are more than {} different labels", u32::MAX)]
    TooManyLabels,
    /// An id whose steps are not next to each other.
    #[error(
        "ids: the one at step {place} is that of steps {first} to {last} again, after others: a \
         series must stand together and \
         in order; sort it first, as with order = numpy.argsort(ids, kind=\"stable\"), \
         series[order] and ids[order]"
    )]
    LabelAgain { place: usize, first: usize, last: usize },
    /// A split into no parts.
    #[error("a split needs at least one part")]
    NoParts,
    /// Fractions that do not add up to 1.
    #[error(
        "fractions of parts must be above 0 and add up to 1, got {got:?}, which add up to {}",
        (sum * 1e6).round() / 1e6
    )]
    PartFractions { got: Vec<f64>, sum: f64 },
    /// Sizes of parts that do not add up to the items.
    #[error("sizes of parts must add up to the {items} items, got {got:?}, which add up to {sum}")]
    PartCounts { got: Vec<usize>, sum: usize, items: usize },
    /// A part without items.
    #[error("part {part} would have none of {items} items")]
    EmptyPart { part: usize, items: usize },
    /// A class with fewer items than parts.
    #[error(
        "stratify: {count} {} the label of item {item}, and each of {parts} parts needs one",
        if *count == 1 { "item has" } else { "items have" }
    )]
    RareLabel { item: usize, count: usize, parts: usize },
    /// A stratified split that is not shuffled.
    #[error(
        "stratify needs a shuffled split: in the order of the data, parts have the classes that \
         stand there"
    )]
    OrderedClasses,
    /// Memory of ragged items that is not packed along one axis.
    #[error(
        "items must lie in a packed view of one axis, got shape {shape:?} with strides {strides:?}"
    )]
    FlatShape { shape: Vec<usize>, strides: Vec<isize> },
    /// More or fewer offsets than items.
    #[error("offsets must be {items} or {} for {items} items, got {got}", items + 1)]
    OffsetsLength { got: usize, items: usize },
    /// An item that ends beyond its memory.
    #[error(
        "item {item} of shape {shape:?} starts at element {start} and does not end by element \
         {limit}, where its memory ends"
    )]
    ItemOutOfFlat { item: usize, shape: Vec<usize>, start: usize, limit: usize },
    /// Parameters for another number of items.
    #[error("got the parameters of {got} items for {items} items")]
    ParamsLength { got: usize, items: usize },
    /// Channels of items that do not have three axes.
    #[error(
        "channels={channels:?} is of images with three axes, got items of shape {got}; leave it \
         out for this field"
    )]
    NoChannelAxis { channels: &'static str, got: String },
    /// A list or a pattern of images that has none.
    #[error("there is no image: the list is empty")]
    NoImages,
    /// A path that no file can have.
    #[error("no path has a null byte, got {path:?}")]
    NulInPath { path: String },
    /// Items that are no encoded images.
    #[error(
        "encoded images are items of bytes, uint8 of shape (bytes,), got {dtype} of shape {got}; \
         arrays of pixels go to the loader as they are"
    )]
    NotBytes { dtype: String, got: String },
    /// An image with other channels or another depth than the first one.
    #[error(
        "the image has {got}, the first one {expected}: mode=\"RGB\" makes them alike, and so do \
         \"L\" and \"RGBA\""
    )]
    OtherFormat { got: String, expected: String },
    /// The channels of encoded images, which decoders put last.
    #[error(
        "channels=\"first\" is of arrays: encoded images are decoded to (height, width, \
         channels); ChannelsFirst() at the end of the transforms turns them"
    )]
    ChannelsOfImages,
    /// An unknown treatment of items that cannot be made.
    #[error("unknown on_error {got:?}: expected \"raise\" or \"skip\"")]
    UnknownOnError { got: String },
    /// A batch of which every item was left out.
    #[error("no item of batch {batch} is left: all {items} failed; the first: {first}")]
    NoItemLeft { batch: usize, items: usize, first: Box<Error> },
    /// An error of one encoded image.
    #[error("{name}: {source}")]
    Image { name: String, source: Box<Error> },
    /// An error of one field.
    #[error("field {field:?}: {source}")]
    Field { field: String, source: Box<Error> },
    /// An error of one item.
    #[error("field {field:?}, item {item}: {source}")]
    Item { field: String, item: usize, source: Box<Error> },
    /// A panic while a batch was made.
    #[error("making batch {batch} panicked: {message}")]
    WorkerPanicked { batch: usize, message: String },
    /// The system refuses to start a thread.
    #[error("cannot start worker thread {worker}: {message}")]
    Spawn { worker: usize, message: String },
    /// An epoch that was copied by a fork; its threads are in the parent.
    #[error(
        "this epoch was started before a fork and its worker threads are in the parent; start a \
         new one here"
    )]
    Forked,
    /// A batch that is due, and no memory was supplied for it.
    #[error("batch {batch} has no memory: supply memory before the batch is asked for")]
    NotSupplied {
        /// Its number in the epoch.
        batch: usize,
    },
    /// Supplied memory that does not fit a batch.
    #[error("cannot make a batch in buffers of (bytes, access) {got:?}, expected {expected:?}")]
    Supply {
        /// Bytes and access of each buffer.
        got: Vec<(usize, Access)>,
        /// Bytes and access that each field's batch needs.
        expected: Vec<(usize, Access)>,
    },
    /// A batch of another process that is damaged.
    #[error("damaged batch: a field lies in block {got}, of {blocks}")]
    NoSuchBlock { got: usize, blocks: usize },
    /// A batch whose memory was lost when its process ended. The text is torch's, since torch
    /// starts these processes.
    #[error(
        "DataLoader worker (pid {process}) exited unexpectedly, and a batch that it had sent is \
         gone with it"
    )]
    SenderGone { process: u32 },
    /// A batch of another process that was received before.
    #[error("this batch was received before: what a worker sends is unpickled once")]
    AlreadyReceived,
    /// An error of shared memory.
    #[error(transparent)]
    Store(#[from] ndlens_store::Error),
    /// An image that cannot be decoded.
    #[error(transparent)]
    Codecs(#[from] ndlens_codecs::Error),
    /// An error of the transforms.
    #[error(transparent)]
    Transforms(Box<ndlens_transforms::Error>),
    /// An error of the core.
    #[error(transparent)]
    Core(#[from] ndlens_core::Error),
    /// An error of the kernels.
    #[error(transparent)]
    Kernels(#[from] ndlens_kernels::Error),
}

/// In a box, since it is larger than all others.
impl From<ndlens_transforms::Error> for Error {
    fn from(error: ndlens_transforms::Error) -> Self {
        Error::Transforms(Box::new(error))
    }
}

impl Error {
    /// The error of the operating system, if it is one.
    pub fn io(&self) -> Option<&std::io::Error> {
        match self {
            Error::Store(source) => source.io(),
            Error::Image { source, .. }
            | Error::Field { source, .. }
            | Error::Item { source, .. } => source.io(),
            _ => None,
        }
    }

    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Error::NoFields
            | Error::StateNumber { .. }
            | Error::EmptyDataset { .. }
            | Error::NoItems { .. }
            | Error::UnequalLengths { .. }
            | Error::ZeroSetting { .. }
            | Error::NoSuchRank { .. }
            | Error::UnknownRemainder { .. }
            | Error::UnknownStores { .. }
            | Error::StateMismatch { .. }
            | Error::OtherItems { .. }
            | Error::StateBeyondEnd { .. }
            | Error::NoSuchItem { .. }
            | Error::NoIndices
            | Error::ItemNumbersShape { .. }
            | Error::SamplerLength { .. }
            | Error::NotRead { .. }
            | Error::UnknownShuffler { .. }
            | Error::TwoOrders { .. }
            | Error::WeightsShape { .. }
            | Error::WeightsLength { .. }
            | Error::BadWeight { .. }
            | Error::NoWeight
            | Error::TooManySamples { .. }
            | Error::NoSeries
            | Error::SeriesShape { .. }
            | Error::UnequalSeries { .. }
            | Error::GroupsOfSeveral { .. }
            | Error::LengthsSum { .. }
            | Error::GroupsUnclear { .. }
            | Error::GapWithoutHorizon { .. }
            | Error::TargetSteps { .. }
            | Error::NoColumns { .. }
            | Error::TargetColumns { .. }
            | Error::WindowMask { .. }
            | Error::NoWindowLeft { .. }
            | Error::NanOfOpaque { .. }
            | Error::BadGroups { .. }
            | Error::NoWindow { .. }
            | Error::UnequalItems { .. }
            | Error::ShapesTable { .. }
            | Error::NegativeNumber { .. }
            | Error::NotANumber { .. }
            | Error::RandomStep { .. }
            | Error::NotBytePixels { .. }
            | Error::NumbersShape { .. }
            | Error::SelectionBytes { .. }
            | Error::LabelsShape { .. }
            | Error::LabelsLength { .. }
            | Error::IdsLength { .. }
            | Error::MissingLabel { .. }
            | Error::TooManyLabels
            | Error::LabelAgain { .. }
            | Error::NoParts
            | Error::PartFractions { .. }
            | Error::PartCounts { .. }
            | Error::EmptyPart { .. }
            | Error::RareLabel { .. }
            | Error::OrderedClasses
            | Error::FlatShape { .. }
            | Error::OffsetsLength { .. }
            | Error::ItemOutOfFlat { .. }
            | Error::ParamsLength { .. }
            | Error::NoChannelAxis { .. }
            | Error::NotSupplied { .. }
            | Error::Supply { .. }
            | Error::NoSuchBlock { .. }
            | Error::NoImages
            | Error::NulInPath { .. }
            | Error::OtherFormat { .. }
            | Error::ChannelsOfImages
            | Error::UnknownOnError { .. }
            | Error::AlreadyReceived => ErrorKind::Value,
            Error::NotBytes { .. }
            | Error::NotText { .. }
            | Error::ItemNumbersMask
            | Error::ItemNumbersDType { .. } => ErrorKind::Type,
            Error::NoSuchIndex { .. }
            | Error::SelectionShape { .. }
            | Error::SelectionDType { .. }
            | Error::MaskLength { .. } => ErrorKind::Index,
            Error::WorkerPanicked { .. }
            | Error::NotPrepared
            | Error::Spawn { .. }
            | Error::Forked
            | Error::SenderGone { .. } => ErrorKind::Runtime,
            Error::NoItemLeft { first: source, .. }
            | Error::Image { source, .. }
            | Error::Field { source, .. }
            | Error::Item { source, .. } => source.kind(),
            Error::Codecs(source) => source.kind(),
            Error::Core(source) => source.kind(),
            Error::Kernels(source) => source.kind(),
            Error::Transforms(source) => source.kind(),
            Error::Store(source) => source.kind(),
        }
    }
}
