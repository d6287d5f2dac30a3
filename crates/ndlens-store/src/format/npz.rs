//! `.npz` archives: zip files of `.npy` files, as `numpy.savez` writes them.
//!
//! ```text
//!  |local header|weights.npy......|local header|bias.npy...|...|directory|end|
//! ```
//!
//! A stored member has the same bytes in the file as in memory, so it is mapped in place. A
//! compressed member is decompressed into a copy if the caller asks for one.
//!
//! A member's errors name it as a path within the archive's: `data.npz/weights.npy: truncated: ..`.
//!
//! # Rationale
//!
//! The directory is checked when the archive is opened: each member has one name, the same in both
//! places, and its own bytes in the file. A member's header is read when the member is used, as
//! NumPy does, so that a member that no view can show does not block the others. A claimed size is
//! allocated only if deflate can make that many bytes of the compressed ones, and the machine has
//! the memory.
//!
//! Writing in place would leave a wrong checksum, which every other reader reports as damage. So
//! `"r+"` is refused.

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

/// The name of the first member of an archive with these first bytes, by its local header
/// (APPNOTE.TXT 4.3.7); None if it is not in these bytes.
pub(crate) fn first_member(start: &[u8]) -> Option<&[u8]> {
    let rest = start.strip_prefix(b"PK\x03\x04")?;
    let len = u16::from_le_bytes(rest.get(22..24)?.try_into().ok()?);
    rest.get(26..26 + usize::from(len))
}

/// The suffix that NumPy adds to a name.
const SUFFIX: &str = ".npy";

/// Maximum number of bytes that deflate makes of one: 258 of two bits, and a little for its tables.
const MAX_EXPANSION: u64 = 1032;

/// A file with the length that it had when it was opened.
struct Bounded<'a> {
    file: &'a File,
    len: u64,
}

impl ReaderAt for Bounded<'_> {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        Section::new(self.file, offset, self.len).read(bytes)
    }
}

/// One member's entry in the directory, in few bytes: there may be millions.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Its bytes in the file.
    start: u64,
    end: u64,
    /// Its bytes, decompressed.
    size: u64,
    checksum: u32,
    method: CompressionMethod,
}

const _: () = assert!(size_of::<Entry>() <= 32);

/// The members of an archive, in the directory's order.
#[derive(Debug)]
pub(crate) struct Members {
    archive: PathBuf,
    entries: Vec<Entry>,
    /// The name of each entry, suffix and all.
    files: NameList,
    /// The places of the entries that are arrays, each with a different name, in the order in which
    /// the names first occur.
    arrays: Vec<u32>,
    /// The same, in the order of their names.
    by_name: Vec<u32>,
}

/// The name of an array, of the name of its file; whether the two are the same.
fn array_name(file: &str) -> (&str, bool) {
    file.strip_suffix(SUFFIX).map_or((file, true), |name| (name, false))
}

fn bad(path: &Path, problem: MemberProblem) -> Error {
    Error::BadMember { path: path.to_owned(), problem }
}

