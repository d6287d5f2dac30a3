//! The header of a `.safetensors` file, as the crate that defines the format writes it: the other way of `safetensors.rs`.

use std::io;
use std::path::Path;

use ndlens_core::DType;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::safetensors::{MAX_HEADER_BYTES, METADATA};
use crate::tensor_dtype::{DTYPES, TensorDType};

/// Headers are padded to this with spaces, so that the data is aligned.
const HEADER_ALIGNMENT: usize = 8;

/// An array to be, as its views have it.
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

/// The start of a file that holds these, up to its data, and the places of the columns as they follow.
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
                "it has big-endian byte order; convert it first, with NumPy: .astype(x.dtype.newbyteorder(\"=\"))"
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
    let mut columns =
        columns.enumerate().map(|(at, column)| Ok((at, dtype_of(column)?))).collect::<Result<Vec<_>>>()?;
    // The format's own order: the widest first, so that each is aligned.
    columns
        .sort_by(|(_, (a, a_dtype, _)), (_, (b, b_dtype, _))| b_dtype.cmp(a_dtype).then(a.name.cmp(&b.name)));
    let mut text = Text { bytes: b"{".to_vec(), path };
    if !metadata.is_empty() {
        text.key(METADATA)?;
        text.bytes.push(b'{');
        for (key, value) in metadata {
            text.key(key)?;
            text.value(value)?;
        }
        text.bytes.push(b'}');
    }
    let (mut end, mut order) = (0usize, vec![]);
    for (at, (column, dtype, shape)) in columns {
        let start = end;
        let elements: usize = column.shape.iter().product();
        end = end.saturating_add(elements * column.dtype.itemsize());
        text.key(&column.name)?;
        text.value(&Info { dtype: DTYPES[dtype].name, shape, data_offsets: (start, end) })?;
        order.push(at);
    }
    text.bytes.push(b'}');
    let mut text = text.bytes;
    text.resize(text.len().next_multiple_of(HEADER_ALIGNMENT), b' ');
    check_len(path, text.len() as u64)?;
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.append(&mut text);
    Ok((bytes, order))
}

/// Refuses what no reader would take.
fn check_len(path: &Path, got: u64) -> Result<()> {
    if got <= MAX_HEADER_BYTES {
        return Ok(());
    }
    Err(Error::UnreadableHeader { path: path.to_owned(), got, max: MAX_HEADER_BYTES })
}

/// JSON that grows.
struct Text<'a> {
    bytes: Vec<u8>,
    path: &'a Path,
}

impl Text<'_> {
    fn key(&mut self, key: &str) -> Result<()> {
        if !self.bytes.ends_with(b"{") {
            self.bytes.push(b',');
        }
        self.value(key)?;
        self.bytes.push(b':');
        Ok(())
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<()> {
        let written = serde_json::to_writer(&mut self.bytes, value);
        written.map_err(|error| Error::Io { path: self.path.to_owned(), source: io::Error::from(error) })
    }
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
            "a.safetensors: names, shapes and metadata take a header of 100000008 bytes, expected at most 100000000, \
             which is as much as readers take; save the arrays to several files"
        );
    }
}
