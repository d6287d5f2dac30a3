//! Blocks of a scan: all coefficients of a block, or a part of them. T.81, F.2.2 and G.2.
//!
//! A progressive image sends first the DC coefficients, then bands of the others, each without its
//! lowest bits, and then one bit more of all of them, and so on. A band of a block that is empty,
//! as those of the next blocks may be too, is one code for all.

use super::bits::Bits;
use super::huffman::Code;
use super::markers::{Scan, damaged};
use crate::error::{Error, Result};

/// What a scan sends of each block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All coefficients.
    All,
    /// The DC coefficient without its lowest bits.
    DcFirst,
    /// One bit more of the DC coefficient.
    DcNext,
    /// A band of coefficients without their lowest bits.
    AcFirst,
    /// One bit more of a band.
    AcNext,
}

impl Part {
    /// What a scan of a frame sends.
    pub(super) fn of(scan: &Scan, is_progressive: bool) -> Result<Part> {
        if !is_progressive {
            return Ok(Part::All);
        }
        let (first, last) = scan.band;
        let is_band = match first {
            0 => last == 0,
            _ => first <= last && last < 64 && scan.components().len() == 1,
        };
        let is_next_bit = scan.high == 0 || scan.high == scan.low + 1;
        if !is_band || !is_next_bit || scan.low > 13 {
            return Err(damaged(format!(
                "a scan of {} components sends coefficients {first} to {last}, bits {} to {}",
                scan.components().len(),
                scan.high,
                scan.low
            )));
        }
        Ok(match (first, scan.high) {
            (0, 0) => Part::DcFirst,
            (0, _) => Part::DcNext,
            (_, 0) => Part::AcFirst,
            (..) => Part::AcNext,
        })
    }

    /// Whether the scan uses codes of DC differences, and of AC coefficients.
    pub(super) fn codes(self) -> (bool, bool) {
        match self {
            Part::All => (true, true),
            Part::DcFirst => (true, false),
            Part::DcNext => (false, false),
            Part::AcFirst | Part::AcNext => (false, true),
        }
    }
}

/// A reader of the blocks of a component in a scan.
#[derive(Debug)]
pub(super) struct BlockReader {
    pub(super) part: Part,
    pub(super) dc: Option<Code>,
    pub(super) ac: Option<Code>,
    pub(super) band: (usize, usize),
    /// The lowest bit that is sent.
    pub(super) low: u32,
    pub(super) last_dc: i32,
    /// Blocks, from this one on, whose bands have no more codes.
    pub(super) empty: u32,
}

/// The next bits, 0 to 16, as a number.
fn number(bits: &mut Bits<'_>, count: u32) -> u32 {
    if count == 0 {
        return 0;
    }
    let number = bits.peek(count) as u32;
    bits.consume(count);
    number
}

fn bit(bits: &mut Bits<'_>) -> bool {
    bits.refill();
    number(bits, 1) == 1
}

#[cold]
fn beyond() -> Error {
    damaged("a block has more coefficients than its band")
}

#[cold]
fn no_table() -> Error {
    damaged("a Huffman table is missing")
}

impl BlockReader {
    /// Forgets what restarts forget.
    pub(super) fn restart(&mut self) {
        (self.last_dc, self.empty) = (0, 0);
    }

    /// Reads what the scan has of a block.
    pub(super) fn read(&mut self, bits: &mut Bits<'_>, block: &mut [i16]) -> Result<()> {
        match self.part {
            Part::All => {
                block.fill(0);
                self.dc_first(bits, block)?;
                self.ac_of_all(bits, block)
            }
            Part::DcFirst => self.dc_first(bits, block),
            Part::DcNext => {
                if bit(bits) {
                    block[0] |= 1 << self.low;
                }
                Ok(())
            }
            Part::AcFirst => self.ac_first(bits, block),
            Part::AcNext => self.ac_next(bits, block),
        }
    }

    fn dc_first(&mut self, bits: &mut Bits<'_>, block: &mut [i16]) -> Result<()> {
        bits.refill();
        let size = self.dc.as_ref().ok_or_else(no_table)?.symbol(bits)?;
        if size > 15 {
            return Err(damaged("a DC difference has more than 15 bits"));
        }
        self.last_dc = self.last_dc.wrapping_add(bits.magnitude(size.into()));
        block[0] = (self.last_dc << self.low) as i16;
        Ok(())
    }

    fn ac_of_all(&self, bits: &mut Bits<'_>, block: &mut [i16]) -> Result<()> {
        let code = self.ac.as_ref().ok_or_else(no_table)?;
        let mut place = 1;
        while place < 64 {
            bits.refill();
            let symbol = code.symbol(bits)?;
            let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
            if size == 0 && zeros < 15 {
                return Ok(());
            }
            place += zeros;
            if size > 0 {
                *block.get_mut(place).ok_or_else(beyond)? = bits.magnitude(size.into()) as i16;
            }
            place += 1;
        }
        if place == 64 { Ok(()) } else { Err(beyond()) }
    }

    fn ac_first(&mut self, bits: &mut Bits<'_>, block: &mut [i16]) -> Result<()> {
        if self.empty > 0 {
            self.empty -= 1;
            return Ok(());
        }
        let code = self.ac.as_ref().ok_or_else(no_table)?;
        let (mut place, last) = self.band;
        while place <= last {
            bits.refill();
            let symbol = code.symbol(bits)?;
            let (zeros, size) = (symbol >> 4, u32::from(symbol & 15));
            if size == 0 && zeros < 15 {
                self.empty = (1 << zeros) - 1 + number(bits, zeros.into());
                return Ok(());
            }
            place += usize::from(zeros);
            if size > 0 {
                if place > last {
                    return Err(beyond());
                }
                block[place] = (bits.magnitude(size) << self.low) as i16;
            }
            place += 1;
        }
        Ok(())
    }

    fn ac_next(&mut self, bits: &mut Bits<'_>, block: &mut [i16]) -> Result<()> {
        let code = self.ac.as_ref().ok_or_else(no_table)?;
        let (mut place, last) = self.band;
        let low = self.low;
        let sent = 1_i16 << low;
        // A coefficient that is not zero gets a bit more: away from zero.
        let refine = |bits: &mut Bits<'_>, value: &mut i16| {
            if bit(bits) && *value & sent == 0 {
                *value = value.wrapping_add(if *value < 0 { -sent } else { sent });
            }
        };
        if self.empty == 0 {
            while place <= last {
                bits.refill();
                let symbol = code.symbol(bits)?;
                let (mut zeros, size) = (symbol >> 4, symbol & 15);
                let mut value = 0;
                match size {
                    0 if zeros < 15 => {
                        self.empty = (1 << zeros) + number(bits, zeros.into());
                        break;
                    }
                    0 => {}
                    1 => value = if bit(bits) { sent } else { -sent },
                    _ => return Err(damaged("a next bit of a coefficient has several bits")),
                }
                // Past so many zeros, and all others on the way.
                while place <= last {
                    let own = &mut block[place];
                    if *own != 0 {
                        refine(bits, own);
                    } else if zeros == 0 {
                        break;
                    } else {
                        zeros -= 1;
                    }
                    place += 1;
                }
                if value != 0 {
                    if place > last {
                        return Err(beyond());
                    }
                    block[place] = value;
                }
                place += 1;
            }
        }
        if self.empty > 0 {
            for own in block.iter_mut().take(last + 1).skip(place) {
                if *own != 0 {
                    refine(bits, own);
                }
            }
            self.empty -= 1;
        }
        Ok(())
    }
}
