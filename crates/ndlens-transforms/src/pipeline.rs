//! A list of transforms as one pipeline, which makes an item in as few passes as possible, most
//! often one. This file alone decides which transforms are fused:
//!
//! - Geometry (crops, flips, quarter turns, padding, the order of axes) chooses elements, so it
//!   becomes a layout: [`Frame`].
//! - Values (conversion, normalisation) map each element, so they become one [`ValueMap`], which
//!   commutes with geometry. The map is applied in the last pass, or before the first transform
//!   that needs the elements themselves.
//! - A resize makes a new image, in the scratch memory of the thread, or in the last pass.
//! - Transforms that change elements in place (colours, erased rectangles, noise) change such an
//!   image, or the item's place in the batch if only transforms of this kind follow.
//!
//! ```text
//!  list      RandomCrop  ToDtype  Normalize  RandomHorizontalFlip  ChannelsFirst  RandomErasing
//!                |          \______/                |                  |              |
//!  pipeline   layout           |                 layout             layout           |
//!                 \____________|____________________|__________________/              |
//!                       one pass: each element read once, written once     in place, in the batch
//! ```

use ndlens_core::{DType, Layout, Order, ViewRef, room};
use ndlens_kernels::{self as kernels, Error as KernelsError, Stores, ValueMap};
use smallvec::SmallVec;

use crate::channels::Channels;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::input::Input;
use crate::item_shape::ItemShape;
use crate::lazy::LazyImage;
use crate::mixing::region::Image;
use crate::params::{Drawn, DrawnList, Kind};
use crate::random::{ItemStream, Stream, label};
use crate::scratch::Scratch;
use crate::size::{CHANNEL, HEIGHT, Size, Sizes, WIDTH};
use crate::stages::{Stages, words_of_map};
use crate::step::{Along, Choice, Effect, MemoryFormat, Step};

/// Transforms compiled for items of one shape and dtype.
#[derive(Debug, Clone)]
pub struct Pipeline {
    stages: Vec<Stage>,
    /// Transforms that change the result of the last pass in place.
    finishing: Vec<Applied>,
    /// The map of the last pass.
    values: ValueMap,
    /// The order of the output's axes, if it is not that of the item.
    axes: Option<[isize; 3]>,
    /// Whether the output is written with the channels last and shown with the channels first.
    channels_last_format: bool,
    /// The channel's place in the output.
    channel_axis: Option<usize>,
    shape: Vec<usize>,
    /// The bytes of an item, which fit the address space.
    nbytes: usize,
}

/// One of the stages before the last pass.
#[derive(Debug, Clone)]
enum Stage {
    /// A map of values, applied because a later transform needs its results.
    Values { map: ValueMap, channel_axis: Option<usize> },
    /// A transform that is applied by itself.
    Applied(Applied),
}

/// A transform that is applied by itself.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    step: Box<dyn Step>,
    /// The label that separates its random numbers from those of other transforms.
    label: u64,
    /// The sizes of its input images.
    sees: Sizes,
    /// Whether it draws parameters.
    is_random: bool,
    /// Whether it changes elements in place, and takes them with the channels first.
    in_place: Option<bool>,
}

impl Applied {
    pub(crate) fn name(&self) -> &'static str {
        self.step.name()
    }

    pub(crate) fn label(&self) -> u64 {
        self.label
    }

    /// The size of its input images, if they are of one size.
    pub(crate) fn one_size(&self) -> Option<Size> {
        self.sees.as_one()
    }

    /// The choice that it draws from, for images of this size.
    pub(crate) fn choice(&self, size: Option<Size>) -> Option<Choice> {
        self.step.choice(size)
    }

    /// The kinds of parameters that it draws.
    pub(crate) fn kinds(&self) -> &'static [Kind] {
        self.step.choice(None).map_or(&[], |choice| choice.kinds)
    }

    fn apply<'a, 'd>(
        &'a self,
        drawn: &mut impl Iterator<Item = &'d Drawn>,
        frame: &mut Frame<'a>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let drawn = if self.is_random { drawn.next() } else { None };
        self.step.apply(drawn, frame, scratch)
    }
}

