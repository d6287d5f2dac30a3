//! JSON text that reports an error if there is no memory for it.

use std::io;
use std::path::Path;

use ndlens_core::room;
use serde::Serialize;

use crate::error::{Error, Result};

/// JSON text that grows, for the file at `path`.
pub(crate) struct JsonText<'a> {
    pub(crate) bytes: Vec<u8>,
    pub(crate) path: &'a Path,
}

impl JsonText<'_> {
    pub(crate) fn key(&mut self, key: &str) -> Result<()> {
        if !self.bytes.ends_with(b"{") {
            self.add(b",")?;
        }
        self.value(key)?;
        self.add(b":")
    }

    pub(crate) fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        let path = self.path;
        let len_bytes = self.bytes.len();
        serde_json::to_writer(self, value).map_err(|error| match io::Error::from(error) {
            error if error.kind() == io::ErrorKind::OutOfMemory => {
                ndlens_core::Error::OutOfMemory { len_bytes }.into()
            }
            source => Error::Io { path: path.to_owned(), source },
        })
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<()> {
        room::reserve(&mut self.bytes, bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl io::Write for JsonText<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
