//! Bytes as a file, and what holds for whatever is opened.

use std::fs;
use std::path::{Path, PathBuf};

use ndlens_core::{Order, View};
use ndlens_store::{Error, MapMode, Opened, Options};
use tempfile::TempDir;

/// The modes in which every file is opened: mapped, mapped and written, and read.
pub(crate) const MODES: [(MapMode, bool); 3] =
    [(MapMode::Read, false), (MapMode::CopyOnWrite, false), (MapMode::Read, true)];

/// Elements of views that are walked, in bytes.
pub(crate) const WALKED: usize = 1 << 22;

/// A directory, in memory where the system has one there.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let home = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("ndlens-fuzz-").tempdir_in(home).expect("a directory")
}

/// A file of these bytes, in the directory.
pub(crate) fn file(directory: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, bytes).expect("a file");
    path
}

/// Opens a path in each of the modes.
pub(crate) fn open(path: &Path, mode: (MapMode, bool)) -> Result<Opened, Error> {
    Options { mode: mode.0, copy: mode.1, ..Options::default() }.open(path)
}

/// Asserts that the error is about this path, or a member of it, in one line of a readable length.
pub(crate) fn names_its_file(error: &Error, path: &Path, input_len: usize) {
    // That there is no memory is not the file's.
    if matches!(error, Error::Core(ndlens_core::Error::OutOfMemory { .. })) {
        return;
    }
    let text = error.to_string();
    let path = path.to_str().expect("a path of ours");
    assert!(text.starts_with(path), "no path in {text:?}");
    assert!(error.path().is_some_and(|own| own.to_string_lossy().starts_with(path)), "{error:?}");
    assert!(text.len() <= 4096 + 16 * input_len, "an error of {} bytes", text.len());
    let _ = error.kind();
}

/// Asserts that no element is outside the view's memory, and gives the elements' bytes in C order
/// if they are not too many.
pub(crate) fn walk(view: &View) -> Option<Vec<u8>> {
    let (layout, itemsize) = (view.layout(), view.itemsize());
    layout.check(itemsize, view.buffer().len()).expect("elements inside the buffer");
    if view.nbytes() > WALKED {
        return None;
    }
    let bytes = view.packed_bytes().expect("elements that can be read");
    assert_eq!(bytes.len(), view.nbytes());
    let copy = view.copy(Order::F).expect("a copy");
    assert_eq!(copy.packed_bytes().expect("elements of a copy"), bytes);
    Some(bytes)
}
