//! Fields in words and numbers, for people who want to see what a loader does with them.

use ndlens_core::DType;
use ndlens_transforms::{Deferred, ItemShape, Stages};

use crate::compiled::CompiledField;
use crate::error::Result;

/// What a field is, what its batches are, and how they are made of it.
#[derive(Debug, Clone)]
pub struct FieldSummary {
    /// The name.
    pub name: String,
    /// The dtype of the items.
    pub source_dtype: DType,
    /// The shape of the items, such as "[480, 640, 3]".
    pub source_shape: String,
    /// The dtype of the batches.
    pub dtype: DType,
    /// The shape of an item in a batch.
    pub shape: Vec<usize>,
    /// The bytes of an item in a batch.
    pub item_bytes: usize,
    /// The work on an item.
    pub stages: Stages,
    /// The maps of values that the device applies.
    pub on_device: Vec<String>,
}

impl CompiledField {
    /// The field in words and numbers. `classes` is the number of classes if the batches are
    /// probabilities of labels.
    pub(crate) fn summary(&self, classes: Option<usize>) -> Result<FieldSummary> {
        let shape = self.source.given_shape().unwrap_or_else(|| ItemShape::fixed(&[]));
        let (dtype, shape_of_item, item_bytes) = if let Some(classes) = classes {
            (DType::F32, vec![classes], classes * size_of::<f32>())
        } else {
            let batch = self.pipeline.batch_layout(1)?;
            (self.pipeline.dtype().clone(), batch.shape()[1..].to_vec(), self.pipeline.nbytes())
        };
        Ok(FieldSummary {
            name: self.name.clone(),
            source_dtype: self.source.dtype().clone(),
            source_shape: shape.to_string(),
            dtype,
            shape: shape_of_item,
            item_bytes,
            stages: self.pipeline.stages(),
            on_device: self.deferred().map(Deferred::words).unwrap_or_default(),
        })
    }
}
