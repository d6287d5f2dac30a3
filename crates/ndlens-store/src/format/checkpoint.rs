//! The index of a checkpoint in several files, as `transformers` and `diffusers` write it beside
//! them.
//!
//! ```text
//!  model.safetensors.index.json       {"metadata": {"total_size": 16060522496}, "weight_map":
//!  model-00001-of-00004.safetensors    {"lm_head.weight": "model-00004-of-00004.safetensors", ..}}
//!  ..
//! ```
//!
//! Files are named relative to the index, and none may be in another directory: an index may come
//! from an untrusted source.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use ndlens_core::room;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer};

use crate::error::{Error, IndexProblem, Result};
use crate::format::json_pairs::StringPairs;
use crate::format::names::NameList;
use crate::os::reading::{Section, read_fully};

/// The longest index that is read, as long as the longest header of a `.safetensors`.
const MAX_INDEX_BYTES: u64 = 100_000_000;

/// The files of a checkpoint, and the file of each tensor.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    /// The files, in the order in which they are first named.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) names: NameList,
    /// For each name, the place of its tensor's file.
    pub(crate) places: Vec<u32>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: MaybeWeightMap,
}

/// Names of tensors and of files.
#[derive(Default)]
struct WeightMap {
    files: Vec<String>,
    /// The place of each file.
    by_name: HashMap<String, u32>,
    names: NameList,
    places: Vec<u32>,
}

/// The names, or the error that there is no memory for them, which JSON's errors cannot carry.
struct MaybeWeightMap(ndlens_core::Result<WeightMap>);

impl WeightMap {
    fn push(&mut self, tensor: &str, file: String) -> ndlens_core::Result<()> {
        let place = if let Some(&place) = self.by_name.get(&file) {
            place
        } else {
            let place = self.files.len() as u32;
            room::push(&mut self.files, file.clone())?;
            room::insert_key(&mut self.by_name, file, place)?;
            place
        };
        self.names.push(tensor)?;
        room::push(&mut self.places, place)
    }
}

impl<'de> Deserialize<'de> for MaybeWeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut map, mut pushed) = (WeightMap::default(), Ok(()));
        let take = |tensor: String, file| {
            if pushed.is_ok() {
                pushed = map.push(&tensor, file);
            }
        };
        StringPairs { expected: "an object of names of files", take }.deserialize(deserializer)?;
        Ok(MaybeWeightMap(pushed.map(|()| map)))
    }
}

impl Checkpoint {
    /// The contents of an index of `len` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::BadIndex`], [`Error::HeaderTooLong`], [`Error::Io`].
    pub(crate) fn read(file: &File, path: &Path, len: u64) -> Result<Self> {
        if len > MAX_INDEX_BYTES {
            return Err(Error::HeaderTooLong {
                path: path.to_owned(),
                got: len,
                max: MAX_INDEX_BYTES,
            });
        }
        let bad = |problem| Error::BadIndex { path: path.to_owned(), problem };
        let mut text = room::repeated(0u8, len as usize)?;
        let there = read_fully(&mut Section::new(file, 0, len), &mut text)
            .map_err(|source| Error::Io { path: path.to_owned(), source })?;
        let index: Index = serde_json::from_slice(&text[..there])
            .map_err(|source| bad(IndexProblem::Json { message: source.to_string() }))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let file = |name: String| {
            let inside =
                Path::new(&name).components().all(|part| matches!(part, Component::Normal(_)));
            if !inside || name.is_empty() {
                return Err(bad(IndexProblem::Outside { file: name }));
            }
            Ok(directory.join(name))
        };
        let WeightMap { files, names, places, .. } = index.weight_map.0?;
        let files = room::try_list_of(files.into_iter().map(file))?;
        Ok(Checkpoint { files, names, places })
    }
}
