//! `.npz` archives, whose members are `.npy` files, stored or compressed.

use ndlens_store::Arrays;

use crate::files::{self, MODES, names_its_file};
use crate::memory;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "npz",
    promise: "an archive's members open as their headers describe, mapped and read alike",
    run,
    max_len: 4096,
};

/// Bytes of memory for each byte of an archive: deflate makes at most 1032 of one.
const EXPANDED: usize = 3 * 1032;

fn run(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let name = if kind % 2 == 0 { "x.npz" } else { "x.zip" };
    let directory = files::directory();
    let path = files::file(&directory, name, data);
    for (mode, read) in MODES {
        let open = || if read { Arrays::load(&path, mode) } else { Arrays::open(&path, mode) };
        let arrays = match memory::within(data.len(), 64, open) {
            Ok(arrays) => arrays,
            Err(error) => {
                names_its_file(&error, &path, data.len());
                continue;
            }
        };
        let names = arrays.names().expect("names that fit memory");
        assert_eq!(names.len(), arrays.len());
        for name in names {
            assert!(arrays.contains(name));
            match memory::within(data.len(), EXPANDED, || arrays.get(name)) {
                Ok(view) => {
                    files::walk(&view);
                    let (dtype, shape) = arrays.info(name).expect("a header that was read");
                    assert_eq!((dtype, &shape[..]), (view.dtype().to_string(), view.shape()));
                }
                Err(error) => names_its_file(&error, &path, data.len()),
            }
            match arrays.bytes(name) {
                Ok(bytes) => assert_eq!((bytes.ndim(), bytes.itemsize()), (1, 1)),
                Err(error) => names_its_file(&error, &path, data.len()),
            }
        }
    }
}
