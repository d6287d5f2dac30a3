//! Arrays by name: the arrays of a `.npz` or a `.safetensors`, or of a checkpoint in several
//! `.safetensors`.
//!
//! There is one map of a file, and every view is a view of it. An array is looked up on its first
//! use. Until then only its name is known, and for `.safetensors` its place.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ndlens_core::{View, room};

use crate::error::{Error, IndexProblem, Result};
use crate::file::array_file::ArrayFile;
use crate::file::map::MappedFile;
use crate::file::regular::open_regular;
use crate::format::Format;
use crate::format::checkpoint::Checkpoint;
use crate::format::names::NameList;
use crate::format::ragged_note::{self, Parts, RaggedNote};
use crate::mode::MapMode;

/// The arrays in a file, by name.
///
/// ```
/// use ndlens_core::View;
/// use ndlens_store::{Arrays, MapMode, save_safetensors};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("model.safetensors");
/// save_safetensors(&path, &[("bias".to_owned(), View::from_vec(vec![1.0f32, 2.0]))])?;
///
/// let arrays = Arrays::open(&path, MapMode::CopyOnWrite)?;
/// assert_eq!(arrays.names()?, ["bias"]);
/// assert_eq!(arrays.get("bias")?.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Arrays {
    path: PathBuf,
    files: Vec<ArrayFile>,
    /// The names of several files.
    merged: Option<Merged>,
    note: Option<RaggedNote>,
    /// The tensors that are parts of a set of items, and the set whose data each is.
    parts: HashMap<String, Option<String>>,
    /// The arrays that were read, if arrays are not mapped.
    loaded: Option<Mutex<HashMap<String, View>>>,
}

/// The names of several files, and the file of each.
#[derive(Debug)]
struct Merged {
    names: NameList,
    files: Vec<u32>,
    /// Whether they are all names of all files, in order.
    complete: bool,
}

/// The three arrays of a set of items.
#[derive(Debug, Clone)]
pub struct RaggedParts {
    /// The items' elements, one item after the other, each in C order.
    pub data: View,
    /// The start of each item, in elements, and the end of the last.
    pub offsets: View,
    /// The shape of each item, one a row.
    pub shapes: View,
}

impl Arrays {
    /// Maps the file, or the files that an index names, and gives views of the maps.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Map`] and [`Error::NotRegular`] if there is no file to map;
    /// [`Error::UnknownFormat`], [`Error::NotNpy`] and [`Error::GitLfsPointer`] for others;
    /// [`Error::HeaderTooLong`], [`Error::HeaderTruncated`], [`Error::BadJson`],
    /// [`Error::BadTensor`], [`Error::FileSize`], [`Error::DuplicateName`], [`Error::BadNote`] for
    /// a damaged `.safetensors`; [`Error::BadArchive`], [`Error::ArchiveEntries`],
    /// [`Error::BadMember`] for a damaged `.npz`; [`Error::ArchiveInPlace`]; [`Error::BadIndex`].
    pub fn open(path: &Path, mode: MapMode) -> Result<Self> {
        Arrays::read(path, mode, false)
    }

    /// Reads each array into memory of its own on its first use, and decompresses it if it is
    /// compressed. The file stays open.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::CopyOfFile`] for [`MapMode::ReadWrite`].
    pub fn load(path: &Path, mode: MapMode) -> Result<Self> {
        Arrays::read(path, mode, true)
    }

    fn read(path: &Path, mode: MapMode, load: bool) -> Result<Self> {
        let (file, len) = open_regular(path, mode)?;
        let format = Format::of(&file, path, len)?;
        Arrays::of(file, path, len, mode, format, load)
    }

    /// As [`open`](Self::open) or [`load`](Self::load), for a file of a known format.
    pub(crate) fn of(
        file: File,
        path: &Path,
        len: u64,
        mode: MapMode,
        format: Format,
        load: bool,
    ) -> Result<Self> {
        match format {
            Format::Npy | Format::Npz | Format::Safetensors | Format::Tar => {
                let file = ArrayFile::of(file, path, len, mode, format, load)?;
                return Arrays::new(path, vec![file], None, load);
            }
            Format::Index => {}
        }
        let Checkpoint { files, names, places } = Checkpoint::read(&file, path, len)?;
        let files = files.iter().map(|path| ArrayFile::open(path, mode, load));
        let files = room::try_list_of(files)?;
        for (name, &place) in names.iter().zip(&places) {
            let file = &files[place as usize];
            if file.find(name).is_none() {
                let (name, file) = (name.to_owned(), file.path().to_owned());
                let problem = IndexProblem::NoTensor { name, file };
                return Err(Error::BadIndex { path: path.to_owned(), problem });
            }
        }
        let merged = Merged::chosen(path, &files, names, places)?;
        Arrays::new(path, files, Some(merged), load)
    }

