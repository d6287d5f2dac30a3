//! The index of a checkpoint: JSON beside the `.safetensors` files that it names.

use ndlens_store::Opened;

use crate::files::{self, MODES, names_its_file};
use crate::memory;
use crate::target::FuzzTarget;
use crate::targets::safetensors::framed;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "checkpoint",
    promise: "an index gives the tensors that it names and its files have, and leads nowhere else",
    run,
    max_len: 512,
};

/// Files that an index may name, with the tensors `a` and `b`, and `c`.
const FIRST: &[u8] = br#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
    "b":{"dtype":"I16","shape":[1],"data_offsets":[2,4]}}"#;
const SECOND: &[u8] = br#"{"c":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}"#;

fn run(data: &[u8]) {
    let directory = files::directory();
    files::file(&directory, "1.safetensors", &framed(FIRST, 4));
    files::file(&directory, "2.safetensors", &framed(SECOND, 1));
    let path = files::file(&directory, "model.safetensors.index.json", data);
    for mode in MODES {
        match memory::within(data.len(), 256, || files::open(&path, mode)) {
            Ok(Opened::Arrays(arrays)) => {
                for name in arrays.names().expect("names that fit memory") {
                    assert!(["a", "b", "c"].contains(&name));
                    files::walk(&arrays.get(name).expect("a tensor of the files"));
                }
            }
            Ok(Opened::Array(_) | Opened::Shards(_) | Opened::Samples(_)) => {}
            // An error of a file that is named is of that file, in this directory.
            Err(error) if error.path().is_some_and(|own| own != path) => {
                names_its_file(&error, directory.path(), data.len());
            }
            Err(error) => names_its_file(&error, &path, data.len()),
        }
    }
}
