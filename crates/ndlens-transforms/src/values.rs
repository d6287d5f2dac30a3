//! Maps of values: conversion and normalisation.

use ndlens_core::DType;
use ndlens_kernels as kernels;

use crate::arguments::{Arguments, Constructor, FromArguments};
use crate::channels::Convention;
use crate::error::Result;
use crate::input::Input;
use crate::item_shape::ItemShape;
use crate::step::{Along, Axes, Effect, Step, is_fused};

/// The transforms of this family, by name.
pub(crate) const CONSTRUCTORS: &[Constructor] = &[
    Constructor::of::<ToDtype>(),
    Constructor::of::<Normalize>(),
    Constructor::of::<Standardize>(),
];

/// Converts elements to another dtype.
#[derive(Debug, Clone, PartialEq)]
pub struct ToDtype {
    /// The dtype to convert to.
    pub dtype: DType,
    /// Whether the range of integers is mapped to 0 to 1, and back.
    pub scale: bool,
}

impl FromArguments for ToDtype {
    const NAME: &'static str = "ToDtype";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(ToDtype { dtype: arguments.take("dtype")?, scale: arguments.take("scale")? })
    }
}

impl Step for ToDtype {
    is_fused!();

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, _convention: Convention) -> Axes {
        Axes::Alike
    }

    fn check(&mut self, _input: &mut Input<'_>) -> Result<Effect> {
        let step = kernels::MapStep::ToDtype { dtype: self.dtype.clone(), scale: self.scale };
        Ok(Effect::Values(step, Along::Nothing))
    }
}

/// `(x - mean) / std`, for each channel or for all.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalize {
    /// Mean for all channels, or one for each.
    pub mean: Vec<f64>,
    /// Standard deviation for all channels, or one for each.
    pub std: Vec<f64>,
}

impl FromArguments for Normalize {
    const NAME: &'static str = "Normalize";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(Normalize { mean: arguments.take("mean")?, std: arguments.take("std")? })
    }
}

impl Step for Normalize {
    is_fused!();

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, items: ItemShape<'_>, convention: Convention) -> Axes {
        let several = [self.mean.len(), self.std.len()].into_iter().filter(|&len| len > 1);
        let fits = |axis: usize, len: usize| items.most().get(axis) == Some(&len);
        // Statistics of as many values as axis 2 is long, and not axis 0, are those of the
        // channels.
        let unclear = |len| convention != Convention::Ndlens || fits(0, len) || !fits(2, len);
        if several.into_iter().any(unclear) { Axes::Known } else { Axes::Alike }
    }

    fn check(&mut self, _input: &mut Input<'_>) -> Result<Effect> {
        let step = kernels::MapStep::Normalize { mean: self.mean.clone(), std: self.std.clone() };
        Ok(Effect::Values(step, Along::Channels))
    }
}

/// `(x - mean) / std`, for each feature along the last axis or for all; for items of any rank.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardize {
    /// Mean for all features, or one for each.
    pub mean: Vec<f64>,
    /// Standard deviation for all features, or one for each.
    pub std: Vec<f64>,
}

impl FromArguments for Standardize {
    const NAME: &'static str = "Standardize";

    fn from_arguments(arguments: &mut Arguments) -> Result<Self> {
        Ok(Standardize { mean: arguments.take("mean")?, std: arguments.take("std")? })
    }
}

impl Step for Standardize {
    is_fused!();

    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn axes(&self, _items: ItemShape<'_>, convention: Convention) -> Axes {
        // Features are along the last axis; torchvision's order does not say which axis that is.
        let several = self.mean.len() > 1 || self.std.len() > 1;
        if several && convention != Convention::Ndlens { Axes::Known } else { Axes::Alike }
    }

    fn check(&mut self, _input: &mut Input<'_>) -> Result<Effect> {
        let step = kernels::MapStep::Normalize { mean: self.mean.clone(), std: self.std.clone() };
        Ok(Effect::Values(step, Along::Features))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{floats, message};

    #[test]
    fn statistics_are_of_channels_or_of_features() {
        let standardize = Standardize { mean: vec![1.0, 2.0, 3.0], std: vec![2.0] };
        let made = floats(&[standardize.boxed()], &[1.0, 2.0, 3.0, 3.0, 4.0, 5.0], 0);
        assert_eq!(made, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        let normalize = Normalize { mean: vec![1.0, 2.0, 3.0], std: vec![2.0] };
        assert_eq!(
            message(
                &[ToDtype { dtype: DType::F32, scale: false }.boxed(), normalize.clone().boxed()],
                &[2, 3]
            ),
            "Normalize got 3 values of mean, expected 1: items of shape [2, 3] have no axis of \
             channels; Standardize takes one value for each feature of the last axis"
        );
        assert_eq!(
            message(&[normalize.boxed()], &[4, 4, 3]),
            "Normalize needs a floating-point dtype, got uint8; put ToDtype(\"float32\", \
             scale=True) before it"
        );
    }
}
