//! Items of different sizes in a `.safetensors` file: three ordinary tensors, and a note in its
//! metadata that names them.
//!
//! ```text
//!  "image.data"     (elements,)  the items, one after the other, each in C order
//!  "image.offsets"  (items + 1,) I64: the start of each, in elements, and the end of the last
//!  "image.shapes"   (items, rank) I64
//!
//!  "__metadata__": {"ndlens":
//!    "{\"version\": 1, \"ragged\": {\"image\": {\"data\": \"image.data\", ..}}}"}
//! ```
//!
//! Readers that know nothing of the note see the three tensors.

use std::fmt;

use ndlens_core::room;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// The key of the note in a file's metadata.
pub(crate) const KEY: &str = "ndlens";

/// The version that is written, and the latest that is read.
const VERSION: u32 = 1;

/// Sets of items, each of which is several tensors in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RaggedNote {
    version: u32,
    /// The name of a set that was saved without one, and is the only contents of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) whole: Option<String>,
    #[serde(default)]
    pub(crate) ragged: Sets,
}

/// The names of the tensors of one set of items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parts {
    pub(crate) data: String,
    pub(crate) offsets: String,
    pub(crate) shapes: String,
}

impl Parts {
    /// The tensors of a set with this name.
    pub(crate) fn of(name: &str) -> Self {
        let part = |part| format!("{name}.{part}");
        Parts { data: part("data"), offsets: part("offsets"), shapes: part("shapes") }
    }
}

/// Sets of items in the order of their names, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sets {
    all: Vec<(String, Parts)>,
    /// The error of a list that is incomplete, which JSON's errors cannot carry.
    failed: Option<Box<ndlens_core::Error>>,
}

impl Sets {
    fn new(mut all: Vec<(String, Parts)>) -> Self {
        // Not a stable sort, which takes memory. Two of one name are refused when columns are.
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all.dedup_by(|(next, _), (last, _)| next == last);
        Sets { all, failed: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &(String, Parts)> {
        self.all.iter()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Parts> {
        let at = self.all.binary_search_by(|(its, _)| its.as_str().cmp(name)).ok()?;
        Some(&self.all[at].1)
    }
}

impl Serialize for Sets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.all.iter().map(|(name, parts)| (name, parts)))
    }
}

impl<'de> Deserialize<'de> for Sets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Sets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sets, A::Error> {
                let (mut all, mut pushed) = (vec![], Ok(()));
                while let Some(entry) = map.next_entry::<String, Parts>()? {
                    pushed = pushed.and_then(|()| room::push(&mut all, entry));
                }
                Ok(Sets { failed: pushed.err().map(Box::new), ..Sets::new(all) })
            }
        }

        deserializer.deserialize_map(Object)
    }
}

impl RaggedNote {
    /// # Errors
    ///
    /// [`ndlens_core::Error::OutOfMemory`].
    pub(crate) fn new<'a>(
        whole: Option<&str>,
        names: impl Iterator<Item = &'a str>,
    ) -> ndlens_core::Result<Self> {
        let sets = room::list_of(names.map(|name| (name.to_owned(), Parts::of(name))))?;
        Ok(RaggedNote {
            version: VERSION,
            whole: whole.map(str::to_owned),
            ragged: Sets::new(sets),
        })
    }

    /// The note of a file, or the problem with it.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::OutOfMemory`].
    pub(crate) fn parse(text: &str) -> ndlens_core::Result<Result<Self, String>> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let version = match serde_json::from_str(text) {
            Ok(Version { version }) => version,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if version > VERSION {
            return Ok(Err(format!(
                "it is of version {version}, expected {VERSION}: a later ndlens wrote it"
            )));
        }
        let mut note: RaggedNote = match serde_json::from_str(text) {
            Ok(note) => note,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if let Some(failed) = note.ragged.failed.take() {
            return Err(*failed);
        }
        Ok(match &note.whole {
            Some(name) if note.ragged.get(name).is_none() => Err(format!("it has no set {name:?}")),
            _ => Ok(note),
        })
    }
}
