//! Memory that one thread needs to make items.

use ndlens_codecs::DecodeScratch;
use ndlens_transforms::Scratch;

/// Memory that one thread needs to make items. It grows to what the largest item needs, and does
/// not shrink.
#[derive(Debug, Default)]
pub(crate) struct ItemScratch {
    /// For images between transforms.
    pub(crate) pixels: Scratch,
    /// The bytes of an encoded image.
    pub(crate) encoded: Vec<u8>,
    /// For its decoder.
    pub(crate) decode: DecodeScratch,
    /// For each field, the item that was decoded last, and its shape.
    pub(crate) seen: Seen,
}

/// The shapes of the items that were decoded last, which the other fields of a row may need.
#[derive(Debug, Default)]
pub(crate) struct Seen(Vec<Option<(usize, [usize; 3])>>);

impl Seen {
    /// Notes the shape of an item of a field.
    pub(crate) fn note(&mut self, field: usize, item: usize, shape: [usize; 3]) {
        if self.0.len() <= field {
            self.0.resize(field + 1, None);
        }
        self.0[field] = Some((item, shape));
    }

    /// The shape of an item of a field, if it was the last one.
    pub(crate) fn shape_of(&self, field: usize, item: usize) -> Option<[usize; 3]> {
        let (last, shape) = (*self.0.get(field)?)?;
        (last == item).then_some(shape)
    }
}
