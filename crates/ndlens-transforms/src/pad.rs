//! Padding: more pixels around an image.

use crate::arguments::{Arguments, Constructor, FromArguments};
use crate::channels::Convention;
use crate::error::Result;
use crate::fill::Fill;
use crate::frame::Frame;
use crate::input::Input;
use crate::item_shape::ItemShape;
use crate::params::Drawn;
use crate::scratch::Scratch;
use crate::size::Size;
use crate::step::{Axes, Effect, Step, draws_nothing};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] = &[Constructor::of::<Pad>()];

/// Adds pixels around the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// Pixels to the left, top, right and bottom.
    pub padding: [usize; 4],
    /// Fill of the padding.
    pub fill: Fill,
}

impl FromArguments for Pad {
    const NAME: &'static str = "Pad";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(Pad { padding: arguments.take("padding")?, fill: arguments.take_fill()? })
    }
}

impl Step for Pad {
    draws_nothing!();

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        input.prepare(Self::NAME, &mut self.fill, self.padding)?;
        Ok(Effect::Image(input.sizes().map(|size| size.padded(self.padding))))
    }

    fn size_after(&self, size: Size, _drawn: Option<&Drawn>) -> Size {
        size.padded(self.padding)
    }

    fn apply<'a>(
        &'a self,
        _drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        _scratch: &mut Scratch,
    ) -> Result<()> {
        self.fill.check_size(Self::NAME, frame.size(), self.padding)?;
        frame.pad(self.padding, &self.fill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fill::Padding;
    use crate::testing::{image, message, run};

    #[test]
    fn an_image_is_padded_on_each_side_by_its_own_number_of_pixels() {
        let pad = |mode| Pad { padding: [1, 0, 2, 1], fill: Fill::new(mode, vec![9.0]) }.boxed();
        let (shape, out) = run(&[pad(Padding::Constant)], &image(1, 3, 1), 0);
        assert_eq!(shape, [2, 6, 1]);
        assert_eq!(out, [9, 0, 1, 2, 9, 9, 9, 9, 9, 9, 9, 9]);
        let (_, out) = run(&[pad(Padding::Edge)], &image(1, 3, 1), 0);
        assert_eq!(out, [0, 0, 1, 2, 2, 2, 0, 0, 1, 2, 2, 2]);
    }

    #[test]
    fn an_image_that_is_mirrored_beyond_itself_is_refused() {
        let fill = Fill::new(Padding::Reflect, vec![]);
        assert_eq!(
            message(&[Pad { padding: [3, 0, 0, 0], fill }.boxed()], &[8, 3]),
            "Pad: padding [3, 0, 0, 0] (left, top, right, bottom) mirrors more than the image has, \
             which is 8 high and 3 wide"
        );
    }
}
