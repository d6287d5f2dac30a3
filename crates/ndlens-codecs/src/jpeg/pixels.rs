//! Rows of pixels out of the strips of the components.

use ndlens_kernels::{Body, Level};

use super::colour;
use super::components::Colours;
use super::geometry::{Plan, Plane, Upsampling};
use super::strip::{Strip, fill};
use super::upsample;
use crate::error::Result;
use crate::mode::Mode;

/// What pixels are made of, and what they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PixelForm {
    /// The first component alone.
    Grey,
    /// The first component, three times.
    GreyToRgb,
    /// The first component, three times, and alpha.
    GreyToRgba,
    /// YCbCr to RGB.
    YccToRgb,
    /// YCbCr to RGB, and alpha.
    YccToRgba,
    /// RGB as it is.
    Rgb,
    /// RGB, and alpha.
    Rgba,
    /// RGB to grey.
    RgbToGrey,
}

impl PixelForm {
    /// Those of a mode; `None` if the colours have four components.
    pub(super) fn of(colours: Colours, mode: Mode) -> Option<PixelForm> {
        Some(match (colours, mode) {
            (Colours::Grey, Mode::L | Mode::Unchanged) | (Colours::YCbCr, Mode::L) => {
                PixelForm::Grey
            }
            (Colours::Grey, Mode::Rgb) => PixelForm::GreyToRgb,
            (Colours::Grey, Mode::Rgba) => PixelForm::GreyToRgba,
            (Colours::YCbCr, Mode::Rgb | Mode::Unchanged) => PixelForm::YccToRgb,
            (Colours::YCbCr, Mode::Rgba) => PixelForm::YccToRgba,
            (Colours::Rgb, Mode::L) => PixelForm::RgbToGrey,
            (Colours::Rgb, Mode::Rgb | Mode::Unchanged) => PixelForm::Rgb,
            (Colours::Rgb, Mode::Rgba) => PixelForm::Rgba,
            (Colours::Cmyk | Colours::Ycck, _) => return None,
        })
    }

    /// Components that are needed.
    pub(super) fn components(self) -> usize {
        match self {
            PixelForm::Grey | PixelForm::GreyToRgb | PixelForm::GreyToRgba => 1,
            PixelForm::YccToRgb
            | PixelForm::YccToRgba
            | PixelForm::Rgb
            | PixelForm::Rgba
            | PixelForm::RgbToGrey => 3,
        }
    }

    /// Bytes of a pixel.
    pub(super) fn bytes(self) -> usize {
        match self {
            PixelForm::Grey | PixelForm::RgbToGrey => 1,
            PixelForm::GreyToRgb | PixelForm::YccToRgb | PixelForm::Rgb => 3,
            PixelForm::GreyToRgba | PixelForm::YccToRgba | PixelForm::Rgba => 4,
        }
    }
}

/// Room for one row of each component, with as many samples as pixels.
#[derive(Debug, Default)]
pub(super) struct Rows {
    upsampled: [Vec<u8>; 3],
    sums: Vec<u16>,
    rgb: [Vec<u8>; 3],
}

impl Rows {
    /// Makes room for the rows of a region.
    pub(super) fn prepare(&mut self, plan: &Plan) -> Result<()> {
        for (plane, upsampled) in plan.planes.iter().zip(&mut self.upsampled) {
            fill(upsampled, plane.columns.len() * plane.expansion().0, &0)?;
            fill(&mut self.sums, plane.columns.len(), &0)?;
        }
        for rgb in &mut self.rgb {
            fill(rgb, plan.columns.len(), &0)?;
        }
        Ok(())
    }

    /// Writes a row of pixels, by its number in the whole image.
    pub(super) fn write(
        &mut self,
        level: Level,
        plan: &Plan,
        strips: &[Strip],
        row: usize,
        pixels: PixelForm,
        out: &mut [u8],
    ) {
        level.run(Write { rows: self, plan, strips, row, pixels, out });
    }
}

struct Write<'a> {
    rows: &'a mut Rows,
    plan: &'a Plan,
    strips: &'a [Strip],
    row: usize,
    pixels: PixelForm,
    out: &'a mut [u8],
}

impl Body for Write<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Rows { upsampled, sums, rgb } = self.rows;
        let [first, second, third] = upsampled;
        let Write { plan, strips, row, .. } = self;
        let first = component_row(plan, strips, 0, row, first, sums);
        let mut rows = [first; 3];
        if self.pixels.components() == 3 {
            rows[1] = component_row(plan, strips, 1, row, second, sums);
            rows[2] = component_row(plan, strips, 2, row, third, sums);
        }
        if matches!(self.pixels, PixelForm::YccToRgb | PixelForm::YccToRgba) {
            let [r, g, b] = rgb.each_mut().map(|row| &mut row[..first.len()]);
            colour::ycc_to_rgb(rows, [&mut *r, &mut *g, &mut *b]);
            rows = [r, g, b];
        }
        match self.pixels {
            PixelForm::Grey => self.out.copy_from_slice(first),
            PixelForm::GreyToRgb | PixelForm::YccToRgb | PixelForm::Rgb => {
                colour::interleave(rows, self.out);
            }
            PixelForm::GreyToRgba | PixelForm::YccToRgba | PixelForm::Rgba => {
                colour::interleave_opaque(rows, self.out);
            }
            PixelForm::RgbToGrey => colour::rgb_to_grey(rows, self.out),
        }
    }
}

/// The samples of a component for the pixels of a row.
#[inline(always)]
pub(super) fn component_row<'a>(
    plan: &Plan,
    strips: &'a [Strip],
    component: usize,
    row: usize,
    upsampled: &'a mut [u8],
    sums: &mut [u16],
) -> &'a [u8] {
    let (plane, strip): (&Plane, &Strip) = (&plan.planes[component], &strips[component]);
    let (across, down) = plane.expansion();
    let start = plane.columns.start - plane.blocks.start * plane.size;
    let samples = |row: usize| &strip.row(row)[start..start + plane.columns.len()];
    let near = row / down;
    let lower = row % 2 == 1;
    let far = if lower { (near + 1).min(plane.height - 1) } else { near.saturating_sub(1) };
    match plane.upsampling {
        Upsampling::Full => return samples(near),
        Upsampling::Columns => upsample::columns(samples(near), upsampled),
        Upsampling::Rows => upsample::rows(samples(near), samples(far), lower, upsampled),
        Upsampling::Both => upsample::both(samples(near), samples(far), sums, upsampled),
        Upsampling::Replicate(..) => upsample::replicate(samples(near), across, upsampled),
    }
    let first = plan.columns.start - plane.columns.start * across;
    &upsampled[first..first + plan.columns.len()]
}
