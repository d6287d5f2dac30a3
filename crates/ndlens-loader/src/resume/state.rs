//! The state of a run: a few numbers that any rank can write, and that any number of ranks can
//! resume from.
//!
//! An order is a function of the seed and the epoch. So a state holds a place in the order, and
//! nothing is replayed. It also holds the values that the order depends on, and a loader that would
//! give another order refuses the state.

use crate::error::{Error, Result};
use crate::resume::note::Note;

/// The layout of [`State`] itself.
pub const STATE_VERSION: u32 = 1;

/// The progress of a run, counting batches that were handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The epoch to go on with.
    pub epoch: u32,
    /// The first place of the epoch's order that no rank has taken.
    pub start: usize,
    /// The note of the code that reads a sampler.
    pub note: Option<Note>,
    /// The basis of the order.
    pub basis: Basis,
}

/// The basis of an order and its draws: the values that they are a function of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// The number of items.
    pub items: usize,
    /// Whether each epoch has its own random order.
    pub shuffle: bool,
    /// Origin of the order: "in turn", "ndlens", "torch", "sampler", or the number of draws and
    /// their weights.
    pub order: String,
    /// The number of items of a part of the data set, and a digest of them.
    pub indices: Option<String>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Each field's name, dtype and item shape, as "image uint8 [512, 512, 3]".
    pub fields: Vec<String>,
}

impl State {
    /// A state of numbers from an untrusted source.
    ///
    /// # Errors
    ///
    /// [`Error::StateNumber`] for an epoch that is not below 2**32, a number of items that no
    /// epoch has, or a negative number.
    pub fn new(epoch: i128, start: i128, note: Option<Note>, basis: Basis) -> Result<Self> {
        let in_range = |key, got: i128, most: u64| match u64::try_from(got) {
            Ok(number) if number <= most => Ok(number),
            Ok(_) | Err(_) => Err(Error::StateNumber { key, got, most }),
        };
        Ok(State {
            epoch: in_range("epoch", epoch, u32::MAX.into())? as u32,
            start: in_range("items_done", start, isize::MAX as u64)? as usize,
            note,
            basis,
        })
    }

    /// Checks that a loader of this basis can go on from here. `places` is the number of places in
    /// an epoch's order, if known.
    ///
    /// # Errors
    ///
    /// [`Error::OtherItems`], [`Error::StateMismatch`] with the first thing that differs,
    /// [`Error::StateBeyondEnd`].
    pub fn check(&self, own: &Basis, places: Option<usize>) -> Result<()> {
        let differs =
            |what, got: String, expected: String| Err(Error::StateMismatch { what, got, expected });
        let (basis, text) = (&self.basis, |fields: &[String]| fields.join(", "));
        if basis.items != own.items {
            return differs("items", basis.items.to_string(), own.items.to_string());
        }
        if let Some(field) = with_other_items(&basis.fields, &own.fields) {
            return Err(Error::OtherItems { field: field.to_owned() });
        }
        if basis.fields != own.fields {
            return differs("fields", text(&basis.fields), text(&own.fields));
        }
        if basis.shuffle != own.shuffle {
            return differs("shuffle", basis.shuffle.to_string(), own.shuffle.to_string());
        }
        if basis.order != own.order {
            return differs("order", basis.order.clone(), own.order.clone());
        }
        if basis.seed != own.seed {
            return differs("seed", basis.seed.to_string(), own.seed.to_string());
        }
        if basis.indices != own.indices {
            let text = |indices: &Option<String>| {
                indices.clone().unwrap_or_else(|| "all items".to_owned())
            };
            return differs("indices", text(&basis.indices), text(&own.indices));
        }
        if let Some(places) = places.filter(|&places| self.start > places) {
            return Err(Error::StateBeyondEnd { start: self.start, items: places });
        }
        Ok(())
    }
}

/// What stands before the digest of a field's items.
pub(crate) const SELECTED: &str = " selected ";

/// The name of the first field of a state that differs from a loader's in the digest of its items,
/// if the fields differ in nothing else.
fn with_other_items<'a>(fields: &'a [String], own: &[String]) -> Option<&'a str> {
    let mut found = None;
    if fields.len() != own.len() {
        return None;
    }
    for (field, own) in fields.iter().zip(own).filter(|(field, own)| field != own) {
        let (described, _) = field.rsplit_once(SELECTED)?;
        if described != own.rsplit_once(SELECTED)?.0 {
            return None;
        }
        // As "image uint8 [512, 512, 3]".
        let (name, _dtype) = described.rsplit_once(" [")?.0.rsplit_once(' ')?;
        found = found.or(Some(name));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_no_state_has_is_named_with_its_range() {
        let basis = || Basis {
            items: 10,
            shuffle: false,
            order: "in turn".to_owned(),
            indices: None,
            seed: 0,
            fields: vec![],
        };
        let state = |epoch, start| State::new(epoch, start, None, basis());
        assert_eq!(state(u32::MAX.into(), 7).map(|state| state.epoch).unwrap(), u32::MAX);
        let message = |epoch, start| state(epoch, start).unwrap_err().to_string();
        assert_eq!(
            message(1 << 40, 0),
            "the state's epoch must be between 0 and 4294967295, got 1099511627776"
        );
        assert_eq!(message(-1, 0), "the state's epoch must be between 0 and 4294967295, got -1");
        assert_eq!(
            message(0, -3),
            format!("the state's items_done must be between 0 and {}, got -3", isize::MAX)
        );
        assert!(state(0, i128::MAX).is_err());
    }
    #[test]
    fn a_field_whose_items_alone_differ_is_named_without_digests() {
        let basis = |fields: &[&str]| Basis {
            items: 10,
            shuffle: false,
            order: "in turn".to_owned(),
            indices: None,
            seed: 0,
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
        };
        let message = |fields: &[&str], own: &[&str]| {
            let state = State { epoch: 0, start: 0, note: None, basis: basis(fields) };
            state.check(&basis(own), None).unwrap_err().to_string()
        };
        let label = "label int64 []";
        assert_eq!(
            message(
                &[label, "my image uint8 [?, ?, 3] selected 01"],
                &[label, "my image uint8 [?, ?, 3] selected 02"]
            ),
            "this state is of another run: the items of field \"my image\" are others than this \
             loader's: the names or the order of their files differ, or a subset takes others"
        );
        let other_shape = message(&["x uint8 [4] selected 01"], &["x uint8 [5] selected 02"]);
        assert_eq!(
            other_shape,
            "this state is of another run: its fields: x uint8 [4] selected 01; this loader's: x \
             uint8 [5] selected 02"
        );
    }
}
