//! WebP.

use std::io::Cursor;

use image_webp::WebPDecoder;
use ndlens_codecs::Coding;

use crate::images;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "webp",
    promise: "a region of a WebP is that part of the whole, which is that of image-webp",
    run,
    max_len: 2048,
};

fn run(data: &[u8]) {
    let Some((header, Ok(rgb))) = images::check(data, Coding::WebP) else { return };
    let mut decoder = WebPDecoder::new(Cursor::new(data)).expect("an image that was decoded");
    assert_eq!(decoder.dimensions(), (header.width as u32, header.height as u32));
    let mut theirs = vec![0; decoder.output_buffer_size().expect("a small image")];
    decoder.read_image(&mut theirs).expect("an image that was decoded");
    assert_eq!(theirs.len(), header.height * header.width * header.channels);
    for (ours, theirs) in rgb.chunks_exact(3).zip(theirs.chunks_exact(header.channels)) {
        assert_eq!(ours, &theirs[..3]);
    }
}
