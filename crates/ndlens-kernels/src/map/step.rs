//! The steps that a map is compiled from.

use ndlens_core::DType;

/// One step of a chain, with torchvision's meaning.
#[derive(Debug, Clone, PartialEq)]
pub enum MapStep {
    /// `torchvision.transforms.v2.ToDtype`: to another dtype, with `scale` from the range of one to
    /// that of the other.
    ToDtype {
        /// The dtype to convert to: `bool`, an integer, a float of 16 to 64 bits, or what the
        /// elements are already.
        dtype: DType,
        /// Whether what stands for 1.0 (the largest of an integer dtype, 1.0 of a float) goes to
        /// what does in the other dtype: integers to floats times its reciprocal, floats to
        /// integers times it and 0.999, integers to integers by a shift.
        scale: bool,
    },
    /// `torchvision.transforms.v2.Normalize`: minus the mean, divided by the standard deviation.
    Normalize {
        /// One value, or one for each channel.
        mean: Vec<f64>,
        /// One value, or one for each channel.
        std: Vec<f64>,
    },
}
