//! MCUs of a scan: blocks that are decoded, blocks that are skipped, restarts.

use super::bits::{BitPlace, Bits};
use super::blocks::BlockGroup;
use super::huffman::{AcTable, DcTable};
use super::intervals::Intervals;
use super::markers::damaged;
use crate::error::{Error, Result};

/// MCUs that are read before it is known that the data has them: few, so that a small file that
/// claims to be large is refused at once.
const MCUS_UNCHECKED: usize = 1024;

/// A reader of the MCUs of a scan, in their order.
#[derive(Debug)]
pub(super) struct Entropy<'a, 's> {
    intervals: Intervals<'a>,
    /// Of the interval that is read, if one is.
    data: &'s mut Vec<u8>,
    place: BitPlace,
    is_read: bool,
    /// Of each component of the scan.
    last_dc: [i32; 4],
    /// MCUs between restarts, or more than there are.
    interval: usize,
    /// MCUs up to the next restart.
    left: usize,
}

/// What is done with an MCU.
pub(super) trait McuReader {
    /// Reads the blocks of the next MCU, with the last DC coefficient of each component.
    fn read(&mut self, bits: &mut Bits<'_>, last_dc: &mut [i32; 4]) -> Result<()>;
}

impl<'a, 's> Entropy<'a, 's> {
    /// A reader from the first MCU on. The interval is 0 if there are no restarts.
    pub(super) fn new(intervals: Intervals<'a>, interval: usize, data: &'s mut Vec<u8>) -> Self {
        let interval = if interval == 0 { usize::MAX } else { interval };
        Entropy {
            intervals,
            data,
            place: BitPlace::default(),
            is_read: false,
            last_dc: [0; 4],
            interval,
            left: interval,
        }
    }

    /// Reads MCUs.
    #[inline(always)]
    pub(super) fn read(&mut self, count: usize, reader: &mut impl McuReader) -> Result<()> {
        let mut done = 0;
        while done < count {
            self.restart_if_due()?;
            if !self.is_read {
                self.intervals.read(self.data)?;
                (self.is_read, self.place, self.last_dc) = (true, BitPlace::default(), [0; 4]);
            }
            let run = self.left.min(count - done).min(MCUS_UNCHECKED);
            let mut bits = Bits::new(self.data, self.place);
            for _ in 0..run {
                reader.read(&mut bits, &mut self.last_dc)?;
            }
            if bits.overran() {
                return Err(damaged("its data ends within a block"));
            }
            self.place = bits.place();
            self.left -= run;
            done += run;
        }
        Ok(())
    }

    /// Goes past MCUs; past those between two restarts without reading them.
    #[inline(always)]
    pub(super) fn skip(&mut self, mut count: usize, reader: &mut impl McuReader) -> Result<()> {
        while count > 0 {
            self.restart_if_due()?;
            if count < self.left {
                return self.read(count, reader);
            }
            if !self.is_read {
                self.intervals.skip()?;
            }
            count -= self.left;
            self.left = 0;
        }
        Ok(())
    }

    /// Checks that the file is complete.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.intervals.finish()
    }

    fn restart_if_due(&mut self) -> Result<()> {
        if self.left == 0 {
            self.intervals.restart()?;
            (self.left, self.is_read) = (self.interval, false);
        }
        Ok(())
    }
}

#[cold]
fn too_many() -> Error {
    damaged("a block has more than 64 coefficients")
}

/// Reads a block into a lane of a group.
#[inline(always)]
pub(super) fn read_block(
    bits: &mut Bits<'_>,
    (dc, ac): (&DcTable, &AcTable),
    last_dc: &mut i32,
    group: &mut BlockGroup,
    lane: usize,
) -> Result<()> {
    bits.refill();
    *last_dc = last_dc.wrapping_add(dc.difference(bits)?);
    group.set(0, lane, *last_dc as i16);
    let mut k = 1;
    loop {
        // As many as 44 bits are enough for.
        for _ in 0..4 {
            let next = ac.coefficients(bits);
            let end = k + next.places();
            if end > 64 {
                // The block is full; or its next code is long; or the bits stand for more than the
                // block has left, so that the last of them belong to the next one.
                if k == 64 {
                    return Ok(());
                }
                bits.refill();
                let Some((zeros, value)) = ac.one(bits)? else {
                    return Ok(());
                };
                k += zeros;
                if k > 63 {
                    return Err(too_many());
                }
                group.set(k, lane, value);
                k += 1;
                break;
            }
            bits.consume(next.length());
            // Where there is no second one, zero is written where the next one will be, if any.
            group.set(end - next.back(), lane, next.second());
            group.set(k + next.zeros(), lane, next.first());
            k = end;
            if next.ends() {
                return Ok(());
            }
        }
        bits.refill();
    }
}

/// Reads the DC coefficient of a block and goes past the others.
#[inline(always)]
pub(super) fn skip_block(
    bits: &mut Bits<'_>,
    (dc, ac): (&DcTable, &AcTable),
    last_dc: &mut i32,
) -> Result<()> {
    bits.refill();
    *last_dc = last_dc.wrapping_add(dc.difference(bits)?);
    let mut k = 1;
    loop {
        // As many as 44 bits are enough for.
        for _ in 0..2 {
            let stride = ac.stride(bits);
            let end = k + stride.coefficients();
            if end > 64 {
                // As above.
                if k == 64 {
                    return Ok(());
                }
                bits.refill();
                let Some((zeros, _)) = ac.one(bits)? else {
                    return Ok(());
                };
                k += zeros + 1;
                if k > 64 {
                    return Err(too_many());
                }
                break;
            }
            bits.consume(stride.length());
            k = end;
            if stride.ends() {
                return Ok(());
            }
        }
        bits.refill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes a bit for each MCU, and counts them.
    struct Count(usize);

    impl McuReader for Count {
        fn read(&mut self, bits: &mut Bits<'_>, _: &mut [i32; 4]) -> Result<()> {
            bits.refill();
            bits.consume(1);
            self.0 += 1;
            Ok(())
        }
    }

    #[test]
    fn few_mcus_are_read_beyond_the_data() {
        let file = [[0; 10].as_slice(), &[0xFF, 0xD9]].concat();
        for (claimed, enough) in [(80, true), (81, false), (1_000_000, false)] {
            let (mut data, mut count) = (Vec::new(), Count(0));
            let mut entropy = Entropy::new(Intervals::new(&file, 0), 0, &mut data);
            assert_eq!(entropy.skip(claimed, &mut count).is_ok(), enough);
            assert!(count.0 <= claimed.min(MCUS_UNCHECKED));
        }
    }

    #[test]
    fn intervals_before_the_mcus_that_are_read_are_not_read() {
        // Three intervals of eight MCUs.
        let file = [7, 0xFF, 0xD0, 0xFF, 0x00, 0xFF, 0xD1, 7, 0xFF, 0xD9];
        let (mut data, mut count) = (Vec::new(), Count(0));
        let mut entropy = Entropy::new(Intervals::new(&file, 0), 8, &mut data);
        entropy.skip(12, &mut count).unwrap();
        assert_eq!(count.0, 4);
        entropy.read(4, &mut count).unwrap();
        entropy.skip(8, &mut count).unwrap();
        assert_eq!(count.0, 8);
        entropy.finish().unwrap();
        assert!(entropy.skip(1, &mut count).is_err());
    }
}
