//! Values that are computed later, by whoever gets the batches.
//!
//! Bytes that become floats get four times as large. Where batches go over a bus to a device that
//! computes faster than the bus carries, it is cheaper to send the bytes and to compute there. Only
//! the last pass can be left to others: what comes before it chooses elements, and what comes after
//! it draws.

use ndlens_core::DType;
use ndlens_kernels::{self as kernels, ValueMap};

use crate::error::Result;
use crate::pipeline::Pipeline;

/// What is left to be done to the values of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Deferred {
    /// In this order.
    pub steps: Vec<kernels::MapStep>,
    /// The axis of the batch, as it is handed out, along which the channels of
    /// [`Normalize`](kernels::MapStep::Normalize) lie.
    pub channel_axis: Option<usize>,
}

impl Pipeline {
    /// This pipeline without its last pass over values, and what that pass does; None where values
    /// would not get larger by it, or something comes after it.
    ///
    /// # Errors
    ///
    /// [`Error::Kernels`](crate::Error::Kernels) where the instruction set that the environment
    /// names is unknown.
    pub fn defer_values(&self) -> Result<Option<(Pipeline, Deferred)>> {
        let (from, to) = (self.values.source(), self.values.dtype());
        let steps = self.values.steps();
        let is_float =
            |dtype: &DType| matches!(dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64);
        let to_floats = steps.iter().all(|step| match step {
            kernels::MapStep::ToDtype { dtype, .. } => is_float(dtype),
            _ => true,
        });
        if !self.finishing.is_empty() || !to_floats || to.itemsize() <= from.itemsize() {
            return Ok(None);
        }
        // Batches have one more axis, and may be seen with the channels elsewhere than they are
        // written.
        let seen = |axis: usize| match axis + 1 {
            3 if self.channels_last_format => 1,
            axis if self.channels_last_format => axis + 1,
            axis => axis,
        };
        let deferred =
            Deferred { steps: steps.to_vec(), channel_axis: self.channel_axis.map(seen) };
        let values = ValueMap::new(from, 1, &[])?;
        let nbytes = self.nbytes / to.itemsize() * from.itemsize();
        Ok(Some((Pipeline { values, nbytes, ..self.clone() }, deferred)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::{Interval, Transform};

    fn defer(
        transforms: &[Transform],
        shape: &[usize],
        dtype: &DType,
    ) -> Option<(DType, Deferred)> {
        let pipeline = Pipeline::compile(transforms, shape, dtype).unwrap();
        let (sent, deferred) = pipeline.defer_values().unwrap()?;
        assert_eq!(sent.shape(), pipeline.shape());
        assert_eq!(sent.nbytes(), sent.shape().iter().product::<usize>() * sent.dtype().itemsize());
        Some((sent.dtype().clone(), deferred))
    }

    fn to(dtype: DType) -> Transform {
        Transform::ToDtype { dtype, scale: true }
    }

    fn normalize() -> Transform {
        Transform::Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] }
    }

    #[test]
    fn values_that_get_larger_are_left_to_the_consumer() {
        let crop = Transform::random_crop(2, 2);
        let list = [crop.clone(), to(DType::F32), normalize()];
        let (dtype, deferred) = defer(&list, &[4, 5, 3], &DType::U8).unwrap();
        assert_eq!((dtype, deferred.channel_axis, deferred.steps.len()), (DType::U8, Some(3), 2));
        for turned in [Transform::ChannelsFirst, Transform::ChannelsLastFormat] {
            // Wherever the turn stands: axes are named by where they are in memory.
            for at in 0..=3 {
                let mut list = list.to_vec();
                list.insert(at, turned.clone());
                assert_eq!(defer(&list, &[4, 5, 3], &DType::U8).unwrap().1.channel_axis, Some(1));
            }
        }
        let (_, rows) = defer(&[to(DType::Bf16)], &[7], &DType::U8).unwrap();
        assert_eq!(rows.channel_axis, None);
    }

    #[test]
    fn values_that_do_not_or_are_needed_are_computed_here() {
        assert_eq!(defer(&[], &[7], &DType::U8), None);
        assert_eq!(defer(&[to(DType::F32)], &[7], &DType::F32), None);
        assert_eq!(defer(&[normalize()], &[4, 5, 3], &DType::F32), None);
        let erase = Transform::RandomErasing {
            p: 1.0,
            scale: Interval { low: 0.1, high: 0.2 },
            ratio: Interval { low: 1.0, high: 1.0 },
            value: crate::Erasure::Values(vec![0.0]),
        };
        assert_eq!(defer(&[to(DType::F32), erase], &[4, 5, 3], &DType::U8), None);
    }
}
