//! The pixels beyond the edges of an image.

use ndlens_core::DType;
use ndlens_kernels::{Bf16, F16, Half};

use crate::error::{Error, Result};
use crate::size::Size;

/// The pixels beyond the edges of an image: torchvision's `padding_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Padding {
    /// The same pixel everywhere.
    #[default]
    Constant,
    /// The nearest pixel of the image.
    Edge,
    /// The image mirrored at its outermost pixels, which are not repeated.
    Reflect,
    /// The image mirrored at its edges.
    Symmetric,
}

impl Padding {
    /// The padding of this name in torchvision.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "constant" => Padding::Constant,
            "edge" => Padding::Edge,
            "reflect" => Padding::Reflect,
            "symmetric" => Padding::Symmetric,
            _ => return None,
        })
    }

    /// The place among `size` places that a place inside or beyond the edges shows; None if it
    /// shows the fill.
    pub(crate) fn source(self, at: isize, size: usize) -> Option<usize> {
        let size = size as isize;
        let inside = (0..size).contains(&at);
        let place = match self {
            _ if inside => at,
            Padding::Constant => return None,
            Padding::Edge => at.clamp(0, size - 1),
            Padding::Reflect if size == 1 => 0,
            Padding::Reflect => {
                let at = at.rem_euclid(2 * (size - 1));
                if at < size { at } else { 2 * (size - 1) - at }
            }
            Padding::Symmetric => {
                let at = at.rem_euclid(2 * size);
                if at < size { at } else { 2 * size - 1 - at }
            }
        };
        Some(place as usize)
    }
}

/// The fill of a padding.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fill {
    /// Mode of the padding.
    pub mode: Padding,
    /// Pixel of [`Padding::Constant`]: one value for all channels, one for each, or no value for 0.
    pub values: Vec<f64>,
    /// That pixel in the image's dtype, with all channels; empty until the dtype is known.
    pub(crate) pixel: Vec<u8>,
}

impl Fill {
    /// A fill of this mode; `values` are those of [`Padding::Constant`].
    pub fn new(mode: Padding, values: Vec<f64>) -> Self {
        Fill { mode, values, pixel: vec![] }
    }

    /// Whether the padding is the same pixel everywhere.
    pub(crate) fn is_constant(&self) -> bool {
        self.mode == Padding::Constant
    }

    /// Checks that an image of this size can be mirrored by this padding, if it is mirrored.
    pub(crate) fn check_size(
        &self,
        transform: &'static str,
        size: Size,
        padding: [usize; 4],
    ) -> Result<()> {
        if self.is_constant() {
            return Ok(());
        }
        size.fits(transform, 1, 1)?;
        let Size { height, width } = size;
        let [left, top, right, bottom] = padding;
        let most = |size: usize| {
            if self.mode == Padding::Reflect { size.saturating_sub(1) } else { size }
        };
        let bounded = self.mode != Padding::Edge;
        if bounded && (left.max(right) > most(width) || top.max(bottom) > most(height)) {
            return Err(Error::PaddingTooLarge { transform, padding, height, width });
        }
        Ok(())
    }
}

/// A pixel of one value for all channels, or one for each, in a dtype; without values, 0.
pub(crate) fn pixel_of(
    transform: &'static str,
    values: &[f64],
    channels: usize,
    dtype: &DType,
) -> Result<Vec<u8>> {
    let values = match values {
        [] => vec![0.0; channels],
        &[value] => vec![value; channels],
        several if several.len() == channels => several.to_vec(),
        several => {
            return Err(Error::FillLength { transform, got: several.len(), expected: channels });
        }
    };
    let bytes = |&value: &f64| {
        number_bytes(dtype, value).ok_or_else(|| Error::FillValue {
            transform,
            value,
            dtype: dtype.to_string(),
        })
    };
    Ok(values.iter().map(bytes).collect::<Result<Vec<_>>>()?.concat())
}

/// A number as an element of a dtype, little-endian; None if the dtype has no such element.
#[expect(clippy::float_cmp, reason = "whether a number survives a cast is a question of equality")]
#[expect(clippy::cast_lossless, reason = "for some of the integers it is not lossless")]
fn number_bytes(dtype: &DType, value: f64) -> Option<Vec<u8>> {
    macro_rules! integer {
        ($rust:ty) => {{
            let number = value as $rust;
            (number as f64 == value).then(|| number.to_le_bytes().to_vec())
        }};
    }
    match dtype {
        DType::Bool => (value == 0.0 || value == 1.0).then(|| vec![u8::from(value == 1.0)]),
        DType::U8 => integer!(u8),
        DType::I8 => integer!(i8),
        DType::U16 => integer!(u16),
        DType::I16 => integer!(i16),
        DType::U32 => integer!(u32),
        DType::I32 => integer!(i32),
        DType::U64 => integer!(u64),
        DType::I64 => integer!(i64),
        DType::F16 => Some(F16::nearest_to_f64(value).to_le_bytes().to_vec()),
        DType::Bf16 => Some(Bf16::nearest_to_f64(value).to_le_bytes().to_vec()),
        DType::F32 => Some((value as f32).to_le_bytes().to_vec()),
        DType::F64 => Some(value.to_le_bytes().to_vec()),
        other if value == 0.0 => Some(vec![0; other.itemsize()]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_has_one_value_for_all_channels_or_one_for_each() {
        let pixel = |values: &[f64]| pixel_of("Pad", values, 3, &DType::U8);
        assert_eq!(pixel(&[]).unwrap(), [0, 0, 0]);
        assert_eq!(pixel(&[7.0]).unwrap(), [7, 7, 7]);
        assert_eq!(pixel(&[1.0, 2.0, 3.0]).unwrap(), [1, 2, 3]);
        assert_eq!(
            pixel(&[1.0, 2.0]).unwrap_err().to_string(),
            "Pad: fill has 2 values, expected 1 or one for each of 3 channels"
        );
        assert_eq!(
            pixel(&[0.5]).unwrap_err().to_string(),
            "Pad: fill 0.5 is not a value of uint8, the dtype of the image at this point"
        );
    }
}
