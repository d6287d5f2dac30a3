//! Regions of baseline JPEG, of images whose pixels are known.

mod picture;

use ndlens_codecs::{DecodeRegion, DecodeScratch, Error, ImageMut, Limits, Mode, Scale, open};
use picture::{Picture, Random};

/// Sampling factors of three components, and what people call them.
const SAMPLINGS: [(&str, [(usize, usize); 3]); 9] = [
    ("4:4:4", [(1, 1), (1, 1), (1, 1)]),
    ("4:2:2", [(2, 1), (1, 1), (1, 1)]),
    ("4:4:0", [(1, 2), (1, 1), (1, 1)]),
    ("4:2:0", [(2, 2), (1, 1), (1, 1)]),
    ("4:1:1", [(4, 1), (1, 1), (1, 1)]),
    ("4:1:0", [(4, 2), (1, 1), (1, 1)]),
    ("4:4:4 in MCUs of six", [(2, 1), (2, 1), (2, 1)]),
    ("chroma of different sizes", [(2, 2), (2, 1), (1, 2)]),
    ("luma smaller than chroma", [(1, 1), (2, 2), (1, 1)]),
];
const SIZES: [(usize, usize); 8] =
    [(1, 1), (2, 3), (5, 4), (17, 9), (16, 16), (33, 50), (75, 41), (300, 34)];
const SCALES: [Scale; 4] = [Scale::Full, Scale::Half, Scale::Quarter, Scale::Eighth];

/// Pixels of a region: rows without gaps. Strip by strip they are the same.
fn decode(
    file: &[u8],
    region: DecodeRegion,
    scale: Scale,
    mode: Mode,
    scratch: &mut DecodeScratch,
) -> Result<Vec<u8>, Error> {
    let mut decoder = open(file, &Limits::default())?;
    let (rows, columns) = region.size_at(scale);
    let row_stride_bytes = columns * mode.pixel_bytes(decoder.header());
    let mut pixels = vec![0; rows * row_stride_bytes];
    let out = ImageMut { bytes: &mut pixels, row_stride_bytes };
    let made = decoder.decode(region, scale, mode, out, scratch);
    let mut strips = Vec::new();
    let mut take = |rows: &[u8]| strips.extend_from_slice(rows);
    let by_strips = decoder.decode_strips(region, scale, mode, scratch, &mut take);
    assert_eq!(made.is_ok(), by_strips.is_ok(), "{made:?}, {by_strips:?}");
    made?;
    assert!(strips == pixels, "{region:?} {scale:?} {mode:?}");
    Ok(pixels)
}

fn whole(picture: &Picture) -> DecodeRegion {
    DecodeRegion { top: 0, left: 0, height: picture.height, width: picture.width }
}

/// A region that starts at a multiple of the scale.
fn part(picture: &Picture, scale: Scale, random: &mut Random) -> DecodeRegion {
    let step = scale.step();
    let top = random.below(picture.height.div_ceil(step)) * step;
    let left = random.below(picture.width.div_ceil(step)) * step;
    let height = 1 + random.below(picture.height - top);
    let width = 1 + random.below(picture.width - left);
    DecodeRegion { top, left, height, width }
}

/// Every size with every sampling, and grey; restarts, codes and colours in turns.
fn pictures(random: &mut Random) -> Vec<(String, Picture)> {
    let mut pictures = Vec::new();
    for (width, height) in SIZES {
        for (name, factors) in SAMPLINGS {
            let mut picture = Picture::random(width, height, &factors, random);
            picture.restart = [0, 1, 2, 7][random.below(4)];
            picture.fixed = random.below(2) == 0;
            picture.rgb = random.below(4) == 0;
            pictures.push((format!("{width} x {height} {name}"), picture));
        }
        let picture = Picture::random(width, height, &[(2, 2)], random);
        pictures.push((format!("{width} x {height} grey"), picture));
    }
    pictures
}

#[test]
fn pixels_are_those_of_floating_point_within_three() {
    let (mut random, mut scratch) = (Random(1), DecodeScratch::default());
    for (name, mut picture) in pictures(&mut random) {
        if picture.components.len() == 1 {
            // The factors of a single component stand for nothing.
            picture = Picture::random(picture.width, picture.height, &[(1, 1)], &mut random);
        }
        let pixels =
            decode(&picture.encode(), whole(&picture), Scale::Full, Mode::Rgb, &mut scratch);
        let pixels = pixels.unwrap_or_else(|error| panic!("{name}: {error}"));
        for (place, (got, expected)) in
            pixels.as_chunks::<3>().0.iter().zip(picture.pixels()).enumerate()
        {
            for (got, expected) in got.iter().zip(expected) {
                assert!((f64::from(*got) - expected).abs() <= 3.0, "{name}: pixel {place}");
            }
        }
    }
}