/// A pipeline being compiled.
struct Compiler<'a> {
    /// The shape of the items, of which only height and width may differ from item to item.
    items: ItemShape<'a>,
    stages: Vec<Stage>,
    /// Maps of values that no transform has needed yet.
    values: Vec<kernels::MapStep>,
    /// The axis along which those maps distinguish elements; None if they do not.
    channel_axis: Option<usize>,
    /// The dtype that `values` start from.
    dtype: DType,
    /// The sizes of images after the transforms so far.
    sizes: Sizes,
    turn: Option<MemoryFormat>,
}

impl Pipeline {
    /// Compiles `transforms` for items of the given shape and dtype. If items differ in height and
    /// width, a transform must make them one size.
    ///
    /// # Errors
    ///
    /// The errors of [`Step::check`]; [`Error::ShapesDiffer`], [`Error::SizesUnknown`];
    /// [`Error::NotFloat`],
    /// [`Error::ZeroStd`], [`Error::StatisticsLength`] and [`Error::InTransform`] if the kernels
    /// cannot map the values; [`Error::Core`] if an output item does not fit the address space.
    pub fn compile<'a>(
        transforms: &[Box<dyn Step>],
        shape: impl Into<ItemShape<'a>>,
        dtype: &DType,
    ) -> Result<Self> {
        let items = shape.into();
        let mut compiler = Compiler {
            items,
            stages: vec![],
            values: vec![],
            channel_axis: (items.most().len() == 3).then_some(CHANNEL),
            dtype: dtype.clone(),
            sizes: Sizes {
                least: Size::of(items.least()),
                most: Size::of(items.most()),
                is_open: items.is_open(),
            },
            turn: None,
        };
        transforms.iter().try_for_each(|transform| compiler.add(transform.clone()))?;
        compiler.finish()
    }
}

