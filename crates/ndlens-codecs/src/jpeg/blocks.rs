//! Blocks of coefficients, sixteen side by side.
//!
//! The inverse DCT of one block moves numbers between the lanes of vectors. That of sixteen blocks
//! at once does not, if the sixteen coefficients of one place are neighbours: then each operation
//! of the transform is one of whole vectors.

/// Blocks of a group.
pub(super) const LANES: usize = 16;

/// Sixteen blocks of a row, as they were coded: in the order of the zigzag, to be multiplied by the
/// quantisation table.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct BlockGroup {
    /// By place in the zigzag, and by block. The place after the last one is written and not read.
    pub(super) coefficients: [[i16; LANES]; 65],
}

impl BlockGroup {
    pub(super) const ZERO: BlockGroup = BlockGroup { coefficients: [[0; LANES]; 65] };

    /// Sets a coefficient of a block, by its place in the zigzag.
    #[inline(always)]
    pub(super) fn set(&mut self, place: usize, lane: usize, value: i16) {
        if let Some(lanes) = self.coefficients.get_mut(place) {
            lanes[lane % LANES] = value;
        }
    }
}

/// The place in a block, row by row, of each coefficient of the zigzag. T.81, figure A.6.
pub(super) const ZIGZAG: [u8; 64] = {
    let mut places = [0; 64];
    let (mut row, mut column, mut k) = (0_u8, 0_u8, 0);
    while k < 64 {
        places[k] = 8 * row + column;
        // Up and to the right on even diagonals, down and to the left on odd ones.
        if (row + column) % 2 == 0 {
            if column == 7 {
                row += 1;
            } else if row == 0 {
                column += 1;
            } else {
                row -= 1;
                column += 1;
            }
        } else if row == 7 {
            column += 1;
        } else if column == 0 {
            row += 1;
        } else {
            row += 1;
            column -= 1;
        }
        k += 1;
    }
    places
};

/// The place in the zigzag of each coefficient, row by row.
pub(super) const PLACES: [usize; 64] = {
    let mut places = [0; 64];
    let mut k = 0;
    while k < 64 {
        places[ZIGZAG[k] as usize] = k;
        k += 1;
    }
    places
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zigzag_visits_each_place_once() {
        let mut places = ZIGZAG;
        assert_eq!(places[..10], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]);
        assert_eq!(places[58..], [61, 54, 47, 55, 62, 63]);
        places.sort_unstable();
        assert!(places.into_iter().eq(0..64));
        assert!((0..64).all(|k| PLACES[usize::from(ZIGZAG[k])] == k));
    }
}
