//! No bytes cause a panic: any file opens or gives an error.

use std::fs;
use std::io::Write;

use ndlens_core::{DType, Order, View};
use ndlens_store::{Arrays, Error, MapMode, Opened, Options, Raw, open, save_safetensors};
use proptest::prelude::*;

fn open_bytes(bytes: &[u8]) -> Result<View, Error> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let opened = open(file.path(), MapMode::Read);
    match &opened {
        // An array that opens can be read to its last element.
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

/// Opens a file of several arrays and reads all that can be read, mapped and loaded.
fn open_arrays(suffix: &str, bytes: &[u8]) {
    let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let path = file.path().to_str().unwrap();
    let check = |error: Error| assert!(error.to_string().starts_with(path), "{error}");
    for arrays in
        [Arrays::open(file.path(), MapMode::Read), Arrays::load(file.path(), MapMode::Read)]
    {
        match arrays {
            Ok(arrays) => {
                for name in arrays.names().unwrap() {
                    match arrays.get(name) {
                        Ok(view) => drop(view.copy(Order::C).unwrap()),
                        // That there is no memory is not the file's.
                        Err(Error::Core(ndlens_core::Error::OutOfMemory { .. })) => {}
                        Err(error) => check(error),
                    }
                }
            }
            Err(error) => check(error),
        }
    }
}

fn valid_tensors() -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let arrays = [("a", View::from_vec(vec![1.0f32; 6])), ("b", View::from_vec(vec![1u8; 5]))];
    save_safetensors(file.path(), &arrays.map(|(name, view)| (name.to_owned(), view))).unwrap();
    fs::read(file.path()).unwrap()
}

/// One member stored and one compressed, as `numpy.savez` and `numpy.savez_compressed` write them.
fn valid_archive() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut archive = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, method) in
        [("a.npy", rawzip::CompressionMethod::STORE), ("b.npy", rawzip::CompressionMethod::DEFLATE)]
    {
        let (mut entry, config) =
            archive.new_file(name).compression_method(method).start().unwrap();
        let descriptor = if method == rawzip::CompressionMethod::STORE {
            let mut writer = config.wrap(&mut entry);
            writer.write_all(&valid()).unwrap();
            writer.finish().unwrap().1
        } else {
            let mut writer = config.wrap(flate2::write::DeflateEncoder::new(
                &mut entry,
                flate2::Compression::default(),
            ));
            writer.write_all(&valid()).unwrap();
            let (encoder, descriptor) = writer.finish().unwrap();
            encoder.finish().unwrap();
            descriptor
        };
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    bytes
}

/// Bytes changed here and there, and cut off.
fn mutations()
-> impl Strategy<Value = (Vec<(prop::sample::Index, u8)>, Option<prop::sample::Index>)> {
    (
        proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        proptest::option::weighted(0.2, any::<prop::sample::Index>()),
    )
}

fn mutated(
    mut bytes: Vec<u8>,
    (changes, cut): (Vec<(prop::sample::Index, u8)>, Option<prop::sample::Index>),
) -> Vec<u8> {
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        bytes[at] = byte;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()));
    }
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
                "{", "}", "[", "]", "(", ")", ",", ":", "'descr'", "'shape'", "'fortran_order'",
                "True", "False", "1",
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
    fn random_mutations_of_valid_files_never_panic(mutations in mutations()) {
        let _ = open_bytes(&mutated(valid(), mutations.clone()));
        open_arrays(".safetensors", &mutated(valid_tensors(), mutations.clone()));
        open_arrays(".npz", &mutated(valid_archive(), mutations));
    }

    #[test]
    fn random_words_of_a_header_of_tensors_never_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"a\"", "\"dtype\"", "\"shape\"",
                "\"data_offsets\"", "\"F32\"", "\"F4\"",
                "\"__metadata__\"", "0", "1", "-1", "8", "18446744073709551615",
                "\"a\":{\"dtype\":\"U8\",\"shape\":[",
                "],\"data_offsets\":[0,8]}", "null",
            ]),
            0..30,
        ),
    ) {
        let header = words.concat();
        let len = (header.len() as u64).to_le_bytes();
        open_arrays(".safetensors", &[&len[..], header.as_bytes(), &[0; 8]].concat());
    }

    #[test]
    fn random_bytes_after_the_magics_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        open_arrays(".npz", &[b"PK\x03\x04", &bytes[..]].concat());
        open_arrays(".npz", &[b"PK\x05\x06", &bytes[..]].concat());
        open_arrays(".safetensors", &bytes);
    }

    #[test]
    fn raw_bytes_described_at_random_never_panic(
        shape in proptest::collection::vec(prop_oneof![-3isize..9, any::<isize>()], 0..5),
        strides in proptest::option::of(
            proptest::collection::vec(prop_oneof![-9isize..9, any::<isize>()], 0..5)
        ),
        offset in prop_oneof![0usize..120, any::<usize>()],
    ) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), [7; 100]).unwrap();
        let raw = Some(Raw { shape, dtype: DType::U16, offset, strides });
        for mode in [MapMode::Read, MapMode::ReadWrite] {
            match (Options { mode, raw: raw.clone(), ..Options::default() }).open(file.path()) {
                Ok(Opened::Array(view)) if view.nbytes() < 1 << 20 => {
                    drop(view.copy(Order::C).unwrap());
                }
                Ok(_) => {}
                Err(error) => assert_eq!(error.path(), Some(file.path())),
            }
        }
    }
}

#[test]
fn the_files_the_mutations_start_from_are_valid() {
    let view = open_bytes(&valid()).unwrap();
    assert_eq!(view.dtype().to_string(), "T{<B:a:7xT{(2,1)>d:c:}:b:}");
    for (suffix, bytes) in [(".safetensors", valid_tensors()), (".npz", valid_archive())] {
        let file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
        fs::write(file.path(), bytes).unwrap();
        let arrays = Arrays::load(file.path(), MapMode::Read).unwrap();
        assert_eq!(arrays.names().unwrap().len(), 2);
        assert!(arrays.names().unwrap().iter().all(|name| arrays.get(name).is_ok()));
    }
}
