//! What a list of transforms becomes: drawing for an item, then making it.

use ndlens_core::{DType, Layout, Order, ViewRef};
use ndlens_kernels::{Filter, Resize, Stores, ValueMap};
use smallvec::SmallVec;

use crate::augment;
use crate::channels::Channels;
use crate::drawn::{Drawn, DrawnList};
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::mixing::Image;
use crate::packed::Packed;
use crate::random::Stream;
use crate::scratch::Scratch;
use crate::sizes::{Area, Size, Target, half_to_even};
use crate::transform::{Fill, Interval};

/// Transforms compiled for items of one shape and dtype.
#[derive(Debug, Clone)]
pub struct Pipeline {
    pub(crate) steps: Vec<Step>,
    /// Changes in place of what the last pass wrote.
    pub(crate) finishing: Vec<Step>,
    /// The last pass, through which everything before it is read.
    pub(crate) values: ValueMap,
    /// The order of the output's axes, where it is not the item's.
    pub(crate) axes: Option<[isize; 3]>,
    /// Whether what is written with the channels last is seen with the channels first.
    pub(crate) channels_last_format: bool,
    /// The channel's place in the output.
    pub(crate) channel_axis: Option<usize>,
    pub(crate) shape: Vec<usize>,
    /// The bytes of an item, which fit the address space.
    pub(crate) nbytes: usize,
}

/// One step, in order.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// The transform it comes from, for errors and for parameters.
    pub(crate) name: &'static str,
    /// What tells its random numbers from those of other steps.
    pub(crate) label: u64,
    /// The least and the most that images are that come to it.
    pub(crate) sees: (Size, Size),
    pub(crate) act: Act,
}

/// What a step does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    RandomCrop {
        height: usize,
        width: usize,
        padding: [usize; 4],
        pad_if_needed: bool,
        fill: Fill,
    },
    CenterCrop {
        height: usize,
        width: usize,
        fill: Fill,
    },
    Crop {
        top: usize,
        left: usize,
        height: usize,
        width: usize,
    },
    Pad {
        padding: [usize; 4],
        fill: Fill,
    },
    Resize {
        target: Target,
        filter: Filter,
        unchanged: ValueMap,
    },
    RandomResizedCrop {
        area: Area,
        height: usize,
        width: usize,
        filter: Filter,
        unchanged: ValueMap,
    },
    Flip {
        axis: usize,
        p: f64,
    },
    QuarterTurn {
        turns: Vec<u8>,
    },
    Colour(Colours),
    Grayscale {
        p: f64,
    },
    /// Without a pixel, normal numbers.
    Erase {
        p: f64,
        scale: Interval,
        ratio: Interval,
        pixel: Option<Vec<u8>>,
    },
    Scale {
        factor: Interval,
        per_feature: bool,
    },
    Jitter {
        sigma: f64,
    },
    /// Values that something after them needs, made on the way.
    Values {
        map: ValueMap,
        channel_axis: Option<usize>,
    },
}

/// What colours are changed by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Colours {
    pub(crate) brightness: Option<Interval>,
    pub(crate) contrast: Option<Interval>,
    pub(crate) saturation: Option<Interval>,
    pub(crate) hue: Option<Interval>,
}

impl Pipeline {
    /// Where the elements of a batch of so many items are, that many times [`nbytes`](Self::nbytes)
    /// being written one after another.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] where that is more than there can be.
    pub fn batch_layout(&self, items: usize) -> Result<Layout> {
        let shape: SmallVec<[usize; 5]> =
            std::iter::once(items).chain(self.shape.iter().copied()).collect();
        let layout = Layout::contiguous(&shape, self.dtype().itemsize(), Order::C)?;
        Ok(if self.channels_last_format { layout.permute(&[0, 3, 1, 2])? } else { layout })
    }

    /// The shape of what is written for an item, in C order.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The dtype of what comes out.
    pub fn dtype(&self) -> &DType {
        self.values.dtype()
    }

    /// Whether it turns (height, width, channels) to (channels, height, width), in memory or in
    /// shape.
    pub fn turns_channels(&self) -> bool {
        self.axes.is_some() || self.channels_last_format
    }

    /// How an image lies in what is written for an item, where `channels` is what is known of items
    /// that are not turned; None where that is no image.
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

    /// Bytes of what comes out.
    pub fn nbytes(&self) -> usize {
        self.nbytes
    }

