//! Memory that decoding a JPEG takes, kept from image to image.

/// Buffers and tables of [`Baseline`](super::baseline::Baseline).
#[derive(Debug, Default)]
pub(crate) struct JpegScratch {}
