//! Where the channels of an image are: what the user says, or what a shape alone tells.
//!
//! An item of three axes may be (height, width, channels), as images lie in memory, (channels,
//! height, width), as torch has them, or a volume. A crop along the wrong axes raises nothing and
//! ruins a training, so transforms that treat axes differently ask, unless the shape leaves one
//! answer:
//!
//! | shape | with ours | with torchvision's |
//! |---|---|---|
//! | (a, b, 1) and (a, b, 3), a and b above 4 | last | last |
//! | (a, b, 2) and (a, b, 4), a and b from 16 on | last | last |
//! | the same with the small axis in front | asks | first |
//! | (a, b, c), c up to 4 and below both a and b | last | asks |
//! | items that differ in both of the first two axes | last | last |
//! | anything else | asks | asks |
//!
//! Ours are documented to take (height, width, channels), so they ask only where that is not the
//! likely reading. A list with `ChannelsFirst` says that the channels are last before
//! it, unless the shape tells that they are first.

use crate::error::{Error, Result};
use crate::item_shape::ItemShape;

/// Where the channels of an image of three axes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channels {
    /// (channels, height, width).
    First,
    /// (height, width, channels).
    Last,
}

/// Whose conventions a list of transforms follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Convention {
    /// Ours: images are (height, width, channels) until `ChannelsFirst`.
    Ndlens,
    /// torchvision's: images are (channels, height, width).
    Torchvision {
        /// Whether a step makes images of arrays, which gives (height, width) a channel.
        to_image: bool,
    },
}

impl Channels {
    /// By its name.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownChannels`] for another.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "first" => Ok(Channels::First),
            "last" => Ok(Channels::Last),
            _ => Err(Error::UnknownChannels { got: name.to_owned() }),
        }
    }

    /// What the shape of three axes tells who takes images of this convention; None where it may be
    /// either.
    pub fn likely(shape: ItemShape<'_>, convention: Convention) -> Option<Self> {
        match (Channels::told_by(shape), shape.least(), convention) {
            (Some(Channels::First), _, Convention::Ndlens) => None,
            (None, &[a, b, c], Convention::Ndlens) if (1..=4).contains(&c) && c < a.min(b) => {
                Some(Channels::Last)
            }
            (told, ..) => told,
        }
    }

    /// What the shape of three axes alone tells; None where it may be either.
    pub fn told_by(shape: ItemShape<'_>) -> Option<Self> {
        let &[a, b, c] = shape.least() else { return None };
        let sizes: Vec<_> = shape.sizes().collect();
        let is_image = |channels: usize, height: usize, width: usize| {
            // Fewer pixels than this to a side are as likely the channels of something else.
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
    fn a_shape_tells_where_the_channels_are_only_where_it_can_be_nothing_else() {
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
    fn our_own_transforms_take_the_last_axis_for_channels_where_it_is_small_and_the_smallest() {
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
    fn items_that_differ_tell_by_the_axes_in_which_they_do() {
        let told =
            |least: &[usize], most: &[usize]| Channels::told_by(ItemShape::between(least, most));
        assert_eq!(told(&[2, 3, 12], &[9, 9, 12]), Some(Channels::Last));
        assert_eq!(told(&[16, 64, 64], &[32, 64, 64]), None);
        assert_eq!(told(&[3, 64, 64], &[3, 80, 64]), Some(Channels::First));
        assert_eq!(told(&[1, 64, 64], &[3, 64, 64]), None);
    }
}
