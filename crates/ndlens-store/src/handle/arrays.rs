//! Handles of arrays by name that another process has mapped: their files and the chosen names.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use ndlens_core::room;
use serde::{Deserialize, Serialize};

use crate::encoding::{List, from_bytes, try_to_bytes};
use crate::error::{Error, Result};
use crate::file::array_file::ArrayFile;
use crate::file::arrays::Arrays;
use crate::format::names::NameList;
use crate::handle::file::FileHandle;

/// Files of arrays, as any process can map them.
#[derive(Debug, Serialize, Deserialize)]
struct ArraysHandle {
    /// The bytes of the path, as it is shown.
    path: Vec<u8>,
    files: List<FileHandle>,
    /// The tensors, if an index chooses them.
    chosen: Option<List<(String, u32)>>,
}

impl Arrays {
    /// A handle by which another process maps the same files, as bytes.
    ///
    /// # Errors
    ///
    /// [`Error::FileReplaced`] and [`Error::Io`] if no other process can open them.
    pub fn to_handle(&self) -> Result<Vec<u8>> {
        let handle = |file: &ArrayFile| {
            let read = || Error::FileReplaced { path: file.path().to_owned() };
            FileHandle::of(file.mapped().ok_or_else(read)?)
        };
        let files = List::new(room::try_list_of(self.files().iter().map(handle))?);
        let own = |(name, file): (&str, u32)| (name.to_owned(), file);
        let chosen = self.chosen().map(|chosen| room::list_of(chosen.map(own))).transpose()?;
        let chosen = chosen.map(List::new);
        let path = self.path().as_os_str().as_bytes().to_vec();
        Ok(try_to_bytes(&ArraysHandle { path, files, chosen })?)
    }

    /// The arrays of a handle: mapped once in a process.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedHandle`] for other bytes, [`Error::FileChanged`] if a file has changed, and
    /// the errors of [`open`](Self::open).
    pub fn from_handle(handle: &[u8]) -> Result<Self> {
        let damaged = |problem: &str| Error::DamagedHandle { problem: problem.to_owned() };
        let ArraysHandle { path, files, chosen } = from_bytes(handle)?;
        let path = PathBuf::from(OsString::from_vec(path));
        let mapped = |file: FileHandle| ArrayFile::of_mapped(file.open()?);
        let files = room::try_list_of::<_, Error>(files.into_vec()?.into_iter().map(mapped))?;
        if files.is_empty() {
            return Err(damaged("it is of no file"));
        }
        let Some(chosen) = chosen else { return Arrays::of_files(&path, files, None) };
        let (mut names, mut places) = (NameList::default(), vec![]);
        for (name, place) in chosen.into_vec()? {
            if place as usize >= files.len() {
                return Err(damaged("it names a file that it has not"));
            }
            names.push(&name)?;
            room::push(&mut places, place)?;
        }
        Arrays::of_files(&path, files, Some((names, places)))
    }
}
