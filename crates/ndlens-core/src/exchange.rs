//! What the consumers of our memory cannot take, asked before they are handed it.

use crate::error::{CopyReason, Error, Result};
use crate::view::View;

impl View {
    /// Whether PyTorch can hold this view: it has no negative strides, and no read-only tensors: it ignores DLPack's
    /// flag, and a write goes through. `allow_read_only` takes that risk.
    ///
    /// # Errors
    ///
    /// [`Error::ReadOnly`], [`Error::CopyRequired`].
    pub fn check_torch(&self, allow_read_only: bool) -> Result<()> {
        if self.is_read_only() && !allow_read_only {
            return Err(Error::ReadOnly {
                operation: "torch()",
                hint: "open the file with mode=\"c\" (copy-on-write), call .copy() first, or pass readonly=\"allow\" and \
                       never write to the tensor",
            });
        }
        let backwards = self.shape().iter().zip(self.strides()).position(|(&n, &stride)| n > 1 && stride < 0);
        if let Some(axis) = backwards.filter(|_| !self.is_empty()) {
            let reason = CopyReason::NegativeStride { axis, stride_bytes: self.strides()[axis] };
            return Err(Error::CopyRequired { operation: "torch()", reason });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn torch_is_not_handed_what_it_would_misread() {
        let view = View::from_vec(vec![1u8, 2, 3]);
        assert_eq!(view.check_torch(false), Ok(()));
        assert_eq!(
            view.flip(&[0]).unwrap().check_torch(false).unwrap_err().to_string(),
            "torch() would need a copy: axis 0 has the negative stride -1; call .copy() first"
        );
        let read_only = view.to_read_only();
        assert_eq!(
            read_only.check_torch(false).unwrap_err().to_string(),
            "torch() needs writable memory, but the view is read-only; open the file with mode=\"c\" (copy-on-write), \
             call .copy() first, or pass readonly=\"allow\" and never write to the tensor"
        );
        assert_eq!(read_only.check_torch(true), Ok(()));
    }
}
