//! Limits on images from unknown sources.

/// Limits that an image is checked against before memory is taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of pixels of an image.
    pub max_pixels: u64,
}

/// As Pillow's `Image.MAX_IMAGE_PIXELS` with its factor of two, from which on it raises
/// `DecompressionBombError`: about 179 million pixels, 537 MB of RGB.
impl Default for Limits {
    fn default() -> Self {
        Limits { max_pixels: 2 * (1024 * 1024 * 1024 / 4 / 3) }
    }
}
