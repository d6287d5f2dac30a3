//! The entropy-coded data of a scan, in the intervals between its restart markers.
//!
//! In the data, a byte 0xFF that is no marker is followed by a zero, which is left out here. So
//! what reads bits never looks for markers, and finds the end of the data by its position alone.

use memchr::memchr;

use super::markers::damaged;
use crate::error::{Error, Result};
use crate::header::Coding;

/// Zeros after the data, so that a read of eight bytes at any of its bytes stays within.
pub(super) const PADDING: usize = 8;

/// The intervals of a file, from first to last.
#[derive(Debug)]
pub(super) struct Intervals<'a> {
    bytes: &'a [u8],
    /// Where the next interval starts, or the marker after the last one.
    at: usize,
    /// The number of the next restart marker, 0 to 7.
    restart: u8,
}

impl<'a> Intervals<'a> {
    pub(super) fn new(bytes: &'a [u8], start: usize) -> Intervals<'a> {
        Intervals { bytes, at: start, restart: 0 }
    }

    /// Where the marker after the last interval is.
    pub(super) fn end(&self) -> usize {
        self.at
    }

    /// The data of the interval that starts here, without stuffed bytes and with [`PADDING`].
    pub(super) fn read(&mut self, data: &mut Vec<u8>) -> Result<()> {
        data.clear();
        loop {
            let run = self.next_run()?;
            // A stuffed byte stands for 0xFF.
            let stuffed = self.marker() == 0;
            let part = &self.bytes[run.start..run.end + usize::from(stuffed)];
            let bytes = part.len() + PADDING;
            data.try_reserve(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
            data.extend_from_slice(part);
            if !stuffed {
                data.extend_from_slice(&[0; PADDING]);
                return Ok(());
            }
            self.at += 2;
        }
    }

    /// Goes past the interval that starts here.
    pub(super) fn skip(&mut self) -> Result<()> {
        loop {
            self.next_run()?;
            if self.marker() != 0 {
                return Ok(());
            }
            self.at += 2;
        }
    }

    /// Goes past the restart marker, to the next interval.
    pub(super) fn restart(&mut self) -> Result<()> {
        let (expected, got) = (0xD0 + self.restart, self.marker());
        if got != expected {
            return Err(damaged(format!(
                "marker 0x{got:02X} is at byte {}, expected restart marker 0x{expected:02X}",
                self.at
            )));
        }
        self.at += 2;
        self.restart = (self.restart + 1) % 8;
        Ok(())
    }

    /// Checks that the image is complete: that there is an end of image after the data.
    pub(super) fn finish(&mut self) -> Result<()> {
        loop {
            self.next_run()?;
            if self.marker() == 0xD9 {
                return Ok(());
            }
            self.at += 2;
        }
    }

    /// The bytes up to the next 0xFF that a marker or a stuffed zero follows, which is then here.
    fn next_run(&mut self) -> Result<std::ops::Range<usize>> {
        let start = self.at;
        let found = memchr(0xFF, &self.bytes[start..]).map(|skipped| start + skipped);
        let end = found.unwrap_or(self.bytes.len());
        // Fill bytes before a marker belong to no data.
        self.at = end;
        while self.bytes.get(self.at + 1) == Some(&0xFF) {
            self.at += 1;
        }
        if self.at + 1 >= self.bytes.len() {
            return Err(Error::Truncated { coding: Coding::Jpeg, len: self.bytes.len() });
        }
        Ok(start..end)
    }

    /// What follows the 0xFF that is here.
    fn marker(&self) -> u8 {
        self.bytes[self.at + 1]
    }
}
