//! Encoded images, such as photographs in files: their bytes, which are decoded when an item is
//! made.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use ndlens_core::room::{self, with_room_for};
use ndlens_store::{ask_for_file, read_file};

use crate::error::{Error, Result};
use crate::resume::digest::Digest;

/// A sequence of encoded images.
///
/// Foreign memory, such as a mapped file, can change while it is decoded. So bytes are copied into
/// memory of the reading thread first.
pub trait EncodedImages: Send + Sync {
    /// The number of images.
    fn len(&self) -> usize;

    /// Whether there is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces the contents of `bytes` by those of image `index`, which is below
    /// [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// An error that names the file, if there is one.
    fn read(&self, index: usize, bytes: &mut Vec<u8>) -> Result<()>;

    /// The name of an image in errors, such as its path; None if only its number names it.
    fn name(&self, index: usize) -> Option<String>;

    /// Asks the system for an image that will soon be read.
    fn prefetch(&self, index: usize) {
        let _ = index;
    }

    /// Whether the images are in files of their own, which a reader asks for ahead: see
    /// [`prefetch`](Self::prefetch).
    fn is_in_files(&self) -> bool {
        false
    }

    /// A digest that differs between sources of one length. It is part of a run's state.
    fn fingerprint(&self) -> Option<u64> {
        None
    }

    /// Whether bytes may go missing while they are read.
    fn can_shrink(&self) -> bool {
        false
    }

    /// Bytes of all images that are mapped from a file and come into memory only when they are
    /// read.
    fn mapped_bytes(&self) -> usize {
        0
    }
}

/// Encoded images in files of their own. Paths are one text, since there may be millions. A file is
/// opened when its image is made, and closed again.
///
/// ```
/// use ndlens_loader::{EncodedImages, ImageFiles};
///
/// let files = ImageFiles::new(["cats/1.jpg", "dogs/1.jpg"])?;
/// assert_eq!(files.name(1).as_deref(), Some("dogs/1.jpg"));
/// # Ok::<(), ndlens_loader::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ImageFiles {
    /// All paths, one after another.
    text: Vec<u8>,
    /// The end of each path.
    ends: Vec<usize>,
    fingerprint: OnceLock<u64>,
    /// How many files, one after another, were in the system's cache when they were asked for.
    found: AtomicUsize,
}

/// After as many files that are in the system's cache, only some are asked for.
const FOUND: usize = 64;

/// Of so many files one is then asked for, until one is not there. To ask for a file takes some
/// microseconds, and to decode a part of a small image some hundred.
const SAMPLED: usize = 16;

impl ImageFiles {
    /// Images in these files, which are not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::NulInPath`]; [`Error::Core`] if there is no memory for the list.
    pub fn new<P: AsRef<OsStr>>(paths: impl IntoIterator<Item = P>) -> Result<Self> {
        let mut files = ImageFiles::default();
        paths.into_iter().try_for_each(|path| files.push(path.as_ref()))?;
        Ok(files)
    }

    /// Adds a file.
    ///
    /// # Errors
    ///
    /// [`Error::NulInPath`]; [`Error::Core`] if there is no memory for its path.
    pub fn push(&mut self, path: impl AsRef<OsStr>) -> Result<()> {
        let path = path.as_ref().as_bytes();
        if path.contains(&0) {
            return Err(Error::NulInPath { path: String::from_utf8_lossy(path).into_owned() });
        }
        room::reserve(&mut self.text, path.len())?;
        room::reserve(&mut self.ends, 1)?;
        self.text.extend_from_slice(path);
        self.ends.push(self.text.len());
        Ok(())
    }

    /// The files whose paths are joined in this text.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn of_joined(text: &[u8]) -> Result<Self> {
        let mut files = ImageFiles::default();
        let paths = text.split_inclusive(|byte| *byte == 0);
        paths.into_iter().try_for_each(|path| {
            files.push(OsStr::from_bytes(path.strip_suffix(&[0]).unwrap_or(path)))
        })?;
        Ok(files)
    }

    /// All paths in one text, each followed by a byte of 0, which no path has.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for it.
    pub fn joined(&self) -> Result<Vec<u8>> {
        let mut text = with_room_for(self.text.len() + self.ends.len())?;
        for index in 0..self.ends.len() {
            text.extend_from_slice(self.path(index).as_os_str().as_bytes());
            text.push(0);
        }
        Ok(text)
    }

    /// The path of an image.
    ///
    /// # Panics
    ///
    /// If `index` is not below [`len`](EncodedImages::len).
    pub fn path(&self, index: usize) -> &Path {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        Path::new(OsStr::from_bytes(&self.text[start..self.ends[index]]))
    }
}

impl EncodedImages for ImageFiles {
    fn len(&self) -> usize {
        self.ends.len()
    }

    fn read(&self, index: usize, bytes: &mut Vec<u8>) -> Result<()> {
        Ok(read_file(self.path(index), bytes)?)
    }

    fn name(&self, index: usize) -> Option<String> {
        Some(self.path(index).display().to_string())
    }

    fn prefetch(&self, index: usize) {
        // Relaxed: a count that is lost changes which files are asked for, and no result.
        let found = self.found.load(Ordering::Relaxed);
        if found >= FOUND && !index.is_multiple_of(SAMPLED) {
            return;
        }
        let is_there = ask_for_file(self.path(index));
        let found = if is_there { found.saturating_add(1) } else { 0 };
        self.found.store(found, Ordering::Relaxed);
    }

    fn is_in_files(&self) -> bool {
        true
    }

    /// Of the names of the files, without those of their directories: a run may go on where the
    /// data lies elsewhere.
    fn fingerprint(&self) -> Option<u64> {
        Some(*self.fingerprint.get_or_init(|| {
            let mut digest = Digest::default();
            for index in 0..self.ends.len() {
                let name = self.path(index).file_name().unwrap_or_default().as_bytes();
                // The lengths too: "a" and "bc" are other files than "ab" and "c".
                digest.add(name.len() as i64);
                for bytes in name.chunks(8) {
                    let mut word = [0; 8];
                    word[..bytes.len()].copy_from_slice(bytes);
                    digest.add(i64::from_le_bytes(word));
                }
            }
            digest.value()
        }))
    }
}
