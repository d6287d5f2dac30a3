//! Members of tar archives as items, and numbers that are written in them.

use ndlens_core::room::with_room_for;
use ndlens_core::{DType, View, ViewRef};
use ndlens_store::SampleField;
use ndlens_transforms::ItemShape;

use crate::error::{Error, Result};
use crate::source::{MOST_ASKED, Source};

/// The longest text that may be a number, in bytes.
const MOST_DIGITS: usize = 64;

impl Source for SampleField {
    fn len(&self) -> usize {
        self.len()
    }

    fn item_shape(&self) -> Option<ItemShape<'_>> {
        let (least, most) = self.shape_bounds();
        Some(ItemShape::between(least, most))
    }

    fn dtype(&self) -> &DType {
        &DType::U8
    }

    fn is_complete(&self) -> bool {
        self.views().len() <= MOST_ASKED && self.views().all(Source::is_complete)
    }

    fn can_shrink(&self) -> bool {
        self.views().any(|view| view.buffer().can_shrink())
    }

    fn mapped_bytes(&self) -> usize {
        self.views().map(Source::mapped_bytes).sum()
    }

    fn prefetch(&self, index: usize) {
        // An item that cannot be had says so when it is read.
        let _ = self.item(index).and_then(|item| item.prefetch());
    }

    fn item_name(&self, index: usize) -> Option<String> {
        Some(self.describe(index))
    }

    fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        self.item(index)
    }
}

/// The integers that are written in items of bytes, such as "7\n": int64, of shape (items,).
///
/// # Errors
///
/// [`Error::NotText`] for items of another kind, [`Error::NotANumber`] for the first item that is
/// not an integer of 64 bits in ASCII digits, between spaces or not; [`Error::Core`] if an item
/// cannot be read or there is no memory.
pub fn numbers_in_text(source: &dyn Source) -> Result<View> {
    let rank = source.item_shape().map(|shape| shape.most().len());
    if source.dtype() != &DType::U8 || rank != Some(1) {
        let (dtype, rank) = (source.dtype().to_string(), rank.unwrap_or(0));
        return Err(Error::NotText { dtype, rank });
    }
    let mut numbers: Vec<i64> = with_room_for(source.len())?;
    let mut bytes = [0; MOST_DIGITS];
    for index in 0..source.len() {
        let item = source.item(index)?;
        let len = item.nbytes().min(MOST_DIGITS);
        let text = &mut bytes[..len];
        item.verify()?;
        item.narrow(0, 0, len)?.read_into(text)?;
        let number = (item.nbytes() <= MOST_DIGITS)
            .then(|| str::from_utf8(text).ok()?.trim_ascii().parse().ok())
            .flatten();
        let Some(number) = number else {
            let text = text.escape_ascii().to_string();
            return Err(Error::NotANumber { item: index, text });
        };
        numbers.push(number);
    }
    Ok(View::from_vec(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::ragged::Ragged;

    fn items(texts: &[&str]) -> Ragged {
        let views = texts.iter().map(|text| View::from_vec(text.as_bytes().to_vec())).collect();
        Ragged::of_views(views).unwrap()
    }

    #[test]
    fn numbers_stand_between_spaces() {
        let numbers = numbers_in_text(&items(&["7", " -12\n", "+3\r\n", "9223372036854775807"]));
        assert_eq!(numbers.unwrap().to_vec::<i64>().unwrap(), [7, -12, 3, i64::MAX]);
    }

    #[test]
    fn what_is_no_number_is_named() {
        let refused = |text: &str| numbers_in_text(&items(&["7", text])).unwrap_err().to_string();
        assert_eq!(
            refused("cat\n"),
            "item 1 is \"cat\\n\", expected an integer in ASCII digits; bytes(items[1]).decode() \
             is its text"
        );
        for text in ["", "1.5", "1 2", "9223372036854775808", &"0".repeat(65)] {
            assert!(refused(text).starts_with("item 1 is "), "{text}");
        }
        let numbers = numbers_in_text(&View::from_vec(vec![1u8, 2]));
        assert_eq!(
            numbers.unwrap_err().to_string(),
            "expected items of text, uint8 of rank 1, got uint8 of rank 0"
        );
    }
}