    /// The random transforms, in the order of what [`draw`](Self::draw) gives.
    pub fn random(&self) -> impl Iterator<Item = &'static str> {
        self.drawing_steps().map(|step| step.name)
    }

    /// Those, as steps.
    pub(crate) fn drawing_steps(&self) -> impl Iterator<Item = &Step> {
        self.all_steps().filter(|step| step.act.is_random())
    }

    pub(crate) fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.finishing)
    }

    /// Draws for an item of this shape: a pure function of the stream, the epoch and the item. The
    /// n-th transform of a kind draws the same numbers, whatever other transforms stand around it.
    ///
    /// # Errors
    ///
    /// [`Error::CropTooLarge`] where the item is too small.
    pub fn draw(
        &self,
        stream: Stream,
        epoch: u32,
        item: u64,
        shape: &[usize],
    ) -> Result<DrawnList> {
        let mut drawn = DrawnList::new();
        let mut size = Size::of(shape);
        for step in self.all_steps() {
            if step.act.is_random() {
                drawn.push(step.draw(stream.child(step.label), epoch, item, size)?);
            }
            size = step.resized(size, drawn.last());
        }
        Ok(drawn)
    }

    /// Makes one item from what was drawn for it, packed in C order, into `destination`.
    ///
    /// # Errors
    ///
    /// [`Error::Drawn`] where `drawn` is not what [`draw`](Self::draw) gives; [`Error::Core`] or
    /// [`Error::Kernels`] where the item or the destination is not of the size compiled for.
    pub fn run(
        &self,
        item: ViewRef<'_>,
        drawn: &[Drawn],
        destination: &mut [u8],
        stores: Stores,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let mut drawn = drawn.iter();
        // What is read again at once stays in the cache.
        let stores = if self.finishing.is_empty() { stores } else { Stores::Cached };
        if self.steps.is_empty() && self.axes.is_none() {
            self.values.apply(&item, self.channel_axis, destination, stores)?;
            return self.finish(drawn, destination);
        }
        let mut frame = Frame::new(item);
        for step in &self.steps {
            let drawn = if step.act.is_random() { drawn.next() } else { None };
            step.run(drawn, &mut frame, scratch)?;
        }
        let axes = self.axes.as_ref().map(<[isize; 3]>::as_slice);
        frame.finish(&self.values, self.channel_axis, axes, destination, stores, scratch)?;
        self.finish(drawn, destination)
    }

    /// Changes what was written.
    fn finish<'d>(
        &self,
        mut drawn: impl Iterator<Item = &'d Drawn>,
        destination: &mut [u8],
    ) -> Result<()> {
        if self.finishing.is_empty() {
            return Ok(());
        }
        let channels_first = self.axes.is_some();
        let mut shape: SmallVec<[usize; 4]> = self.shape.as_slice().into();
        if channels_first {
            shape.rotate_left(1);
        }
        for step in &self.finishing {
            let drawn = drawn.next().ok_or(Error::Drawn { transform: step.name })?;
            let packed =
                Packed { bytes: destination, shape: &shape, dtype: self.dtype(), channels_first };
            packed.change(step.name, &step.act, drawn)?;
        }
        Ok(())
    }
}

impl Act {
    pub(crate) fn is_random(&self) -> bool {
        matches!(
            self,
            Act::RandomCrop { .. }
                | Act::RandomResizedCrop { .. }
                | Act::Flip { .. }
                | Act::QuarterTurn { .. }
        ) || self.is_in_place(false)
    }
}

impl Step {
    /// Draws for an image of this size, from a stream of the step's own.
    fn draw(&self, stream: Stream, epoch: u32, item: u64, size: Size) -> Result<Drawn> {
        let mut draws = stream.draws(epoch, item);
        Ok(match &self.act {
            Act::RandomCrop { height, width, .. } => {
                let padded = size.padded(self.padding(size));
                padded.fits(self.name, *height, *width)?;
                let top = draws.below((padded.height - height) as u64 + 1) as usize;
                let left = draws.below((padded.width - width) as u64 + 1) as usize;
                Drawn::Rectangle { top, left, height: *height, width: *width }
            }
            Act::RandomResizedCrop { area, .. } => {
                size.fits(self.name, 1, 1)?;
                area.draw(&mut draws, size)
            }
            Act::Flip { p, .. } => Drawn::Applied(draws.chance(*p)),
            Act::QuarterTurn { turns } => {
                Drawn::QuarterTurns(turns[draws.below(turns.len() as u64) as usize])
            }
            act => augment::draw(act, stream, epoch, item, size).unwrap_or(Drawn::Applied(true)),
        })
    }

    /// What an image of this size is padded with.
    fn padding(&self, size: Size) -> [usize; 4] {
        match &self.act {
            Act::Pad { padding, .. } => *padding,
            Act::RandomCrop { height, width, padding, pad_if_needed, .. } => {
                if *pad_if_needed {
                    size.needed_padding(*padding, *height, *width)
                } else {
                    *padding
                }
            }
            Act::CenterCrop { height, width, .. } => {
                let (rows, columns) =
                    (height.saturating_sub(size.height), width.saturating_sub(size.width));
                [columns / 2, rows / 2, columns.div_ceil(2), rows.div_ceil(2)]
            }
            _ => [0; 4],
        }
    }

