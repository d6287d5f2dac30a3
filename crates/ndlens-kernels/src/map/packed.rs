//! Adjacent bytes, of one channel or of pixels: the views and rows that the one-pass body accepts.

#![expect(unsafe_code, reason = "calls a vector body; see UNSAFE.md")]

use ndlens_core::ViewRef;

use crate::map::rows::ElementRows;
use crate::map::table::Table;
use crate::pixels::avx512::{Mapping, Pixels, SplitTable, to_planes};
use crate::pixels::{MAX_CHANNELS, ROWS_AHEAD};
use crate::simd::stores::fence;

/// Shorter rows of pixels take longer in a partly filled register than one pixel at a time.
const MIN_ROW: usize = 8;

/// Tables of results of one byte or two, each byte by itself, by channel.
#[derive(Debug, Clone)]
pub(crate) enum SplitTables {
    One(Vec<SplitTable<1>>),
    Two(Vec<SplitTable<2>>),
}

impl SplitTables {
    /// The tables of a map; None if its results have more than two bytes.
    pub(crate) fn new(table: &Table) -> Option<Self> {
        fn by_byte<const SIZE: usize>(tables: &[[[u8; SIZE]; 256]]) -> Vec<SplitTable<SIZE>> {
            tables
                .iter()
                .map(|table| std::array::from_fn(|at| table.map(|result| result[at])))
                .collect()
        }
        match table {
            Table::One(tables) => Some(SplitTables::One(by_byte(tables))),
            Table::Two(tables) => Some(SplitTables::Two(by_byte(tables))),
            Table::Four(_) | Table::Eight(_) => None,
        }
    }

    pub(crate) fn mapping(&self) -> Mapping<'_> {
        match self {
            SplitTables::One(tables) => Mapping::One(tables),
            SplitTables::Two(tables) => Mapping::Two(tables),
        }
    }
}

/// Maps rows of one channel each, if their bytes are adjacent. Returns whether they are.
///
/// # Safety
///
/// The machine must have the instructions of [`to_planes`], and the map must be for the channels of
/// the rows. Their elements, relative to `first`, must be readable and of one byte.
pub(crate) unsafe fn map_rows(
    mapping: Mapping<'_>,
    first: *const u8,
    rows: &ElementRows,
    dst: &mut [u8],
    stream: bool,
) -> bool {
    if rows.cycle != 1 || rows.stride_bytes.unsigned_abs() != 1 {
        return false;
    }
    let (mirrored, size) = (rows.stride_bytes < 0, mapping.size());
    rows.for_each(|row| {
        let lowest = if mirrored { row.offset - (row.count as isize - 1) } else { row.offset };
        let pixels = Pixels {
            from: first.wrapping_offset(lowest),
            row_stride: 0,
            ahead: rows.ahead_bytes,
            height: 1,
            width: row.count,
            plane: row.count,
            mirrored,
            channels: 1,
            channel: row.channel,
            apart: false,
        };
        let to = &mut dst[row.at * size..][..row.count * size];
        // SAFETY: a row's elements are readable, and stand side by side from the lowest on; the
        // caller guarantees the rest.
        unsafe { to_planes(mapping, pixels, to, stream) };
    });
    if stream {
        fence();
    }
    true
}

/// Maps interleaved pixels of bytes to planes, if a view of shape (channels, height, width) has
/// such pixels. Returns whether it has. `apart` says whether the map treats channels differently.
///
/// # Safety
///
/// The machine must have the instructions of [`to_planes`], and the map must be for the view's
/// channels.
pub(crate) unsafe fn map_pixels(
    mapping: Mapping<'_>,
    src: &ViewRef<'_>,
    apart: bool,
    dst: &mut [u8],
    stream: bool,
) -> bool {
    let (&[channels, height, width], &[channel_stride, row_stride, stride]) =
        (src.shape(), src.strides())
    else {
        return false;
    };
    let interleaved =
        src.dtype().itemsize() == 1 && channel_stride == 1 && stride.unsigned_abs() == channels;
    // Consecutive rows are mapped as one.
    let joined = stride.checked_mul(width as isize) == Some(row_stride);
    let (height, width) = if joined { (1, height * width) } else { (height, width) };
    if !interleaved || !(2..=MAX_CHANNELS).contains(&channels) || width < MIN_ROW {
        return false;
    }
    let mirrored = stride < 0;
    let lowest = if mirrored { stride * (width as isize - 1) } else { 0 };
    let from = src.as_ptr().wrapping_offset(lowest);
    let ahead = row_stride.wrapping_mul(ROWS_AHEAD);
    let pixels = Pixels {
        from,
        row_stride,
        ahead,
        height,
        width,
        plane: height * width,
        mirrored,
        channels,
        channel: 0,
        apart,
    };
    // SAFETY: these are the view's elements, which are readable; the caller guarantees the rest.
    unsafe { to_planes(mapping, pixels, dst, stream) };
    if stream {
        fence();
    }
    true
}
