//! Pixels to JPEG, by the crate jpeg-encoder, so that a set of images can be kept small.
//!
//! Baseline coding. From quality 90 on the colours have the resolution of the luma (4:4:4), below
//! half of it in both directions (4:2:0).

use jpeg_encoder::{ColorType, Encoder};

use crate::error::{Error, Result};

/// Appends pixels of shape (height, width, channels), uint8, with 1 channel (grey) or 3 (red,
/// green, blue), to `out` as a JPEG of this quality, from 1 to 100.
///
/// # Errors
///
/// [`Error::NotEncodable`] for another shape or quality, and for fewer pixels.
pub fn encode_jpeg(pixels: &[u8], shape: &[usize], quality: u8, out: &mut Vec<u8>) -> Result<()> {
    let refused = || Error::NotEncodable { shape: shape.to_vec(), quality };
    let &[height, width, channels] = shape else { return Err(refused()) };
    let colours = match channels {
        1 => ColorType::Luma,
        3 => ColorType::Rgb,
        _ => return Err(refused()),
    };
    let size = |size: usize| u16::try_from(size).ok().filter(|&size| size > 0);
    let (Some(rows), Some(columns)) = (size(height), size(width)) else { return Err(refused()) };
    if !(1..=100).contains(&quality) {
        return Err(refused());
    }
    Encoder::new(out, quality).encode(pixels, columns, rows, colours).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::mode::Mode;
    use crate::open::open;

    #[test]
    fn what_is_encoded_has_its_size_and_nearly_its_pixels() {
        for (channels, mode) in [(1, Mode::L), (3, Mode::Rgb)] {
            let shape = [37, 50, channels];
            let pixels: Vec<u8> =
                (0..37 * 50).flat_map(|at| vec![(at / 50 * 3 + at % 50) as u8; channels]).collect();
            let mut bytes = b"before".to_vec();
            encode_jpeg(&pixels, &shape, 95, &mut bytes).unwrap();
            let decoder = open(&bytes[6..], &Limits::default()).unwrap();
            let header = decoder.header();
            assert_eq!((header.height, header.width), (37, 50));
            assert_eq!(mode.channels(header), channels);
            let image = crate::DecodedImage::decode(&bytes[6..], mode, false, &Limits::default());
            let decoded = image.unwrap();
            let most = decoded.bytes.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(most.unwrap() <= 6, "{most:?}");
        }
    }

    #[test]
    fn other_shapes_and_qualities_are_refused() {
        let mut out = vec![];
        for (shape, quality) in [
            (&[2usize, 2, 3][..], 0),
            (&[2, 2, 3], 101),
            (&[2, 2, 4], 90),
            (&[2, 2], 90),
            (&[0, 2, 3], 90),
            (&[1, 65_536, 3], 90),
            // Fewer pixels than that.
            (&[9, 2, 3], 90),
        ] {
            let error = encode_jpeg(&[0; 12], shape, quality, &mut out).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "pixels of shape {shape:?} cannot be a JPEG of quality {quality}: expected \
                     height and width from 1 to 65535, 1 or 3 channels and a quality from 1 to 100"
                )
            );
        }
    }
}
