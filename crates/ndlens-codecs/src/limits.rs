//! Limits on images from unknown sources.

use crate::error::{Error, Result};

/// Limits that an image is checked against before memory is taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of pixels of an image.
    pub max_pixels: u64,
}

impl Limits {
    /// The limits of a number of pixels that a user gave, or the default.
    ///
    /// # Errors
    ///
    /// [`Error::NegativeLimit`].
    pub fn of(max_pixels: Option<i64>) -> Result<Self> {
        let Some(got) = max_pixels else { return Ok(Limits::default()) };
        let max_pixels = u64::try_from(got).map_err(|_| Error::NegativeLimit { got })?;
        Ok(Limits { max_pixels })
    }

    /// Refuses an image that is too large.
    pub(crate) fn check(self, height: usize, width: usize) -> Result<()> {
        let limit = self.max_pixels;
        let pixels = (height as u64).checked_mul(width as u64);
        if pixels.is_some_and(|pixels| pixels <= limit) {
            return Ok(());
        }
        Err(Error::TooLarge { height, width, limit })
    }
}

/// As Pillow's `Image.MAX_IMAGE_PIXELS` with its factor of two, from which on it raises
/// `DecompressionBombError`: about 179 million pixels, 537 MB of RGB.
impl Default for Limits {
    fn default() -> Self {
        Limits { max_pixels: 2 * (1024 * 1024 * 1024 / 4 / 3) }
    }
}
