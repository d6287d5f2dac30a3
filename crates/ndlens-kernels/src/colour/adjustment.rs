//! One change of colour.

/// One change of colour. Factors are torchvision's: 1 leaves an image as it is, 0 of a hue.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Adjustment {
    /// Multiplies every value by a factor.
    Brightness(f64),
    /// Moves values away from the mean gray of the image, or towards it.
    Contrast(f64),
    /// Moves values away from each pixel's gray, or towards it.
    Saturation(f64),
    /// Turns the hue by a part of a circle, from -0.5 to 0.5.
    Hue(f64),
    /// Replaces every channel with the pixel's gray.
    Grayscale,
}

impl Adjustment {
    /// Whether the change needs the mean of the whole image.
    pub(crate) fn needs_mean(self) -> bool {
        matches!(self, Adjustment::Contrast(_))
    }
}
