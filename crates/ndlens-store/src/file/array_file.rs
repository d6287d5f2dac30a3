//! One file of arrays by name: a `.npz` or a `.safetensors`.
//!
//! The file is mapped, and every view is a view of the map; or it is kept open, and each array is
//! read on its first use.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndlens_core::{Access, Buffer, DType, Layout, View};

use crate::error::{Error, Result};
use crate::file::map::MappedFile;
use crate::file::regular::open_regular;
use crate::format::Format;
use crate::format::npz::Members;
use crate::format::placement::Placement;
use crate::format::safetensors::Tensors;
use crate::mode::MapMode;
use crate::os::guard::Reading;
use crate::os::reading::Section;

#[derive(Debug)]
enum Directory {
    Tensors(Tensors),
    Members(Members),
}

/// The source of arrays.
#[derive(Debug)]
enum Backing {
    Mapped(Buffer),
    Read(File, MapMode),
}

/// The bytes of packed elements, in C or Fortran order, as they lie in memory: one axis.
pub(crate) fn bytes_of(packed: &View) -> Result<View> {
    let offset = if packed.is_empty() { 0 } else { packed.layout().offset() };
    let layout = Layout::new(&[packed.nbytes()], &[1], offset, 1, packed.buffer().len())?;
    Ok(View::new(packed.buffer().clone(), layout, DType::U8)?)
}

/// Arrays in one file.
#[derive(Debug)]
pub(crate) struct ArrayFile {
    path: PathBuf,
    directory: Directory,
    backing: Backing,
}

impl ArrayFile {
    /// A file, mapped, or kept open to be read.
    pub(crate) fn open(path: &Path, mode: MapMode, load: bool) -> Result<Self> {
        let (file, len) = open_regular(path, mode)?;
        let format = Format::of(&file, path, len)?;
        ArrayFile::of(file, path, len, mode, format, load)
    }

