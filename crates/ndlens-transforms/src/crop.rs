//! Crops: a rectangle of the image.

use crate::arguments::{Arguments, Constructor, FromArguments};
use crate::channels::Convention;
use crate::error::{Error, Result};
use crate::fill::Fill;
use crate::frame::Frame;
use crate::input::Input;
use crate::item_shape::ItemShape;
use crate::params::{Drawn, Kind, Rectangle};
use crate::random::ItemStream;
use crate::scratch::Scratch;
use crate::size::{Size, Sizes};
use crate::step::{Axes, Choice, ChoiceOf, Effect, Step, draws_nothing, of_images};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] =
    &[Constructor::of::<RandomCrop>(), Constructor::of::<CenterCrop>(), Constructor::of::<Crop>()];

/// A random rectangle of the image, uniform over all positions.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomCrop {
    /// Rows and columns to keep.
    pub size: Size,
    /// Pixels that the image is padded with first: to the left, top, right and bottom.
    pub padding: [usize; 4],
    /// Whether an image that is still too small is padded by the missing pixels, on both sides.
    pub pad_if_needed: bool,
    /// Fill of the padding.
    pub fill: Fill,
}

impl RandomCrop {
    /// A crop of the image itself, without padding.
    pub fn new(height: usize, width: usize) -> Self {
        RandomCrop {
            size: Size { height, width },
            padding: [0; 4],
            pad_if_needed: false,
            fill: Fill::default(),
        }
    }

    /// The padding of an image of this size. The missing pixels are added on both sides, so the
    /// crop still has a choice, as in torchvision.
    fn padding_of(&self, size: Size) -> [usize; 4] {
        if !self.pad_if_needed {
            return self.padding;
        }
        let padded = size.padded(self.padding);
        let rows = self.size.height.saturating_sub(padded.height);
        let columns = self.size.width.saturating_sub(padded.width);
        let [left, top, right, bottom] = self.padding;
        let sum = usize::saturating_add;
        [sum(left, columns), sum(top, rows), sum(right, columns), sum(bottom, rows)]
    }
}

impl FromArguments for RandomCrop {
    const NAME: &'static str = "RandomCrop";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(RandomCrop {
            size: arguments.take("size")?,
            padding: arguments.take("padding")?,
            pad_if_needed: arguments.take("pad_if_needed")?,
            fill: arguments.take_fill()?,
        })
    }
}

impl Step for RandomCrop {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        let least = input.sizes().least;
        is_not_empty(Self::NAME, self.size)?;
        input.is_addressable(least.padded(self.padding_of(least)))?;
        if self.padding != [0; 4] || self.pad_if_needed {
            input.prepare(Self::NAME, &mut self.fill, self.padding)?;
        }
        if !self.pad_if_needed {
            let padded = input.sizes().map(|size| size.padded(self.padding));
            padded.fit(Self::NAME, self.size.height, self.size.width)?;
        }
        Ok(Effect::Image(Sizes::one(self.size)))
    }

    fn choice(&self, size: Option<Size>) -> Option<Choice> {
        let Size { height, width } = self.size;
        let padded = match (self.padding, self.pad_if_needed) {
            ([0, 0, 0, 0], false) => String::new(),
            (padding, needed) => {
                let needed = if needed { " and where needed" } else { "" };
                format!(", padded by {padding:?}{needed}")
            }
        };
        Some(Choice {
            text: format!("crops of {height} x {width}{}{padded}", of_images(size)),
            of: ChoiceOf::Rectangle,
            kinds: &[Kind::Rectangle],
        })
    }

    fn draw(&self, item: ItemStream, size: Size) -> Result<Option<Drawn>> {
        let padded = size.padded(self.padding_of(size));
        let Size { height, width } = self.size;
        padded.fits(Self::NAME, height, width)?;
        let mut draws = item.draws();
        let top = draws.below((padded.height - height) as u64 + 1) as usize;
        let left = draws.below((padded.width - width) as u64 + 1) as usize;
        Ok(Some(Drawn::Rectangle(Rectangle { top, left, height, width })))
    }

    fn size_after(&self, _size: Size, _drawn: Option<&Drawn>) -> Size {
        self.size
    }

    fn apply<'a>(
        &'a self,
        drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        _scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(Drawn::Rectangle(rectangle)) = drawn else {
            return Err(Error::Drawn { transform: Self::NAME });
        };
        if (rectangle.height, rectangle.width) != (self.size.height, self.size.width) {
            return Err(Error::Drawn { transform: Self::NAME });
        }
        let padding = self.padding_of(frame.size());
        // Parameters may come from a user.
        has(Self::NAME, frame.size().padded(padding), rectangle)?;
        self.fill.check_size(Self::NAME, frame.size(), self.padding)?;
        frame.pad(padding, &self.fill)?;
        frame.crop(*rectangle)
    }
}

/// The middle of the image; a smaller image is padded with 0.
#[derive(Debug, Clone, PartialEq)]
pub struct CenterCrop {
    /// Rows and columns to keep.
    pub size: Size,
    /// Fill of the padding of a smaller image.
    fill: Fill,
}

