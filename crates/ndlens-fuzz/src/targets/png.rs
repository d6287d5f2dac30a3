//! PNG. Bytes as they are; or chunks of them, with checksums that fit, so that what is in them is
//! read.

use std::io::{Cursor, Write};

use arbitrary::{Result, Unstructured};
use flate2::Compression;
use flate2::Crc;
use flate2::write::ZlibEncoder;
use ndlens_codecs::{Coding, Depth, Header, Mode};
use png::Transformations;

use crate::images;
use crate::numbers;
use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "png",
    promise: "a region of a PNG is that part of the whole, which is that of the crate png",
    run,
    max_len: 2048,
};

fn run(data: &[u8]) {
    match data.split_first() {
        Some((kind, data)) if kind % 2 == 1 => numbers::read(data, chunks),
        Some((_, data)) => check(data),
        None => {}
    }
}

fn chunk(file: &mut Vec<u8>, name: [u8; 4], data: &[u8]) {
    let mut checksum = Crc::new();
    checksum.update(&name);
    checksum.update(data);
    file.extend((data.len() as u32).to_be_bytes());
    file.extend(name);
    file.extend(data);
    file.extend(checksum.sum().to_be_bytes());
}

/// A file of chunks.
fn chunks(u: &mut Unstructured<'_>) -> Result<()> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let (width, height) = (u.int_in_range(0..=40u32)?, u.int_in_range(0..=30u32)?);
    let depth = *u.choose(&[8u8, 1, 2, 4, 16, 3])?;
    let colours = *u.choose(&[2u8, 0, 3, 4, 6, 1])?;
    let interlaced = u.int_in_range(0..=1u8)?;
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes()];
    let header = [&header.concat()[..], &[depth, colours, 0, 0, interlaced]].concat();
    chunk(&mut file, *b"IHDR", &header);
    for _ in 0..u.int_in_range(0..=3)? {
        let names =
            [*b"PLTE", *b"tRNS", *b"eXIf", *b"acTL", *b"fcTL", *b"iCCP", *b"zTXt", *b"gAMA"];
        let name = *u.choose(&names)?;
        let len = u.int_in_range(0..=48)?;
        chunk(&mut file, name, u.bytes(len)?);
    }
    let whole: bool = u.ratio(7, 8)?;
    let rows = u.bytes(u.len())?;
    let enough = 1 + height as usize * (1 + 8 * width as usize);
    let mut encoder = ZlibEncoder::new(vec![], Compression::fast());
    for (place, byte) in rows.iter().cycle().take(if whole { enough } else { 7 }).enumerate() {
        // Filters beyond 4 end the image, so most bytes that may be filters are made smaller.
        let byte = if place % 5 == 0 { byte % 5 } else { *byte };
        encoder.write_all(&[byte]).expect("memory takes every byte");
    }
    let data = encoder.finish().expect("memory takes every byte");
    for part in data.chunks(data.len().div_ceil(2).max(1)) {
        chunk(&mut file, *b"IDAT", part);
    }
    chunk(&mut file, *b"IEND", &[]);
    check(&file);
    Ok(())
}

/// The pixels as they are stored are those of the crate's own whole image.
fn check(bytes: &[u8]) {
    let Some((header, Ok(rgb))) = images::check(bytes, Coding::Png) else { return };
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let mut reader = decoder.read_info().expect("an image that was decoded");
    let mut theirs = vec![0; reader.output_buffer_size().expect("a small image")];
    reader.next_frame(&mut theirs).expect("an image that was decoded");
    let Header { channels, depth, .. } = header;
    let unchanged = Header { depth: Depth::Eight, ..header };
    assert_eq!(
        theirs.len(),
        header.height * header.width * Mode::Unchanged.pixel_bytes(&unchanged)
    );
    assert!(matches!(depth, Depth::Eight | Depth::Sixteen));
    for (ours, theirs) in rgb.chunks_exact(3).zip(theirs.chunks_exact(channels)) {
        let expected = match channels {
            1 | 2 => [theirs[0]; 3],
            _ => [theirs[0], theirs[1], theirs[2]],
        };
        assert_eq!(ours, expected);
    }
}
