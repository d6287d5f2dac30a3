//! A list of transforms, compiled to one program that makes an item in one pass.
//!
//! Transforms come in two kinds, and the kinds commute. Geometry (crops, flips, the order of axes) chooses elements, so it
//! becomes a layout. Values (conversion, normalisation) map each element, so they become one [`ValueMap`]. A program
//! narrows and turns the item's layout and lets the map read through it, writing each element once.
//!
//! Names, parameters and their meaning are those of `torchvision.transforms.v2`, but items are channels-last, as images
//! are in memory: (height, width) or (height, width, channels). [`Transform::ChannelsFirst`] turns them for the model.

use ndlens_core::{DType, ViewRef};
use ndlens_kernels::{Step, Stores, ValueMap};

use crate::draws::Draws;
use crate::error::{Error, Result};

/// One step of an augmentation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Transform {
    /// A rectangle of the image, each position equally likely: top drawn first, then left.
    RandomCrop {
        /// Rows to keep.
        height: usize,
        /// Columns to keep.
        width: usize,
    },
    /// The middle of the image.
    CenterCrop {
        /// Rows to keep.
        height: usize,
        /// Columns to keep.
        width: usize,
    },
    /// Left and right exchanged, with probability `p`.
    RandomHorizontalFlip {
        /// How likely.
        p: f64,
    },
    /// Top and bottom exchanged, with probability `p`.
    RandomVerticalFlip {
        /// How likely.
        p: f64,
    },
    /// Elements of another dtype; `scale` takes the integers' range to 0..1.
    ToDtype {
        /// The dtype to convert to.
        dtype: DType,
        /// Whether to scale.
        scale: bool,
    },
    /// `(x - mean) / std`, for each channel or for all.
    Normalize {
        /// One mean, or one for each channel.
        mean: Vec<f64>,
        /// One standard deviation, or one for each channel.
        std: Vec<f64>,
    },
    /// (H, W, C) to (C, H, W).
    ChannelsFirst,
}

/// Height and width are axes 0 and 1 of an item, channels axis 2.
const HEIGHT: usize = 0;
const WIDTH: usize = 1;
const CHANNEL: usize = 2;

#[derive(Debug, Clone)]
enum Geometry {
    Crop { height: usize, width: usize, max_top: usize, max_left: usize },
    Narrow { top: usize, left: usize, height: usize, width: usize },
    Flip { axis: usize, p: f64 },
}

/// Transforms compiled for items of one shape and dtype.
#[derive(Debug, Clone)]
pub struct Program {
    geometry: Vec<Geometry>,
    /// The order of the output's axes, where it is not the item's.
    axes: Option<[isize; 3]>,
    /// The channel's place in the output.
    channel_axis: Option<usize>,
    values: ValueMap,
    shape: Vec<usize>,
}

