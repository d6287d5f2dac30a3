//! `.npy` files. The first byte says how the rest becomes a file: as it is, or as a header and
//! elements behind a magic, a version and a length that fit, so that a changed header is parsed.

use std::path::Path;

use ndlens_core::{Order, View};
use ndlens_store::{Error, Opened, save_npy};

use crate::files::{self, MODES, names_its_file};
use crate::memory;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "npy",
    promise: "a .npy file opens as the array its header describes, or is refused by name",
    run,
    max_len: 1024,
};

/// Bytes of memory that an opened file may claim for each byte of its own: tokens of its header,
/// and the copies of elements that are compared.
const PER_BYTE: usize = 256;

/// A file of a header, and 64 bytes of elements after it.
pub(crate) fn framed(version: u8, header: &[u8]) -> Vec<u8> {
    let mut bytes = [b"\x93NUMPY", &[version, 0][..]].concat();
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header);
    bytes.extend(0..64);
    bytes
}

fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let bytes = match kind {
        version @ 1..=3 => framed(*version, data),
        _ => data.to_vec(),
    };
    check(&bytes);
}

fn check(bytes: &[u8]) {
    let directory = files::directory();
    let path = files::file(&directory, "x.npy", bytes);
    let mut first: Option<Vec<u8>> = None;
    for mode in MODES {
        match memory::within(bytes.len(), PER_BYTE, || files::open(&path, mode)) {
            Ok(Opened::Array(view)) => {
                let elements = is_in_the_file(&view, bytes, mode.1);
                assert_eq!(view.is_read_only(), mode.0 == ndlens_store::MapMode::Read);
                assert_eq!(first.get_or_insert_with(|| elements.clone()), &elements);
                comes_back(&view, &directory.path().join("again.npy"));
            }
            Ok(Opened::Arrays(_) | Opened::Shards(_) | Opened::Samples(_)) => {}
            Err(error) => {
                assert!(first.is_none(), "mapped, but not read: {error}");
                names_its_file(&error, &path, bytes.len());
            }
        }
    }
}

/// Asserts that the elements are the last bytes of the header's place, and gives them.
fn is_in_the_file(view: &View, bytes: &[u8], read: bool) -> Vec<u8> {
    let elements = files::walk(view).expect("no more elements than the file has bytes");
    let order = view.packed_order();
    assert!(view.is_contiguous(order));
    let stored = match order {
        Order::C => elements.clone(),
        Order::F => {
            let axes: Vec<isize> = (0..view.ndim() as isize).rev().collect();
            view.permute(&axes).and_then(|turned| turned.packed_bytes()).expect("readable")
        }
    };
    if !read && !elements.is_empty() {
        let offset = view.layout().offset();
        assert_eq!(bytes[offset..offset + stored.len()], stored);
    }
    elements
}

/// Asserts that a saved view is read as it was.
pub(crate) fn comes_back(view: &View, path: &Path) {
    match save_npy(path, std::slice::from_ref(view)) {
        Ok(()) => {
            let again = ndlens_store::open(path, ndlens_store::MapMode::Read).expect("our file");
            assert_eq!((again.dtype(), again.shape()), (view.dtype(), view.shape()));
            assert_eq!(again.packed_bytes(), view.packed_bytes());
        }
        Err(Error::Unsavable { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}
