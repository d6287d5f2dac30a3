//! A field of the data set: a source, and the transforms of its items.

use std::fmt;
use std::sync::Arc;

use ndlens_transforms::{Channels, Step};

use crate::source::Source;

/// One column of the data set: a source, a name, and the transforms of its items.
pub struct Field {
    pub(crate) name: String,
    /// The name that seeds the field's random draws.
    pub(crate) draws_as: String,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) transforms: Vec<Box<dyn Step>>,
    /// The place of the channels in an item, if it is known.
    pub(crate) channels: Option<Channels>,
}

impl Field {
    /// A field whose items are copied as they are.
    pub fn new(name: impl Into<String>, source: Arc<dyn Source>) -> Self {
        let name = name.into();
        Field { draws_as: name.clone(), name, source, transforms: vec![], channels: None }
    }

    /// The same field with the random draws of another field. A transform of a kind that both
    /// fields have draws the same numbers for both, so that an image and its mask are cropped and
    /// flipped alike.
    #[must_use]
    pub fn drawing_as(self, name: impl Into<String>) -> Self {
        Field { draws_as: name.into(), ..self }
    }

    /// The name of the field in errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The source of the items.
    pub(crate) fn source(&self) -> &dyn Source {
        &*self.source
    }

    /// The transforms of the items.
    pub(crate) fn transforms(&self) -> &[Box<dyn Step>] {
        &self.transforms
    }

    /// The same field with transforms for its items.
    #[must_use]
    pub fn with_transforms(self, transforms: Vec<Box<dyn Step>>) -> Self {
        Field { transforms, ..self }
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field")
            .field("name", &self.name)
            .field("transforms", &self.transforms)
            .finish_non_exhaustive()
    }
}
