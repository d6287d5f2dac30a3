//! Items of different sizes: images at their original sizes, sequences of any length.
//!
//! Their first two axes may differ; dtype, rank and all other axes, such as channels, are the same.
//! Either each item is a view of its own, or all are in one view, such as a file of pixels:
//!
//! ```text
//!  offsets  0            24        36
//!  flat     |item 0: 2x4x3|item 1: 2x2x3|item 2: 1x5x3 ..
//! ```

use ndlens_core::room::{self, with_room_for};
use ndlens_core::{Buffer, DType, Layout, Order, View, ViewRef};
use ndlens_transforms::ItemShape;

use crate::error::{Error, Result};
use crate::source::numbers::numbers_of;
use crate::source::{Source, all_there, buffers_of};

/// Axes that may differ from item to item.
const VARYING: usize = 2;

/// Items of one dtype and rank whose first two axes may differ.
#[derive(Debug)]
pub struct Ragged {
    items: Items,
    least: Vec<usize>,
    most: Vec<usize>,
}

#[derive(Debug)]
enum Items {
    Apart { views: Vec<View>, buffers: Vec<Buffer> },
    Packed { flat: Box<View>, starts: Vec<usize>, shapes: Shapes },
}

impl Ragged {
    /// Items that are views.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalItems`] for items of another dtype or rank, or with other axes from axis 2
    /// on; [`Error::Core`] if there is no memory for the list of buffers.
    pub fn of_views(views: Vec<View>) -> Result<Self> {
        let kind = |view: &View| format!("{} of rank {}", view.dtype(), view.ndim());
        let mut bounds = Bounds::default();
        for (item, view) in views.iter().enumerate() {
            if view.dtype() != views[0].dtype() || view.ndim() != views[0].ndim() {
                return Err(Error::UnequalItems {
                    item,
                    got: kind(view),
                    expected: kind(&views[0]),
                });
            }
            bounds.take(item, view.shape())?;
        }
        let buffers = buffers_of(&views)?;
        Ok(Ragged {
            items: Items::Apart { views, buffers },
            least: bounds.least,
            most: bounds.most,
        })
    }

    /// Items in one view. Item i starts at element `offsets[i]` of `flat` and has shape i of
    /// `shapes`, in C order. Without `offsets`, each item follows the one before. With one offset
    /// more than items, the last offset is the end of the last item, and each item must end at or
    /// before the start of the next one.
    ///
    /// # Errors
    ///
    /// [`Error::FlatShape`], [`Error::OffsetsLength`], [`Error::ItemOutOfFlat`]; [`Error::Core`] if
    /// there is no memory for the list of places.
    pub fn packed(flat: View, offsets: Option<&[usize]>, shapes: Shapes) -> Result<Self> {
        if flat.ndim() != 1 || !flat.is_contiguous(Order::C) {
            let (shape, strides) = (flat.shape().to_vec(), flat.strides().to_vec());
            return Err(Error::FlatShape { shape, strides });
        }
        let items = shapes.len();
        if let Some(got) =
            offsets.map(<[usize]>::len).filter(|&len| len != items && len != items + 1)
        {
            return Err(Error::OffsetsLength { got, items });
        }
        let mut starts = with_room_for(items)?;
        let mut end = 0usize;
        for item in 0..items {
            let shape = shapes.get(item);
            let start = offsets.map_or(end, |offsets| offsets[item]);
            let limit = offsets
                .filter(|offsets| offsets.len() > items)
                .map_or(flat.len(), |offsets| offsets[item + 1].min(flat.len()));
            let len = shape.iter().try_fold(1usize, |len, &size| len.checked_mul(size));
            end = match len.and_then(|len| start.checked_add(len)) {
                Some(end) if end <= limit => end,
                _ => {
                    return Err(Error::ItemOutOfFlat { item, shape: shape.to_vec(), start, limit });
                }
            };
            starts.push(start);
        }
        let Bounds { least, most } = shapes.bounds.clone();
        Ok(Ragged { items: Items::Packed { flat: flat.into(), starts, shapes }, least, most })
    }

