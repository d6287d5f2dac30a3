//! The list of transforms.

use ndlens_core::DType;
use ndlens_kernels::Filter;

use crate::sizes::Target;

/// Height and width are axes 0 and 1 of an item, channels axis 2.
pub(crate) const HEIGHT: usize = 0;
pub(crate) const WIDTH: usize = 1;
pub(crate) const CHANNEL: usize = 2;

/// One step of an augmentation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Transform {
    /// A rectangle of the image, each position equally likely.
    RandomCrop {
        /// Rows to keep.
        height: usize,
        /// Columns to keep.
        width: usize,
        /// What the image is padded with first: pixels to the left, top, right and bottom.
        padding: [usize; 4],
        /// Whether an image that is still too small is padded until it is not.
        pad_if_needed: bool,
        /// What stands in the padding.
        fill: Filling,
    },
    /// The middle of the image; a smaller image is padded with 0.
    CenterCrop {
        /// Rows to keep.
        height: usize,
        /// Columns to keep.
        width: usize,
    },
    /// A given rectangle.
    Crop {
        /// The first row.
        top: usize,
        /// The first column.
        left: usize,
        /// Rows to keep.
        height: usize,
        /// Columns to keep.
        width: usize,
    },
    /// An image of another size.
    Resize {
        /// Which.
        target: Target,
        /// How values between pixels are found.
        filter: Filter,
    },
    /// A random part of the image, of random area and ratio, resized.
    RandomResizedCrop {
        /// Rows to resize to.
        height: usize,
        /// Columns to resize to.
        width: usize,
        /// The least and the most of the image's area to take.
        scale: Interval,
        /// The least and the most of width over height.
        ratio: Interval,
        /// How values between pixels are found.
        filter: Filter,
    },
    /// More image around the image.
    Pad {
        /// Pixels to the left, top, right and bottom.
        padding: [usize; 4],
        /// What stands in the padding.
        fill: Filling,
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
    /// Turned counter-clockwise by one of these numbers of 90 degrees, each equally likely.
    RandomQuarterTurn {
        /// Each from 0 to 3; 1 and 3 need a square image.
        turns: Vec<u8>,
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
    /// Brightness, contrast, saturation and hue changed by factors drawn from intervals, in an
    /// order that is drawn too.
    ColorJitter {
        /// Factors of every value, from 0 on.
        brightness: Option<Interval>,
        /// Factors of what tells values from the mean gray, from 0 on.
        contrast: Option<Interval>,
        /// Factors of what tells values from their pixel's gray, from 0 on.
        saturation: Option<Interval>,
        /// Parts of a circle, from -0.5 to 0.5.
        hue: Option<Interval>,
    },
    /// Every channel the pixel's gray, with probability `p`.
    RandomGrayscale {
        /// How likely.
        p: f64,
    },
    /// A rectangle overwritten, with probability `p` (Zhong et al., "Random erasing data
    /// augmentation", AAAI 2020).
    RandomErasing {
        /// How likely.
        p: f64,
        /// The rectangle's area as a part of the image's.
        scale: Interval,
        /// The rectangle's height over its width.
        ratio: Interval,
        /// What with.
        value: Erasure,
    },
    /// `(x - mean) / std`, for each feature along the last axis or for all; for items of any rank.
    Standardize {
        /// One mean, or one for each feature.
        mean: Vec<f64>,
        /// One standard deviation, or one for each feature.
        std: Vec<f64>,
    },
    /// Times a factor drawn from an interval.
    RandomScale {
        /// From where.
        factor: Interval,
        /// Whether each feature along the last axis has a factor of its own.
        per_feature: bool,
    },
    /// Plus a normal number of its own for each element.
    RandomJitter {
        /// The numbers' standard deviation.
        sigma: f64,
    },
    /// (H, W, C) to (C, H, W).
    ChannelsFirst,
    /// (H, W, C) seen as (C, H, W): torch's memory format `channels_last`. Nothing is moved for it.
    ChannelsLastFormat,
}

impl Transform {
    /// A [`RandomCrop`](Transform::RandomCrop) of the image itself, without padding.
    pub fn random_crop(height: usize, width: usize) -> Self {
        Transform::RandomCrop {
            height,
            width,
            padding: [0; 4],
            pad_if_needed: false,
            fill: Filling::default(),
        }
    }
}

/// Numbers from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.low, self.high)
    }
}

/// What erased pixels become.
#[derive(Debug, Clone, PartialEq)]
pub enum Erasure {
    /// One value for all channels, or one for each.
    Values(Vec<f64>),
    /// Normal numbers of mean 0 and variance 1.
    Random,
}

/// What stands beyond the edges of an image; torchvision's `padding_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// The same pixel everywhere.
    #[default]
    Constant,
    /// The nearest pixel of the image.
    Edge,
    /// The image mirrored at its outermost pixels, which are not repeated.
    Reflect,
    /// The image mirrored at its edges.
    Symmetric,
}

