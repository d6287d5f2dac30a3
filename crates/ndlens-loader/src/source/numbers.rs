//! The elements of a view of one axis, in order, read in blocks. The user's indices, lengths or
//! labels may be long, of any dtype, and have any strides.

use ndlens_core::room::with_room_for;
use ndlens_core::{DType, View};

use crate::error::{Error, Result};

/// Bytes that are read at a time.
const BLOCK_BYTES: usize = 64 << 10;

/// Calls `use_element` with the bytes of each element of `view`, in C order of axis 0; with the
/// bytes of each row, if there are more axes.
///
/// # Errors
///
/// The first error of `use_element`; [`Error::Core`] if the view cannot be read.
pub(crate) fn each_element(
    view: &View,
    mut use_element: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let count = view.shape().first().copied().unwrap_or(0);
    let row_bytes = view.nbytes().checked_div(count).unwrap_or(0);
    if row_bytes == 0 {
        return (0..count).try_for_each(|_| use_element(&[]));
    }
    let block = (BLOCK_BYTES / row_bytes).max(1);
    let mut bytes = with_room_for(block.min(count).saturating_mul(row_bytes))?;
    for start in (0..count).step_by(block) {
        let rows = block.min(count - start);
        let part = view.as_ref().narrow(0, start, rows)?;
        part.verify()?;
        bytes.resize(rows * row_bytes, 0);
        part.read_into(&mut bytes)?;
        bytes.chunks_exact(row_bytes).try_for_each(&mut use_element)?;
    }
    // Pages of a file that were lost meanwhile were read as zeros.
    Ok(view.verify()?)
}

/// Calls `use_number` with each integer of `view`, in order; None if its elements are not integers.
///
/// # Errors
///
/// As [`each_element`].
pub(crate) fn each_integer(
    view: &View,
    mut use_number: impl FnMut(i128) -> Result<()>,
) -> Result<Option<()>> {
    macro_rules! each {
        ($type:ty) => {
            each_element(view, |bytes| {
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .try_for_each(|&b| use_number(<$type>::from_ne_bytes(b).into()))
            })
        };
    }
    match view.dtype() {
        DType::U8 => each!(u8),
        DType::I8 => each!(i8),
        DType::U16 => each!(u16),
        DType::I16 => each!(i16),
        DType::U32 => each!(u32),
        DType::I32 => each!(i32),
        DType::U64 => each!(u64),
        DType::I64 => each!(i64),
        DType::Bool
        | DType::F16
        | DType::Bf16
        | DType::F32
        | DType::F64
        | DType::C64
        | DType::C128
        | DType::F8E4M3FN
        | DType::F8E5M2
        | DType::F8E4M3FNUZ
        | DType::F8E5M2FNUZ
        | DType::F8E8M0FNU
        | DType::F4E2M1FNx2
        | DType::Opaque(_) => return Ok(None),
    }
    .map(Some)
}

/// The integers of `view`, from 0 on, as sizes or places; None if its elements are not integers.
/// Errors call it `name`.
///
/// # Errors
///
/// [`Error::NegativeNumber`]; [`Error::Core`] if there is no memory for the list.
pub(crate) fn numbers_of(view: &View, name: &'static str) -> Result<Option<Vec<usize>>> {
    let mut numbers = with_room_for::<usize>(view.len())?;
    let read = each_integer(view, |number| {
        // A number above all addresses is out of bounds for every use.
        let size = usize::try_from(number.min(usize::MAX as i128));
        numbers.push(size.map_err(|_| Error::NegativeNumber {
            name,
            got: number,
            place: numbers.len(),
        })?);
        Ok(())
    })?;
    Ok(read.map(|()| numbers))
}

/// These sizes or places as a view of `int64`, of one axis.
///
/// # Errors
///
/// [`Error::Core`] if there is no memory for it.
pub fn view_of_sizes(sizes: impl ExactSizeIterator<Item = usize>) -> Result<View> {
    let mut numbers = with_room_for(sizes.len())?;
    numbers.extend(sizes.map(|size| size as i64));
    Ok(View::from_vec(numbers))
}

/// The elements of a view of booleans, in C order.
///
/// # Errors
///
/// [`Error::Core`] if the view cannot be read or there is no memory for the list.
pub fn flags_of(view: &View) -> Result<Vec<bool>> {
    let mut flags = with_room_for(view.nbytes())?;
    each_element(view, |bytes| {
        flags.extend(bytes.iter().map(|&byte| byte != 0));
        Ok(())
    })?;
    Ok(flags)
}

/// The integers of a view of one axis, from 0 on, as sizes or places. Errors call it `name`.
///
/// # Errors
///
/// [`Error::NumbersShape`] for another view, [`Error::NegativeNumber`]; [`Error::Core`] if there
/// is no memory for the list.
pub fn sizes_of(view: &View, name: &'static str) -> Result<Vec<usize>> {
    let numbers = if view.ndim() == 1 { numbers_of(view, name)? } else { None };
    let refused = || Error::NumbersShape {
        name,
        dtype: view.dtype().to_string(),
        got: view.shape().to_vec(),
    };
    numbers.ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integer_comes_once_in_order_whatever_its_dtype_and_strides() {
        let numbers: Vec<i64> = (0..20_000).map(|i| i * 7 - 3).collect();
        let view = View::from_vec(numbers.clone()).reshape(&[10_000, 2]).unwrap();
        let column =
            view.index(&[ndlens_core::s(..), ndlens_core::s(1)]).unwrap().flip(&[0]).unwrap();
        let collect = |view: &View| {
            let mut seen = vec![];
            each_integer(view, |number| {
                seen.push(number);
                Ok(())
            })
            .unwrap()
            .map(|()| seen)
        };
        let expected: Vec<i128> =
            numbers.iter().skip(1).step_by(2).rev().map(|&n| n.into()).collect();
        assert_eq!(collect(&column), Some(expected));
        assert_eq!(collect(&view), Some(numbers.iter().map(|&n| n.into()).collect()));
        assert_eq!(collect(&View::from_vec(vec![-1i8, 2])), Some(vec![-1, 2]));
        assert_eq!(collect(&View::from_vec(vec![u64::MAX])), Some(vec![u64::MAX.into()]));
        assert_eq!(collect(&View::from_vec(vec![1.0f32])), None);
        assert_eq!(collect(&View::from_vec(Vec::<i16>::new())), Some(vec![]));
    }
}