impl Compiler<'_> {
    fn add(&mut self, mut step: Box<dyn Step>) -> Result<()> {
        let dtype = self.values.iter().rev().find_map(|step| match step {
            kernels::MapStep::ToDtype { dtype, .. } => Some(dtype.clone()),
            kernels::MapStep::Normalize { .. } => None,
        });
        let mut input = Input {
            items: self.items,
            sizes: self.sizes,
            stored: self.dtype.clone(),
            dtype: dtype.unwrap_or_else(|| self.dtype.clone()),
            turned: self.turn.is_some(),
            needs_elements: false,
        };
        let effect = step.check(&mut input)?;
        let needs_elements = input.needs_elements;
        let (sizes, in_place) = match effect {
            Effect::Values(map, along) => return self.add_values(step.name(), map, along),
            Effect::Turn(format) => {
                self.settle_by_place()?;
                self.turn = Some(format);
                return Ok(());
            }
            Effect::Image(sizes) => (sizes, None),
            Effect::InPlace { channels_first } => (self.sizes, Some(channels_first)),
        };
        if needs_elements || in_place.is_some() {
            self.settle_values()?;
        }
        self.settle_by_place()?;
        let is_same =
            |stage: &&Stage| matches!(stage, Stage::Applied(own) if own.name() == step.name());
        let occurrence = self.stages.iter().filter(is_same).count();
        let applied = Applied {
            label: label(step.name(), occurrence as u64),
            sees: self.sizes,
            is_random: step.choice(None).is_some(),
            in_place,
            step,
        };
        self.sizes = sizes;
        Ok(room::push(&mut self.stages, Stage::Applied(applied))?)
    }

    /// Adds a map of values, if the kernels accept it after those before it.
    fn add_values(
        &mut self,
        name: &'static str,
        map: kernels::MapStep,
        along: Along,
    ) -> Result<()> {
        let channels = (self.items.most().len() == 3).then_some(CHANNEL);
        let axis = match along {
            Along::Nothing => self.channel_axis,
            Along::Channels => channels,
            Along::Features => self.items.most().len().checked_sub(1),
        };
        if axis != self.channel_axis {
            self.settle_values()?;
            self.channel_axis = axis;
        }
        self.values.push(map);
        Err(match ValueMap::new(&self.dtype, self.channels_of_values(), &self.values) {
            Ok(_) => return Ok(()),
            Err(KernelsError::NormalizeDType { got }) => Error::NotFloat { transform: name, got },
            Err(KernelsError::ZeroStd { position }) => Error::ZeroStd { transform: name, position },
            Err(KernelsError::StatisticsLength { name: what, got, expected }) => {
                let hint = if along == Along::Channels && channels.is_none() {
                    format!(
                        ": items of shape {} have no axis of channels; Standardize takes one value \
                         for each feature of the last axis",
                        self.items
                    )
                } else {
                    String::new()
                };
                Error::StatisticsLength { transform: name, name: what, got, expected, hint }
            }
            Err(source) => Error::InTransform { transform: name, source: Box::new(source) },
        })
    }

    /// Adds a stage that maps the values so far, before the next transform.
    fn settle_values(&mut self) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let map = self.map()?;
        self.dtype = map.dtype().clone();
        let values = Stage::Values { map, channel_axis: self.channel_axis };
        Ok(room::push(&mut self.stages, values)?)
    }

    /// Adds a stage for maps that distinguish elements by their place in the image, before a
    /// transform that moves pixels.
    fn settle_by_place(&mut self) -> Result<()> {
        match self.channel_axis {
            Some(HEIGHT | WIDTH) => self.settle_values(),
            _ => Ok(()),
        }
    }

    /// The values so far as one map.
    fn map(&mut self) -> Result<ValueMap> {
        let steps = std::mem::take(&mut self.values);
        Ok(ValueMap::new(&self.dtype, self.channels_of_values(), &steps)?)
    }

    /// The number of channels that the maps so far distinguish.
    fn channels_of_values(&self) -> usize {
        match self.channel_axis {
            None => 1,
            Some(HEIGHT) => self.sizes.least.height,
            Some(WIDTH) => self.sizes.least.width,
            Some(axis) => self.items.most()[axis],
        }
    }

    fn finish(mut self) -> Result<Pipeline> {
        let channels_first = self.turn == Some(MemoryFormat::Contiguous);
        let others = self.items.sizes().skip(CHANNEL);
        let Some(size) = self.sizes.as_one().filter(|_| others.into_iter().all(|s| s.is_some()))
        else {
            if self.items.is_open() {
                return Err(Error::SizesUnknown { got: self.items.to_string() });
            }
            let images = self.items.most().len() == 3;
            return Err(Error::ShapesDiffer { got: self.items.to_string(), images });
        };
        let mut finishing = vec![];
        if self.values.is_empty() {
            while let Some(applied) = self.last_in_place(channels_first) {
                finishing.push(applied);
            }
            finishing.reverse();
        }
        let (values, axis) = match self.stages.pop_if(|stage| matches!(stage, Stage::Values { .. }))
        {
            // The map that was made for the removed transforms becomes the last pass.
            Some(Stage::Values { map, channel_axis }) if self.values.is_empty() => {
                (map, channel_axis)
            }
            other => {
                self.stages.extend(other);
                (self.map()?, self.channel_axis)
            }
        };
        let channel_axis = if channels_first { axis.map(|_| 0) } else { axis };
        let mut shape = self.items.most().to_vec();
        if shape.len() >= 2 {
            (shape[HEIGHT], shape[WIDTH]) = (size.height, size.width);
        }
        if channels_first {
            shape.rotate_right(1);
        }
        let axes = channels_first.then_some([CHANNEL, HEIGHT, WIDTH].map(|axis| axis as isize));
        let nbytes = item_bytes(&shape, values.dtype().itemsize())?;
        let channels_last_format = self.turn == Some(MemoryFormat::ChannelsLast);
        let stages = self.stages;
        Ok(Pipeline {
            stages,
            finishing,
            values,
            axes,
            channels_last_format,
            channel_axis,
            shape,
            nbytes,
        })
    }

    /// Removes and returns the last transform, if it can change the written item in the batch.
    fn last_in_place(&mut self, channels_first: bool) -> Option<Applied> {
        let can = |stage: &mut Stage| match stage {
            Stage::Values { .. } => false,
            Stage::Applied(Applied { in_place, .. }) => {
                in_place.is_some_and(|takes_channels_first| takes_channels_first || !channels_first)
            }
        };
        match self.stages.pop_if(can)? {
            Stage::Applied(applied) => Some(applied),
            Stage::Values { .. } => None,
        }
    }
}

