//! Tar archives as fields: the members of one extension, of all archives, in their order.
//!
//! ```text
//!  shard-000.tar  a.jpg a.cls b.jpg b.cls      fields  jpg  a.jpg b.jpg c.jpg
//!  shard-001.tar  c.jpg c.cls                          cls  a.cls b.cls c.cls
//! ```
//!
//! Archives are mapped, and an item is a range of a map.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndlens_core::{DType, Layout, Order, View, ViewRef, room};

use crate::error::{Error, Result};
use crate::file::map::MappedFile;
use crate::file::regular::open_regular;
use crate::file::sample_index;
use crate::format::Format;
use crate::format::samples::SampleTable;
use crate::format::tar::BLOCK;
use crate::mode::MapMode;

/// What to do with samples that lack one of the chosen fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// An error that names the sample.
    #[default]
    Raise,
    /// The sample is left out.
    Skip,
}

/// Samples of tar archives in the layout of WebDataset.
///
/// ```
/// use ndlens_store::{Options, Opened};
///
/// let directory = tempfile::tempdir()?;
/// let path = directory.path().join("x.tar");
/// let mut archive = tar::Builder::new(std::fs::File::create(&path)?);
/// for (name, data) in [("0.txt", "nought"), ("0.cls", "0"), ("1.txt", "one"), ("1.cls", "1")] {
///     let mut header = tar::Header::new_gnu();
///     header.set_size(data.len() as u64);
///     archive.append_data(&mut header, name, data.as_bytes())?;
/// }
/// archive.finish()?;
///
/// let Opened::Samples(samples) = Options::default().open(&path)? else { unreachable!() };
/// let text = samples.field(b"txt")?;
/// assert_eq!((samples.key(1), text.item(1)?.shape()), (&b"1"[..], &[3][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TarSamples {
    /// The path as it is shown.
    path: PathBuf,
    archives: Arc<Vec<Archive>>,
    /// The fields that were chosen; None for all.
    chosen: Option<Chosen>,
    /// For each archive, the number of samples in it and all before it.
    ends: Arc<Vec<usize>>,
}

/// A mapped archive.
#[derive(Debug)]
struct Archive {
    path: PathBuf,
    /// All its bytes.
    view: View,
    table: SampleTable,
}

/// Some fields, and the samples that have them.
#[derive(Debug, Clone)]
struct Chosen {
    /// The selections that led here. The fields are those of the last one.
    steps: Vec<Arc<FieldChoice>>,
    /// For each archive, the samples that lack no field; None if no sample is left out.
    kept: Option<Arc<Vec<Vec<u32>>>>,
}

/// What [`TarSamples::select`] was asked for.
#[derive(Debug)]
pub(crate) struct FieldChoice {
    pub(crate) fields: Vec<Vec<u8>>,
    pub(crate) missing: Missing,
}

