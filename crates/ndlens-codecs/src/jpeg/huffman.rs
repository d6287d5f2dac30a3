//! Huffman codes, as tables that answer by the next bits of the data.
//!
//! A decoder spends most of its time here, waiting for one table after the other: where a symbol
//! starts is known only after the one before it. So each look into a table should answer as much as
//! possible. A code and the bits of its value are answered at once if both are short, and so are
//! two coefficients and the end of the block. If a block is skipped, the sum of bits is all that
//! counts.

use super::bits::{Bits, extend};
use super::markers::damaged;
use crate::error::{Error, Result};

/// Bits that the tables of symbols are read by. A longer code is searched for.
const SYMBOL_BITS: u32 = 9;
/// Bits that the tables of DC differences are read by.
const DC_BITS: u32 = 10;
/// Bits that the tables of coefficients are read by.
const AC_BITS: u32 = 11;
/// Bits that the tables of strides are read by.
const STRIDE_BITS: u32 = 12;

/// A code of T.81, annex C: symbols by the next bits.
#[derive(Debug, Clone)]
pub(super) struct Code {
    /// By the next bits: the length of the code, and its symbol in the low byte; 0 if it is longer.
    short: [u16; 1 << SYMBOL_BITS],
    /// By length: the first 16 bits that are beyond the codes of this length and the shorter ones.
    limits: [u32; 17],
    /// By length: what is added to a code to give the place of its symbol.
    offsets: [i32; 17],
    symbols: [u8; 256],
}

impl Code {
    /// Reads 16 counts and the symbols.
    pub(super) fn new(table: &[u8]) -> Result<Code> {
        let (counts, symbols) = table.split_first_chunk::<16>().ok_or_else(overfull)?;
        if symbols.len() > 256 {
            return Err(overfull());
        }
        let mut code = Code {
            short: [0; 1 << SYMBOL_BITS],
            limits: [0; 17],
            offsets: [0; 17],
            symbols: [0; 256],
        };
        code.symbols[..symbols.len()].copy_from_slice(symbols);
        let (mut next, mut place) = (0_u32, 0_usize);
        for (length, &count) in (1..=16_u32).zip(counts) {
            let count = u32::from(count);
            code.offsets[length as usize] = place as i32 - next as i32;
            for _ in 0..count {
                if next >= 1 << length {
                    return Err(overfull());
                }
                if length <= SYMBOL_BITS {
                    let spare = SYMBOL_BITS - length;
                    let first = (next << spare) as usize;
                    let entry = (length as u16) << 8 | u16::from(code.symbols[place]);
                    code.short[first..first + (1 << spare)].fill(entry);
                }
                next += 1;
                place += 1;
            }
            code.limits[length as usize] = next << (16 - length);
            next <<= 1;
        }
        Ok(code)
    }

    /// The length and the symbol of the code that 16 bits begin with.
    #[inline(always)]
    fn find(&self, next: usize) -> Option<(u32, u8)> {
        let entry = self.short[(next >> (16 - SYMBOL_BITS)) & ((1 << SYMBOL_BITS) - 1)];
        if entry != 0 {
            return Some((u32::from(entry >> 8), entry as u8));
        }
        self.find_long(next)
    }

    #[cold]
    #[inline(never)]
    fn find_long(&self, next: usize) -> Option<(u32, u8)> {
        let length = (SYMBOL_BITS + 1..=16).find(|&n| (next as u32) < self.limits[n as usize])?;
        let place = (next >> (16 - length)) as i32 + self.offsets[length as usize];
        Some((length, self.symbols[usize::try_from(place).ok()? & 255]))
    }

    /// Reads a symbol, at most 16 bits.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8> {
        let (length, symbol) = self.find(bits.peek(16)).ok_or_else(no_code)?;
        bits.consume(length);
        Ok(symbol)
    }
}

#[cold]
fn overfull() -> Error {
    damaged("a Huffman table has more codes than there are")
}

#[cold]
fn no_code() -> Error {
    damaged("its data has bits that are no Huffman code")
}

/// A table for DC differences. Symbols are sizes of magnitudes.
#[derive(Debug, Clone)]
pub(super) struct DcTable {
    code: Code,
    differences: [Difference; 1 << DC_BITS],
}

