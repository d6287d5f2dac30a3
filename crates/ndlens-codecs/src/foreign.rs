//! Decoders of other projects: what they do to the process where ours return an error.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ndlens_core::room;

use crate::error::{Error, Result};
use crate::header::Coding;

/// Runs a decoder that ends the process if it gets no memory: asks first whether the system has as
/// much as it may take. If it panics, the image is damaged in a way that it did not expect.
pub(crate) fn run<T>(
    coding: Coding,
    bytes: usize,
    decode: impl FnOnce() -> Result<T>,
) -> Result<T> {
    room::with_room_for::<u8>(bytes).map_err(|_| Error::OutOfMemory { bytes })?;
    // A decoder that panicked is not used again.
    catch_unwind(AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        let what = "its decoder panicked".to_owned();
        Err(Error::Damaged { coding, what })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_is_an_error() {
        let decode = || -> Result<()> { panic!("on purpose") };
        let error = run(Coding::WebP, 1, decode).unwrap_err().to_string();
        assert_eq!(error, "the WebP image is damaged: its decoder panicked");
    }

    #[test]
    fn memory_that_is_not_there_is_not_taken() {
        let decode = || -> Result<()> { panic!("not run") };
        let error = run(Coding::Png, isize::MAX as usize, decode).unwrap_err();
        assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    }
}
