//! Maps of values that the consumer of the batches applies later.
//!
//! Bytes that become floats get four times as large. If batches are sent to a device that computes
//! faster than the bus transfers, it is cheaper to send the bytes and to compute there. Only the
//! last pass can be left to the consumer: earlier stages choose elements, and later ones are
//! random.

use ndlens_core::DType;
use ndlens_kernels as kernels;

use crate::error::Result;
use crate::pipeline::Pipeline;
use crate::stages::words_of;

/// The maps of values that remain to be applied to a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Deferred {
    /// The maps of values, in their order.
    pub steps: Vec<kernels::MapStep>,
    /// The axis of the channels of [`Normalize`](kernels::MapStep::Normalize) in the batch, as the
    /// consumer gets it.
    pub channel_axis: Option<usize>,
}

impl Deferred {
    /// The maps of values in words, in their order.
    pub fn words(&self) -> Vec<String> {
        self.steps.iter().map(words_of).collect()
    }
}

impl Pipeline {
    /// This pipeline without its last pass over values, and the maps of that pass; None if the pass
    /// does not enlarge values, or a transform follows it.
    ///
    /// # Errors
    ///
    /// [`Error::Kernels`](crate::Error::Kernels) if the instruction set that the environment
    /// names is unknown.
    pub fn defer_values(&self) -> Result<Option<(Pipeline, Deferred)>> {
        let Some(values) = self.last_values() else { return Ok(None) };
        let is_float =
            |dtype: &DType| matches!(dtype, DType::F16 | DType::Bf16 | DType::F32 | DType::F64);
        let steps = values.steps();
        let to_floats = steps.iter().all(|step| match step {
            kernels::MapStep::ToDtype { dtype, .. } => is_float(dtype),
            kernels::MapStep::Normalize { .. } => true,
        });
        if !to_floats || values.dtype().itemsize() <= values.source().itemsize() {
            return Ok(None);
        }
        let channel_axis = self.batch_axis_of_values();
        let deferred = Deferred { steps: steps.to_vec(), channel_axis };
        Ok(Some((self.without_values()?, deferred)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::RandomCrop;
    use crate::erase::{Erasure, RandomErasing};
    use crate::interval::Interval;
    use crate::layout::ChannelsFirst;
    use crate::step::{MemoryFormat, Step};
    use crate::values::{Normalize, ToDtype};

    fn defer(
        transforms: &[Box<dyn Step>],
        shape: &[usize],
        dtype: &DType,
    ) -> Option<(DType, Deferred)> {
        let pipeline = Pipeline::compile(transforms, shape, dtype).unwrap();
        let (sent, deferred) = pipeline.defer_values().unwrap()?;
        assert_eq!(sent.shape(), pipeline.shape());
        assert_eq!(sent.nbytes(), sent.shape().iter().product::<usize>() * sent.dtype().itemsize());
        Some((sent.dtype().clone(), deferred))
    }

    fn to(dtype: DType) -> Box<dyn Step> {
        ToDtype { dtype, scale: true }.boxed()
    }

    fn normalize() -> Box<dyn Step> {
        Normalize { mean: vec![0.5; 3], std: vec![0.25; 3] }.boxed()
    }

    #[test]
    fn values_that_get_larger_are_left_to_the_consumer() {
        let crop = RandomCrop::new(2, 2).boxed();
        let list = [crop.clone(), to(DType::F32), normalize()];
        let (dtype, deferred) = defer(&list, &[4, 5, 3], &DType::U8).unwrap();
        assert_eq!((dtype, deferred.channel_axis, deferred.steps.len()), (DType::U8, Some(3), 2));
        for memory_format in [MemoryFormat::Contiguous, MemoryFormat::ChannelsLast] {
            let turned = ChannelsFirst { memory_format }.boxed();
            // The place of the turn in the list does not matter: axes are numbered by their order
            // in memory.
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
    fn other_values_are_computed_by_the_pipeline() {
        assert_eq!(defer(&[], &[7], &DType::U8), None);
        assert_eq!(defer(&[to(DType::F32)], &[7], &DType::F32), None);
        assert_eq!(defer(&[normalize()], &[4, 5, 3], &DType::F32), None);
        let (scale, ratio) = (Interval { low: 0.1, high: 0.2 }, Interval { low: 1.0, high: 1.0 });
        let erase = RandomErasing::new(1.0, scale, ratio, Erasure::Values(vec![0.0])).boxed();
        assert_eq!(defer(&[to(DType::F32), erase], &[4, 5, 3], &DType::U8), None);
    }
}
