//! Encoded images that are the items of a source, such as a column of bytes in a file.

use std::sync::Arc;

use ndlens_core::{DType, room};

use crate::error::{Error, Result};
use crate::source::Source;
use crate::source::encoded::EncodedImages;

/// Encoded images that are the items of a source: items of one axis, of uint8.
pub struct ImageBytes {
    items: Arc<dyn Source>,
}

impl std::fmt::Debug for ImageBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageBytes").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl ImageBytes {
    /// The items of a source as encoded images.
    ///
    /// # Errors
    ///
    /// [`Error::NotBytes`] for items of another dtype or rank.
    pub fn new(items: Arc<dyn Source>) -> Result<Self> {
        let is_bytes = items.dtype() == &DType::U8
            && items.encoded().is_none()
            && items.item_shape().is_some_and(|shape| shape.most().len() == 1);
        if !is_bytes {
            let got = items.item_shape().map_or_else(String::new, |shape| shape.to_string());
            return Err(Error::NotBytes { dtype: items.dtype().to_string(), got });
        }
        Ok(ImageBytes { items })
    }
}

impl EncodedImages for ImageBytes {
    fn len(&self) -> usize {
        self.items.len()
    }

    fn read(&self, index: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let item = self.items.item(index)?;
        item.verify()?;
        room::resize(bytes, item.nbytes(), 0)?;
        bytes.truncate(item.nbytes());
        item.read_into(bytes)?;
        if item.buffer().is_damaged() {
            item.verify()?;
        }
        Ok(())
    }

    fn name(&self, index: usize) -> Option<String> {
        self.items.item_name(index)
    }

    fn prefetch(&self, index: usize) {
        self.items.prefetch(index);
    }

    fn fingerprint(&self) -> Option<u64> {
        self.items.fingerprint()
    }

    fn can_shrink(&self) -> bool {
        self.items.can_shrink()
    }

    fn mapped_bytes(&self) -> usize {
        self.items.mapped_bytes()
    }
}
