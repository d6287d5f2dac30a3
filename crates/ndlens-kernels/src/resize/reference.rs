//! The oracle: one resized value at a time, by the definition. Every fast body is compared with it.

use ndlens_core::{DType, ViewRef};

use crate::error::{Error, Result};
use crate::resize::filter::Filter;
use crate::resize::output::ResizeOutput;
use crate::resize::taps::{AxisTaps, Taps};

/// The value of a weighted sum of bytes.
fn weigh_bytes(taps: &Taps, i: usize, byte: impl Fn(usize) -> u8) -> u8 {
    let half = 1i64 << taps.precision >> 1;
    let products = taps
        .fixed_of(i)
        .iter()
        .enumerate()
        .map(|(j, &weight)| i64::from(weight) * i64::from(byte(taps.starts[i] as usize + j)));
    ((half + products.sum::<i64>()) >> taps.precision).clamp(0, 255) as u8
}

/// The value of a weighted sum of floats, added from first to last.
fn weigh_floats(taps: &Taps, i: usize, float: impl Fn(usize) -> f32) -> f32 {
    let mut products = taps
        .single_of(i)
        .iter()
        .enumerate()
        .map(|(j, &weight)| weight * float(taps.starts[i] as usize + j));
    let first = products.next().expect("a pixel has a tap");
    products.fold(first, |sum, product| sum + product)
}

/// Reads, resizes and maps, one value at a time.
pub(crate) fn run(
    size: [usize; 2],
    filter: Filter,
    src: &ViewRef<'_>,
    output: &ResizeOutput<'_>,
    dst: &mut [u8],
) -> Result<()> {
    let (height, width) = (src.shape()[0], src.shape()[1]);
    let channels = src.shape().get(2).copied().unwrap_or(1);
    let (dtype, mut taps) = (src.dtype(), AxisTaps::default());
    taps.prepare([height, width], size, filter, dtype)?;
    let AxisTaps { vertical, horizontal } = taps;
    let mut bytes = vec![0; src.nbytes()];
    src.read_into(&mut bytes)?;
    let itemsize = dtype.itemsize();
    let (rows, columns) = (output.window.rows(), output.window.columns());
    let out_size = output.map.dtype().itemsize();
    for (y, row) in rows.clone().enumerate() {
        let y = if output.window.flip_vertical { rows.len() - 1 - y } else { y };
        for (x, column) in columns.clone().enumerate() {
            let x = if output.window.flip_horizontal { columns.len() - 1 - x } else { x };
            for channel in 0..channels {
                let at = |y: usize, x: usize| ((y * width + x) * channels + channel) * itemsize;
                let value = match dtype {
                    DType::U8 => vec![weigh_bytes(&vertical, row, |y| {
                        weigh_bytes(&horizontal, column, |x| bytes[at(y, x)])
                    })],
                    DType::F32 => weigh_floats(&vertical, row, |y| {
                        weigh_floats(&horizontal, column, |x| {
                            f32::from_le_bytes(
                                *bytes[at(y, x)..].first_chunk().expect("four bytes"),
                            )
                        })
                    })
                    .to_le_bytes()
                    .to_vec(),
                    other => {
                        let (interpolation, got) = (filter.interpolation.name(), other.to_string());
                        return Err(Error::ResizeDType { interpolation, got });
                    }
                };
                let place = if output.channels_first {
                    (channel * rows.len() + y) * columns.len() + x
                } else {
                    (y * columns.len() + x) * channels + channel
                };
                output.map.map_element(&value, channel, &mut dst[place * out_size..][..out_size]);
            }
        }
    }
    Ok(())
}
