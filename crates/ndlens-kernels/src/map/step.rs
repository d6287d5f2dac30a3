//! The steps of which a map is compiled.

use ndlens_core::DType;

/// One step of a chain, with torchvision's meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum MapStep {
    /// `torchvision.transforms.v2.ToDtype`: to another dtype; with `scale`, from the range of one
    /// to the range of the other.
    ToDtype {
        /// The dtype to convert to: `bool`, an integer, a float of 16 to 64 bits, or the dtype of
        /// the elements.
        dtype: DType,
        /// Whether values are scaled so that the number for 1.0 (the largest of an integer dtype,
        /// 1.0 of a float) becomes that of the other dtype. Integers become floats by a factor of
        /// its reciprocal, floats become integers by a factor of it and 0.999, and integers become
        /// integers by a shift.
        scale: bool,
    },
    /// `torchvision.transforms.v2.Normalize`: subtracts the mean and divides by the standard
    /// deviation.
    Normalize {
        /// One value, or one for each channel.
        mean: Vec<f64>,
        /// One value, or one for each channel.
        std: Vec<f64>,
    },
}
