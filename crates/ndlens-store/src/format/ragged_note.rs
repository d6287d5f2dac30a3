//! Items of different sizes in a `.safetensors` file: three ordinary tensors, and a note in its
//! metadata that says so.
//!
//! ```text
//!  "image.data"     (elements,)  the items, one after the other, each in C order
//!  "image.offsets"  (items + 1,) I64: where each starts, in elements, and where the last ends
//!  "image.shapes"   (items, rank) I64
//!
//!  "__metadata__": {"ndlens": "{\"version\": 1, \"ragged\": {\"image\": {\"data\": \"image.data\", ..}}}"}
//! ```
//!
//! Readers that know nothing of the note see the three tensors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The key of the note in a file's metadata.
pub(crate) const KEY: &str = "ndlens";

/// The version that is written, and the latest that is read.
const VERSION: u32 = 1;

/// What is one array to us, and is several tensors in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    version: u32,
    /// The set that is all that the file holds, which was saved without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) whole: Option<String>,
    #[serde(default)]
    pub(crate) ragged: BTreeMap<String, Parts>,
}

/// The names of the tensors of one set of items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) data: String,
    pub(crate) offsets: String,
    pub(crate) shapes: String,
}

impl Parts {
    /// Those of a set of this name.
    pub(crate) fn of(name: &str) -> Self {
        let part = |part| format!("{name}.{part}");
        Parts { data: part("data"), offsets: part("offsets"), shapes: part("shapes") }
    }
}

impl Note {
    pub(crate) fn new(whole: Option<&str>, names: impl Iterator<Item = String>) -> Self {
        let ragged = names.map(|name| (name.clone(), Parts::of(&name))).collect();
        Note { version: VERSION, whole: whole.map(str::to_owned), ragged }
    }

    /// The note as text.
    pub(crate) fn to_text(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The note of a file, or what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if version > VERSION {
            return Err(format!(
                "it is of version {version}, expected {VERSION}: a later ndlens wrote it"
            ));
        }
        let note: Note = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match &note.whole {
            Some(name) if !note.ragged.contains_key(name) => Err(format!("it has no set {name:?}")),
            _ => Ok(note),
        }
    }
}