#[test]
fn a_region_is_that_part_of_the_whole_at_every_scale_and_in_every_mode() {
    let (mut random, mut scratch) = (Random(2), DecodeScratch::default());
    for (name, picture) in pictures(&mut random) {
        let file = picture.encode();
        for scale in SCALES {
            for mode in [Mode::Rgb, Mode::L, Mode::Rgba, Mode::Unchanged] {
                let bytes = mode.pixel_bytes(open(&file, &Limits::default()).unwrap().header());
                let all = decode(&file, whole(&picture), scale, mode, &mut scratch).unwrap();
                let all_columns = whole(&picture).size_at(scale).1;
                for _ in 0..6 {
                    let region = part(&picture, scale, &mut random);
                    let got = decode(&file, region, scale, mode, &mut scratch).unwrap();
                    let columns = region.size_at(scale).1;
                    for (row, got) in got.chunks_exact(columns * bytes).enumerate() {
                        let first = (region.top / scale.step() + row) * all_columns
                            + region.left / scale.step();
                        let expected = &all[first * bytes..(first + columns) * bytes];
                        assert_eq!(got, expected, "{name} {region:?} {scale:?} {mode:?} {row}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_scale_is_about_the_mean_of_the_pixels_that_it_stands_for() {
    let (mut random, mut scratch) = (Random(3), DecodeScratch::default());
    let picture = Picture::random(64, 48, &[(1, 1)], &mut random);
    let file = picture.encode();
    let mut at = |scale| decode(&file, whole(&picture), scale, Mode::L, &mut scratch).unwrap();
    let full = at(Scale::Full);
    for scale in [Scale::Half, Scale::Quarter, Scale::Eighth] {
        let (step, reduced) = (scale.step(), at(scale));
        let mut error = 0.0;
        for (place, &got) in reduced.iter().enumerate() {
            let (row, column) = (place / (64 / step), place % (64 / step));
            let rows = full.chunks_exact(64).skip(row * step).take(step);
            let sum: u32 = rows
                .flat_map(|row| &row[column * step..(column + 1) * step])
                .map(|&sample| u32::from(sample))
                .sum();
            error += (f64::from(got) - f64::from(sum) / (step * step) as f64).abs();
        }
        // Samples that are clamped, and frequencies that fold, differ.
        assert!(error / (reduced.len() as f64) < 2.0, "{scale:?}: {error}");
    }
}

#[test]
fn codes_and_restarts_do_not_change_pixels() {
    let (mut random, mut scratch) = (Random(4), DecodeScratch::default());
    for (name, factors) in SAMPLINGS {
        let mut picture = Picture::random(90, 70, &factors, &mut random);
        let region = part(&picture, Scale::Full, &mut random);
        let mut decode =
            |file: &[u8]| decode(file, region, Scale::Full, Mode::Rgb, &mut scratch).unwrap();
        let expected = decode(&picture.encode());
        picture.fixed = true;
        assert_eq!(decode(&picture.encode()), expected, "{name}, fixed codes");
        for restart in [1, 2, 5, 30, 1000] {
            picture.restart = restart;
            assert_eq!(decode(&picture.encode()), expected, "{name}, restarts after {restart}");
        }
    }
}

#[test]
fn luma_alone_is_the_first_component_whatever_the_others_are() {
    let (mut random, mut scratch) = (Random(5), DecodeScratch::default());
    let mut picture = Picture::random(60, 44, &[(2, 2), (1, 1), (1, 1)], &mut random);
    let mut luma = |picture: &Picture| {
        decode(&picture.encode(), whole(picture), Scale::Full, Mode::L, &mut scratch).unwrap()
    };
    let expected = luma(&picture);
    for component in &mut picture.components[1..] {
        component.blocks.iter_mut().for_each(|block| *block = [0; 64]);
    }
    assert_eq!(luma(&picture), expected);
    // Its blocks are in the order of MCUs, which those of a grey image are not.
    let mut grey = Picture::random(60, 44, &[(1, 1)], &mut random);
    let (from, to) = (&picture.components[0], &mut grey.components[0]);
    for (place, block) in to.blocks.iter_mut().enumerate() {
        *block = from.blocks[place / to.across * from.across + place % to.across];
    }
    assert_eq!(luma(&grey), expected);
}

#[test]
fn whole_images_are_those_of_zune_jpeg_within_three() {
    let (mut random, mut scratch) = (Random(6), DecodeScratch::default());
    for restart in [0, 3] {
        let mut picture = Picture::random(70, 52, &[(1, 1); 3], &mut random);
        picture.restart = restart;
        let file = picture.encode();
        let ours = decode(&file, whole(&picture), Scale::Full, Mode::Rgb, &mut scratch).unwrap();
        let bytes = zune_jpeg::zune_core::bytestream::ZCursor::new(&file);
        let theirs = zune_jpeg::JpegDecoder::new(bytes).decode().unwrap();
        assert_eq!(ours.len(), theirs.len());
        let most = ours.iter().zip(&theirs).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(3), "{most:?}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_truncated_whatever_the_region() {
    let (mut random, mut scratch) = (Random(7), DecodeScratch::default());
    let mut picture = Picture::random(40, 40, &[(2, 1), (1, 1), (1, 1)], &mut random);
    for restart in [0, 2] {
        picture.restart = restart;
        let file = picture.encode();
        let corner = DecodeRegion { top: 0, left: 0, height: 1, width: 1 };
        for region in [whole(&picture), corner] {
            for len in 2..file.len() {
                let cut = decode(&file[..len], region, Scale::Full, Mode::Rgb, &mut scratch);
                match cut {
                    Err(Error::Truncated { len: got, .. }) => assert_eq!(got, len),
                    // The first bytes alone are not even known as those of a JPEG file.
                    Err(Error::UnknownFormat { .. }) if len < 3 => {}
                    other => panic!("{len} of {} bytes: {other:?}", file.len()),
                }
            }
        }
        // What follows the end of the image is of no matter.
        let mut longer = file.clone();
        longer.extend(b"\xFF\xD8 and more");
        for region in [whole(&picture), corner] {
            let mut decode =
                |file| decode(file, region, Scale::Full, Mode::Rgb, &mut scratch).unwrap();
            assert_eq!(decode(&longer), decode(&file));
        }
    }
}

#[test]
fn damage_is_an_error_or_other_pixels_and_leaves_the_scratch_usable() {
    let (mut random, mut scratch) = (Random(8), DecodeScratch::default());
    let mut errors = 0;
    for round in 0..3000 {
        let (_, factors) = SAMPLINGS[random.below(SAMPLINGS.len())];
        let (width, height) = (1 + random.below(60), 1 + random.below(60));
        let mut picture = Picture::random(width, height, &factors, &mut random);
        picture.restart = random.below(4);
        let file = picture.encode();
        let scale = SCALES[random.below(4)];
        let region = part(&picture, scale, &mut random);
        let expected = decode(&file, region, scale, Mode::Rgb, &mut scratch).unwrap();
        let mut damaged = file.clone();
        for _ in 0..=random.below(6) {
            // Sometimes a header's size, and never the size alone.
            let place = 2 + random.below(file.len() - 2);
            damaged[place] = random.next() as u8;
        }
        match open(&damaged, &Limits { max_pixels: 100_000 }) {
            Err(_) => errors += 1,
            Ok(mut decoder) => {
                let header = *decoder.header();
                let region =
                    DecodeRegion { top: 0, left: 0, height: header.height, width: header.width };
                let row_stride_bytes = 3 * header.width;
                let mut pixels = vec![0; header.height * row_stride_bytes];
                let out = ImageMut { bytes: &mut pixels, row_stride_bytes };
                if decoder.decode(region, Scale::Full, Mode::Rgb, out, &mut scratch).is_err() {
                    errors += 1;
                }
            }
        }
        let again = decode(&file, region, scale, Mode::Rgb, &mut scratch).unwrap();
        assert_eq!(again, expected, "round {round}");
    }
    assert!(errors > 1000, "{errors} errors");
}

#[test]
fn a_small_file_that_claims_many_pixels_is_damaged() {
    let (mut random, mut scratch) = (Random(10), DecodeScratch::default());
    let picture = Picture::random(16, 16, &[(1, 1)], &mut random);
    let mut file = picture.encode();
    let frame = file.windows(2).position(|pair| pair == [0xFF, 0xC0]).unwrap();
    file[frame + 5..][..4].copy_from_slice(&[0x2E, 0xE0, 0x2E, 0xE0]);
    let last = DecodeRegion { top: 11_999, left: 11_999, height: 1, width: 1 };
    let error = decode(&file, last, Scale::Full, Mode::L, &mut scratch).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn errors_say_what_is_damaged() {
    let (mut random, mut scratch) = (Random(9), DecodeScratch::default());
    let mut picture = Picture::random(64, 8, &[(1, 1)], &mut random);
    picture.restart = 2;
    let file = picture.encode();
    let mut text = |file: &[u8]| {
        let region = DecodeRegion { top: 0, left: 0, height: 8, width: 64 };
        decode(file, region, Scale::Full, Mode::L, &mut scratch).unwrap_err().to_string()
    };
    let find = |marker: u8| file.windows(2).position(|pair| pair == [0xFF, marker]).unwrap();
    let mut wrong = file.clone();
    wrong[find(0xD0) + 1] = 0xD5;
    let expected = format!(
        "the JPEG image is damaged: marker 0xD5 is at byte {}, expected restart marker 0xD0",
        find(0xD0)
    );
    assert_eq!(text(&wrong), expected);
    let mut short = file.clone();
    short.drain(find(0xD0) - 3..find(0xD0));
    assert_eq!(text(&short), "the JPEG image is damaged: its data ends within a block");
    let mut tables = file.clone();
    tables[find(0xC4) + 5..][..16].fill(3);
    assert!(text(&tables).starts_with("the JPEG image is damaged: "), "{}", text(&tables));
    let mut missing = file.clone();
    missing[find(0xC0) + 12] = 3;
    let expected = "the JPEG image is damaged: a quantisation table is missing";
    assert_eq!(text(&missing), expected);
}
