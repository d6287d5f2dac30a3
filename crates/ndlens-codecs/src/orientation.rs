//! Images turned upright: the orientations of EXIF 2.32, tag 0x0112.
//!
//! Cameras store pixels as the sensor gives them, and say in a tag how to turn them. All eight
//! orientations are made of an exchange of the axes and of two flips:
//!
//! ```text
//!  upright[row][column] = stored[a][b]    a, b = row, column, or column, row if `transposed`;
//!                                         then a counted from the end if `rows_reversed`,
//!                                         and b if `columns_reversed`
//! ```
//!
//! A view of the stored pixels is turned without a copy by its strides. [`decode_upright`] is for
//! memory that holds upright pixels.

use crate::decoder::{Decoder, ImageMut, RowsMut, check_request};
use crate::error::Result;
use crate::header::{Header, Orientation};
use crate::memory;
use crate::mode::Mode;
use crate::region::{DecodeRegion, Scale};
use crate::scratch::DecodeScratch;

/// How stored pixels become upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AxisTurn {
    /// Whether upright rows are stored columns.
    pub transposed: bool,
    /// Whether stored rows are counted from the last.
    pub rows_reversed: bool,
    /// Whether stored columns are counted from the last.
    pub columns_reversed: bool,
}

impl Orientation {
    /// What the orientation is made of.
    pub fn turn(self) -> AxisTurn {
        let (transposed, rows_reversed, columns_reversed) = match self {
            Orientation::Upright => (false, false, false),
            Orientation::FlipHorizontal => (false, false, true),
            Orientation::Rotate180 => (false, true, true),
            Orientation::FlipVertical => (false, true, false),
            Orientation::Transpose => (true, false, false),
            Orientation::Rotate90 => (true, true, false),
            Orientation::Transverse => (true, true, true),
            Orientation::Rotate270 => (true, false, true),
        };
        AxisTurn { transposed, rows_reversed, columns_reversed }
    }

    /// Rows and columns of the upright image of one that is stored with `height` rows and `width`
    /// columns.
    pub fn upright_size(self, height: usize, width: usize) -> (usize, usize) {
        if self.turn().transposed { (width, height) } else { (height, width) }
    }

    /// The stored pixels of a region of the upright image. The image is stored with `height` rows
    /// and `width` columns, and the region lies within the upright one.
    pub fn stored_region(self, upright: DecodeRegion, height: usize, width: usize) -> DecodeRegion {
        let turn = self.turn();
        let DecodeRegion { mut top, mut left, height: mut rows, width: mut columns } = upright;
        if turn.transposed {
            (top, left, rows, columns) = (left, top, columns, rows);
        }
        if turn.rows_reversed {
            top = height - rows - top;
        }
        if turn.columns_reversed {
            left = width - columns - left;
        }
        DecodeRegion { top, left, height: rows, width: columns }
    }
}

/// Writes a region of the upright image: its rows and columns, of [`Mode::pixel_bytes`] each. The
/// region lies within the upright image.
///
/// # Errors
///
/// As [`Decoder::decode`].
pub fn decode_upright(
    decoder: &mut dyn Decoder,
    region: DecodeRegion,
    mode: Mode,
    mut out: ImageMut<'_>,
    scratch: &mut DecodeScratch,
) -> Result<()> {
    let stored = *decoder.header();
    let orientation = stored.orientation;
    if orientation == Orientation::Upright {
        return decoder.decode(region, Scale::Full, mode, out, scratch);
    }
    let (height, width) = orientation.upright_size(stored.height, stored.width);
    let upright = Header { height, width, ..stored };
    check_request(&upright, region, Scale::Full, mode, &out)?;
    let part = orientation.stored_region(region, stored.height, stored.width);
    let pixel_bytes = mode.pixel_bytes(&stored);
    let row_stride_bytes = part.width * pixel_bytes;
    // Decoders use the other lists of the scratch.
    let mut memory = std::mem::take(&mut scratch.stored);
    let decoded = memory::part(&mut memory, part.height * row_stride_bytes).and_then(|bytes| {
        let pixels = ImageMut { bytes, row_stride_bytes };
        decoder.decode(part, Scale::Full, mode, pixels, scratch)
    });
    if decoded.is_ok() {
        turn(&memory, (part.height, part.width), pixel_bytes, orientation.turn(), &mut out);
    }
    scratch.stored = memory;
    decoded
}

/// Writes packed pixels, of `size` rows and columns, upright.
fn turn(
    stored: &[u8],
    size: (usize, usize),
    pixel_bytes: usize,
    turn: AxisTurn,
    out: &mut ImageMut<'_>,
) {
    match pixel_bytes {
        1 => turn_pixels::<1>(stored, size, turn, out),
        2 => turn_pixels::<2>(stored, size, turn, out),
        3 => turn_pixels::<3>(stored, size, turn, out),
        4 => turn_pixels::<4>(stored, size, turn, out),
        6 => turn_pixels::<6>(stored, size, turn, out),
        8 => turn_pixels::<8>(stored, size, turn, out),
        bytes => unreachable!("no mode has pixels of {bytes} bytes"),
    }
}