    /// The arrays of several files, each of which has other names. `path` is the path that is shown
    /// for them.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); [`Error::SharedName`] if two files have an array of one name.
    pub(crate) fn open_several(
        path: &Path,
        paths: &[PathBuf],
        mode: MapMode,
        load: bool,
    ) -> Result<Self> {
        let files = paths.iter().map(|path| ArrayFile::open(path, mode, load));
        let files = room::try_list_of(files)?;
        let merged = Merged::all(&files)?;
        Arrays::new(path, files, Some(merged), load)
    }

    fn new(path: &Path, files: Vec<ArrayFile>, merged: Option<Merged>, load: bool) -> Result<Self> {
        let loaded = load.then(Mutex::default);
        let (path, parts) = (path.to_owned(), HashMap::new());
        let mut arrays = Arrays { path, files, merged, note: None, parts, loaded };
        // A note describes one file.
        if let ([file], None) = (&arrays.files[..], &arrays.merged)
            && let Some(text) = file.metadata_of(ragged_note::KEY)
        {
            arrays.take_note(&text)?;
        }
        Ok(arrays)
    }

    fn take_note(&mut self, text: &str) -> Result<()> {
        let bad = |problem| Error::BadNote { path: self.path.clone(), problem };
        let note = RaggedNote::parse(text)?.map_err(bad)?;
        for (name, Parts { data, offsets, shapes }) in note.ragged.iter() {
            for part in [data, offsets, shapes] {
                if self.find(part).is_none() {
                    return Err(bad(format!(
                        "set {name:?} has the tensor {part:?}, which is not in the file"
                    )));
                }
                let set = (part == data).then(|| name.clone());
                if room::insert_key(&mut self.parts, part.clone(), set)?.is_some() {
                    return Err(bad(format!("tensor {part:?} is in two sets")));
                }
            }
        }
        if let Some(name) = note.ragged.names().find(|&name| self.contains(name)) {
            return Err(bad(format!("set {name:?} has the name of a tensor")));
        }
        self.note = Some(note);
        Ok(())
    }

