//! Elements that are changed in place: packed in C order, in the scratch memory of a thread or in
//! the item's place in the batch.
//!
//! The last transforms of a list run on the batch itself, where the channels may already come
//! first. So elements are counted in the order of the item, (height, width, channels), in any order
//! in memory: the random number of an element does not depend on the place of `ChannelsFirst` in
//! the list.

use ndlens_core::DType;
use ndlens_kernels::{Bf16, F16, Half};

use crate::params::Rectangle;
use crate::random::Noise;
use crate::size::{CHANNEL, HEIGHT, WIDTH};

/// The elements of an item, to be changed in place.
#[derive(Debug)]
pub struct Packed<'a> {
    pub(crate) bytes: &'a mut [u8],
    /// The item's shape, the channels last.
    pub(crate) shape: &'a [usize],
    pub(crate) dtype: &'a DType,
    /// Whether memory has (channels, height, width).
    pub(crate) channels_first: bool,
}

impl Packed<'_> {
    /// The item's shape, the channels last.
    pub fn shape(&self) -> &[usize] {
        self.shape
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> &DType {
        self.dtype
    }

    /// The number of channels of a pixel.
    pub fn channels(&self) -> usize {
        self.shape.get(CHANNEL).copied().unwrap_or(1)
    }

    /// The elements in their order in memory: (height, width, channels), or
    /// (channels, height, width) if [`is_channels_first`](Self::is_channels_first).
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        self.bytes
    }

    /// Whether the channels come first in memory.
    pub fn is_channels_first(&self) -> bool {
        self.channels_first
    }

    /// Whether the image contains a rectangle.
    pub(crate) fn has(&self, rectangle: Rectangle) -> bool {
        let fits = |start: usize, count: usize, axis: usize| {
            let end = start.checked_add(count);
            end.zip(self.shape.get(axis)).is_some_and(|(end, &size)| end <= size)
        };
        let Rectangle { top, left, height, width } = rectangle;
        fits(top, height, HEIGHT) && fits(left, width, WIDTH)
    }

    /// The places of elements in memory, as an outer and an inner loop over the item's order: the
    /// count and the distance of each.
    fn loops(&self) -> [(usize, usize); 2] {
        let itemsize = self.dtype.itemsize();
        let channels = self.channels().max(1);
        let len = self.bytes.len() / itemsize;
        if self.channels_first {
            return [(len / channels, 1), (channels, len / channels)];
        }
        [(1, 0), (len, 1)]
    }

    /// Changes each element of a floating-point dtype, in the item's order; elements of other
    /// dtypes stay as they are. Floats narrower than 64 bits become what computing with them as
    /// `f32` gives: twice 24 bits and two more are enough that rounding twice is rounding once.
    pub fn each(&mut self, mut f: impl FnMut(f64) -> f64) {
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
        let Some(float) = Float::of(self.dtype) else { return };
        match float {
            Float::F16 => {
                each!(2, widen::<F16>, narrow::<F16>);
            }
            Float::Bf16 => {
                each!(2, widen::<Bf16>, narrow::<Bf16>);
            }
            Float::F32 => {
                each!(4, |x| f64::from(f32::from_le_bytes(x)), |x| (x as f32).to_le_bytes());
            }
            Float::F64 => each!(8, f64::from_le_bytes, f64::to_le_bytes),
        }
    }

    /// Sets the pixels of a rectangle.
    pub(crate) fn fill(&mut self, rectangle: Rectangle, pixel: &[u8]) {
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

    /// Sets the elements of a rectangle, of a floating-point dtype, to normal numbers, in the order
    /// of (height, width, channels); elements of other dtypes stay as they are.
    pub(crate) fn fill_with(&mut self, rectangle: Rectangle, noise: Noise) {
        let Some(float) = Float::of(self.dtype) else { return };
        let itemsize = self.dtype.itemsize();
        let channels = self.channels();
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
                    float.write(number, &mut self.bytes[at * itemsize..][..itemsize]);
                }
            }
        }
    }
}

/// The dtypes that transforms compute with.
#[derive(Debug, Clone, Copy)]
enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

impl Float {
    /// This dtype, if it is one of them.
    fn of(dtype: &DType) -> Option<Float> {
        match dtype {
            DType::F16 => Some(Float::F16),
            DType::Bf16 => Some(Float::Bf16),
            DType::F32 => Some(Float::F32),
            DType::F64 => Some(Float::F64),
            DType::Bool
            | DType::U8
            | DType::I8
            | DType::U16
            | DType::I16
            | DType::U32
            | DType::I32
            | DType::U64
            | DType::I64
            | DType::C64
            | DType::C128
            | DType::F8E4M3FN
            | DType::F8E5M2
            | DType::F8E4M3FNUZ
            | DType::F8E5M2FNUZ
            | DType::F8E8M0FNU
            | DType::F4E2M1FNx2
            | DType::Opaque(_) => None,
        }
    }

    /// Writes a number as an element.
    fn write(self, number: f64, to: &mut [u8]) {
        match self {
            Float::F16 => to.copy_from_slice(&narrow::<F16>(number)),
            Float::Bf16 => to.copy_from_slice(&narrow::<Bf16>(number)),
            Float::F32 => to.copy_from_slice(&(number as f32).to_le_bytes()),
            Float::F64 => to.copy_from_slice(&number.to_le_bytes()),
        }
    }
}

fn widen<H: Half>(element: [u8; 2]) -> f64 {
    H::widen(u16::from_le_bytes(element)).into()
}

fn narrow<H: Half>(number: f64) -> [u8; 2] {
    H::nearest(number as f32).to_le_bytes()
}
