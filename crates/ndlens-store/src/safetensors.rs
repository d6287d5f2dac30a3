//! `.safetensors` files: named tensors, in C order, one after the other.
//!
//! ```text
//!  0        8                                                                        8 + n
//!  |n as u64|{"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..}   |w.......|b...|
//! ```
//!
//! [The format](https://github.com/huggingface/safetensors#format) has neither gaps nor overlaps nor bytes after the last tensor,
//! so that nothing can hide in a file; one that has is refused. A dtype that we have no name for is an error of its tensor alone.
//!
//! # Rationale
//!
//! The `safetensors` crate reads a header out of a `&[u8]` of the whole file, which may not be formed over a map: others can change
//! those bytes. So the header is read through the file, and only the crate's types are used.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;

use ndlens_core::{DType, Layout, Order, View};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use crate::error::{Error, Result, Shown, TensorProblem};
use crate::placement::{Placement, Section, read_fully};

/// Bytes of the header's length.
const LENGTH_BYTES: u64 = 8;

/// The longest header the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The key that is no tensor's.
const METADATA: &str = "__metadata__";

/// Headers are padded to this with spaces, so that the data is aligned.
const HEADER_ALIGNMENT: usize = 8;

const DTYPES: [(Dtype, DType); 19] = [
    (Dtype::BOOL, DType::Bool),
    (Dtype::U8, DType::U8),
    (Dtype::I8, DType::I8),
    (Dtype::U16, DType::U16),
    (Dtype::I16, DType::I16),
    (Dtype::U32, DType::U32),
    (Dtype::I32, DType::I32),
    (Dtype::U64, DType::U64),
    (Dtype::I64, DType::I64),
    (Dtype::F16, DType::F16),
    (Dtype::BF16, DType::Bf16),
    (Dtype::F32, DType::F32),
    (Dtype::F64, DType::F64),
    (Dtype::C64, DType::C64),
    (Dtype::F8_E4M3, DType::F8E4M3FN),
    (Dtype::F8_E5M2, DType::F8E5M2),
    (Dtype::F8_E4M3FNUZ, DType::F8E4M3FNUZ),
    (Dtype::F8_E5M2FNUZ, DType::F8E5M2FNUZ),
    (Dtype::F8_E8M0, DType::F8E8M0FNU),
];

/// Whether a file that starts so is one.
pub(crate) fn is_start(bytes: &[u8; 9]) -> bool {
    let [length @ .., brace] = *bytes;
    brace == b'{' && u64::from_le_bytes(length) <= MAX_HEADER_BYTES
}

/// A dtype the crate knows, or the name of another.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Named {
    Known(Dtype),
    Other(String),
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Known(dtype) => dtype.fmt(f),
            Named::Other(name) => f.write_str(name),
        }
    }
}

/// What a header says of one tensor.
#[derive(Debug, Deserialize)]
pub(crate) struct Tensor {
    dtype: Named,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

/// What a header says, in its order, repetitions and all.
struct Header(Vec<(String, Tensor)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut tensors = vec![];
                while let Some(name) = map.next_key::<String>()? {
                    if name == METADATA {
                        map.next_value::<HashMap<String, String>>()?;
                    } else {
                        let tensor = map.next_value().map_err(|error: A::Error| {
                            de::Error::custom(format_args!("tensor {}: {error}", Shown(&name)))
                        })?;
                        tensors.push((name, tensor));
                    }
                }
                Ok(Header(tensors))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// The tensors of a file, as they follow each other in it.
#[derive(Debug)]
pub(crate) struct Tensors {
    /// What the header says of each.
    said: Vec<Tensor>,
    data_start: usize,
    end: usize,
}

impl Tensors {
    /// The tensors and their names, of a file of `file_len` bytes.
    pub(crate) fn read(mut file: Section<'_>, path: &Path, file_len: u64) -> Result<(Self, Vec<String>)> {
        let io = |source: io::Error| Error::Io { path: path.to_owned(), source };
        let truncated = |got, expected| Error::HeaderTruncated { path: path.to_owned(), got, expected };
        let mut length = [0; LENGTH_BYTES as usize];
        let there = read_fully(&mut file, &mut length).map_err(io)? as u64;
        if there < LENGTH_BYTES {
            return Err(truncated(there, LENGTH_BYTES));
        }
        let len = u64::from_le_bytes(length);
        if len > MAX_HEADER_BYTES {
            return Err(Error::HeaderTooLong { path: path.to_owned(), got: len, max: MAX_HEADER_BYTES });
        }
        let data_start = LENGTH_BYTES + len;
        if file_len < data_start {
            return Err(truncated(file_len, data_start));
        }
        let mut text = vec![0; len as usize];
        let there = read_fully(&mut file, &mut text).map_err(io)? as u64;
        if there < len {
            return Err(truncated(LENGTH_BYTES + there, data_start));
        }
        let header: Header = serde_json::from_slice(&text)
            .map_err(|source| Error::BadJson { path: path.to_owned(), source })?;
        let mut tensors = header.0;
        tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);

        let mut data_len = 0;
        for (name, tensor) in &tensors {
            let bad = |problem: TensorProblem| {
                let (path, name) = (path.to_owned(), name.clone());
                Error::BadTensor { path, name, problem: Box::new(problem) }
            };
            let (start, end) = tensor.data_offsets;
            if start != data_len || end < start {
                return Err(bad(TensorProblem::Place { start, end, expected: data_len }));
            }
            if let Some(expected) = tensor.nbytes().map_err(bad)?
                && end - start != expected
            {
                let (shape, dtype) = (tensor.shape.clone(), tensor.dtype.to_string());
                return Err(bad(TensorProblem::Size { got: end - start, expected, shape, dtype }));
            }
            data_len = end;
        }
        let expected = data_start.saturating_add(data_len as u64);
        if file_len != expected {
            return Err(Error::FileSize { path: path.to_owned(), got: file_len, expected });
        }
        let (names, said) = tensors.into_iter().unzip();
        Ok((Tensors { said, data_start: data_start as usize, end: expected as usize }, names))
    }

    /// The byte after the last tensor.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    /// Where the tensor at a place is in the file.
    pub(crate) fn place(&self, at: usize) -> Result<Placement, TensorProblem> {
        let tensor = &self.said[at];
        let dtype = tensor.dtype().ok_or_else(|| TensorProblem::DType { dtype: tensor.dtype.to_string() })?;
        let start = self.data_start + tensor.data_offsets.0;
        Placement::packed(dtype.clone(), &tensor.shape, Order::C, start).map_err(no_view)
    }
}

fn no_view(source: ndlens_core::Error) -> TensorProblem {
    TensorProblem::Shape { source: Box::new(source) }
}

impl Tensor {
    fn dtype(&self) -> Option<&'static DType> {
        let Named::Known(known) = &self.dtype else { return None };
        DTYPES.iter().find(|(its, _)| its == known).map(|(_, ours)| ours)
    }

