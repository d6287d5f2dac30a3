//! EXIF metadata, in a PNG file around it.

use exif::{Field, In, Reader, Tag};
use ndlens_codecs::{Limits, Orientation, open};

use crate::target::FuzzTarget;

pub(crate) const TARGET: FuzzTarget = FuzzTarget {
    name: "exif",
    promise: "EXIF metadata have the orientation that kamadak-exif reads, or mean upright",
    run,
    max_len: 256,
};

fn run(data: &[u8]) {
    let orientation = orientation(data);
    if data.starts_with(b"Exif\0\0") {
        // The other reader does not take what stands before the metadata in other formats.
        return;
    }
    let Ok(theirs) = Reader::new().read_raw(data.to_vec()) else { return };
    let is_one = |field: &&Field| field.tag == Tag::Orientation && field.ifd_num == In::PRIMARY;
    if theirs.fields().filter(is_one).count() > 1 {
        // The standard allows one. They take the last, we take the first.
        return;
    }
    let Some(field) = theirs.get_field(Tag::Orientation, In::PRIMARY) else {
        assert_eq!(orientation, Orientation::Upright);
        return;
    };
    assert_eq!(u32::from(orientation.tag()), tag(field));
}

/// The tag's value if it is one integer from 1 to 8, otherwise 1.
fn tag(field: &Field) -> u32 {
    match (field.value.get_uint(0), field.value.get_uint(1)) {
        (Some(value @ 1..=8), None) => value,
        _ => 1,
    }
}

/// The orientation of an image with these metadata.
fn orientation(exif: &[u8]) -> Orientation {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0];
    for (name, data) in [(b"IHDR", &header[..]), (b"eXIf", exif), (b"IDAT", &[]), (b"IEND", &[])] {
        let mut checksum = flate2::Crc::new();
        checksum.update(name);
        checksum.update(data);
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(name);
        file.extend(data);
        file.extend(checksum.sum().to_be_bytes());
    }
    let decoder = open(&file, &Limits::default()).expect("a header that fits");
    decoder.header().orientation
}
