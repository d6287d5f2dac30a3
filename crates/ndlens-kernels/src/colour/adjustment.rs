//! One change of colour.

/// One change of colour. Factors are torchvision's: 1 leaves an image as it is, 0 of a hue.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Adjustment {
    /// Every value times a factor.
    Brightness(f64),
    /// Away from the mean gray of the image, or towards it.
    Contrast(f64),
    /// Away from each pixel's gray, or towards it.
    Saturation(f64),
    /// The hue turned by so many circles, from -0.5 to 0.5.
    Hue(f64),
    /// Every channel the pixel's gray.
    Grayscale,
}

impl Adjustment {
    /// The mean that it needs to know is of the whole image.
    pub(crate) fn needs_mean(self) -> bool {
        matches!(self, Adjustment::Contrast(_))
    }
}
