//! Malformed `.npy` files, each built by name and opened: the error is typed, has exactly this
//! text, and comes at once.
//!
//! `cargo test -p ndlens-store --test malformed_npy`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndlens_store::{Error, MapMode, open};

const MODES: [MapMode; 3] = [MapMode::Read, MapMode::CopyOnWrite, MapMode::ReadWrite];

/// A file of any version; the header's length is what the caller says it is.
fn npy(version: u8, claimed: usize, header: &[u8], data: usize) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((claimed as u16).to_le_bytes()),
        _ => bytes.extend((claimed as u32).to_le_bytes()),
    }
    bytes.extend(header);
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// An honest frame around a header.
fn framed(header: &str) -> Vec<u8> {
    npy(3, header.len(), header.as_bytes(), 64)
}

fn header(descr: &str, fortran_order: &str, shape: &str) -> String {
    format!("{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}}}")
}

fn shape(shape: &str) -> Vec<u8> {
    framed(&header("'<f4'", "False", shape))
}

fn descr(descr: &str) -> Vec<u8> {
    framed(&header(descr, "False", "(2,)"))
}

/// The error of opening, without the path at its start.
fn message(path: &Path, mode: MapMode) -> String {
    let error = open(path, mode).unwrap_err();
    assert_eq!(error.path(), Some(path));
    let prefix = format!("{}: ", path.display());
    error
        .to_string()
        .strip_prefix(&prefix)
        .unwrap_or_else(|| panic!("no path in {error}"))
        .to_owned()
}

#[track_caller]
fn refused(name: &str, bytes: &[u8], expected: &str) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    fs::write(&path, bytes).unwrap();
    for mode in MODES {
        assert_eq!(message(&path, mode), expected, "{name}");
    }
}

#[test]
fn files_of_other_formats_are_named_by_their_first_bytes() {
    let not =
        |got: &str| format!("not a .npy file: it starts with \"{got}\", expected \"\\x93NUMPY\"");
    refused("empty.npy", b"", &not(""));
    refused("text.npy", b"a,b,c\n1,2,3\n", &not("a,b,c\\n1,"));
    refused("half_magic.npy", b"\x93NUM", &not("\\x93NUM"));
    let neither = |got: &str| {
        format!(
            "not a .npy, .npz, .safetensors or .tar file: it starts with \"{got}\"; for raw bytes \
             say their dtype"
        )
    };
    refused("empty", b"", &neither(""));
    refused("text.csv", b"a,b,c\n1,2,3\n", &neither("a,b,c\\n1,"));
    refused("long.json", b"\xff\xff\xff\xff\xff\xff\xff\xff{}", &neither(&"\\xff".repeat(8)));
    refused("future.npy", b"\x93NUMPY\x04\x00", ".npy version 4.0 is not one of 1.0, 2.0 and 3.0");
    refused(
        "minor.npy",
        b"\x93NUMPY\x01\x01\x00\x00",
        ".npy version 1.1 is not one of 1.0, 2.0 and 3.0",
    );
}

#[test]
fn files_that_are_not_regular_are_refused_without_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo.npy");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let socket = directory.path().join("socket.npy");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let cases: [(PathBuf, &str); 5] = [
        (directory.path().to_owned(), "not a regular file but a directory"),
        (fifo, "not a regular file but a FIFO"),
        (socket, "not a regular file but a socket"),
        ("/dev/zero".into(), "not a regular file but a device"),
        (directory.path().join("missing.npy"), "No such file or directory (os error 2)"),
    ];
    for (path, expected) in cases {
        for mode in MODES {
            assert_eq!(message(&path, mode), expected);
        }
    }
}

#[test]
fn what_the_system_says_can_be_asked_for() {
    let error = open(Path::new("/nowhere/at/all.npy"), MapMode::Read).unwrap_err();
    assert_eq!(error.io().unwrap().kind(), std::io::ErrorKind::NotFound);
    assert!(open(Path::new("/"), MapMode::Read).unwrap_err().io().is_none());
}