    /// A file of a format that is known, mapped, or kept open to be read.
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
        let directory = Directory::read(&file, path, len, format)?;
        let backing = if load {
            Backing::Read(file, mode)
        } else {
            Backing::Mapped(MappedFile::map(file, path, mode, directory.end())?)
        };
        Ok(ArrayFile { path: path.to_owned(), directory, backing })
    }

    /// The arrays of a file that is mapped already.
    pub(crate) fn of_mapped(mapped: Arc<MappedFile>) -> Result<Self> {
        let path = mapped.path().to_owned();
        let file = mapped.open()?;
        let len = file.metadata().map_err(|source| Error::Io { path: path.clone(), source })?.len();
        let directory = Directory::read(&file, &path, len, Format::of(&file, &path, len)?)?;
        Ok(ArrayFile { path, directory, backing: Backing::Mapped(mapped.buffer()) })
    }

    /// The map of the file; None if arrays are read.
    pub(crate) fn mapped(&self) -> Option<&MappedFile> {
        match &self.backing {
            Backing::Mapped(buffer) => buffer.owner::<MappedFile>(),
            Backing::Read(..) => None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> usize {
        match &self.directory {
            Directory::Tensors(tensors) => tensors.len(),
            Directory::Members(members) => members.len(),
        }
    }

    /// The names: those of a `.safetensors` as its tensors follow each other, those of an `.npz` as
    /// in its directory.
    pub(crate) fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match &self.directory {
            Directory::Tensors(tensors) => Box::new(tensors.names()),
            Directory::Members(members) => Box::new(members.names()),
        }
    }

    /// The place of an array, which other functions take.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        match &self.directory {
            Directory::Tensors(tensors) => tensors.find(name),
            Directory::Members(members) => members.find(name),
        }
    }

    /// The array at a place: a view of the map, or one that is read now.
    pub(crate) fn get(&self, at: usize, name: &str) -> Result<View> {
        match (&self.directory, &self.backing) {
            (Directory::Tensors(tensors), _) => {
                self.view(&tensors.place(at).map_err(|problem| {
                    let (path, name) = (self.path.clone(), name.to_owned());
                    Error::BadTensor { path, name, problem: Box::new(problem) }
                })?)
            }
            (Directory::Members(members), Backing::Mapped(buffer)) => {
                let _reading = Reading::begin();
                let place = members.place(at, buffer);
                // The map's own error is more precise than one of a read.
                buffer.verify()?;
                place?.view(buffer.clone())
            }
            (Directory::Members(members), Backing::Read(file, _)) => {
                members.load(at, file).map(|view| self.as_opened(view))
            }
        }
    }

    /// The bytes of the array at a place, for any dtype.
    pub(crate) fn bytes(&self, at: usize, name: &str) -> Result<View> {
        match &self.directory {
            Directory::Tensors(tensors) => {
                self.view(&tensors.bytes_place(at).map_err(|problem| {
                    let (path, name) = (self.path.clone(), name.to_owned());
                    Error::BadTensor { path, name, problem: Box::new(problem) }
                })?)
            }
            Directory::Members(_) => bytes_of(&self.get(at, name)?),
        }
    }

    /// The dtype and the shape of the array at a place, as the file has them.
    pub(crate) fn info(&self, at: usize, name: &str) -> Result<(String, Vec<usize>)> {
        match &self.directory {
            Directory::Tensors(tensors) => {
                Ok((tensors.dtype_name(at).to_owned(), tensors.shape(at).to_vec()))
            }
            Directory::Members(members) => {
                let (dtype, shape) = match &self.backing {
                    Backing::Mapped(_) => {
                        let view = self.get(at, name)?;
                        (view.dtype().clone(), view.shape().to_vec())
                    }
                    Backing::Read(file, _) => {
                        let header = members.header(at, file)?;
                        (header.dtype().clone(), header.shape().to_vec())
                    }
                };
                Ok((dtype.name().to_owned(), shape))
            }
        }
    }

    fn view(&self, place: &Placement) -> Result<View> {
        match &self.backing {
            Backing::Mapped(buffer) => place.view(buffer.clone()),
            Backing::Read(file, _) => place.read(file, &self.path).map(|view| self.as_opened(view)),
        }
    }

    fn as_opened(&self, view: View) -> View {
        if self.is_read_only() { view.to_read_only() } else { view }
    }

    fn is_read_only(&self) -> bool {
        match &self.backing {
            Backing::Mapped(buffer) => buffer.access() == Access::ReadOnly,
            Backing::Read(_, mode) => *mode == MapMode::Read,
        }
    }

    /// The strings that the file holds beside its arrays.
    pub(crate) fn metadata(&self) -> Result<Vec<(String, String)>> {
        match &self.directory {
            Directory::Tensors(tensors) => tensors.metadata(),
            Directory::Members(_) => Ok(vec![]),
        }
    }

    /// The metadata string of one key.
    pub(crate) fn metadata_of(&self, key: &str) -> Option<String> {
        match &self.directory {
            Directory::Tensors(tensors) => tensors.metadata_of(key),
            Directory::Members(_) => None,
        }
    }
}

impl Directory {
    fn read(file: &File, path: &Path, len: u64, format: Format) -> Result<Self> {
        match format {
            Format::Npy | Format::Index | Format::Tar => {
                let (suffix, holds) = match format {
                    Format::Npy => (".npy", "one array"),
                    Format::Tar => (".tar", "samples"),
                    Format::Index | Format::Npz | Format::Safetensors => {
                        (".json", "the names of other files")
                    }
                };
                let got = "a file where arrays by name are wanted";
                Err(Error::WrongContents { path: path.to_owned(), suffix, holds, got })
            }
            Format::Npz => Members::read(file, path, len).map(Directory::Members),
            Format::Safetensors => {
                Tensors::read(Section::new(file, 0, len), path, len).map(Directory::Tensors)
            }
        }
    }

    /// The byte after the last to map.
    fn end(&self) -> usize {
        match self {
            Directory::Tensors(tensors) => tensors.end(),
            Directory::Members(members) => members.end(),
        }
    }
}
