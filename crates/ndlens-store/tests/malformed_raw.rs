//! Raw bytes that are not what the caller says: the error is typed, has exactly this text, and
//! comes at once.
//!
//! `cargo test -p ndlens-store --test malformed_raw`

mod harness;

use ndlens_core::DType;
use ndlens_store::{MapMode, Opened, Options, Raw};

use crate::harness::{assert_says, file};

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
            "shape {shape} is not valid: sizes must be at least 0; one may be -1 where no strides are \
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
