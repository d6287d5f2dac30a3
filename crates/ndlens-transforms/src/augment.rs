//! Random colours, erased rectangles, scales and noise: what is checked of them, and what they are
//! drawn from, which is torchvision's definition of each.

use std::ops::RangeInclusive;

use ndlens_kernels::Adjustment;

use crate::compile::{Compiler, is_probability};
use crate::drawn::Drawn;
use crate::error::{Error, Result};
use crate::pipeline::{Act, Colours};
use crate::random::{Draws, Stream};
use crate::sizes::Size;
use crate::transform::{Erasure, Interval, Transform};

impl Compiler<'_> {
    /// Adds one of the transforms that change elements in place; nothing for others.
    pub(crate) fn add_augmentation(&mut self, transform: &Transform) -> Result<()> {
        match transform {
            &Transform::ColorJitter { brightness, contrast, saturation, hue } => {
                let name = "ColorJitter";
                self.is_image(name, 2..=3)?;
                for (part, interval) in
                    [("brightness", brightness), ("contrast", contrast), ("saturation", saturation)]
                {
                    interval.map_or(Ok(()), |i| {
                        i.within(name, part, 0.0..=f64::MAX, "both from 0 on")
                    })?;
                }
                hue.map_or(Ok(()), |i| i.within(name, "hue", -0.5..=0.5, "both from -0.5 to 0.5"))?;
                self.settle_values()?;
                Adjustment::check(&self.dtype, self.channels().unwrap_or(1))
                    .map_err(in_transform(name))?;
                self.push(name, Act::Colour(Colours { brightness, contrast, saturation, hue }))?;
            }
            &Transform::RandomGrayscale { p } => {
                let name = "RandomGrayscale";
                self.is_image(name, 2..=3)?;
                is_probability(name, p)?;
                self.settle_values()?;
                Adjustment::check(&self.dtype, self.channels().unwrap_or(1))
                    .map_err(in_transform(name))?;
                self.push(name, Act::Grayscale { p })?;
            }
            Transform::RandomErasing { p, scale, ratio, value } => {
                let name = "RandomErasing";
                self.is_image(name, 2..=3)?;
                is_probability(name, *p)?;
                scale.within(name, "scale", 0.0..=1.0, "both from 0 to 1")?;
                ratio.within(name, "ratio", f64::MIN_POSITIVE..=f64::MAX, "both above 0")?;
                self.settle_values()?;
                let pixel = match value {
                    Erasure::Values(values) => Some(self.pixel(name, values)?),
                    Erasure::Random => self.is_float(name).map(|()| None)?,
                };
                self.push(name, Act::Erase { p: *p, scale: *scale, ratio: *ratio, pixel })?;
            }
            &Transform::RandomScale { factor, per_feature } => {
                let name = "RandomScale";
                factor.within(name, "the factor", f64::MIN..=f64::MAX, "both finite")?;
                self.settle_values()?;
                self.is_float(name)?;
                self.push(name, Act::Scale { factor, per_feature })?;
            }
            &Transform::RandomJitter { sigma } => {
                let name = "RandomJitter";
                if !(0.0..=f64::MAX).contains(&sigma) {
                    return Err(Error::Sigma { transform: name, sigma });
                }
                self.settle_values()?;
                self.is_float(name)?;
                self.push(name, Act::Jitter { sigma })?;
            }
            _ => {}
        }
        Ok(())
    }
}

fn in_transform(transform: &'static str) -> impl Fn(ndlens_kernels::Error) -> Error {
    move |source| Error::InTransform { transform, source: Box::new(source) }
}

impl Interval {
    /// Whether all of its numbers are among these.
    fn within(
        self,
        transform: &'static str,
        name: &'static str,
        range: RangeInclusive<f64>,
        expected: &'static str,
    ) -> Result<()> {
        let Interval { low, high } = self;
        if range.contains(&low) && range.contains(&high) && low <= high {
            return Ok(());
        }
        Err(Error::BadInterval { transform, name, low, high, expected })
    }

    /// Uniform between its ends.
    pub(crate) fn draw(self, draws: &mut Draws) -> f64 {
        self.low + (self.high - self.low) * draws.uniform()
    }

    /// Uniform on a logarithmic scale.
    pub(crate) fn draw_log(self, draws: &mut Draws) -> f64 {
        let (low, high) = (self.low.ln(), self.high.ln());
        (low + (high - low) * draws.uniform()).exp()
    }
}

impl Colours {
    /// The order first, each of the 24 equally likely, then a factor for each.
    fn draw(&self, draws: &mut Draws) -> Drawn {
        let mut order = [0, 1, 2, 3];
        for last in (1..order.len()).rev() {
            order.swap(last, draws.below(last as u64 + 1) as usize);
        }
        let factor =
            |interval: Option<Interval>, draws: &mut Draws| interval.map(|i| i.draw(draws));
        let adjustments = [
            factor(self.brightness, draws).map(Adjustment::Brightness),
            factor(self.contrast, draws).map(Adjustment::Contrast),
            factor(self.saturation, draws).map(Adjustment::Saturation),
            factor(self.hue, draws).map(Adjustment::Hue),
        ];
        Drawn::Adjusted(order.map(|at| adjustments[at]))
    }
}

/// Draws for an act that changes elements in place; None for others.
pub(crate) fn draw(act: &Act, stream: Stream, epoch: u32, item: u64, size: Size) -> Option<Drawn> {
    let mut draws = stream.draws(epoch, item);
    Some(match act {
        Act::Colour(colours) => colours.draw(&mut draws),
        Act::Grayscale { p } => Drawn::Applied(draws.chance(*p)),
        Act::Erase { p, scale, ratio, .. } => {
            if draws.chance(*p) {
                erased(*scale, *ratio, &mut draws, stream, (epoch, item), size)
            } else {
                Drawn::Applied(false)
            }
        }
        Act::Scale { factor, per_feature: false } => Drawn::Factor(factor.draw(&mut draws)),
        Act::Scale { .. } | Act::Jitter { .. } => Drawn::Noise(stream.noise(epoch, item)),
        _ => return None,
    })
}

/// Ten attempts at a rectangle that is smaller than the image, as in
/// `torchvision.transforms.v2.RandomErasing`.
fn erased(
    scale: Interval,
    ratio: Interval,
    draws: &mut Draws,
    stream: Stream,
    (epoch, item): (u32, u64),
    size: Size,
) -> Drawn {
    for _ in 0..10 {
        let area = size.height as f64 * size.width as f64 * scale.draw(draws);
        let ratio = ratio.draw_log(draws);
        let height = (area * ratio).sqrt().round_ties_even() as usize;
        let width = (area / ratio).sqrt().round_ties_even() as usize;
        if height < size.height && width < size.width {
            let top = draws.below((size.height - height) as u64 + 1) as usize;
            let left = draws.below((size.width - width) as u64 + 1) as usize;
            return Drawn::Erased { top, left, height, width, noise: stream.noise(epoch, item) };
        }
    }
    Drawn::Applied(false)
}