impl Program {
    /// Compiles `transforms` for items of the given shape and dtype.
    ///
    /// # Errors
    ///
    /// [`Error::ItemShape`] where an image transform meets something else; [`Error::CropTooLarge`],
    /// [`Error::EmptyCrop`], [`Error::Probability`], [`Error::ChannelsFirstTwice`]; [`Error::Kernels`] where values
    /// cannot be mapped so.
    pub fn compile(transforms: &[Transform], shape: &[usize], dtype: &DType) -> Result<Self> {
        let mut geometry = vec![];
        let mut steps = vec![];
        let mut channels_first = false;
        // The image as it is after the transforms so far, channels last.
        let mut size = (shape.first().copied().unwrap_or(0), shape.get(WIDTH).copied().unwrap_or(0));
        let channels = (shape.len() == 3).then(|| shape[CHANNEL]);
        for transform in transforms {
            match transform {
                &Transform::RandomCrop { height, width } => {
                    fits("RandomCrop", shape, size, height, width)?;
                    let (max_top, max_left) = (size.0 - height, size.1 - width);
                    geometry.push(Geometry::Crop { height, width, max_top, max_left });
                    size = (height, width);
                }
                &Transform::CenterCrop { height, width } => {
                    fits("CenterCrop", shape, size, height, width)?;
                    let (top, left) = (half_to_even(size.0 - height), half_to_even(size.1 - width));
                    geometry.push(Geometry::Narrow { top, left, height, width });
                    size = (height, width);
                }
                &Transform::RandomHorizontalFlip { p } => {
                    geometry.push(flip("RandomHorizontalFlip", shape, WIDTH, p)?);
                }
                &Transform::RandomVerticalFlip { p } => {
                    geometry.push(flip("RandomVerticalFlip", shape, HEIGHT, p)?);
                }
                Transform::ToDtype { dtype, scale } => {
                    steps.push(Step::ToDtype { dtype: dtype.clone(), scale: *scale });
                }
                Transform::Normalize { mean, std } => {
                    steps.push(Step::Normalize { mean: mean.clone(), std: std.clone() });
                }
                Transform::ChannelsFirst if channels_first => return Err(Error::ChannelsFirstTwice),
                Transform::ChannelsFirst => {
                    is_image("ChannelsFirst", shape, 3..=3)?;
                    channels_first = true;
                }
            }
        }
        let values = ValueMap::new(dtype, channels.unwrap_or(1), &steps)?;
        let mut shape = shape.to_vec();
        if !geometry.is_empty() {
            (shape[HEIGHT], shape[WIDTH]) = size;
        }
        if channels_first {
            shape.rotate_right(1);
        }
        let channel_axis = channels.map(|_| if channels_first { 0 } else { CHANNEL });
        let axes = channels_first.then_some([CHANNEL, HEIGHT, WIDTH].map(|axis| axis as isize));
        Ok(Program { geometry, axes, channel_axis, values, shape })
    }

    /// The shape of what comes out.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The dtype of what comes out.
    pub fn dtype(&self) -> &DType {
        self.values.dtype()
    }

    /// Bytes of what comes out.
    pub fn nbytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype().itemsize()
    }

    /// Makes one item: reads it once, writes it once, packed in C order, into `destination`.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] or [`Error::Kernels`] where the item or the destination is not of the size compiled for.
    pub fn run(
        &self,
        item: ViewRef<'_>,
        draws: &mut Draws,
        destination: &mut [u8],
        stores: Stores,
    ) -> Result<()> {
        let mut item = item;
        for step in &self.geometry {
            item = match *step {
                Geometry::Crop { height, width, max_top, max_left } => {
                    let top = draws.below(max_top as u64 + 1) as usize;
                    let left = draws.below(max_left as u64 + 1) as usize;
                    item.narrow(HEIGHT, top, height)?.narrow(WIDTH, left, width)?
                }
                Geometry::Narrow { top, left, height, width } => {
                    item.narrow(HEIGHT, top, height)?.narrow(WIDTH, left, width)?
                }
                Geometry::Flip { axis, p } => {
                    if draws.chance(p) {
                        item.flip(&[axis as isize])?
                    } else {
                        item
                    }
                }
            };
        }
        if let Some(axes) = &self.axes {
            item = item.permute(axes)?;
        }
        Ok(self.values.apply(&item, self.channel_axis, destination, stores)?)
    }
}

fn is_image(transform: &'static str, shape: &[usize], ranks: std::ops::RangeInclusive<usize>) -> Result<()> {
    if ranks.contains(&shape.len()) {
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
    Err(Error::ItemShape { transform, expected, got: shape.to_vec(), hint })
}

fn fits(
    name: &'static str,
    shape: &[usize],
    image: (usize, usize),
    height: usize,
    width: usize,
) -> Result<()> {
    is_image(name, shape, 2..=3)?;
    if height == 0 || width == 0 {
        return Err(Error::EmptyCrop { transform: name, height, width });
    }
    if height > image.0 || width > image.1 {
        let (image_height, image_width) = image;
        return Err(Error::CropTooLarge { transform: name, height, width, image_height, image_width });
    }
    Ok(())
}

fn flip(transform: &'static str, shape: &[usize], axis: usize, p: f64) -> Result<Geometry> {
    is_image(transform, shape, 2..=3)?;
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::Probability { transform, p });
    }
    Ok(Geometry::Flip { axis, p })
}

