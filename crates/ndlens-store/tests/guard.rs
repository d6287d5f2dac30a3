//! Files that become shorter while they are read.

#![cfg(all(target_os = "linux", not(ndlens_portable)))]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use ndlens_core::View;
use ndlens_store::{MAPS_MAX, MapMode, MappedFile, READINGS_MAX, Reading, open};

const MODES: [MapMode; 3] = [MapMode::Read, MapMode::CopyOnWrite, MapMode::ReadWrite];

/// Written by tests that use up what all of them share.
static SHARED: RwLock<()> = RwLock::new(());

/// A file of ones, and its directory.
fn ones(len: usize) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ones.npy");
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({len},), }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(118u16.to_le_bytes());
    bytes.extend(format!("{header:<117}\n").bytes());
    bytes.resize(128 + len, 1);
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

fn resize(path: &Path, len: u64) {
    File::options().write(true).open(path).unwrap().set_len(len).unwrap();
}

/// The bytes, without a look at the file's size before or at the mark after.
fn raw(view: &View) -> Vec<u8> {
    let mut bytes = vec![7; view.nbytes()];
    view.as_ref().read_into(&mut bytes).unwrap();
    bytes
}

#[test]
fn lost_pages_read_as_zeros_and_mark_their_map_for_good() {
    let _shared = SHARED.read().unwrap_or_else(PoisonError::into_inner);
    for mode in MODES {
        let (_directory, path) = ones(100_000);
        let (view, other) = (open(&path, mode).unwrap(), open(&path, mode).unwrap());
        resize(&path, 8192);
        let _reading = Reading::begin();
        assert!(!view.buffer().is_damaged());
        let bytes = raw(&view);
        assert_eq!(bytes.iter().position(|&byte| byte == 0), Some(8192 - 128));
        assert!(bytes[8192 - 128..].iter().all(|&byte| byte == 0));
        assert!(view.buffer().is_damaged() && !other.buffer().is_damaged());
        let expected =
            "file has 8192 bytes, expected at least 100128: it was truncated while mapped";
        assert_eq!(
            view.verify().unwrap_err().to_string(),
            format!("{}: {expected}", path.display())
        );

        resize(&path, 100_128);
        other.verify().unwrap();
        let expected = format!(
            "{}: pages were lost while mapped and read as zeros: the file was truncated, or the \
             disk is full or failing; open it again",
            path.display()
        );
        assert_eq!(view.verify().unwrap_err().to_string(), expected);
        assert_eq!(view.to_vec::<u8>().unwrap_err().to_string(), expected);
        assert_eq!(
            view.fill(&[3]).unwrap_err().to_string().contains("open it again"),
            mode != MapMode::Read
        );
        open(&path, mode).unwrap().verify().unwrap();
    }
}

#[test]
fn many_threads_may_meet_the_same_loss() {
    let _shared = SHARED.read().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..20 {
        let (_directory, path) = ones(1 << 20);
        let view = open(&path, MapMode::Read).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let _reading = Reading::begin();
                        let bytes = raw(&view);
                        // Zeros are reported, whichever thread read them first, except for those in
                        // the last page of a file.
                        let told = view.buffer().is_damaged() || view.verify().is_err();
                        assert!(told || bytes.iter().all(|&byte| byte == 1));
                    }
                });
            }
            scope.spawn(|| resize(&path, 5000));
        });
        assert!(view.verify().is_err());
    }
}

#[test]
fn maps_that_come_and_go_while_others_are_lost_are_not_taken_for_them() {
    let _shared = SHARED.read().unwrap_or_else(PoisonError::into_inner);
    let (_directory, whole) = ones(50_000);
    std::thread::scope(|scope| {
        let churn = scope.spawn(|| {
            for _ in 0..3000 {
                let view = open(&whole, MapMode::Read).unwrap();
                assert!(raw(&view).iter().all(|&byte| byte == 1));
                assert!(!view.buffer().is_damaged());
            }
        });
        while !churn.is_finished() {
            let (_directory, path) = ones(50_000);
            let view = open(&path, MapMode::CopyOnWrite).unwrap();
            resize(&path, 0);
            let _reading = Reading::begin();
            assert!(raw(&view).iter().all(|&byte| byte == 0));
            assert!(view.buffer().is_damaged());
        }
    });
}

#[test]
fn files_beyond_the_maps_that_a_process_may_have_are_read_and_cannot_be_lost() {
    let _alone = SHARED.write().unwrap_or_else(PoisonError::into_inner);
    let (_directory, path) = ones(200);
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let views: Vec<_> = (0..MAPS_MAX + 10).map(|_| open(&path, MapMode::Read).unwrap()).collect();
    assert_eq!(descriptors(), before);
    let is_read = |view: &View| view.buffer().owner::<MappedFile>().unwrap().is_read();
    let (read, mapped): (Vec<&View>, Vec<&View>) = views.iter().partition(|view| is_read(view));
    assert!(read.len() >= 10 && !mapped.is_empty());
    let refused = open(&path, MapMode::ReadWrite).unwrap_err().to_string();
    assert!(
        refused.contains(" files are mapped already, as many as ndlens maps in a process; "),
        "{refused}"
    );
    resize(&path, 0);
    let message = "file has 0 bytes, expected at least 328: it was truncated while mapped";
    assert!(
        mapped.iter().all(|view| view.to_vec::<u8>().unwrap_err().to_string().ends_with(message))
    );
    assert!(read.iter().all(|view| view.to_vec::<u8>().unwrap() == [1; 200]));
    // Each map is guarded, the last as the first.
    let _reading = Reading::begin();
    assert!(
        mapped
            .iter()
            .rev()
            .take(100)
            .all(|view| raw(view) == [0; 200] && view.buffer().is_damaged())
    );
}

#[test]
fn readings_may_be_many_and_nested() {
    let _alone = SHARED.write().unwrap_or_else(PoisonError::into_inner);
    let (_directory, path) = ones(10_000);
    let view = open(&path, MapMode::Read).unwrap();
    let readings: Vec<_> = (0..READINGS_MAX + 10).map(|_| Reading::begin()).collect();
    resize(&path, 0);
    assert!(raw(&view).iter().all(|&byte| byte == 0));
    drop(readings);
    assert!(view.buffer().is_damaged());
}
