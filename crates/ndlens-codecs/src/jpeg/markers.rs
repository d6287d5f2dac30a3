//! The marker segments of a JPEG file up to its first scan: ITU-T T.81, annex B, and the segments
//! of JFIF, EXIF and Adobe.
//!
//! They are read once, without a copy of what they hold. The header, the orientation and the choice
//! of a decoder come from here.

use crate::error::{Error, Result};
use crate::header::Coding;

/// The components that a frame can have here. T.81 allows more, but no reader takes them.
const MOST_COMPONENTS: usize = 4;

/// The marker segments before the first entropy-coded data.
#[derive(Debug, Clone)]
pub(crate) struct Markers<'a> {
    /// Of the start of frame.
    pub(crate) frame: JpegFrame,
    /// Of the start of scan.
    pub(crate) scan: Scan,
    /// The quantisation tables, in the order of the zigzag.
    pub(crate) quantisation: [Option<[u16; 64]>; 4],
    /// The Huffman tables for DC differences: 16 counts, then the symbols.
    pub(crate) dc_codes: [Option<&'a [u8]>; 4],
    /// The Huffman tables for AC coefficients.
    pub(crate) ac_codes: [Option<&'a [u8]>; 4],
    /// MCUs between restart markers; 0 if there are none.
    pub(crate) restart_interval: usize,
    /// Whether there is a JFIF segment.
    pub(crate) jfif: bool,
    /// The transform that Adobe's segment names.
    pub(crate) adobe_transform: Option<u8>,
    /// What follows `Exif\0\0` in the first EXIF segment: a TIFF file.
    pub(crate) exif: Option<&'a [u8]>,
    /// Where the entropy-coded data of the first scan starts.
    pub(crate) data_start: usize,
}

/// A start of frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JpegFrame {
    /// The second byte of the marker: 0xC0 baseline, 0xC1 extended, 0xC2 progressive, ..
    pub(crate) process: u8,
    /// Bits of a sample.
    pub(crate) precision: u8,
    /// Rows.
    pub(crate) height: usize,
    /// Columns.
    pub(crate) width: usize,
    components: [Component; MOST_COMPONENTS],
    count: usize,
}

/// A component of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Component {
    /// Its name in scans.
    pub(crate) id: u8,
    /// The horizontal sampling factor, 1 to 4.
    pub(crate) horizontal: usize,
    /// The vertical sampling factor, 1 to 4.
    pub(crate) vertical: usize,
    /// The place of its quantisation table, 0 to 3.
    pub(crate) quantisation: usize,
}

/// A start of scan.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    components: [ScanComponent; MOST_COMPONENTS],
    count: usize,
    /// The first and the last coefficient, in the order of the zigzag.
    pub(crate) band: (usize, usize),
    /// The bit that was sent last, from 1 on; 0 if none was.
    pub(crate) high: u32,
    /// The lowest bit that is sent, from 0 on.
    pub(crate) low: u32,
}

/// A component of a scan.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScanComponent {
    /// Its place in the frame.
    pub(crate) component: usize,
    /// The place of its table for DC differences, 0 to 3.
    pub(crate) dc: usize,
    /// The place of its table for AC coefficients, 0 to 3.
    pub(crate) ac: usize,
}

impl JpegFrame {
    /// The components, in the order of the file.
    pub(crate) fn components(&self) -> &[Component] {
        &self.components[..self.count]
    }
}

impl Scan {
    /// The components, in the order of the data.
    pub(crate) fn components(&self) -> &[ScanComponent] {
        &self.components[..self.count]
    }
}

/// A JPEG file that is not valid.
pub(crate) fn damaged(what: impl Into<String>) -> Error {
    Error::Damaged { coding: Coding::Jpeg, what: what.into() }
}

impl<'a> Markers<'a> {
    /// Reads the segments of a file.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if the file ends before its first scan, [`Error::Damaged`].
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Markers<'a>> {
        if !bytes.starts_with(&[0xFF, 0xD8]) {
            return Err(damaged("it does not begin with a start of image"));
        }
        let found = Segments::default().read_to_scan(bytes, 2)?;
        found.ok_or_else(|| damaged("it ends before its first scan"))
    }

    /// Reads the segments behind a scan, whose data ends at `at`, and with them the next scan.
    /// `None` if the image ends.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub(crate) fn next_scan(self, bytes: &'a [u8], at: usize) -> Result<Option<Markers<'a>>> {
        let found = Segments {
            frame: Some(self.frame),
            quantisation: self.quantisation,
            dc_codes: self.dc_codes,
            ac_codes: self.ac_codes,
            restart_interval: self.restart_interval,
            jfif: self.jfif,
            adobe_transform: self.adobe_transform,
            exif: self.exif,
        };
        found.read_to_scan(bytes, at)
    }
}