/// The difference that the next bits begin with, if it is short: its length in the lowest six bits,
/// and its value in the high byte. Zero if it is longer.
#[derive(Debug, Clone, Copy, Default)]
struct Difference(u16);

impl DcTable {
    fn new(table: &[u8]) -> Result<DcTable> {
        let code = Code::new(table)?;
        if table[16..].iter().any(|&size| size > 15) {
            return Err(damaged("a Huffman table has DC differences of more than 15 bits"));
        }
        let mut differences = [Difference::default(); 1 << DC_BITS];
        for (next, difference) in differences.iter_mut().enumerate() {
            let Some((length, size)) = code.find(next << (16 - DC_BITS)) else { continue };
            let end = length + u32::from(size);
            if end <= DC_BITS {
                let raw = next >> (DC_BITS - end) & ((1 << size) - 1);
                let value = extend(raw as i32, size.into());
                if (-128..128).contains(&value) {
                    *difference = Difference(end as u16 | (value as u16) << 8);
                }
            }
        }
        Ok(DcTable { code, differences })
    }

    /// Reads a difference, of bits that were refilled. At least 44 bits are held after it.
    #[inline(always)]
    pub(super) fn difference(&self, bits: &mut Bits<'_>) -> Result<i32> {
        let Difference(short) = self.differences[bits.peek(DC_BITS)];
        if short != 0 {
            bits.consume(u32::from(short));
            return Ok(i32::from(short as i16 >> 8));
        }
        let size = self.code.symbol(bits)?;
        let difference = bits.magnitude(u32::from(size & 15));
        bits.refill();
        Ok(difference)
    }
}

/// What the next bits of AC coefficients stand for, if they are short: one or two coefficients, or
/// none, and perhaps the end of the block.
///
/// ```text
///  bits  0..6    6..8         8..15         15        16..20      20..25  25..32
///        length  places from  places        whether   zeros       the     the
///        of all  the second   of all, or    the       before the  second  first
///                to the end   TOO_LONG      block     first       value   value
///                                           ends
/// ```
///
/// The end of the block counts as a place, since it is not coded if the block is full. The second
/// place is that after the first where there is no second coefficient.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NextCoefficients(u32);

impl NextCoefficients {
    /// The places lead beyond the block.
    const TOO_LONG: NextCoefficients = NextCoefficients::new(0, 0, 0, 64, 0);

    const fn new(length: u32, zeros: u32, back: u32, places: u32, ends: u32) -> NextCoefficients {
        NextCoefficients(length | back << 6 | places << 8 | ends << 15 | zeros << 16)
    }

    const fn with_values(self, first: i32, second: i32) -> NextCoefficients {
        NextCoefficients(self.0 | (first as u32) << 25 | (second as u32 & 31) << 20)
    }

    /// Bits of all, in the lowest six bits.
    #[inline(always)]
    pub(super) fn length(self) -> u32 {
        self.0
    }

    /// Places of all.
    #[inline(always)]
    pub(super) fn places(self) -> usize {
        (self.0 >> 8 & 127) as usize
    }

    /// Zeros before the first coefficient.
    #[inline(always)]
    pub(super) fn zeros(self) -> usize {
        (self.0 >> 16 & 15) as usize
    }

    /// Places from the second coefficient to the end of all.
    #[inline(always)]
    pub(super) fn back(self) -> usize {
        (self.0 >> 6 & 3) as usize
    }

    /// Whether the block ends here.
    #[inline(always)]
    pub(super) fn ends(self) -> bool {
        self.0 & 1 << 15 != 0
    }

    /// The first coefficient; 0 if the block ends before it.
    #[inline(always)]
    pub(super) fn first(self) -> i16 {
        (self.0 as i32 >> 25) as i16
    }

    /// The second coefficient; 0 if there is none.
    #[inline(always)]
    pub(super) fn second(self) -> i16 {
        ((self.0 << 7) as i32 >> 27) as i16
    }