/// The bytes of an item, if they fit the address space.
fn item_bytes(shape: &[usize], itemsize: usize) -> Result<usize> {
    Ok(Layout::contiguous(shape, itemsize, Order::C)?.len() * itemsize)
}

impl Pipeline {
    /// The layout of a batch of this many items, each of [`nbytes`](Self::nbytes) bytes, one after
    /// another.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if the batch does not fit the address space.
    pub fn batch_layout(&self, items: usize) -> Result<Layout> {
        let shape: SmallVec<[usize; 5]> =
            std::iter::once(items).chain(self.shape.iter().copied()).collect();
        let layout = Layout::contiguous(&shape, self.dtype().itemsize(), Order::C)?;
        Ok(if self.channels_last_format { layout.permute(&[0, 3, 1, 2])? } else { layout })
    }

    /// The shape of an output item, as it is written in C order.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The dtype of an output item.
    pub fn dtype(&self) -> &DType {
        self.values.dtype()
    }

    /// Whether the pipeline turns (height, width, channels) to (channels, height, width), in memory
    /// or in shape.
    pub fn turns_channels(&self) -> bool {
        self.axes.is_some() || self.channels_last_format
    }

    /// The arrangement of an output image in memory; None if the output is not an image. `channels`
    /// says where the channels are, if the pipeline does not turn items.
    pub fn image(&self, channels: Option<Channels>) -> Option<Image> {
        let itemsize = self.dtype().itemsize();
        let in_planes = match channels {
            Some(Channels::First) if !self.channels_last_format => true,
            _ => self.axes.is_some(),
        };
        let (planes, height, width, channels) = match self.shape[..] {
            [channels, height, width] if in_planes => (channels, height, width, 1),
            [height, width, channels] => (1, height, width, channels),
            [height, width] => (1, height, width, 1),
            _ => return None,
        };
        Some(Image { planes, height, width, pixel_bytes: channels * itemsize })
    }

    /// Bytes of an output item.
    pub fn nbytes(&self) -> usize {
        self.nbytes
    }

    /// The work on an item, in words; see [`Stages`].
    pub fn stages(&self) -> Stages {
        let words = |stage: &Stage| match stage {
            Stage::Values { map, .. } => words_of_map(map),
            Stage::Applied(applied) => vec![applied.name().to_owned()],
        };
        let mut last = words_of_map(&self.values);
        if self.turns_channels() {
            last.push("ChannelsFirst".to_owned());
        }
        Stages {
            before: self.stages.iter().flat_map(words).collect(),
            last,
            in_place: self.finishing.iter().map(|applied| applied.name().to_owned()).collect(),
        }
    }

