//! The filter of a resize.

/// The computation of values between pixels, with the meaning of torchvision's `InterpolationMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The pixel at or before the position: torch's `"nearest"`, which has a small offset, like
    /// that of `OpenCV`.
    Nearest,
    /// The pixel whose centre is nearest: torch's `"nearest-exact"`, and Pillow's.
    NearestExact,
    /// A line through two neighbours.
    Bilinear,
    /// A cubic through four neighbours; a = -0.5 with antialias, -0.75 without, as in torch.
    Bicubic,
}

impl Interpolation {
    /// The interpolation with this name in torchvision.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "nearest" => Interpolation::Nearest,
            "nearest-exact" => Interpolation::NearestExact,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            _ => return None,
        })
    }

    /// Its name in torchvision.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::NearestExact => "nearest-exact",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
        }
    }

    /// Whether pixels of any dtype are copied.
    pub(crate) fn copies(self) -> bool {
        matches!(self, Interpolation::Nearest | Interpolation::NearestExact)
    }
}

/// The filter of a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Filter {
    /// Computation of values between pixels.
    pub interpolation: Interpolation,
    /// Whether all pixels count if the image gets smaller, by a filter that is wider in proportion.
    /// The nearest pixel ignores it.
    pub antialias: bool,
}
