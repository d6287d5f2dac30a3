//! Random scales and noise, for items of any rank.

use ndlens_core::DType;

use crate::arguments::{Arguments, Constructor, FromArguments};
use crate::channels::Convention;
use crate::error::{Error, Result};
use crate::frame::Frame;
use crate::input::Input;
use crate::interval::Interval;
use crate::item_shape::ItemShape;
use crate::params::{Drawn, Kind};
use crate::random::ItemStream;
use crate::scratch::Scratch;
use crate::size::Size;
use crate::step::{Axes, Choice, ChoiceOf, Effect, Step};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] =
    &[Constructor::of::<RandomScale>(), Constructor::of::<RandomJitter>()];

/// Multiplies elements by a factor drawn from an interval.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomScale {
    /// Interval of factors.
    pub factor: Interval,
    /// Whether each feature along the last axis has its own factor.
    pub per_feature: bool,
}

impl FromArguments for RandomScale {
    const NAME: &'static str = "RandomScale";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(RandomScale {
            factor: Interval { low: arguments.take("low")?, high: arguments.take("high")? },
            per_feature: arguments.take("per_feature")?,
        })
    }
}

impl Step for RandomScale {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, convention: Convention) -> Axes {
        // Features are along the last axis; torchvision's order does not say which axis that is.
        if self.per_feature && convention != Convention::Ndlens { Axes::Known } else { Axes::Alike }
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        self.factor.within(Self::NAME, "the factor", f64::MIN..=f64::MAX, "both finite")?;
        input.is_float(Self::NAME)?;
        Ok(Effect::InPlace { channels_first: true })
    }

    fn choice(&self, _size: Option<Size>) -> Option<Choice> {
        let (each, kinds): (_, &[Kind]) = if self.per_feature {
            (" of each feature", &[Kind::Noise])
        } else {
            ("", &[Kind::Factor])
        };
        let text = format!("factors {}{each}", self.factor);
        Some(Choice { text, of: ChoiceOf::Values, kinds })
    }

    fn draw(&self, item: ItemStream, _size: Size) -> Result<Option<Drawn>> {
        Ok(Some(if self.per_feature {
            Drawn::Noise(item.noise())
        } else {
            Drawn::Factor(self.factor.draw(&mut item.draws()))
        }))
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
            Some(&Drawn::Factor(factor)) => frame.change(scratch, |mut elements| {
                let factor = rounded(factor, elements.dtype());
                elements.each(|x| x * factor);
                Ok(())
            }),
            Some(&Drawn::Noise(noise)) => frame.change(scratch, |mut elements| {
                let Interval { low, high } = self.factor;
                let mut numbers = noise.uniforms();
                let features = elements.shape().last().copied().unwrap_or(1);
                let factors: Vec<f64> = (0..features)
                    .map(|_| low + (high - low) * numbers.next().unwrap_or(0.0))
                    .map(|factor| rounded(factor, elements.dtype()))
                    .collect();
                let mut factors = factors.iter().cycle();
                elements.each(|x| factors.next().map_or(x, |factor| x * factor));
                Ok(())
            }),
            _ => Err(Error::Drawn { transform: Self::NAME }),
        }
    }
}

/// The factor as torch rounds it for a tensor of this dtype: floats of 16 bits are computed as
/// `f32`.
fn rounded(factor: f64, dtype: &DType) -> f64 {
    if *dtype == DType::F64 { factor } else { f64::from(factor as f32) }
}

/// Adds a normal number to each element, drawn for each separately.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomJitter {
    /// The standard deviation of the numbers.
    pub sigma: f64,
}

impl FromArguments for RandomJitter {
    const NAME: &'static str = "RandomJitter";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(RandomJitter { sigma: arguments.take("sigma")? })
    }
}

impl Step for RandomJitter {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Alike
    }

    fn check(&mut self, input: &mut Input<'_>) -> Result<Effect> {
        if !(0.0..=f64::MAX).contains(&self.sigma) {
            return Err(Error::Sigma { transform: Self::NAME, sigma: self.sigma });
        }
        input.is_float(Self::NAME)?;
        Ok(Effect::InPlace { channels_first: true })
    }

    fn choice(&self, _size: Option<Size>) -> Option<Choice> {
        // The draw is standard normal numbers, which each field multiplies by its sigma.
        Some(Choice { text: String::new(), of: ChoiceOf::Values, kinds: &[Kind::Noise] })
    }

    fn draw(&self, item: ItemStream, _size: Size) -> Result<Option<Drawn>> {
        Ok(Some(Drawn::Noise(item.noise())))
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
        let Some(Drawn::Noise(noise)) = drawn else {
            return Err(Error::Drawn { transform: Self::NAME });
        };
        frame.change(scratch, |mut elements| {
            let mut normals = noise.normals();
            elements.each(|x| x + self.sigma * normals.next().unwrap_or(0.0));
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{floats, message};

    #[test]
    fn all_elements_share_a_factor_or_each_feature_has_its_own() {
        let factor = Interval { low: 2.0, high: 3.0 };
        let made = floats(&[RandomScale { factor, per_feature: false }.boxed()], &[1.0; 6], 3);
        assert_eq!(made, [made[0]; 6]);
        assert!((2.0..=3.0).contains(&made[0]));
        let made = floats(&[RandomScale { factor, per_feature: true }.boxed()], &[1.0; 6], 3);
        assert_eq!(made[..3], made[3..]);
        assert_ne!(made[..2], [made[0]; 2]);
    }

    #[test]
    fn noise_is_another_number_for_each_element_and_needs_floats() {
        let made = floats(&[RandomJitter { sigma: 0.5 }.boxed()], &[0.0; 6], 3);
        assert!(made.iter().all(|x| x.abs() < 3.4));
        assert_ne!(made, [made[0]; 6]);
        assert_eq!(
            message(&[RandomJitter { sigma: 0.5 }.boxed()], &[3]),
            "RandomJitter needs a floating-point dtype, got uint8; put ToDtype(\"float32\", \
             scale=True) before it"
        );
        assert_eq!(
            message(&[RandomJitter { sigma: -1.0 }.boxed()], &[3]),
            "RandomJitter: sigma must be a number from 0 on, got -1"
        );
    }
}
