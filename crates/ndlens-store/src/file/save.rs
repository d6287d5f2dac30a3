//! Saves arrays to files, which are replaced whole or not at all.
//!
//! A process that has the old file mapped keeps it, as a file without a name. So an array can be
//! saved to the file that it is a view of. After an error the new file is removed. A killed process
//! may leave a file whose name starts with a dot. `replacement.rs` lists the attributes of the old
//! file that are kept.
//!
//! Elements are written in pieces of a megabyte, gathered from any layout, so that no second copy
//! of an array is made.

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use ndlens_core::{DType, Index, Order, View, ViewRef, room, s};

use crate::error::{Error, Result};
use crate::file::replacement::Replacement;
use crate::file::shards::Shards;
use crate::format::json_text::JsonText;
use crate::format::npy::header as npy_header;
use crate::format::ragged_note::{self, Parts, RaggedNote};
use crate::format::safetensors::header::{self as safetensors_header, Column};

/// Bytes that are gathered before a write: enough that the call's cost is small, and less than the
/// second-level cache.
const CHUNK_BYTES: usize = 1 << 20;

/// Items of one dtype and rank, each of a shape of its own.
pub trait Items: Send + Sync {
    /// The number of items.
    fn len(&self) -> usize;

    /// Whether there is no item.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The dtype of the elements.
    fn dtype(&self) -> &DType;

    /// The number of axes of each item.
    fn ndim(&self) -> usize;

    /// Item `index`, below `len`.
    ///
    /// # Errors
    ///
    /// The errors of its view.
    fn item(&self, index: usize) -> ndlens_core::Result<ViewRef<'_>>;
}

/// The contents of a name in a file.
#[derive(Clone)]
pub enum Named {
    /// One array.
    Array(View),
    /// Items of different sizes, saved one after the other.
    Items(Arc<dyn Items>),
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Named::Array(view) => f.debug_tuple("Array").field(view).finish(),
            Named::Items(items) => f.debug_tuple("Items").field(&items.len()).finish(),
        }
    }
}

impl From<View> for Named {
    fn from(view: View) -> Self {
        Named::Array(view)
    }
}

/// The contents to save.
#[derive(Debug)]
pub enum Contents {
    /// Items one after the other along axis 0; of one view, whatever its rank.
    Array(Vec<View>),
    /// Items of different sizes, without a name.
    Items(Named),
    /// Arrays by name.
    Arrays(Vec<(String, Named)>),
}

/// The name of a set of items that was saved without one.
const WHOLE: &str = "items";

/// Saves in the format that the path's suffix names. `metadata` are strings that a `.safetensors`
/// holds beside its arrays.
///
/// # Errors
///
/// [`Error::UnknownSuffix`], [`Error::WrongContents`], [`Error::NoMetadata`], and the errors of
/// [`save_npy`] or [`save_tensors`].
pub fn save(path: &Path, contents: &Contents, metadata: &[(String, String)]) -> Result<()> {
    let has = |suffix| path.extension().is_some_and(|its| its.eq_ignore_ascii_case(suffix));
    let wrong = |suffix, holds, got| {
        Err(Error::WrongContents { path: path.to_owned(), suffix, holds, got })
    };
    match contents {
        Contents::Array(_) if has("npy") && !metadata.is_empty() => {
            Err(Error::NoMetadata { path: path.to_owned() })
        }
        Contents::Array(parts) if has("npy") => save_npy(path, parts),
        Contents::Arrays(arrays) if has("safetensors") => save_tensors(path, arrays, metadata),
        Contents::Items(items) if has("safetensors") => {
            save_columns(path, &[(WHOLE.to_owned(), items.clone())], metadata, Some(WHOLE))
        }
        Contents::Array(_) if has("safetensors") => {
            wrong(".safetensors", "arrays by name", "one array: give it a name, {\"name\": array}")
        }
        Contents::Arrays(_) if has("npy") => wrong(".npy", "one array", "arrays by name"),
        Contents::Items(_) if has("npy") => {
            wrong(".npy", "one array", "several items: save them as .safetensors")
        }
        Contents::Array(_) | Contents::Arrays(_) | Contents::Items(_) => {
            Err(Error::UnknownSuffix { path: path.to_owned() })
        }
    }
}