impl Padding {
    /// By torchvision's name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "constant" => Padding::Constant,
            "edge" => Padding::Edge,
            "reflect" => Padding::Reflect,
            "symmetric" => Padding::Symmetric,
            _ => return None,
        })
    }
}

/// What a padding is made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filling {
    /// How.
    pub mode: Padding,
    /// The pixel of [`Padding::Constant`]: one value for all channels, one for each, or none for 0.
    pub values: Vec<f64>,
}

/// A [`Filling`] of one dtype.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fill {
    pub(crate) mode: Padding,
    /// All channels of a pixel; for [`Padding::Constant`].
    pub(crate) pixel: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Pipeline;
    use crate::random::Stream;
    use crate::scratch::Scratch;
    use ndlens_core::View;
    use ndlens_kernels::Stores;

    fn image(height: isize, width: isize, channels: isize) -> View {
        let n = height * width * channels;
        View::from_vec((0..n).map(|i| i as u8).collect())
            .reshape(&[height, width, channels])
            .unwrap()
    }

    fn run(transforms: &[Transform], image: &View, item: u64) -> (Vec<usize>, Vec<u8>) {
        let pipeline = Pipeline::compile(transforms, image.shape(), image.dtype()).unwrap();
        let mut out = vec![0; pipeline.nbytes()];
        let drawn = pipeline.draw(Stream::new(0, "image"), 0, item, image.shape()).unwrap();
        pipeline
            .run(image.as_ref(), &drawn, &mut out, Stores::Cached, &mut Scratch::default())
            .unwrap();
        (pipeline.shape().to_vec(), out)
    }

    #[test]
    fn a_random_crop_is_a_rectangle_of_the_image_and_every_position_comes() {
        let image = image(4, 5, 3);
        let mut seen = std::collections::BTreeSet::new();
        for item in 0..200 {
            let (shape, out) = run(&[Transform::random_crop(2, 3)], &image, item);
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
        // torchvision.transforms.v2.functional.center_crop of 4, 5, 6, 7 rows to 2: int(round((h -
        // 2) / 2)).
        for (height, top) in [(4, 1), (5, 2), (6, 2), (7, 2), (3, 0)] {
            let (_, out) =
                run(&[Transform::CenterCrop { height: 2, width: 1 }], &image(height, 1, 1), 0);
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
            Pipeline::compile(transforms, shape, &DType::U8).unwrap_err().to_string()
        };
        let crop = Transform::random_crop(9, 4);
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
    #[test]
    fn an_item_beyond_the_address_space_is_refused_where_it_is_compiled() {
        let side = isize::MAX as usize / 4;
        let pad = Transform::Pad { padding: [0, 0, side, side], fill: Filling::default() };
        let error = Pipeline::compile(&[pad], &[8, 8][..], &DType::U8).unwrap_err().to_string();
        let side = side + 8;
        assert_eq!(
            error,
            format!("shape [{side}, {side}] with 1-byte elements does not fit the address space")
        );
        let wider = Transform::ToDtype { dtype: DType::F64, scale: false };
        let error =
            Pipeline::compile(&[wider], &[1 << 61][..], &DType::U8).unwrap_err().to_string();
        assert_eq!(
            error,
            "shape [2305843009213693952] with 8-byte elements does not fit the address space"
        );
    }

    #[test]
    fn no_size_overflows_whatever_it_is_added_to() {
        // Debug builds panic where a sum overflows.
        let image = image(4, 5, 3);
        let huge = [1 << 40, (1 << 62) - 1, 1 << 62, (1 << 62) + 1, (1 << 63) - 1, usize::MAX];
        let pad = |n| Transform::Pad { padding: [n; 4], fill: Filling::default() };
        let crop = |n, padding, pad_if_needed| {
            let fill = Filling::default();
            Transform::RandomCrop {
                height: n,
                width: n,
                padding: [padding; 4],
                pad_if_needed,
                fill,
            }
        };
        let filter =
            Filter { interpolation: ndlens_kernels::Interpolation::Nearest, antialias: true };
        let resize = |target| Transform::Resize { target, filter };
        let mut made = 0;
        for n in huge {
            let steps = [
                pad(n),
                crop(n, 0, true),
                crop(n, n, true),
                crop(3, n, false),
                crop(3, n, true),
                Transform::CenterCrop { height: n, width: n },
                Transform::Crop { top: n, left: n, height: n, width: n },
                Transform::Crop { top: 1, left: 0, height: n, width: 1 },
                resize(Target::Exactly { height: n, width: 1 }),
                resize(Target::Shorter { size: n, max_size: None }),
                resize(Target::Shorter { size: 1, max_size: Some(n) }),
                resize(Target::Longer { size: n }),
            ];
            for first in &steps {
                for second in &steps {
                    let flip = Transform::RandomHorizontalFlip { p: 1.0 };
                    let last = Transform::CenterCrop { height: 2, width: 2 };
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