    /// If all items are in one view: that view, the element at which each item starts, and their
    /// shapes.
    pub fn as_packed(&self) -> Option<(&View, &[usize], &Shapes)> {
        match &self.items {
            Items::Packed { flat, starts, shapes } => Some((flat, starts, shapes)),
            Items::Apart { .. } => None,
        }
    }

    /// The views, if each item is one.
    pub fn as_views(&self) -> Option<&[View]> {
        match &self.items {
            Items::Apart { views, .. } => Some(views),
            Items::Packed { .. } => None,
        }
    }
}

/// The shapes of items of one rank, which differ in their first two axes at most; one list for all,
/// since there may be millions.
#[derive(Debug, Default)]
pub struct Shapes {
    /// The sizes of all shapes, in order.
    sizes: Vec<usize>,
    items: usize,
    bounds: Bounds,
}

impl Shapes {
    /// The shapes in the rows of a view of integers, of shape (items, rank).
    ///
    /// # Errors
    ///
    /// [`Error::ShapesTable`] for another view, [`Error::NegativeNumber`], and the errors of
    /// [`push`](Self::push).
    pub fn from_view(view: &View) -> Result<Self> {
        let table =
            || Error::ShapesTable { dtype: view.dtype().to_string(), got: view.shape().to_vec() };
        let &[items, rank] = view.shape() else { return Err(table()) };
        let mut shapes = Shapes::default();
        shapes.reserve(items, rank)?;
        let sizes = numbers_of(view, "shapes")?.ok_or_else(table)?;
        (0..items).try_for_each(|item| shapes.push(&sizes[item * rank..(item + 1) * rank]))?;
        Ok(shapes)
    }

    /// Reserves memory for `items` shapes of this rank.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory.
    pub fn reserve(&mut self, items: usize, rank: usize) -> Result<()> {
        Ok(room::reserve(&mut self.sizes, items.saturating_mul(rank))?)
    }

    /// Adds the shape of the next item.
    ///
    /// # Errors
    ///
    /// [`Error::UnequalItems`] if it has another rank than those before it or other sizes from
    /// axis 2 on; [`Error::Core`] if there is no memory for it.
    pub fn push(&mut self, shape: &[usize]) -> Result<()> {
        self.bounds.take(self.items, shape)?;
        room::reserve(&mut self.sizes, shape.len())?;
        self.sizes.extend_from_slice(shape);
        self.items += 1;
        Ok(())
    }

    /// The number of shapes.
    pub fn len(&self) -> usize {
        self.items
    }

    /// Whether there is no shape.
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The number of axes of each item.
    pub fn rank(&self) -> usize {
        self.bounds.most.len()
    }

    /// The sizes of all shapes, in order.
    pub(crate) fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The shape of an item, which is below [`len`](Self::len).
    ///
    /// # Panics
    ///
    /// If it is not below `len`.
    pub fn get(&self, item: usize) -> &[usize] {
        let rank = self.rank();
        &self.sizes[item * rank..(item + 1) * rank]
    }
}

/// The sizes that items have been seen to have.
#[derive(Debug, Clone, Default)]
struct Bounds {
    least: Vec<usize>,
    most: Vec<usize>,
}

impl Bounds {
    fn take(&mut self, item: usize, shape: &[usize]) -> Result<()> {
        if item == 0 {
            (self.least, self.most) = (shape.to_vec(), shape.to_vec());
        }
        if shape.len() != self.most.len()
            || shape.iter().skip(VARYING).ne(self.most.iter().skip(VARYING))
        {
            let expected = ItemShape::between(&self.least, &self.most).to_string();
            return Err(Error::UnequalItems { item, got: format!("shape {shape:?}"), expected });
        }
        for ((least, most), &size) in self.least.iter_mut().zip(&mut self.most).zip(shape) {
            (*least, *most) = (size.min(*least), size.max(*most));
        }
        Ok(())
    }
}

