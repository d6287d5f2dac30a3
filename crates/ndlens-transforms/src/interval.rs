//! Intervals of numbers that parameters are drawn from.

use std::fmt;
use std::ops::RangeInclusive;

use crate::error::{Error, Result};
use crate::random::Draws;

/// The numbers from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The least number.
    pub low: f64,
    /// The greatest number.
    pub high: f64,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.low, self.high)
    }
}

impl Interval {
    /// Checks that all numbers of the interval are in `range`, which `expected` describes.
    ///
    /// # Errors
    ///
    /// [`Error::BadInterval`] of the parameter `name`.
    pub fn within(
        self,
        transform: &'static str,
        name: &'static str,
        range: RangeInclusive<f64>,
        expected: &'static str,
    ) -> Result<()> {
        let Interval { low, high } = self;
        // NaN is outside of every range.
        if range.contains(&low) && range.contains(&high) && low <= high {
            return Ok(());
        }
        Err(Error::BadInterval { transform, name, low, high, expected })
    }

    /// A number drawn uniformly from the interval.
    pub fn draw(self, draws: &mut Draws) -> f64 {
        self.low + (self.high - self.low) * draws.uniform()
    }

    /// A number whose logarithm is drawn uniformly; for intervals above 0.
    pub fn draw_log(self, draws: &mut Draws) -> f64 {
        let (low, high) = (self.low.ln(), self.high.ln());
        (low + (high - low) * draws.uniform()).exp()
    }
}

/// Checks that `p` is a probability.
pub(crate) fn is_probability(transform: &'static str, p: f64) -> Result<()> {
    if (0.0..=1.0).contains(&p) { Ok(()) } else { Err(Error::Probability { transform, p }) }
}
