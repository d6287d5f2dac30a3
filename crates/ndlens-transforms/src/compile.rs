//! A list of transforms to a pipeline: what is checked, what is fused, what is made in between.

use std::ops::RangeInclusive;

use half::{bf16, f16};
use ndlens_core::{DType, Layout, Order, room};
use ndlens_kernels::{self as kernels, ValueMap};

use crate::error::{Error, Result};
use crate::item_shape::ItemShape;
use crate::pipeline::{Act, Pipeline, Step, resize_to};
use crate::random::label;
use crate::sizes::{Area, Size};
use crate::transform::{CHANNEL, Fill, Filling, HEIGHT, Interval, Padding, Transform, WIDTH};

/// A pipeline being compiled.
pub(crate) struct Compiler<'a> {
    /// The items' shape.
    items: ItemShape<'a>,
    /// The most of each of its axes, of which only the height and the width may differ from item to
    /// item.
    shape: &'a [usize],
    steps: Vec<Step>,
    /// Steps on values that nothing has needed yet.
    values: Vec<kernels::MapStep>,
    /// The axis along which those tell elements apart, None if they do not.
    channel_axis: Option<usize>,
    /// The dtype that `values` start from.
    pub(crate) dtype: DType,
    /// The least that an image can be after the transforms so far.
    least: Size,
    /// The most: the same, where all items are of one size by then.
    most: Size,
    channels_first: bool,
    channels_last_format: bool,
}

impl Pipeline {
    /// Compiles `transforms` for items of the given shape and dtype. Where items differ in height
    /// and width, a transform must make them one size.
    ///
    /// # Errors
    ///
    /// [`Error::ItemShape`] where an image transform meets something else; [`Error::CropTooLarge`],
    /// [`Error::ShapesDiffer`], [`Error::EmptyCrop`], [`Error::Probability`],
    /// [`Error::ChannelsFirstTwice`], [`Error::PaddingTooLarge`], [`Error::FillLength`],
    /// [`Error::FillValue`], [`Error::QuarterTurns`], [`Error::NotSquare`]; [`Error::Kernels`]
    /// where values cannot be mapped so; [`Error::Core`] where an item that comes out does not fit
    /// the address space.
    pub fn compile<'a>(
        transforms: &[Transform],
        shape: impl Into<ItemShape<'a>>,
        dtype: &DType,
    ) -> Result<Self> {
        let items = shape.into();
        let mut compiler = Compiler {
            items,
            shape: items.most(),
            steps: vec![],
            values: vec![],
            channel_axis: (items.most().len() == 3).then_some(CHANNEL),
            dtype: dtype.clone(),
            least: Size::of(items.least()),
            most: Size::of(items.most()),
            channels_first: false,
            channels_last_format: false,
        };
        transforms.iter().try_for_each(|transform| compiler.add(transform))?;
        compiler.finish()
    }
}

