//! Files of several arrays that lie about themselves, and raw bytes about which somebody lies: as
//! `malformed_npy.rs`.
//!
//! `cargo test -p ndlens-store --test malformed_containers`

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use ndlens_core::DType;
use ndlens_store::{Arrays, Error, MapMode, Opened, Options, Raw, open};

/// A file of these bytes, and the directory that it is gone with.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    (directory, path)
}

#[track_caller]
fn assert_says(error: &Error, path: &Path, expected: &str) {
    assert!(error.path().unwrap().display().to_string().starts_with(path.to_str().unwrap()));
    let text = error.to_string();
    let rest = text.strip_prefix(path.to_str().unwrap());
    assert_eq!(rest.unwrap_or_else(|| panic!("no path in {text}")), expected);
}

/// What opening says, after the path.
#[track_caller]
fn refused(name: &str, bytes: &[u8], expected: &str) {
    let (_directory, path) = file(name, bytes);
    for mode in [MapMode::Read, MapMode::CopyOnWrite] {
        assert_says(&Arrays::open(&path, mode).unwrap_err(), &path, expected);
        assert_says(&Arrays::load(&path, mode).unwrap_err(), &path, expected);
    }
}

// .safetensors

fn framed(header: &[u8], data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn tensors(header: &str, data: usize) -> Vec<u8> {
    framed(header.as_bytes(), data)
}

fn tensor(name: &str, dtype: &str, shape: &str, offsets: &str) -> String {
    format!(
        "\"{name}\": {{\"dtype\": \"{dtype}\", \"shape\": {shape}, \"data_offsets\": {offsets}}}"
    )
}

#[track_caller]
fn bad_tensor(dtype: &str, shape: &str, offsets: &str, expected: &str) {
    let header = format!("{{{}}}", tensor("w", dtype, shape, offsets));
    refused("lie.safetensors", &tensors(&header, 24), &format!(": tensor \"w\" {expected}"));
}

#[test]
fn tensors_that_are_not_where_they_should_be_are_refused() {
    bad_tensor("F32", "[2,3]", "[0,20]", "has 20 bytes, expected 24 for shape [2, 3] of F32");
    bad_tensor("F32", "[2,3]", "[0,28]", "has 28 bytes, expected 24 for shape [2, 3] of F32");
    let at = |start: &str, end: &str, expected: usize| {
        format!(
            "is at bytes {start}..{end} of the data, expected it to start at {expected}, where \
             the one before ends"
        )
    };
    bad_tensor("F32", "[2,3]", "[4,28]", &at("4", "28", 0));
    bad_tensor("F32", "[2,3]", "[24,0]", &at("24", "0", 0));
    let max = usize::MAX.to_string();
    bad_tensor("U8", "[1]", &format!("[{max},{max}]"), &at(&max, &max, 0));
    for (second, start, end) in [("[8,16]", "8", "16"), ("[20,28]", "20", "28")] {
        let (a, b) = (tensor("a", "U8", "[16]", "[0,16]"), tensor("b", "U8", "[8]", second));
        let expected = format!(": tensor \"b\" {}", at(start, end, 16));
        refused("two.safetensors", &tensors(&format!("{{{b},{a}}}"), 24), &expected);
    }
}

#[test]
fn shapes_that_no_memory_holds_are_refused() {
    let overflow = |shape: &str| {
        format!("cannot be: shape {shape} with 4-byte elements does not fit the address space")
    };
    bad_tensor("F32", "[4294967296,4294967296]", "[0,24]", &overflow("[4294967296, 4294967296]"));
    bad_tensor("F32", "[0,9223372036854775807]", "[0,0]", &overflow("[0, 9223372036854775807]"));
    let axes = "1,".repeat(65);
    bad_tensor(
        "F32",
        &format!("[{}]", axes.trim_end_matches(',')),
        "[0,4]",
        "cannot be: a view has at most 64 dimensions, got 65",
    );
}

#[test]
fn a_file_is_as_long_as_its_header_says() {
    let header = format!("{{{}}}", tensor("w", "F32", "[2,3]", "[0,24]"));
    let whole = tensors(&header, 24).len();
    for (data, got) in [(23, whole - 1), (25, whole + 1), (0, whole - 24)] {
        let expected = format!(": file has {got} bytes, expected {whole} as its header says");
        refused("cut.safetensors", &tensors(&header, data), &expected);
    }
    refused(
        "one_byte.safetensors",
        b"{",
        ": truncated: file has 1 bytes, its header alone takes 8",
    );
    refused(
        "no_header.safetensors",
        &100u64.to_le_bytes(),
        ": truncated: file has 8 bytes, its header alone takes 108",
    );
    refused(
        "huge.safetensors",
        &[0xff; 16],
        ": header claims 18446744073709551615 bytes, expected at most 100000000",
    );
    refused(
        "100_mb.safetensors",
        &[&100_000_000u64.to_le_bytes()[..], b"{}"].concat(),
        ": truncated: file has 10 bytes, its header alone takes 100000008",
    );
}

#[test]
fn headers_that_are_not_json_of_tensors_are_refused() {
    #[track_caller]
    fn bad(header: &[u8], expected: &str) {
        refused("bad.safetensors", &framed(header, 24), &format!(": bad header: {expected}"));
    }
    bad(b"", "EOF while parsing a value at line 1 column 0");
    bad(b"[]", "invalid type: sequence, expected an object of tensors at line 1 column 0");
    bad(
        b"{\"w\": 1}",
        "tensor \"w\": invalid type: integer `1`, expected struct Tensor at line 1 column 7",
    );
    bad(b"{\"w\": {}}", "tensor \"w\": missing field `dtype` at line 1 column 8");
    bad(b"{\"\xff\": {}}", "invalid unicode code point at line 1 column 3");
    bad(
        b"{\"__metadata__\": {\"a\": 1}}",
        "__metadata__ is no object of strings at line 1 column 26",
    );
    bad(b"{} {}", "trailing characters at line 1 column 4");
    let nested = format!("{{\"w\": {{\"x\": {}", "[".repeat(300_000));
    bad(nested.as_bytes(), "tensor \"w\": EOF while parsing a list at line 1 column 300012");
    let shape = |shape: &str| format!("{{{}}}", tensor("w", "F32", shape, "[0,24]"));
    for (shape, expected) in [
        (shape("[-1]"), "invalid value: integer `-1`, expected usize"),
        (shape("[2.0]"), "invalid type: floating point `2.0`, expected usize"),
        (
            shape("[18446744073709551616]"),
            "invalid type: floating point `1.8446744073709552e+19`, expected usize",
        ),
        (shape("6"), "invalid type: integer `6`, expected a sequence"),
    ] {
        let (_directory, path) = file("shape.safetensors", &tensors(&shape, 24));
        let error = Arrays::open(&path, MapMode::Read).unwrap_err().to_string();
        assert!(error.contains(&format!("bad header: tensor \"w\": {expected}")), "{error}");
    }
}

#[test]
fn two_tensors_of_one_name_are_refused() {
    let (a, b) = (tensor("a", "U8", "[16]", "[0,16]"), tensor("a", "U8", "[8]", "[16,24]"));
    refused(
        "twice.safetensors",
        &tensors(&format!("{{{a},{b}}}"), 24),
        ": has two arrays of the name \"a\"",
    );
}

#[test]
fn a_dtype_without_a_name_is_an_error_of_its_tensor_alone() {
    let others: Vec<_> = [("F4", "[0,1]"), ("F6_E2M3", "[1,7]"), ("X9", "[7,8]")]
        .iter()
        .map(|(dtype, offsets)| {
            tensor(dtype, dtype, if *dtype == "F6_E2M3" { "[2,4]" } else { "[2]" }, offsets)
        })
        .collect();
    let header = format!("{{{},{}}}", others.join(","), tensor("w", "U8", "[16]", "[8,24]"));
    let (_directory, path) = file("dtypes.safetensors", &tensors(&header, 24));
    let arrays = Arrays::open(&path, MapMode::Read).unwrap();
    assert_eq!(arrays.names().unwrap(), ["F4", "F6_E2M3", "X9", "w"]);
    assert_eq!(arrays.get("w").unwrap().shape(), [16]);
    let pairs = arrays.get("F4").unwrap();
    assert_eq!((pairs.dtype(), pairs.shape()), (&DType::F4E2M1FNx2, &[1][..]));
    for (dtype, shape, nbytes) in [("F6_E2M3", vec![2, 4], 6), ("X9", vec![2], 1)] {
        let expected = format!(
            ": tensor \"{dtype}\" has dtype \"{dtype}\", which no view can show; .bytes(name) \
             gives its bytes, .info(name) its shape"
        );
        assert_says(&arrays.get(dtype).unwrap_err(), &path, &expected);
        assert_eq!(arrays.bytes(dtype).unwrap().shape(), [nbytes]);
        assert_eq!(arrays.info(dtype).unwrap(), (dtype.to_owned(), shape));
    }
}

#[test]
fn elements_of_4_and_6_bits_fill_whole_bytes() {
    bad_tensor("F4", "[3]", "[0,2]", "has shape [3] of F4, which is no whole number of bytes");
    bad_tensor(
        "F6_E3M2",
        "[5]",
        "[0,4]",
        "has shape [5] of F6_E3M2, which is no whole number of bytes",
    );
    bad_tensor("F4", "[4]", "[0,3]", "has 3 bytes, expected 2 for shape [4] of F4");
    let header = format!("{{{}}}", tensor("w", "F4", "[2,3]", "[0,3]"));
    let (_directory, path) = file("odd.safetensors", &tensors(&header, 3));
    let expected = ": tensor \"w\" has shape [2, 3] of F4, of which two are one element of a \
                    view: its last axis must be even; .bytes(name) gives its bytes";
    let arrays = Arrays::open(&path, MapMode::Read).unwrap();
    assert_says(&arrays.get("w").unwrap_err(), &path, expected);
    assert_eq!(arrays.bytes("w").unwrap().nbytes(), 3);
}

#[test]
fn a_note_about_sets_that_the_file_does_not_bear_out_is_refused() {
    #[track_caller]
    fn noted(note: &str, expected: &str) {
        let text = serde_json::to_string(note).unwrap();
        let header = format!(
            "{{\"__metadata__\": {{\"ndlens\": {text}}}, {}, {}, {}}}",
            tensor("x.data", "U8", "[8]", "[0,8]"),
            tensor("x.offsets", "U8", "[8]", "[8,16]"),
            tensor("x.shapes", "U8", "[8]", "[16,24]"),
        );
        refused(
            "noted.safetensors",
            &tensors(&header, 24),
            &format!(": bad note \"ndlens\" in the metadata: {expected}"),
        );
    }
    let set = |name: &str, data: &str| {
        format!(
            "{{\"version\": 1, \"ragged\": {{\"{name}\": {{\"data\": \"{data}\", \"offsets\": \
             \"x.offsets\", \"shapes\": \"x.shapes\"}}}}}}"
        )
    };
    noted("{}", "missing field `version` at line 1 column 2");
    noted(
        "{\"version\": 2, \"later\": 1}",
        "it is of version 2, expected 1: a later ndlens wrote it",
    );
    noted(&set("x", "y"), "set \"x\" has the tensor \"y\", which is not in the file");
    noted(&set("x", "x.offsets"), "tensor \"x.offsets\" is in two sets");
    noted("{\"version\": 1, \"whole\": \"x\"}", "it has no set \"x\"");
}

#[test]
fn an_index_that_leads_elsewhere_is_refused() {
    #[track_caller]
    fn index(text: &str, expected: &str) {
        refused(
            "model.safetensors.index.json",
            text.as_bytes(),
            &format!(": bad index: {expected}"),
        );
    }
    index("{", "EOF while parsing an object at line 1 column 1");
    index("{\"a\": 1}", "missing field `weight_map` at line 1 column 8");
    index(
        "{\"weight_map\": {\"w\": 3}}",
        "invalid type: integer `3`, expected a string at line 1 column 22",
    );
    for elsewhere in ["../x.safetensors", "/etc/passwd", "a/../../x", ".", ""] {
        let text = format!("{{\"weight_map\": {{\"w\": \"{elsewhere}\"}}}}");
        index(&text, &format!("it names the file {elsewhere:?}, expected one beside it"));
    }
}

// .npz

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
    /// Where the directory says its header is, if not where it is.
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

/// What one member says when it is asked for, mapped and loaded; None where it can be had.
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
fn directories_that_lie_are_refused() {
    let bad = |member: Member, expected: &str| refused("lie.npz", &zip(&[member]), expected);
    bad(Member { flags: 1, ..honest() }, "/w.npy: is encrypted");
    bad(
        Member { name: b"\xff".to_vec(), local_name: b"\xff".to_vec(), ..honest() },
        "/\u{fffd}: its name is not UTF-8",
    );
    bad(
        Member { local_name: b"x\n.npy".to_vec(), ..honest() },
        "/w.npy: the directory calls it so, but before its data it is called \"x\\n.npy\"",
    );
    bad(
        Member { name: b"/etc/passwd".to_vec(), ..honest() },
        "//etc/passwd: the directory calls it so, but before its data it is called \"w.npy\"",
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
    // In the place where an archive beyond 4 GB says what does not fit: where the member is.
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
fn members_that_are_damaged_or_no_arrays_do_not_stand_before_the_others() {
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

// Raw bytes

#[track_caller]
fn raw(shape: &[isize], offset: usize, strides: Option<&[isize]>, expected: &str) {
    let (_directory, path) = file("raw.bin", &[7; 100]);
    let strides = strides.map(<[isize]>::to_vec);
    let raw = Raw { shape: shape.to_vec(), dtype: DType::F32, offset, strides };
    for mode in [MapMode::Read, MapMode::CopyOnWrite, MapMode::ReadWrite] {
        let options = Options { mode, raw: Some(raw.clone()), ..Options::default() };
        match (options.open(&path), expected) {
            (Ok(Opened::Array(view)), "") => assert_eq!(view.shape().len(), shape.len()),
            (Err(error), expected) => assert_says(&error, &path, &format!(": {expected}")),
            (got, expected) => panic!("{got:?}, {expected:?}"),
        }
    }
}

#[test]
fn raw_bytes_are_what_the_file_has_and_no_more() {
    raw(&[25], 0, None, "");
    raw(&[-1, 5], 0, None, "");
    raw(&[24], 3, None, "");
    raw(&[0], 1000, None, "");
    raw(&[5, 5], 96, Some(&[-20, -4]), "");
    raw(&[1000], 96, Some(&[0]), "");
    let outside = |shape: &str, start: &str, end: &str| {
        format!("shape {shape} reaches bytes {start}..{end}, but the file has 100")
    };
    raw(&[26], 0, None, &outside("[26]", "0", "104"));
    raw(&[25], 1, None, &outside("[25]", "1", "101"));
    raw(&[5, 5], 95, Some(&[-20, -4]), &outside("[5, 5]", "-1", "99"));
    raw(&[5, 5], 97, Some(&[-20, -4]), &outside("[5, 5]", "97", "101"));
    raw(&[-1], 101, None, &outside("[-1]", "101", "105"));
    raw(
        &[2],
        usize::MAX,
        Some(&[4]),
        &outside("[2]", "18446744073709551615", "18446744073709551623"),
    );
    let none = |shape: &str| {
        format!(
            "shape {shape} is none: sizes must be at least 0; one may be -1 where no strides are \
             given and no other is 0"
        )
    };
    raw(&[-2], 0, None, &none("[-2]"));
    raw(&[-1, -1], 0, None, &none("[-1, -1]"));
    raw(&[-1, 0], 0, None, &none("[-1, 0]"));
    raw(&[-1], 0, Some(&[4]), &none("[-1]"));
    raw(
        &[-1, 2],
        0,
        None,
        "100 bytes from byte 0 on are no multiple of 8, which shape [-1, 2] needs",
    );
    raw(&[-1], 3, None, "97 bytes from byte 3 on are no multiple of 4, which shape [-1] needs");
    raw(&[5], 0, Some(&[4, 4]), "shape has 1 dimensions but strides have 2");
    let overflow =
        |shape: &str| format!("shape {shape} with 4-byte elements does not fit the address space");
    raw(&[isize::MAX, 4], 0, None, &overflow("[9223372036854775807, 4]"));
    raw(&[3], 0, Some(&[isize::MIN]), &overflow("[3]"));
    raw(&[0, isize::MAX], 0, None, &overflow("[0, 9223372036854775807]"));
    raw(&[1], usize::MAX, None, &overflow("[1]"));
}
