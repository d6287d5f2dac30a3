//! Changes in place: elements packed in C order, in a thread's own memory or in the item's place in
//! the batch.
//!
//! What is last in a list of transforms runs on the batch itself, where the channels may already
//! come first. So elements are counted in the order in which the item has them, (height, width,
//! channels), whatever their order in memory: what is drawn for an element is the same wherever
//! `ChannelsFirst` stands.

use half::{bf16, f16};
use ndlens_core::DType;
use ndlens_kernels::Adjustment;

use crate::drawn::Drawn;
use crate::error::{Error, Result};
use crate::pipeline::Act;
use crate::random::Noise;
use crate::transform::{CHANNEL, HEIGHT, WIDTH};

/// Elements to change.
pub(crate) struct Packed<'a> {
    pub(crate) bytes: &'a mut [u8],
    /// The item's shape, the channels last.
    pub(crate) shape: &'a [usize],
    pub(crate) dtype: &'a DType,
    /// Whether memory has (channels, height, width).
    pub(crate) channels_first: bool,
}

/// A rectangle of an image.
#[derive(Clone, Copy)]
struct Rectangle {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Act {
    /// Whether this can run on elements where they are, with the channels first or last.
    pub(crate) fn is_in_place(&self, channels_first: bool) -> bool {
        match self {
            Act::Erase { .. } | Act::Scale { .. } | Act::Jitter { .. } => true,
            Act::Colour(_) | Act::Grayscale { .. } => !channels_first,
            _ => false,
        }
    }
}

impl Packed<'_> {
    /// Does what was drawn.
    pub(crate) fn change(mut self, name: &'static str, act: &Act, drawn: &Drawn) -> Result<()> {
        let not_drawn = || Error::Drawn { transform: name };
        match (act, drawn) {
            (Act::Colour(_), Drawn::Adjusted(adjustments)) => {
                let adjustments: Vec<_> = adjustments.iter().copied().flatten().collect();
                self.adjust(&adjustments)
            }
            (Act::Grayscale { .. }, Drawn::Applied(true)) => self.adjust(&[Adjustment::Grayscale]),
            (Act::Erase { pixel, .. }, &Drawn::Erased { top, left, height, width, noise }) => {
                let fits = |start: usize, count: usize, axis: usize| {
                    start.checked_add(count).is_some_and(|end| end <= self.shape[axis])
                };
                if !fits(top, height, HEIGHT) || !fits(left, width, WIDTH) {
                    return Err(not_drawn());
                }
                let rectangle = Rectangle { top, left, height, width };
                match pixel {
                    Some(pixel) => self.fill(rectangle, pixel),
                    None => self.fill_with(rectangle, noise),
                }
                Ok(())
            }
            // A whole number is read as turns.
            (Act::Scale { per_feature: false, .. }, &Drawn::QuarterTurns(factor)) => {
                self.change(name, act, &Drawn::Factor(factor.into()))
            }
            (Act::Scale { .. }, &Drawn::Factor(factor)) => {
                let factor = self.rounded(factor);
                self.each(|x| x * factor);
                Ok(())
            }
            (Act::Scale { factor, .. }, &Drawn::Noise(noise)) => {
                let (low, high) = (factor.low, factor.high);
                let mut numbers = noise.uniforms();
                let features = self.shape.last().copied().unwrap_or(1);
                let factors: Vec<f64> = (0..features)
                    .map(|_| self.rounded(low + (high - low) * numbers.next().unwrap_or(0.0)))
                    .collect();
                let mut factors = factors.iter().cycle();
                self.each(|x| factors.next().map_or(x, |factor| x * factor));
                Ok(())
            }
            (&Act::Jitter { sigma }, &Drawn::Noise(noise)) => {
                let (sigma, mut normals) = (sigma, noise.normals());
                self.each(|x| x + sigma * normals.next().unwrap_or(0.0));
                Ok(())
            }
            (Act::Grayscale { .. } | Act::Erase { .. }, Drawn::Applied(false)) => Ok(()),
            _ => Err(not_drawn()),
        }
    }

    fn adjust(&mut self, adjustments: &[Adjustment]) -> Result<()> {
        let channels = self.shape.get(CHANNEL).copied().unwrap_or(1);
        Ok(Adjustment::apply(adjustments, self.bytes, self.dtype, channels)?)
    }

