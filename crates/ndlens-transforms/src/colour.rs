//! Changes of colour, drawn as torchvision draws them.

use ndlens_kernels::Adjustment;

use crate::arguments::{Arguments, Constructor, FromArguments};
use crate::channels::Convention;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::input::Input;
use crate::interval::{Interval, is_probability};
use crate::item_shape::ItemShape;
use crate::params::{Drawn, Kind};
use crate::random::ItemStream;
use crate::scratch::Scratch;
use crate::size::Size;
use crate::step::{Axes, Choice, ChoiceOf, Effect, Step};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] =
    &[Constructor::of::<ColorJitter>(), Constructor::of::<RandomGrayscale>()];

/// Changes of brightness, contrast, saturation and hue by factors drawn from intervals, in a random
/// order.
#[derive(Debug, Clone, PartialEq)]
pub struct ColorJitter {
    /// Factors of every value, from 0 on.
    pub brightness: Option<Interval>,
    /// Factors of the difference between values and the mean gray, from 0 on.
    pub contrast: Option<Interval>,
    /// Factors of the difference between values and their pixel's gray, from 0 on.
    pub saturation: Option<Interval>,
    /// Parts of a circle, from -0.5 to 0.5.
    pub hue: Option<Interval>,
}

impl FromArguments for ColorJitter {
    const NAME: &'static str = "ColorJitter";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(ColorJitter {
            brightness: arguments.take("brightness")?,
            contrast: arguments.take("contrast")?,
            saturation: arguments.take("saturation")?,
            hue: arguments.take("hue")?,
        })
    }
}

impl Step for ColorJitter {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        let factors = [
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
        ];
        for (part, interval) in factors {
            if let Some(interval) = interval {
                interval.within(Self::NAME, part, 0.0..=f64::MAX, "both from 0 on")?;
            }
        }
        if let Some(hue) = self.hue {
            hue.within(Self::NAME, "hue", -0.5..=0.5, "both from -0.5 to 0.5")?;
        }
        check_colours(Self::NAME, input)
    }

    fn choice(&self, _size: Option<Size>) -> Option<Choice> {
        let parts = [
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
            ("hue", self.hue),
        ];
        let part =
            |(name, interval): (&str, Option<Interval>)| Some(format!("{name} {}", interval?));
        Some(Choice {
            text: parts.into_iter().filter_map(part).collect::<Vec<_>>().join(", "),
            of: ChoiceOf::Values,
            kinds: &[Kind::Adjusted],
        })
    }

    fn draw(&self, item: ItemStream, _size: Size) -> Result<Option<Drawn>> {
        // The order first, each of the 24 equally likely, then a factor for each.
        let mut draws = item.draws();
        let mut order = [0, 1, 2, 3];
        for last in (1..order.len()).rev() {
            order.swap(last, draws.below(last as u64 + 1) as usize);
        }
        let mut factor = |interval: Option<Interval>| interval.map(|i| i.draw(&mut draws));
        let adjustments = [
            factor(self.brightness).map(Adjustment::Brightness),
            factor(self.contrast).map(Adjustment::Contrast),
            factor(self.saturation).map(Adjustment::Saturation),
            factor(self.hue).map(Adjustment::Hue),
        ];
        Ok(Some(Drawn::Adjusted(order.map(|at| adjustments[at]))))
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
        let Some(Drawn::Adjusted(adjustments)) = drawn else {
            return Err(Error::Drawn { transform: Self::NAME });
        };
        let adjustments: Vec<_> = adjustments.iter().copied().flatten().collect();
        adjust(&adjustments, frame, scratch)
    }
}

/// Replaces every channel with the pixel's gray, with probability `p`.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomGrayscale {
    /// The probability of gray.
    pub p: f64,
}

impl FromArguments for RandomGrayscale {
    const NAME: &'static str = "RandomGrayscale";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(RandomGrayscale { p: arguments.take("p")? })
    }
}

impl Step for RandomGrayscale {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Known
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        input.is_image(Self::NAME)?;
        is_probability(Self::NAME, self.p)?;
        check_colours(Self::NAME, input)
    }

    fn choice(&self, _size: Option<Size>) -> Option<Choice> {
        let text = format!("p = {}", self.p);
        Some(Choice { text, of: ChoiceOf::Values, kinds: &[Kind::Applied] })
    }

    fn draw(&self, item: ItemStream, _size: Size) -> Result<Option<Drawn>> {
        Ok(Some(Drawn::Applied(item.draws().chance(self.p))))
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
        match drawn {
            Some(Drawn::Applied(true)) => adjust(&[Adjustment::Grayscale], frame, scratch),
            Some(Drawn::Applied(false)) => Ok(()),
            _ => Err(Error::Drawn { transform: Self::NAME }),
        }
    }
}

/// Checks that the colours of the images can be changed.
fn check_colours(transform: &'static str, input: &mut Input<'_>) -> Result<Effect> {
    let channels = input.channels().unwrap_or(1);
    Adjustment::check(input.elements(), channels)
        .map_err(|source| Error::InTransform { transform, source: Box::new(source) })?;
    Ok(Effect::InPlace { channels_first: false })
}

fn adjust(adjustments: &[Adjustment], frame: &mut Frame<'_>, scratch: &mut Scratch) -> Result<()> {
    frame.change(scratch, |mut elements| {
        let (channels, dtype) = (elements.channels(), elements.dtype().clone());
        Ok(Adjustment::apply(adjustments, elements.bytes_mut(), &dtype, channels)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{image, message, run};

    #[test]
    fn gray_is_one_value_for_all_channels_and_its_order_is_drawn_for_jitter() {
        let (_, out) = run(&[RandomGrayscale { p: 1.0 }.boxed()], &image(3, 3, 3), 0);
        assert!(out.as_chunks::<3>().0.iter().all(|[r, g, b]| r == g && g == b));
        let jitter = ColorJitter {
            brightness: Some(Interval { low: 0.5, high: 1.5 }),
            contrast: None,
            saturation: None,
            hue: Some(Interval { low: 0.6, high: 0.7 }),
        };
        assert_eq!(
            message(&[jitter.boxed()], &[4, 4, 3]),
            "ColorJitter: hue must go from a number to one that is no lower, both from -0.5 to \
             0.5; got 0.6 to 0.7"
        );
    }
}