    /// The size of an image of this size after this step.
    pub(crate) fn resized(&self, size: Size, drawn: Option<&Drawn>) -> Size {
        match &self.act {
            &Act::RandomCrop { height, width, .. }
            | &Act::CenterCrop { height, width, .. }
            | &Act::Crop { height, width, .. }
            | &Act::RandomResizedCrop { height, width, .. } => Size { height, width },
            Act::Resize { target, .. } => target.of(size),
            Act::Pad { padding, .. } => size.padded(*padding),
            Act::QuarterTurn { .. } => match drawn {
                Some(Drawn::QuarterTurns(1 | 3)) => Size { height: size.width, width: size.height },
                _ => size,
            },
            _ => size,
        }
    }

    /// The range of sizes of images of such a range after this step.
    pub(crate) fn resized_range(&self, least: Size, most: Size) -> (Size, Size) {
        match &self.act {
            Act::Resize { target, .. } if least != most => target.range(),
            _ => (self.resized(least, None), self.resized(most, None)),
        }
    }

    fn run<'a>(
        &'a self,
        drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let size = frame.size();
        match (&self.act, drawn) {
            (
                Act::RandomCrop { fill, height: own_height, width: own_width, .. },
                Some(&Drawn::Rectangle { top, left, height, width }),
            ) if (height, width) == (*own_height, *own_width) => {
                let padding = self.padding(size);
                // Parameters may come from elsewhere.
                let (bottom, right) = (top.saturating_add(height), left.saturating_add(width));
                size.padded(padding).fits(self.name, bottom, right)?;
                frame.pad(padding, fill)?;
                frame.crop(top, left, height, width)
            }
            (Act::CenterCrop { height, width, fill }, _) => {
                let padding = self.padding(size);
                let padded = size.padded(padding);
                frame.pad(padding, fill)?;
                let (top, left) =
                    (half_to_even(padded.height - height), half_to_even(padded.width - width));
                frame.crop(top, left, *height, *width)
            }
            (&Act::Crop { top, left, height, width }, _) => {
                size.fits(self.name, top.saturating_add(height), left.saturating_add(width))?;
                frame.crop(top, left, height, width)
            }
            (Act::Resize { target, filter, unchanged }, _) => {
                let size = target.of(size);
                let resize = resize_to(self.name, size, unchanged, frame.channels(), *filter)?;
                frame.resize(resize, unchanged, scratch)
            }
            (
                &Act::RandomResizedCrop {
                    height: to_height,
                    width: to_width,
                    filter,
                    ref unchanged,
                    ..
                },
                Some(&Drawn::Rectangle { top, left, height, width }),
            ) => {
                size.fits(self.name, top.saturating_add(height), left.saturating_add(width))?;
                frame.crop(top, left, height, width)?;
                let size = Size { height: to_height, width: to_width };
                let resize = resize_to(self.name, size, unchanged, frame.channels(), filter)?;
                frame.resize(resize, unchanged, scratch)
            }
            (Act::Pad { padding, fill }, _) => frame.pad(*padding, fill),
            (Act::Flip { axis, .. }, Some(Drawn::Applied(applied))) => {
                if *applied {
                    frame.flip(*axis)
                } else {
                    Ok(())
                }
            }
            (Act::QuarterTurn { turns: own }, Some(Drawn::QuarterTurns(turns)))
                if own.contains(turns) =>
            {
                (0..*turns).try_for_each(|_| frame.turn(scratch))
            }
            (Act::Values { map, channel_axis }, _) => frame.map(map, *channel_axis, scratch),
            (act, Some(Drawn::Applied(false))) if act.is_in_place(false) => Ok(()),
            (act, Some(drawn)) if act.is_in_place(false) => {
                frame.change(scratch, |shape, dtype, bytes| {
                    let packed = Packed { bytes, shape, dtype, channels_first: false };
                    packed.change(self.name, act, drawn)
                })
            }
            (_, _) => Err(Error::Drawn { transform: self.name }),
        }
    }
}

/// `unchanged` says of which dtype.
pub(crate) fn resize_to(
    transform: &'static str,
    size: Size,
    unchanged: &ValueMap,
    channels: usize,
    filter: Filter,
) -> Result<Resize> {
    Resize::new(size.height, size.width, channels, unchanged.source(), filter)
        .map_err(|source| Error::InTransform { transform, source: Box::new(source) })
}
