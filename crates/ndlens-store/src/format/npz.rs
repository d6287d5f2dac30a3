//! `.npz` archives: zip files of `.npy` files, as `numpy.savez` writes them.
//!
//! ```text
//!  |local header|weights.npy......|local header|bias.npy...|...|directory|end|
//! ```
//!
//! A member that is stored is in the file as it is in memory, so it is mapped in place. One that is
//! compressed is nowhere in memory until somebody decompresses it, which is a copy, and asked for.
//!
//! A member's errors name it as a path within the archive's: `data.npz/weights.npy: truncated: ..`.
//!
//! # Rationale
//!
//! What a directory says is checked when the archive is opened: each member has one name, the same
//! in both places, and bytes of its own in the file. What a member says of itself is read when it
//! is asked for, as NumPy does, so that one that no view can show does not stand before the others.
//! A size that was claimed is allocated only if deflate can make so much of the compressed bytes
//! that are there, and the machine has it.
//!
//! Writing in place would leave a checksum that every other reader takes for damage, so `"r+"` is
//! refused.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use flate2::CrcReader;
use flate2::read::DeflateDecoder;
use ndlens_core::{Buffer, DType, Order, View, room, s};
use rawzip::{CompressionMethod, MAX_CENTRAL_DIRECTORY_RECORD_SIZE, ReaderAt, ZipLocator};

use crate::error::{Error, MemberProblem, Result};
use crate::format::names::NameList;
use crate::format::npy;
use crate::format::placement::Placement;
use crate::os::reading::Bytes;
use crate::os::reading::Section;

/// The first bytes of a zip archive: a file in it, or the end of an empty one.
pub(crate) const MAGICS: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// The name of the first member of an archive that starts so, by its local header (APPNOTE.TXT
/// 4.3.7); None where it is not in these bytes.
pub(crate) fn first_member(start: &[u8]) -> Option<&[u8]> {
    let rest = start.strip_prefix(b"PK\x03\x04")?;
    let len = u16::from_le_bytes(rest.get(22..24)?.try_into().ok()?);
    rest.get(26..26 + usize::from(len))
}

/// What NumPy adds to a name.
const SUFFIX: &str = ".npy";

/// The most bytes that deflate makes of one: 258 of two bits, and a little for its tables.
const MAX_EXPANSION: u64 = 1032;

/// A file that ends where it ended when it was opened.
struct Bounded<'a> {
    file: &'a File,
    len: u64,
}

impl ReaderAt for Bounded<'_> {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        Section::new(self.file, offset, self.len).read(bytes)
    }
}

/// One member, as the directory has it.
#[derive(Debug)]
struct Member {
    /// Its name, suffix and all, within the archive's path.
    path: PathBuf,
    /// Its bytes in the file.
    start: u64,
    end: u64,
    /// Its bytes, decompressed.
    size: u64,
    checksum: u32,
    method: CompressionMethod,
}

/// The members of an archive, in the directory's order.
#[derive(Debug)]
pub(crate) struct Members {
    all: Vec<Member>,
    /// Their names, without `.npy`, each once.
    names: NameList,
    /// For each name, the place of its member.
    places: Vec<usize>,
}

fn bad(path: &Path, problem: MemberProblem) -> Error {
    Error::BadMember { path: path.to_owned(), problem }
}

