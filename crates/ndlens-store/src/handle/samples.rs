//! Handles of samples in tar archives that another process has mapped: the archives and what was
//! selected of them.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use ndlens_core::room;
use serde::{Deserialize, Serialize};

use crate::encoding::{List, from_bytes, try_to_bytes};
use crate::error::{Error, Result};
use crate::file::map::MappedFile;
use crate::file::samples::{Missing, TarSamples};
use crate::handle::file::FileHandle;

/// Archives, as any process can map them.
#[derive(Debug, Serialize, Deserialize)]
struct SamplesHandle {
    /// The bytes of the path, as it is shown.
    path: Vec<u8>,
    files: List<FileHandle>,
    /// The selections, in order: fields, and whether samples that lack one are left out.
    choices: Vec<(Vec<Vec<u8>>, bool)>,
}

impl TarSamples {
    /// A handle by which another process maps the same archives, as bytes.
    ///
    /// # Errors
    ///
    /// [`Error::FileReplaced`] and [`Error::Io`] if no other process can open them.
    pub fn to_handle(&self) -> Result<Vec<u8>> {
        let handle = |file: Option<&MappedFile>| {
            let gone = || Error::FileReplaced { path: self.path().to_owned() };
            FileHandle::of(file.ok_or_else(gone)?)
        };
        let files = List::new(room::try_list_of(self.mapped().map(handle))?);
        let choices = self.choices();
        let choices = choices
            .map(|choice| (choice.fields.clone(), choice.missing == Missing::Skip))
            .collect();
        let path = self.path().as_os_str().as_bytes().to_vec();
        Ok(try_to_bytes(&SamplesHandle { path, files, choices })?)
    }

    /// The samples of a handle: each archive is mapped once in a process.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedHandle`] for other bytes, [`Error::FileChanged`] if an archive has changed,
    /// [`Error::BadTar`].
    pub fn from_handle(handle: &[u8]) -> Result<Self> {
        let SamplesHandle { path, files, choices } = from_bytes(handle)?;
        let path = PathBuf::from(OsString::from_vec(path));
        let files = files.into_vec()?.into_iter().map(|file| file.open());
        let mut samples = TarSamples::of_mapped(&path, room::try_list_of(files)?)?;
        for (fields, skips) in choices {
            let fields = room::list_of(fields.iter().map(Vec::as_slice))?;
            samples =
                samples.select(&fields, if skips { Missing::Skip } else { Missing::Raise })?;
        }
        Ok(samples)
    }
}
