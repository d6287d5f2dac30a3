//! The sources of items.

pub(crate) mod encoded;
pub(crate) mod image_bytes;
pub(crate) mod images;
pub(crate) mod labels;
pub(crate) mod members;
pub(crate) mod nan;
pub(crate) mod numbers;
pub(crate) mod packing;
pub(crate) mod ragged;
pub(crate) mod saving;
pub(crate) mod selection;
pub(crate) mod split;
pub(crate) mod subset;
pub(crate) mod windows;

use std::collections::HashSet;
use std::sync::Arc;

use ndlens_core::{Buffer, DType, Index, Result, View, ViewRef, room};
use ndlens_store::Shards;
use ndlens_transforms::ItemShape;

use crate::source::images::Images;

/// Maximum number of files that are checked at once for all items. To check as many takes a small
/// part of the time of a batch.
const MOST_ASKED: usize = 32;

/// A sequence of items of one dtype and rank, such as a view, whose items are its rows along axis
/// 0: images of (N, H, W, C), rows of (N, F), windows of (N, size, F), labels of (N,).
pub trait Source: Send + Sync {
    /// The number of items.
    fn len(&self) -> usize;

    /// Whether there is no item.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of each item; None if there is nothing to take items from.
    fn item_shape(&self) -> Option<ItemShape<'_>>;

    /// The shape of each item as the user gave it, before its axes were put in another order.
    fn given_shape(&self) -> Option<ItemShape<'_>> {
        self.item_shape()
    }

    /// The dtype of the elements.
    fn dtype(&self) -> &DType;

    /// The view that has the items among its rows along axis 0, if there is one: its rows may be
    /// read without asking for each. [`to_rows`](Self::to_rows) gives the row of an item.
    fn rows(&self) -> Option<&View> {
        None
    }

    /// Replaces numbers of items, all below [`len`](Self::len), by the numbers of their rows in
    /// [`rows`](Self::rows), or of their images in [`encoded`](Self::encoded).
    fn to_rows(&self, items: &mut [usize]) {
        let _ = items;
    }

    /// The encoded images that have the items among theirs, if the items are decoded when they are
    /// made: [`item`](Self::item) then fails. [`to_rows`](Self::to_rows) gives the number of an
    /// item's image.
    fn encoded(&self) -> Option<&Images> {
        None
    }

    /// The name of an item in errors, such as that of its file; None if only its number names it.
    fn item_name(&self, index: usize) -> Option<String> {
        let _ = index;
        None
    }

    /// A digest that differs between sources of one length, such as two selections of the same
    /// items. It is part of a run's state.
    fn fingerprint(&self) -> Option<u64> {
        None
    }

    /// Whether the bytes of all items are there, asked right before items are read. If not, or if
    /// the answer would take longer, each item is asked for its own bytes; see
    /// [`Owner::verify`](ndlens_core::Owner::verify).
    fn is_complete(&self) -> bool;

    /// Whether bytes of items may go missing while they are read.
    fn can_shrink(&self) -> bool {
        false
    }

    /// Bytes of all items that are mapped from a file and come into memory only when they are read.
    fn mapped_bytes(&self) -> usize {
        0
    }

    /// Asks the system for an item that will soon be read. An item that cannot be requested is read
    /// without this.
    fn prefetch(&self, index: usize) {
        let _ = index;
    }

    /// Item `index`, below [`len`](Self::len), of shape [`item_shape`](Self::item_shape).
    ///
    /// # Errors
    ///
    /// An error that keeps the item from being read.
    fn item(&self, index: usize) -> Result<ViewRef<'_>>;
}

impl Source for View {
    fn len(&self) -> usize {
        self.shape().first().copied().unwrap_or(0)
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        self.shape().get(1..).map(ItemShape::fixed)
    }

    fn dtype(&self) -> &DType {
        self.dtype()
    }

    fn rows(&self) -> Option<&View> {
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
        // The error of an item is reported when it is read.
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

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        Some(ItemShape::fixed(self.item_shape()))
    }

    fn dtype(&self) -> &DType {
        self.dtype()
    }

    fn is_complete(&self) -> bool {
        let views = self.views();
        views.len() <= MOST_ASKED && views.iter().all(Source::is_complete)
    }

    fn item(&self, index: usize) -> Result<ViewRef<'_>> {
        self.item(index)
    }
}

impl Source for Images {
    fn len(&self) -> usize {
        self.source().len()
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        Some(self.item_shape())
    }

    fn dtype(&self) -> &DType {
        self.dtype()
    }

    fn encoded(&self) -> Option<&Images> {
        Some(self)
    }

    fn fingerprint(&self) -> Option<u64> {
        self.source().fingerprint()
    }

    /// Bytes are copied before they are decoded, and checked then.
    fn is_complete(&self) -> bool {
        true
    }