impl Members {
    /// The members of an archive of `file_len` bytes.
    ///
    /// Where two would have one name it is NumPy's choice: the one that has it without `.npy`,
    /// otherwise the last.
    pub(crate) fn read(file: &File, path: &Path, file_len: u64) -> Result<Self> {
        let damaged = |source: rawzip::Error| match source.into_kind() {
            rawzip::ErrorKind::IO(source) if source.raw_os_error().is_some() => {
                Error::Io { path: path.to_owned(), source }
            }
            kind => Error::BadArchive { path: path.to_owned(), source: kind.into() },
        };
        let reader = Bounded { file, len: file_len };
        let mut buffer = room::repeated(0, MAX_CENTRAL_DIRECTORY_RECORD_SIZE)?;
        let archive = ZipLocator::new().locate_in_reader(reader, &mut buffer, file_len);
        let archive = archive.map_err(|(_, source)| damaged(source))?;
        let mut local = room::repeated(0, MAX_CENTRAL_DIRECTORY_RECORD_SIZE)?;
        let (mut members, mut order, mut count) = (vec![], vec![], 0);
        let mut chosen: HashMap<String, (usize, bool)> = HashMap::new();
        let mut entries = archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(damaged)? {
            count += 1;
            if entry.is_dir() {
                continue;
            }
            let name = entry.file_path();
            let name = name.as_bytes();
            let member_path = path_within(path, name);
            let Ok(text) = std::str::from_utf8(name) else {
                return Err(bad(&member_path, MemberProblem::NotUtf8));
            };
            if entry.flags().is_encrypted() {
                return Err(bad(&member_path, MemberProblem::Encrypted));
            }
            let found = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
            let header = found.local_header(&mut local).map_err(damaged)?;
            if header.file_path().as_bytes() != name {
                let got = header.file_path().as_bytes().to_vec();
                return Err(bad(&member_path, MemberProblem::OtherName { got }));
            }
            let (start, end) = found.compressed_data_range();
            let short = text.strip_suffix(SUFFIX);
            let (name, exact) = (short.unwrap_or(text), short.is_none());
            match chosen.get_mut(name) {
                Some((_, true)) if !exact => {}
                Some(place) => *place = (members.len(), exact),
                None => {
                    room::push(&mut order, name.to_owned())?;
                    room::insert_key(&mut chosen, name.to_owned(), (members.len(), exact))?;
                }
            }
            let member = Member {
                path: member_path,
                start,
                end,
                size: entry.uncompressed_size_hint(),
                checksum: entry.crc32(),
                method: entry.compression_method(),
            };
            room::push(&mut members, member)?;
        }
        if count != archive.entries_hint() {
            let expected = archive.entries_hint();
            return Err(Error::ArchiveEntries { path: path.to_owned(), got: count, expected });
        }
        check_places(&members, archive.directory_offset())?;
        let (mut names, mut places) = (NameList::default(), vec![]);
        for name in &order {
            names.push(name)?;
            room::push(&mut places, chosen[name].0)?;
        }
        names.index()?;
        Ok(Members { all: members, names, places })
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The names, without `.npy`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// The place of a name, by which its member is asked for.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.find(name)
    }

    fn member(&self, at: usize) -> &Member {
        &self.all[self.places[at]]
    }

    /// The byte after the last that can be mapped.
    pub(crate) fn end(&self) -> usize {
        let stored = self.all.iter().filter(|member| member.method == CompressionMethod::STORE);
        stored.map(|member| member.end as usize).max().unwrap_or(0)
    }

    /// Where the array of the member at a place is in the archive's file, of which `mapped` is the
    /// start.
    pub(crate) fn place(&self, at: usize, mapped: &Buffer) -> Result<Placement> {
        let Member { path, start, end, method, .. } = self.member(at);
        if *method != CompressionMethod::STORE {
            let problem = match *method {
                CompressionMethod::DEFLATE => MemberProblem::Compressed,
                method => MemberProblem::Method { method },
            };
            return Err(bad(path, problem));
        }
        let bytes = (*start as usize, (*end - *start) as usize);
        let bytes =
            Placement::packed(DType::U8, &[bytes.1], Order::C, bytes.0)?.view(mapped.clone())?;
        let place = npy::read_placement(&mut ViewReader { bytes, at: 0 }, path, end - start)?;
        // Never: it ends where the member does, at most.
        place.shifted(*start as usize).ok_or_else(|| {
            bad(path, MemberProblem::Outside { start: *start, end: *end, got: usize::MAX as u64 })
        })
    }

    /// The array of the member at a place, in memory of its own; its checksum is right.
    pub(crate) fn load(&self, at: usize, file: &File) -> Result<View> {
        let member = self.member(at);
        let section = Section::new(file, member.start, member.end);
        match member.method {
            CompressionMethod::STORE => member.read(section),
            CompressionMethod::DEFLATE => member.read(DeflateDecoder::new(section)),
            method => Err(bad(&member.path, MemberProblem::Method { method })),
        }
    }

