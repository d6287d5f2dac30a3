//! Rectangles of the image that are overwritten.

use crate::arguments::{Argument, Arguments, Constructor, FromArgument, FromArguments};
use crate::channels::Convention;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::input::Input;
use crate::interval::{Interval, is_probability};
use crate::item_shape::ItemShape;
use crate::params::{Drawn, Erased, Kind, Rectangle};
use crate::random::ItemStream;
use crate::scratch::Scratch;
use crate::size::Size;
use crate::step::{Axes, Choice, ChoiceOf, Effect, Step, of_images};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] = &[Constructor::of::<RandomErasing>()];

/// The new values of erased pixels.
#[derive(Debug, Clone, PartialEq)]
pub enum Erasure {
    /// One value for all channels, or one for each.
    Values(Vec<f64>),
    /// Normal numbers of mean 0 and variance 1.
    Random,
}

impl FromArgument for Erasure {
    const EXPECTED: &'static str = "values or \"random\"";

    fn from_argument(argument: &Argument) -> Option<Self> {
        match argument {
            Argument::Text(word) => (word == "random").then_some(Erasure::Random),
            values => Vec::from_argument(values).map(Erasure::Values),
        }
    }
}

/// Overwrites a rectangle, with probability `p` (Zhong et al., "Random erasing data augmentation",
/// AAAI 2020).
#[derive(Debug, Clone, PartialEq)]
pub struct RandomErasing {
    /// The probability of a rectangle.
    pub p: f64,
    /// The rectangle's area as a part of the image's.
    pub scale: Interval,
    /// The rectangle's height over its width.
    pub ratio: Interval,
    /// Values that overwrite the rectangle.
    pub value: Erasure,
    /// The pixel of [`Erasure::Values`] in the image's dtype; known when the dtype is.
    pixel: Vec<u8>,
}

impl RandomErasing {
    /// An erasing of rectangles with an area and a ratio in these intervals.
    pub fn new(p: f64, scale: Interval, ratio: Interval, value: Erasure) -> Self {
        RandomErasing { p, scale, ratio, value, pixel: vec![] }
    }
}

impl FromArguments for RandomErasing {
    const NAME: &'static str = "RandomErasing";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        let (p, scale) = (arguments.take("p")?, arguments.take("scale")?);
        Ok(RandomErasing::new(p, scale, arguments.take("ratio")?, arguments.take("value")?))
    }
}

impl Step for RandomErasing {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        is_probability(Self::NAME, self.p)?;
        self.scale.within(Self::NAME, "scale", 0.0..=1.0, "both from 0 to 1")?;
        let positive = f64::MIN_POSITIVE..=f64::MAX;
        self.ratio.within(Self::NAME, "ratio", positive, "both above 0")?;
        match &self.value {
            Erasure::Values(values) => self.pixel = input.pixel(Self::NAME, values)?,
            Erasure::Random => input.is_float(Self::NAME)?,
        }
        Ok(Effect::InPlace { channels_first: true })
    }

    fn choice(&self, size: Option<Size>) -> Option<Choice> {
        let RandomErasing { p, scale, ratio, .. } = self;
        Some(Choice {
            text: format!("p = {p}, scale {scale}, ratio {ratio}{}", of_images(size)),
            of: ChoiceOf::Rectangle,
            kinds: &[Kind::Applied, Kind::Erased],
        })
    }

    /// Ten attempts at a rectangle that is smaller than the image, as in
    /// `torchvision.transforms.v2.RandomErasing`.
    fn draw(&self, item: ItemStream, size: Size) -> Result<Option<Drawn>> {
        let mut draws = item.draws();
        if !draws.chance(self.p) {
            return Ok(Some(Drawn::Applied(false)));
        }
        for _ in 0..10 {
            let area = size.height as f64 * size.width as f64 * self.scale.draw(&mut draws);
            let ratio = self.ratio.draw_log(&mut draws);
            let height = (area * ratio).sqrt().round_ties_even() as usize;
            let width = (area / ratio).sqrt().round_ties_even() as usize;
            if height < size.height && width < size.width {
                let top = draws.below((size.height - height) as u64 + 1) as usize;
                let left = draws.below((size.width - width) as u64 + 1) as usize;
                let rectangle = Rectangle { top, left, height, width };
                return Ok(Some(Drawn::Erased(Erased { rectangle, noise: item.noise() })));
            }
        }
        Ok(Some(Drawn::Applied(false)))
    }

    fn size_after(&self, size: Size, _drawn: Option<&Drawn>) -> Size {
        size
    }

    fn apply<'a>(
        &'a self,
        drawn: Option<&Drawn>,
        frame: &mut Frame<'a>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let &Erased { rectangle, noise } = match drawn {
            Some(Drawn::Applied(false)) => return Ok(()),
            Some(Drawn::Erased(erased)) => erased,
            _ => return Err(Error::Drawn { transform: Self::NAME }),
        };
        frame.change(scratch, |mut elements| {
            if !elements.has(rectangle) {
                return Err(Error::Drawn { transform: Self::NAME });
            }
            match &self.value {
                Erasure::Values(_) => elements.fill(rectangle, &self.pixel),
                Erasure::Random => elements.fill_with(rectangle, noise),
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::ChannelsFirst;
    use crate::testing::{image, message, run};

    fn erasing(value: Erasure) -> Box<dyn Step> {
        let (scale, ratio) = (Interval { low: 0.2, high: 0.4 }, Interval { low: 1.0, high: 1.0 });
        RandomErasing::new(1.0, scale, ratio, value).boxed()
    }

    #[test]
    fn a_rectangle_is_overwritten_in_either_order_of_channels() {
        let erase = erasing(Erasure::Values(vec![101.0, 102.0, 103.0]));
        let (_, last) = run(std::slice::from_ref(&erase), &image(5, 5, 3), 4);
        let (_, first) = run(&[erase, ChannelsFirst::default().boxed()], &image(5, 5, 3), 4);
        let erased = |channel: usize| (0..25).filter(|at| last[at * 3 + channel] > 100).count();
        assert!(erased(0) > 3 && erased(0) == erased(1) && erased(1) == erased(2));
        for (at, value) in first.iter().enumerate() {
            assert_eq!(*value, last[at % 25 * 3 + at / 25]);
        }
    }

    #[test]
    fn random_pixels_need_floats() {
        assert_eq!(
            message(&[erasing(Erasure::Random)], &[5, 5]),
            "RandomErasing needs a floating-point dtype, got uint8; put ToDtype(\"float32\", \
             scale=True) before it"
        );
    }
}