    /// The answer for the next [`AC_BITS`] bits.
    fn of(code: &Code, next: u32) -> NextCoefficients {
        let (zeros, first, first_end) = match Coefficient::within(code, next, 0) {
            None => return NextCoefficients::TOO_LONG,
            // The place of the end stands for the first one too.
            Some(Coefficient::End { end }) => return NextCoefficients::new(end, 0, 0, 1, 1),
            Some(Coefficient::Value { zeros, value, end }) => (zeros, value, end),
        };
        if !(-64..64).contains(&first) {
            return NextCoefficients::TOO_LONG;
        }
        let one = NextCoefficients::new(first_end, zeros, 0, zeros + 1, 0).with_values(first, 0);
        let (between, second, second_end) = match Coefficient::within(code, next, first_end) {
            None => return one,
            Some(Coefficient::End { end }) => {
                return NextCoefficients::new(end, zeros, 1, zeros + 2, 1).with_values(first, 0);
            }
            Some(Coefficient::Value { zeros, value, end }) => (zeros, value, end),
        };
        if !(-16..16).contains(&second) {
            return one;
        }
        let places = zeros + 1 + between + 1;
        let two = match Coefficient::within(code, next, second_end) {
            Some(Coefficient::End { end }) => NextCoefficients::new(end, zeros, 2, places + 1, 1),
            Some(Coefficient::Value { .. }) | None => {
                NextCoefficients::new(second_end, zeros, 1, places, 0)
            }
        };
        two.with_values(first, second)
    }
}

/// A symbol of AC coefficients with its value.
enum Coefficient {
    Value { zeros: u32, value: i32, end: u32 },
    End { end: u32 },
}

impl Coefficient {
    /// The symbol and the value that start after some of the next bits, if they end within them.
    fn within(code: &Code, next: u32, start: u32) -> Option<Coefficient> {
        let rest = (next << start) & ((1 << AC_BITS) - 1);
        let (length, symbol) = code.find((rest as usize) << (16 - AC_BITS))?;
        let (zeros, size) = (u32::from(symbol >> 4), u32::from(symbol & 15));
        let end = start + length + size;
        if end > AC_BITS || symbol == 0xF0 {
            return None;
        }
        if size == 0 {
            return Some(Coefficient::End { end });
        }
        let raw = next >> (AC_BITS - end) & ((1 << size) - 1);
        Some(Coefficient::Value { zeros, value: extend(raw as i32, size), end })
    }
}

/// Bits of a stride, at most.
const MOST_STRIDE: u32 = 22;

/// How far the next bits of AC coefficients lead, for blocks that are skipped.
///
/// ```text
///  bits  0..6            6..13         13
///        length of all   coefficients  whether the block ends, which counts as a coefficient
/// ```
#[derive(Debug, Clone, Copy)]
pub(super) struct Stride(u16);

impl Stride {
    /// It leads beyond the block.
    const TOO_LONG: Stride = Stride(127 << 6);

    /// Bits of all, in the lowest six bits.
    #[inline(always)]
    pub(super) fn length(self) -> u32 {
        u32::from(self.0)
    }

    /// Coefficients of all.
    #[inline(always)]
    pub(super) fn coefficients(self) -> usize {
        usize::from(self.0 >> 6 & 127)
    }

    /// Whether the block ends here.
    #[inline(always)]
    pub(super) fn ends(self) -> bool {
        self.0 & 1 << 13 != 0
    }

    /// The answer for the next [`STRIDE_BITS`] bits: all symbols whose codes are within them. The
    /// bits of the last one's value may be beyond.
    fn of(code: &Code, next: u32) -> Stride {
        let (mut end, mut coefficients) = (0, 0);
        while end < STRIDE_BITS {
            let rest = (next << end) & ((1 << STRIDE_BITS) - 1);
            let Some((length, symbol)) = code.find((rest as usize) << (16 - STRIDE_BITS)) else {
                break;
            };
            if end + length > STRIDE_BITS {
                break;
            }
            let (zeros, size) = (u16::from(symbol >> 4), u32::from(symbol & 15));
            if size == 0 && zeros != 15 {
                return Stride((end + length) as u16 | (coefficients + 1) << 6 | 1 << 13);
            }
            if coefficients + zeros + 1 > 63 || end + length + size > MOST_STRIDE {
                break;
            }
            end += length + size;
            coefficients += zeros + 1;
        }
        if end == 0 { Stride::TOO_LONG } else { Stride(end as u16 | coefficients << 6) }
    }
}

