//! Malformed `.npz` archives: the error is typed, has exactly this text, and comes at once.
//!
//! `cargo test -p ndlens-store --test malformed_npz`

mod harness;

use std::fs;
use std::io::Write;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use ndlens_store::{Arrays, Error, MapMode, open};

use crate::harness::{assert_says, file, refused};

#[derive(Clone)]
struct Member {
    name: Vec<u8>,
    local_name: Vec<u8>,
    data: Vec<u8>,
    method: u16,
    flags: u16,
    size: u32,
    checksum: u32,
    compressed: u32,
    /// The place of its header in the directory, if that is wrong.
    offset: Option<u32>,
}

fn npy(shape: &str, data: usize) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn stored(name: &str, data: Vec<u8>) -> Member {
    let mut checksum = Crc::new();
    checksum.update(&data);
    Member {
        name: name.into(),
        local_name: name.into(),
        method: 0,
        flags: 0,
        size: data.len() as u32,
        checksum: checksum.sum(),
        compressed: data.len() as u32,
        offset: None,
        data,
    }
}

fn deflated(name: &str, data: &[u8]) -> Member {
    let plain = stored(name, data.to_vec());
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    let data = encoder.finish().unwrap();
    Member { method: 8, compressed: data.len() as u32, data, ..plain }
}

fn zip(members: &[Member]) -> Vec<u8> {
    let (mut bytes, mut directory) = (vec![], vec![]);
    let numbers = |bytes: &mut Vec<u8>, member: &Member, name: &[u8]| {
        for number in [member.flags, member.method, 0, 0] {
            bytes.extend(number.to_le_bytes());
        }
        for number in [member.checksum, member.compressed, member.size] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend(0u16.to_le_bytes());
    };
    for member in members {
        let start = bytes.len() as u32;
        bytes.extend(b"PK\x03\x04\x14\x00");
        numbers(&mut bytes, member, &member.local_name);
        bytes.extend(&member.local_name);
        bytes.extend(&member.data);
        directory.extend(b"PK\x01\x02\x14\x00\x14\x00");
        numbers(&mut directory, member, &member.name);
        directory.extend([0; 10]);
        directory.extend(member.offset.unwrap_or(start).to_le_bytes());
        directory.extend(&member.name);
    }
    end(bytes, &directory, members.len() as u16)
}