impl CenterCrop {
    /// A crop of `height` rows and `width` columns.
    pub fn new(height: usize, width: usize) -> Self {
        CenterCrop { size: Size { height, width }, fill: Fill::default() }
    }

    /// The padding of an image of this size.
    fn padding_of(&self, size: Size) -> [usize; 4] {
        let rows = self.size.height.saturating_sub(size.height);
        let columns = self.size.width.saturating_sub(size.width);
        [columns / 2, rows / 2, columns.div_ceil(2), rows.div_ceil(2)]
    }
}

impl FromArguments for CenterCrop {
    const NAME: &'static str = "CenterCrop";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        let Size { height, width } = arguments.take("size")?;
        Ok(CenterCrop::new(height, width))
    }
}

impl Step for CenterCrop {
    draws_nothing!();

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        is_not_empty(Self::NAME, self.size)?;
        input.is_addressable(self.size)?;
        let least = input.sizes().least;
        if self.size.height > least.height || self.size.width > least.width {
            input.prepare(Self::NAME, &mut self.fill, [0; 4])?;
        }
        Ok(Effect::Image(Sizes::one(self.size)))
    }

    fn size_after(&self, _size: Size, _drawn: Option<&Drawn>) -> Size {
        self.size
    }

    fn apply<'a>(
        &'a self,
        _drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        _scratch: &mut Scratch,
    ) -> Result<()> {
        let padding = self.padding_of(frame.size());
        let padded = frame.size().padded(padding);
        frame.pad(padding, &self.fill)?;
        let Size { height, width } = self.size;
        let top = half_to_even(padded.height - height);
        let left = half_to_even(padded.width - width);
        frame.crop(Rectangle { top, left, height, width })
    }
}

/// A given rectangle.
#[derive(Debug, Clone, PartialEq)]
pub struct Crop {
    /// The rectangle.
    pub rectangle: Rectangle,
}

impl FromArguments for Crop {
    const NAME: &'static str = "Crop";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(Crop {
            rectangle: Rectangle {
                top: arguments.take("top")?,
                left: arguments.take("left")?,
                height: arguments.take("height")?,
                width: arguments.take("width")?,
            },
        })
    }
}

impl Crop {
    fn size(&self) -> Size {
        Size { height: self.rectangle.height, width: self.rectangle.width }
    }
}

impl Step for Crop {
    draws_nothing!();

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        is_not_empty(Self::NAME, self.size())?;
        if !input.sizes().is_open {
            has(Self::NAME, input.sizes().least, &self.rectangle)?;
        }
        Ok(Effect::Image(Sizes::one(self.size())))
    }

    fn size_after(&self, _size: Size, _drawn: Option<&Drawn>) -> Size {
        self.size()
    }

    fn apply<'a>(
        &'a self,
        _drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        _scratch: &mut Scratch,
    ) -> Result<()> {
        has(Self::NAME, frame.size(), &self.rectangle)?;
        frame.crop(self.rectangle)
    }
}

/// Checks that an image of this size contains this rectangle.
pub(crate) fn has(transform: &'static str, size: Size, rectangle: &Rectangle) -> Result<()> {
    let &Rectangle { top, left, height, width } = rectangle;
    size.fits(transform, top.saturating_add(height), left.saturating_add(width))
}

fn is_not_empty(transform: &'static str, Size { height, width }: Size) -> Result<()> {
    if height == 0 || width == 0 {
        return Err(Error::EmptyCrop { transform, height, width });
    }
    Ok(())
}

/// `round(n / 2)` as Python rounds, which is how torchvision finds the middle: .5 goes to the even
/// neighbour.
fn half_to_even(n: usize) -> usize {
    n / 2 + usize::from(n % 4 == 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{image, message, run};

    #[test]
    fn a_random_crop_is_a_rectangle_of_the_image_and_every_position_comes() {
        let image = image(4, 5, 3);
        let mut seen = std::collections::BTreeSet::new();
        for item in 0..200 {
            let (shape, out) = run(&[RandomCrop::new(2, 3).boxed()], &image, item);
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
    fn the_middle_is_that_of_torchvision() {
        // torchvision.transforms.v2.functional.center_crop of 4, 5, 6, 7 rows to 2: int(round((h -
        // 2) / 2)).
        for (height, top) in [(4, 1), (5, 2), (6, 2), (7, 2), (3, 0)] {
            let (_, out) = run(&[CenterCrop::new(2, 1).boxed()], &image(height, 1, 1), 0);
            assert_eq!(usize::from(out[0]), top, "{height}");
        }
    }

    #[test]
    fn a_crop_that_does_not_fit_is_refused() {
        assert_eq!(
            message(&[RandomCrop::new(9, 4).boxed()], &[8, 8, 3]),
            "RandomCrop(9, 4) is larger than the image, which has height 8 and width 8"
        );
        assert_eq!(
            message(&[CenterCrop::new(0, 4).boxed()], &[8, 8]),
            "CenterCrop(0, 4): a crop needs at least one row and one column"
        );
        assert_eq!(
            message(&[RandomCrop::new(9, 4).boxed()], &[64]),
            "RandomCrop needs items of shape (height, width) or (height, width, channels), got \
             [64]; bring the axes into this order with reshape; if these are encoded images, give \
             nl.images(items)"
        );
    }
}
