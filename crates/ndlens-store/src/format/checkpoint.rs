//! The index of a checkpoint in several files, as `transformers` and `diffusers` write it beside
//! them.
//!
//! ```text
//!  model.safetensors.index.json       {"metadata": {"total_size": 16060522496}, "weight_map": {"lm_head.weight":
//!  model-00001-of-00004.safetensors      "model-00004-of-00004.safetensors", ..}}
//!  ..
//! ```
//!
//! Files are named relative to the index, and none may lie elsewhere: an index comes from
//! strangers.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

use ndlens_core::room;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer};

use crate::error::{Error, IndexProblem, Result};
use crate::format::json_pairs::StringPairs;
use crate::os::reading::{Section, read_fully};

/// The longest index that is read, as long as the longest header of a `.safetensors`.
const MAX_INDEX_BYTES: u64 = 100_000_000;

/// The files of a checkpoint, and the file of each tensor.
#[derive(Debug, Default)]
pub(crate) struct Checkpoint {
    /// In the order in which they are first named.
    pub(crate) files: Vec<PathBuf>,
    /// The name of a tensor, and the place of its file.
    pub(crate) tensors: Vec<(String, u32)>,
}

#[derive(Deserialize)]
struct Index {
    weight_map: WeightMap,
}

/// Names of tensors and of files.
struct WeightMap {
    files: Vec<String>,
    tensors: Vec<(String, u32)>,
}

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut files, mut tensors) = (vec![], vec![]);
        let mut places: HashMap<String, u32> = HashMap::new();
        let take = |tensor, file| {
            let next = files.len() as u32;
            let place = *places.entry(file).or_insert_with_key(|file| {
                files.push(file.clone());
                next
            });
            tensors.push((tensor, place));
        };
        StringPairs { expected: "an object of names of files", take }.deserialize(deserializer)?;
        Ok(WeightMap { files, tensors })
    }
}

impl Checkpoint {
    /// What an index of `len` bytes says.
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
        let WeightMap { files, tensors } = index.weight_map;
        let files = files.into_iter().map(file).collect::<Result<_>>()?;
        Ok(Checkpoint { files, tensors })
    }
}
