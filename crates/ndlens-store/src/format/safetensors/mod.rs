//! `.safetensors` files: named tensors, in C order, one after the other.
//!
//! ```text
//!  0        8                                                                        8 + n
//!  |n as u64|{"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..}   |w.......|b...|
//! ```
//!
//! [The format](https://github.com/huggingface/safetensors#format) has neither gaps nor overlaps
//! nor bytes after the last tensor, so that a file has no hidden bytes; other files are refused. A
//! dtype that no view has is an error of its tensor alone, and its bytes are still available.
//!
//! # Rationale
//!
//! The `safetensors` crate reads a header out of a `&[u8]` of the whole file, which is not allowed
//! over a map: other processes can change those bytes. It also takes 16 times a header's memory. So
//! the header is read through the file, and its entries are kept in a few vectors, in the header's
//! order.

mod dtype;
pub(crate) mod header;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::Path;

use ndlens_core::{DType, Layout, Order, room};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use crate::error::{Error, Result, Shown, TensorProblem};
use crate::format::json_pairs::each_pair;
use crate::format::names::NameList;
use crate::format::placement::Placement;
use crate::format::safetensors::dtype::{DTYPES, TensorDType};
use crate::os::reading::{Section, read_fully};

/// Bytes of the header's length.
const LENGTH_BYTES: u64 = 8;

/// The longest header the format allows.
pub(crate) const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The key that is not a tensor's.
pub(crate) const METADATA: &str = "__metadata__";

/// More axes than any view has, so that the error of a shape is the core's.
const MAX_SIZES: usize = 1024;

/// Whether a file with these first bytes is a `.safetensors`.
pub(crate) fn is_start(bytes: &[u8; 9]) -> bool {
    let [length @ .., brace] = *bytes;
    brace == b'{' && u64::from_le_bytes(length) <= MAX_HEADER_BYTES
}

/// A header's entry for one tensor.
#[derive(Debug, Deserialize)]
struct Tensor<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Sizes,
    data_offsets: (usize, usize),
}

#[derive(Debug)]
struct Sizes(Vec<usize>);

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sequence;

        impl<'de> Visitor<'de> for Sequence {
            type Value = Sizes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sequence")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Sizes, A::Error> {
                let mut sizes = vec![];
                while let Some(size) = sequence.next_element()? {
                    if sizes.len() == MAX_SIZES {
                        return Err(de::Error::invalid_length(MAX_SIZES + 1, &"a shape"));
                    }
                    sizes.push(size);
                }
                Ok(Sizes(sizes))
            }
        }

        deserializer.deserialize_seq(Sequence)
    }
}

/// One tensor, in few bytes.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// A place in [`DTYPES`], or beyond them one in `others`.
    dtype: usize,
    /// The end of its sizes in the list of all sizes.
    sizes_end: usize,
    start: usize,
    end: usize,
}

/// The entries of a header, in its order.
#[derive(Debug, Default)]
struct Header {
    names: NameList,
    entries: Vec<Entry>,
    sizes: Vec<usize>,
    /// Names of unknown dtypes.
    others: NameList,
    /// The text of an object of strings.
    metadata: Option<Box<str>>,
}

/// Fills a header; keeps the core's error if there is no memory, which JSON's errors cannot carry.
struct Filling<'a> {
    header: &'a mut Header,
    failed: &'a mut Option<ndlens_core::Error>,
}

/// A key: pushed to the names, unless it is the metadata's.
struct Key<'a, 'b>(&'a mut Filling<'b>);

enum KeyOf {
    Metadata,
    Tensor,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = KeyOf;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<KeyOf, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_, '_> {
    type Value = KeyOf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<KeyOf, E> {
        if name == METADATA {
            return Ok(KeyOf::Metadata);
        }
        let pushed = self.0.header.names.push(name);
        self.0.keep(pushed).map(|()| KeyOf::Tensor)
    }
}

impl Filling<'_> {
    fn keep<T, E: de::Error>(&mut self, result: ndlens_core::Result<T>) -> Result<T, E> {
        result.map_err(|error| {
            let text = E::custom(&error);
            *self.failed = Some(error);
            text
        })
    }

    fn take<E: de::Error>(&mut self, tensor: &Tensor<'_>) -> Result<(), E> {
        let dtype = if let Some(known) = TensorDType::find(&tensor.dtype) {
            known
        } else {
            let pushed = self.header.others.push(&tensor.dtype);
            self.keep(pushed)?;
            DTYPES.len() + self.header.others.len() - 1
        };
        let sizes = &mut self.header.sizes;
        let pushed = tensor.shape.0.iter().try_for_each(|&size| room::push(sizes, size));
        let (start, end) = tensor.data_offsets;
        let entry = Entry { dtype, sizes_end: sizes.len(), start, end };
        let pushed = pushed.and_then(|()| room::push(&mut self.header.entries, entry));
        self.keep(pushed)
    }
}

