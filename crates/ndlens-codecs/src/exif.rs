//! The orientation tag of EXIF metadata.
//!
//! EXIF is a TIFF file: a header with the byte order, and a list of 12-byte entries, IFD0, that has
//! the tag 0x0112. One tag is needed, so nothing else is read and no memory is taken. Source: CIPA
//! DC-008 (EXIF 2.32), 4.5 and 4.6.4.

use crate::header::Orientation;

/// What stands before the TIFF header in JPEG, and in some WebP files.
pub(crate) const PREFIX: &[u8] = b"Exif\0\0";
const ORIENTATION: u16 = 0x0112;

/// Integers of one byte order.
struct Tiff<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

impl Tiff<'_> {
    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }

    fn u16(&self, offset: usize) -> Option<u16> {
        let bytes = self.array(offset)?;
        Some(if self.little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn u32(&self, offset: usize) -> Option<u32> {
        let bytes = self.array(offset)?;
        Some(if self.little_endian { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// The tag's value, in any of the types of unsigned integers.
    fn orientation(&self) -> Option<u32> {
        // At 0 there is no list.
        let list = Some(self.u32(4)? as usize).filter(|place| *place > 0)?;
        let count = usize::from(self.u16(list)?);
        let entries = (0..count).map(|entry| list + 2 + 12 * entry);
        for entry in entries {
            if self.u16(entry)? != ORIENTATION {
                continue;
            }
            if self.u32(entry + 4)? != 1 {
                return None;
            }
            // TIFF 6.0: 1 is BYTE, 3 is SHORT, 4 is LONG; values stand at the start of their field.
            return match self.u16(entry + 2)? {
                1 => self.array::<1>(entry + 8).map(|[byte]| byte.into()),
                3 => self.u16(entry + 8).map(u32::from),
                4 => self.u32(entry + 8),
                _ => None,
            };
        }
        None
    }
}

/// The orientation that EXIF metadata says; upright if it says none, or is damaged.
pub(crate) fn orientation(exif: &[u8]) -> Orientation {
    let bytes = exif.strip_prefix(PREFIX).unwrap_or(exif);
    let little_endian = match bytes.first_chunk() {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => return Orientation::Upright,
    };
    match (Tiff { bytes, little_endian }).orientation() {
        Some(2) => Orientation::FlipHorizontal,
        Some(3) => Orientation::Rotate180,
        Some(4) => Orientation::FlipVertical,
        Some(5) => Orientation::Transpose,
        Some(6) => Orientation::Rotate90,
        Some(7) => Orientation::Transverse,
        Some(8) => Orientation::Rotate270,
        _ => Orientation::Upright,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Metadata with one entry.
    pub(crate) fn exif(little_endian: bool, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let u16 = |v: u16| if little_endian { v.to_le_bytes() } else { v.to_be_bytes() };
        let u32 = |v: u32| if little_endian { v.to_le_bytes() } else { v.to_be_bytes() };
        let start: &[u8] = if little_endian { b"II*\0" } else { b"MM\0*" };
        let entry = [&u16(ORIENTATION)[..], &u16(kind), &u32(count), &value].concat();
        [start, &u32(8), &u16(1), &entry, &u32(0)].concat()
    }

    #[test]
    fn all_types_of_integers_and_both_byte_orders_are_read() {
        let expected = Orientation::Rotate90;
        for (little_endian, kind, value) in [
            (true, 1, [6, 0, 0, 0]),
            (true, 3, [6, 0, 0, 0]),
            (true, 4, [6, 0, 0, 0]),
            (false, 1, [6, 0, 0, 0]),
            (false, 3, [0, 6, 0, 0]),
            (false, 4, [0, 0, 0, 6]),
        ] {
            let exif = exif(little_endian, kind, 1, value);
            assert_eq!(orientation(&exif), expected);
            assert_eq!(orientation(&[PREFIX, &exif].concat()), expected);
        }
    }

    #[test]
    fn damaged_metadata_means_upright() {
        let whole = exif(true, 3, 1, [6, 0, 0, 0]);
        for len in 0..whole.len() {
            let is_there = len >= 20;
            let expected = if is_there { Orientation::Rotate90 } else { Orientation::Upright };
            assert_eq!(orientation(&whole[..len]), expected, "of {len} bytes");
        }
        assert_eq!(orientation(&exif(true, 3, 2, [6, 0, 0, 0])), Orientation::Upright);
        assert_eq!(orientation(&exif(true, 2, 1, [6, 0, 0, 0])), Orientation::Upright);
        for value in [0, 9, 255] {
            assert_eq!(orientation(&exif(true, 3, 1, [value, 0, 0, 0])), Orientation::Upright);
        }
        // No list, and an entry where one at 0 would have its second.
        let none = b"MM\0*\0\0\0\0\0\xff\xff\xff\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0";
        assert_eq!(orientation(none), Orientation::Upright);
        // A list of entries that starts at the last byte of the address space.
        let far = [b"II*\0".as_slice(), &u32::MAX.to_le_bytes()].concat();
        assert_eq!(orientation(&far), Orientation::Upright);
    }
}
