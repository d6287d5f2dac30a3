//! The parameters of an item as JSON, for users: one object with an entry for each random
//! transform, by its name.
//!
//! ```text
//!  {"RandomCrop": {"top": 3, "left": 0, "height": 8, "width": 8},
//!   "RandomHorizontalFlip": true,
//!   "RandomCrop.1": {..}}
//! ```
//!
//! The kinds of the transform say how its entry is read: see [`crate::params`].
//!
//! An object may have the version of its form, as `"version": 1`. Without one it has version 1,
//! the only one so far, and is written without one.

use std::fmt;

use ndlens_core::room::{self, Text};
use serde::Deserializer;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::params::{Drawn, DrawnList, Unreadable};
use crate::pipeline::{Applied, Pipeline};

/// The version of the JSON of parameters that this code reads and writes.
const VERSION: u64 = 1;

/// The key of the version.
const VERSION_KEY: &str = "version";

/// The parameters drawn for the items of a batch, by the names of their transforms.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnItems {
    names: Vec<String>,
    items: Vec<DrawnList>,
}

impl DrawnItems {
    /// The names of the random transforms, numbered from the second of a kind on.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The parameters of each item, one for each name.
    pub fn items(&self) -> &[DrawnList] {
        &self.items
    }

    /// A JSON array of the objects of [`Pipeline::params_to_json`].
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory.
    pub fn to_json(&self) -> Result<String> {
        let mut text = Text::default();
        for drawn in &self.items {
            text.push(if text.is_empty() { "[" } else { ", " })?;
            text.push(&object(&self.names, drawn).to_string())?;
        }
        text.push(if text.is_empty() { "[]" } else { "]" })?;
        Ok(text.into_string())
    }
}

/// The parameters of an item by these names.
fn object(names: &[String], drawn: &[Drawn]) -> Value {
    let values = drawn.iter().map(Drawn::to_json);
    Value::Object(names.iter().cloned().zip(values).collect())
}

/// The objects of a JSON array, each as its text, so that they can be parsed one at a time.
///
/// # Errors
///
/// [`Error::ParamsText`] for any other text; [`Error::Core`] if there is no memory.
pub fn split_params(text: &str) -> Result<Vec<&RawValue>> {
    struct Parts;

    impl<'de> Visitor<'de> for Parts {
        type Value = ndlens_core::Result<Vec<&'de RawValue>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
            let mut list = vec![];
            while let Some(part) = parts.next_element()? {
                if let Err(error) = room::push(&mut list, part) {
                    // The rest is read too, since the parser reports an early stop as wrong text.
                    while parts.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Err(error));
                }
            }
            Ok(Ok(list))
        }
    }

    let mut json = serde_json::Deserializer::from_str(text);
    let parts = json.deserialize_seq(Parts).and_then(|parts| json.end().map(|()| parts));
    Ok(parts.map_err(|error| Error::ParamsText { message: error.to_string() })??)
}

impl Pipeline {
    /// Parameters from one of [`split_params`]' texts, as
    /// [`params_from_json`](Self::params_from_json) reads them.
    ///
    /// # Errors
    ///
    /// [`Error::ParamsText`], [`Error::Params`].
    pub fn params_from_text(&self, text: &RawValue) -> Result<DrawnList> {
        let params: Map<String, Value> = serde_json::from_str(text.get())
            .map_err(|error| Error::ParamsText { message: error.to_string() })?;
        self.params_from_json(&params)
    }

    /// The names of the random transforms, numbered from the second of a kind on.
    fn random_names(&self) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        for name in self.random() {
            let before = names.iter().filter(|other| other.split('.').next() == Some(name)).count();
            names.push(if before == 0 { name.to_owned() } else { format!("{name}.{before}") });
        }
        names
    }

    /// The parameters of an item by the names of their transforms.
    pub fn params_to_json(&self, drawn: &[Drawn]) -> Value {
        object(&self.random_names(), drawn)
    }

    /// The parameters of the items of a batch, each as [`draw`](Self::draw) gives them.
    pub fn drawn_items(&self, items: Vec<DrawnList>) -> DrawnItems {
        DrawnItems { names: self.random_names(), items }
    }

    /// The parameters from the JSON of [`params_to_json`](Self::params_to_json), of a pipeline with
    /// the same random transforms.
    ///
    /// # Errors
    ///
    /// [`Error::Params`] and [`Error::Drawn`] if a transform has no entry, or one of another kind;
    /// [`Error::ParamsVersion`].
    pub fn params_from_json(&self, params: &Map<String, Value>) -> Result<DrawnList> {
        let names = self.random_names();
        if let Some(version) = params.get(VERSION_KEY)
            && version.as_u64() != Some(VERSION)
        {
            return Err(Error::ParamsVersion { got: version.to_string(), known: VERSION });
        }
        let mut keys = params.keys().filter(|key| *key != VERSION_KEY);
        if let Some(other) = keys.find(|key| !names.contains(key)) {
            return Err(Error::Params {
                transform: other.clone(),
                reason: "there is no such random transform",
            });
        }
        let drawn = |(name, applied): (String, &Applied)| {
            let refuse = |transform, reason| Error::Params { transform, reason };
            let Some(json) = params.get(&name) else { return Err(refuse(name, "there are none")) };
            Drawn::from_json(json, applied.kinds()).map_err(|why| match why {
                Unreadable::OfAnother => Error::Drawn { transform: applied.name() },
                Unreadable::OfNone => refuse(name, "they are not of a kind that it draws"),
            })
        };
        names.into_iter().zip(self.drawing()).map(drawn).collect()
    }
}