impl Compiler<'_> {
    pub(crate) fn channels(&self) -> Option<usize> {
        self.shape.get(CHANNEL).copied().filter(|_| self.shape.len() == 3)
    }

    /// What tells elements apart by their place in the image comes before what moves them.
    fn settle_before(&mut self, transform: &Transform) -> Result<()> {
        match transform {
            Transform::ToDtype { .. }
            | Transform::Normalize { .. }
            | Transform::Standardize { .. } => Ok(()),
            _ if matches!(self.channel_axis, Some(HEIGHT | WIDTH)) => self.settle_values(),
            _ => Ok(()),
        }
    }

    fn add(&mut self, transform: &Transform) -> Result<()> {
        self.settle_before(transform)?;
        match transform {
            Transform::RandomCrop { height, width, padding, pad_if_needed, fill } => {
                let name = "RandomCrop";
                self.is_image(name, 2..=3)?;
                not_empty(name, *height, *width)?;
                let pads = *padding != [0; 4] || *pad_if_needed;
                let grown = if *pad_if_needed {
                    self.least.needed_padding(*padding, *height, *width)
                } else {
                    *padding
                };
                self.least.padded(grown).addressable(&self.dtype)?;
                let fill = self.fill(name, fill, *padding, pads)?;
                let (height, width, padding, pad_if_needed) =
                    (*height, *width, *padding, *pad_if_needed);
                if !pad_if_needed {
                    self.least.padded(padding).fits(name, height, width)?;
                }
                self.push(name, Act::RandomCrop { height, width, padding, pad_if_needed, fill })?;
            }
            &Transform::CenterCrop { height, width } => {
                let name = "CenterCrop";
                self.is_image(name, 2..=3)?;
                not_empty(name, height, width)?;
                let pads = height > self.least.height || width > self.least.width;
                Size { height, width }.addressable(&self.dtype)?;
                let fill = self.fill(name, &Filling::default(), [0; 4], pads)?;
                self.push(name, Act::CenterCrop { height, width, fill })?;
            }
            &Transform::Crop { top, left, height, width } => {
                let name = "Crop";
                self.is_image(name, 2..=3)?;
                not_empty(name, height, width)?;
                self.least.fits(name, top.saturating_add(height), left.saturating_add(width))?;
                self.push(name, Act::Crop { top, left, height, width })?;
            }
            &Transform::Resize { target, filter } => {
                let name = "Resize";
                self.is_image(name, 2..=3)?;
                self.least.fits(name, 1, 1)?;
                let unchanged = self.unchanged()?;
                resize_to(
                    name,
                    target.of(self.least),
                    &unchanged,
                    self.channels().unwrap_or(1),
                    filter,
                )?;
                self.push(name, Act::Resize { target, filter, unchanged })?;
            }
            &Transform::RandomResizedCrop { height, width, scale, ratio, filter } => {
                let name = "RandomResizedCrop";
                self.is_image(name, 2..=3)?;
                self.least.fits(name, 1, 1)?;
                for (parameter, Interval { low, high }) in [("scale", scale), ("ratio", ratio)] {
                    // NaN is in no range either.
                    if !(low > 0.0 && low <= high && high.is_finite()) {
                        return Err(Error::Range { transform: name, parameter, low, high });
                    }
                }
                let unchanged = self.unchanged()?;
                resize_to(
                    name,
                    Size { height, width },
                    &unchanged,
                    self.channels().unwrap_or(1),
                    filter,
                )?;
                let area = Area { scale, ratio };
                self.push(name, Act::RandomResizedCrop { area, height, width, filter, unchanged })?;
            }
            Transform::Pad { padding, fill } => {
                let name = "Pad";
                self.is_image(name, 2..=3)?;
                let fill = self.fill(name, fill, *padding, true)?;
                self.push(name, Act::Pad { padding: *padding, fill })?;
            }
            &Transform::RandomHorizontalFlip { p } => {
                self.flip("RandomHorizontalFlip", WIDTH, p)?
            }
            &Transform::RandomVerticalFlip { p } => self.flip("RandomVerticalFlip", HEIGHT, p)?,
            Transform::RandomQuarterTurn { turns } => {
                let name = "RandomQuarterTurn";
                self.is_image(name, 2..=3)?;
                if turns.is_empty() || turns.iter().any(|&turns| turns > 3) {
                    return Err(Error::QuarterTurns { got: turns.clone() });
                }
                let Size { height, width } = self.least;
                let square = height == width && self.least == self.most;
                if !square && turns.iter().any(|turns| turns % 2 == 1) {
                    return Err(Error::NotSquare { transform: name, height, width });
                }
                self.push(name, Act::QuarterTurn { turns: turns.clone() })?;
            }
            Transform::ToDtype { .. }
            | Transform::Normalize { .. }
            | Transform::Standardize { .. } => {
                self.add_values(transform)?;
            }
            Transform::ChannelsFirst | Transform::ChannelsLastFormat
                if self.channels_first || self.channels_last_format =>
            {
                return Err(Error::ChannelsFirstTwice);
            }
            Transform::ChannelsLastFormat => {
                self.is_image("ChannelsFirst", 3..=3)?;
                self.channels_last_format = true;
            }
            Transform::ChannelsFirst => {
                self.is_image("ChannelsFirst", 3..=3)?;
                self.channels_first = true;
            }
            augmentation => return self.add_augmentation(augmentation),
        }
        Ok(())
    }

    /// Adds one of the transforms that map values one by one; nothing for others.
    fn add_values(&mut self, transform: &Transform) -> Result<()> {
        match transform {
            Transform::ToDtype { dtype, scale } => {
                self.values.push(kernels::MapStep::ToDtype { dtype: dtype.clone(), scale: *scale });
            }
            Transform::Normalize { mean, std } => {
                let step = kernels::MapStep::Normalize { mean: mean.clone(), std: std.clone() };
                self.push_values(step, self.channels().map(|_| CHANNEL))?;
            }
            Transform::Standardize { mean, std } => {
                let step = kernels::MapStep::Normalize { mean: mean.clone(), std: std.clone() };
                self.push_values(step, self.shape.len().checked_sub(1))?;
            }
            _ => return Ok(()),
        }
        self.check_values(transform)
    }

    pub(crate) fn push(&mut self, name: &'static str, act: Act) -> Result<()> {
        let occurrence = self.steps.iter().filter(|step| step.name == name).count();
        let sees = (self.least, self.most);
        let step = Step { name, label: label(name, occurrence as u64), sees, act };
        (self.least, self.most) = step.resized_range(self.least, self.most);
        Ok(room::push(&mut self.steps, step)?)
    }

    /// Makes the values so far before whatever comes next.
    pub(crate) fn settle_values(&mut self) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let map = self.map()?;
        self.dtype = map.dtype().clone();
        self.push("values", Act::Values { map, channel_axis: self.channel_axis })?;
        Ok(())
    }

    /// Adds a step whose values are told apart along `axis`, as those of the same map.
    fn push_values(&mut self, step: kernels::MapStep, axis: Option<usize>) -> Result<()> {
        if axis != self.channel_axis {
            self.settle_values()?;
            self.channel_axis = axis;
        }
        self.values.push(step);
        Ok(())
    }

    /// A map that changes nothing, of the dtype that the image has by then.
    fn unchanged(&mut self) -> Result<ValueMap> {
        self.settle_values()?;
        Ok(ValueMap::new(&self.dtype, 1, &[])?)
    }

    fn map(&mut self) -> Result<ValueMap> {
        let steps = std::mem::take(&mut self.values);
        Ok(ValueMap::new(&self.dtype, self.channels_of_values(), &steps)?)
    }

    /// How many are told apart by their values so far.
    fn channels_of_values(&self) -> usize {
        match self.channel_axis {
            None => 1,
            Some(HEIGHT) => self.least.height,
            Some(WIDTH) => self.least.width,
            Some(axis) => self.shape[axis],
        }
    }

    /// Whether the last step on values, which is this transform's, can follow those before it.
    fn check_values(&self, transform: &Transform) -> Result<()> {
        use ndlens_kernels::Error as E;
        let made = ValueMap::new(&self.dtype, self.channels_of_values(), &self.values);
        let name = transform.name();
        Err(match made {
            Ok(_) => return Ok(()),
            Err(E::NormalizeDType { got }) => Error::NotFloat { transform: name, got },
            Err(E::ZeroStd { position }) => Error::ZeroStd { transform: name, position },
            Err(E::StatisticsLength { name: what, got, expected }) => {
                let hint = match transform {
                    Transform::Normalize { .. } if self.channel_axis.is_none() => format!(
                        ": items of shape {} have no axis of channels; Standardize takes one value for each feature of the \
                         last axis",
                        self.items
                    ),
                    _ => String::new(),
                };
                Error::StatisticsLength { transform: name, name: what, got, expected, hint }
            }
            Err(source) => Error::InTransform { transform: name, source: Box::new(source) },
        })
    }

    fn flip(&mut self, name: &'static str, axis: usize, p: f64) -> Result<()> {
        self.is_image(name, 2..=3)?;
        is_probability(name, p)?;
        self.push(name, Act::Flip { axis, p })?;
        Ok(())
    }

    /// The filling of a padding, in the dtype that the image has by then. `pads` says whether there
    /// is any.
    fn fill(
        &mut self,
        transform: &'static str,
        filling: &Filling,
        padding: [usize; 4],
        pads: bool,
    ) -> Result<Fill> {
        let mode = filling.mode;
        if !pads {
            return Ok(Fill { mode, pixel: vec![] });
        }
        self.least.padded(padding).addressable(&self.dtype)?;
        if mode != Padding::Constant {
            // The others show pixels of the image, which values can be mapped from later.
            self.least.fits(transform, 1, 1)?;
            let Size { height, width } = self.least;
            let [left, top, right, bottom] = padding;
            let most =
                |size: usize| if mode == Padding::Reflect { size.saturating_sub(1) } else { size };
            let bounded = mode != Padding::Edge;
            if bounded && (left.max(right) > most(width) || top.max(bottom) > most(height)) {
                return Err(Error::PaddingTooLarge { transform, padding, height, width });
            }
            return Ok(Fill { mode, pixel: vec![] });
        }
        self.settle_values()?;
        let pixel = self.pixel(transform, &filling.values)?;
        Ok(Fill { mode, pixel })
    }

    /// A pixel of one value for all channels, or one for each, in the dtype at this point.
    pub(crate) fn pixel(&self, transform: &'static str, values: &[f64]) -> Result<Vec<u8>> {
        let channels = self.channels().unwrap_or(1);
        let values = match values {
            [] => vec![0.0; channels],
            &[value] => vec![value; channels],
            several if several.len() == channels => several.to_vec(),
            several => {
                return Err(Error::FillLength {
                    transform,
                    got: several.len(),
                    expected: channels,
                });
            }
        };
        let bytes = |&value: &f64| {
            number_bytes(&self.dtype, value).ok_or_else(|| Error::FillValue {
                transform,
                value,
                dtype: self.dtype.to_string(),
            })
        };
        Ok(values.iter().map(bytes).collect::<Result<Vec<_>>>()?.concat())
    }

    pub(crate) fn is_float(&self, transform: &'static str) -> Result<()> {
        if matches!(self.dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64) {
            return Ok(());
        }
        Err(Error::NotFloat { transform, got: self.dtype.to_string() })
    }

    pub(crate) fn is_image(
        &self,
        transform: &'static str,
        ranks: RangeInclusive<usize>,
    ) -> Result<()> {
        if ranks.contains(&self.shape.len()) {
            return Ok(());
        }
        let (expected, hint) = if ranks.contains(&2) {
            (
                "(height, width) or (height, width, channels)",
                "bring the axes into this order with permute or reshape",
            )
        } else {
            ("(height, width, channels)", "add a channel axis with view[..., None]")
        };
        Err(Error::ItemShape { transform, expected, got: self.shape.to_vec(), hint })
    }

    fn finish(mut self) -> Result<Pipeline> {
        let channels_first = self.channels_first;
        let others = self.items.sizes().skip(CHANNEL);
        if self.least != self.most || others.into_iter().any(|size| size.is_none()) {
            let images = self.items.most().len() == 3;
            return Err(Error::ShapesDiffer { got: self.items.to_string(), images });
        }
        let mut finishing = vec![];
        if self.values.is_empty() {
            let last = |step: &Step| step.act.is_in_place(channels_first);
            let kept = self.steps.iter().rposition(|step| !last(step)).map_or(0, |at| at + 1);
            finishing = self.steps.split_off(kept);
        }
        let (values, axis) = match self.steps.pop_if(|step| matches!(step.act, Act::Values { .. }))
        {
            // What was made for them is the last pass now.
            Some(Step { act: Act::Values { map, channel_axis }, .. }) if self.values.is_empty() => {
                (map, channel_axis)
            }
            other => {
                self.steps.extend(other);
                (self.map()?, self.channel_axis)
            }
        };
        let channel_axis = if channels_first { axis.map(|_| 0) } else { axis };
        let mut shape = self.shape.to_vec();
        if shape.len() >= 2 {
            (shape[HEIGHT], shape[WIDTH]) = (self.least.height, self.least.width);
        }
        if channels_first {
            shape.rotate_right(1);
        }
        let axes = channels_first.then_some([CHANNEL, HEIGHT, WIDTH].map(|axis| axis as isize));
        let nbytes = item_bytes(&shape, values.dtype().itemsize())?;
        let channels_last_format = self.channels_last_format;
        let steps = self.steps;
        Ok(Pipeline {
            steps,
            finishing,
            values,
            axes,
            channels_last_format,
            channel_axis,
            shape,
            nbytes,
        })
    }
}