/// A table for AC coefficients. Symbols are zeros before a coefficient, and the size of its
/// magnitude.
#[derive(Debug, Clone)]
pub(super) struct AcTable {
    code: Code,
    coefficients: [NextCoefficients; 1 << AC_BITS],
    /// None leads anywhere before it is asked for.
    strides: [Stride; 1 << STRIDE_BITS],
    has_strides: bool,
}

impl AcTable {
    fn new(table: &[u8]) -> Result<AcTable> {
        let mut made = AcTable {
            code: Code::new(table)?,
            coefficients: [NextCoefficients::default(); 1 << AC_BITS],
            strides: [Stride::TOO_LONG; 1 << STRIDE_BITS],
            has_strides: false,
        };
        for next in 0..1 << AC_BITS {
            made.coefficients[next as usize] = NextCoefficients::of(&made.code, next);
        }
        Ok(made)
    }

    /// Makes it fast to go past blocks. Without strides, that is done symbol by symbol.
    pub(super) fn make_strides(&mut self) {
        if !self.has_strides {
            for (next, stride) in (0..).zip(&mut self.strides) {
                *stride = Stride::of(&self.code, next);
            }
            self.has_strides = true;
        }
    }

    /// What the next bits stand for.
    #[inline(always)]
    pub(super) fn coefficients(&self, bits: &Bits<'_>) -> NextCoefficients {
        self.coefficients[bits.peek(AC_BITS)]
    }

    /// How far the next bits lead.
    #[inline(always)]
    pub(super) fn stride(&self, bits: &Bits<'_>) -> Stride {
        self.strides[bits.peek(STRIDE_BITS)]
    }

    /// Reads a symbol and its value, at most 31 bits: zeros, and the value, which is 0 where 16
    /// zeros are all. `None` if the block ends.
    #[inline(always)]
    pub(super) fn one(&self, bits: &mut Bits<'_>) -> Result<Option<(usize, i16)>> {
        let symbol = self.code.symbol(bits)?;
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 && zeros != 15 {
            return Ok(None);
        }
        let value = if size == 0 { 0 } else { bits.magnitude(size) };
        Ok(Some((zeros, value as i16)))
    }
}

/// Tables by the bytes of their segments. Most photographs have those of T.81, annex K.
#[derive(Debug)]
pub(super) struct Tables<T> {
    made: Vec<Made<T>>,
    uses: u64,
}

#[derive(Debug)]
struct Made<T> {
    segment: Vec<u8>,
    last_use: u64,
    table: T,
}

/// Tables of each kind that are kept. An image uses at most three.
const KEPT: usize = 8;

impl<T> Default for Tables<T> {
    fn default() -> Self {
        Tables { made: Vec::new(), uses: 0 }
    }
}

impl<T: FromSegment> Tables<T> {
    /// The place of the table of a segment, which is made if it is not there. Places that were
    /// given for one image are not given anew for it.
    pub(super) fn place(&mut self, segment: &[u8]) -> Result<usize> {
        self.uses += 1;
        let place = match self.made.iter().position(|made| made.segment == segment) {
            Some(place) => place,
            None => self.make(segment)?,
        };
        self.made[place].last_use = self.uses;
        Ok(place)
    }

    /// The table at a place, to be completed.
    pub(super) fn at_mut(&mut self, place: usize) -> &mut T {
        &mut self.made[place].table
    }

    /// The table at a place.
    #[inline(always)]
    pub(super) fn at(&self, place: usize) -> &T {
        &self.made[place].table
    }

    fn make(&mut self, segment: &[u8]) -> Result<usize> {
        let table = T::from_segment(segment)?;
        let bytes = KEPT * size_of::<Made<T>>();
        self.made
            .try_reserve_exact(KEPT - self.made.len())
            .map_err(|_| Error::OutOfMemory { bytes })?;
        let mut owned = Vec::new();
        owned
            .try_reserve_exact(segment.len())
            .map_err(|_| Error::OutOfMemory { bytes: segment.len() })?;
        owned.extend_from_slice(segment);
        let made = Made { segment: owned, last_use: 0, table };
        if self.made.len() < KEPT {
            self.made.push(made);
            return Ok(self.made.len() - 1);
        }
        let oldest = (0..KEPT).min_by_key(|&place| self.made[place].last_use).unwrap_or(0);
        self.made[oldest] = made;
        Ok(oldest)
    }
}

