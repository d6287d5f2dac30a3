//! The header of a `.safetensors` file, written as by the crate that defines the format. `mod.rs`
//! reads it.

use std::path::Path;

use ndlens_core::{DType, room};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::format::json_text::JsonText;
use crate::format::safetensors::dtype::{DTYPES, TensorDType};
use crate::format::safetensors::{MAX_HEADER_BYTES, METADATA};

/// Headers are padded to this with spaces, so that the data is aligned.
const HEADER_ALIGNMENT: usize = 8;

/// An array to write, with the dtype and shape of its view.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
}

#[derive(Serialize)]
struct Info<'a> {
    dtype: &'a str,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// The start of a file with these columns, up to its data, and the places of the columns in the
/// order of their data.
///
/// # Errors
///
/// [`Error::Unsavable`], [`Error::ReservedName`] and [`Error::UnreadableHeader`].
pub(crate) fn header<'a>(
    path: &Path,
    columns: impl Iterator<Item = &'a Column>,
    metadata: &[(String, String)],
) -> Result<(Vec<u8>, Vec<usize>)> {
    let dtype_of = |column: &'a Column| {
        let unsavable = || Error::Unsavable {
            path: path.to_owned(),
            name: Some(column.name.clone()),
            dtype: column.dtype.to_string(),
            hint: if column.dtype.swapped().is_some() {
                "it has big-endian byte order; convert it first, with NumPy: \
                 .astype(x.dtype.newbyteorder(\"=\"))"
            } else {
                "convert it, or save its bytes: view.reinterpret(\"uint8\")"
            },
        };
        if column.name == METADATA {
            return Err(Error::ReservedName { path: path.to_owned(), name: METADATA });
        }
        let dtype = TensorDType::of_view(&column.dtype).ok_or_else(unsavable)?;
        let shape = DTYPES[dtype].tensor_shape(&column.shape).ok_or_else(unsavable)?;
        Ok((column, dtype, shape))
    };
    let columns = columns.enumerate().map(|(at, column)| Ok((at, dtype_of(column)?)));
    let mut columns = room::try_list_of::<_, Error>(columns)?;
    // The format's order: the widest first, so that each is aligned. No two have one name.
    columns.sort_unstable_by(|(_, (a, a_dtype, _)), (_, (b, b_dtype, _))| {
        b_dtype.cmp(a_dtype).then(a.name.cmp(&b.name))
    });
    let mut text = JsonText { bytes: vec![], path };
    // The length of the header comes first.
    text.add(&[0; size_of::<u64>()])?;
    text.add(b"{")?;
    if !metadata.is_empty() {
        text.key(METADATA)?;
        text.add(b"{")?;
        for (key, value) in metadata {
            text.key(key)?;
            text.value(value)?;
        }
        text.add(b"}")?;
    }
    let (mut end, mut order) = (0usize, vec![]);
    for (at, (column, dtype, shape)) in columns {
        let start = end;
        let elements: usize = column.shape.iter().product();
        end = end.saturating_add(elements * column.dtype.itemsize());
        text.key(&column.name)?;
        text.value(&Info { dtype: DTYPES[dtype].name, shape, data_offsets: (start, end) })?;
        room::push(&mut order, at)?;
    }
    text.add(b"}")?;
    let mut bytes = text.bytes;
    let len = bytes.len().next_multiple_of(HEADER_ALIGNMENT);
    room::resize(&mut bytes, len, b' ')?;
    let header_len = (len - size_of::<u64>()) as u64;
    check_len(path, header_len)?;
    bytes[..size_of::<u64>()].copy_from_slice(&header_len.to_le_bytes());
    Ok((bytes, order))
}

/// Refuses a header that is too long for readers.
fn check_len(path: &Path, got: u64) -> Result<()> {
    if got <= MAX_HEADER_BYTES {
        return Ok(());
    }
    Err(Error::UnreadableHeader { path: path.to_owned(), got, max: MAX_HEADER_BYTES })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_no_reader_would_take_is_not_written() {
        let path = Path::new("a.safetensors");
        check_len(path, MAX_HEADER_BYTES).unwrap();
        assert_eq!(
            check_len(path, MAX_HEADER_BYTES + 8).unwrap_err().to_string(),
            "a.safetensors: names, shapes and metadata take a header of 100000008 bytes, expected \
             at most 100000000, which is as much as readers take; save the arrays to several files"
        );
    }
}
