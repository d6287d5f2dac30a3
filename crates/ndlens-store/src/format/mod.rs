//! Formats of files: the places, dtypes and shapes of their arrays. Nothing here maps or writes.
//!
//! | module | reads |
//! |---|---|
//! | `npy` | one array |
//! | `npz` | arrays by name in an archive, the members of which are `.npy` files |
//! | `safetensors` | arrays by name behind a header of JSON |
//! | `checkpoint` | the index of a checkpoint in several `.safetensors` |
//! | `ragged_note` | the note that groups tensors of a `.safetensors` into sets of items |
//! | `raw` | bytes that the caller describes |
//! | `tar` | members of an archive by name |
//! | `samples` | the samples that members of a tar archive are |
//!
//! All of them give a `placement`: the place of an array's elements in its file. `names`
//! holds millions of names in few bytes. A new format has a module here, a variant of [`Format`],
//! and its first bytes in [`Format::of`].

pub(crate) mod checkpoint;
pub(crate) mod json_pairs;
pub(crate) mod json_text;
pub(crate) mod names;
pub(crate) mod npy;
pub(crate) mod npz;
pub(crate) mod placement;
pub(crate) mod ragged_note;
pub(crate) mod raw;
pub(crate) mod safetensors;
pub(crate) mod samples;
pub(crate) mod tar;

use std::fs::File;
use std::path::Path;

use crate::error::{Error, Result};
use crate::format::raw::Raw;
use crate::os::reading::{Section, read_fully};

/// The format of a file, by its first bytes. `.safetensors` has no magic bytes, so its name counts
/// too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Npy,
    Npz,
    Safetensors,
    /// The index of a checkpoint in several files.
    Index,
    /// Members by name.
    Tar,
}

/// The first bytes of a pointer that Git LFS leaves in the place of a file.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Number of bytes of a file that are inspected.
const START_BYTES: usize = tar::BLOCK;

/// The first bytes of compressed files, and what decompresses each.
const COMPRESSED: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gunzip"),
    (b"BZh", "bunzip2"),
    (b"\xfd7zXZ\0", "unxz"),
    (b"\x28\xb5\x2f\xfd", "unzstd"),
];

/// What decompresses a file with these first bytes, if its name is that of a tar archive.
fn decompressor(start: &[u8], path: &Path) -> Option<&'static str> {
    let stem = path.file_stem().unwrap_or_default();
    let is_archive = is_named(Path::new(stem), "tar")
        || ["tar", "tgz", "tbz2", "txz", "tzst"].iter().any(|suffix| is_named(path, suffix));
    let found = COMPRESSED.iter().find(|(magic, _)| start.starts_with(magic));
    found.filter(|_| is_archive).map(|&(_, command)| command)
}

/// Usual suffixes of files of `torch.save`.
const TORCH_SUFFIXES: [&str; 4] = ["pt", "pth", "bin", "ckpt"];

/// The format of an encoded image with these first bytes.
fn image_format(start: &[u8]) -> Option<&'static str> {
    const FORMATS: [(&[u8], &str); 2] = [(b"\xff\xd8\xff", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG")];
    let is_webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
    let found = FORMATS.iter().find(|(magic, _)| start.starts_with(magic));
    found.map(|&(_, format)| format).or(is_webp.then_some("WebP"))
}

/// The first bytes of a file, and how many there are.
fn read_start(file: &File, path: &Path, file_len: u64) -> Result<([u8; START_BYTES], usize)> {
    let mut start = [0; START_BYTES];
    let there = read_fully(&mut Section::new(file, 0, file_len), &mut start)
        .map_err(|source| Error::Io { path: path.to_owned(), source })?;
    Ok((start, there))
}

fn is_named(path: &Path, suffix: &str) -> bool {
    path.extension().is_some_and(|its| its.eq_ignore_ascii_case(suffix))
}

/// Whether a file with these first bytes was written by `torch.save`: an archive whose first member
/// is a pickle, or before PyTorch 1.6 a pickle alone.
fn is_torch_pickle(start: &[u8], path: &Path) -> bool {
    let named = || TORCH_SUFFIXES.iter().any(|suffix| is_named(path, suffix));
    // The opcode PROTO of Python's pickles, and the protocol.
    let is_pickle = matches!(start, [0x80, 2..=5, ..]) && named();
    is_pickle || npz::first_member(start).is_some_and(|name| name.ends_with(b"/data.pkl"))
}

/// Suffixes of the formats that say the dtype and shape of their arrays.
const DESCRIBED_SUFFIXES: [&str; 3] = ["npy", "npz", "safetensors"];

impl Format {
    /// Refuses raw bytes that start with the header of a file: its numbers would be the header's.
    ///
    /// # Errors
    ///
    /// [`Error::RawHeader`] for a file whose name and first bytes are those of a format, and
    /// [`Error::GitLfsPointer`] for a pointer in the place of a file; unless the caller asks for
    /// single bytes or names the byte at which the elements start.
    pub(crate) fn check_raw(raw: &Raw, file: &File, path: &Path, file_len: u64) -> Result<()> {
        let is_described = DESCRIBED_SUFFIXES.iter().any(|suffix| is_named(path, suffix));
        // A pointer is short, so that only few files of other names are read here.
        let is_short = file_len <= START_BYTES as u64;
        if raw.offset != 0 || raw.dtype.itemsize() == 1 || !(is_described || is_short) {
            return Ok(());
        }
        let (start, there) = read_start(file, path, file_len)?;
        let start = &start[..there];
        if start.starts_with(LFS_POINTER) {
            return Err(Error::GitLfsPointer { path: path.to_owned() });
        }
        match Format::of_header(start).filter(|_| is_described) {
            Some(_) => Err(Error::RawHeader { path: path.to_owned() }),
            None => Ok(()),
        }
    }

    /// The format that the first bytes of a file tell by themselves.
    fn of_header(start: &[u8]) -> Option<Self> {
        if npz::MAGICS.iter().any(|magic| start.starts_with(magic)) {
            Some(Format::Npz)
        } else if start.starts_with(npy::MAGIC) {
            Some(Format::Npy)
        } else if start.first_chunk().is_some_and(safetensors::is_start) {
            Some(Format::Safetensors)
        } else {
            None
        }
    }

    pub(crate) fn of(file: &File, path: &Path, file_len: u64) -> Result<Self> {
        let (start, there) = read_start(file, path, file_len)?;
        let start = &start[..there];
        if start.starts_with(LFS_POINTER) {
            Err(Error::GitLfsPointer { path: path.to_owned() })
        } else if is_torch_pickle(start, path) {
            Err(Error::TorchPickle { path: path.to_owned() })
        } else if let Some(format) = Format::of_header(start) {
            Ok(format)
        } else if is_named(path, "safetensors") {
            Ok(Format::Safetensors)
        } else if let Some(command) = decompressor(start, path) {
            Err(Error::CompressedArchive { path: path.to_owned(), command })
        } else if tar::is_start(start, is_named(path, "tar")) {
            Ok(Format::Tar)
        } else if is_named(path, "json") && start.trim_ascii_start().starts_with(b"{") {
            Ok(Format::Index)
        } else if is_named(path, "npy") {
            // It says of what it is not.
            Ok(Format::Npy)
        } else if let Some(format) = image_format(start) {
            Err(Error::EncodedImage { path: path.to_owned(), format })
        } else {
            Err(Error::UnknownFormat { path: path.to_owned(), got: start[..there.min(8)].to_vec() })
        }
    }
}