/// Saves views as one array of a `.npy` file: in Fortran order if a single view is in that order,
/// otherwise in C order.
///
/// Several must be items of one shape and dtype, and come one after the other along axis 0.
///
/// # Errors
///
/// [`Error::Unsavable`] for a dtype that NumPy's format has no name for; [`Error::Io`],
/// [`Error::NotRegular`], [`Error::NoNewFile`], [`Error::OwnerLost`] and [`Error::AttributeLost`]
/// if no file can be written; the errors of [`Shards::of`] for several views, and of
/// [`Owner::verify`](ndlens_core::Owner::verify) for elements that cannot be read.
pub fn save_npy(path: &Path, parts: &[View]) -> Result<()> {
    let [first, ..] = parts else { return Err(Error::NoShards) };
    let (shape, order) = match parts {
        [view] if view.packed_order() == Order::F => (view.shape().to_vec(), Order::F),
        [view] => (view.shape().to_vec(), Order::C),
        several => (Shards::of(room::list_of(several.iter().cloned())?)?.shape(), Order::C),
    };
    let header =
        npy_header::header(first.dtype(), order, &shape).ok_or_else(|| Error::Unsavable {
            path: path.to_owned(),
            name: None,
            dtype: first.dtype().to_string(),
            hint: "save it as .safetensors, or its bytes: view.reinterpret(\"uint8\")",
        })?;
    replace(path, |file| {
        file.write(&header)?;
        for part in parts {
            match order {
                Order::C => file.write_elements(part)?,
                // Fortran order is C order with the axes reversed.
                Order::F => {
                    let axes: Vec<isize> = (0..part.ndim() as isize).rev().collect();
                    file.write_elements(&part.permute(&axes)?)?;
                }
            }
        }
        Ok(())
    })
}

/// Saves arrays by name as a `.safetensors` file, each in C order.
///
/// # Errors
///
/// As [`save_tensors`].
pub fn save_safetensors(path: &Path, arrays: &[(String, View)]) -> Result<()> {
    let arrays: Vec<_> =
        arrays.iter().map(|(name, view)| (name.clone(), view.clone().into())).collect();
    save_tensors(path, &arrays, &[])
}

/// Saves arrays and sets of items by name as a `.safetensors` file, with these strings beside them.
///
/// # Errors
///
/// [`Error::Unsavable`] for a dtype that the format has no name for, [`Error::DuplicateName`],
/// [`Error::ReservedName`], [`Error::ReservedKey`], [`Error::UnreadableHeader`]; otherwise as
/// [`save_npy`].
pub fn save_tensors(
    path: &Path,
    arrays: &[(String, Named)],
    metadata: &[(String, String)],
) -> Result<()> {
    save_columns(path, arrays, metadata, None)
}

fn save_columns(
    path: &Path,
    arrays: &[(String, Named)],
    metadata: &[(String, String)],
    whole: Option<&str>,
) -> Result<()> {
    if metadata.iter().any(|(key, _)| key == ragged_note::KEY) {
        return Err(Error::ReservedKey { path: path.to_owned(), key: ragged_note::KEY });
    }
    let sets = arrays.iter().filter(|(_, named)| matches!(named, Named::Items(_)));
    let note = RaggedNote::new(whole, sets.map(|(name, _)| name.as_str()))?;
    let mut all = room::with_room_for(metadata.len() + 1)?;
    for pair in metadata {
        room::push(&mut all, pair.clone())?;
    }
    if !note.ragged.is_empty() {
        let mut text = JsonText { bytes: vec![], path };
        text.value(&note)?;
        // JSON is UTF-8.
        let text = String::from_utf8(text.bytes).unwrap_or_default();
        all.push((ragged_note::KEY.to_owned(), text));
    }
    // A set is three tensors.
    let mut columns: Vec<(Column, Elements)> =
        room::with_room_for(arrays.len() + 2 * note.ragged.len())?;
    for (name, named) in arrays {
        room::check()?;
        let column = |name: &str, view: &View| {
            (
                Column {
                    name: name.to_owned(),
                    dtype: view.dtype().clone(),
                    shape: view.shape().to_vec(),
                },
                Elements::View(view.clone()),
            )
        };
        match named {
            Named::Array(view) => columns.push(column(name, view)),
            Named::Items(items) => {
                let Parts { data, offsets, shapes } = Parts::of(name);
                let (starts, sizes) = offsets_and_shapes(&**items)?;
                let elements = starts.last().copied().unwrap_or(0) as usize;
                let rank = items.ndim();
                let dtype = items.dtype().clone();
                let items_column = Column { name: data, dtype, shape: vec![elements] };
                columns.push((items_column, Elements::Items(Arc::clone(items))));
                columns.push(column(&offsets, &View::from_vec(starts)));
                let rows = items.len() as isize;
                columns
                    .push(column(&shapes, &View::from_vec(sizes).reshape(&[rows, rank as isize])?));
            }
        }
    }
    let mut names = room::list_of(columns.iter().map(|(column, _)| column.name.as_str()))?;
    names.sort_unstable();
    let own = arrays.iter().filter(|(_, named)| matches!(named, Named::Array(_)));
    let mut own_names = room::list_of(own.map(|(name, _)| name.as_str()))?;
    own_names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
    // A set's own name is not a tensor in the file, but no array beside the set may have it.
    let hidden = || note.ragged.names().find(|name| own_names.binary_search(name).is_ok());
    if let Some(name) = twice.or_else(hidden) {
        return Err(Error::DuplicateName { path: path.to_owned(), name: name.to_owned() });
    }
    let (header, order) =
        safetensors_header::header(path, columns.iter().map(|(column, _)| column), &all)?;
    replace(path, |file| {
        file.write(&header)?;
        order.into_iter().try_for_each(|at| match &columns[at].1 {
            Elements::View(view) => file.write_elements(view),
            Elements::Items(items) => (0..items.len()).try_for_each(|at| {
                let item = items.item(at)?;
                let view =
                    View::new(item.buffer().clone(), item.layout().clone(), item.dtype().clone())?;
                file.write_elements(&view)
            }),
        })
    })
}

