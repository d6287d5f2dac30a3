//! A region of a baseline JPEG.
//!
//! The pixels are equal to those of libjpeg-turbo, with its defaults, to the bit: the accurate
//! inverse DCT, and upsampling by a triangle filter. A region is equal to that part of the whole
//! image. Work is spared in this order: MCU rows after the region are not read; intervals between
//! restart markers before it are searched for their end alone; blocks beside it are read without
//! their values; all that comes after the entropy-coded data is done for the region alone.

use ndlens_kernels::Level;

use super::blocks::ZIGZAG;
use super::entropy::{Entropy, read_block, skip_block};
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

    /// The quantisation table of a component, row by row. Products wrap at 16 bits, so factors do.
    fn quantisation(&self, component: usize) -> [i16; 64] {
        let place = self.markers.frame.components()[component].quantisation;
        let mut table = [0; 64];
        let stored = self.markers.quantisation[place].unwrap_or([0; 64]);
        for (&place, factor) in ZIGZAG.iter().zip(stored) {
            table[usize::from(place)] = factor as i16;
        }
        table
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
        let mut scan = Mcus::new(self.markers.frame.components().len(), plan, tables);
        for (factors, component) in factors(&self.markers.frame).zip(&mut scan.factors) {
            *component = factors;
        }
        let intervals = Intervals::new(self.bytes, self.markers.data_start);
        let mut entropy = Entropy::new(intervals, self.markers.restart_interval, data);
        let row_bytes = plan.columns.len() * pixels.bytes();
        let mut row = plan.rows.start;
        for mcu_row in plan.mcu_rows.clone() {
            scan.read_row(&mut entropy, mcu_row, strips)?;
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

/// The MCUs of a scan, of which some blocks are needed.
struct Mcus<'a> {
    plan: &'a Plan,
    components: usize,
    factors: [(usize, usize); 3],
    tables: [(&'a DcTable, &'a AcTable); 3],
    /// MCUs that were read or skipped.
    done: usize,
}

impl<'a> Mcus<'a> {
    fn new(components: usize, plan: &'a Plan, tables: [(&'a DcTable, &'a AcTable); 3]) -> Mcus<'a> {
        Mcus { plan, components, factors: [(1, 1); 3], tables, done: 0 }
    }

    /// Reads the blocks of an MCU row that are needed, past those before them.
    fn read_row(
        &mut self,
        entropy: &mut Entropy<'_, '_>,
        mcu_row: usize,
        strips: &mut [Strip; 3],
    ) -> Result<()> {
        let Mcus { plan, components, factors, tables, done } = *self;
        let first = mcu_row * plan.mcus_across + plan.mcu_columns.start;
        entropy.skip(first - done, |bits, last_dc, _| {
            for component in 0..components {
                let (horizontal, vertical) = factors[component];
                for _ in 0..horizontal * vertical {
                    skip_block(bits, tables[component], &mut last_dc[component])?;
                }
            }
            Ok(())
        })?;
        let count = plan.mcu_columns.len();
        entropy.read(count, |bits, last_dc, number| {
            let column = plan.mcu_columns.start + number;
            for component in 0..components {
                let (horizontal, vertical) = factors[component];
                let (tables, last_dc) = (tables[component], &mut last_dc[component]);
                let Some(plane) = plan.planes.get(component) else {
                    for _ in 0..horizontal * vertical {
                        skip_block(bits, tables, last_dc)?;
                    }
                    continue;
                };
                for down in 0..vertical {
                    for across in 0..horizontal {
                        let block = column * horizontal + across;
                        if plane.blocks.contains(&block) {
                            let block = block - plane.blocks.start;
                            let group = strips[component].group(down, block);
                            read_block(bits, tables, last_dc, group, block)?;
                        } else {
                            skip_block(bits, tables, last_dc)?;
                        }
                    }
                }
            }
            Ok(())
        })?;
        self.done = first + count;
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