impl Chosen {
    fn fields(&self) -> &[Vec<u8>] {
        self.steps.last().map_or(&[], |step| &step.fields)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl TarSamples {
    /// The samples of these archives; `path` is the path that is shown for them.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Map`] and [`Error::NotRegular`] if there is no file to map;
    /// [`Error::NotTar`] for another format; [`Error::BadTar`] for a damaged archive;
    /// [`Error::CopyOfArchive`].
    pub(crate) fn open(path: &Path, paths: &[PathBuf], mode: MapMode, copy: bool) -> Result<Self> {
        if copy {
            return Err(Error::CopyOfArchive { path: path.to_owned() });
        }
        let archives = paths.iter().map(|path| {
            let (file, len) = open_regular(path, mode)?;
            if Format::of(&file, path, len)? != Format::Tar {
                return Err(Error::NotTar { path: path.clone() });
            }
            let table = sample_index::read_or_make(&file, path)?;
            let buffer = MappedFile::map(file, path, mode, len as usize)?;
            Archive::new(path.clone(), buffer, table)
        });
        TarSamples::of_archives(path, room::try_list_of(archives)?)
    }

    /// The samples of archives that are mapped already.
    pub(crate) fn of_mapped(path: &Path, files: Vec<Arc<MappedFile>>) -> Result<Self> {
        let archives = files.into_iter().map(|mapped| {
            let path = mapped.current_path().unwrap_or_else(|| mapped.path().to_owned());
            let table = sample_index::read_or_make(&mapped.open()?, &path)?;
            Archive::new(path, mapped.buffer(), table)
        });
        TarSamples::of_archives(path, room::try_list_of(archives)?)
    }

    fn of_archives(path: &Path, archives: Vec<Archive>) -> Result<Self> {
        let (mut ends, mut end) = (room::with_room_for(archives.len())?, 0);
        for archive in &archives {
            end += archive.table.len();
            ends.push(end);
        }
        let (archives, ends) = (Arc::new(archives), Arc::new(ends));
        Ok(TarSamples { path: path.to_owned(), archives, chosen: None, ends })
    }

    /// The path, or the pattern, that was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The paths of the archives.
    pub fn archives(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.archives.iter().map(|archive| &*archive.path)
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the fields: those chosen, or the extensions in the order in which the archives
    /// have them.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub fn fields(&self) -> Result<Vec<&[u8]>> {
        if let Some(chosen) = &self.chosen {
            return Ok(room::list_of(chosen.fields().iter().map(Vec::as_slice))?);
        }
        let (mut seen, mut names) = (HashSet::new(), vec![]);
        for name in self.archives.iter().flat_map(|archive| archive.table.names.iter()) {
            if room::insert(&mut seen, name)? {
                room::push(&mut names, name)?;
            }
        }
        Ok(names)
    }

    /// Whether there is a field of this name.
    pub fn has_field(&self, name: &[u8]) -> bool {
        match &self.chosen {
            Some(chosen) => chosen.fields().iter().any(|field| field == name),
            None => self.archives.iter().any(|archive| archive.table.extension(name).is_some()),
        }
    }

    /// The archive of a sample, and the sample's place there.
    fn find(&self, index: usize) -> (&Archive, usize) {
        let at = self.ends.partition_point(|&end| end <= index);
        let place = index - at.checked_sub(1).map_or(0, |before| self.ends[before]);
        let kept = self.chosen.as_ref().and_then(|chosen| chosen.kept.as_ref());
        (&self.archives[at], kept.map_or(place, |kept| kept[at][place] as usize))
    }

    /// The key of sample `index`, which is below [`len`](Self::len): the name of its members up to
    /// the first dot after the last slash.
    ///
    /// # Panics
    ///
    /// If it is not below `len`.
    pub fn key(&self, index: usize) -> &[u8] {
        let (archive, sample) = self.find(index);
        archive.table.keys.get(sample)
    }

    /// The path of the archive of sample `index`, which is below [`len`](Self::len).
    ///
    /// # Panics
    ///
    /// If it is not below `len`.
    pub fn archive_of(&self, index: usize) -> &Path {
        &self.find(index).0.path
    }

    /// The same samples with these fields alone, in this order.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchField`]; [`Error::MissingMember`] for a sample that lacks one of them, unless
    /// such samples are left out; [`Error::Core`] if there is no memory.
    pub fn select(&self, fields: &[&[u8]], missing: Missing) -> Result<Self> {
        for &field in fields {
            if !self.has_field(field) {
                return Err(self.no_field(field));
            }
        }
        let mut kept: Vec<Vec<u32>> = room::with_room_for(self.archives.len())?;
        let mut complete = true;
        for (at, archive) in self.archives.iter().enumerate() {
            let wanted = fields.iter().map(|field| archive.table.extension(field));
            let wanted = room::list_of(wanted)?;
            let mut those = vec![];
            for sample in self.samples_of(at) {
                let lacks = wanted.iter().position(|extension| {
                    extension.is_none_or(|own| archive.table.find(sample, own).is_none())
                });
                match (lacks, missing) {
                    (None, _) => room::push(&mut those, sample as u32)?,
                    (Some(_), Missing::Skip) => complete = false,
                    (Some(field), Missing::Raise) => {
                        return Err(archive.lacks(sample, fields[field]));
                    }
                }
            }
            kept.push(those);
        }
        let (mut ends, mut end) = (room::with_room_for(kept.len())?, 0);
        for those in &kept {
            end += those.len();
            ends.push(end);
        }
        let owned = fields.iter().map(|field| room::list_of(field.iter().copied()));
        let fields = room::try_list_of::<_, ndlens_core::Error>(owned)?;
        // A selection of a selection leaves out what the first one does.
        let all = complete && self.chosen.as_ref().is_none_or(|chosen| chosen.kept.is_none());
        let kept = (!all).then(|| Arc::new(kept));
        let mut steps = self.chosen.as_ref().map_or(vec![], |chosen| chosen.steps.clone());
        room::push(&mut steps, Arc::new(FieldChoice { fields, missing }))?;
        let chosen = Some(Chosen { steps, kept });
        let (path, archives) = (self.path.clone(), Arc::clone(&self.archives));
        Ok(TarSamples { path, archives, chosen, ends: Arc::new(ends) })
    }

    /// The samples of an archive that are these.
    fn samples_of(&self, archive: usize) -> impl Iterator<Item = usize> {
        let kept = self.chosen.as_ref().and_then(|chosen| chosen.kept.as_ref());
        let those = kept.map(|kept| kept[archive].iter().map(|&sample| sample as usize));
        let all = 0..if those.is_some() { 0 } else { self.archives[archive].table.len() };
        those.into_iter().flatten().chain(all)
    }

    fn no_field(&self, name: &[u8]) -> Error {
        let names = self.fields().unwrap_or_default();
        let has = names.iter().filter_map(|name| std::str::from_utf8(name).ok()).collect();
        Error::NoSuchField { path: self.path.clone(), name: text(name), has }
    }

    /// The field of a name.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchField`]; [`Error::MissingMember`] for a sample that lacks it; [`Error::Core`]
    /// if there is no memory.
    pub fn field(&self, name: &[u8]) -> Result<SampleField> {
        if !self.has_field(name) {
            return Err(self.no_field(name));
        }
        let (mut starts, mut lens) =
            (room::with_room_for(self.len())?, room::with_room_for(self.len())?);
        for (at, archive) in self.archives.iter().enumerate() {
            let extension = archive.table.extension(name);
            for sample in self.samples_of(at) {
                let found = extension.and_then(|own| archive.table.find(sample, own));
                let (start, len) = found.ok_or_else(|| archive.lacks(sample, name))?;
                starts.push(start);
                lens.push(len);
            }
        }
        let bounds = |bound: Option<&u64>| [bound.copied().unwrap_or(0) as usize];
        let (least, most) = (bounds(lens.iter().min()), bounds(lens.iter().max()));
        let name = room::list_of(name.iter().copied())?;
        Ok(SampleField { samples: self.clone(), name, starts, lens, least, most })
    }

    /// The selections that led here, in order.
    pub(crate) fn choices(&self) -> impl Iterator<Item = &FieldChoice> {
        self.chosen.iter().flat_map(|chosen| chosen.steps.iter().map(Arc::as_ref))
    }

    /// Bytes of archives that were read whole, since the process has as many maps as it may have.
    pub fn read_bytes(&self) -> usize {
        let mapped = self.mapped().flatten();
        mapped.filter(|file| file.is_read()).map(MappedFile::len).sum()
    }

    /// The maps of the archives.
    pub(crate) fn mapped(&self) -> impl ExactSizeIterator<Item = Option<&MappedFile>> {
        self.archives.iter().map(|archive| archive.view.buffer().owner::<MappedFile>())
    }
}

impl Archive {
    fn new(path: PathBuf, buffer: ndlens_core::Buffer, table: SampleTable) -> Result<Self> {
        let layout = Layout::contiguous(&[buffer.len()], 1, Order::C)?;
        let view = View::new(buffer, layout, DType::U8)?;
        // The file may be shorter by now than it was when it was walked.
        let end = |(&block, &len): (&u32, &u64)| u64::from(block) * BLOCK as u64 + len;
        let expected = table.blocks.iter().zip(&table.lens).map(end).max().unwrap_or(0);
        let got = view.len() as u64;
        if expected > got {
            let path = path.display().to_string();
            return Err(ndlens_core::Error::Truncated { path, got, expected }.into());
        }
        Ok(Archive { path, view, table })
    }

    fn lacks(&self, sample: usize, field: &[u8]) -> Error {
        let (key, field) = (text(self.table.keys.get(sample)), text(field));
        Error::MissingMember { path: self.path.clone(), key, field }
    }
}

/// The members of one extension: items of bytes, of shape (bytes,).
#[derive(Debug)]
pub struct SampleField {
    samples: TarSamples,
    name: Vec<u8>,
    /// For each item, its first byte in its archive, and the number of its bytes.
    starts: Vec<u64>,
    lens: Vec<u64>,
    least: [usize; 1],
    most: [usize; 1],
}

impl SampleField {
    /// The samples of the items.
    pub fn samples(&self) -> &TarSamples {
        &self.samples
    }

    /// The extension.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The number of items.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The shapes of the shortest and of the longest item.
    pub fn shape_bounds(&self) -> (&[usize], &[usize]) {
        (&self.least, &self.most)
    }

    /// The archives, each as a view of all its bytes.
    pub fn views(&self) -> impl ExactSizeIterator<Item = &View> {
        self.samples.archives.iter().map(|archive| &archive.view)
    }

    /// Item `index`.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::IndexOutOfBounds`].
    pub fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>> {
        let size = self.len();
        let (Some(&start), Some(&len)) = (self.starts.get(index), self.lens.get(index)) else {
            let index = index as isize;
            return Err(ndlens_core::Error::IndexOutOfBounds { index, axis: 0, size });
        };
        let at = self.samples.ends.partition_point(|&end| end <= index);
        let whole = self.samples.archives[at].view.as_ref();
        whole.narrow(0, start as usize, len as usize)
    }

    /// The archive and the name of item `index`, which is below [`len`](Self::len), for messages.
    ///
    /// # Panics
    ///
    /// If it is not below `len`.
    pub fn describe(&self, index: usize) -> String {
        let (key, name) = (text(self.samples.key(index)), text(&self.name));
        format!("{}: {key}.{name}", self.samples.archive_of(index).display())
    }
}
