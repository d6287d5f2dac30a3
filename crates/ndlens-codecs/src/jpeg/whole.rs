//! JPEG whose coefficients come in several scans, or whose pixels are CMYK: all scans are read into
//! the coefficients of the whole image, and the blocks of the region become pixels, as in
//! [`baseline`](super::baseline).
//!
//! Like there, pixels are equal to those of libjpeg-turbo to the bit, a region to that part of the
//! whole, and a file without its end is truncated: a progressive one would be blurred.

use ndlens_kernels::{Body, Level};

use super::blocks::LANES;
use super::components::Colours;
use super::geometry::Plan;
use super::markers::{JpegFrame, Markers};
use super::pixels::component_row;
use super::scans::{Quantisation, read_all};
use super::scratch::{WholeRows, WholeScratch};
use super::strip::{Strip, fill};
use crate::decoder::{Decoder, RowsMut};
use crate::error::{Error, Result};
use crate::header::{Coding, Header};
use crate::mode::Mode;
use crate::region::{DecodeRegion, Scale};
use crate::scratch::DecodeScratch;

const CODING: Coding = Coding::Jpeg;

/// A JPEG file whose markers before the first scan were read.
#[derive(Debug)]
pub(crate) struct WholeJpeg<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) header: Header,
    pub(crate) markers: Markers<'a>,
    pub(crate) colours: Colours,
}

/// Refuses what no decoder here takes.
pub(crate) fn check(frame: &JpegFrame) -> Result<()> {
    let what = match frame.process {
        0xC0..=0xC2 if frame.precision != 8 => {
            format!("its samples have {} bits, expected 8", frame.precision)
        }
        0xC0..=0xC2 => return check_sampling(frame),
        0xC3 => "it is lossless".to_owned(),
        0xC9 | 0xCA => "its coding is arithmetic, expected Huffman's".to_owned(),
        0xCB => "it is lossless and its coding is arithmetic".to_owned(),
        0xC5..=0xC7 | 0xCD..=0xCF => "it is hierarchical".to_owned(),
        process => format!("its frame is of the unknown process 0x{process:02X}"),
    };
    Err(Error::Unsupported { coding: CODING, what })
}

/// The samples of each component must be a whole number of pixels apart, as for libjpeg.
fn check_sampling(frame: &JpegFrame) -> Result<()> {
    let components = frame.components();
    let most_h = components.iter().map(|component| component.horizontal).max().unwrap_or(1);
    let most_v = components.iter().map(|component| component.vertical).max().unwrap_or(1);
    for component in components {
        let (horizontal, vertical) = (component.horizontal, component.vertical);
        if most_h % horizontal != 0 || most_v % vertical != 0 {
            let what = format!(
                "a component's sampling factors are {horizontal} x {vertical}, which do not divide \
                 the largest, {most_h} x {most_v}"
            );
            return Err(Error::Unsupported { coding: CODING, what });
        }
    }
    Ok(())
}

impl WholeJpeg<'_> {
    /// Components that the pixels of a mode are made of.
    fn needed(&self, mode: Mode) -> usize {
        match (self.colours, mode) {
            (Colours::YCbCr, Mode::L) => 1,
            (Colours::Grey | Colours::Rgb | Colours::YCbCr | Colours::Cmyk | Colours::Ycck, _) => {
                self.header.channels
            }
        }
    }

    fn write(
        &self,
        plan: &Plan,
        quantisation: &Quantisation,
        mode: Mode,
        out: &mut dyn RowsMut,
        scratch: &mut WholeScratch,
    ) -> Result<()> {
        let unsupported = |error: ndlens_kernels::Error| Error::Unsupported {
            coding: CODING,
            what: error.to_string(),
        };
        let level = Level::chosen().map_err(unsupported)?;
        let WholeScratch { coefficients, groups, strips, rows, .. } = scratch;
        groups.clear();
        for ((plane, strip), table) in plan.planes.iter().zip(&mut *strips).zip(quantisation) {
            // Products wrap at 16 bits, so factors do.
            strip.prepare(plane, &table.map(|factor| factor as i16), groups)?;
        }
        for (plane, upsampled) in plan.planes.iter().zip(&mut rows.upsampled) {
            fill(upsampled, plane.columns.len() * plane.expansion().0, &0)?;
            fill(&mut rows.sums, plane.columns.len(), &0)?;
        }
        fill(&mut rows.samples, plan.planes.len() * plan.columns.len(), &0)?;
        // Of luma alone, pixels are made as those of a grey image.
        let colours = if plan.planes.len() == 1 { Colours::Grey } else { self.colours };
        let row_bytes = plan.columns.len() * mode.pixel_bytes(&self.header);
        let mut row = plan.rows.start;
        for mcu_row in plan.mcu_rows.clone() {
            for ((plane, strip), component) in
                plan.planes.iter().zip(&mut *strips).zip(&*coefficients)
            {
                for down in 0..plane.vertical {
                    for (place, across) in plane.blocks.clone().enumerate() {
                        let block = component.block(across, mcu_row * plane.vertical + down);
                        let group = &mut groups[strip.first_group(down) + place / LANES];
                        // The group is zero.
                        for (k, &value) in
                            block.iter().enumerate().filter(|(_, value)| **value != 0)
                        {
                            group.set(k, place, value);
                        }
                    }
                }
                strip.transform(level, groups, mcu_row);
            }
            let is_there = |row: usize| {
                let mut planes = plan.planes.iter();
                planes.all(|plane| plane.last_row_for(row) < (mcu_row + 1) * plane.mcu_height())
            };
            while row < plan.rows.end && is_there(row) {
                let out = out.row(row - plan.rows.start, row_bytes);
                level.run(WriteRow { rows: &mut *rows, plan, strips, row, colours, mode, out });
                row += 1;
            }
        }
        Ok(())
    }
}

struct WriteRow<'a> {
    rows: &'a mut WholeRows,
    plan: &'a Plan,
    strips: &'a [Strip],
    row: usize,
    colours: Colours,
    mode: Mode,
    out: &'a mut [u8],
}

impl Body for WriteRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let WholeRows { upsampled, sums, samples } = self.rows;
        let count = self.plan.planes.len();
        let samples = &mut samples[..count * self.plan.columns.len()];
        for (component, upsampled) in upsampled.iter_mut().enumerate().take(count) {
            let row = component_row(self.plan, self.strips, component, self.row, upsampled, sums);
            for (pixel, sample) in samples.chunks_exact_mut(count).zip(row) {
                pixel[component] = *sample;
            }
        }
        self.colours.convert(samples, self.mode, self.out);
    }
}

impl Decoder for WholeJpeg<'_> {
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
        let scratch = &mut scratch.whole;
        let (components, data) = (&mut scratch.coefficients, &mut scratch.data);
        let quantisation = read_all(self.bytes, &self.markers, components, data)?;
        let plan = Plan::new(&self.markers.frame, region, scale, self.needed(mode));
        self.write(&plan, &quantisation, mode, rows, scratch)
    }
}