    fn can_shrink(&self) -> bool {
        self.source().can_shrink()
    }

    fn mapped_bytes(&self) -> usize {
        self.source().mapped_bytes()
    }

    fn prefetch(&self, index: usize) {
        self.source().prefetch(index);
    }

    fn item(&self, _index: usize) -> Result<ViewRef<'_>> {
        Err(ndlens_core::Error::NotDecoded)
    }
}

/// The image that an item is decoded of, if it is encoded: all images, and its number.
pub(crate) fn encoded_item(source: &dyn Source, item: usize) -> Option<(&Images, usize)> {
    let images = source.encoded()?;
    let mut row = [item];
    source.to_rows(&mut row);
    Some((images, row[0]))
}

/// The items of another source with their axes in another order. Nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rearrangement {
    /// (channels, height, width) as (height, width, channels).
    ChannelsLast,
    /// (height, width) as (height, width, 1).
    NewChannel,
}

impl Rearrangement {
    fn sizes(self, sizes: &[usize]) -> Vec<usize> {
        let mut sizes = sizes.to_vec();
        match self {
            Rearrangement::ChannelsLast => sizes.rotate_left(1),
            Rearrangement::NewChannel => sizes.push(1),
        }
        sizes
    }
}

/// See [`Rearrangement`].
struct Rearranged {
    source: Arc<dyn Source>,
    rearrangement: Rearrangement,
    /// The view that has the items among its rows, rearranged too.
    rows: Option<View>,
    least: Vec<usize>,
    most: Vec<usize>,
}

/// `source` with the axes of its items, which it must have, in another order.
pub(crate) fn rearranged(
    source: Arc<dyn Source>,
    rearrangement: Rearrangement,
) -> Result<Arc<dyn Source>> {
    let sizes = |shape: &[usize]| rearrangement.sizes(shape);
    let (least, most) = source
        .item_shape()
        .map_or_else(Default::default, |shape| (sizes(shape.least()), sizes(shape.most())));
    let rows = source.rows().map(|rows| match rearrangement {
        Rearrangement::ChannelsLast => rows.permute(&[0, 2, 3, 1]),
        Rearrangement::NewChannel => rows.index(&[Index::Ellipsis, Index::NewAxis]),
    });
    let rows = rows.transpose()?;
    Ok(Arc::new(Rearranged { source, rearrangement, rows, least, most }))
}

impl Source for Rearranged {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        Some(ItemShape::between(&self.least, &self.most))
    }

    fn given_shape(&self) -> Option<ItemShape<'_>> {
        self.source.given_shape()
    }

    fn dtype(&self) -> &DType {
        self.source.dtype()
    }

    fn rows(&self) -> Option<&View> {
        self.rows.as_ref()
    }

    fn to_rows(&self, items: &mut [usize]) {
        self.source.to_rows(items);
    }

    fn encoded(&self) -> Option<&Images> {
        self.source.encoded()
    }

    fn fingerprint(&self) -> Option<u64> {
        self.source.fingerprint()
    }

    fn is_complete(&self) -> bool {
        self.source.is_complete()
    }

    fn can_shrink(&self) -> bool {
        self.source.can_shrink()
    }

    fn mapped_bytes(&self) -> usize {
        self.source.mapped_bytes()
    }

    fn prefetch(&self, index: usize) {
        self.source.prefetch(index);
    }

    fn item(&self, index: usize) -> Result<ViewRef<'_>> {
        if let Some(rows) = self.rows.as_ref().filter(|_| index < self.len()) {
            let mut row = [index];
            self.to_rows(&mut row);
            return Source::item(rows, row[0]);
        }
        let item = self.source.item(index)?;
        match self.rearrangement {
            Rearrangement::ChannelsLast => item.permute(&[1, 2, 0]),
            Rearrangement::NewChannel => item.index(&[Index::Ellipsis, Index::NewAxis]),
        }
    }
}

/// Whether all bytes of these buffers are there, as far as it is worth asking; see
/// [`Source::is_complete`].
pub(crate) fn all_there(buffers: &[Buffer]) -> bool {
    buffers.len() <= MOST_ASKED && buffers.iter().all(|buffer| buffer.verify().is_ok())
}

/// The buffers behind views, each once: what is to be asked whether its bytes are there.
///
/// # Errors
///
/// [`ndlens_core::Error::OutOfMemory`].
pub(crate) fn buffers_of(views: &[View]) -> Result<Vec<Buffer>> {
    let (mut seen, mut buffers) = (HashSet::new(), vec![]);
    for buffer in views.iter().map(View::buffer) {
        if room::insert(&mut seen, (buffer.as_ptr(), buffer.len()))? {
            room::push(&mut buffers, buffer.clone())?;
        }
    }
    Ok(buffers)
}
