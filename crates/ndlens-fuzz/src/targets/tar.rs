//! Tar archives: names and places of members, grouped into samples, and the index beside them.

use std::fs::File;
use std::time::SystemTime;

use ndlens_store::{MapMode, Missing, Opened, Options, TarSamples};

use crate::files::{self, WALKED, names_its_file};
use crate::memory;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "tar",
    promise: "items are ranges of the archive, and those of its index are the same",
    run,
    max_len: 8192,
};

const BLOCK: usize = 512;

/// Bytes of memory for each byte of an archive: a member takes two blocks at least.
const EXPANDED: usize = 8;

fn run(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else { return };
    let mut data = data.to_vec();
    if kind % 2 == 1 {
        seal(&mut data);
    }
    let directory = files::directory();
    let path = files::file(&directory, "x.tar", &data);
    // Only an archive that was not modified just now gets an index.
    let archive = File::options().write(true).open(&path).expect("a file");
    archive.set_modified(SystemTime::UNIX_EPOCH).expect("a time of modification");
    let open = || Options { mode: MapMode::Read, ..Options::default() }.open(&path);
    let walked = match memory::within(data.len(), EXPANDED, open) {
        Ok(Opened::Samples(samples)) => samples,
        // What a file begins with decides before its name does.
        Ok(_) if !is_archive(&data) => return,
        Ok(other) => panic!("{other:?}"),
        Err(error) => return names_its_file(&error, &path, data.len()),
    };
    assert!(directory.path().join(".x.tar.ndlens-index").is_file());
    let Ok(Opened::Samples(indexed)) = memory::within(data.len(), EXPANDED, open) else {
        panic!("no samples by the index of an archive that has some");
    };
    assert_eq!(walked.fields().expect("names"), indexed.fields().expect("names"));
    check(&walked, &indexed, &data);
    let names = walked.fields().expect("names");
    if names.is_empty() {
        return;
    }
    match walked.select(&names, Missing::Skip) {
        Ok(kept) => {
            let field = kept.field(names[0]).expect("a field that all have");
            assert_eq!(field.len(), kept.len());
        }
        Err(error) => names_its_file(&error, &path, data.len()),
    }
}

/// Whether the file does not begin as one of another format.
fn is_archive(data: &[u8]) -> bool {
    !data.starts_with(b"PK") && !data.starts_with(b"\x93NUMPY") && data.get(8) != Some(&b'{')
}

/// Asserts that both have the same items, and that they are in the archive.
fn check(walked: &TarSamples, indexed: &TarSamples, data: &[u8]) {
    assert_eq!(walked.len(), indexed.len());
    for sample in 0..walked.len() {
        assert_eq!(walked.key(sample), indexed.key(sample));
    }
    for name in walked.fields().expect("names") {
        let (field, other) = match (walked.field(name), indexed.field(name)) {
            (Ok(field), Ok(other)) => (field, other),
            (Err(a), Err(b)) => {
                assert_eq!(a.to_string(), b.to_string());
                continue;
            }
            (a, b) => panic!("{a:?} and {b:?}"),
        };
        assert_eq!((field.len(), other.len()), (walked.len(), walked.len()));
        for index in 0..field.len() {
            let (a, b) = (field.item(index).expect("an item"), other.item(index).expect("one"));
            assert_eq!((a.shape(), a.layout().offset()), (b.shape(), b.layout().offset()));
            assert_eq!(a.layout().offset() % BLOCK * usize::from(a.nbytes() > 0), 0);
            let mut bytes = vec![0; a.nbytes()];
            assert!(bytes.len() < WALKED);
            a.read_into(&mut bytes).expect("bytes");
            let start = a.layout().offset();
            assert_eq!(bytes, data[start..start + bytes.len()]);
        }
    }
}

/// Gives each header its checksum, which a fuzzer would hardly find: as far as headers say where
/// the next one is.
fn seal(data: &mut [u8]) {
    let mut at = 0;
    while let Some(block) =
        data.get_mut(at..at + BLOCK).filter(|block| block.iter().any(|&b| b != 0))
    {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().copied().map(u32::from).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits = block[124..136].iter().skip_while(|&&byte| byte == b' ');
        let size = digits.take_while(|byte| (b'0'..=b'7').contains(byte));
        let size = size.fold(0usize, |size, &digit| (size << 3) + usize::from(digit - b'0'));
        at =
            (at + BLOCK).saturating_add(size).checked_next_multiple_of(BLOCK).unwrap_or(data.len());
    }
}
