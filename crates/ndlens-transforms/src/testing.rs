//! Helpers for the tests of the families.

use ndlens_core::{DType, View};
use ndlens_kernels::Stores;

use crate::pipeline::Pipeline;
use crate::random::Stream;
use crate::scratch::Scratch;
use crate::step::Step;

/// An image whose elements count up.
pub(crate) fn image(height: isize, width: isize, channels: isize) -> View {
    let n = height * width * channels;
    View::from_vec((0..n).map(|i| i as u8).collect()).reshape(&[height, width, channels]).unwrap()
}

/// The shape and the bytes of an item that was made with its own draws.
pub(crate) fn run(transforms: &[Box<dyn Step>], image: &View, item: u64) -> (Vec<usize>, Vec<u8>) {
    let pipeline = Pipeline::compile(transforms, image.shape(), image.dtype()).unwrap();
    let mut out = vec![0; pipeline.nbytes()];
    let drawn = pipeline.draw(Stream::new(0, "image"), 0, item, image.shape()).unwrap();
    pipeline
        .run(image.as_ref(), &drawn, &mut out, Stores::Cached, &mut Scratch::default())
        .unwrap();
    (pipeline.shape().to_vec(), out)
}

/// The result for rows of three numbers.
pub(crate) fn floats(transforms: &[Box<dyn Step>], numbers: &[f32], item: u64) -> Vec<f32> {
    let rows = View::from_vec(numbers.to_vec()).reshape(&[-1, 3]).unwrap();
    let (_, bytes) = run(transforms, &rows, item);
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// The error of these transforms for items of `uint8` of this shape.
pub(crate) fn message(transforms: &[Box<dyn Step>], shape: &[usize]) -> String {
    Pipeline::compile(transforms, shape, &DType::U8).unwrap_err().to_string()
}
