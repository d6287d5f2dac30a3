//! All 256 results of one-byte elements, looked up.

#![expect(unsafe_code, reason = "reads elements through raw pointers; see UNSAFE.md")]

use std::ptr;

use crate::map::program::MapProgram;
use crate::map::rows::ElementRows;

/// For more channels with separate values, tables would not stay in the second-level cache.
const MAX_TABLES: usize = 64;

/// All results of one-byte elements, by channel and byte, by the size of a result.
#[derive(Debug, Clone)]
pub(crate) enum Table {
    One(Vec<[[u8; 1]; 256]>),
    Two(Vec<[[u8; 2]; 256]>),
    Four(Vec<[[u8; 4]; 256]>),
    Eight(Vec<[[u8; 8]; 256]>),
}

impl Table {
    /// Computes the results of all bytes of all channels by the oracle, if elements are of one
    /// byte.
    pub(crate) fn new(program: &MapProgram, channels: usize) -> Option<Self> {
        let itemsizes = (program.source.itemsize(), program.dtype.itemsize());
        if program.stages.is_empty() || channels > MAX_TABLES {
            return None;
        }
        match itemsizes {
            (1, 1) => Some(Table::One(tables(program, channels))),
            (1, 2) => Some(Table::Two(tables(program, channels))),
            (1, 4) => Some(Table::Four(tables(program, channels))),
            (1, 8) => Some(Table::Eight(tables(program, channels))),
            _ => None,
        }
    }
}

fn tables<const N: usize>(program: &MapProgram, channels: usize) -> Vec<[[u8; N]; 256]> {
    let table = |channel| {
        let mut table = [[0; N]; 256];
        (0u8..=255)
            .zip(&mut table)
            .for_each(|(byte, out)| program.map_element(&[byte], channel, out));
        table
    };
    (0..channels).map(table).collect()
}

/// # Safety
///
/// The elements of `rows`, relative to `first`, must be readable and of one byte.
pub(crate) unsafe fn run_table<const N: usize>(
    tables: &[[[u8; N]; 256]],
    first: *const u8,
    rows: &ElementRows,
    dst: &mut [u8],
) {
    let dst = dst.as_chunks_mut::<N>().0;
    rows.for_each(|row| {
        let to = &mut dst[row.at..][..row.count];
        let byte = |i: usize| {
            let offset = row.offset + i as isize * rows.stride_bytes;
            // SAFETY: the caller guarantees the elements, each of one byte.
            usize::from(unsafe { ptr::read(first.wrapping_offset(offset)) })
        };
        if rows.cycle == 1 {
            let table = &tables[row.channel];
            to.iter_mut().enumerate().for_each(|(i, out)| *out = table[byte(i)]);
        } else {
            for (cycle, to) in to.chunks_mut(rows.cycle).enumerate() {
                for (channel, (table, out)) in tables.iter().zip(to).enumerate() {
                    *out = table[byte(cycle * rows.cycle + channel)];
                }
            }
        }
    });
}
