//! The bytes of an item that are mixed: all bytes, or the runs of a rectangle.

use std::ops::Range;

/// Columns `left..right` of rows `top..bottom`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first column.
    pub left: usize,
    /// The first row.
    pub top: usize,
    /// The first column after it.
    pub right: usize,
    /// The first row after it.
    pub bottom: usize,
}

/// The arrangement of an image in memory: planes of rows of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Number of planes: one for each channel, or one for all.
    pub planes: usize,
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    /// Bytes of a pixel in a plane.
    pub pixel_bytes: usize,
}

/// Runs of bytes, the same in every item.
///
/// ```text
///  |..[run]..|..[run]..|..[run]..|....|..[run]..|..[run]..|..[run]..|
///     start    + row_bytes            + plane_bytes
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    start: usize,
    run_bytes: usize,
    /// Number of runs in a plane.
    rows: usize,
    row_bytes: usize,
    planes: usize,
    plane_bytes: usize,
}

impl Region {
    /// All of an item.
    pub fn whole(nbytes: usize) -> Self {
        Region {
            start: 0,
            run_bytes: nbytes,
            rows: 1,
            row_bytes: nbytes,
            planes: 1,
            plane_bytes: nbytes,
        }
    }

    /// A rectangle of an image.
    pub fn of_cut(Cut { left, top, right, bottom }: Cut, image: Image) -> Self {
        let row_bytes = image.width * image.pixel_bytes;
        Region {
            start: top * row_bytes + left * image.pixel_bytes,
            run_bytes: (right - left) * image.pixel_bytes,
            rows: bottom - top,
            row_bytes,
            planes: image.planes,
            plane_bytes: image.height * row_bytes,
        }
    }

    /// The bytes of all runs.
    pub fn nbytes(&self) -> usize {
        self.run_bytes * self.rows * self.planes
    }

    /// The places in an item of a range of the bytes of all runs.
    pub fn runs(&self, places: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let region = *self;
        let mut at = places.start;
        std::iter::from_fn(move || {
            if at >= places.end {
                return None;
            }
            let (run, within) = (at / region.run_bytes, at % region.run_bytes);
            let (plane, row) = (run / region.rows, run % region.rows);
            let start = region.start + plane * region.plane_bytes + row * region.row_bytes + within;
            let count = (region.run_bytes - within).min(places.end - at);
            at += count;
            Some(start..start + count)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_pieces_of_a_rectangle_are_its_bytes_in_order(
            planes in 1usize..4, height in 1usize..6, width in 1usize..6,
            pixel_bytes in 1usize..4, piece in 1usize..20,
            corners in (0usize..6, 0usize..6, 0usize..6, 0usize..6),
        ) {
            let x = (corners.0.min(width), corners.1.min(width));
            let y = (corners.2.min(height), corners.3.min(height));
            let (left, right) = (x.0.min(x.1), x.0.max(x.1));
            let cut = Cut { left, right, top: y.0.min(y.1), bottom: y.0.max(y.1) };
            let region = Region::of_cut(cut, Image { planes, height, width, pixel_bytes });
            let mut expected = vec![];
            for plane in 0..planes {
                for y in cut.top..cut.bottom {
                    for x in cut.left * pixel_bytes..cut.right * pixel_bytes {
                        expected.push((plane * height + y) * width * pixel_bytes + x);
                    }
                }
            }
            prop_assert_eq!(region.nbytes(), expected.len());
            let starts = (0..region.nbytes()).step_by(piece);
            let pieces = starts.map(|at| at..(at + piece).min(region.nbytes()));
            let got: Vec<usize> = pieces.flat_map(|places| region.runs(places)).flatten().collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn all_of_an_item_is_one_run() {
        assert!(Region::whole(12).runs(3..9).eq(std::iter::once(3..9)));
    }
}
