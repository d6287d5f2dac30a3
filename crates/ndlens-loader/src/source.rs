//! Where items come from.

use ndlens_core::{DType, Index, Result, View, ViewRef};
use ndlens_store::Shards;

/// The most shards that are asked for all items at once: as many as take a small part of the time that a batch does.
const MOST_SHARDS_ASKED: usize = 32;

/// A sequence of items of one shape and dtype, such as a view, whose items are its rows along axis 0: images of
/// (N, H, W, C), rows of (N, F), windows of (N, size, F), labels of (N,).
pub trait Source: Send + Sync {
    /// The number of items.
    fn len(&self) -> usize;

    /// Whether there is no item.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of each item; None where there is nothing to take items from.
    fn item_shape(&self) -> Option<&[usize]>;

    /// What the elements are.
    fn dtype(&self) -> &DType;

    /// The view whose rows along axis 0 the items are, if they are: its rows may be read without asking for each.
    fn as_view(&self) -> Option<&View> {
        None
    }

    /// Whether the bytes of all items are there, asked right before items are read. Where not, or where it would take longer to
    /// find out, each item is asked for its own; see [`Owner::verify`](ndlens_core::Owner::verify).
    fn is_complete(&self) -> bool;

    /// Whether bytes of items may go missing while they are read.
    fn can_shrink(&self) -> bool {
        false
    }

    /// Bytes of all items that are a file's and only come into memory when they are read.
    fn mapped_bytes(&self) -> usize {
        0
    }

    /// Asks for an item that will soon be read. Where it cannot be asked for, it is read when it is.
    fn prefetch(&self, index: usize) {
        let _ = index;
    }

    /// Item `index`, below [`len`](Self::len), of shape [`item_shape`](Self::item_shape).
    ///
    /// # Errors
    ///
    /// Whatever keeps the item from being read.
    fn item(&self, index: usize) -> Result<ViewRef<'_>>;
}

impl Source for View {
    fn len(&self) -> usize {
        self.shape().first().copied().unwrap_or(0)
    }

    fn item_shape(&self) -> Option<&[usize]> {
        self.shape().get(1..)
    }

    fn dtype(&self) -> &DType {
        self.dtype()
    }

    fn as_view(&self) -> Option<&View> {
        Some(self)
    }

    fn is_complete(&self) -> bool {
        self.buffer().verify().is_ok()
    }

    fn can_shrink(&self) -> bool {
        self.buffer().can_shrink()
    }

    fn mapped_bytes(&self) -> usize {
        if self.can_shrink() { self.nbytes() } else { 0 }
    }

    fn prefetch(&self, index: usize) {
        // An item that cannot be had says so when it is read.
        let _ = self.item(index).and_then(|item| item.prefetch());
    }

    fn item(&self, index: usize) -> Result<ViewRef<'_>> {
        self.as_ref().index(&[Index::At(index as isize)])
    }
}

impl Source for Shards {
    fn can_shrink(&self) -> bool {
        self.views().iter().any(|view| view.buffer().can_shrink())
    }

    fn mapped_bytes(&self) -> usize {
        self.views().iter().map(Source::mapped_bytes).sum()
    }

    fn prefetch(&self, index: usize) {
        // As for a view.
        let _ = Source::item(self, index).and_then(|item| item.prefetch());
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn item_shape(&self) -> Option<&[usize]> {
        Some(self.item_shape())
    }

    fn dtype(&self) -> &DType {
        self.dtype()
    }

    fn is_complete(&self) -> bool {
        let views = self.views();
        views.len() <= MOST_SHARDS_ASKED && views.iter().all(|view| view.buffer().verify().is_ok())
    }

    fn item(&self, index: usize) -> Result<ViewRef<'_>> {
        self.item(index)
    }
}