    /// The factor as a tensor of this dtype is multiplied by it: half-width floats are computed
    /// with as `f32`.
    fn rounded(&self, factor: f64) -> f64 {
        if *self.dtype == DType::F64 { factor } else { f64::from(factor as f32) }
    }

    /// Where elements are in memory: outer and inner loop over the item's order, and how far apart
    /// each has its elements.
    fn loops(&self) -> [(usize, usize); 2] {
        let itemsize = self.dtype.itemsize();
        let channels = self.shape.get(CHANNEL).copied().unwrap_or(1).max(1);
        let len = self.bytes.len() / itemsize;
        if self.channels_first {
            return [(len / channels, 1), (channels, len / channels)];
        }
        [(1, 0), (len, 1)]
    }

    /// Changes each element, in the item's order. What comes out of floats narrower than 64 bits is
    /// what computing with them as `f32` gives: twice 24 bits and two more are enough that rounding
    /// twice is rounding once.
    fn each(&mut self, mut f: impl FnMut(f64) -> f64) {
        macro_rules! each {
            ($size:literal, $read:expr, $write:expr) => {{
                let [(outer, outer_step), (inner, inner_step)] = self.loops();
                let elements = self.bytes.as_chunks_mut::<$size>().0;
                for i in 0..outer {
                    for j in 0..inner {
                        let element = &mut elements[i * outer_step + j * inner_step];
                        *element = $write(f($read(*element)));
                    }
                }
            }};
        }
        match self.dtype {
            DType::F16 => {
                each!(2, |x| f16::from_le_bytes(x).to_f64(), |x| f16::from_f32(x as f32)
                    .to_le_bytes());
            }
            DType::Bf16 => {
                each!(2, |x| bf16::from_le_bytes(x).to_f64(), |x| bf16::from_f32(x as f32)
                    .to_le_bytes());
            }
            DType::F32 => {
                each!(4, |x| f64::from(f32::from_le_bytes(x)), |x| (x as f32).to_le_bytes())
            }
            DType::F64 => each!(8, f64::from_le_bytes, f64::to_le_bytes),
            _ => {}
        }
    }

    /// Sets the pixels of a rectangle.
    fn fill(&mut self, rectangle: Rectangle, pixel: &[u8]) {
        let itemsize = self.dtype.itemsize();
        if self.channels_first {
            for (channel, element) in pixel.chunks(itemsize).enumerate() {
                let plane = channel * self.shape[HEIGHT];
                for y in 0..rectangle.height {
                    self.fill_row(plane + rectangle.top + y, rectangle, element);
                }
            }
        } else {
            for y in 0..rectangle.height {
                self.fill_row(rectangle.top + y, rectangle, pixel);
            }
        }
    }

    fn fill_row(&mut self, row: usize, rectangle: Rectangle, element: &[u8]) {
        let start = (row * self.shape[WIDTH] + rectangle.left) * element.len();
        let row = &mut self.bytes[start..][..rectangle.width * element.len()];
        row.chunks_exact_mut(element.len().max(1)).for_each(|to| to.copy_from_slice(element));
    }

    /// Sets the elements of a rectangle to normal numbers, in the order of (height, width,
    /// channels).
    fn fill_with(&mut self, rectangle: Rectangle, noise: Noise) {
        let itemsize = self.dtype.itemsize();
        let channels = self.shape.get(CHANNEL).copied().unwrap_or(1);
        let (height, width) = (self.shape[HEIGHT], self.shape[WIDTH]);
        let mut normals = noise.normals();
        for y in rectangle.top..rectangle.top + rectangle.height {
            for x in rectangle.left..rectangle.left + rectangle.width {
                for channel in 0..channels {
                    let at = if self.channels_first {
                        (channel * height + y) * width + x
                    } else {
                        (y * width + x) * channels + channel
                    };
                    let number = normals.next().unwrap_or(0.0);
                    write_float(self.dtype, number, &mut self.bytes[at * itemsize..][..itemsize]);
                }
            }
        }
    }
}

fn write_float(dtype: &DType, number: f64, to: &mut [u8]) {
    match dtype {
        DType::F16 => to.copy_from_slice(&f16::from_f32(number as f32).to_le_bytes()),
        DType::Bf16 => to.copy_from_slice(&bf16::from_f32(number as f32).to_le_bytes()),
        DType::F32 => to.copy_from_slice(&(number as f32).to_le_bytes()),
        _ => to.copy_from_slice(&number.to_le_bytes()),
    }
}