fn end(mut bytes: Vec<u8>, directory: &[u8], count: u16) -> Vec<u8> {
    let start = bytes.len() as u32;
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\x00\x00\x00\x00");
    bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn honest() -> Member {
    stored("w.npy", npy("(2, 3)", 24))
}

/// The error of one member, mapped and loaded; None if it can be read.
#[track_caller]
fn asked(member: &Member, mapped: Option<&str>, loaded: Option<&str>) {
    let (_directory, path) = file("lie.npz", &zip(std::slice::from_ref(member)));
    for (arrays, expected) in
        [(Arrays::open(&path, MapMode::Read), mapped), (Arrays::load(&path, MapMode::Read), loaded)]
    {
        match (arrays.unwrap().get("w"), expected) {
            (Ok(view), None) => assert_eq!(view.shape(), [2, 3]),
            (Err(error), Some(expected)) => {
                assert_says(&error, &path, &format!("/w.npy: {expected}"));
            }
            (got, expected) => panic!("{got:?}, {expected:?}"),
        }
    }
}

#[test]
fn what_a_member_is_takes_its_header_alone() {
    // Elements that cannot be had, compressed or not.
    let wrong = |member: Member| Member { checksum: member.checksum ^ 1, ..member };
    for member in [wrong(honest()), wrong(deflated("w.npy", &npy("(2, 3)", 24)))] {
        let (_directory, path) = file("wrong.npz", &zip(&[member]));
        let arrays = Arrays::load(&path, MapMode::Read).unwrap();
        assert!(arrays.get("w").unwrap_err().to_string().contains("has the checksum"));
        assert_eq!(arrays.info("w").unwrap(), ("float32".to_owned(), vec![2, 3]));
    }
}

#[test]
fn the_archive_that_the_others_differ_from_opens() {
    asked(&honest(), None, None);
    let compressed =
        "is compressed, so it cannot be mapped; decompress it into memory with copy=True";
    asked(&deflated("w.npy", &npy("(2, 3)", 24)), Some(compressed), None);
    let (_directory, path) = file("empty.npz", &zip(&[]));
    assert!(Arrays::open(&path, MapMode::Read).unwrap().names().unwrap().is_empty());
}

#[test]
fn wrong_directories_are_refused() {
    let bad = |member: Member, expected: &str| refused("lie.npz", &zip(&[member]), expected);
    bad(Member { flags: 1, ..honest() }, "/w.npy: is encrypted");
    bad(
        Member { name: b"\xff".to_vec(), local_name: b"\xff".to_vec(), ..honest() },
        "/\u{fffd}: its name is not UTF-8",
    );
    bad(
        Member { local_name: b"x\n.npy".to_vec(), ..honest() },
        "/w.npy: before its data its name is \"x\\n.npy\", expected that of the directory",
    );
    bad(
        Member { name: b"/etc/passwd".to_vec(), ..honest() },
        "//etc/passwd: before its data its name is \"w.npy\", expected that of the directory",
    );
    let len = honest().data.len();
    bad(Member { size: 7, ..honest() }, &format!("/w.npy: has {len} bytes, expected 7"));
    bad(
        Member { compressed: 10_000, size: 10_000, ..honest() },
        &format!(
            "/w.npy: is at bytes 35..10035, but the archive's directory starts at byte {}",
            35 + len
        ),
    );
    bad(
        Member { compressed: 0xffff_fff0, size: 0xffff_fff0, ..honest() },
        &format!(
            "/w.npy: is at bytes 35..4294967315, but the archive's directory starts at byte {}",
            35 + len
        ),
    );
    bad(
        Member { offset: Some(1), ..honest() },
        ": damaged archive: invalid signature: expected 0x04034b50, got 0x1404034b",
    );
    // In the field for values that do not fit in an archive beyond 4 GB: the place of the member.
    let mut far = zip(&[Member { offset: Some(u32::MAX), ..honest() }]);
    let directory = far.len() - 22 - 46 - honest().name.len();
    far[directory + 30] = 12;
    let at = directory + 46 + honest().name.len();
    far.splice(at..at, [&[1, 0, 8, 0][..], &(u64::MAX - 7).to_le_bytes()].concat());
    let size = far.len() - 10;
    far[size] += 12;
    refused("far.npz", &far, ": damaged archive: failed to fill whole buffer");
    bad(
        Member { offset: Some(0x7fff_ffff), ..honest() },
        ": damaged archive: failed to fill whole buffer",
    );
}

#[test]
fn members_share_no_bytes() {
    let other = stored("x.npy", npy("(2,)", 8));
    let long =
        Member { compressed: honest().compressed + 60, size: honest().size + 60, ..honest() };
    let (start, next) = (35, 35 + honest().data.len() + 35);
    let (_directory, path) = file("overlap.npz", &zip(&[long, other.clone()]));
    let error = Arrays::open(&path, MapMode::Read).unwrap_err();
    let expected = format!(
        "/x.npy: is at bytes {next}..{}, which {}/w.npy has too",
        next + other.data.len(),
        path.display()
    );
    assert_says(&error, &path, &expected);
    assert!(next > start);
}

#[test]
fn an_archive_cut_anywhere_or_with_another_count_is_refused() {
    let whole = zip(&[honest(), deflated("x.npy", &npy("(2,)", 8))]);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.npz");
    for len in 0..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let error = Arrays::open(&path, MapMode::CopyOnWrite).unwrap_err();
        assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
    }
    let mut more = whole.clone();
    let count = whole.len() - 12;
    more[count] = 3;
    refused("count.npz", &more, ": damaged archive: its directory has 2 entries, expected 3");
    refused(
        "no_end.npz",
        b"PK\x03\x04 and so on",
        ": damaged archive: missing end of central directory",
    );
}

