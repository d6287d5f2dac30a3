//! What the three modes promise about writes, about files that shrink, and about lifetimes.

#![expect(unsafe_code, reason = "writes through the pointers a consumer such as torch would get")]

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use ndlens_core::{Order, View};
use ndlens_store::{MapMode, MappedFile, open};
use tempfile::TempDir;

const MODES: [MapMode; 3] = [MapMode::Read, MapMode::CopyOnWrite, MapMode::ReadWrite];

/// A file of the bytes 0, 1, 2, .. with the given shape.
fn ramp(shape: &str, len: usize) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ramp.npy");
    fs::write(
        &path,
        npy(&format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}"), len),
    )
    .unwrap();
    (directory, path)
}

/// A version 1 file, padded as NumPy pads.
fn npy(header: &str, len: usize) -> Vec<u8> {
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((padded as u16 + 1).to_le_bytes());
    bytes.extend(format!("{header:padded$}\n").bytes());
    bytes.extend((0..len).map(|i| i as u8));
    bytes
}

fn shrink(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
}

fn first(view: &View) -> u8 {
    view.to_vec::<u8>().unwrap()[0]
}

#[test]
fn a_write_through_the_pointer_reaches_the_file_in_r_plus_alone() {
    for mode in MODES {
        let (_directory, path) = ramp("(2, 3)", 6);
        let before = fs::read(&path).unwrap();
        let (view, other) = (open(&path, mode).unwrap(), open(&path, mode).unwrap());
        // SAFETY: the first element's byte, mapped with write permission in every mode; also where
        // the view is read-only, which is what is promised to a consumer that does not look.
        unsafe { view.as_ptr().write(99) };
        assert_eq!(first(&view), 99);
        let shared = mode == MapMode::ReadWrite;
        assert_eq!(first(&other), if shared { 99 } else { 0 });
        drop((view, other));
        assert_eq!(fs::read(&path).unwrap() != before, shared, "{mode}");
    }
}

#[test]
fn only_mode_r_is_read_only() {
    let (_directory, path) = ramp("(2, 3)", 6);
    assert_eq!(MODES.map(|mode| open(&path, mode).unwrap().is_read_only()), [true, false, false]);
}

#[test]
fn a_view_knows_its_file_and_mode() {
    let (_directory, path) = ramp("(2, 3)", 6);
    for mode in MODES {
        let view = open(&path, mode).unwrap();
        let owner = view.buffer().owner::<MappedFile>().unwrap();
        assert_eq!((owner.path(), owner.mode(), owner.len()), (path.as_path(), mode, 128 + 6));
    }
}

#[test]
fn bytes_after_the_data_are_not_mapped() {
    let (_directory, path) = ramp("(2, 3)", 600);
    let view = open(&path, MapMode::Read).unwrap();
    assert_eq!(view.buffer().len(), 128 + 6);
    shrink(&path, 128 + 6);
    view.buffer().verify().unwrap();
}

#[test]
fn a_file_that_shrinks_is_reported_before_it_is_read() {
    for mode in MODES {
        let (_directory, path) = ramp("(100, 100)", 10_000);
        let view = open(&path, mode).unwrap();
        view.buffer().verify().unwrap();
        shrink(&path, 4096);
        let expected = format!(
            "{}: file has 4096 bytes, expected at least 10128: it was truncated while mapped",
            path.display()
        );
        assert_eq!(view.buffer().verify().unwrap_err().to_string(), expected);
        assert_eq!(view.copy(Order::C).unwrap_err().to_string(), expected);
        assert_eq!(view.to_vec::<u8>().unwrap_err().to_string(), expected);
        assert_eq!(view.read_into(&mut [0; 10_000]).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_removed_file_stays_readable_until_the_last_view_is_gone() {
    let (directory, path) = ramp("(300,)", 300);
    let view = open(&path, MapMode::CopyOnWrite).unwrap();
    drop(directory);
    assert!(!path.exists());
    assert_eq!(view.to_vec::<u8>().unwrap()[299], 43);
}

#[test]
fn data_at_an_odd_place_is_an_unaligned_view() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let header = "{'descr': '<i4', 'fortran_order': False, 'shape': (2,)}";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend([-7i32, 8].map(i32::to_le_bytes).concat());
    fs::write(file.path(), bytes).unwrap();
    let view = open(file.path(), MapMode::Read).unwrap();
    assert_eq!(view.as_ptr() as usize % 4, 1);
    assert_eq!(view.to_vec::<i32>().unwrap(), [-7, 8]);
}

#[test]
fn files_of_python_2_and_links_to_files_open() {
    let (directory, path) = ramp("(2L, 3L)", 6);
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(open(&link, MapMode::default()).unwrap().shape(), [2, 3]);
}

#[test]
fn an_array_larger_than_memory_opens_at_once() {
    /// Half of the smallest address space of a process, which has 39 bits on some aarch64.
    const LEN: usize = 1 << 38;
    let (_directory, path) = ramp("(274877906944,)", 0);
    // A sparse file: private and writable, it needs no swap set aside.
    OpenOptions::new().write(true).open(&path).unwrap().set_len(128 + LEN as u64).unwrap();
    let view = open(&path, MapMode::CopyOnWrite).unwrap();
    assert_eq!(view.nbytes(), LEN);
    // SAFETY: the last element's byte.
    assert_eq!(unsafe { view.as_ptr().add(LEN - 1).read() }, 0);
}
