//! Functions that the tests of malformed files share.

#![allow(dead_code, reason = "each test uses what it needs")]

use std::fs;
use std::path::{Path, PathBuf};

use ndlens_store::{Arrays, Error, MapMode};

/// A file of these bytes, and the directory that it is gone with.
pub(crate) fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

#[track_caller]
pub(crate) fn assert_says(error: &Error, path: &Path, expected: &str) {
    assert!(error.path().unwrap().display().to_string().starts_with(path.to_str().unwrap()));
    let text = error.to_string();
    let rest = text.strip_prefix(path.to_str().unwrap());
    assert_eq!(rest.unwrap_or_else(|| panic!("no path in {text}")), expected);
}

/// The error of opening, without the path.
#[track_caller]
pub(crate) fn refused(name: &str, bytes: &[u8], expected: &str) {
    let (_directory, path) = file(name, bytes);
    for mode in [MapMode::Read, MapMode::CopyOnWrite] {
        assert_says(&Arrays::open(&path, mode).unwrap_err(), &path, expected);
        assert_says(&Arrays::load(&path, mode).unwrap_err(), &path, expected);
    }
}
