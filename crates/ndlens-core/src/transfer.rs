//! Copies of elements from one layout to another of the same shape.

#![expect(unsafe_code, reason = "copies between raw pointers; see UNSAFE.md")]

use std::ptr;

use crate::error::Result;
use crate::layout::dims::Dims;
use crate::watch::Meter;

/// Copies each element of one layout to its place in another.
///
/// Axes that both sides can walk with one stride are merged first, so that copies are as long as
/// possible. `meter` counts the moved elements, over several transfers if they are one operation.
///
/// # Errors
///
/// [`Error::Interrupted`](crate::Error::Interrupted), after some of the elements.
///
/// # Safety
///
/// With `shape` and its strides, every element of `from` must be readable and every one of `to`
/// writable, `itemsize` bytes each, and no element of one side may overlap an element of the other.
pub(crate) unsafe fn transfer(
    shape: &[usize],
    (from, from_strides): (*const u8, &[isize]),
    (to, to_strides): (*mut u8, &[isize]),
    itemsize: usize,
    meter: &mut Meter,
) -> Result<()> {
    if shape.contains(&0) {
        return Ok(());
    }
    let (mut counts, mut reads, mut writes) =
        (Dims::<usize>::new(), Dims::<isize>::new(), Dims::<isize>::new());
    for ((&n, &read), &write) in
        shape.iter().zip(from_strides).zip(to_strides).filter(|((n, _), _)| **n != 1)
    {
        match (counts.last_mut(), reads.last_mut(), writes.last_mut()) {
            (Some(count), Some(outer_read), Some(outer_write))
                if *outer_read == read.wrapping_mul(n as isize)
                    && *outer_write == write.wrapping_mul(n as isize) =>
            {
                *count *= n;
                (*outer_read, *outer_write) = (read, write);
            }
            _ => {
                counts.push(n);
                reads.push(read);
                writes.push(write);
            }
        }
    }
    let (count, read, write) = match (counts.pop(), reads.pop(), writes.pop()) {
        (Some(count), Some(read), Some(write)) => (count, read, write),
        _ => (1, itemsize as isize, itemsize as isize),
    };
    let packed = read == itemsize as isize && write == itemsize as isize;
    let most = Meter::row_limit(itemsize, packed);
    let mut index: Dims<usize> = Dims::from_elem(0, counts.len());
    let (mut from, mut to) = (from, to);
    loop {
        let mut done = 0;
        while done < count {
            let part = most.min(count - done);
            let from = from.wrapping_offset((done as isize).wrapping_mul(read));
            let to = to.wrapping_offset((done as isize).wrapping_mul(write));
            // SAFETY: `from` and `to` stand at the elements of the multi-index `(index, done)`, of
            // which `part` more follow in the row, `read` and `write` bytes apart; the caller
            // guarantees all of them.
            unsafe { transfer_row((from, read), (to, write), part, itemsize) };
            meter.count_row(part, itemsize, packed)?;
            done += part;
        }
        let mut axis = counts.len();
        loop {
            if axis == 0 {
                return Ok(());
            }
            axis -= 1;
            index[axis] += 1;
            from = from.wrapping_offset(reads[axis]);
            to = to.wrapping_offset(writes[axis]);
            if index[axis] < counts[axis] {
                break;
            }
            index[axis] = 0;
            from = from.wrapping_offset(-(counts[axis] as isize).wrapping_mul(reads[axis]));
            to = to.wrapping_offset(-(counts[axis] as isize).wrapping_mul(writes[axis]));
        }
    }
}

/// Copies `count` elements with the given strides of either side.
///
/// # Safety
///
/// As [`transfer`], for one row.
unsafe fn transfer_row(
    (from, read): (*const u8, isize),
    (to, write): (*mut u8, isize),
    count: usize,
    itemsize: usize,
) {
    /// As `transfer_row`, for elements of a size the compiler knows.
    ///
    /// # Safety
    ///
    /// As `transfer_row`, with `size_of::<T>()` as the itemsize.
    unsafe fn elements<T: Copy>(
        (from, read): (*const u8, isize),
        (to, write): (*mut u8, isize),
        count: usize,
    ) {
        for i in 0..count as isize {
            // SAFETY: the caller guarantees `count` elements on both sides; neither need be
            // aligned.
            unsafe {
                let element = ptr::read_unaligned(from.wrapping_offset(i * read).cast::<T>());
                ptr::write_unaligned(to.wrapping_offset(i * write).cast::<T>(), element);
            }
        }
    }
    let packed = itemsize as isize;
    // SAFETY: each arm passes on what the caller guarantees, with T as long as an element.
    unsafe {
        match itemsize {
            _ if read == packed && write == packed => {
                ptr::copy_nonoverlapping(from, to, count * itemsize);
            }
            1 => elements::<u8>((from, read), (to, write), count),
            2 => elements::<u16>((from, read), (to, write), count),
            4 => elements::<u32>((from, read), (to, write), count),
            8 => elements::<u64>((from, read), (to, write), count),
            16 => elements::<u128>((from, read), (to, write), count),
            _ => {
                for i in 0..count as isize {
                    let (from, to) =
                        (from.wrapping_offset(i * read), to.wrapping_offset(i * write));
                    ptr::copy_nonoverlapping(from, to, itemsize);
                }
            }
        }
    }
}