/// `round(n / 2)` as Python rounds, which is how torchvision finds the middle: .5 goes to the even neighbour.
fn half_to_even(n: usize) -> usize {
    n / 2 + usize::from(n % 4 == 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draws::Stream;
    use ndlens_core::View;

    fn image(height: isize, width: isize, channels: isize) -> View {
        let n = height * width * channels;
        View::from_vec((0..n).map(|i| i as u8).collect()).reshape(&[height, width, channels]).unwrap()
    }

    fn run(transforms: &[Transform], image: &View, item: u64) -> (Vec<usize>, Vec<u8>) {
        let program = Program::compile(transforms, image.shape(), image.dtype()).unwrap();
        let mut out = vec![0; program.nbytes()];
        program
            .run(image.as_ref(), &mut Stream::new(0, "image").draws(0, item), &mut out, Stores::Cached)
            .unwrap();
        (program.shape().to_vec(), out)
    }

    #[test]
    fn a_random_crop_is_a_rectangle_of_the_image_and_every_position_comes() {
        let image = image(4, 5, 3);
        let mut seen = std::collections::BTreeSet::new();
        for item in 0..200 {
            let (shape, out) = run(&[Transform::RandomCrop { height: 2, width: 3 }], &image, item);
            assert_eq!(shape, [2, 3, 3]);
            let first = out[0] as usize / 3;
            let (top, left) = (first / 5, first % 5);
            let crop = image.as_ref().narrow(0, top, 2).unwrap().narrow(1, left, 3).unwrap();
            let mut expected = vec![0; 18];
            crop.read_into(&mut expected).unwrap();
            assert_eq!(out, expected);
            seen.insert((top, left));
        }
        assert_eq!(seen.len(), 9);
    }

    #[test]
    fn the_middle_is_where_torchvision_finds_it() {
        // torchvision.transforms.v2.functional.center_crop of 4, 5, 6, 7 rows to 2: int(round((h - 2) / 2)).
        for (height, top) in [(4, 1), (5, 2), (6, 2), (7, 2), (3, 0)] {
            let (_, out) = run(&[Transform::CenterCrop { height: 2, width: 1 }], &image(height, 1, 1), 0);
            assert_eq!(usize::from(out[0]), top, "{height}");
        }
    }

    #[test]
    fn flips_and_channels_first_move_elements_where_they_belong() {
        let image = image(2, 2, 3);
        let (shape, out) = run(
            &[
                Transform::RandomHorizontalFlip { p: 1.0 },
                Transform::RandomVerticalFlip { p: 0.0 },
                Transform::ChannelsFirst,
            ],
            &image,
            0,
        );
        assert_eq!(shape, [3, 2, 2]);
        assert_eq!(out, [3, 0, 9, 6, 4, 1, 10, 7, 5, 2, 11, 8]);
    }

    #[test]
    fn what_cannot_be_compiled_says_why() {
        let message = |transforms: &[Transform], shape: &[usize]| {
            Program::compile(transforms, shape, &DType::U8).unwrap_err().to_string()
        };
        let crop = Transform::RandomCrop { height: 9, width: 4 };
        assert_eq!(
            message(std::slice::from_ref(&crop), &[8, 8, 3]),
            "RandomCrop(9, 4) is larger than the image, which has height 8 and width 8"
        );
        assert_eq!(
            message(&[Transform::CenterCrop { height: 0, width: 4 }], &[8, 8]),
            "CenterCrop(0, 4): a crop needs at least one row and one column"
        );
        assert_eq!(
            message(&[crop], &[64]),
            "RandomCrop needs items of shape (height, width) or (height, width, channels), got [64]; bring the axes into \
             this order with permute or reshape"
        );
        assert_eq!(
            message(&[Transform::ChannelsFirst], &[8, 8]),
            "ChannelsFirst needs items of shape (height, width, channels), got [8, 8]; add a channel axis with view[..., None]"
        );
        assert_eq!(
            message(&[Transform::ChannelsFirst, Transform::ChannelsFirst], &[8, 8, 3]),
            "ChannelsFirst comes twice: the channels are first already"
        );
        assert_eq!(
            message(&[Transform::RandomVerticalFlip { p: 1.5 }], &[8, 8]),
            "RandomVerticalFlip: p must be between 0 and 1, got 1.5"
        );
    }
}
