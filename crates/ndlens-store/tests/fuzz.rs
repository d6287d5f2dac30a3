//! No bytes make a panic: whatever a file holds, it opens or says why not.

use std::fs;

use ndlens_core::{Order, View};
use ndlens_store::{Error, MapMode, open};
use proptest::prelude::*;

fn open_bytes(bytes: &[u8]) -> Result<View, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let opened = open(file.path(), MapMode::Read);
    match &opened {
        // What opens can be read to its last element.
        Ok(view) => drop(view.copy(Order::C).unwrap()),
        Err(error) => {
            let path = file.path().to_str().unwrap();
            assert!(error.to_string().starts_with(&format!("{path}: ")), "{error}");
            assert_eq!(error.path(), Some(file.path()));
        }
    }
    opened
}

/// A valid file with a record in it, which reaches most of the parser.
fn valid() -> Vec<u8> {
    let header = "{'descr': [('a', '|u1'), ('', '|V7'), (('t', 'b'), [('c', '>f8', (2, 1))])], \
                  'fortran_order': True, 'shape': (3, 2)}\n";
    let mut bytes = b"\x93NUMPY\x03\x00".to_vec();
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.resize(bytes.len() + 6 * 24, 1);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_after_the_magic_never_panic(
        version in 0u8..5,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = open_bytes(&[b"\x93NUMPY", &[version, 0][..], &bytes].concat());
    }

    #[test]
    fn random_words_of_the_grammar_never_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "{", "}", "[", "]", "(", ")", ",", ":", "'descr'", "'shape'", "'fortran_order'", "True", "False", "1",
                "-1", "99999999999", "'<f4'", "'|V4'", "'|O'", "''", "'a'", "'\\x41'", " ", "\\",
            ]),
            0..40,
        ),
    ) {
        let header = words.concat();
        let len = (header.len() as u16).to_le_bytes();
        let _ = open_bytes(&[b"\x93NUMPY\x01\x00", &len[..], header.as_bytes(), &[0; 64]].concat());
    }

    #[test]
    fn random_mutations_of_a_valid_file_never_panic(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
    ) {
        let mut bytes = valid();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = open_bytes(&bytes);
    }
}

#[test]
fn the_file_the_mutations_start_from_is_valid() {
    let view = open_bytes(&valid()).unwrap();
    assert_eq!(view.dtype().to_string(), "T{<B:a:7xT{(2,1)>d:c:}:b:}");
}
