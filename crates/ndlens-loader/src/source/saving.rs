//! Items of any source in the form that the store saves.

use std::fmt;
use std::sync::Arc;

use ndlens_core::{DType, ViewRef};
use ndlens_store::Items;
use ndlens_transforms::ItemShape;

use crate::source::Source;

/// A source, to be saved as a set of items.
pub struct SavedItems {
    source: Arc<dyn Source>,
}

impl SavedItems {
    /// All items of a source.
    pub fn new(source: Arc<dyn Source>) -> Self {
        SavedItems { source }
    }
}

impl fmt::Debug for SavedItems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedItems").field("len", &self.source.len()).finish_non_exhaustive()
    }
}

impl Items for SavedItems {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn dtype(&self) -> &DType {
        self.source.dtype()
    }

    fn ndim(&self) -> usize {
        self.source.item_shape().map_or(0, |shape| ItemShape::most(shape).len())
    }

    fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        self.source.item(index)
    }
}
