//! One header of a tar archive: the 512 bytes before each member's data.
//!
//! ```text
//!  0     100   124   136    148  156   157    257     263     345      500  512
//!  | name | .. | size | time | sum | kind | link | magic | .. | prefix | .. |
//! ```
//!
//! Numbers are octal digits; GNU's also big-endian behind a first byte of 0x80. `ustar` archives
//! (POSIX.1-1988) have a prefix of the name. Archives of Unix v7 have no magic.
//!
//! # Rationale
//!
//! The crate `tar` (0.4) parses headers too. It drops the upper bytes of a size that does not fit
//! 64 bits, ends a PAX record at the first line feed in its value, and reads a long name whole,
//! whatever the memory. So headers are read here, and that crate writes the archives of the tests.

use std::ops::Range;

/// Bytes of a header, and of which a member's data takes a multiple.
pub(crate) const BLOCK: usize = 512;

const NAME: Range<usize> = 0..100;
const SIZE: Range<usize> = 124..136;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: Range<usize> = 257..263;
const PREFIX: Range<usize> = 345..500;

/// The magic of POSIX, after which a prefix of the name follows; GNU's has other fields there.
const POSIX_MAGIC: &[u8] = b"ustar\0";
const GNU_MAGIC: &[u8] = b"ustar ";

/// A header with the right checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TarHeader<'a>(&'a [u8; BLOCK]);

/// The kind of a member, as its header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberKind {
    /// A regular file.
    File,
    /// A directory, link, device or FIFO, which has no data whatever size it claims.
    NoData,
    /// The name of the next member, by GNU.
    LongName,
    /// Records about the next member, by POSIX.
    Records,
    /// Records about all members that follow.
    GlobalRecords,
    /// A file of which holes are left out.
    Sparse,
    /// The rest of a file that began in another archive.
    Continued,
    /// Something else with data, such as the target of a long link.
    Other,
}

/// The first bytes of a file as a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrongChecksum {
    pub(crate) got: u32,
    /// What the header says; None if that is not a number.
    pub(crate) expected: Option<u64>,
}

impl<'a> TarHeader<'a> {
    /// # Errors
    ///
    /// [`WrongChecksum`]: these bytes are not a header, or damaged.
    pub(crate) fn of(block: &'a [u8; BLOCK]) -> Result<Self, WrongChecksum> {
        let expected = number(&block[CHECKSUM]);
        // The checksum's own field counts as spaces.
        let counted = |(at, &byte)| if CHECKSUM.contains(&at) { b' ' } else { byte };
        let sum = block.iter().enumerate().map(counted).map(u32::from).sum();
        if expected == Some(u64::from(sum)) {
            return Ok(TarHeader(block));
        }
        // Some old writers added signed bytes.
        let signed = block.iter().enumerate().map(counted).map(|byte| i64::from(byte as i8));
        if expected.and_then(|expected| i64::try_from(expected).ok()) == Some(signed.sum()) {
            return Ok(TarHeader(block));
        }
        Err(WrongChecksum { got: sum, expected })
    }

    /// Whether the header names the standard that it follows.
    pub(crate) fn has_magic(self) -> bool {
        [POSIX_MAGIC, GNU_MAGIC].contains(&&self.0[MAGIC])
    }

    /// The kind of the member. `long_name` stood before the header, whose own name is a part of it
    /// then, cut anywhere; it is empty if there was none.
    pub(crate) fn kind(self, long_name: &[u8]) -> MemberKind {
        let name = if long_name.is_empty() { until_nul(&self.0[NAME]) } else { long_name };
        match self.0[KIND] {
            // Before POSIX a directory was a file whose name ends in a slash.
            b'\0' | b'0' if name.ends_with(b"/") => MemberKind::NoData,
            b'\0' | b'0' | b'7' => MemberKind::File,
            b'1'..=b'6' => MemberKind::NoData,
            b'L' => MemberKind::LongName,
            // 'X' is that of Solaris.
            b'x' | b'X' => MemberKind::Records,
            b'g' => MemberKind::GlobalRecords,
            b'S' => MemberKind::Sparse,
            b'M' => MemberKind::Continued,
            _ => MemberKind::Other,
        }
    }

    /// The number of bytes of data; None if it is not a number.
    pub(crate) fn size(self) -> Option<u64> {
        number(&self.0[SIZE])
    }

    /// The prefix of the name, which is empty if there is none, and the name.
    pub(crate) fn name(self) -> (&'a [u8], &'a [u8]) {
        let is_posix = &self.0[MAGIC] == POSIX_MAGIC;
        let prefix = if is_posix { until_nul(&self.0[PREFIX]) } else { &[] };
        (prefix, until_nul(&self.0[NAME]))
    }
}

/// The bytes before the first NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// A number of a header: octal digits between spaces and NULs, or base 256. None for anything else.
fn number(field: &[u8]) -> Option<u64> {
    if let Some((&first, rest)) = field.split_first().filter(|(first, _)| **first >= 0x80) {
        // A first byte of 0xff is that of a number below zero, which does not fit.
        let top = first & 0x7f;
        return rest.iter().try_fold(u64::from(top), |number, &byte| {
            number.checked_mul(256).map(|shifted| shifted + u64::from(byte))
        });
    }
    let is_padding = |byte: &u8| matches!(byte, b' ' | b'\0');
    let start = field.iter().position(|byte| !is_padding(byte)).unwrap_or(field.len());
    let digits = &field[start..];
    let end = digits.iter().position(is_padding).unwrap_or(digits.len());
    if !digits[end..].iter().all(is_padding) {
        return None;
    }
    digits[..end].iter().try_fold(0u64, |number, &digit| match digit {
        b'0'..=b'7' => number.checked_mul(8).map(|shifted| shifted + u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        for (field, expected) in [
            (&b"00000000012\0"[..], Some(10)),
            (b"         12 ", Some(10)),
            (b"12\0\0", Some(10)),
            (b"\0\0\0\0", Some(0)),
            (b"    ", Some(0)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\x01", Some(0x2_0000_0001)),
            (b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Some(0x7fff_ffff_ffff_ffff)),
            // What does not fit, numbers below zero, other digits, digits after the end.
            (b"\x80\0\0\x01\0\0\0\0\0\0\0\0", None),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"00000000018\0", None),
            (b"-1 ", None),
            (b"1 1 ", None),
        ] {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn a_checksum_may_be_of_signed_bytes() {
        let mut block = [0; BLOCK];
        block[..3].copy_from_slice(b"a\xff\xfe");
        let unsigned = u32::from(b'a') + 0xff + 0xfe + 8 * 32;
        block[CHECKSUM].copy_from_slice(format!("{unsigned:06o}\0 ").as_bytes());
        assert_eq!(TarHeader::of(&block).unwrap().name(), (&b""[..], &b"a\xff\xfe"[..]));
        let signed = i32::from(b'a') - 1 - 2 + 8 * 32;
        block[CHECKSUM].copy_from_slice(format!("{signed:06o}\0 ").as_bytes());
        assert!(TarHeader::of(&block).is_ok());
        block[CHECKSUM].copy_from_slice(b"0000001\0");
        let wrong = WrongChecksum { got: unsigned, expected: Some(1) };
        assert_eq!(TarHeader::of(&block).unwrap_err(), wrong);
        block[CHECKSUM].copy_from_slice(b"no sum!!");
        assert_eq!(TarHeader::of(&block).unwrap_err().expected, None);
    }
}