#[test]
fn a_valid_file_cut_anywhere_says_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut.npy");
    for version in [1, 2, 3] {
        let header = header("'<f4'", "False", "(2, 3)");
        let whole = npy(version, header.len(), header.as_bytes(), 24);
        let start = whole.len() - 24;
        for len in 0..whole.len() {
            fs::write(&path, &whole[..len]).unwrap();
            let error = open(&path, MapMode::CopyOnWrite).unwrap_err();
            match error {
                Error::NotNpy { .. } => assert!(len < 6),
                Error::HeaderTruncated { got, expected, .. } => {
                    assert!((6..start).contains(&len));
                    assert!(got == len as u64 && (got..=start as u64).contains(&expected));
                }
                Error::Truncated { .. } => {
                    assert!(len >= start);
                    let expected = format!(
                        "{}: truncated: file has {len} bytes, expected at least {} for shape [2, \
                         3]",
                        path.display(),
                        whole.len()
                    );
                    assert_eq!(error.to_string(), expected);
                }
                _ => panic!("{error}"),
            }
        }
        fs::write(&path, &whole).unwrap();
        assert_eq!(open(&path, MapMode::CopyOnWrite).unwrap().shape(), [2, 3]);
    }
}

#[test]
fn a_wrong_header_length_is_refused() {
    let header = header("'<f4'", "False", "(2,)");
    let (bytes, len) = (header.as_bytes(), header.len());
    refused(
        "4_gb.npy",
        &npy(2, 0xFFFF_FFFF, bytes, 64),
        "header claims 4294967295 bytes, expected at most 1048576",
    );
    refused(
        "1_mib.npy",
        &npy(3, 1 << 20, bytes, 64),
        &format!("truncated: file has {} bytes, its header alone takes 1048588", 12 + len + 64),
    );
    refused(
        "no_length.npy",
        b"\x93NUMPY\x02\x00\x01\x00",
        "truncated: file has 10 bytes, its header alone takes 12",
    );
    refused(
        "no_version.npy",
        b"\x93NUMPY",
        "truncated: file has 6 bytes, its header alone takes 8",
    );
    refused(
        "zero.npy",
        &npy(1, 0, bytes, 0),
        "bad header at byte 10: expected a value, got the end of the header",
    );
    refused(
        "short.npy",
        &npy(1, len - 1, bytes, 0),
        &format!(
            "bad header at byte {}: expected ',' or '}}', got the end of the header",
            10 + len - 1
        ),
    );
    refused(
        "into_the_data.npy",
        &npy(1, len + 8, bytes, 8),
        &format!("bad header at byte {}: expected the end of the header, got '\\x00'", 10 + len),
    );
}

#[test]
fn shapes_that_no_memory_holds_are_refused() {
    let overflow = "does not fit the address space";
    refused(
        "huge.npy",
        &shape("(1000000000000,)"),
        "truncated: file has 143 bytes, expected at least 4000000000079 for shape [1000000000000]",
    );
    refused(
        "overflow.npy",
        &shape("(4294967296, 4294967296)"),
        &format!("shape [4294967296, 4294967296] with 4-byte elements {overflow}"),
    );
    refused(
        "wraps_to_zero.npy",
        &shape("(9223372036854775807, 4)"),
        &format!("shape [9223372036854775807, 4] with 4-byte elements {overflow}"),
    );
    refused(
        "empty_but_huge.npy",
        &shape("(0, 9223372036854775807)"),
        &format!("shape [0, 9223372036854775807] with 4-byte elements {overflow}"),
    );
    refused(
        "beyond_64_bits.npy",
        &shape("(18446744073709551616,)"),
        "bad header at byte 63: integer does not fit 64 bits",
    );
    refused("negative.npy", &shape("(2, -1)"), "bad header at byte 66: dimension -1 is negative");
    refused("float.npy", &shape("(2.0,)"), "bad header at byte 64: expected ',' or ')', got '.'");
    refused(
        "bool.npy",
        &shape("(True,)"),
        "bad header at byte 63: expected a dimension, got a bool",
    );
    refused(
        "string.npy",
        &shape("('2',)"),
        "bad header at byte 63: expected a dimension, got a string",
    );
    refused(
        "number.npy",
        &shape("(2)"),
        "bad header at byte 62: expected a tuple of dimensions, got an integer",
    );
    refused(
        "list.npy",
        &shape("[2]"),
        "bad header at byte 62: expected a tuple of dimensions, got a list",
    );
    refused(
        "65_axes.npy",
        &shape(&format!("({})", "1,".repeat(65))),
        "bad header at byte 62: expected at most 64 dimensions, got 65",
    );
    refused(
        "no_bytes_each.npy",
        &framed(&header("'|V0'", "False", "(9223372036854775807, 9223372036854775807)")),
        "dtype has elements of 0 bytes",
    );
}

