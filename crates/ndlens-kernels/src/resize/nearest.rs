//! Resizing by the nearest pixel: elements of any dtype, which are copied without arithmetic.
//!
//! Masks have numbers of classes and of instances, in any integer dtype. torch itself converts them
//! to `float32`, which has no odd numbers beyond 2^24. A copy is exact for all numbers, and the
//! same as torch's result if that is exact.

use ndlens_core::ViewRef;

use crate::error::Result;
use crate::map::RowChannels;
use crate::resize::output::ResizeOutput;
use crate::resize::taps::AxisTaps;

/// Memory that is reused for the next image.
#[derive(Debug, Default)]
pub(crate) struct NearestRows {
    /// A row of the source.
    source: Vec<u8>,
    /// Its nearest pixels, or those of one channel.
    row: Vec<u8>,
}

/// Picks pixels and maps them, row by row. The taps of both axes are prepared.
pub(crate) fn run(
    channels: usize,
    src: &ViewRef<'_>,
    output: &ResizeOutput<'_>,
    dst: &mut [u8],
    taps: &AxisTaps,
    rows: &mut NearestRows,
) -> Result<()> {
    let AxisTaps { vertical, horizontal } = taps;
    let NearestRows { source, row } = rows;
    let itemsize = src.dtype().itemsize();
    let (window, map) = (&output.window, output.map);
    let pixel_bytes = itemsize * channels;
    let columns = &horizontal.starts[window.columns()];
    let row_bytes = window.width * map.dtype().itemsize();
    source.resize(src.shape()[1] * pixel_bytes, 0);
    row.resize(window.width * if output.channels_first { itemsize } else { pixel_bytes }, 0);
    let mut read = None;
    for (y, &from) in vertical.starts[window.rows()].iter().enumerate() {
        let place = if window.flip_vertical { window.height - 1 - y } else { y };
        if read != Some(from) {
            src.narrow(0, from as usize, 1)?.read_into(source)?;
            read = Some(from);
        }
        if output.channels_first {
            for channel in 0..channels {
                pick(
                    source,
                    columns,
                    pixel_bytes,
                    channel * itemsize,
                    itemsize,
                    row,
                    window.flip_horizontal,
                );
                let at = (channel * window.height + place) * row_bytes;
                map.apply_packed(row, RowChannels::One(channel), &mut dst[at..][..row_bytes]);
            }
        } else {
            pick(source, columns, pixel_bytes, 0, pixel_bytes, row, window.flip_horizontal);
            let len = row_bytes * channels;
            map.apply_packed(row, RowChannels::All, &mut dst[place * len..][..len]);
        }
    }
    Ok(())
}

/// Copies `len` bytes of each of these pixels, from byte `offset` of the pixel on.
fn pick(
    source: &[u8],
    columns: &[u32],
    pixel_bytes: usize,
    offset: usize,
    len: usize,
    row: &mut [u8],
    backwards: bool,
) {
    macro_rules! of {
        ($len:expr) => {
            for (to, &column) in row.chunks_exact_mut($len).zip(columns) {
                to.copy_from_slice(&source[column as usize * pixel_bytes + offset..][..$len]);
            }
        };
    }
    // A copy of a known length is a load and a store.
    match len {
        1 => of!(1),
        2 => of!(2),
        4 => of!(4),
        8 => of!(8),
        len => of!(len),
    }
    if backwards {
        let last = columns.len().saturating_sub(1);
        for x in 0..columns.len() / 2 {
            let (front, back) = row.split_at_mut((last - x) * len);
            front[x * len..][..len].swap_with_slice(&mut back[..len]);
        }
    }
}