/// The next marker from a place on, and where it ends. What stands before it is skipped, and so are
/// fill bytes, as by other readers.
fn next_marker(bytes: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        while *bytes.get(at)? != 0xFF {
            at += 1;
        }
        while *bytes.get(at)? == 0xFF {
            at += 1;
        }
        let marker = bytes[at];
        at += 1;
        if marker != 0 {
            return Some((marker, at));
        }
    }
}

#[derive(Default)]
struct Segments<'a> {
    frame: Option<JpegFrame>,
    quantisation: [Option<[u16; 64]>; 4],
    dc_codes: [Option<&'a [u8]>; 4],
    ac_codes: [Option<&'a [u8]>; 4],
    restart_interval: usize,
    jfif: bool,
    adobe_transform: Option<u8>,
    exif: Option<&'a [u8]>,
}

impl<'a> Segments<'a> {
    /// Reads segments up to the start of a scan; `None` if the image ends before one.
    fn read_to_scan(mut self, bytes: &'a [u8], mut at: usize) -> Result<Option<Markers<'a>>> {
        let truncated = || Error::Truncated { coding: Coding::Jpeg, len: bytes.len() };
        loop {
            let (marker, after) = next_marker(bytes, at).ok_or_else(truncated)?;
            at = after;
            match marker {
                // TEM and RSTn stand alone.
                0x01 | 0xD0..=0xD7 => continue,
                0xD8 => return Err(damaged("it has a second start of image")),
                0xD9 => return Ok(None),
                _ => {}
            }
            let length = bytes.get(at..at + 2).ok_or_else(truncated)?;
            let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
            if length < 2 {
                return Err(damaged(format!("the length of segment 0x{marker:02X} is {length}")));
            }
            let segment = bytes.get(at + 2..at + length).ok_or_else(truncated)?;
            at += length;
            if marker == 0xDA {
                return self.start_scan(segment, at).map(Some);
            }
            self.read(marker, segment)?;
        }
    }

    fn read(&mut self, marker: u8, segment: &'a [u8]) -> Result<()> {
        match marker {
            0xC4 => self.huffman_tables(segment),
            // DAC: conditions of arithmetic coding, which is not decoded.
            0xCC => Ok(()),
            0xC0..=0xCF => self.start_frame(marker, segment),
            0xDB => self.quantisation_tables(segment),
            0xDD => {
                let interval: [u8; 2] =
                    segment.try_into().map_err(|_| damaged("a restart interval of no 2 bytes"))?;
                self.restart_interval = usize::from(u16::from_be_bytes(interval));
                Ok(())
            }
            0xE0 => {
                // A JFIF segment has 14 bytes; shorter ones do not count for libjpeg either.
                self.jfif |= segment.starts_with(b"JFIF\0") && segment.len() >= 14;
                Ok(())
            }
            0xE1 => {
                if self.exif.is_none() {
                    self.exif = segment.strip_prefix(b"Exif\0\0");
                }
                Ok(())
            }
            0xEE => {
                if segment.starts_with(b"Adobe") && segment.len() >= 12 {
                    self.adobe_transform = Some(segment[11]);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start_frame(&mut self, process: u8, segment: &[u8]) -> Result<()> {
        if self.frame.is_some() {
            return Err(damaged("it has a second frame"));
        }
        let short = || damaged("its start of frame is too short");
        let (fixed, rest) = segment.split_first_chunk::<6>().ok_or_else(short)?;
        let [precision, height_high, height_low, width_high, width_low, count] = *fixed;
        let count = usize::from(count);
        let (height, width) = (
            usize::from(u16::from_be_bytes([height_high, height_low])),
            usize::from(u16::from_be_bytes([width_high, width_low])),
        );
        if height == 0 || width == 0 {
            return Err(damaged(format!("its size is {height} x {width}")));
        }
        if count == 0 || count > MOST_COMPONENTS {
            return Err(damaged(format!("it has {count} components, expected 1 to 4")));
        }
        if rest.len() < 3 * count {
            return Err(short());
        }
        let mut components = [Component::default(); MOST_COMPONENTS];
        for (component, bytes) in components.iter_mut().zip(rest.chunks_exact(3)).take(count) {
            *component = Component {
                id: bytes[0],
                horizontal: usize::from(bytes[1] >> 4),
                vertical: usize::from(bytes[1] & 15),
                quantisation: usize::from(bytes[2]),
            };
            let factors = [component.horizontal, component.vertical];
            if factors.iter().any(|factor| !(1..=4).contains(factor)) {
                return Err(damaged(format!("a component's sampling factors are {factors:?}")));
            }
            if component.quantisation > 3 {
                return Err(damaged(format!("quantisation table {}", component.quantisation)));
            }
        }
        self.frame = Some(JpegFrame { process, precision, height, width, components, count });
        Ok(())
    }

    fn quantisation_tables(&mut self, mut segment: &[u8]) -> Result<()> {
        let short = || damaged("a quantisation table is too short");
        while let Some((&head, rest)) = segment.split_first() {
            let (wide, place) = (head >> 4 != 0, usize::from(head & 15));
            let slot = self
                .quantisation
                .get_mut(place)
                .ok_or_else(|| damaged(format!("quantisation table {place}")))?;
            let (values, rest) =
                rest.split_at_checked(if wide { 128 } else { 64 }).ok_or_else(short)?;
            let mut table = [0; 64];
            for (k, value) in table.iter_mut().enumerate() {
                *value = if wide {
                    u16::from_be_bytes([values[2 * k], values[2 * k + 1]])
                } else {
                    u16::from(values[k])
                };
            }
            *slot = Some(table);
            segment = rest;
        }
        Ok(())
    }

    fn huffman_tables(&mut self, mut segment: &'a [u8]) -> Result<()> {
        let short = || damaged("a Huffman table is too short");
        while let Some((&head, rest)) = segment.split_first() {
            let (class, place) = (head >> 4, usize::from(head & 15));
            let tables = match class {
                0 => &mut self.dc_codes,
                1 => &mut self.ac_codes,
                _ => return Err(damaged(format!("a Huffman table of class {class}"))),
            };
            let slot = tables
                .get_mut(place)
                .ok_or_else(|| damaged(format!("Huffman table {place}, expected 0 to 3")))?;
            let counts = rest.get(..16).ok_or_else(short)?;
            let symbols: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (table, rest) = rest.split_at_checked(16 + symbols).ok_or_else(short)?;
            *slot = Some(table);
            segment = rest;
        }
        Ok(())
    }

    fn start_scan(self, segment: &[u8], data_start: usize) -> Result<Markers<'a>> {
        let frame = self.frame.ok_or_else(|| damaged("it has a scan before its frame"))?;
        let (&count, rest) =
            segment.split_first().ok_or_else(|| damaged("its start of scan is empty"))?;
        let count = usize::from(count);
        if count == 0 || count > MOST_COMPONENTS || rest.len() < 2 * count + 3 {
            return Err(damaged(format!(
                "its start of scan has {count} components in {} bytes",
                segment.len()
            )));
        }
        let mut components = [ScanComponent::default(); MOST_COMPONENTS];
        for (scanned, bytes) in components.iter_mut().zip(rest.chunks_exact(2)).take(count) {
            let component = frame
                .components()
                .iter()
                .position(|component| component.id == bytes[0])
                .ok_or_else(|| {
                    damaged(format!("its scan has an unknown component {}", bytes[0]))
                })?;
            let (dc, ac) = (usize::from(bytes[1] >> 4), usize::from(bytes[1] & 15));
            if dc > 3 || ac > 3 {
                return Err(damaged(format!("its scan names Huffman tables {dc} and {ac}")));
            }
            *scanned = ScanComponent { component, dc, ac };
        }
        let [first, last, bits] = [rest[2 * count], rest[2 * count + 1], rest[2 * count + 2]];
        let (band, high, low) =
            ((first.into(), last.into()), (bits >> 4).into(), (bits & 15).into());
        Ok(Markers {
            frame,
            scan: Scan { components, count, band, high, low },
            quantisation: self.quantisation,
            dc_codes: self.dc_codes,
            ac_codes: self.ac_codes,
            restart_interval: self.restart_interval,
            jfif: self.jfif,
            adobe_transform: self.adobe_transform,
            exif: self.exif,
            data_start,
        })
    }
}