    /// The names of the random transforms, in the order of the parameters of [`draw`](Self::draw).
    pub fn random(&self) -> impl Iterator<Item = &'static str> {
        self.drawing().map(Applied::name)
    }

    /// The random transforms.
    pub(crate) fn drawing(&self) -> impl Iterator<Item = &Applied> {
        self.applied().filter(|applied| applied.is_random)
    }

    /// All transforms that are applied by themselves.
    fn applied(&self) -> impl Iterator<Item = &Applied> {
        let of_stage = |stage| match stage {
            &Stage::Values { .. } => None,
            Stage::Applied(applied) => Some(applied),
        };
        self.stages.iter().filter_map(of_stage).chain(&self.finishing)
    }

    /// The last map of values; None if a transform comes after it.
    pub(crate) fn last_values(&self) -> Option<&ValueMap> {
        self.finishing.is_empty().then_some(&self.values)
    }

    /// The axis of a batch, as the caller gets it, along which its last map of values distinguishes
    /// elements.
    pub(crate) fn batch_axis_of_values(&self) -> Option<usize> {
        // Batches have one more axis, and may be shown with the channels elsewhere than they are
        // written.
        self.channel_axis.map(|axis| match axis + 1 {
            3 if self.channels_last_format => 1,
            axis if self.channels_last_format => axis + 1,
            axis => axis,
        })
    }

    /// The same pipeline without its last map of values, which no transform follows.
    pub(crate) fn without_values(&self) -> Result<Self> {
        let values = ValueMap::new(self.values.source(), 1, &[])?;
        let nbytes = self.nbytes / self.dtype().itemsize() * values.dtype().itemsize();
        Ok(Pipeline { values, nbytes, ..self.clone() })
    }

    /// The size of the input image of each random transform.
    pub(crate) fn sizes(
        &self,
        shape: &[usize],
        drawn: &[Drawn],
    ) -> SmallVec<[(&Applied, Size); 4]> {
        let (mut size, mut drawn) = (Size::of(shape), drawn.iter());
        let mut sizes = SmallVec::new();
        for applied in self.applied() {
            let own = if applied.is_random { drawn.next() } else { None };
            if own.is_some() {
                sizes.push((applied, size));
            }
            size = applied.step.size_after(size, own);
        }
        sizes
    }

    /// Draws the parameters for an item of this shape: a pure function of the stream, the epoch and
    /// the item. The n-th transform of a kind draws the same numbers, whatever the other transforms
    /// are.
    ///
    /// # Errors
    ///
    /// [`Error::CropTooLarge`] if the item is too small.
    pub fn draw(
        &self,
        stream: Stream,
        epoch: u32,
        item: u64,
        shape: &[usize],
    ) -> Result<DrawnList> {
        let mut drawn = DrawnList::new();
        let mut size = Size::of(shape);
        for Applied { step, label, is_random, .. } in self.applied() {
            let mut own = None;
            if *is_random {
                let stream = ItemStream::new(stream.child(*label), epoch, item);
                let name = step.name();
                drawn.push(step.draw(stream, size)?.ok_or(Error::DrewNothing { transform: name })?);
                own = drawn.last();
            }
            size = step.size_after(size, own);
        }
        Ok(drawn)
    }

    /// Writes one item, with these parameters, to `destination`, packed in C order.
    ///
    /// # Errors
    ///
    /// [`Error::Drawn`] if `drawn` has other parameters than [`draw`](Self::draw) gives;
    /// [`Error::Core`] or [`Error::Kernels`] if the item or the destination is not of the compiled
    /// size.
    pub fn run(
        &self,
        item: ViewRef<'_>,
        drawn: &[Drawn],
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if self.stages.is_empty() && self.axes.is_none() {
            let stores = self.stores(stores);
            self.values.apply(&item, self.channel_axis, destination, stores)?;
            return self.finish(drawn.iter(), destination, scratch);
        }
        self.run_frame(Frame::new(item), drawn, destination, stores, scratch)
    }

    /// As [`run`](Self::run), of an image whose pixels are made when they are read: the rectangle
    /// that is visible where a transform first needs pixels, and no others.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run); those of [`LazyImage::read`].
    pub fn run_lazy(
        &self,
        image: &mut dyn LazyImage,
        drawn: &[Drawn],
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.run_frame(Frame::lazy(image)?, drawn, destination, stores, scratch)
    }

    /// Elements that are read again at once stay in the cache.
    fn stores(&self, stores: Stores) -> Stores {
        if self.finishing.is_empty() { stores } else { Stores::Cached }
    }

    fn run_frame<'a>(
        &'a self,
        mut frame: Frame<'a>,
        drawn: &[Drawn],
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let mut drawn = drawn.iter();
        for stage in &self.stages {
            match stage {
                Stage::Values { map, channel_axis } => frame.map(map, *channel_axis, scratch)?,
                Stage::Applied(applied) => applied.apply(&mut drawn, &mut frame, scratch)?,
            }
        }
        let axes = self.axes.as_ref().map(<[isize; 3]>::as_slice);
        let stores = self.stores(stores);
        frame.finish(&self.values, self.channel_axis, axes, destination, stores, scratch)?;
        self.finish(drawn, destination, scratch)
    }

    /// Applies the transforms in place to the written item.
    fn finish<'d>(
        &self,
        mut drawn: impl Iterator<Item = &'d Drawn>,
        destination: &mut [u8],
        scratch: &mut Scratch,
    ) -> Result<()> {
        if self.finishing.is_empty() {
            return Ok(());
        }
        let channels_first = self.axes.is_some();
        let mut shape: SmallVec<[usize; 4]> = self.shape.as_slice().into();
        if channels_first {
            shape.rotate_left(1);
        }
        let mut frame = Frame::written(destination, &shape, self.dtype(), channels_first)?;
        self.finishing.iter().try_for_each(|applied| applied.apply(&mut drawn, &mut frame, scratch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::{CenterCrop, Crop, RandomCrop};
    use crate::fill::Fill;
    use crate::flip::RandomHorizontalFlip;
    use crate::pad::Pad;
    use crate::params::Rectangle;
    use crate::resize::{Resize, TargetSize};
    use crate::testing::{image, message};
    use crate::values::ToDtype;
    use ndlens_kernels::{Filter, Interpolation};

    #[test]
    fn an_item_beyond_the_address_space_is_refused_when_it_is_compiled() {
        let side = isize::MAX as usize / 4;
        let pad = Pad { padding: [0, 0, side, side], fill: Fill::default() }.boxed();
        let error = message(&[pad], &[8, 8]);
        let side = side + 8;
        assert_eq!(
            error,
            format!("shape [{side}, {side}] with 1-byte elements does not fit the address space")
        );
        let wider = ToDtype { dtype: DType::F64, scale: false }.boxed();
        let error = message(&[wider], &[1 << 61]);
        assert_eq!(
            error,
            "shape [2305843009213693952] with 8-byte elements does not fit the address space"
        );
    }

    #[test]
    fn no_sum_of_sizes_overflows() {
        // Debug builds panic if a sum overflows.
        let image = image(4, 5, 3);
        let huge = [1 << 40, (1 << 62) - 1, 1 << 62, (1 << 62) + 1, (1 << 63) - 1, usize::MAX];
        let pad = |n| Pad { padding: [n; 4], fill: Fill::default() }.boxed();
        let crop = |n, padding, pad_if_needed| {
            RandomCrop { padding: [padding; 4], pad_if_needed, ..RandomCrop::new(n, n) }.boxed()
        };
        let rectangle =
            |top, left, height, width| Crop { rectangle: Rectangle { top, left, height, width } };
        let filter = Filter { interpolation: Interpolation::Nearest, antialias: true };
        let resize = |target| Resize::new(target, filter).boxed();
        let mut made = 0;
        for n in huge {
            let steps = [
                pad(n),
                crop(n, 0, true),
                crop(n, n, true),
                crop(3, n, false),
                crop(3, n, true),
                CenterCrop::new(n, n).boxed(),
                rectangle(n, n, n, n).boxed(),
                rectangle(1, 0, n, 1).boxed(),
                resize(TargetSize::Exactly { height: n, width: 1 }),
                resize(TargetSize::Shorter { size: n, max_size: None }),
                resize(TargetSize::Shorter { size: 1, max_size: Some(n) }),
                resize(TargetSize::Longer { size: n }),
            ];
            for first in &steps {
                for second in &steps {
                    let flip = RandomHorizontalFlip { p: 1.0 }.boxed();
                    let last = CenterCrop::new(2, 2).boxed();
                    let list = [first.clone(), flip, second.clone(), last];
                    let Ok(pipeline) = Pipeline::compile(&list, image.shape(), image.dtype())
                    else {
                        continue;
                    };
                    let mut out = vec![0; pipeline.nbytes()];
                    let drawn = pipeline.draw(Stream::new(0, "image"), 0, 0, image.shape());
                    let made_one = drawn.and_then(|drawn| {
                        let mut scratch = Scratch::default();
                        pipeline.run(image.as_ref(), &drawn, &mut out, Stores::Cached, &mut scratch)
                    });
                    made += usize::from(made_one.is_ok());
                }
            }
        }
        assert!(made > 0);
    }
}