impl Members {
    /// The members of an archive of `file_len` bytes.
    ///
    /// If two would have one name, NumPy's choice counts: the one that has it without `.npy`,
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
        let (mut members, mut files, mut count) = (vec![], NameList::default(), 0);
        let mut entries = archive.entries(&mut buffer);
        while let Some(entry) = entries.next_entry().map_err(damaged)? {
            count += 1;
            if entry.is_dir() {
                continue;
            }
            let name = entry.file_path();
            let name = name.as_bytes();
            let refused = |problem| Err(bad(&path_within(path, name), problem));
            let Ok(text) = std::str::from_utf8(name) else {
                return refused(MemberProblem::NotUtf8);
            };
            if entry.flags().is_encrypted() {
                return refused(MemberProblem::Encrypted);
            }
            let found = archive.get_entry(entry.wayfinder()).map_err(damaged)?;
            let header = found.local_header(&mut local).map_err(damaged)?;
            if header.file_path().as_bytes() != name {
                let got = header.file_path().as_bytes().to_vec();
                return refused(MemberProblem::OtherName { got });
            }
            let (start, end) = found.compressed_data_range();
            let member = Entry {
                start,
                end,
                size: entry.uncompressed_size_hint(),
                checksum: entry.crc32(),
                method: entry.compression_method(),
            };
            files.push(text)?;
            room::push(&mut members, member)?;
        }
        if count != archive.entries_hint() {
            let expected = archive.entries_hint();
            return Err(Error::ArchiveEntries { path: path.to_owned(), got: count, expected });
        }
        let (arrays, by_name) = choose(&files)?;
        let archive_end = archive.directory_offset();
        let members =
            Members { archive: path.to_owned(), entries: members, files, arrays, by_name };
        members.check_places(archive_end)?;
        Ok(members)
    }

    /// Checks that each member has its own bytes before the directory, and can be as large as it
    /// claims.
    fn check_places(&self, directory: u64) -> Result<()> {
        let refused = |at: usize, problem| Err(bad(&self.member(at).path, problem));
        let mut by_start = room::list_of(0..self.entries.len())?;
        by_start.sort_unstable_by_key(|&at| (self.entries[at].start, self.entries[at].end, at));
        for &at in &by_start {
            let Entry { start, end, size: got, method, .. } = self.entries[at];
            if end > directory {
                return refused(at, MemberProblem::Outside { start, end, got: directory });
            }
            let compressed = end - start;
            let max = match method {
                CompressionMethod::STORE if got != compressed => {
                    return refused(at, MemberProblem::Size { got: compressed, expected: got });
                }
                CompressionMethod::DEFLATE => compressed.saturating_mul(MAX_EXPANSION),
                _ => u64::MAX,
            };
            if got > max {
                return refused(at, MemberProblem::Expansion { got, max, compressed });
            }
        }
        for pair in by_start.windows(2) {
            let (first, second) = (self.entries[pair[0]], self.entries[pair[1]]);
            if second.start < first.end {
                let with = self.member(pair[0]).path.display().to_string();
                let (start, end) = (second.start, second.end);
                return refused(pair[1], MemberProblem::Overlap { start, end, with });
            }
        }
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.arrays.len()
    }

    /// The names, without `.npy`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.arrays.iter().map(|&at| self.name(at))
    }

    fn name(&self, at: u32) -> &str {
        array_name(self.files.get(at as usize)).0
    }

    /// The place of the member that is the array of a name, by which it is asked for.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let at = self.by_name.binary_search_by(|&at| self.name(at).cmp(name)).ok()?;
        Some(self.by_name[at] as usize)
    }

    fn member(&self, at: usize) -> Member {
        let path = path_within(&self.archive, self.files.get(at).as_bytes());
        Member { path, entry: self.entries[at] }
    }

    /// The byte after the last that can be mapped.
    pub(crate) fn end(&self) -> usize {
        let stored = self.entries.iter().filter(|member| member.method == CompressionMethod::STORE);
        stored.map(|member| member.end as usize).max().unwrap_or(0)
    }

    /// The placement, in the archive's file, of the array of the member at a place. `mapped` is the
    /// start of the file.
    pub(crate) fn place(&self, at: usize, mapped: &Buffer) -> Result<Placement> {
        let Member { path, entry } = self.member(at);
        let path = &path;
        let Entry { start, end, method, .. } = entry;
        if method != CompressionMethod::STORE {
            let problem = match method {
                CompressionMethod::DEFLATE => MemberProblem::Compressed,
                method => MemberProblem::Method { method },
            };
            return Err(bad(path, problem));
        }
        let bytes = (start as usize, (end - start) as usize);
        let bytes =
            Placement::packed(DType::U8, &[bytes.1], Order::C, bytes.0)?.view(mapped.clone())?;
        let place = npy::read_placement(&mut ViewReader { bytes, at: 0 }, path, end - start)?;
        // Never: it ends where the member does, at most.
        place
            .shifted(start as usize)
            .ok_or_else(|| bad(path, MemberProblem::Outside { start, end, got: usize::MAX as u64 }))
    }

    /// The array of the member at a place, in memory of its own, with a verified checksum.
    pub(crate) fn load(&self, at: usize, file: &File) -> Result<View> {
        let member = self.member(at);
        let section = Section::new(file, member.entry.start, member.entry.end);
        match member.entry.method {
            CompressionMethod::STORE => member.read(section),
            CompressionMethod::DEFLATE => member.read(DeflateDecoder::new(section)),
            method => Err(bad(&member.path, MemberProblem::Method { method })),
        }
    }

    /// The placement in the header of the member at a place; nothing after the header is read.
    pub(crate) fn header(&self, at: usize, file: &File) -> Result<Placement> {
        let member = self.member(at);
        let mut section = Section::new(file, member.entry.start, member.entry.end);
        match member.entry.method {
            CompressionMethod::STORE => member.header(&mut section),
            CompressionMethod::DEFLATE => member.header(&mut DeflateDecoder::new(section)),
            method => Err(bad(&member.path, MemberProblem::Method { method })),
        }
    }
}

