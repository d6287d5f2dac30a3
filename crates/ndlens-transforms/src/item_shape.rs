//! The shape of items, which may differ from item to item.

use std::fmt;

/// The shape of all items, or the range of the size of each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ItemShape<'a> {
    least: &'a [usize],
    most: &'a [usize],
    is_open: bool,
}

impl<'a> From<&'a [usize]> for ItemShape<'a> {
    fn from(shape: &'a [usize]) -> Self {
        ItemShape::fixed(shape)
    }
}

impl<'a> ItemShape<'a> {
    /// The shape of items that all have this shape.
    pub fn fixed(shape: &'a [usize]) -> Self {
        ItemShape { least: shape, most: shape, is_open: false }
    }

    /// The shape of items whose axes are between these sizes. Both lists have the same length.
    pub fn between(least: &'a [usize], most: &'a [usize]) -> Self {
        debug_assert_eq!(least.len(), most.len());
        ItemShape { least, most, is_open: false }
    }

    /// The shape of items whose sizes are unknown until they are read, such as encoded images: each
    /// axis is between these sizes, which no item need have. Both lists have the same length.
    pub fn open(least: &'a [usize], most: &'a [usize]) -> Self {
        debug_assert_eq!(least.len(), most.len());
        ItemShape { least, most, is_open: true }
    }

    /// Whether the sizes of items are unknown until they are read.
    pub fn is_open(self) -> bool {
        self.is_open
    }

    /// The least size of each axis.
    pub fn least(self) -> &'a [usize] {
        self.least
    }

    /// The largest size of each axis.
    pub fn most(self) -> &'a [usize] {
        self.most
    }

    /// The size of each axis; None for an axis in which items differ.
    pub fn sizes(self) -> impl ExactSizeIterator<Item = Option<usize>> {
        self.least.iter().zip(self.most).map(|(&least, &most)| (least == most).then_some(most))
    }

    /// The shape, if all items have the same.
    pub fn as_fixed(self) -> Option<&'a [usize]> {
        (self.least == self.most).then_some(self.most)
    }
}

/// For example "[480, 640, 3]", "[240..480, 320..640, 3]" or, if sizes are unknown, "[?, ?, 3]".
impl fmt::Display for ItemShape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |(least, most): (&usize, &usize)| match (least == most, self.is_open) {
            (true, _) => most.to_string(),
            (false, true) => "?".to_owned(),
            (false, false) => format!("{least}..{most}"),
        };
        let sizes: Vec<_> = self.least.iter().zip(self.most).map(size).collect();
        write!(f, "[{}]", sizes.join(", "))
    }
}