#[test]
fn headers_that_are_not_the_dict_numpy_writes_are_refused() {
    let bad = |at: usize, what: &str| format!("bad header at byte {at}: {what}");
    refused("code.npy", &framed("__import__('os')"), &bad(12, "expected a value, got '_'"));
    refused("no_dict.npy", &framed("['descr']"), &bad(12, "expected a dict, got a list"));
    refused("empty_dict.npy", &framed("{}"), &bad(12, "key \"descr\" is missing"));
    refused(
        "no_order.npy",
        &framed("{'descr': '<f4', 'shape': (2,)}"),
        &bad(12, "key \"fortran_order\" is missing"),
    );
    refused(
        "no_shape.npy",
        &framed("{'descr': '<f4', 'fortran_order': False}"),
        &bad(12, "key \"shape\" is missing"),
    );
    refused(
        "twice.npy",
        &framed("{'descr': '<f4', 'descr': '|O'}"),
        &bad(29, "key \"descr\" appears twice"),
    );
    refused(
        "extra.npy",
        &framed("{'descr': '<f4', 'evil': 1}"),
        &bad(29, "unknown key \"evil\", expected \"descr\", \"fortran_order\" and \"shape\""),
    );
    refused(
        "flood.npy",
        &framed(&format!("{{'{}': 1}}", "x".repeat(100_000))),
        &bad(
            13,
            &format!(
                "unknown key \"{}\"..., expected \"descr\", \"fortran_order\" and \"shape\"",
                "x".repeat(60)
            ),
        ),
    );
    refused("number_key.npy", &framed("{1: 2}"), &bad(13, "expected a key, got an integer"));
    refused(
        "order.npy",
        &framed(&header("'<f4'", "1", "(2,)")),
        &bad(46, "expected a bool, got an integer"),
    );
    refused("unquoted.npy", &framed("{'descr: 3}"), &bad(13, "string does not end"));
    refused("not_utf8.npy", &npy(3, 3, b"'\xff'", 0), &bad(13, "string is not UTF-8"));
    refused("two.npy", &framed("{} {}"), &bad(15, "expected the end of the header, got '{'"));
    // A dict meets the limit at its key, two bytes before the next dict.
    for (name, open, at) in [
        ("lists.npy", "[", 12 + 65),
        ("tuples.npy", "(", 12 + 65),
        ("dicts.npy", "{1:", 12 + 65 * 3 - 2),
    ] {
        refused(name, &framed(&open.repeat(300_000)), &bad(at, "nested deeper than 64 levels"));
    }
}

#[test]
fn elements_no_view_can_show_are_refused_by_name() {
    refused(
        "pickle.npy",
        &descr("'|O'"),
        "dtype \"|O\" holds Python objects (pickle); convert before saving, for example with \
         arr.astype(\"float32\")",
    );
    refused(
        "pickle_in_a_record.npy",
        &descr("[('a', [('b', '|O')])]"),
        "field \"a.b\": dtype \"|O\" holds Python objects (pickle); convert before saving, for \
         example with arr.astype(\"float32\")",
    );
    refused(
        "time.npy",
        &descr("'<M8[ns]'"),
        "dtype \"<M8[ns]\" is a date or time, which the buffer protocol cannot say; save \
         arr.view(\"int64\")",
    );
    refused("long_double.npy", &descr("'<f16'"), "dtype \"<f16\" is not one ndlens knows");
    refused(
        "huge.npy",
        &descr("'|S99999999999999999999'"),
        "dtype has elements that do not fit the address space",
    );
    refused(
        "format_injection.npy",
        &descr("[('a:<f:b', '<f4')]"),
        "field \"a:<f:b\": dtype has a field name with ':' or NUL, which the buffer protocol \
         cannot say",
    );
    refused(
        "nul.npy",
        &descr("[('a\\x00', '<f4')]"),
        "field \"a\\0\": dtype has a field name with ':' or NUL, which the buffer protocol cannot \
         say",
    );
    refused(
        "same.npy",
        &descr("[('a', '<f4'), ('a', '<f4')]"),
        "field \"a\": dtype has a field name twice",
    );
    refused(
        "unnamed.npy",
        &descr("[('', '<f4')]"),
        "field \"\": dtype has a field without a name that is not padding",
    );
    refused(
        "tuple.npy",
        &descr("('<f4', (2,))"),
        "bad header at byte 22: expected a typestr or a list of fields, got a tuple",
    );
}