    /// What the member at a place says of its array; nothing after its header is read.
    pub(crate) fn header(&self, at: usize, file: &File) -> Result<Placement> {
        let member = self.member(at);
        let mut section = Section::new(file, member.start, member.end);
        match member.method {
            CompressionMethod::STORE => member.header(&mut section),
            CompressionMethod::DEFLATE => member.header(&mut DeflateDecoder::new(section)),
            method => Err(bad(&member.path, MemberProblem::Method { method })),
        }
    }
}

impl Member {
    fn header(&self, decompressed: &mut impl Read) -> Result<Placement> {
        npy::read_placement(decompressed, &self.path, self.size).map_err(|error| match error {
            Error::Io { source, .. } => self.failed(source),
            error => error,
        })
    }

    fn read(&self, decompressed: impl Read) -> Result<View> {
        let path = &self.path;
        let mut reader = CrcReader::new(decompressed.take(self.size));
        let place = self.header(&mut reader)?;
        let failed = |source| self.failed(source);
        let header = self.size - reader.get_ref().limit();
        let nbytes = place.nbytes();
        let mut bytes = Bytes::with_room(nbytes)?;
        bytes.fill(&mut reader, nbytes).map_err(failed)?;
        let rest = io::copy(&mut reader, &mut io::sink()).map_err(failed)?;
        let got = header + bytes.len() as u64 + rest;
        if got != self.size {
            return Err(bad(path, MemberProblem::Size { got, expected: self.size }));
        }
        let checksum = reader.crc().sum();
        if checksum != self.checksum {
            let expected = self.checksum;
            return Err(bad(path, MemberProblem::Checksum { got: checksum, expected }));
        }
        let (buffer, offset) = bytes.into_buffer()?;
        place.view_at(buffer, offset)
    }

    /// What the system says is its own; the rest is about the bytes.
    fn failed(&self, source: io::Error) -> Error {
        match source.raw_os_error() {
            Some(_) => Error::Io { path: self.path.clone(), source },
            None => bad(&self.path, MemberProblem::Damaged { source }),
        }
    }
}

/// Reads a view's bytes in turn, as a copy: no reference to a map's memory is formed.
struct ViewReader {
    bytes: View,
    at: usize,
}

impl Read for ViewReader {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let len = (self.bytes.nbytes() - self.at).min(bytes.len());
        let range = s(self.at as isize..(self.at + len) as isize);
        let part = self.bytes.index(&[range]).map_err(io::Error::other)?;
        part.read_into(&mut bytes[..len]).map_err(io::Error::other)?;
        self.at += len;
        Ok(len)
    }
}

/// A member's path, whatever its name: one that starts at the root would replace the archive's.
fn path_within(archive: &Path, name: &[u8]) -> PathBuf {
    let mut path = OsString::from(archive);
    path.push("/");
    path.push(std::ffi::OsStr::from_bytes(name));
    path.into()
}

/// Whether each member has bytes of its own, before the directory, and can be as large as it says.
fn check_places(members: &[Member], directory: u64) -> Result<()> {
    let mut by_start: Vec<_> = members.iter().collect();
    by_start.sort_by_key(|member| (member.start, member.end));
    for member in &by_start {
        let (start, end) = (member.start, member.end);
        if end > directory {
            return Err(bad(&member.path, MemberProblem::Outside { start, end, got: directory }));
        }
        let (compressed, got) = (end - start, member.size);
        let max = match member.method {
            CompressionMethod::STORE if got != compressed => {
                return Err(bad(
                    &member.path,
                    MemberProblem::Size { got: compressed, expected: got },
                ));
            }
            CompressionMethod::DEFLATE => compressed.saturating_mul(MAX_EXPANSION),
            _ => u64::MAX,
        };
        if got > max {
            return Err(bad(&member.path, MemberProblem::Expansion { got, max, compressed }));
        }
    }
    for (first, second) in by_start.iter().zip(by_start.iter().skip(1)) {
        if second.start < first.end {
            let (start, end) = (second.start, second.end);
            let with = first.path.display().to_string();
            return Err(bad(&second.path, MemberProblem::Overlap { start, end, with }));
        }
    }
    Ok(())
}
