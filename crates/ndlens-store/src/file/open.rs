//! Opens a path: one array, arrays by name, or one array in several files.

use std::path::{Path, PathBuf};

use ndlens_core::{View, room};

use crate::error::{Error, Result};
use crate::file::arrays::Arrays;
use crate::file::map::MappedFile;
use crate::file::pattern;
use crate::file::regular::open_regular;
use crate::file::samples::TarSamples;
use crate::file::shards::Shards;
use crate::format::Format;
use crate::format::npy;
use crate::format::raw::Raw;
use crate::mode::MapMode;
use crate::os::reading::Section;

/// The options for opening a path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The mode of the map: the destination of writes.
    pub mode: MapMode,
    /// Whether the arrays are read into memory of their own instead of mapped.
    pub copy: bool,
    /// The description of raw bytes, for files without a header.
    pub raw: Option<Raw>,
}

/// The result of opening a path.
#[derive(Debug)]
pub enum Opened {
    /// One array.
    Array(View),
    /// Arrays by name.
    Arrays(Arrays),
    /// One array in several files.
    Shards(Shards),
    /// Fields in tar archives.
    Samples(TarSamples),
}

/// Opens an array in a file, by the file's first bytes, whatever its name.
///
/// The view has the file's shape, dtype and order. Dtypes the core has no name for, such as
/// big-endian numbers, strings and records, come as [`DType::Opaque`](ndlens_core::DType::Opaque);
/// so does bfloat16, which `ml_dtypes` saves as two raw bytes.
///
/// # Errors
///
/// [`Error::Io`] and [`Error::NotRegular`] if there is no file to map; [`Error::UnknownFormat`],
/// [`Error::NotNpy`], [`Error::SeveralArrays`] and [`Error::UnsupportedVersion`] for other formats;
/// [`Error::HeaderTooLong`], [`Error::HeaderTruncated`], [`Error::BadHeader`], [`Error::Shape`] and
/// [`Error::Truncated`] for damage; [`Error::UnsupportedDType`] for elements that no view can show.
pub fn open(path: &Path, mode: MapMode) -> Result<View> {
    Options { mode, ..Options::default() }.open_array(path)
}

impl Options {
    /// Opens the file of this name, or the files that this pattern matches, in the natural order of
    /// their names. A path that leads to a file is not a pattern.
    ///
    /// # Errors
    ///
    /// As [`open`] for one array, [`Arrays::open`] for several, [`Shards::open`] for a pattern, for
    /// which also [`Error::NoMatch`] and [`Error::BadPattern`]. For raw bytes [`Error::RawShape`],
    /// [`Error::RawRemainder`] and [`Error::OutsideFile`]; [`Error::CopyOfFile`].
    pub fn open(&self, path: &Path) -> Result<Opened> {
        match pattern::matches(path)? {
            Some(paths) => self.open_several(path, &paths),
            None => self.open_file(path),
        }
    }

    /// Opens the files of a list: those of one array as [`Shards`], `.safetensors` as [`Arrays`] by
    /// the names of all; `path` is the path that is shown for the arrays.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open) for a pattern.
    pub fn open_several(&self, path: &Path, paths: &[PathBuf]) -> Result<Opened> {
        if let (None, Some(first)) = (&self.raw, paths.first()) {
            let (file, len) = open_regular(first, self.mode)?;
            match Format::of(&file, first, len)? {
                Format::Safetensors => {
                    let arrays = Arrays::open_several(path, paths, self.mode, self.copy);
                    return arrays.map(Opened::Arrays);
                }
                Format::Tar => return self.open_archives(path, paths),
                Format::Npy | Format::Npz | Format::Index => {}
            }
        }
        Shards::open(paths, self).map(Opened::Shards)
    }

    fn open_archives(&self, path: &Path, paths: &[PathBuf]) -> Result<Opened> {
        TarSamples::open(path, paths, self.mode, self.copy).map(Opened::Samples)
    }

    fn open_file(&self, path: &Path) -> Result<Opened> {
        let (file, len) = open_regular(path, self.mode)?;
        let place = if let Some(raw) = &self.raw {
            Format::check_raw(raw, &file, path, len)?;
            raw.place(path, len)?
        } else {
            match Format::of(&file, path, len)? {
                Format::Npy => npy::read_placement(&mut Section::new(&file, 0, len), path, len)?,
                format @ (Format::Npz | Format::Safetensors | Format::Index) => {
                    let arrays = Arrays::of(file, path, len, self.mode, format, self.copy);
                    return arrays.map(Opened::Arrays);
                }
                Format::Tar => return self.open_archives(path, &[path.to_owned()]),
            }
        };
        if !self.copy {
            let view = place.view(MappedFile::map(file, path, self.mode, place.end())?)?;
            return Ok(Opened::Array(view));
        }
        if self.mode == MapMode::ReadWrite {
            return Err(Error::CopyOfFile);
        }
        let view = place.read(&file, path)?;
        Ok(Opened::Array(if self.mode == MapMode::Read { view.to_read_only() } else { view }))
    }

    /// One array, which is what a file must hold to be a shard.
    pub(crate) fn open_array(&self, path: &Path) -> Result<View> {
        match self.open_file(path)? {
            Opened::Array(view) => Ok(view),
            Opened::Arrays(arrays) => {
                let has = arrays.each_name().collect();
                Err(Error::SeveralArrays { path: path.to_owned(), has })
            }
            Opened::Samples(samples) => {
                let fields = samples.fields()?;
                let has = fields.iter().filter_map(|name| std::str::from_utf8(name).ok()).collect();
                Err(Error::SeveralArrays { path: path.to_owned(), has })
            }
            // A file is none.
            Opened::Shards(_) => Err(Error::NoShards),
        }
    }
}

impl Shards {
    /// The arrays in these files, as one.
    ///
    /// # Errors
    ///
    /// [`Error::NoShards`]; for each file those of [`open`]; [`Error::ShardRank`],
    /// [`Error::EmptyShard`], [`Error::ShardMismatch`].
    pub fn open(paths: &[impl AsRef<Path>], options: &Options) -> Result<Self> {
        let mut views: Vec<View> = room::with_room_for(paths.len())?;
        for path in paths {
            let path = path.as_ref();
            let view = options.open_array(path)?;
            let Some((&items, item)) = view.shape().split_first() else {
                return Err(Error::ShardRank { path: path.to_owned() });
            };
            if items == 0 {
                return Err(Error::EmptyShard {
                    path: path.to_owned(),
                    shape: view.shape().to_vec(),
                });
            }
            if let (Some(first), Some(first_path)) = (views.first(), paths.first()) {
                let mismatch = |what, got: String, expected: String| {
                    let first = first_path.as_ref().to_owned();
                    let (got, expected) = (got.into(), expected.into());
                    Err(Error::ShardMismatch { path: path.to_owned(), what, got, first, expected })
                };
                if item != &first.shape()[1..] {
                    return mismatch(
                        "item shape",
                        format!("{item:?}"),
                        format!("{:?}", &first.shape()[1..]),
                    );
                }
                if view.dtype() != first.dtype() {
                    return mismatch("dtype", view.dtype().to_string(), first.dtype().to_string());
                }
            }
            views.push(view);
        }
        Shards::of(views)
    }
}
