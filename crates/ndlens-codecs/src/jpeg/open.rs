//! The choice of a decoder of a JPEG file.

use super::baseline::Baseline;
use super::components::Colours;
use super::markers::Markers;
use super::whole::{self, WholeJpeg};
use crate::decoder::Decoder;
use crate::error::Result;
use crate::exif;
use crate::header::{Coding, Depth, Header, Orientation};
use crate::limits::Limits;

/// Reads the header of a JPEG file.
pub(crate) fn open<'a>(bytes: &'a [u8], limits: Limits) -> Result<Box<dyn Decoder + 'a>> {
    let markers = Markers::read(bytes)?;
    let frame = markers.frame;
    limits.check(frame.height, frame.width)?;
    whole::check(&frame)?;
    let colours = Colours::of(&markers)?;
    let header = Header {
        coding: Coding::Jpeg,
        height: frame.height,
        width: frame.width,
        channels: colours.channels(),
        depth: Depth::Eight,
        orientation: markers.exif.map_or(Orientation::Upright, exif::orientation),
    };
    match Baseline::new(bytes, markers.clone(), header, colours)? {
        Some(decoder) => Ok(Box::new(decoder)),
        None => Ok(Box::new(WholeJpeg { bytes, header, markers, colours })),
    }
}
