//! Bytes side by side, be they of one channel or pixels: which views and rows are that, for the
//! body that takes them in one pass.

#![expect(unsafe_code, reason = "calls a vector body; see UNSAFE.md")]

use ndlens_core::ViewRef;

use crate::map::bodies::Table;
use crate::map::rows::Rows;
use crate::pixels::avx512::{Lookup, Pixels, Values, to_planes};
use crate::simd::x86_64::vector;

/// The most bytes of a pixel.
pub(crate) const MAX_CHANNELS: usize = 4;

/// How many rows ahead pixels are asked for: a crop's rows are too short for the processor to get
/// far ahead in them by itself.
pub(crate) const ROWS_AHEAD: isize = 4;

/// Shorter rows of pixels take longer in a register that they do not fill than one by one.
const MIN_ROW: usize = 8;

/// Tables of results of one byte or two, each byte by itself, by channel.
#[derive(Debug, Clone)]
pub(crate) enum Lookups {
    One(Vec<Lookup<1>>),
    Two(Vec<Lookup<2>>),
}

impl Lookups {
    /// None where results are of more bytes.
    pub(crate) fn new(table: &Table) -> Option<Self> {
        fn by_byte<const SIZE: usize>(tables: &[[[u8; SIZE]; 256]]) -> Vec<Lookup<SIZE>> {
            tables
                .iter()
                .map(|table| std::array::from_fn(|at| table.map(|result| result[at])))
                .collect()
        }
        match table {
            Table::One(tables) => Some(Lookups::One(by_byte(tables))),
            Table::Two(tables) => Some(Lookups::Two(by_byte(tables))),
            Table::Four(_) | Table::Eight(_) => None,
        }
    }

    pub(crate) fn values(&self) -> Values<'_> {
        match self {
            Lookups::One(tables) => Values::One(tables),
            Lookups::Two(tables) => Values::Two(tables),
        }
    }
}

/// Maps rows of one channel each, if their bytes are side by side; says whether they were.
///
/// # Safety
///
/// The machine must have the instructions of [`to_planes`], and the map must be for the channels of
/// the rows. Their elements, relative to `first`, must be readable and of one byte.
pub(crate) unsafe fn map_rows(
    values: Values<'_>,
    first: *const u8,
    rows: &Rows,
    dst: &mut [u8],
    stream: bool,
) -> bool {
    if rows.cycle != 1 || rows.stride_bytes.unsigned_abs() != 1 {
        return false;
    }
    let (mirrored, size) = (rows.stride_bytes < 0, values.size());
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
        // caller vouches for the rest.
        unsafe { to_planes(values, pixels, to, stream) };
    });
    if stream {
        vector::fence();
    }
    true
}

/// Maps interleaved pixels of bytes to planes, if that is what a view of shape (channels, height,
/// width) is; says whether it was. `apart` says whether channels differ in what is done to them.
///
/// # Safety
///
/// The machine must have the instructions of [`to_planes`], and the map must be for the view's
/// channels.
pub(crate) unsafe fn map_pixels(
    values: Values<'_>,
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
    // Rows that follow each other are one.
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
    // SAFETY: these are the view's elements, which are readable; the caller vouches for the rest.
    unsafe { to_planes(values, pixels, dst, stream) };
    if stream {
        vector::fence();
    }
    true
}
