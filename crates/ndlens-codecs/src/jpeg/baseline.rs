//! A region of a baseline JPEG.
//!
//! The pixels are equal to those of libjpeg-turbo, with its defaults, to the bit: the accurate
//! inverse DCT, and upsampling by a triangle filter. A region is equal to that part of the whole
//! image. Work is spared in this order: MCU rows after the region are not read; intervals between
//! restart markers before it are searched for their end alone; blocks beside it are read without
//! their values; all that comes after the entropy-coded data is done for the region alone.

use ndlens_kernels::{Body, Level};

use super::bits::Bits;
use super::entropy::{Entropy, McuReader, read_block, skip_block};
use super::geometry::{Plan, factors, is_regular};
use super::huffman::{AcTable, DcTable};
use super::intervals::Intervals;
use super::markers::{Markers, damaged};
use super::pixels::Pixels;
use super::scratch::JpegScratch;
use super::strip::Strip;
use crate::decoder::{Decoder, ImageMut};
use crate::error::{Error, Result};
use crate::header::{Coding, Header};
use crate::mode::Mode;
use crate::region::{DecodeRegion, Scale};
use crate::scratch::DecodeScratch;

/// A JPEG of Huffman-coded sequential DCT, 8 bits, 1 or 3 components in one scan.
#[derive(Debug)]
pub(crate) struct Baseline<'a> {
    header: Header,
    bytes: &'a [u8],
    markers: Markers<'a>,
    colours: Colours,
}

/// What the components are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Grey,
    Ycc,
    Rgb,
}

impl Colours {
    /// As libjpeg decides.
    fn of(markers: &Markers<'_>) -> Colours {
        let components = markers.frame.components();
        if components.len() == 1 {
            return Colours::Grey;
        }
        let named_rgb = components.iter().map(|component| component.id).eq(*b"RGB");
        match markers.adobe_transform {
            _ if markers.jfif => Colours::Ycc,
            Some(0) => Colours::Rgb,
            None if named_rgb => Colours::Rgb,
            Some(_) | None => Colours::Ycc,
        }
    }
}

impl<'a> Baseline<'a> {
    /// The decoder of a file, whose markers are read and whose header is checked against limits.
    /// `None` if it is of another form.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] if a table is missing.
    pub(crate) fn new(
        bytes: &'a [u8],
        markers: Markers<'a>,
        header: Header,
    ) -> Result<Option<Baseline<'a>>> {
        let (frame, scanned) = (&markers.frame, markers.scan.components());
        let sequential = matches!(frame.process, 0xC0 | 0xC1) && frame.precision == 8;
        let count = frame.components().len();
        let in_order = scanned.iter().map(|component| component.component).eq(0..count);
        if !sequential || !matches!(count, 1 | 3) || !in_order || !is_regular(frame) {
            return Ok(None);
        }
        for scanned in scanned {
            let tables = [&markers.dc_codes[scanned.dc], &markers.ac_codes[scanned.ac]];
            if tables.iter().any(|table| table.is_none()) {
                return Err(damaged("a Huffman table is missing"));
            }
        }
        for component in frame.components() {
            if markers.quantisation[component.quantisation].is_none() {
                return Err(damaged("a quantisation table is missing"));
            }
        }
        let colours = Colours::of(&markers);
        Ok(Some(Baseline { header, bytes, markers, colours }))
    }

    fn pixels(&self, mode: Mode) -> Pixels {
        match (mode, self.colours) {
            (Mode::L | Mode::Unchanged, Colours::Grey) | (Mode::L, Colours::Ycc) => Pixels::Grey,
            (Mode::Rgb, Colours::Grey) => Pixels::GreyToRgb,
            (Mode::Rgba, Colours::Grey) => Pixels::GreyToRgba,
            (Mode::Rgb | Mode::Unchanged, Colours::Ycc) => Pixels::YccToRgb,
            (Mode::Rgba, Colours::Ycc) => Pixels::YccToRgba,
            (Mode::Rgb | Mode::Unchanged, Colours::Rgb) => Pixels::Rgb,
            (Mode::Rgba, Colours::Rgb) => Pixels::Rgba,
            (Mode::L, Colours::Rgb) => Pixels::RgbToGrey,
        }
    }

    /// The quantisation table of a component, in the order of the zigzag. Products wrap at 16 bits,
    /// so factors do.
    fn quantisation(&self, component: usize) -> [i16; 64] {
        let place = self.markers.frame.components()[component].quantisation;
        let stored = self.markers.quantisation[place].unwrap_or([0; 64]);
        stored.map(|factor| factor as i16)
    }

    fn check(
        &self,
        region: DecodeRegion,
        scale: Scale,
        pixels: Pixels,
        out: &ImageMut<'_>,
    ) -> Result<()> {
        let Header { height, width, .. } = self.header;
        let step = scale.step();
        let ends = |start: usize, len: usize, all: usize| {
            start.is_multiple_of(step) && start.checked_add(len).is_some_and(|end| end <= all)
        };
        if !ends(region.top, region.height, height) || !ends(region.left, region.width, width) {
            return Err(Error::Region { region, step, height, width });
        }
        let (rows, columns) = region.size_at(scale);
        let row_bytes = columns * pixels.bytes();
        let above = rows.saturating_sub(1).checked_mul(out.row_stride_bytes);
        let bytes = above.and_then(|above| above.checked_add(row_bytes)).unwrap_or(usize::MAX);
        if (rows > 1 && out.row_stride_bytes < row_bytes) || out.bytes.len() < bytes {
            return Err(Error::Memory { row_bytes, bytes, got: out.bytes.len() });
        }
        Ok(())
    }

    fn decode_rows(
        &self,
        plan: &Plan,
        pixels: Pixels,
        out: &mut ImageMut<'_>,
        scratch: &mut JpegScratch,
    ) -> Result<()> {
        let unsupported = |error: ndlens_kernels::Error| Error::Unsupported {
            coding: Coding::Jpeg,
            what: error.to_string(),
        };
        let level = Level::chosen().map_err(unsupported)?;
        let JpegScratch { data, dc_tables, ac_tables, strips, rows } = scratch;
        for (component, (plane, strip)) in plan.planes.iter().zip(&mut *strips).enumerate() {
            strip.prepare(plane, &self.quantisation(component))?;
        }
        rows.prepare(plan)?;
        let mut places = [(0, 0); 3];
        for (place, scanned) in places.iter_mut().zip(self.markers.scan.components()) {
            let (dc, ac) = (self.markers.dc_codes[scanned.dc], self.markers.ac_codes[scanned.ac]);
            *place = (
                dc_tables.place(dc.unwrap_or_default())?,
                ac_tables.place(ac.unwrap_or_default())?,
            );
        }
        let tables = places.map(|(dc, ac)| (dc_tables.at(dc), ac_tables.at(ac)));
        let mut components = [Scanned { factors: (1, 1), tables: tables[0] }; 3];
        for ((scanned, factors), tables) in
            components.iter_mut().zip(factors(&self.markers.frame)).zip(tables)
        {
            *scanned = Scanned { factors, tables };
        }
        let components = &components[..self.markers.frame.components().len()];
        let intervals = Intervals::new(self.bytes, self.markers.data_start);
        let mut entropy = Entropy::new(intervals, self.markers.restart_interval, data);
        let row_bytes = plan.columns.len() * pixels.bytes();
        let (mut row, mut done) = (plan.rows.start, 0);
        for mcu_row in plan.mcu_rows.clone() {
            let first = mcu_row * plan.mcus_across + plan.mcu_columns.start;
            let skipped = first - done;
            done = first + plan.mcu_columns.len();
            level.run(ReadRow { entropy: &mut entropy, components, plan, strips, skipped })?;
            for strip in strips.iter_mut().take(plan.planes.len()) {
                strip.transform(level, mcu_row);
            }
            let is_there = |row: usize| {
                let mut planes = plan.planes.iter();
                planes.all(|plane| plane.last_row_for(row) < (mcu_row + 1) * plane.mcu_height())
            };
            while row < plan.rows.end && is_there(row) {
                let start = (row - plan.rows.start) * out.row_stride_bytes;
                let out = &mut out.bytes[start..start + row_bytes];
                rows.write(level, plan, strips, row, pixels, out);
                row += 1;
            }
        }
        entropy.finish()
    }
}