    /// The bytes it takes; None where only a reader that knows its dtype can say.
    fn nbytes(&self) -> Result<Option<usize>, TensorProblem> {
        let Some(dtype) = self.dtype() else { return Ok(None) };
        let packed = Layout::contiguous(&self.shape, dtype.itemsize(), Order::C).map_err(no_view)?;
        Ok(Some(packed.len() * dtype.itemsize()))
    }
}

/// The start of a file that holds these, up to its data, and the order in which they follow.
///
/// # Errors
///
/// [`Error::Unsavable`] and [`Error::ReservedName`].
pub(crate) fn header<'a>(path: &Path, tensors: &'a [(String, View)]) -> Result<(Vec<u8>, Vec<&'a View>)> {
    let dtype_of = |(name, view): &'a (String, View)| {
        let known = DTYPES.iter().find(|(_, ours)| ours == view.dtype()).map(|(its, _)| *its);
        let unsavable = || Error::Unsavable {
            path: path.to_owned(),
            name: Some(name.clone()),
            dtype: view.dtype().to_string(),
            hint: if view.dtype().swapped().is_some() {
                "it has big-endian byte order; convert it first, with NumPy: .astype(x.dtype.newbyteorder(\"=\"))"
            } else {
                "convert it, or save its bytes: view.reinterpret(\"uint8\")"
            },
        };
        if name == METADATA {
            return Err(Error::ReservedName { path: path.to_owned(), name: METADATA });
        }
        Ok((name, view, known.ok_or_else(unsavable)?))
    };
    let mut tensors = tensors.iter().map(dtype_of).collect::<Result<Vec<_>>>()?;
    // The format's own order: the widest first, so that each is aligned.
    tensors.sort_by(|(a_name, _, a), (b_name, _, b)| b.cmp(a).then(a_name.cmp(b_name)));
    let mut end = 0usize;
    let info = |(name, view, dtype): &(&String, &View, Dtype)| {
        let start = end;
        end = end.saturating_add(view.nbytes());
        let info = TensorInfo { dtype: *dtype, shape: view.shape().to_vec(), data_offsets: (start, end) };
        ((*name).clone(), info)
    };
    let infos = tensors.iter().map(info).collect();
    let metadata = Metadata::new(None, infos).map_err(|error| io::Error::other(error.to_string()));
    let text = metadata.and_then(|metadata| Ok(serde_json::to_vec(&metadata)?));
    let mut text = text.map_err(|source| Error::Io { path: path.to_owned(), source })?;
    text.resize(text.len().next_multiple_of(HEADER_ALIGNMENT), b' ');
    let mut start = (text.len() as u64).to_le_bytes().to_vec();
    start.append(&mut text);
    Ok((start, tensors.into_iter().map(|(_, view, _)| view).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_has_the_size_the_format_gives_it() {
        for (its, ours) in &DTYPES {
            assert_eq!(its.bitsize(), 8 * ours.itemsize(), "{its}");
        }
    }
}
