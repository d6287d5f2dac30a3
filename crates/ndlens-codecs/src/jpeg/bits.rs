//! The bits of entropy-coded data.

use super::intervals::PADDING;

/// A reader of the bits of one interval.
///
/// # Invariants
///
/// 1. The lowest six bits of `count` are a number, and `held` holds so many bits from its highest
///    one down. Below them are bits of the bytes that come next, or zeros. The other bits of
///    `count` are of no meaning: lengths are subtracted with what stands beside them in tables.
/// 2. After [`refill`](Bits::refill), the number is at least 56.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
}

/// Where a reader is in its data.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BitPlace {
    at: usize,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// A reader of an interval's data, which ends with [`PADDING`], from a place in it on.
    pub(super) fn new(bytes: &'a [u8], place: BitPlace) -> Bits<'a> {
        Bits { bytes, at: place.at, held: place.held, count: place.count }
    }

    /// Where it is.
    pub(super) fn place(&self) -> BitPlace {
        BitPlace { at: self.at, held: self.held, count: self.count }
    }

    /// Holds at least 56 bits. After the end of the data they are zeros.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let next = self.bytes.get(self.at..self.at.wrapping_add(8));
        let next = next.and_then(|next| next.first_chunk::<8>());
        let word = next.map_or(0, |next| u64::from_be_bytes(*next));
        self.held |= word >> (self.count & 63);
        self.at += (!self.count >> 3 & 7) as usize;
        self.count |= 0b11_1000;
    }

    /// The next bits, 1 to 32, as a number.
    #[inline(always)]
    pub(super) fn peek(&self, bits: u32) -> usize {
        (self.held >> (64 - bits)) as usize
    }

    /// Goes past bits, whose number is in the lowest six bits. All those between two refills are at
    /// most 56.
    #[inline(always)]
    pub(super) fn consume(&mut self, bits: u32) {
        self.held <<= bits & 63;
        self.count = self.count.wrapping_sub(bits);
    }

    /// The number of the next bits, 0 to 15: a magnitude, of which the lower half of the numbers
    /// stands for negative values. T.81, F.2.2.1, EXTEND.
    #[inline(always)]
    pub(super) fn magnitude(&mut self, bits: u32) -> i32 {
        let raw = ((self.held >> 32) >> (32 - bits)) as i32;
        self.consume(bits);
        extend(raw, bits)
    }

    /// Bits that were consumed.
    pub(super) fn consumed(&self) -> usize {
        8 * self.at - (self.count & 63) as usize
    }

    /// Whether more bits were consumed than the data has.
    pub(super) fn overran(&self) -> bool {
        self.consumed() > 8 * self.bytes.len().saturating_sub(PADDING)
    }
}

/// The value of a magnitude of so many bits.
#[inline(always)]
pub(super) fn extend(raw: i32, bits: u32) -> i32 {
    let half = 1 << bits >> 1;
    if raw < half { raw - (1 << bits) + 1 } else { raw }
}