impl<'de> DeserializeSeed<'de> for Filling<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Filling<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key(&mut self))? {
            match key {
                KeyOf::Metadata if self.header.metadata.is_some() => {
                    return Err(de::Error::duplicate_field(METADATA));
                }
                KeyOf::Metadata => {
                    let text: &RawValue = map.next_value()?;
                    if text.get() != "null" {
                        let object = each_pair(text.get(), |_, _| ());
                        object.map_err(|_| {
                            de::Error::custom(format_args!("{METADATA} is no object of strings"))
                        })?;
                        let text = copied(text.get());
                        self.header.metadata = Some(self.keep(text)?);
                    }
                }
                KeyOf::Tensor => {
                    let name = |error: A::Error, names: &NameList| {
                        let name = names.get(names.len() - 1);
                        de::Error::custom(format_args!("tensor {}: {error}", Shown(name)))
                    };
                    let tensor: Tensor<'_> =
                        map.next_value().map_err(|error| name(error, &self.header.names))?;
                    self.take(&tensor)?;
                }
            }
        }
        Ok(())
    }
}

fn copied(text: &str) -> ndlens_core::Result<Box<str>> {
    let mut copy = String::new();
    let out_of_memory = |_| ndlens_core::Error::OutOfMemory { len_bytes: text.len() };
    copy.try_reserve_exact(text.len()).map_err(out_of_memory)?;
    copy.push_str(text);
    Ok(copy.into_boxed_str())
}

/// The tensors of a file.
#[derive(Debug)]
pub(crate) struct Tensors {
    header: Header,
    /// Places in the header, in the order of the tensors in the file.
    order: Vec<u32>,
    data_start: usize,
    end: usize,
}

impl Tensors {
    /// The tensors of a file of `file_len` bytes.
    pub(crate) fn read(mut file: Section<'_>, path: &Path, file_len: u64) -> Result<Self> {
        let io = |source: io::Error| Error::Io { path: path.to_owned(), source };
        let truncated =
            |got, expected| Error::HeaderTruncated { path: path.to_owned(), got, expected };
        let mut length = [0; LENGTH_BYTES as usize];
        let there = read_fully(&mut file, &mut length).map_err(io)? as u64;
        if there < LENGTH_BYTES {
            return Err(truncated(there, LENGTH_BYTES));
        }
        let len = u64::from_le_bytes(length);
        if len > MAX_HEADER_BYTES {
            return Err(Error::HeaderTooLong {
                path: path.to_owned(),
                got: len,
                max: MAX_HEADER_BYTES,
            });
        }
        let data_start = LENGTH_BYTES + len;
        if file_len < data_start {
            return Err(truncated(file_len, data_start));
        }
        let mut text = room::repeated(0u8, len as usize)?;
        let there = read_fully(&mut file, &mut text).map_err(io)? as u64;
        if there < len {
            return Err(truncated(LENGTH_BYTES + there, data_start));
        }
        let mut header = Header::parse(&text, path)?;
        drop(text);
        if let Some(name) = header.names.index()? {
            return Err(Error::DuplicateName { path: path.to_owned(), name: name.to_owned() });
        }
        // As many as names, whose count fits.
        let mut order = room::list_of(0..header.entries.len() as u32)?;
        order.sort_unstable_by_key(|&at| {
            let entry = &header.entries[at as usize];
            (entry.start, entry.end, at)
        });
        let mut data_len = 0usize;
        for &at in &order {
            let at = at as usize;
            let Entry { start, end, .. } = header.entries[at];
            let bad = |problem| Error::BadTensor {
                path: path.to_owned(),
                name: header.names.get(at).to_owned(),
                problem: Box::new(problem),
            };
            if start != data_len || end < start {
                return Err(bad(TensorProblem::Place { start, end, expected: data_len }));
            }
            if let Some(expected) = header.nbytes(at).map_err(bad)?
                && end - start != expected
            {
                let (shape, dtype) = (header.shape(at).to_vec(), header.dtype_name(at).to_owned());
                return Err(bad(TensorProblem::Size { got: end - start, expected, shape, dtype }));
            }
            data_len = end;
        }
        let expected = data_start.saturating_add(data_len as u64);
        if file_len != expected {
            return Err(Error::FileSize { path: path.to_owned(), got: file_len, expected });
        }
        Ok(Tensors { header, order, data_start: data_start as usize, end: expected as usize })
    }

