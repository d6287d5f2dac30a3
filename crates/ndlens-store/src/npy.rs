//! `.npy` files, in the three versions of
//! [NumPy's format](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
//!
//! ```text
//!  0        6   7   8               10 or 12
//!  |\x93NUMPY|maj|min|header's length|{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n|data...|
//! ```
//!
//! The header's length is a `u16` in version 1 and a `u32` in versions 2 and 3; its text is latin-1 in versions 1 and 2
//! and UTF-8 in version 3. NumPy pads it so that the data is at a multiple of 64. The whole is mapped from byte 0, which
//! is at the start of a page, so the data is as aligned in memory as it is in the file; data at an odd place is an
//! unaligned view, no error. Bytes after the data are nobody's business, as in NumPy.
//!
//! # Rationale
//!
//! The header is read through the file, not through the map: whoever changes the file meanwhile changes neither what was
//! checked nor memory we hold a reference to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use ndlens_core::{DType, Layout, Order, View};

use crate::descr;
use crate::error::{Error, Flaw, HeaderProblem, Result};
use crate::literal::{self, Encoding, Value};
use crate::map::{self, MapMode, MappedFile};

/// The first bytes of every `.npy` file.
const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The first bytes of a zip archive: a file in it, or the end of an empty one.
const ZIP_MAGICS: [&[u8; 4]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];

/// The longest header that is read. A field of a record takes some 30 bytes, so this is room for 30,000 of them, a
/// hundred times what NumPy reads without being asked to trust the file; parsed, it stays below 100 MB.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Opens an array in a file, by the file's first bytes, whatever its name: today that is `.npy`.
///
/// The view has the file's shape, dtype and order. Dtypes the core has no name for, such as big-endian numbers,
/// strings and records, come as [`DType::Opaque`]; so does bfloat16, which `ml_dtypes` saves as two raw bytes.
///
/// # Errors
///
/// [`Error::Io`] and [`Error::NotRegular`] where there is no file to map; [`Error::NotNpy`], [`Error::Npz`] and
/// [`Error::UnsupportedVersion`] for other formats; [`Error::HeaderTooLong`], [`Error::HeaderTruncated`],
/// [`Error::BadHeader`], [`Error::Shape`] and [`Error::Truncated`] for damage; [`Error::UnsupportedDType`] for what no
/// view can show.
pub fn open(path: &Path, mode: MapMode) -> Result<View> {
    let (file, file_len) = map::open_regular(path, mode)?;
    let (start, header) = read_header(&file, path, file_len)?;
    let Header { dtype, order, shape } = header;
    let itemsize = dtype.itemsize();
    let packed = Layout::contiguous(&shape, itemsize, order)
        .map_err(|source| Error::Shape { path: path.to_owned(), source: Box::new(source) })?;
    // An array without elements needs no byte, so it is at the start of none.
    let nbytes = packed.len() * itemsize;
    let (start, end) = if nbytes == 0 { (0, 0) } else { (start, start + nbytes) };
    if file_len < end as u64 {
        return Err(Error::Truncated { path: path.to_owned(), got: file_len, expected: end as u64, shape });
    }
    let buffer = MappedFile::map(file, path, mode, end)?;
    let layout = Layout::new(packed.shape(), packed.strides(), start, itemsize, buffer.len())?;
    Ok(View::new(buffer, layout, dtype)?)
}

/// What a header says, and the byte the data starts at.
fn read_header(file: &File, path: &Path, file_len: u64) -> Result<(usize, Header)> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut prefix = [0; 12];
    let there = read_at(file, &mut prefix, 0).map_err(io)?;
    let prefix = &prefix[..there];
    let truncated = |got, expected| Error::HeaderTruncated { path: path.to_owned(), got, expected };

    if !prefix.starts_with(MAGIC) {
        let (path, got) = (path.to_owned(), prefix[..there.min(8)].to_vec());
        let zip = ZIP_MAGICS.iter().any(|magic| prefix.starts_with(*magic));
        return Err(if zip { Error::Npz { path, got } } else { Error::NotNpy { path, got } });
    }
    let (len, start, encoding) = match *prefix {
        [_, _, _, _, _, _, 1, 0, a, b, ..] => (u64::from(u16::from_le_bytes([a, b])), 10, Encoding::Latin1),
        [_, _, _, _, _, _, version @ (2 | 3), 0, a, b, c, d] => {
            let encoding = if version == 2 { Encoding::Latin1 } else { Encoding::Utf8 };
            (u64::from(u32::from_le_bytes([a, b, c, d])), 12, encoding)
        }
        [_, _, _, _, _, _, major @ 1..=3, 0, ..] => {
            return Err(truncated(there as u64, if major == 1 { 10 } else { 12 }));
        }
        [_, _, _, _, _, _, major, minor, ..] => {
            return Err(Error::UnsupportedVersion { path: path.to_owned(), major, minor });
        }
        _ => return Err(truncated(there as u64, 8)),
    };
    if len > MAX_HEADER_BYTES {
        return Err(Error::HeaderTooLong { path: path.to_owned(), got: len, max: MAX_HEADER_BYTES });
    }
    if file_len < start + len {
        return Err(truncated(file_len, start + len));
    }
    let mut text = vec![0; len as usize];
    let there = read_at(file, &mut text, start).map_err(io)? as u64;
    if there < len {
        return Err(truncated(start + there, start + len));
    }
    let header = Header::parse(&text, encoding).map_err(|flaw| flaw.in_file(path, start))?;
    Ok(((start + len) as usize, header))
}

/// Reads until `bytes` are full or the file ends; how many there were.
fn read_at(file: &File, bytes: &mut [u8], start: u64) -> io::Result<usize> {
    let mut there = 0;
    while there < bytes.len() {
        match file.read_at(&mut bytes[there..], start + there as u64) {
            Ok(0) => break,
            Ok(n) => there += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(there)
}

/// The three things a header says.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    dtype: DType,
    order: Order,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &[u8], encoding: Encoding) -> Result<Self, Flaw> {
        let node = literal::parse(text, encoding)?;
        let Value::Dict(pairs) = &node.value else { return Err(node.unexpected("a dict")) };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        for (key, value) in pairs {
            let Value::Str(name) = &key.value else { return Err(key.unexpected("a key")) };
            let flaw = |problem| Flaw::Header { at: key.at, problem };
            let slot = match name.as_str() {
                "descr" => &mut descr,
                "fortran_order" => &mut fortran_order,
                "shape" => &mut shape,
                _ => return Err(flaw(HeaderProblem::UnknownKey { key: name.clone() })),
            };
            if slot.replace(value).is_some() {
                return Err(flaw(HeaderProblem::DuplicateKey { key: name.clone() }));
            }
        }
        let missing = |key| Flaw::Header { at: node.at, problem: HeaderProblem::MissingKey { key } };
        let descr = descr.ok_or_else(|| missing("descr"))?;
        let fortran_order = fortran_order.ok_or_else(|| missing("fortran_order"))?;
        let shape = shape.ok_or_else(|| missing("shape"))?;
        let Value::Bool(is_fortran) = fortran_order.value else {
            return Err(fortran_order.unexpected("a bool"));
        };
        Ok(Header {
            dtype: descr::dtype(descr)?,
            order: if is_fortran { Order::F } else { Order::C },
            shape: descr::dimensions(shape)?,
        })
    }
}
