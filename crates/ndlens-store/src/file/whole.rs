//! Whole files, read into memory that is used again: many small files, such as photographs, which
//! are not worth a map each.

use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::path::Path;

use ndlens_core::room;
use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};

use crate::error::{Error, Result};
use crate::file::regular::open_regular;
use crate::mode::MapMode;

/// The longest file that is read whole: an image of the default limit of pixels, uncompressed, is
/// half as long. A longer one is no image, and may be longer than memory.
const MAX_BYTES: u64 = 1 << 30;

/// Replaces the contents of `bytes` by those of a regular file, which is closed again. The memory
/// of `bytes` grows to the largest file.
///
/// # Errors
///
/// [`Error::Io`], [`Error::NotRegular`]; [`Error::FileTooLong`] beyond 1 GiB;
/// [`Error::ChangedMeanwhile`] if the file is not as long as
/// it was when it was opened; [`Error::Core`] if there is no memory for it.
pub fn read_file(path: &Path, bytes: &mut Vec<u8>) -> Result<()> {
    let opened = open_regular(path, MapMode::Read).inspect_err(|_| bytes.clear());
    let (file, expected) = opened?;
    if expected > MAX_BYTES {
        bytes.clear();
        return Err(Error::FileTooLong { path: path.to_owned(), got: expected, most: MAX_BYTES });
    }
    // One byte more shows that the file goes on.
    let most = usize::try_from(expected).unwrap_or(usize::MAX).saturating_add(1);
    room::resize(bytes, most, 0)?;
    bytes.truncate(most);
    let got = fill(&file, bytes);
    bytes.truncate(*got.as_ref().unwrap_or(&0));
    match got.map(|got| got as u64) {
        Ok(got) if got == expected => Ok(()),
        Ok(got) => {
            bytes.clear();
            Err(Error::ChangedMeanwhile { path: path.to_owned(), got, expected })
        }
        Err(source) => Err(Error::Io { path: path.to_owned(), source }),
    }
}

/// Reads until `bytes` are full or the file ends, and returns how many were read.
fn fill(mut file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read(&mut bytes[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(got)
}

/// Asks the system to read a regular file that will be read soon, unless its start is in the
/// system's cache: whether it is there. A file that cannot be opened is left to its reader.
pub fn ask_for_file(path: &Path) -> bool {
    let Ok((file, len)) = open_regular(path, MapMode::Read) else { return true };
    let mut first = [0];
    let read = preadv2(&file, &mut [IoSliceMut::new(&mut first)], 0, ReadWriteFlags::NOWAIT);
    // An error other than that it would wait: the file system cannot tell.
    let is_there = len == 0 || matches!(read, Ok(1..));
    if !is_there {
        let _ = fadvise(&file, 0, None, Advice::WillNeed);
    }
    is_there
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::fs;

    /// Whether system and file system tell what is in the cache.
    fn tells(path: &Path) -> bool {
        let file = File::open(path).unwrap();
        let read = preadv2(&file, &mut [IoSliceMut::new(&mut [0])], 0, ReadWriteFlags::NOWAIT);
        !matches!(read, Err(Errno::NOSYS | Errno::OPNOTSUPP))
    }

    #[test]
    fn a_file_replaces_what_was_read_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut bytes = vec![7; 100];
        for contents in [b"some bytes".to_vec(), vec![], vec![1; 100_000]] {
            fs::write(&path, &contents).unwrap();
            read_file(&path, &mut bytes).unwrap();
            assert_eq!(bytes, contents);
            // It was just read.
            assert_eq!(ask_for_file(&path), contents.is_empty() || tells(&path));
        }
    }

    #[test]
    fn what_is_no_file_is_refused_and_names_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let mut bytes = vec![7];
        let error = read_file(directory.path(), &mut bytes).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{}: not a regular file but a directory", directory.path().display())
        );
        assert!(bytes.is_empty());
        let gone = directory.path().join("gone");
        let error = read_file(&gone, &mut bytes).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: No such file", gone.display())), "{error}");
        ask_for_file(&gone);
    }

    #[test]
    fn a_file_that_is_too_long_for_an_image_is_refused_before_memory_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("long.jpg");
        let got = (1 << 40) + 1;
        File::create(&path).unwrap().set_len(got).unwrap();
        let mut bytes = vec![7];
        let error = read_file(&path, &mut bytes).unwrap_err().to_string();
        let path = path.display();
        assert_eq!(
            error,
            format!(
                "{path}: the file has {got} bytes, more than the 1073741824 of an encoded image"
            )
        );
        assert_eq!((bytes.len(), bytes.capacity()), (0, 1));
    }

    #[test]
    fn no_descriptor_stays_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, b"bytes").unwrap();
        let open = || {
            fs::read_dir("/proc/self/fd")
                .unwrap()
                .filter(|entry| {
                    let target = fs::read_link(entry.as_ref().unwrap().path());
                    target.is_ok_and(|target| target == path)
                })
                .count()
        };
        let mut bytes = vec![];
        read_file(&path, &mut bytes).unwrap();
        ask_for_file(&path);
        assert_eq!(open(), 0);
    }
}