    /// The byte after the last tensor.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// The names, in the order of the tensors in the file.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.order.iter().map(|&at| self.header.names.get(at as usize))
    }

    /// The place of a tensor in the header, which other functions take.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.header.names.find(name)
    }

    /// The name of its dtype in the header.
    pub(crate) fn dtype_name(&self, at: usize) -> &str {
        self.header.dtype_name(at)
    }

    /// Its shape in the header.
    pub(crate) fn shape(&self, at: usize) -> &[usize] {
        self.header.shape(at)
    }

    /// The place of a tensor in the file.
    pub(crate) fn place(&self, at: usize) -> Result<Placement, TensorProblem> {
        let no_view = || TensorProblem::DType { dtype: self.dtype_name(at).to_owned() };
        let row = DTYPES.get(self.header.entries[at].dtype).ok_or_else(no_view)?;
        let dtype = row.view.clone().ok_or_else(no_view)?;
        let shape = self.shape(at);
        let odd = || TensorProblem::OddPairs { shape: shape.to_vec() };
        let view = row.view_shape(shape).ok_or_else(odd)?;
        let start = self.data_start + self.header.entries[at].start;
        Placement::packed(dtype, &view, Order::C, start)
            .map_err(|source| TensorProblem::Shape { source: Box::new(source) })
    }

    /// The place of a tensor's bytes in the file, for any dtype.
    pub(crate) fn bytes_place(&self, at: usize) -> Result<Placement, TensorProblem> {
        let Entry { start, end, .. } = self.header.entries[at];
        Placement::packed(DType::U8, &[end - start], Order::C, self.data_start + start)
            .map_err(|source| TensorProblem::Shape { source: Box::new(source) })
    }

    /// The strings that the header holds beside the tensors.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if there is no memory for the list.
    pub(crate) fn metadata(&self) -> Result<Vec<(String, String)>> {
        let (mut pairs, mut pushed) = (vec![], Ok(()));
        self.each_metadata(|key, value| {
            if pushed.is_ok() {
                pushed = room::push(&mut pairs, (key, value));
            }
        });
        pushed?;
        Ok(pairs)
    }

    /// The metadata string of one key.
    pub(crate) fn metadata_of(&self, key: &str) -> Option<String> {
        // Most files have none.
        self.header.metadata.as_deref().filter(|text| text.contains(key))?;
        let mut found = None;
        self.each_metadata(|name, value| {
            if name == key {
                found = Some(value);
            }
        });
        found
    }

    fn each_metadata(&self, take: impl FnMut(String, String)) {
        let text = self.header.metadata.as_deref().unwrap_or("{}");
        // It was an object of strings when the header was parsed.
        let _ = each_pair(text, take);
    }
}

impl Header {
    fn parse(text: &[u8], path: &Path) -> Result<Self> {
        let (mut header, mut failed) = (Header::default(), None);
        let mut json = serde_json::Deserializer::from_slice(text);
        let parsed = Filling { header: &mut header, failed: &mut failed }.deserialize(&mut json);
        match (parsed.and_then(|()| json.end()), failed) {
            (Ok(()), _) => Ok(header),
            (Err(_), Some(failed)) => Err(failed.into()),
            (Err(source), None) => Err(Error::BadJson { path: path.to_owned(), source }),
        }
    }

    fn shape(&self, at: usize) -> &[usize] {
        let start = at.checked_sub(1).map_or(0, |before| self.entries[before].sizes_end);
        &self.sizes[start..self.entries[at].sizes_end]
    }

    fn dtype_name(&self, at: usize) -> &str {
        let dtype = self.entries[at].dtype;
        DTYPES.get(dtype).map_or_else(|| self.others.get(dtype - DTYPES.len()), |row| row.name)
    }

    /// The bytes of a tensor; None if its dtype is unknown.
    fn nbytes(&self, at: usize) -> Result<Option<usize>, TensorProblem> {
        let Some(row) = DTYPES.get(self.entries[at].dtype) else { return Ok(None) };
        let shape = self.shape(at);
        let itemsize = row.view.as_ref().map_or(1, DType::itemsize);
        let packed = Layout::contiguous(shape, itemsize, Order::C)
            .map_err(|source| TensorProblem::Shape { source: Box::new(source) })?;
        let bits = || TensorProblem::Bits { shape: shape.to_vec(), dtype: row.name };
        row.nbytes(packed.len()).map(Some).ok_or_else(bits)
    }
}