    /// The file, or the index of several.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The arrays' names: those of a `.safetensors` as its tensors follow each other, those of an
    /// `.npz` as in its directory. A set of items is where its data is.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn names(&self) -> Result<Vec<&str>> {
        Ok(room::list_of(self.each_name())?)
    }

    pub(crate) fn each_name(&self) -> impl Iterator<Item = &str> {
        let names: Box<dyn Iterator<Item = &str>> = match (&self.merged, &self.files[..]) {
            (Some(merged), _) => Box::new(merged.names.iter()),
            (None, files) => Box::new(files.iter().flat_map(ArrayFile::names)),
        };
        names.filter_map(|name| match self.parts.get(name) {
            None => Some(name),
            Some(set) => set.as_deref(),
        })
    }

    /// The number of arrays.
    pub fn len(&self) -> usize {
        let sets = self.note.as_ref().map_or(0, |note| note.ragged.len());
        let all = match &self.merged {
            Some(merged) => merged.names.len(),
            None => self.files.iter().map(ArrayFile::len).sum(),
        };
        all - self.parts.len() + sets
    }

    /// Whether there is no array.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is an array, or a set of items, of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.set(name).is_some() || self.find(name).is_some() && !self.parts.contains_key(name)
    }

    /// Whether each array is read into memory of its own.
    pub fn is_loaded(&self) -> bool {
        self.loaded.is_some()
    }

    /// Whether an array, or a set of items, was read already, if arrays are read and not mapped.
    pub fn is_read(&self, name: &str) -> bool {
        let name = self.set(name).map_or(name, |set| &set.data);
        self.loaded.as_ref().is_some_and(|loaded| {
            loaded.lock().unwrap_or_else(PoisonError::into_inner).contains_key(name)
        })
    }

    /// Bytes of files that were read whole, since the process has as many maps as it may have.
    pub fn read_bytes(&self) -> usize {
        let mapped = self.files.iter().filter_map(ArrayFile::mapped);
        mapped.filter(|file| file.is_read()).map(MappedFile::len).sum()
    }

    fn set(&self, name: &str) -> Option<&Parts> {
        self.note.as_ref()?.ragged.get(name)
    }

    /// The file that an array is in, and its place there.
    fn find(&self, name: &str) -> Option<(&ArrayFile, usize)> {
        let file = match &self.merged {
            Some(merged) => &self.files[*merged.files.get(merged.names.find(name)?)? as usize],
            None => self.files.first()?,
        };
        Some((file, file.find(name)?))
    }

    fn found(&self, name: &str) -> Result<(&ArrayFile, usize)> {
        self.find(name).ok_or_else(|| {
            let has = self.each_name().collect();
            Error::NoSuchArray { path: self.path.clone(), name: name.to_owned(), has }
        })
    }

    /// The array with this name.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchArray`]; [`Error::BadTensor`] and [`Error::BadMember`] if it cannot be a
    /// view; for a member of an `.npz` the errors of [`open`](crate::open()) for a `.npy`;
    /// [`Error::IsRagged`] for a set of items; the errors of a read if it is read.
    pub fn get(&self, name: &str) -> Result<View> {
        if self.set(name).is_some() {
            return Err(Error::IsRagged { path: self.path.clone(), name: name.to_owned() });
        }
        self.array(name)
    }

    fn array(&self, name: &str) -> Result<View> {
        let (file, at) = self.found(name)?;
        let Some(loaded) = &self.loaded else { return file.get(at, name) };
        let lock = || loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let there = lock().get(name).cloned();
        if let Some(view) = there {
            return Ok(view);
        }
        let view = file.get(at, name)?;
        Ok(lock().entry(name.to_owned()).or_insert(view).clone())
    }

    /// The set of items with this name; None if the name is not that of a set.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn ragged(&self, name: &str) -> Result<Option<RaggedParts>> {
        let Some(Parts { data, offsets, shapes }) = self.set(name) else { return Ok(None) };
        let (data, offsets, shapes) =
            (self.array(data)?, self.array(offsets)?, self.array(shapes)?);
        Ok(Some(RaggedParts { data, offsets, shapes }))
    }

    /// The name of the set of items that was saved without a name, as the only contents of the
    /// file.
    pub fn whole(&self) -> Option<&str> {
        self.note.as_ref()?.whole.as_deref()
    }

    /// The bytes of an array in the file, as one axis, for any dtype. The bytes of a member of an
    /// `.npz` are those of its elements.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn bytes(&self, name: &str) -> Result<View> {
        let (file, at) = self.found(name)?;
        file.bytes(at, name)
    }

    /// The dtype and the shape of an array, as the file has them, also of an array that no view can
    /// show.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn info(&self, name: &str) -> Result<(String, Vec<usize>)> {
        let (file, at) = self.found(name)?;
        file.info(at, name)
    }

    /// The strings that the file holds beside its arrays; for several files those of all. If files
    /// differ in a key, the first one counts.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn metadata(&self) -> Result<Vec<(String, String)>> {
        let mut all: Vec<(String, String)> = vec![];
        // The place of a key in the list, and that of the file that has it first.
        let mut places: HashMap<String, (usize, usize)> = HashMap::new();
        for (number, file) in self.files.iter().enumerate() {
            for (key, value) in file.metadata()? {
                if key == ragged_note::KEY && self.note.is_some() {
                    continue;
                }
                match places.get(&key) {
                    // A key that occurs twice in one file has its last value, as JSON is usually
                    // read.
                    Some(&(at, first)) if first == number => all[at].1 = value,
                    Some(_) => {}
                    None => {
                        room::insert_key(&mut places, key.clone(), (all.len(), number))?;
                        room::push(&mut all, (key, value))?;
                    }
                }
            }
        }
        Ok(all)
    }

    /// The files.
    pub(crate) fn files(&self) -> &[ArrayFile] {
        &self.files
    }

    /// The names, and the place of each name's file, if they are not all names of all files.
    pub(crate) fn chosen(&self) -> Option<impl Iterator<Item = (&str, u32)>> {
        let merged = self.merged.as_ref().filter(|merged| !merged.complete)?;
        Some(merged.names.iter().zip(merged.files.iter().copied()))
    }

    /// The arrays of files that are mapped: of `chosen` names, each with the place of its file, or
    /// of all names. There is at least one file, and every place is one of a file.
    pub(crate) fn of_files(
        path: &Path,
        files: Vec<ArrayFile>,
        chosen: Option<(NameList, Vec<u32>)>,
    ) -> Result<Self> {
        let merged = match (chosen, &files[..]) {
            (None, [] | [_]) => None,
            (None, files) => Some(Merged::all(files)?),
            (Some((names, places)), files) => Some(Merged::chosen(path, files, names, places)?),
        };
        Arrays::new(path, files, merged, false)
    }
}

impl Merged {
    /// All names of all files.
    fn all(files: &[ArrayFile]) -> Result<Self> {
        let (mut names, mut places) = (NameList::default(), vec![]);
        for (place, file) in files.iter().enumerate() {
            for name in file.names() {
                names.push(name)?;
                room::push(&mut places, place as u32)?;
            }
        }
        if let Some(name) = names.index()?.map(str::to_owned) {
            let mut those = files
                .iter()
                .filter(|file| file.find(&name).is_some())
                .map(|file| file.path().to_owned());
            let first = those.next().unwrap_or_default();
            return Err(Error::SharedName { path: those.next().unwrap_or_default(), name, first });
        }
        Ok(Merged { names, files: places, complete: true })
    }

    /// These names, each of the file at its place; `path` is the index that assigns them.
    fn chosen(
        path: &Path,
        files: &[ArrayFile],
        mut names: NameList,
        places: Vec<u32>,
    ) -> Result<Self> {
        if let Some(name) = names.index()? {
            return Err(Error::DuplicateName { path: path.to_owned(), name: name.to_owned() });
        }
        let all = (0u32..)
            .zip(files)
            .flat_map(|(place, file)| file.names().map(move |name| (name, place)));
        let complete = all.eq(names.iter().zip(places.iter().copied()));
        Ok(Merged { names, files: places, complete })
    }
}