/// The source of a column's elements.
enum Elements {
    View(View),
    Items(Arc<dyn Items>),
}

/// The start of each item and the end of the last, in elements; and the sizes of all items.
fn offsets_and_shapes(items: &dyn Items) -> Result<(Vec<i64>, Vec<i64>)> {
    let (mut starts, mut sizes, mut end) = (vec![], vec![], 0i64);
    room::push(&mut starts, 0)?;
    for at in 0..items.len() {
        let item = items.item(at)?;
        for &size in item.shape() {
            room::push(&mut sizes, size as i64)?;
        }
        let overflow = || ndlens_core::Error::SizeOverflow {
            shape: item.shape().to_vec(),
            itemsize: items.dtype().itemsize(),
        };
        end = end.checked_add(item.layout().len() as i64).ok_or_else(overflow)?;
        room::push(&mut starts, end)?;
    }
    Ok((starts, sizes))
}

/// The file that is being written, under the name it will have.
struct Writing<'a> {
    file: &'a File,
    path: &'a Path,
    /// Gathered bytes that are not written yet, a chunk at most.
    chunk: Vec<u8>,
}

impl Writing<'_> {
    fn flush(&mut self) -> Result<()> {
        let written = self.file.write_all(&self.chunk);
        self.chunk.clear();
        written.map_err(|source| Error::Io { path: self.path.to_owned(), source })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.room_for(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Memory for `nbytes` more bytes of the chunk. If it would grow beyond a chunk, its bytes are
    /// written first.
    fn room_for(&mut self, nbytes: usize) -> Result<&mut [u8]> {
        if self.chunk.len().saturating_add(nbytes) > CHUNK_BYTES {
            self.flush()?;
        }
        let start = self.chunk.len();
        room::resize(&mut self.chunk, start + nbytes, 0)?;
        Ok(&mut self.chunk[start..])
    }

    /// The elements in C order.
    fn write_elements(&mut self, view: &View) -> Result<()> {
        let nbytes = view.nbytes();
        let rows = view.shape().first().copied().unwrap_or(0);
        if nbytes <= CHUNK_BYTES || rows == 0 {
            return Ok(view.read_into(self.room_for(nbytes)?)?);
        }
        match CHUNK_BYTES / (nbytes / rows) {
            0 => (0..rows as isize)
                .try_for_each(|row| self.write_elements(&view.index(&[Index::At(row)])?)),
            step => (0..rows).step_by(step).try_for_each(|row| {
                let end = row.saturating_add(step).min(rows);
                self.write_elements(&view.index(&[s(row as isize..end as isize)])?)
            }),
        }
    }
}

/// Replaces the file at `path` by one that `write` writes.
fn replace(path: &Path, write: impl FnOnce(&mut Writing<'_>) -> Result<()>) -> Result<()> {
    let replacement = Replacement::new(path)?;
    let mut writing = Writing { file: replacement.file(), path, chunk: Vec::new() };
    write(&mut writing)?;
    writing.flush()?;
    replacement.finish()
}
