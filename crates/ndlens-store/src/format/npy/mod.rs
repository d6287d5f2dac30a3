//! `.npy` files, in the three versions of
//! [NumPy's format](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
//!
//! ```text
//!  0        6   7   8               10 or 12
//!  |\x93NUMPY|maj|min|header's length|{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }   \n|data...|
//! ```
//!
//! The header's length is a `u16` in version 1 and a `u32` in versions 2 and 3; its text is latin-1
//! in versions 1 and 2 and UTF-8 in version 3. NumPy pads it so that the data is at a multiple of
//! 64. The whole is mapped from byte 0, which is at the start of a page, so the data is as aligned
//! in memory as it is in the file; data at an odd place gives an unaligned view, not an error.
//! Bytes after the data are ignored, as in NumPy.
//!
//! # Rationale
//!
//! The header is read through the file, not through the map: a process that changes the file
//! meanwhile changes neither the checked header nor memory that this code holds a reference to.

pub(crate) mod descr;
pub(crate) mod header;
mod literal;

use std::io::Read;
use std::path::Path;

use ndlens_core::{DType, Order, room};

use crate::error::{Error, Flaw, HeaderProblem, Result};
use crate::format::npy::literal::{Encoding, Value};
use crate::format::placement::Placement;
use crate::os::reading::read_fully;

/// The first bytes of every `.npy` file.
pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header that is read. A field of a record takes some 30 bytes, so this is enough for
/// 30,000 of them, a hundred times NumPy's limit for files that it does not trust. The parsed
/// header stays below 100 MB.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// The array in a `.npy` file of `len` bytes, and the place of its elements.
///
/// `reader` stands at the file's first byte, and then at the data's.
pub(crate) fn read_placement(reader: &mut impl Read, path: &Path, len: u64) -> Result<Placement> {
    let (start, header) = read_header(reader, path, len)?;
    let Header { dtype, order, shape } = header;
    let place = Placement::packed(dtype, &shape, order, start)
        .map_err(|source| Error::Shape { path: path.to_owned(), source: Box::new(source) })?;
    if len < place.end() as u64 {
        return Err(Error::Truncated {
            path: path.to_owned(),
            got: len,
            expected: place.end() as u64,
            shape,
        });
    }
    Ok(place)
}

/// The values of a header, and the byte at which the data starts.
fn read_header(reader: &mut impl Read, path: &Path, file_len: u64) -> Result<(usize, Header)> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let truncated = |got, expected| Error::HeaderTruncated { path: path.to_owned(), got, expected };
    let mut prefix = [0; 8];
    let there = read_fully(reader, &mut prefix).map_err(io)?;
    if !prefix[..there].starts_with(MAGIC) {
        return Err(Error::NotNpy { path: path.to_owned(), got: prefix[..there].to_vec() });
    }
    if there < prefix.len() {
        return Err(truncated(there as u64, prefix.len() as u64));
    }
    let (len_bytes, encoding) = match (prefix[6], prefix[7]) {
        (1, 0) => (2, Encoding::Latin1),
        (2, 0) => (4, Encoding::Latin1),
        (3, 0) => (4, Encoding::Utf8),
        (major, minor) => {
            return Err(Error::UnsupportedVersion { path: path.to_owned(), major, minor });
        }
    };
    let mut len = [0; 4];
    let there = read_fully(reader, &mut len[..len_bytes]).map_err(io)?;
    let (len, start) = (u64::from(u32::from_le_bytes(len)), (prefix.len() + len_bytes) as u64);
    if there < len_bytes {
        return Err(truncated((prefix.len() + there) as u64, start));
    }
    if len > MAX_HEADER_BYTES {
        return Err(Error::HeaderTooLong {
            path: path.to_owned(),
            got: len,
            max: MAX_HEADER_BYTES,
        });
    }
    if file_len < start + len {
        return Err(truncated(file_len, start + len));
    }
    let mut text = room::repeated(0, len as usize)?;
    let there = read_fully(reader, &mut text).map_err(io)? as u64;
    if there < len {
        return Err(truncated(start + there, start + len));
    }
    let header = Header::parse(&text, encoding).map_err(|flaw| flaw.in_file(path, start))?;
    Ok(((start + len) as usize, header))
}

/// The three values of a header.
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
        let missing =
            |key| Flaw::Header { at: node.at, problem: HeaderProblem::MissingKey { key } };
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
