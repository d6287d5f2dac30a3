//! Malformed `.safetensors` files: the error is typed, has exactly this text, and comes at once.
//!
//! `cargo test -p ndlens-store --test malformed_safetensors`

mod harness;

use ndlens_core::DType;
use ndlens_store::{Arrays, MapMode};

use crate::harness::{assert_says, file, refused};

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
fn misplaced_tensors_are_refused() {
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
    bad_tensor("F4", "[3]", "[0,2]", "has shape [3] of F4, which is not a whole number of bytes");
    bad_tensor(
        "F6_E3M2",
        "[5]",
        "[0,4]",
        "has shape [5] of F6_E3M2, which is not a whole number of bytes",
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
fn a_note_that_does_not_fit_its_file_is_refused() {
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