impl Source for Ragged {
    fn len(&self) -> usize {
        match &self.items {
            Items::Apart { views, .. } => views.len(),
            Items::Packed { starts, .. } => starts.len(),
        }
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        Some(ItemShape::between(&self.least, &self.most))
    }

    fn dtype(&self) -> &DType {
        match &self.items {
            Items::Apart { views, .. } => views.first().map_or(&DType::U8, View::dtype),
            Items::Packed { flat, .. } => flat.dtype(),
        }
    }

    fn is_complete(&self) -> bool {
        match &self.items {
            Items::Apart { buffers, .. } => all_there(buffers),
            Items::Packed { flat, .. } => Source::is_complete(&**flat),
        }
    }

    fn can_shrink(&self) -> bool {
        match &self.items {
            Items::Apart { buffers, .. } => buffers.iter().any(Buffer::can_shrink),
            Items::Packed { flat, .. } => flat.buffer().can_shrink(),
        }
    }

    fn mapped_bytes(&self) -> usize {
        match &self.items {
            Items::Apart { views, .. } => views.iter().map(Source::mapped_bytes).sum(),
            Items::Packed { flat, .. } => flat.mapped_bytes(),
        }
    }

    fn prefetch(&self, index: usize) {
        // An item that cannot be had says so when it is read.
        let _ = self.item(index).and_then(|item| item.prefetch());
    }

    fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        let (flat, start, shape) = match &self.items {
            Items::Apart { views, .. } => return Ok(views[index].as_ref()),
            Items::Packed { flat, starts, shapes } => (flat, starts[index], shapes.get(index)),
        };
        let (itemsize, len) = (flat.itemsize(), flat.buffer().len());
        let packed = Layout::contiguous(shape, itemsize, Order::C)?;
        let offset = flat.layout().offset() + start * itemsize;
        ViewRef::new(
            flat.buffer(),
            Layout::new(shape, packed.strides(), offset, itemsize, len)?,
            flat.dtype(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(source: &Ragged, index: usize) -> (Vec<usize>, Vec<u8>) {
        let item = source.item(index).unwrap();
        let mut bytes = vec![0; item.nbytes()];
        item.read_into(&mut bytes).unwrap();
        (item.shape().to_vec(), bytes)
    }

    fn numbered(len: u8) -> View {
        View::from_vec((0..len).collect::<Vec<u8>>())
    }

    fn shapes_of(rows: &[&[usize]]) -> Result<Shapes> {
        let mut shapes = Shapes::default();
        rows.iter().try_for_each(|row| shapes.push(row)).map(|()| shapes)
    }

    #[test]
    fn shapes_in_a_table_are_those_that_were_pushed() {
        let table = View::from_vec(vec![2i32, 3, 1, 1, 2, 1]).reshape(&[2, 3]).unwrap();
        let shapes = Shapes::from_view(&table).unwrap();
        assert_eq!((shapes.len(), shapes.rank(), shapes.get(1)), (2, 3, &[1, 2, 1][..]));
        let message = |view: View| Shapes::from_view(&view).unwrap_err().to_string();
        assert_eq!(
            message(View::from_vec(vec![4i64])),
            "shapes must be integers of shape (items, rank), got int64 of shape [1]"
        );
        assert_eq!(
            message(View::from_vec(vec![4f64]).reshape(&[1, 1]).unwrap()),
            "shapes must be integers of shape (items, rank), got float64 of shape [1, 1]"
        );
        assert_eq!(
            message(View::from_vec(vec![4i64, -1]).reshape(&[1, 2]).unwrap()),
            "shapes must be integers from 0 on, got -1 at place 1"
        );
    }

    #[test]
    fn items_of_any_size_are_where_they_were_said_to_be() {
        let flat = numbered(30).index(&[ndlens_core::s(2..)]).unwrap();
        for offsets in [None, Some(&[0, 6][..]), Some(&[0, 6, 8])] {
            let shapes = shapes_of(&[&[2, 3, 1], &[1, 2, 1]]).unwrap();
            let source = Ragged::packed(flat.clone(), offsets, shapes).unwrap();
            let (_, starts, shapes) = source.as_packed().unwrap();
            assert_eq!((starts, shapes.get(1)), (&[0, 6][..], &[1, 2, 1][..]));
            assert_eq!(bytes(&source, 0), (vec![2, 3, 1], (2..8).collect()));
            assert_eq!(bytes(&source, 1), (vec![1, 2, 1], vec![8, 9]));
            assert_eq!(source.item_shape().unwrap().to_string(), "[1..2, 2..3, 1]");
            assert_eq!(
                source.item_shape().unwrap().sizes().collect::<Vec<_>>(),
                [None, None, Some(1)]
            );
        }
        let apart = Ragged::of_views(vec![numbered(4), numbered(2)]).unwrap();
        assert_eq!(bytes(&apart, 1), (vec![2], vec![0, 1]));
        assert_eq!((apart.len(), apart.item_shape().unwrap().as_fixed()), (2, None));
        let same =
            Ragged::packed(numbered(8), None, shapes_of(&[&[2, 2], &[2, 2]]).unwrap()).unwrap();
        assert_eq!(same.item_shape().unwrap().as_fixed(), Some(&[2, 2][..]));
    }

    #[test]
    fn items_that_cannot_be_say_why() {
        let packed = |offsets: Option<&[usize]>, shapes: &[&[usize]]| {
            shapes_of(shapes)
                .and_then(|shapes| Ragged::packed(numbered(10), offsets, shapes))
                .unwrap_err()
                .to_string()
        };
        let out = "and does not end by element";
        assert_eq!(
            packed(None, &[&[4], &[7]]),
            format!("item 1 of shape [7] starts at element 4 {out} 10, where its memory ends")
        );
        assert_eq!(
            packed(Some(&[0, 3, 10]), &[&[4], &[4]]),
            format!("item 0 of shape [4] starts at element 0 {out} 3, where its memory ends")
        );
        assert_eq!(
            packed(Some(&[11]), &[&[0]]),
            format!("item 0 of shape [0] starts at element 11 {out} 10, where its memory ends")
        );
        assert_eq!(
            packed(Some(&[usize::MAX]), &[&[2]]),
            format!(
                "item 0 of shape [2] starts at element {} {out} 10, where its memory ends",
                usize::MAX
            )
        );
        assert_eq!(
            packed(None, &[&[usize::MAX, 2]]),
            format!(
                "item 0 of shape [{}, 2] starts at element 0 {out} 10, where its memory ends",
                usize::MAX
            )
        );
        assert_eq!(
            packed(Some(&[0]), &[&[1], &[2], &[3]]),
            "offsets must be 3 or 4 for 3 items, got 1"
        );
        assert_eq!(
            packed(None, &[&[1], &[1, 2]]),
            "item 1 has shape [1, 2], but those before it [1]: only axes 0 and 1 may differ"
        );
        assert_eq!(
            packed(None, &[&[1, 1, 3], &[1, 1, 1]]),
            "item 1 has shape [1, 1, 1], but those before it [1, 1, 3]: only axes 0 and 1 may \
             differ"
        );
        let flat = numbered(8).flip(&[0]).unwrap();
        assert_eq!(
            Ragged::packed(flat, None, shapes_of(&[&[1]]).unwrap()).unwrap_err().to_string(),
            "items must lie in a packed view of one axis, got shape [8] with strides [-1]"
        );
        let floats = View::from_vec(vec![0f32; 2]);
        assert_eq!(
            Ragged::of_views(vec![numbered(3), floats]).unwrap_err().to_string(),
            "item 1 has float32 of rank 1, but those before it uint8 of rank 1: only axes 0 and 1 \
             may differ"
        );
    }
}