pub(crate) fn is_probability(transform: &'static str, p: f64) -> Result<()> {
    if (0.0..=1.0).contains(&p) { Ok(()) } else { Err(Error::Probability { transform, p }) }
}

fn not_empty(transform: &'static str, height: usize, width: usize) -> Result<()> {
    if height == 0 || width == 0 {
        return Err(Error::EmptyCrop { transform, height, width });
    }
    Ok(())
}

/// The bytes of an item, if there can be as many.
fn item_bytes(shape: &[usize], itemsize: usize) -> Result<usize> {
    Ok(Layout::contiguous(shape, itemsize, Order::C)?.len() * itemsize)
}

/// A number as an element of a dtype, little-endian; None where the dtype has no such element.
#[expect(clippy::float_cmp, reason = "whether a number survives a cast is a question of equality")]
#[expect(clippy::cast_lossless, reason = "for some of the integers it is not lossless")]
fn number_bytes(dtype: &DType, value: f64) -> Option<Vec<u8>> {
    macro_rules! integer {
        ($rust:ty) => {{
            let number = value as $rust;
            (number as f64 == value).then(|| number.to_le_bytes().to_vec())
        }};
    }
    match dtype {
        DType::Bool => (value == 0.0 || value == 1.0).then(|| vec![u8::from(value == 1.0)]),
        DType::U8 => integer!(u8),
        DType::I8 => integer!(i8),
        DType::U16 => integer!(u16),
        DType::I16 => integer!(i16),
        DType::U32 => integer!(u32),
        DType::I32 => integer!(i32),
        DType::U64 => integer!(u64),
        DType::I64 => integer!(i64),
        DType::F16 => Some(f16::from_f64(value).to_le_bytes().to_vec()),
        DType::Bf16 => Some(bf16::from_f64(value).to_le_bytes().to_vec()),
        DType::F32 => Some((value as f32).to_le_bytes().to_vec()),
        DType::F64 => Some(value.to_le_bytes().to_vec()),
        other if value == 0.0 => Some(vec![0; other.itemsize()]),
        _ => None,
    }
}
