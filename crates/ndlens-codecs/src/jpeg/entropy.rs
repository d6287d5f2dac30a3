//! MCUs of a scan: blocks that are decoded, blocks that are skipped, restarts.

use super::bits::{BitPlace, Bits};
use super::blocks::Group;
use super::huffman::{AcTable, DcTable};
use super::intervals::Intervals;
use super::markers::damaged;
use crate::error::{Error, Result};

/// A reader of the MCUs of a scan, in their order.
#[derive(Debug)]
pub(super) struct Entropy<'a, 's> {
    intervals: Intervals<'a>,
    /// Of the interval that is read, if one is.
    data: &'s mut Vec<u8>,
    place: BitPlace,
    is_read: bool,
    /// Of each component of the scan.
    last_dc: [i32; 3],
    /// MCUs between restarts, or more than there are.
    interval: usize,
    /// MCUs up to the next restart.
    left: usize,
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
            last_dc: [0; 3],
            interval,
            left: interval,
        }
    }

    /// Reads MCUs. The function is called for each, with its number from 0 on and the last DC
    /// coefficients.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        count: usize,
        mut mcu: impl FnMut(&mut Bits<'_>, &mut [i32; 3], usize) -> Result<()>,
    ) -> Result<()> {
        let mut done = 0;
        while done < count {
            self.restart_if_due()?;
            if !self.is_read {
                self.intervals.read(self.data)?;
                (self.is_read, self.place, self.last_dc) = (true, BitPlace::default(), [0; 3]);
            }
            let run = self.left.min(count - done);
            let mut bits = Bits::new(self.data, self.place);
            for number in done..done + run {
                mcu(&mut bits, &mut self.last_dc, number)?;
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
    pub(super) fn skip(
        &mut self,
        mut count: usize,
        mut mcu: impl FnMut(&mut Bits<'_>, &mut [i32; 3], usize) -> Result<()>,
    ) -> Result<()> {
        while count > 0 {
            self.restart_if_due()?;
            if count < self.left {
                return self.read(count, &mut mcu);
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
    group: &mut Group,
    lane: usize,
) -> Result<()> {
    bits.refill();
    *last_dc = last_dc.wrapping_add(dc.difference(bits)?);
    group.set(0, lane, *last_dc as i16);
    let mut k = 1;
    loop {
        bits.refill();
        // As many as 56 bits are enough for.
        for _ in 0..4 {
            let next = ac.coefficients(bits);
            let first = k + next.first_zeros();
            let second = first + 1 + next.second_zeros();
            let end = second + next.has_second();
            if end + usize::from(next.ends()) > 64 {
                // A long code, or what the bits after the last coefficient would stand for if it
                // were not the last.
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
                if k == 64 {
                    return Ok(());
                }
                break;
            }
            bits.consume(next.length());
            // Where there is no second one, zero is written where the next one will be, if any.
            group.set(second, lane, next.second());
            group.set(first, lane, next.first());
            k = end;
            if next.ends() | (k == 64) {
                return Ok(());
            }
        }
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
        bits.refill();
        for _ in 0..2 {
            let stride = ac.stride(bits);
            let end = k + stride.coefficients();
            if end > 64 {
                bits.refill();
                let Some((zeros, _)) = ac.one(bits)? else {
                    return Ok(());
                };
                k += zeros + 1;
                if k > 64 {
                    return Err(too_many());
                }
                if k == 64 {
                    return Ok(());
                }
                break;
            }
            bits.consume(stride.length());
            k = end;
            if stride.ends() | (k == 64) {
                return Ok(());
            }
        }
    }
}
