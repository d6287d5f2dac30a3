//! Which filter a resize uses.

/// How values between pixels are found, with the meaning of torchvision's `InterpolationMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The pixel at or before the position: torch's `"nearest"`, which is a little off, as
    /// `OpenCV`'s is.
    Nearest,
    /// The pixel whose centre is nearest: torch's `"nearest-exact"`, and Pillow's.
    NearestExact,
    /// A line through two neighbours.
    Bilinear,
    /// A cubic through four neighbours; a = -0.5 with antialias, -0.75 without, as in torch.
    Bicubic,
}

impl Interpolation {
    /// By torchvision's name.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "nearest" => Interpolation::Nearest,
            "nearest-exact" => Interpolation::NearestExact,
            "bilinear" => Interpolation::Bilinear,
            "bicubic" => Interpolation::Bicubic,
            _ => return None,
        })
    }

    /// torchvision's name.
    pub fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::NearestExact => "nearest-exact",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
        }
    }

    /// Whether pixels are copied, of whatever dtype.
    pub(crate) fn copies(self) -> bool {
        matches!(self, Interpolation::Nearest | Interpolation::NearestExact)
    }
}

/// What a resized pixel is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Filter {
    /// How values between pixels are found.
    pub interpolation: Interpolation,
    /// Whether a smaller image takes all pixels into account, by a filter as much wider as the
    /// image gets smaller. It means nothing to the nearest pixel.
    pub antialias: bool,
}
