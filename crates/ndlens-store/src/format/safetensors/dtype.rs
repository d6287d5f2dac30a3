//! The dtypes of `.safetensors`, and those of the views.
//!
//! | in the file | a view |
//! |---|---|
//! | `F32`, `BF16`, `F8_E4M3`, .. | the dtype of the same elements |
//! | `F4`, two elements in a byte | `float4_e2m1fn_x2`, as in torch: half as many along the last axis |
//! | `F6_E2M3`, `F6_E3M2`, and names of later versions | none: only their bytes |

use ndlens_core::DType;

/// A dtype of the format.
#[derive(Debug)]
pub(crate) struct TensorDType {
    /// Name in the header.
    pub(crate) name: &'static str,
    /// Bits of one element.
    bits: usize,
    /// The dtype of a view; None if no view can show the elements.
    pub(crate) view: Option<DType>,
}

/// Pairs of elements of 4 bits.
const PAIRS: DType = DType::F4E2M1FNx2;

const fn row(name: &'static str, bits: usize, view: Option<DType>) -> TensorDType {
    TensorDType { name, bits, view }
}

/// All of them, in the format's order, with the widest last. It determines the order of tensors in
/// a file.
pub(crate) static DTYPES: [TensorDType; 22] = [
    row("BOOL", 8, Some(DType::Bool)),
    row("F4", 4, Some(PAIRS)),
    row("F6_E2M3", 6, None),
    row("F6_E3M2", 6, None),
    row("U8", 8, Some(DType::U8)),
    row("I8", 8, Some(DType::I8)),
    row("F8_E5M2", 8, Some(DType::F8E5M2)),
    row("F8_E4M3", 8, Some(DType::F8E4M3FN)),
    row("F8_E8M0", 8, Some(DType::F8E8M0FNU)),
    row("F8_E4M3FNUZ", 8, Some(DType::F8E4M3FNUZ)),
    row("F8_E5M2FNUZ", 8, Some(DType::F8E5M2FNUZ)),
    row("I16", 16, Some(DType::I16)),
    row("U16", 16, Some(DType::U16)),
    row("F16", 16, Some(DType::F16)),
    row("BF16", 16, Some(DType::Bf16)),
    row("I32", 32, Some(DType::I32)),
    row("U32", 32, Some(DType::U32)),
    row("F32", 32, Some(DType::F32)),
    row("C64", 64, Some(DType::C64)),
    row("F64", 64, Some(DType::F64)),
    row("I64", 64, Some(DType::I64)),
    row("U64", 64, Some(DType::U64)),
];

impl TensorDType {
    /// The place in [`DTYPES`] of the dtype with this name.
    pub(crate) fn find(name: &str) -> Option<usize> {
        DTYPES.iter().position(|row| row.name == name)
    }

    /// The place in [`DTYPES`] of the dtype whose views have this one.
    pub(crate) fn of_view(dtype: &DType) -> Option<usize> {
        DTYPES.iter().position(|row| row.view.as_ref() == Some(dtype))
    }

    /// The bytes of `elements` elements; None if they are not a whole number, or do not fit the
    /// address space.
    pub(crate) fn nbytes(&self, elements: usize) -> Option<usize> {
        let bits = elements.checked_mul(self.bits)?;
        bits.is_multiple_of(8).then_some(bits / 8).filter(|&nbytes| isize::try_from(nbytes).is_ok())
    }

    /// The shape of a tensor's view; None if the last axis has an odd number of elements that are
    /// stored in pairs.
    pub(crate) fn view_shape(&self, shape: &[usize]) -> Option<Vec<usize>> {
        let mut shape = shape.to_vec();
        if self.view == Some(PAIRS) {
            let last = shape.last_mut()?;
            if !last.is_multiple_of(2) {
                return None;
            }
            *last /= 2;
        }
        Some(shape)
    }

    /// The shape of a view's tensor; None if it does not fit.
    pub(crate) fn tensor_shape(&self, view: &[usize]) -> Option<Vec<usize>> {
        let mut shape = view.to_vec();
        if self.view == Some(PAIRS) {
            let last = shape.last_mut()?;
            *last = last.checked_mul(2)?;
        }
        Some(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dtype_is_the_one_of_the_crate_that_defines_the_format() {
        let order: Vec<safetensors::Dtype> = DTYPES
            .iter()
            .map(|row| serde_json::from_str(&format!("\"{}\"", row.name)).unwrap())
            .collect();
        assert!(order.is_sorted());
        for (row, theirs) in DTYPES.iter().zip(order) {
            assert_eq!(row.bits, theirs.bitsize(), "{theirs}");
            if let Some(view) = row.view.as_ref().filter(|&view| *view != PAIRS) {
                assert_eq!(row.bits, 8 * view.itemsize(), "{theirs}");
            }
        }
    }

    #[test]
    fn two_elements_of_4_bits_are_one_of_a_view() {
        let row = &DTYPES[TensorDType::find("F4").unwrap()];
        assert_eq!((row.nbytes(6), row.nbytes(7)), (Some(3), None));
        assert_eq!(
            (row.view_shape(&[3, 4]), row.view_shape(&[4, 3]), row.view_shape(&[])),
            (Some(vec![3, 2]), None, None)
        );
        assert_eq!(row.tensor_shape(&[3, 2]), Some(vec![3, 4]));
        assert_eq!(DTYPES[TensorDType::find("F32").unwrap()].view_shape(&[3]), Some(vec![3]));
    }
}
