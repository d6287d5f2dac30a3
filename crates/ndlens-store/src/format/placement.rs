//! The place of an array in a file, before it is mapped or read.

use std::fs::File;
use std::path::Path;

use ndlens_core::{Buffer, DType, Layout, Order, View};

use crate::error::{Error, Result};
use crate::os::reading::{self, Section};

/// An array's elements, as bytes of its file.
///
/// ```text
///  file    |..........|element 0|element 1|....|last element|......|
///          0          ^offset                               ^end
/// ```
///
/// The range of an array without elements is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placement {
    dtype: DType,
    shape: Vec<usize>,
    strides: Vec<isize>,
    /// The lowest byte.
    start: usize,
    /// The first element's first byte.
    offset: usize,
    end: usize,
}

impl Placement {
    /// Elements packed from byte `start` on.
    pub(crate) fn packed(
        dtype: DType,
        shape: &[usize],
        order: Order,
        start: usize,
    ) -> ndlens_core::Result<Self> {
        let packed = Layout::contiguous(shape, dtype.itemsize(), order)?;
        let nbytes = packed.len() * dtype.itemsize();
        let overflow = || ndlens_core::Error::SizeOverflow {
            shape: shape.to_vec(),
            itemsize: dtype.itemsize(),
        };
        let (offset, end) = match nbytes {
            0 => (0, 0),
            _ => (start, start.checked_add(nbytes).ok_or_else(overflow)?),
        };
        let (shape, strides) = (shape.to_vec(), packed.strides().to_vec());
        Ok(Placement { dtype, shape, strides, start: offset, offset, end })
    }

    /// Elements at any strides, in bytes. The error is that of [`Layout::reach`], or the number of
    /// bytes that they reach before the start of the file.
    pub(crate) fn strided(
        dtype: DType,
        shape: &[usize],
        strides: &[isize],
        offset: usize,
    ) -> ndlens_core::Result<Self> {
        let (below, above) = Layout::reach(shape, strides, dtype.itemsize())?;
        let outside = || ndlens_core::Error::OutOfBuffer {
            start: offset as i128 - below as i128,
            end: offset as i128 + above as i128,
            len: usize::MAX,
        };
        let empty = shape.contains(&0);
        let end =
            offset.checked_add(above).filter(|_| below <= offset || empty).ok_or_else(outside)?;
        let (start, offset, end) = if empty { (0, 0, 0) } else { (offset - below, offset, end) };
        Ok(Placement {
            dtype,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            start,
            offset,
            end,
        })
    }

    /// The byte after the last that elements touch.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    pub(crate) fn dtype(&self) -> &DType {
        &self.dtype
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Bytes of all elements, packed.
    pub(crate) fn nbytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.itemsize()
    }

    /// The placement in a container that has the file `by` bytes after its own start.
    pub(crate) fn shifted(self, by: usize) -> Option<Self> {
        match self.end {
            0 => Some(self),
            _ => Some(Placement {
                start: self.start.checked_add(by)?,
                offset: self.offset.checked_add(by)?,
                end: self.end.checked_add(by)?,
                ..self
            }),
        }
    }

    /// The array, read into memory of its own: packed, in Fortran order if it is in that order in
    /// the file.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if the file has become shorter, [`Error::Io`],
    /// [`OutOfMemory`](ndlens_core::Error::OutOfMemory).
    pub(crate) fn read(&self, file: &File, path: &Path) -> Result<View> {
        let mut section = Section::new(file, self.start as u64, self.end as u64);
        let bytes = reading::read_bytes(&mut section, path, self.end - self.start)?;
        let got = (self.start + bytes.len()) as u64;
        if got < self.end as u64 {
            let (path, expected) = (path.to_owned(), self.end as u64);
            return Err(Error::Truncated { path, got, expected, shape: self.shape.clone() });
        }
        let (buffer, first) = bytes.into_buffer()?;
        let view = self.view_at(buffer, first + self.offset - self.start)?;
        let packed = view.is_contiguous(Order::C) || view.is_contiguous(Order::F);
        Ok(if packed { view } else { view.copy(Order::C)? })
    }

    /// The array in memory that is the file's from byte 0 on.
    pub(crate) fn view(&self, buffer: Buffer) -> Result<View> {
        self.view_at(buffer, self.offset)
    }

    /// The array in memory in which its first element is at `offset`.
    pub(crate) fn view_at(&self, buffer: Buffer, offset: usize) -> Result<View> {
        let offset = if self.end == 0 { 0 } else { offset };
        let layout =
            Layout::new(&self.shape, &self.strides, offset, self.dtype.itemsize(), buffer.len())?;
        Ok(View::new(buffer, layout, self.dtype.clone())?)
    }
}
