//! Items of different sizes, copied one after another into one run of elements, as a file or shared
//! memory takes them:
//!
//! ```text
//!  offsets  0      6    8          13
//!  flat     |2x3...|1x2.|1x5........|
//! ```

use ndlens_core::room::with_room_for;
use ndlens_core::{Index, View};

use crate::error::{Error, Result};
use crate::source::Source;
use crate::source::numbers::view_of_sizes;
use crate::source::ragged::Shapes;

/// The places of a source's items after packing.
#[derive(Debug)]
pub struct Packing {
    offsets: Vec<i64>,
    sizes: Vec<i64>,
    rank: usize,
}

impl Packing {
    /// The places of all items of a source, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if an item cannot be inspected, all together exceed an array, or
    /// there is no memory for the list.
    pub fn of(source: &dyn Source) -> Result<Self> {
        let (items, rank) =
            (source.len(), source.item_shape().map_or(0, |shape| shape.most().len()));
        let mut offsets = with_room_for(items.saturating_add(1))?;
        let mut sizes = with_room_for(items.saturating_mul(rank))?;
        let mut end = 0i64;
        offsets.push(end);
        for item in 0..items {
            let item = source.item(item)?;
            sizes.extend(item.shape().iter().map(|&size| size as i64));
            let len = item.layout().len();
            end =
                i64::try_from(len).ok().and_then(|len| end.checked_add(len)).ok_or_else(|| {
                    let (shape, itemsize) = (item.shape().to_vec(), item.dtype().itemsize());
                    Error::Core(ndlens_core::Error::SizeOverflow { shape, itemsize })
                })?;
            offsets.push(end);
        }
        Ok(Packing { offsets, sizes, rank })
    }

    /// The number of elements of all items.
    pub fn len(&self) -> usize {
        self.offsets.last().map_or(0, |&end| end as usize)
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element each item starts at, of shape (items,), and the items' shapes, of shape (items,
    /// rank).
    ///
    /// # Errors
    ///
    /// [`Error::Core`] for more items than an array can have.
    pub fn places(&self) -> Result<(View, View)> {
        let items = self.offsets.len() - 1;
        let (mut offsets, mut sizes) = (with_room_for(items)?, with_room_for(self.sizes.len())?);
        offsets.extend_from_slice(&self.offsets[..items]);
        sizes.extend_from_slice(&self.sizes);
        let shapes = View::from_vec(sizes).reshape(&[items as isize, self.rank as isize])?;
        Ok((View::from_vec(offsets), shapes))
    }

    /// Copies the items to their places in `flat`, of shape (`len`,).
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if an item cannot be read.
    pub fn copy_to(&self, source: &dyn Source, flat: &View) -> Result<()> {
        for (item, ends) in self.offsets.windows(2).enumerate() {
            let range = Index::from(ends[0] as isize..ends[1] as isize);
            copy_item(source, item, &flat.index(&[range])?)?;
        }
        Ok(())
    }
}

/// Copies all items of one shape to `rows`, of shape (items, ..).
///
/// # Errors
///
/// [`Error::Core`] if an item cannot be read.
pub fn copy_rows(source: &dyn Source, rows: &View) -> Result<()> {
    (0..source.len()).try_for_each(|item| {
        let row = rows.index(&[Index::At(item as isize)])?;
        copy_item(source, item, &row)
    })
}

fn copy_item(source: &dyn Source, item: usize, target: &View) -> Result<()> {
    let item = source.item(item)?;
    let item = View::new(item.buffer().clone(), item.layout().clone(), item.dtype().clone())?;
    let shape: Vec<isize> = item.shape().iter().map(|&size| size as isize).collect();
    Ok(target.reshape(&shape)?.assign(&item)?)
}

/// Starts and shapes as views, in the form that a packed source has.
///
/// # Errors
///
/// [`Error::Core`] if there is no memory for the lists.
pub fn places_of(starts: &[usize], shapes: &Shapes) -> Result<(View, View)> {
    let table = [starts.len() as isize, shapes.rank() as isize];
    let sizes = view_of_sizes(shapes.sizes().iter().copied())?.reshape(&table)?;
    Ok((view_of_sizes(starts.iter().copied())?, sizes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::ragged::Ragged;

    #[test]
    fn packed_items_are_those_of_the_source() {
        let turned =
            View::from_vec((0..6u8).collect()).reshape(&[2, 3]).unwrap().permute(&[1, 0]).unwrap();
        let other = View::from_vec(vec![9u8, 8]).reshape(&[1, 2]).unwrap();
        let source = Ragged::of_views(vec![turned, other]).unwrap();
        let packing = Packing::of(&source).unwrap();
        let flat =
            View::zeros(&[packing.len()], source.dtype().clone(), ndlens_core::Order::C).unwrap();
        packing.copy_to(&source, &flat).unwrap();
        assert_eq!(flat.to_vec::<u8>().unwrap(), [0, 3, 1, 4, 2, 5, 9, 8]);
        let (offsets, shapes) = packing.places().unwrap();
        assert_eq!(offsets.to_vec::<i64>().unwrap(), [0, 6]);
        assert_eq!(
            (shapes.shape(), shapes.to_vec::<i64>().unwrap()),
            (&[2, 2][..], vec![3, 2, 1, 2])
        );
        let again =
            Ragged::packed(flat, Some(&[0, 6]), Shapes::from_view(&shapes).unwrap()).unwrap();
        let (starts, shapes) =
            again.as_packed().map(|(_, starts, shapes)| (starts, shapes)).unwrap();
        let (offsets, table) = places_of(starts, shapes).unwrap();
        assert_eq!((offsets.len(), table.shape()), (2, &[2, 2][..]));
    }

    #[test]
    fn rows_are_copied_in_their_order() {
        let source =
            View::from_vec((0..6u8).collect()).reshape(&[3, 2]).unwrap().flip(&[0]).unwrap();
        let rows = View::zeros(&[3, 2], source.dtype().clone(), ndlens_core::Order::C).unwrap();
        copy_rows(&source, &rows).unwrap();
        assert_eq!(rows.to_vec::<u8>().unwrap(), [4, 5, 2, 3, 0, 1]);
    }
}
