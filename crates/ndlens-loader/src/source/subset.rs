//! Some items of a source, in any order: the training part of a data set, a fold of a
//! cross-validation, the windows that a filter leaves. Nothing is copied.

use std::sync::{Arc, OnceLock};

use ndlens_core::{DType, Result, View, ViewRef};

use crate::source::Source;
use crate::source::images::Images;
use crate::source::selection::Selection;
use ndlens_transforms::ItemShape;

/// The items of a source that a [`Selection`] names.
///
/// ```
/// use std::sync::Arc;
/// use ndlens_core::View;
/// use ndlens_loader::{Selection, Source, Subset};
///
/// let rows = View::from_vec((0..8u8).collect()).reshape(&[4, 2])?;
/// let ends = Selection::from_view(&View::from_vec(vec![-1i64, 0]), 4)?;
/// let ends = Subset::new(Arc::new(rows), ends)?;
/// let mut bytes = [0; 2];
/// ends.item(0)?.read_into(&mut bytes)?;
/// assert_eq!((ends.len(), bytes), (2, [6, 7]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Subset {
    source: Arc<dyn Source>,
    selection: Selection,
    /// The least and the largest sizes of the selected items, if those of all items differ.
    sizes: Option<(Vec<usize>, Vec<usize>)>,
    fingerprint: OnceLock<u64>,
}

impl std::fmt::Debug for Subset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subset").field("items", &self.selection.len()).finish_non_exhaustive()
    }
}

impl Subset {
    /// The items of `source` that `selection` names.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchIndex`](crate::Error::NoSuchIndex) if a number is out of bounds;
    /// [`Error::Core`](crate::Error::Core) if an item cannot be inspected.
    pub fn new(source: Arc<dyn Source>, selection: Selection) -> crate::Result<Self> {
        let items = source.len();
        if let Some((place, got)) = selection.iter().enumerate().find(|&(_, item)| item >= items) {
            return Err(crate::Error::NoSuchIndex { got: got as i128, place, items });
        }
        let mut sizes: Option<(Vec<usize>, Vec<usize>)> = None;
        if source.item_shape().is_some_and(|shape| shape.as_fixed().is_none() && !shape.is_open()) {
            for item in selection.iter() {
                let item = source.item(item)?;
                let (least, most) =
                    sizes.get_or_insert_with(|| (item.shape().to_vec(), item.shape().to_vec()));
                for ((least, most), &size) in least.iter_mut().zip(most).zip(item.shape()) {
                    (*least, *most) = (size.min(*least), size.max(*most));
                }
            }
        }
        Ok(Subset { source, selection, sizes, fingerprint: OnceLock::new() })
    }

    /// The source of its items.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The selection of items.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }
}

impl Source for Subset {
    fn len(&self) -> usize {
        self.selection.len()
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        match &self.sizes {
            Some((least, most)) => Some(ItemShape::between(least, most)),
            None => self.source.item_shape(),
        }
    }

    fn dtype(&self) -> &DType {
        self.source.dtype()
    }

    fn rows(&self) -> Option<&View> {
        self.source.rows()
    }

    fn to_rows(&self, items: &mut [usize]) {
        self.selection.replace(items);
        self.source.to_rows(items);
    }

    fn encoded(&self) -> Option<&Images> {
        self.source.encoded()
    }

    fn is_complete(&self) -> bool {
        self.source.is_complete()
    }

    fn can_shrink(&self) -> bool {
        self.source.can_shrink()
    }

    fn mapped_bytes(&self) -> usize {
        let part =
            |bytes: usize| bytes as u128 * self.len() as u128 / self.source.len().max(1) as u128;
        let mapped = self.source.mapped_bytes();
        // An item that occurs again is in memory already.
        usize::try_from(part(mapped)).unwrap_or(mapped).min(mapped)
    }

    fn prefetch(&self, index: usize) {
        self.source.prefetch(self.selection.at(index));
    }

    fn fingerprint(&self) -> Option<u64> {
        let own = *self.fingerprint.get_or_init(|| self.selection.fingerprint());
        // A selection of a selection combines both digests.
        Some(self.source.fingerprint().map_or(own, |inner| own ^ inner.rotate_left(1)))
    }

    fn item_name(&self, index: usize) -> Option<String> {
        self.source.item_name(self.selection.at(index))
    }

    fn item(&self, index: usize) -> Result<ViewRef<'_>> {
        self.source.item(self.selection.at(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::ragged::{Ragged, Shapes};

    fn bytes(source: &dyn Source, index: usize) -> Vec<u8> {
        let item = source.item(index).unwrap();
        let mut bytes = vec![0; item.nbytes()];
        item.read_into(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_subset_of_a_subset_has_the_items_and_rows_of_the_source() {
        let rows: Arc<dyn Source> =
            Arc::new(View::from_vec((0..10u8).collect()).reshape(&[10, 1]).unwrap());
        let evens = Subset::new(rows, Selection::range(0, 2, 5, 10).unwrap()).unwrap();
        let some = Selection::of([4usize, 0, 1].into_iter(), 3, 5).unwrap();
        let inner = Subset::new(Arc::new(evens), some).unwrap();
        assert_eq!((0..3).map(|at| bytes(&inner, at)[0]).collect::<Vec<_>>(), [8, 0, 2]);
        let mut places = [0, 1, 2];
        inner.to_rows(&mut places);
        assert_eq!((places, inner.rows().unwrap().shape()), ([8, 0, 2], &[10, 1][..]));
        assert_eq!(
            Subset::new(Arc::new(inner), Selection::range(0, 1, 4, 4).unwrap())
                .unwrap_err()
                .to_string(),
            "index 3 at place 3 is out of bounds for 3 items"
        );
    }

    #[test]
    fn items_of_one_size_among_others_have_that_shape() {
        let mut shapes = Shapes::default();
        for shape in [[2, 1], [1, 3], [2, 1]] {
            shapes.push(&shape).unwrap();
        }
        let flat = View::from_vec((0..7u8).collect());
        let ragged: Arc<dyn Source> = Arc::new(Ragged::packed(flat, None, shapes).unwrap());
        let ends = Subset::new(ragged, Selection::range(0, 2, 2, 3).unwrap()).unwrap();
        assert_eq!(ends.item_shape().unwrap().as_fixed(), Some(&[2, 1][..]));
        assert_eq!(bytes(&ends, 1), [5, 6]);
    }
}
