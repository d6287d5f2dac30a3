//! WebP: RFC 9649.

#[cfg(not(feature = "webp"))]
pub(crate) use absent::open;
#[cfg(feature = "webp")]
pub(crate) use present::open;

#[cfg(not(feature = "webp"))]
mod absent {
    use crate::decoder::Decoder;
    use crate::error::{Error, Result};
    use crate::header::Coding;
    use crate::limits::Limits;

    /// Refuses a WebP file.
    pub(crate) fn open<'a>(_: &'a [u8], _: Limits) -> Result<Box<dyn Decoder + 'a>> {
        let what = "this build of ndlens-codecs is without the feature `webp`".to_owned();
        Err(Error::Unsupported { coding: Coding::WebP, what })
    }
}

#[cfg(feature = "webp")]
mod present {
    use std::io::{Cursor, ErrorKind};

    use image_webp::{DecodingError, WebPDecoder};

    use crate::decoder::{Decoder, RowsMut};
    use crate::error::{Error, Result};
    use crate::exif;
    use crate::foreign;
    use crate::header::{Coding, Depth, Header, Orientation};
    use crate::limits::Limits;
    use crate::memory;
    use crate::mode::Mode;
    use crate::region::{DecodeRegion, Scale};
    use crate::samples::Samples;
    use crate::scratch::DecodeScratch;

    const CODING: Coding = Coding::WebP;

    /// Bytes that the crate holds for each pixel: planes of luma and chroma, or pixels of four
    /// samples and the transforms' data, and those of an animation's frame and canvas.
    const HELD_PER_PIXEL: usize = 12;
    /// Lists of chunks, and a partition of lossy data, whose size is a claim of 24 bits.
    const FIXED_BYTES: usize = (1 << 24) + (64 << 10);

    /// A WebP file whose chunks were found.
    struct WebPImage<'a> {
        bytes: &'a [u8],
        header: Header,
    }

    /// Reads the header of a WebP file, which begins with `RIFF` and has `WEBP` at byte 8.
    pub(crate) fn open<'a>(bytes: &'a [u8], limits: Limits) -> Result<Box<dyn Decoder + 'a>> {
        let truncated = Error::Truncated { coding: CODING, len: bytes.len() };
        let size: Option<[u8; 4]> = bytes.get(4..8).and_then(|size| size.try_into().ok());
        match size.map(u32::from_le_bytes) {
            Some(size) if (size as usize).saturating_add(8) <= bytes.len() => {}
            _ => return Err(truncated),
        }
        let (width, height, has_alpha) = foreign::run(CODING, FIXED_BYTES, || {
            let decoder = read(bytes)?;
            let (width, height) = decoder.dimensions();
            Ok((width, height, decoder.has_alpha()))
        })?;
        let (height, width) = (height as usize, width as usize);
        limits.check(height, width)?;
        check_frames(bytes, height, width)?;
        let header = Header {
            coding: CODING,
            height,
            width,
            channels: if has_alpha { 4 } else { 3 },
            depth: Depth::Eight,
            orientation: orientation(bytes),
        };
        Ok(Box::new(WebPImage { bytes, header }))
    }

    /// The chunks of a file or of a frame: their names and contents, as far as these are there.
    struct Chunks<'a> {
        rest: &'a [u8],
    }

    impl<'a> Iterator for Chunks<'a> {
        type Item = ([u8; 4], &'a [u8]);

        fn next(&mut self) -> Option<Self::Item> {
            let ([a, b, c, d, size @ ..], after) = self.rest.split_first_chunk::<8>()?;
            let len = u32::from_le_bytes(*size) as usize;
            // Chunks of an odd size are padded.
            self.rest = after.get(len.saturating_add(len % 2)..).unwrap_or_default();
            Some(([*a, *b, *c, *d], &after[..len.min(after.len())]))
        }
    }

    /// The orientation that the chunk `EXIF` says, found without a copy.
    fn orientation(bytes: &[u8]) -> Orientation {
        let exif = Chunks { rest: &bytes[12..] }.find(|(name, _)| name == b"EXIF");
        exif.map_or(Orientation::Upright, |(_, data)| exif::orientation(data))
    }

    /// Refuses lossy data of more pixels than the image has: the crate takes memory for them before
    /// it compares.
    fn check_lossy(chunks: Chunks<'_>, height: usize, width: usize) -> Result<()> {
        for (name, data) in chunks {
            // RFC 6386, 9.1: a tag and a start code of three bytes each, and 14 bits of each size.
            let (b"VP8 ", [_, _, _, _, _, _, a, b, c, d, ..]) = (&name, data) else { continue };
            let size = |low, high| usize::from(u16::from_le_bytes([low, high]) & 0x3FFF);
            let (columns, rows) = (size(*a, *b), size(*c, *d));
            if columns > width || rows > height {
                let what = format!(
                    "it has a frame of {rows} x {columns} pixels in an image of {height} x {width}"
                );
                return Err(Error::Damaged { coding: CODING, what });
            }
        }
        Ok(())
    }

    /// As [`check_lossy`], for the image itself and the frames of an animation.
    fn check_frames(bytes: &[u8], height: usize, width: usize) -> Result<()> {
        check_lossy(Chunks { rest: &bytes[12..] }, height, width)?;
        for (name, data) in (Chunks { rest: &bytes[12..] }) {
            if name == *b"ANMF" {
                // A frame of an animation: 16 bytes, and chunks.
                let rest = data.get(16..).unwrap_or_default();
                check_lossy(Chunks { rest }, height, width)?;
            }
        }
        Ok(())
    }

    fn read(bytes: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>> {
        WebPDecoder::new(Cursor::new(bytes)).map_err(|error| refusal(&error, bytes.len()))
    }

    fn refusal(error: &DecodingError, len: usize) -> Error {
        match error {
            DecodingError::IoError(cause) if cause.kind() == ErrorKind::UnexpectedEof => {
                Error::Truncated { coding: CODING, len }
            }
            DecodingError::UnsupportedFeature(what) => {
                Error::Unsupported { coding: CODING, what: what.clone() }
            }
            // An enum of another crate, whose other variants are all damage.
            _ => Error::Damaged { coding: CODING, what: error.to_string() },
        }
    }

    impl Decoder for WebPImage<'_> {
        fn header(&self) -> &Header {
            &self.header
        }

        fn decode_rows(
            &mut self,
            region: DecodeRegion,
            _: Scale,
            mode: Mode,
            out: &mut dyn RowsMut,
            scratch: &mut DecodeScratch,
        ) -> Result<()> {
            let samples = Samples { channels: self.header.channels, depth: Depth::Eight };
            let (height, width) = (self.header.height, self.header.width);
            let bytes = height * width * samples.pixel_bytes();
            let pixels = memory::part(&mut scratch.pixels, bytes)?;
            foreign::run(CODING, height * width * HELD_PER_PIXEL, || {
                let mut decoder = read(self.bytes)?;
                decoder.read_image(pixels).map_err(|error| refusal(&error, self.bytes.len()))
            })?;
            let pixel_bytes = samples.pixel_bytes();
            let out_bytes = region.width * mode.pixel_bytes(&self.header);
            for row in 0..region.height {
                let start = ((region.top + row) * width + region.left) * pixel_bytes;
                let pixels = &pixels[start..][..region.width * pixel_bytes];
                samples.convert(pixels, mode, out.row(row, out_bytes));
            }
            Ok(())
        }
    }
}
