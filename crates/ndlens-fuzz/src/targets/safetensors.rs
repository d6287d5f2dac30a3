//! `.safetensors` files, beside the crate that defines the format. The first byte says how the rest
//! becomes a file: as it is, or as a header behind a length that fits, with elements after it.

use ndlens_store::Arrays;
use safetensors::SafeTensors;

use crate::files::{self, MODES, names_its_file};
use crate::memory;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "safetensors",
    promise: "tensors are those that the safetensors crate reads, or the file is refused by name",
    run,
    max_len: 1024,
};

const PER_BYTE: usize = 256;

/// A file of a header, and as many bytes of elements.
pub(crate) fn framed(header: &[u8], elements: u8) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend(0..elements);
    bytes
}

fn run(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let bytes = if kind >= 128 { data.to_vec() } else { framed(data, kind) };
    let directory = files::directory();
    let path = files::file(&directory, "x.safetensors", &bytes);
    // Panics of the other crate are not ours.
    let theirs = SafeTensors::deserialize(&bytes).ok();
    for (mode, read) in MODES {
        let open = || if read { Arrays::load(&path, mode) } else { Arrays::open(&path, mode) };
        let arrays = match memory::within(bytes.len(), PER_BYTE, open) {
            Ok(arrays) => arrays,
            Err(error) => {
                names_its_file(&error, &path, bytes.len());
                continue;
            }
        };
        arrays.metadata().expect("metadata that was checked");
        for name in arrays.names().expect("names that fit memory") {
            let ragged = arrays.ragged(name).expect("parts that were found");
            assert_eq!(ragged.is_some(), arrays.get(name).is_err() && arrays.bytes(name).is_err());
            if ragged.is_some() {
                continue;
            }
            match arrays.get(name) {
                Ok(view) => {
                    let elements = files::walk(&view).expect("no more than the file has");
                    assert_eq!(
                        arrays.bytes(name).expect("bytes").packed_bytes().ok(),
                        Some(elements)
                    );
                }
                Err(error) => names_its_file(&error, &path, bytes.len()),
            }
            let Some(theirs) = &theirs else { continue };
            let tensor = theirs.tensor(name).expect("a tensor that the other crate has too");
            let (_, shape) = arrays.info(name).expect("a tensor that is there");
            assert_eq!(shape, tensor.shape());
            assert_eq!(
                arrays.bytes(name).expect("bytes").packed_bytes().as_deref(),
                Ok(tensor.data())
            );
        }
        // A dtype of a later version is an error of its tensor alone.
        let names = arrays.names().expect("names that fit memory");
        let later = names.iter().any(|name| arrays.get(name).is_err());
        // Files are opened by what they hold: this one is an archive of arrays.
        let is_archive = bytes.starts_with(b"PK");
        assert!(theirs.is_some() || later || is_archive, "opened, but the other crate refuses it");
    }
}
