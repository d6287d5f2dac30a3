//! The order of an image's channels, from the user or from a shape alone.
//!
//! An item of three axes may be (height, width, channels), as images lie in memory, (channels,
//! height, width), as torch has them, or a volume. A crop along the wrong axes raises no error and
//! spoils a training. So transforms that treat axes differently need the order from the user,
//! unless the shape allows one order only:
//! | shape | ndlens's transforms | torchvision's |
//! |---|---|---|
//! | (a, b, 1) and (a, b, 3), a and b above 4 | last | last |
//! | (a, b, 2) and (a, b, 4), a and b from 16 on | last | last |
//! | the same with the small axis in front | asks | first |
//! | (a, b, c), c up to 4 and below both a and b | last | asks |
//! | items that differ in both of the first two axes | last | last |
//! | anything else | asks | asks |
//!
//! ndlens's transforms are documented for (height, width, channels), so they ask only if that is
//! not the likely order. A list with `ChannelsFirst` says that the channels are last before it,
//! unless the shape shows that they are first.

use crate::error::{Error, Result};
use crate::item_shape::ItemShape;

/// The place of the channels of an image of three axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channels {
    /// (channels, height, width).
    First,
    /// (height, width, channels).
    Last,
}

/// The convention that a list of transforms follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Convention {
    /// ndlens's convention: images are (height, width, channels) until `ChannelsFirst`.
    Ndlens,
    /// torchvision's convention: images are (channels, height, width).
    Torchvision {
        /// Whether a step makes images of arrays, which gives (height, width) a channel.
        to_image: bool,
    },
}

impl Channels {
    /// The order with this name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownChannels`] for another name.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "first" => Ok(Channels::First),
            "last" => Ok(Channels::Last),
            _ => Err(Error::UnknownChannels { got: name.to_owned() }),
        }
    }

    /// The likely order for a shape of three axes, with images of this convention; None if it may
    /// be either.
    pub fn likely(shape: ItemShape<'_>, convention: Convention) -> Option<Self> {
        match (Channels::told_by(shape), shape.least(), convention) {
            (Some(Channels::First), _, Convention::Ndlens) => None,
            (None, &[a, b, c], Convention::Ndlens) if (1..=4).contains(&c) && c < a.min(b) => {
                Some(Channels::Last)
            }
            (told, ..) => told,
        }
    }

    /// The order that a shape of three axes alone shows; None if it may be either.
    pub fn told_by(shape: ItemShape<'_>) -> Option<Self> {
        let &[a, b, c] = shape.least() else { return None };
        let sizes: Vec<_> = shape.sizes().collect();
        let is_image = |channels: usize, height: usize, width: usize| {
            // Sides of fewer pixels than this may as well be channels.
            let least_side = match channels {
                1 | 3 => 5,
                2 | 4 => 16,
                _ => return false,
            };
            height.min(width) >= least_side
        };
        match sizes[..] {
            [None, None, Some(_)] => Some(Channels::Last),
            [_, _, Some(_)] if is_image(c, a, b) => Some(Channels::Last),
            [Some(_), _, _] if is_image(a, b, c) => Some(Channels::First),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_shows_the_channels_only_if_no_other_order_is_possible() {
        let told = |shape: &[usize]| Channels::told_by(ItemShape::fixed(shape));
        for image in [[480, 640, 3], [28, 28, 1], [5, 5, 3], [16, 16, 2], [64, 48, 4]] {
            assert_eq!(told(&image), Some(Channels::Last), "{image:?}");
            let [height, width, channels] = image;
            assert_eq!(told(&[channels, height, width]), Some(Channels::First), "{image:?}");
        }
        let unclear = [
            [3, 4, 4],
            [4, 4, 3],
            [12, 32, 32],
            [32, 32, 12],
            [64, 64, 64],
            [256, 8, 4],
            [2, 9, 9],
            [3, 64, 3],
            [0, 0, 0],
        ];
        for shape in unclear {
            assert_eq!(told(&shape), None, "{shape:?}");
        }
        assert_eq!(told(&[28, 28]), None);
    }

    #[test]
    fn own_transforms_take_a_small_smallest_last_axis_for_the_channels() {
        let likely =
            |shape: &[usize]| Channels::likely(ItemShape::fixed(shape), Convention::Ndlens);
        for image in [[4, 4, 3], [2, 3, 1], [9, 9, 2], [480, 640, 3]] {
            assert_eq!(likely(&image), Some(Channels::Last), "{image:?}");
        }
        for unclear in
            [[3, 32, 32], [1, 28, 28], [3, 4, 4], [4, 4, 4], [64, 64, 5], [3, 64, 3], [16, 64, 64]]
        {
            assert_eq!(likely(&unclear), None, "{unclear:?}");
        }
    }

    #[test]
    fn items_of_different_sizes_show_the_order_by_the_axes_that_differ() {
        let told =
            |least: &[usize], most: &[usize]| Channels::told_by(ItemShape::between(least, most));
        assert_eq!(told(&[2, 3, 12], &[9, 9, 12]), Some(Channels::Last));
        assert_eq!(told(&[16, 64, 64], &[32, 64, 64]), None);
        assert_eq!(told(&[3, 64, 64], &[3, 80, 64]), Some(Channels::First));
        assert_eq!(told(&[1, 64, 64], &[3, 64, 64]), None);
    }
}