fn turn_pixels<const N: usize>(
    stored: &[u8],
    (height, width): (usize, usize),
    turn: AxisTurn,
    out: &mut ImageMut<'_>,
) {
    /// Columns of stored pixels that are turned at a time, so that their cache lines are used
    /// whole.
    const BLOCK: usize = 32;
    let pixels = stored.as_chunks::<N>().0;
    let row_of = |row: usize| {
        let row = if turn.rows_reversed { height - 1 - row } else { row };
        &pixels[row * width..][..width]
    };
    let column_of = |column: usize| if turn.columns_reversed { width - 1 - column } else { column };
    if !turn.transposed {
        for row in 0..height {
            let (from, to) = (row_of(row), out.row(row, width * N).as_chunks_mut::<N>().0);
            if turn.columns_reversed {
                to.iter_mut().zip(from.iter().rev()).for_each(|(to, from)| *to = *from);
            } else {
                to.copy_from_slice(from);
            }
        }
        return;
    }
    // Upright rows are stored columns.
    for start in (0..height).step_by(BLOCK) {
        let end = (start + BLOCK).min(height);
        for column in 0..width {
            let to = out.row(column, height * N).as_chunks_mut::<N>().0;
            for (row, to) in (start..end).zip(&mut to[start..end]) {
                *to = row_of(row)[column_of(column)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{Coding, Depth};

    const ALL: [Orientation; 8] = [
        Orientation::Upright,
        Orientation::FlipHorizontal,
        Orientation::Rotate180,
        Orientation::FlipVertical,
        Orientation::Transpose,
        Orientation::Rotate90,
        Orientation::Transverse,
        Orientation::Rotate270,
    ];

    /// An image whose pixels are their own places.
    struct Numbered(Header);

    impl Decoder for Numbered {
        fn header(&self) -> &Header {
            &self.0
        }

        fn decode_rows(
            &mut self,
            region: DecodeRegion,
            _: Scale,
            mode: Mode,
            out: &mut dyn RowsMut,
            _: &mut DecodeScratch,
        ) -> Result<()> {
            for row in 0..region.height {
                let out = out.row(row, region.width * mode.pixel_bytes(&self.0));
                for (column, pixel) in out.chunks_exact_mut(mode.pixel_bytes(&self.0)).enumerate() {
                    pixel.fill(0);
                    pixel[0] = ((region.top + row) * self.0.width + region.left + column) as u8;
                }
            }
            Ok(())
        }
    }

    /// The whole image upright, by the definition of each orientation.
    fn oracle(orientation: Orientation, height: usize, width: usize) -> Vec<Vec<u8>> {
        let (rows, columns) = orientation.upright_size(height, width);
        let place = |row: usize, column: usize| match orientation {
            Orientation::Upright => (row, column),
            Orientation::FlipHorizontal => (row, width - 1 - column),
            Orientation::Rotate180 => (height - 1 - row, width - 1 - column),
            Orientation::FlipVertical => (height - 1 - row, column),
            Orientation::Transpose => (column, row),
            Orientation::Rotate90 => (height - 1 - column, row),
            Orientation::Transverse => (height - 1 - column, width - 1 - row),
            Orientation::Rotate270 => (column, width - 1 - row),
        };
        let pixel = |row, column| {
            let (row, column) = place(row, column);
            (row * width + column) as u8
        };
        (0..rows).map(|row| (0..columns).map(|column| pixel(row, column)).collect()).collect()
    }

    #[test]
    fn every_region_of_every_orientation_is_that_part_of_the_upright_image() {
        let (height, width) = (5, 7);
        for orientation in ALL {
            let whole = oracle(orientation, height, width);
            let (coding, depth) = (Coding::Jpeg, Depth::Eight);
            let header = Header { coding, height, width, channels: 3, depth, orientation };
            let (rows, columns) = orientation.upright_size(height, width);
            let mut scratch = DecodeScratch::default();
            for (top, left) in [(0, 0), (1, 2), (3, 1), (rows - 1, columns - 1)] {
                for (height, width) in [(rows - top, columns - left), (1, 1), (0, 1)] {
                    let region = DecodeRegion { top, left, height, width };
                    let mut bytes = vec![0; height * (3 * width + 2)];
                    let row_stride_bytes = 3 * width + 2;
                    let out = ImageMut { bytes: &mut bytes, row_stride_bytes };
                    let decoder = &mut Numbered(header);
                    decode_upright(decoder, region, Mode::Rgb, out, &mut scratch).unwrap();
                    for row in 0..height {
                        let got: Vec<u8> = bytes[row * row_stride_bytes..][..3 * width]
                            .iter()
                            .step_by(3)
                            .copied()
                            .collect();
                        assert_eq!(got, whole[top + row][left..left + width], "{orientation:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_region_outside_of_the_upright_image_is_refused() {
        let header = Header {
            coding: Coding::Jpeg,
            height: 5,
            width: 7,
            channels: 3,
            depth: Depth::Eight,
            orientation: Orientation::Rotate90,
        };
        let region = DecodeRegion { top: 0, left: 0, height: 5, width: 7 };
        let out = ImageMut { bytes: &mut [0; 200], row_stride_bytes: 21 };
        let error = decode_upright(
            &mut Numbered(header),
            region,
            Mode::Rgb,
            out,
            &mut DecodeScratch::default(),
        );
        let text = error.unwrap_err().to_string();
        assert!(text.ends_with("is not one of an image of 7 x 5"), "{text}");
    }
}
