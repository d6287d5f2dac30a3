//! Bytes of a file, or of a decompressed member of one, in memory of their own.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use ndlens_core::{ALIGNMENT, Buffer};

use crate::error::{Error, Result};
use crate::os::kernel::available_bytes;

/// From this size on, the available memory is checked. Below it, the check costs more than it
/// saves.
const LARGE_BYTES: usize = 1 << 20;

/// Bytes that start at a multiple of [`ALIGNMENT`].
#[derive(Debug)]
pub(crate) struct Bytes {
    vec: Vec<u8>,
    /// The first byte's place in the vector.
    offset: usize,
}

impl Bytes {
    /// Memory for `nbytes` bytes, still empty.
    ///
    /// # Errors
    ///
    /// [`ndlens_core::Error::OutOfMemory`].
    pub(crate) fn with_room(nbytes: usize) -> ndlens_core::Result<Self> {
        let out_of_memory = || ndlens_core::Error::OutOfMemory { len_bytes: nbytes };
        if nbytes >= LARGE_BYTES && nbytes as u64 > available_bytes() {
            return Err(out_of_memory());
        }
        let mut vec: Vec<u8> = Vec::new();
        vec.try_reserve_exact(nbytes.saturating_add(ALIGNMENT)).map_err(|_| out_of_memory())?;
        let offset = vec.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        vec.resize(offset, 0);
        Ok(Bytes { vec, offset })
    }

    /// Reads until there are `nbytes` bytes or the reader ends.
    pub(crate) fn fill(&mut self, reader: &mut impl Read, nbytes: usize) -> io::Result<()> {
        reader.take(nbytes as u64).read_to_end(&mut self.vec).map(|_| ())
    }

    pub(crate) fn len(&self) -> usize {
        self.vec.len() - self.offset
    }

    /// The bytes as a buffer, and the place in it of the first.
    pub(crate) fn into_buffer(self) -> ndlens_core::Result<(Buffer, usize)> {
        if self.len() == 0 {
            return Ok((Buffer::zeroed(0)?, 0));
        }
        Ok((Buffer::from_vec(self.vec), self.offset))
    }
}

/// The first `nbytes` that a reader has, or fewer if it has no more.
///
/// # Errors
///
/// [`ndlens_core::Error::OutOfMemory`]; [`Error::Io`] from the reader.
pub(crate) fn read_bytes(reader: &mut impl Read, path: &Path, nbytes: usize) -> Result<Bytes> {
    let mut bytes = Bytes::with_room(nbytes)?;
    bytes.fill(reader, nbytes).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    Ok(bytes)
}

/// A range of a file's bytes, read in order. The file's own position does not change, so several
/// ranges can be read at once.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    file: &'a File,
    at: u64,
    end: u64,
}

impl<'a> Section<'a> {
    pub(crate) fn new(file: &'a File, start: u64, end: u64) -> Self {
        Section { file, at: start, end }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.end.saturating_sub(self.at).min(bytes.len() as u64) as usize;
        if left == 0 {
            // Without a call of the system, which refuses places beyond any file.
            return Ok(0);
        }
        let there = self.file.read_at(&mut bytes[..left], self.at)?;
        self.at += there as u64;
        Ok(there)
    }
}

/// Reads until `bytes` is full or the reader ends. Returns the number of bytes.
pub(crate) fn read_fully(reader: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut there = 0;
    while there < bytes.len() {
        match reader.read(&mut bytes[there..]) {
            Ok(0) => break,
            Ok(n) => there += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(there)
}
