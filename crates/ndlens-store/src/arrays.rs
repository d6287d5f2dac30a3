//! Files of several arrays, which have names: `.npz` and `.safetensors`.
//!
//! There is one map of the file, and every view is a view of it. An array is looked up when it is asked for; until then nothing
//! is known of it but its name, and with `.safetensors` its place.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ndlens_core::{Buffer, Order, View};

use crate::error::{Error, Names, Result};
use crate::file_handle::FileHandle;
use crate::handle::{from_bytes, to_bytes};
use crate::map::{self, MapMode, MappedFile};
use crate::npz::{self, Members};
use crate::placement::{Section, read_fully};
use crate::safetensors::{self, Tensors};

/// What a file is, by its first bytes. `.safetensors` has none that are its own, so the name has a say there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Npy,
    Npz,
    Safetensors,
}

impl Format {
    pub(crate) fn of(file: &File, path: &Path, file_len: u64) -> Result<Self> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        let mut start = [0; 9];
        let there = read_fully(&mut Section::new(file, 0, file_len), &mut start).map_err(io)?;
        let named = |suffix| path.extension().is_some_and(|its| its.eq_ignore_ascii_case(suffix));
        if npz::MAGICS.iter().any(|magic| start.starts_with(magic)) {
            Ok(Format::Npz)
        } else if start.starts_with(crate::npy::MAGIC) {
            Ok(Format::Npy)
        } else if named("safetensors") || there == start.len() && safetensors::is_start(&start) {
            Ok(Format::Safetensors)
        } else if named("npy") {
            // It says of what it is not.
            Ok(Format::Npy)
        } else {
            Err(Error::UnknownFormat { path: path.to_owned(), got: start[..there.min(8)].to_vec() })
        }
    }
}

#[derive(Debug)]
enum Contents {
    Tensors(Tensors),
    Members(Members),
}

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
/// assert_eq!(arrays.names(), ["bias"]);
/// assert_eq!(arrays.get("bias")?.to_vec::<f32>()?, [1.0, 2.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Arrays {
    path: PathBuf,
    names: Vec<String>,
    places: HashMap<String, usize>,
    contents: Contents,
    buffer: Buffer,
    /// What was read, where the arrays are read and not mapped.
    loaded: Option<Vec<OnceLock<View>>>,
}

impl Arrays {
    /// Maps the file, and gives views of the map.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] and [`Error::NotRegular`] where there is no file to map; [`Error::UnknownFormat`] and [`Error::NotNpy`] for
    /// others; [`Error::HeaderTooLong`], [`Error::HeaderTruncated`], [`Error::BadJson`], [`Error::BadTensor`],
    /// [`Error::FileSize`], [`Error::DuplicateName`] for a damaged `.safetensors`; [`Error::BadArchive`],
    /// [`Error::ArchiveEntries`], [`Error::BadMember`] for a damaged `.npz`; [`Error::ArchiveInPlace`].
    pub fn open(path: &Path, mode: MapMode) -> Result<Self> {
        Arrays::read(path, mode, false)
    }

    /// Reads each array into memory of its own when it is first asked for, decompressed if need be.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::CopyOfFile`] for [`MapMode::ReadWrite`].
    pub fn load(path: &Path, mode: MapMode) -> Result<Self> {
        Arrays::read(path, mode, true)
    }

    fn read(path: &Path, mode: MapMode, load: bool) -> Result<Self> {
        let (file, len) = map::open_regular(path, mode)?;
        let format = Format::of(&file, path, len)?;
        Arrays::of(file, path, len, mode, format, load)
    }

    /// As [`open`](Self::open) or [`load`](Self::load), of a file of which the format is known.
    pub(crate) fn of(
        file: File,
        path: &Path,
        len: u64,
        mode: MapMode,
        format: Format,
        load: bool,
    ) -> Result<Self> {
        if load && mode == MapMode::ReadWrite {
            return Err(Error::CopyOfFile);
        }
        if format == Format::Npz && mode == MapMode::ReadWrite {
            return Err(Error::ArchiveInPlace { path: path.to_owned() });
        }
        let (contents, names) = Contents::read(&file, path, len, format)?;
        let buffer = MappedFile::map(file, path, mode, contents.end())?;
        Arrays::new(path, contents, names, buffer, load)
    }

