//! Whole files, read into memory that is used again: many small files, such as photographs, which
//! are not worth a map each.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ndlens_core::room;
use rustix::fs::{Advice, fadvise};

use crate::error::{Error, Result};
use crate::file::regular::open_regular;
use crate::mode::MapMode;

/// Replaces the contents of `bytes` by those of a regular file, which is closed again. The memory
/// of `bytes` grows to the largest file.
///
/// # Errors
///
/// [`Error::Io`], [`Error::NotRegular`]; [`Error::ChangedMeanwhile`] if the file is not as long as
/// it was when it was opened; [`Error::Core`] if there is no memory for it.
pub fn read_file(path: &Path, bytes: &mut Vec<u8>) -> Result<()> {
    bytes.clear();
    let (file, expected) = open_regular(path, MapMode::Read)?;
    // One byte more shows that the file goes on.
    let room = usize::try_from(expected).unwrap_or(usize::MAX).saturating_add(1);
    room::reserve(bytes, room)?;
    let got = fill(&file, bytes, expected.saturating_add(1)).map_err(|source| {
        bytes.clear();
        Error::Io { path: path.to_owned(), source }
    })?;
    if got != expected {
        bytes.clear();
        return Err(Error::ChangedMeanwhile { path: path.to_owned(), got, expected });
    }
    Ok(())
}

/// Appends at most `most` bytes, for which `bytes` has room.
fn fill(file: &File, bytes: &mut Vec<u8>, most: u64) -> io::Result<u64> {
    file.take(most).read_to_end(bytes).map(|count| count as u64)
}

/// Asks the system to read a regular file that will be read soon. A file that cannot be opened is
/// left to its reader.
pub fn ask_for_file(path: &Path) {
    if let Ok((file, _)) = open_regular(path, MapMode::Read) {
        let _ = fadvise(&file, 0, None, Advice::WillNeed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_replaces_what_was_read_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut bytes = vec![7; 100];
        for contents in [b"some bytes".to_vec(), vec![], vec![1; 100_000]] {
            fs::write(&path, &contents).unwrap();
            ask_for_file(&path);
            read_file(&path, &mut bytes).unwrap();
            assert_eq!(bytes, contents);
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