#[test]
fn bombs_are_refused_before_anything_is_allocated() {
    let small = deflated("w.npy", &npy("(2, 3)", 24));
    let (got, compressed) = (0xffff_fff0u32, small.compressed);
    refused(
        "bomb.npz",
        &zip(&[Member { size: got, ..small.clone() }]),
        &format!(
            "/w.npy: claims {got} bytes, but deflate cannot make more than {} of {compressed}",
            compressed * 1032
        ),
    );
    // Within what deflate can do, but not what there is.
    let size = compressed * 1000;
    let expected = format!("has {} bytes, expected {size}", small.size);
    let compressed =
        "is compressed, so it cannot be mapped; decompress it into memory with copy=True";
    asked(&Member { size, ..small }, Some(compressed), Some(&expected));
    // A header that asks for more than the member has.
    let long = npy("(1000000000000,)", 24);
    let expected = format!(
        "truncated: file has {} bytes, expected at least {} for shape [1000000000000]",
        long.len(),
        long.len() as u64 - 24 + 4_000_000_000_000
    );
    asked(&stored("w.npy", long.clone()), Some(&expected), Some(&expected));
    asked(&deflated("w.npy", &long), Some(compressed), Some(&expected));
}

#[test]
fn members_that_are_damaged_or_not_arrays_do_not_block_the_others() {
    let honest_checksum = honest().checksum;
    let sum = format!("has the checksum {honest_checksum:08x}, expected 00000007");
    asked(&Member { checksum: 7, ..honest() }, None, Some(&sum));
    let compressed =
        "is compressed, so it cannot be mapped; decompress it into memory with copy=True";
    let small = deflated("w.npy", &npy("(2, 3)", 24));
    let garbled = Member { data: vec![0xff; small.data.len()], ..small.clone() };
    asked(&garbled, Some(compressed), Some("cannot be decompressed: corrupt deflate stream"));
    for (method, name) in
        [(12, "12 (BZIP2)"), (14, "14 (LZMA)"), (93, "93 (ZSTD)"), (77, "77 (UNKNOWN)")]
    {
        let expected = format!("is compressed by method {name}, expected deflate or none");
        asked(&Member { method, ..small.clone() }, Some(&expected), Some(&expected));
    }
    let not = "not a .npy file: it starts with \"hello\", expected \"\\x93NUMPY\"";
    asked(&stored("w.npy", b"hello".to_vec()), Some(not), Some(not));
    let cut = honest();
    let cut = stored("w.npy", cut.data[..cut.data.len() - 1].to_vec());
    let expected = format!(
        "truncated: file has {} bytes, expected at least {} for shape [2, 3]",
        cut.data.len(),
        cut.data.len() + 1
    );
    asked(&cut, Some(&expected), Some(&expected));
    let (_directory, path) =
        file("mixed.npz", &zip(&[stored("text.txt", b"hello".to_vec()), honest()]));
    let arrays = Arrays::open(&path, MapMode::Read).unwrap();
    assert!(arrays.get("text.txt").is_err());
    assert_eq!(arrays.get("w").unwrap().shape(), [2, 3]);
}

#[test]
fn of_two_members_of_one_name_numpys_choice_is_shown() {
    let short = |name| stored(name, npy("(2,)", 8));
    for (members, shape) in [
        ([honest(), short("w.npy")], &[2][..]),
        ([short("w.npy"), honest()], &[2, 3]),
        ([honest(), short("w")], &[2]),
        ([short("w"), honest()], &[2]),
    ] {
        let (_directory, path) = file("twice.npz", &zip(&members));
        for arrays in [Arrays::open(&path, MapMode::Read), Arrays::load(&path, MapMode::Read)] {
            let arrays = arrays.unwrap();
            assert_eq!((arrays.names().unwrap(), arrays.len()), (vec!["w"], 1));
            assert_eq!(arrays.get("w").unwrap().shape(), shape);
        }
    }
}

#[test]
fn several_arrays_are_not_one_and_one_is_not_several() {
    let (_directory, path) = file("w.npz", &zip(&[honest()]));
    let error = open(&path, MapMode::Read).unwrap_err();
    assert_says(
        &error,
        &path,
        ": holds arrays by name (\"w\"), expected a file of one array; take one of each file by \
         its name: [nl.open(path)[NAME] for path in paths]",
    );
    let error = Arrays::open(&path, MapMode::ReadWrite).unwrap_err();
    assert!(matches!(error, Error::ArchiveInPlace { .. }));
    let (_directory, path) = file("w.npy", &npy("(2, 3)", 24));
    let error = Arrays::open(&path, MapMode::Read).unwrap_err();
    assert_says(
        &error,
        &path,
        ": .npy holds one array, got a file where arrays by name are wanted",
    );
}
