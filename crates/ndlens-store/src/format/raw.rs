//! Files of bytes without a header: the caller describes the array.

use std::path::Path;

use ndlens_core::{DType, Order};

use crate::error::{Error, Result};
use crate::format::placement::Placement;

/// The array in the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The size of each axis. Without strides, one may be -1: as large as the file allows.
    pub shape: Vec<isize>,
    /// The dtype of the elements.
    pub dtype: DType,
    /// The byte at which the first element starts; it need not be aligned.
    pub offset: usize,
    /// The bytes from one element to the next along each axis; None means packed in C order.
    pub strides: Option<Vec<isize>>,
}

impl Raw {
    /// The place of the elements in a file of `file_len` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::RawShape`] and [`Error::RawRemainder`] for a shape that the file cannot have,
    /// [`Error::OutsideFile`] for elements that are not in it, [`Error::Shape`] for a shape that no
    /// view can have.
    pub(crate) fn place(&self, path: &Path, file_len: u64) -> Result<Placement> {
        let shape = self.sizes(path, file_len)?;
        let no_view = |source| Error::Shape { path: path.to_owned(), source: Box::new(source) };
        let outside = |start, end| Error::OutsideFile {
            path: path.to_owned(),
            shape: self.shape.clone(),
            start,
            end,
            got: file_len,
        };
        let place = match &self.strides {
            Some(strides) => Placement::strided(self.dtype.clone(), &shape, strides, self.offset),
            None => Placement::packed(self.dtype.clone(), &shape, Order::C, self.offset),
        };
        let place = place.map_err(|source| match source {
            ndlens_core::Error::OutOfBuffer { start, end, .. } => outside(start, end),
            source => no_view(source),
        })?;
        if place.end() as u64 > file_len {
            return Err(outside(self.offset as i128, place.end() as i128));
        }
        Ok(place)
    }

    fn sizes(&self, path: &Path, file_len: u64) -> Result<Vec<usize>> {
        let bad = || Error::RawShape { path: path.to_owned(), shape: self.shape.clone() };
        let inferred = self.shape.iter().filter(|&&size| size == -1).count();
        if self.shape.iter().any(|&size| size < -1)
            || inferred > 1
            || inferred > 0 && self.strides.is_some()
        {
            return Err(bad());
        }
        let mut row = self.dtype.itemsize();
        for &size in self.shape.iter().filter(|&&size| size != -1) {
            row = row.saturating_mul(size as usize);
        }
        let size = |&size: &isize| -> Result<usize> {
            if size != -1 {
                return Ok(size as usize);
            }
            if row == 0 {
                return Err(bad());
            }
            let (offset, shape) = (self.offset, self.shape.clone());
            let Some(got) = file_len.checked_sub(offset as u64) else {
                let (start, end) = (offset as i128, offset as i128 + row as i128);
                return Err(Error::OutsideFile {
                    path: path.to_owned(),
                    shape,
                    start,
                    end,
                    got: file_len,
                });
            };
            if got % row as u64 != 0 {
                let path = path.to_owned();
                return Err(Error::RawRemainder { path, offset, got, expected: row, shape });
            }
            Ok((got / row as u64) as usize)
        };
        self.shape.iter().map(size).collect()
    }
}
