//! A region of a baseline JPEG.
//!
//! The pixels are equal to those of libjpeg-turbo, with its defaults, to the bit: the accurate
//! inverse DCT, and upsampling by a triangle filter. A region is equal to that part of the whole
//! image. Work is spared in this order: MCU rows after the region are not read; intervals between
//! restart markers before it are searched for their end alone; blocks beside it are read without
//! their values; all that comes after the entropy-coded data is done for the region alone.

use ndlens_kernels::Level;

use super::components::Colours;
use super::entropy::Entropy;
use super::geometry::{Plan, factors, is_regular};
use super::intervals::Intervals;
use super::markers::{Markers, damaged};
use super::mcu::{Mcu, ReadRow};
use super::pixels::PixelForm;
use super::scratch::JpegScratch;
use crate::decoder::{Decoder, RowsMut};
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
        colours: Colours,
    ) -> Result<Option<Baseline<'a>>> {
        let (frame, scanned) = (&markers.frame, markers.scan.components());
        let known = PixelForm::of(colours, Mode::Rgb).is_some();
        let sequential = matches!(frame.process, 0xC0 | 0xC1) && frame.precision == 8;
        let count = frame.components().len();
        let in_order = scanned.iter().map(|component| component.component).eq(0..count);
        if !sequential || !known || !in_order || !is_regular(frame) {
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
        Ok(Some(Baseline { header, bytes, markers, colours }))
    }

    /// The quantisation table of a component, in the order of the zigzag. Products wrap at 16 bits,
    /// so factors do.
    fn quantisation(&self, component: usize) -> [i16; 64] {
        let place = self.markers.frame.components()[component].quantisation;
        let stored = self.markers.quantisation[place].unwrap_or([0; 64]);
        stored.map(|factor| factor as i16)
    }

    fn decode_plan(
        &self,
        plan: &Plan,
        pixels: PixelForm,
        out: &mut dyn RowsMut,
        scratch: &mut JpegScratch,
    ) -> Result<()> {
        let unsupported = |error: ndlens_kernels::Error| Error::Unsupported {
            coding: Coding::Jpeg,
            what: error.to_string(),
        };
        let level = Level::chosen().map_err(unsupported)?;
        let JpegScratch { data, dc_tables, ac_tables, groups, strips, rows } = scratch;
        groups.clear();
        for (component, (plane, strip)) in plan.planes.iter().zip(&mut *strips).enumerate() {
            strip.prepare(plane, &self.quantisation(component), groups)?;
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
        if plan.skips_much(&self.markers.frame) {
            for (_, ac) in places {
                ac_tables.at_mut(ac).make_strides();
            }
        }
        let tables = places.map(|(dc, ac)| (dc_tables.at(dc), ac_tables.at(ac)));
        let mut mcu = Mcu::new(tables[0]);
        for (component, factors) in factors(&self.markers.frame).enumerate() {
            let needed = plan.planes.get(component).zip(strips.get(component));
            mcu.push(component, factors, tables[component], needed);
        }
        let intervals = Intervals::new(self.bytes, self.markers.data_start);
        let mut entropy = Entropy::new(intervals, self.markers.restart_interval, data);
        let row_bytes = plan.columns.len() * pixels.bytes();
        let (mut row, mut done) = (plan.rows.start, 0);
        for mcu_row in plan.mcu_rows.clone() {
            let first = mcu_row * plan.mcus_across + plan.mcu_columns.start;
            let skipped = first - done;
            done = first + plan.mcu_columns.len();
            let columns = plan.mcu_columns.clone();
            level.run(ReadRow {
                entropy: &mut entropy,
                mcu: &mcu,
                mcu_row,
                skipped,
                columns,
                groups,
            })?;
            for strip in strips.iter_mut().take(plan.planes.len()) {
                strip.transform(level, groups, mcu_row);
            }
            let is_there = |row: usize| {
                let mut planes = plan.planes.iter();
                planes.all(|plane| plane.last_row_for(row) < (mcu_row + 1) * plane.mcu_height())
            };
            while row < plan.rows.end && is_there(row) {
                let out = out.row(row - plan.rows.start, row_bytes);
                rows.write(level, plan, strips, row, pixels, out);
                row += 1;
            }
        }
        entropy.finish()
    }
}

impl Decoder for Baseline<'_> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn decodes_at(&self, _: Scale) -> bool {
        true
    }

    fn decode_rows(
        &mut self,
        region: DecodeRegion,
        scale: Scale,
        mode: Mode,
        rows: &mut dyn RowsMut,
        scratch: &mut DecodeScratch,
    ) -> Result<()> {
        let Some(pixels) = PixelForm::of(self.colours, mode) else {
            let what = format!("colours {:?} in one scan", self.colours);
            return Err(Error::Unsupported { coding: Coding::Jpeg, what });
        };
        let plan = Plan::new(&self.markers.frame, region, scale, pixels.components());
        self.decode_plan(&plan, pixels, rows, &mut scratch.jpeg)
    }
}