/// A table that is made of a segment.
pub(super) trait FromSegment: Sized {
    /// Makes it of 16 counts and the symbols.
    fn from_segment(segment: &[u8]) -> Result<Self>;
}

impl FromSegment for DcTable {
    fn from_segment(segment: &[u8]) -> Result<Self> {
        DcTable::new(segment)
    }
}

impl FromSegment for AcTable {
    fn from_segment(segment: &[u8]) -> Result<Self> {
        AcTable::new(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::bits::BitPlace;

    /// A segment with so many codes of each length, for these symbols.
    fn segment(counts: &[(usize, u8)], symbols: &[u8]) -> Vec<u8> {
        let mut segment = vec![0; 16];
        for &(length, count) in counts {
            segment[length - 1] = count;
        }
        segment.extend(symbols);
        segment
    }

    /// Places of all coefficients of a block, and the bits that it takes, one by one or by looks.
    fn block(table: &AcTable, data: &[u8], by_strides: bool) -> (usize, usize) {
        let mut bits = Bits::new(data, BitPlace::default());
        let mut k = 1;
        while k < 64 {
            bits.refill();
            let stride = table.stride(&bits);
            if by_strides && k + stride.coefficients() <= 64 {
                bits.consume(stride.length());
                k += stride.coefficients();
                if stride.ends() {
                    k -= 1;
                    break;
                }
                continue;
            }
            match table.one(&mut bits).unwrap() {
                Some((zeros, _)) => k += zeros + 1,
                None => break,
            }
        }
        (k, bits.consumed())
    }

    #[test]
    fn strides_lead_where_single_symbols_lead() {
        // A code for any bits: short ones of the end and of 16 zeros, one of each length to 15, and
        // two of 16 bits.
        let symbols: Vec<u8> = [0x01, 0x00, 0x02, 0x11, 0xF0, 0x03, 0x0A, 0x21, 0x04]
            .into_iter()
            .chain((0x31..0x3C).chain([0x55]))
            .collect();
        let mut counts = vec![(2, 2), (3, 2), (4, 2), (5, 3), (16, 2)];
        counts.extend((6..16).map(|length| (length, 1)));
        let table = segment(&counts, &symbols);
        let mut table = AcTable::new(&table).unwrap();
        table.make_strides();
        let mut random = 1_u32;
        let mut compared = 0;
        for _ in 0..20_000 {
            let data: Vec<u8> = (0..120)
                .map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (random >> 24) as u8
                })
                .collect();
            let (one, other) = (block(&table, &data, false), block(&table, &data, true));
            if one.0 <= 64 {
                assert_eq!(one, other);
                compared += 1;
            }
        }
        assert!(compared > 10_000, "{compared}");
    }

    #[test]
    fn a_code_with_more_symbols_than_there_are_codes_is_an_error() {
        let table = segment(&[(1, 3)], &[1, 2, 3]);
        let error = AcTable::new(&table).unwrap_err().to_string();
        let expected = "the JPEG image is damaged: a Huffman table has more codes than there are";
        assert_eq!(error, expected);
        let error = DcTable::new(&segment(&[(1, 1)], &[16])).unwrap_err().to_string();
        assert!(error.contains("DC differences of more than 15 bits"), "{error}");
    }

    #[test]
    fn tables_are_kept_by_their_segments_and_the_longest_unused_is_left() {
        let mut tables = Tables::<DcTable>::default();
        let segments: Vec<_> = (0..=KEPT).map(|k| segment(&[(1, 1)], &[k as u8])).collect();
        let first: Vec<_> =
            segments[..KEPT].iter().map(|segment| tables.place(segment).unwrap()).collect();
        assert_eq!(first, (0..KEPT).collect::<Vec<_>>());
        assert_eq!(tables.place(&segments[0]).unwrap(), 0);
        assert_eq!(tables.place(&segments[KEPT]).unwrap(), 1);
        assert_eq!(tables.place(&segments[0]).unwrap(), 0);
    }
}