/// One member: its place, and its entry in the directory.
#[derive(Debug)]
struct Member {
    /// Its name, suffix and all, within the archive's path.
    path: PathBuf,
    entry: Entry,
}

impl Member {
    fn header(&self, decompressed: &mut impl Read) -> Result<Placement> {
        npy::read_placement(decompressed, &self.path, self.entry.size).map_err(
            |error| match error {
                Error::Io { source, .. } => self.failed(source),
                error => error,
            },
        )
    }

    fn read(&self, decompressed: impl Read) -> Result<View> {
        let path = &self.path;
        let mut reader = CrcReader::new(decompressed.take(self.entry.size));
        let place = self.header(&mut reader)?;
        let failed = |source| self.failed(source);
        let header = self.entry.size - reader.get_ref().limit();
        let nbytes = place.nbytes();
        let mut bytes = Bytes::with_room(nbytes)?;
        bytes.fill(&mut reader, nbytes).map_err(failed)?;
        let rest = io::copy(&mut reader, &mut io::sink()).map_err(failed)?;
        let got = header + bytes.len() as u64 + rest;
        if got != self.entry.size {
            return Err(bad(path, MemberProblem::Size { got, expected: self.entry.size }));
        }
        let checksum = reader.crc().sum();
        if checksum != self.entry.checksum {
            let expected = self.entry.checksum;
            return Err(bad(path, MemberProblem::Checksum { got: checksum, expected }));
        }
        let (buffer, offset) = bytes.into_buffer()?;
        place.view_at(buffer, offset)
    }

    /// An error of the system stays one; any other is about the bytes.
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

/// A member's path, for any name: a name that starts at the root would replace the archive's path.
fn path_within(archive: &Path, name: &[u8]) -> PathBuf {
    let mut path = OsString::from(archive);
    path.push("/");
    path.push(std::ffi::OsStr::from_bytes(name));
    path.into()
}

/// The places of the files that are arrays, in their order and in that of the arrays' names.
fn choose(files: &NameList) -> ndlens_core::Result<(Vec<u32>, Vec<u32>)> {
    let len_bytes = size_of::<u32>().saturating_mul(files.len());
    let count =
        u32::try_from(files.len()).map_err(|_| ndlens_core::Error::OutOfMemory { len_bytes })?;
    let name = |at: u32| array_name(files.get(at as usize));
    let mut by_name = room::list_of(0..count)?;
    // Not a stable sort, which takes memory.
    by_name.sort_unstable_by(|&a, &b| name(a).0.cmp(name(b).0).then(a.cmp(&b)));
    // Each chosen place beside the first of its name.
    let mut chosen: Vec<(u32, u32)> = room::with_room_for(by_name.len())?;
    for same in by_name.chunk_by(|&a, &b| name(a).0 == name(b).0) {
        let exact = same.iter().rev().find(|&&at| name(at).1);
        if let (Some(&first), Some(&last)) = (same.first(), same.last()) {
            chosen.push((first, *exact.unwrap_or(&last)));
        }
    }
    by_name.clear();
    by_name.extend(chosen.iter().map(|(_, at)| at));
    chosen.sort_unstable();
    Ok((room::list_of(chosen.iter().map(|&(_, at)| at))?, by_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_array_of_a_name_is_the_file_without_a_suffix_or_the_last() {
        let mut files = NameList::default();
        for name in ["b.npy", "a.npy", "b", "b.npy", "a.npy", "c", "c", ".npy"] {
            files.push(name).unwrap();
        }
        assert_eq!(choose(&files).unwrap(), (vec![2, 4, 6, 7], vec![7, 4, 2, 6]));
    }
}