    fn new(path: &Path, contents: Contents, names: Vec<String>, buffer: Buffer, load: bool) -> Result<Self> {
        let mut places = HashMap::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            if places.insert(name.clone(), at).is_some() {
                return Err(Error::DuplicateName { path: path.to_owned(), name: name.clone() });
            }
        }
        let loaded = load.then(|| names.iter().map(|_| OnceLock::new()).collect());
        Ok(Arrays { path: path.to_owned(), names, places, contents, buffer, loaded })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The arrays' names: those of a `.safetensors` as its tensors follow each other, those of an `.npz` as in its directory.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether there is an array of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Whether each array is read into memory of its own.
    pub fn is_loaded(&self) -> bool {
        self.loaded.is_some()
    }

    /// The array of a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchArray`]; [`Error::BadTensor`] and [`Error::BadMember`] where it cannot be a view; of a member of an `.npz` what
    /// [`open`](crate::open) says of a `.npy`; what [`View::copy`] says where it is read.
    pub fn get(&self, name: &str) -> Result<View> {
        let Some(&at) = self.places.get(name) else {
            let has = Names(self.names.clone());
            return Err(Error::NoSuchArray { path: self.path.clone(), name: name.to_owned(), has });
        };
        let Some(loaded) = &self.loaded else { return self.mapped(at) };
        if let Some(view) = loaded[at].get() {
            return Ok(view.clone());
        }
        let view = match &self.contents {
            Contents::Tensors(_) => self.mapped(at)?.copy(Order::C)?,
            Contents::Members(members) => members.load(at, self.file()?)?,
        };
        let view = if self.is_read_only() { view.to_read_only() } else { view };
        Ok(loaded[at].get_or_init(|| view).clone())
    }

    fn mapped(&self, at: usize) -> Result<View> {
        let place = match &self.contents {
            Contents::Members(members) => members.place(at, self.file()?)?,
            Contents::Tensors(tensors) => tensors.place(at).map_err(|problem| Error::BadTensor {
                path: self.path.clone(),
                name: self.names[at].clone(),
                problem: Box::new(problem),
            })?,
        };
        place.view(self.buffer.clone())
    }

    fn is_read_only(&self) -> bool {
        self.buffer.access() == ndlens_core::Access::ReadOnly
    }

    fn mapping(&self) -> Result<&MappedFile> {
        let other = || Error::FileReplaced { path: self.path.clone() };
        self.buffer.owner::<MappedFile>().ok_or_else(other)
    }

    fn file(&self) -> Result<&File> {
        Ok(self.mapping()?.file())
    }

    /// A handle by which another process maps the same file, as bytes.
    ///
    /// # Errors
    ///
    /// [`Error::FileReplaced`] and [`Error::Io`] where nobody else can open it.
    pub fn to_handle(&self) -> Result<Vec<u8>> {
        Ok(to_bytes(&FileHandle::of(self.mapping()?)?))
    }

    /// The arrays of a handle: mapped once in a process.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedHandle`] where it was something else, [`Error::FileChanged`] where the file is not what it was, and what
    /// [`open`](Self::open) says.
    pub fn from_handle(handle: &[u8]) -> Result<Self> {
        let mapped = from_bytes::<FileHandle>(handle)?.open()?;
        let path = mapped.path().to_owned();
        let len = mapped.file().metadata().map_err(|source| Error::Io { path: path.clone(), source })?.len();
        let format = Format::of(mapped.file(), &path, len)?;
        let (contents, names) = Contents::read(mapped.file(), &path, len, format)?;
        Arrays::new(&path, contents, names, mapped.buffer(), false)
    }
}

impl Contents {
    fn read(file: &File, path: &Path, len: u64, format: Format) -> Result<(Self, Vec<String>)> {
        match format {
            Format::Npy => Err(Error::WrongContents {
                path: path.to_owned(),
                suffix: ".npy",
                holds: "one array",
                got: "a file where arrays by name are wanted",
            }),
            Format::Npz => {
                let (members, names) = Members::read(file, path, len)?;
                Ok((Contents::Members(members), names))
            }
            Format::Safetensors => {
                let (tensors, names) = Tensors::read(Section::new(file, 0, len), path, len)?;
                Ok((Contents::Tensors(tensors), names))
            }
        }
    }

    /// The byte after the last to map.
    fn end(&self) -> usize {
        match self {
            Contents::Tensors(tensors) => tensors.end(),
            Contents::Members(members) => members.end(),
        }
    }
}
