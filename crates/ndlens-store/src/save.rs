//! Arrays into files that are there whole or not at all.
//!
//! ```text
//!  write      .images.npy.x7Kq2f   beside the file that will be, on the same disk
//!  fsync      .images.npy.x7Kq2f   its bytes are on the disk
//!  rename     images.npy           whoever looks sees the old file or the new one
//!  fsync      the directory        the new name is on the disk
//! ```
//!
//! Whoever has the old file mapped keeps it: it is another file, without a name now. So an array can be saved to the file that it
//! is a view of. An error on the way removes what was written; what a killed process leaves starts with a dot.
//!
//! Elements are written in pieces of a megabyte, gathered from wherever they lie, so that no second copy of an array is made.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ndlens_core::{Index, Order, View, room, s};

use crate::error::{Error, Result};
use crate::map;
use crate::npy_header;
use crate::safetensors;
use crate::shards::Shards;

/// How much is gathered before it is written: more than a write costs, and less than the second-level cache.
const CHUNK_BYTES: usize = 1 << 20;

/// What a new file may be, before the process's umask takes from it.
const NEW_FILE_MODE: u32 = 0o666;

/// What to save.
#[derive(Debug)]
pub enum Contents {
    /// Items one after the other along axis 0; of one view, whatever its rank.
    Array(Vec<View>),
    /// Arrays by name.
    Arrays(Vec<(String, View)>),
}

/// Saves in the format that the path's suffix names.
///
/// # Errors
///
/// [`Error::UnknownSuffix`], [`Error::WrongContents`], and what [`save_npy`] or [`save_safetensors`] says.
pub fn save(path: &Path, contents: &Contents) -> Result<()> {
    let has = |suffix| path.extension().is_some_and(|its| its.eq_ignore_ascii_case(suffix));
    let wrong = |suffix, holds, got| Err(Error::WrongContents { path: path.to_owned(), suffix, holds, got });
    match contents {
        Contents::Array(parts) if has("npy") => save_npy(path, parts),
        Contents::Arrays(arrays) if has("safetensors") => save_safetensors(path, arrays),
        Contents::Array(_) if has("safetensors") => {
            wrong(".safetensors", "arrays by name", "one array: give it a name, {\"name\": array}")
        }
        Contents::Arrays(_) if has("npy") => wrong(".npy", "one array", "arrays by name"),
        _ => Err(Error::UnknownSuffix { path: path.to_owned() }),
    }
}

/// Saves views as one array of a `.npy` file: in Fortran order where one view lies so, otherwise in C order.
///
/// Several must be items of one shape and dtype, and come one after the other along axis 0.
///
/// # Errors
///
/// [`Error::Unsavable`] for a dtype that NumPy's format has no name for, [`Error::Io`] and [`Error::NotRegular`] where no file can
/// be written, what [`Shards::of`] says of several, and [`Owner::verify`](ndlens_core::Owner::verify) of what cannot be read.
pub fn save_npy(path: &Path, parts: &[View]) -> Result<()> {
    let [first, ..] = parts else { return Err(Error::NoShards) };
    let (shape, order) = match parts {
        [view] if view.is_contiguous(Order::F) && !view.is_contiguous(Order::C) => {
            (view.shape().to_vec(), Order::F)
        }
        [view] => (view.shape().to_vec(), Order::C),
        several => (Shards::of(room::list_of(several.iter().cloned())?)?.shape(), Order::C),
    };
    let header = npy_header::header(first.dtype(), order, &shape).ok_or_else(|| Error::Unsavable {
        path: path.to_owned(),
        name: None,
        dtype: first.dtype().to_string(),
        hint: "save it as .safetensors, or its bytes: view.reinterpret(\"uint8\")",
    })?;
    replace(path, |file| {
        file.write(&header)?;
        for part in parts {
            match order {
                Order::C => file.write_elements(part)?,
                // Fortran order is C order with the axes reversed.
                Order::F => {
                    let axes: Vec<isize> = (0..part.ndim() as isize).rev().collect();
                    file.write_elements(&part.permute(&axes)?)?;
                }
            }
        }
        Ok(())
    })
}

/// Saves arrays by name as a `.safetensors` file, each in C order.
///
/// # Errors
///
/// [`Error::Unsavable`] for a dtype that the format has no name for, [`Error::DuplicateName`], [`Error::ReservedName`]; otherwise
/// as [`save_npy`].
pub fn save_safetensors(path: &Path, arrays: &[(String, View)]) -> Result<()> {
    let mut names = room::list_of(arrays.iter().map(|(name, _)| name))?;
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Error::DuplicateName { path: path.to_owned(), name: twice[0].clone() });
    }
    let (header, views) = safetensors::header(path, arrays)?;
    replace(path, |file| {
        file.write(&header)?;
        views.into_iter().try_for_each(|view| file.write_elements(view))
    })
}

/// The file that is being written, under the name it will have.
struct Writing<'a> {
    file: &'a File,
    path: &'a Path,
    chunk: Vec<u8>,
}

impl Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|source| Error::Io { path: self.path.to_owned(), source })
    }

    /// The elements in C order.
    fn write_elements(&mut self, view: &View) -> Result<()> {
        let nbytes = view.nbytes();
        let rows = view.shape().first().copied().unwrap_or(0);
        if nbytes <= CHUNK_BYTES || rows == 0 {
            let mut chunk = std::mem::take(&mut self.chunk);
            room::resize(&mut chunk, nbytes, 0)?;
            view.read_into(&mut chunk)?;
            self.write(&chunk)?;
            self.chunk = chunk;
            return Ok(());
        }
        match CHUNK_BYTES / (nbytes / rows) {
            0 => (0..rows as isize).try_for_each(|row| self.write_elements(&view.index(&[Index::At(row)])?)),
            step => (0..rows).step_by(step).try_for_each(|row| {
                let end = row.saturating_add(step).min(rows);
                self.write_elements(&view.index(&[s(row as isize..end as isize)])?)
            }),
        }
    }
}

/// Puts a file that `write` writes in the place of whatever is there.
fn replace(path: &Path, write: impl FnOnce(&mut Writing<'_>) -> Result<()>) -> Result<()> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let (target, old) = target(path)?;
    let directory = match target.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let mut prefix = OsString::from(".");
    prefix.push(target.file_name().ok_or_else(|| io(io::ErrorKind::InvalidFilename.into()))?);
    prefix.push(".");
    let mut options = File::options();
    options.write(true).create_new(true).mode(NEW_FILE_MODE);
    let temporary = tempfile::Builder::new().prefix(&prefix).make_in(directory, |name| options.open(name));
    let temporary = temporary.map_err(io)?;
    write(&mut Writing { file: temporary.as_file(), path, chunk: Vec::new() })?;
    if let Some(permissions) = old {
        temporary.as_file().set_permissions(permissions).map_err(io)?;
    }
    temporary.as_file().sync_all().map_err(io)?;
    temporary.persist(&target).map_err(|error| io(error.error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io)
}

/// What a path leads to, links followed, and who may use the file that is there.
fn target(path: &Path) -> Result<(PathBuf, Option<Permissions>)> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    match fs::metadata(&target) {
        Ok(metadata) => {
            map::regular(&target, metadata.file_type())?;
            Ok((target, Some(metadata.permissions())))
        }
        Err(_) => Ok((target, None)),
    }
}
