//! Blocks of coefficients, sixteen side by side.
//!
//! The inverse DCT of one block moves numbers between the lanes of vectors. That of sixteen blocks
//! at once does not, if the sixteen coefficients of one place are neighbours: then each operation
//! of the transform is one of whole vectors.

/// Blocks of a group.
pub(super) const LANES: usize = 16;

/// Sixteen blocks of a row, as they were coded: to be multiplied by the quantisation table.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub(super) struct Group {
    /// By place in a block, row by row; and by block.
    pub(super) coefficients: [[i16; LANES]; 64],
}

impl Group {
    pub(super) const ZERO: Group = Group { coefficients: [[0; LANES]; 64] };

    /// Sets a coefficient of a block, by its place in the zigzag. Places beyond the block are its
    /// last one.
    #[inline(always)]
    pub(super) fn set(&mut self, place: usize, lane: usize, value: i16) {
        let place = usize::from(ZIGZAG[place & 127]);
        self.coefficients[place & 63][lane & (LANES - 1)] = value;
    }
}

/// The place in a block of the k-th coefficient, T.81 figure A.6; beyond the block, its last one.
pub(super) const ZIGZAG: [u8; 128] = {
    let mut places = [63; 128];
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zigzag_visits_each_place_once() {
        let mut places: Vec<u8> = ZIGZAG[..64].to_vec();
        assert_eq!(places[..10], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]);
        assert_eq!(
            places[56..],
            [58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63][8..]
        );
        places.sort_unstable();
        assert!(places.iter().copied().eq(0..64));
    }
}