/// A component of a scan: its blocks in an MCU, along a row and along a column, and its tables.
#[derive(Clone, Copy)]
struct Scanned<'a> {
    factors: (usize, usize),
    tables: (&'a DcTable, &'a AcTable),
}

/// Reads the blocks of an MCU row that are needed, past those before them.
struct ReadRow<'a, 'b, 's> {
    entropy: &'a mut Entropy<'b, 's>,
    components: &'a [Scanned<'a>],
    plan: &'a Plan,
    strips: &'a mut [Strip; 3],
    /// MCUs before them.
    skipped: usize,
}

impl Body for ReadRow<'_, '_, '_> {
    type Output = Result<()>;

    #[inline(always)]
    fn run(self) -> Result<()> {
        let ReadRow { entropy, components, plan, strips, skipped } = self;
        entropy.skip(skipped, &mut Past { components })?;
        entropy.read(plan.mcu_columns.len(), &mut IntoStrips { components, plan, strips })
    }
}

/// Goes past MCUs.
struct Past<'a> {
    components: &'a [Scanned<'a>],
}

impl McuReader for Past<'_> {
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, last_dc: &mut [i32; 3], _: usize) -> Result<()> {
        for (scanned, last_dc) in self.components.iter().zip(last_dc) {
            for _ in 0..scanned.factors.0 * scanned.factors.1 {
                skip_block(bits, scanned.tables, last_dc)?;
            }
        }
        Ok(())
    }
}

/// Reads MCUs into strips.
struct IntoStrips<'a> {
    components: &'a [Scanned<'a>],
    plan: &'a Plan,
    strips: &'a mut [Strip; 3],
}

impl McuReader for IntoStrips<'_> {
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, last_dc: &mut [i32; 3], number: usize) -> Result<()> {
        let column = self.plan.mcu_columns.start + number;
        for (component, (scanned, last_dc)) in self.components.iter().zip(last_dc).enumerate() {
            let Scanned { factors: (horizontal, vertical), tables } = *scanned;
            let blocks = self.plan.planes.get(component).map_or(0..0, |plane| plane.blocks.clone());
            for down in 0..vertical {
                for across in 0..horizontal {
                    let block = column * horizontal + across;
                    if blocks.contains(&block) {
                        let block = block - blocks.start;
                        let group = self.strips[component].group(down, block);
                        read_block(bits, tables, last_dc, group, block)?;
                    } else {
                        skip_block(bits, tables, last_dc)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Decoder for Baseline<'_> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn decodes_parts(&self) -> bool {
        true
    }

    fn decodes_at(&self, _: Scale) -> bool {
        true
    }

    fn decode(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        mut out: ImageMut<'_>,
        scratch: &mut DecodeScratch,
    ) -> Result<()> {
        let pixels = self.pixels(mode);
        self.check(region, scale, pixels, &out)?;
        if region.height == 0 || region.width == 0 {
            return Ok(());
        }
        let plan = Plan::new(&self.markers.frame, region, scale, pixels.components());
        self.decode_rows(&plan, pixels, &mut out, &mut scratch.jpeg)
    }
}
