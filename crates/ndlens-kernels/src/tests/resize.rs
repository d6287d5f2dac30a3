//! Comparison of every body of resizing with the oracle, over one table of cases and over random
//! ones, and of the oracle with torch.

use ndlens_core::{Buffer, DType, Index, Layout, Order, View, s};
use proptest::prelude::*;

use crate::resize::reference;
use crate::resize::taps::Taps;
use crate::simd::level::Level;
use crate::tests::{bytes, check, fnv, normalize, packed, to};
use crate::{
    Error, Filter, Interpolation, MapStep, ResizeOutput, ResizeScratch, ResizeWindow, Resizer,
    Stores, ValueMap,
};

pub(crate) const FILTERS: [Filter; 6] = [
    Filter { interpolation: Interpolation::Nearest, antialias: false },
    Filter { interpolation: Interpolation::NearestExact, antialias: false },
    Filter { interpolation: Interpolation::Bilinear, antialias: false },
    Filter { interpolation: Interpolation::Bilinear, antialias: true },
    Filter { interpolation: Interpolation::Bicubic, antialias: false },
    Filter { interpolation: Interpolation::Bicubic, antialias: true },
];

/// The height and width of an image, before and after a resize.
const SIZES: [[usize; 4]; 20] = [
    [1, 1, 1, 1],
    [1, 1, 9, 40],
    [2, 3, 3, 2],
    [3, 1, 1, 17],
    [5, 7, 5, 33],
    [8, 8, 16, 16],
    [31, 33, 16, 15],
    [40, 37, 40, 20],
    [17, 64, 9, 63],
    [33, 65, 65, 66],
    [64, 50, 8, 16],
    [20, 200, 19, 64],
    [9, 300, 4, 65],
    [7, 1000, 3, 3],
    [300, 5, 2, 5],
    [2, 2, 70, 131],
    [100, 90, 7, 31],
    [4, 200, 3, 40],
    [3, 290, 2, 33],
    [4, 700, 3, 50],
];

/// The maps of resized bytes: the identity, affine floats with and without statistics, by a
/// division, by a table, by blocks.
pub(crate) fn byte_steps(channels: usize) -> Vec<Vec<MapStep>> {
    let awkward = MapStep::Normalize { mean: vec![f64::from(1e-40f32)], std: vec![1e-39] };
    vec![
        vec![],
        vec![to(&DType::F32, true)],
        vec![to(&DType::F32, true), normalize(channels)],
        vec![to(&DType::F32, true), normalize(1)],
        vec![to(&DType::F32, true), awkward],
        vec![to(&DType::F16, true), normalize(channels)],
        vec![to(&DType::F64, false), normalize(channels)],
    ]
}

fn resize(
    size: [usize; 2],
    channels: usize,
    dtype: &DType,
    filter: Filter,
    level: Level,
) -> Resizer {
    let resize = Resizer::new(size[0], size[1], channels, dtype, filter).unwrap();
    resize.at_level(level)
}

fn channels_of(view: &View) -> usize {
    view.shape().get(2).copied().unwrap_or(1)
}

/// Resizes to channels first and last, with both kinds of store, at two alignments of the
/// destination.
pub(crate) fn check_resize(
    view: &View,
    size: [usize; 2],
    filter: Filter,
    window: Option<ResizeWindow>,
    steps: &[MapStep],
    scratch: &mut ResizeScratch,
) {
    let placements = [(Stores::Cached, 1), (Stores::Stream, 0), (Stores::Stream, 4)];
    let (dtype, channels) = (view.dtype(), channels_of(view));
    let map = ValueMap::new(dtype, channels, steps).unwrap();
    let window = window.unwrap_or(resize(size, channels, dtype, filter, Level::best()).whole());
    for channels_first in [true, false] {
        let output = ResizeOutput { window, map: &map, channels_first, stores: Stores::Cached };
        let len = window.height * window.width * channels * map.dtype().itemsize();
        let mut expected = vec![0; len];
        reference::run(size, filter, &view.as_ref(), &output, &mut expected).unwrap();
        let context = (output, view.layout(), size, filter);
        check(&expected, map.dtype(), &placements, &context, |level, stores, out| {
            let resize = resize(size, channels, dtype, filter, level);
            let map = ValueMap::at_level(dtype, channels, steps, level).unwrap();
            let output = ResizeOutput { map: &map, stores, ..output };
            resize.apply(&view.as_ref(), &output, out, scratch).unwrap();
            if *dtype == DType::U8 && view.ndim() == 3 {
                let mut by_strips = vec![0; out.len()];
                resize_strips(&resize, view, &output, &mut by_strips, scratch);
                assert!(by_strips == *out, "strips, {level:?}, {context:?}");
            }
        });
    }
}

/// Resizes strip by strip, each packed anew, of more and more rows.
fn resize_strips(
    resize: &Resizer,
    view: &View,
    output: &ResizeOutput<'_>,
    out: &mut [u8],
    scratch: &mut ResizeScratch,
) {
    let mut strips = resize.strips(view.shape()[0], view.shape()[1], output, out, scratch).unwrap();
    let [rows, columns] = strips.needed();
    let (mut first, mut count) = (rows.start, 1);
    while first < rows.end {
        let end = rows.end.min(first + count);
        let part = view.as_ref().narrow(0, first, end - first).unwrap();
        let part = part.narrow(1, columns.start, columns.len()).unwrap();
        let layout = Layout::contiguous(part.shape(), 1, Order::C).unwrap();
        let mut packed = vec![0; part.nbytes()];
        part.read_into(&mut packed).unwrap();
        strips.push(&packed, &layout).unwrap();
        (first, count) = (end, count + 1);
    }
}

#[test]
fn rows_that_are_not_those_of_the_source_are_refused() {
    let resize = resize([4, 4], 3, &DType::U8, FILTERS[3], Level::best());
    let map = ValueMap::new(&DType::U8, 3, &[]).unwrap();
    let output = ResizeOutput {
        window: resize.whole(),
        map: &map,
        channels_first: false,
        stores: Stores::Cached,
    };
    let (mut out, mut scratch) = (vec![0; 4 * 4 * 3], ResizeScratch::default());
    let mut strips = resize.strips(9, 8, &output, &mut out, &mut scratch).unwrap();
    let bytes = vec![0; 10 * 8 * 3];
    for shape in [&[10, 8, 3][..], &[2, 7, 3], &[2, 8, 4], &[2, 8], &[]] {
        let layout = Layout::contiguous(shape, 1, Order::C).unwrap();
        assert_eq!(
            strips.push(&bytes, &layout).unwrap_err().to_string(),
            format!(
                "got rows of shape {shape:?}, expected up to 9 rows of 8 x 3, as are left of the \
                 image to resize"
            )
        );
    }
    let rows = Layout::contiguous(&[5, 8, 3], 1, Order::C).unwrap();
    let short = strips.push(&bytes[..100], &rows).unwrap_err().to_string();
    assert!(short.contains("100"), "{short}");
    strips.push(&bytes, &rows).unwrap();
    let error = strips.push(&bytes, &rows).unwrap_err().to_string();
    assert!(error.starts_with("got rows of shape [5, 8, 3], expected up to 4 rows"), "{error}");
}

#[test]
fn resized_bytes_are_torchs_to_the_bit() {
    /// A size, its resized size, and FNV-1a hashes of the bytes that torch 2.15 and torchvision
    /// 0.29.2 give for three channels of `bytes` by each of `FILTERS`.
    const KNOWN: [([usize; 4], [u64; 6]); 6] = [
        (
            [1, 1, 3, 5],
            [
                0xe241_4dd5_bccf_48d2,
                0xe241_4dd5_bccf_48d2,
                0xe241_4dd5_bccf_48d2,
                0xe241_4dd5_bccf_48d2,
                0xe241_4dd5_bccf_48d2,
                0xe241_4dd5_bccf_48d2,
            ],
        ),
        (
            [5, 7, 9, 33],
            [
                0x4050_6123_5cfc_4f34,
                0x38a5_afaa_40e2_71dd,
                0xabd3_39b4_3945_bcaf,
                0xabd3_39b4_3945_bcaf,
                0xa87e_aa16_4221_2356,
                0x0e12_f83f_d19c_831e,
            ],
        ),
        (
            [50, 70, 22, 31],
            [
                0x4b04_06a1_7b52_fc3e,
                0xcc40_0d2f_395b_9112,
                0xec9d_1984_9f75_b85b,
                0xbbb5_0504_86e4_6009,
                0xb68d_0afe_ea60_572b,
                0xe215_ec23_ef57_9fd0,
            ],
        ),
        (
            [37, 64, 37, 20],
            [
                0x7937_ff1c_4aff_f129,
                0x6d92_cbac_ac4a_a253,
                0x72ea_33cc_6892_6434,
                0x6e76_e585_21f1_7377,
                0x44ba_f4d2_b188_5d67,
                0xd235_afa3_fd0c_70e8,
            ],
        ),
        (
            [64, 300, 9, 24],
            [
                0x759d_a762_6ce2_55c0,
                0x7214_1490_3dae_84e4,
                0x4ca3_07be_4bac_f156,
                0x771b_2935_1c6d_2207,
                0x7696_6b49_cc94_5591,
                0x4d9d_8c0e_8464_1c62,
            ],
        ),
        (
            [30, 20, 61, 130],
            [
                0x767e_d3e0_92ac_32a5,
                0x0c5b_5098_eaea_d3c5,
                0x7af2_cf8f_6ee9_6123,
                0x7af2_cf8f_6ee9_6123,
                0x8bdd_6611_8278_bdfe,
                0x4061_aa5c_cc62_bdad,
            ],
        ),
    ];
    for ([height, width, to_height, to_width], hashes) in KNOWN {
        let image = packed(&[height, width, 3], DType::U8);
        for (filter, expected) in FILTERS.into_iter().zip(hashes) {
            for level in Level::all() {
                let resize = resize([to_height, to_width], 3, &DType::U8, filter, level);
                let map = ValueMap::new(&DType::U8, 3, &[]).unwrap();
                let output = ResizeOutput {
                    window: resize.whole(),
                    map: &map,
                    channels_first: false,
                    stores: Stores::Cached,
                };
                let mut out = vec![0; to_height * to_width * 3];
                resize
                    .apply(&image.as_ref(), &output, &mut out, &mut ResizeScratch::default())
                    .unwrap();
                assert_eq!(fnv(&out), expected, "{height} x {width}, {resize:?}");
            }
        }
    }
}

#[test]
fn bytes_are_resized_alike_in_every_body_size_and_number_of_channels() {
    let mut scratch = ResizeScratch::default();
    for [height, width, to_height, to_width] in SIZES {
        for channels in [1, 2, 3, 4, 5] {
            // A crop of a wider image; and of no channel axis.
            let image = packed(&[height + 1, width + 2, channels], DType::U8);
            let crop = image.index(&[s(1..), s(1..1 + width as isize)]).unwrap();
            for (i, filter) in FILTERS.into_iter().enumerate() {
                let steps = &byte_steps(channels)[(i + channels + width) % 7];
                check_resize(&crop, [to_height, to_width], filter, None, steps, &mut scratch);
            }
            if channels == 1 {
                let plane = crop.squeeze(Some(&[2])).unwrap();
                check_resize(
                    &plane,
                    [to_height, to_width],
                    FILTERS[3],
                    None,
                    &byte_steps(1)[2],
                    &mut scratch,
                );
            }
        }
    }
}

#[test]
fn the_map_of_resized_values_does_not_depend_on_the_filter() {
    let mut scratch = ResizeScratch::default();
    for channels in 1..=4 {
        for steps in byte_steps(channels) {
            let image = packed(&[23, 50, channels], DType::U8);
            check_resize(&image, [11, 37], FILTERS[3], None, &steps, &mut scratch);
            check_resize(&image, [30, 64], FILTERS[5], None, &steps, &mut scratch);
        }
    }
}

#[test]
fn a_source_of_any_strides_is_read_as_it_says() {
    let mut scratch = ResizeScratch::default();
    let rgba = packed(&[21, 70, 4], DType::U8);
    let reversed = Index::Slice { start: None, stop: None, step: -1 };
    let second = Index::Slice { start: None, stop: None, step: 2 };
    let planes = packed(&[3, 21, 70], DType::U8).permute(&[1, 2, 0]).unwrap();
    let views = [
        rgba.index(&[s(..), s(..), s(..3)]).unwrap(),
        rgba.index(&[s(..), s(..), reversed]).unwrap(),
        rgba.index(&[second, second]).unwrap(),
        rgba.flip(&[0]).unwrap(),
        rgba.flip(&[1]).unwrap(),
        rgba.flip(&[0, 1]).unwrap(),
        rgba.permute(&[1, 0, 2]).unwrap(),
        rgba.index(&[s(..), s(..1)]).unwrap().flip(&[1]).unwrap(),
        rgba.index(&[s(..1), s(..1)]).unwrap().broadcast_to(&[5, 9, 4]).unwrap(),
        planes.flip(&[1]).unwrap(),
        planes,
    ];
    for view in views {
        for filter in FILTERS {
            check_resize(
                &view,
                [10, 33],
                filter,
                None,
                &byte_steps(channels_of(&view))[2],
                &mut scratch,
            );
            check_resize(&view, [40, 4], filter, None, &[], &mut scratch);
        }
    }
}

#[test]
fn a_window_is_that_part_of_the_resized_image() {
    let mut scratch = ResizeScratch::default();
    let image = packed(&[40, 90, 3], DType::U8);
    let size = [32, 48];
    for mirrored in [image.clone(), image.flip(&[1]).unwrap()] {
        for [flip_vertical, flip_horizontal] in
            [[false, false], [false, true], [true, false], [true, true]]
        {
            for [top, left, height, width] in
                [[0, 0, 32, 48], [4, 9, 24, 24], [31, 47, 1, 1], [0, 13, 5, 35]]
            {
                let window =
                    ResizeWindow { top, left, height, width, flip_vertical, flip_horizontal };
                for filter in FILTERS {
                    check_resize(
                        &mirrored,
                        size,
                        filter,
                        Some(window),
                        &byte_steps(3)[2],
                        &mut scratch,
                    );
                }
            }
        }
    }
    let empty = ResizeWindow {
        top: 3,
        left: 3,
        height: 0,
        width: 4,
        flip_vertical: false,
        flip_horizontal: false,
    };
    check_resize(&image, size, FILTERS[3], Some(empty), &[], &mut scratch);
}

#[test]
fn a_window_may_start_at_a_row_that_equals_a_source_row() {
    // Of three rows of the result one is a row of the source, and those beside it are computed from
    // its neighbours too.
    let mut scratch = ResizeScratch::default();
    let image = packed(&[13, 11, 1], DType::U8);
    for size in [[39, 33], [65, 11]] {
        for filter in FILTERS {
            for top in 0..size[0] {
                let height = (size[0] - top).min(4);
                let window = ResizeWindow {
                    top,
                    left: top % 11,
                    height,
                    width: 5.min(11 - top % 11),
                    flip_vertical: false,
                    flip_horizontal: false,
                };
                check_resize(&image, size, filter, Some(window), &[], &mut scratch);
            }
        }
    }
}

#[test]
fn taps_never_go_back_from_row_to_row() {
    for from in 1..60 {
        for to in 1..70 {
            for filter in FILTERS {
                let mut taps = Taps::default();
                taps.prepare(from, to, filter, &DType::U8).unwrap();
                let ends: Vec<u32> =
                    taps.starts.iter().zip(&taps.counts).map(|(a, b)| a + b).collect();
                assert!(taps.starts.is_sorted() && ends.is_sorted(), "{from} to {to}, {filter:?}");
                assert!(taps.counts.iter().all(|&count| count >= 1));
                assert!(ends.iter().all(|&end| end as usize <= from), "{from} to {to}, {filter:?}");
            }
        }
    }
}

#[test]
fn floats_are_resized_as_the_oracle_says() {
    let mut scratch = ResizeScratch::default();
    let chains = |channels| {
        vec![
            vec![],
            vec![normalize(channels)],
            vec![to(&DType::F16, false)],
            vec![to(&DType::F64, false)],
        ]
    };
    for [height, width, to_height, to_width] in SIZES {
        for channels in [1, 3] {
            // Any bytes are floats; some are infinite or NaN.
            let image = packed(&[height, width, channels], DType::F32);
            let flipped = image.flip(&[0, 1]).unwrap();
            for (i, filter) in FILTERS.into_iter().enumerate() {
                let steps = &chains(channels)[i % 4];
                check_resize(&image, [to_height, to_width], filter, None, steps, &mut scratch);
                check_resize(&flipped, [to_height, to_width], filter, None, steps, &mut scratch);
            }
        }
    }
}

#[test]
fn floats_of_any_number_of_channels_keep_them() {
    let mut scratch = ResizeScratch::default();
    for channels in [2, 4, 5, 8, 9, 16, 17, 35] {
        let image = packed(&[23, 19, channels], DType::F32);
        let part = ResizeWindow {
            top: 1,
            left: 2,
            height: 5,
            width: 3,
            flip_vertical: true,
            flip_horizontal: true,
        };
        for filter in FILTERS {
            for size in [[7, 6], [40, 9]] {
                check_resize(
                    &image,
                    size,
                    filter,
                    Some(part),
                    &[normalize(channels)],
                    &mut scratch,
                );
                check_resize(&image, size, filter, None, &[], &mut scratch);
            }
        }
        let apart = image.permute(&[2, 1, 0]).unwrap().index(&[s(..), s(..), s(..5)]).unwrap();
        check_resize(&apart, [5, 6], FILTERS[3], None, &[], &mut scratch);
    }
}

#[test]
fn images_that_cannot_be_resized_are_refused() {
    let filter = FILTERS[3];
    let new = |height, width, channels, dtype| {
        Resizer::new(height, width, channels, &dtype, filter).unwrap_err().to_string()
    };
    assert_eq!(
        new(0, 5, 3, DType::U8),
        "cannot resize to 0 x 5 in 3 channels: each must be at least 1 and below 2^24"
    );
    assert_eq!(
        new(5, 1 << 24, 0, DType::U8),
        "cannot resize to 5 x 16777216 in 0 channels: each must be at least 1 and below 2^24"
    );
    assert_eq!(
        new(5, 5, 3, DType::I16),
        "cannot resize int16 by \"bilinear\", expected uint8 or float32: put ToDtype(\"float32\") \
         before it, or take interpolation=\"nearest\", which copies elements of any dtype"
    );

    let resize = Resizer::new(4, 5, 3, &DType::U8, filter).unwrap();
    let apply = |view: &View, map: &ValueMap, window: ResizeWindow, len: usize| {
        let output = ResizeOutput { window, map, channels_first: true, stores: Stores::Cached };
        let error = resize
            .apply(&view.as_ref(), &output, &mut vec![0; len], &mut ResizeScratch::default())
            .unwrap_err();
        error.to_string()
    };
    let map = ValueMap::new(&DType::U8, 3, &[]).unwrap();
    let whole = resize.whole();
    let image = packed(&[7, 8, 3], DType::U8);
    assert_eq!(
        apply(&packed(&[7, 8, 3], DType::F32), &map, whole, 60),
        "view has dtype float32, expected uint8"
    );
    assert_eq!(
        apply(&packed(&[7], DType::U8), &map, whole, 60),
        "cannot resize a view of shape [7], expected (height, width) or (height, width, \
         channels), each size at least 1 and below 2^24"
    );
    assert_eq!(
        apply(&packed(&[7, 0, 3], DType::U8), &map, whole, 60),
        "cannot resize a view of shape [7, 0, 3], expected (height, width) or (height, width, \
         channels), each size at least 1 and below 2^24"
    );
    assert_eq!(
        apply(&packed(&[7, 8], DType::U8), &map, whole, 60),
        "view has 1 channels, expected 3"
    );
    assert_eq!(apply(&image, &map, whole, 59), "destination has 59 bytes, expected 60");
    let outside = ResizeWindow { left: 3, width: 4, ..whole };
    assert_eq!(
        apply(&image, &map, outside, 48),
        "window 3..7 of the horizontal axis is out of bounds for a resized image of 5"
    );
    let outside = ResizeWindow { top: usize::MAX, ..whole };
    let start = usize::MAX;
    let error = Error::ResizeWindow { axis: "vertical", start, end: usize::MAX, size: 4 };
    assert_eq!(apply(&image, &map, outside, 60), error.to_string());
    let floats = ValueMap::new(&DType::F32, 3, &[]).unwrap();
    assert_eq!(
        apply(&image, &floats, whole, 240),
        "value map is of float32, expected uint8, the dtype of the resized image"
    );
    let two = ValueMap::new(&DType::U8, 2, &[to(&DType::F32, true), normalize(2)]).unwrap();
    assert_eq!(apply(&image, &two, whole, 240), "view has 3 channels, expected 2");
}

#[test]
fn a_resize_is_shared_between_threads_and_a_scratch_goes_to_one() {
    fn shareable<T: Send + Sync + Clone + std::fmt::Debug>() {}
    fn sendable<T: Send + Default>() {}
    shareable::<Resizer>();
    sendable::<ResizeScratch>();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_image_window_and_layout_is_resized_as_the_oracle_says(
        from in (1usize..60, 1usize..150),
        size in (1usize..40, 1usize..90),
        channels in 1usize..6,
        filter in 0usize..6,
        steps in 0usize..7,
        floats in prop::bool::weighted(0.25),
        near in prop::bool::weighted(0.7),
        strides in (-400isize..400, -9isize..9, -5isize..5),
        part in (0.0..1.0, 0.0..1.0, 0.0..1.0, 0.0..1.0),
        flips in (prop::bool::ANY, prop::bool::ANY),
    ) {
        let dtype = if floats { DType::F32 } else { DType::U8 };
        let itemsize = dtype.itemsize() as isize;
        let shape = [from.0, from.1, channels];
        let mut strides = [strides.0, strides.1, strides.2];
        if near {
            strides = [strides[0], channels as isize * if strides[1] < 0 { -1 } else { 1 }, 1];
        }
        let strides = strides.map(|stride| stride * itemsize);
        let (low, high) = Layout::reach(&shape, &strides, dtype.itemsize()).unwrap();
        let layout = Layout::new(&shape, &strides, low, dtype.itemsize(), low + high).unwrap();
        let view = View::new(Buffer::from_vec(bytes(low + high)), layout, dtype.clone()).unwrap();
        let range = |size: usize, a: f64, b: f64| {
            let start = (a * size as f64) as usize;
            (start, 1 + (b * (size - start - 1) as f64) as usize)
        };
        let (top, height) = range(size.0, part.0, part.1);
        let (left, width) = range(size.1, part.2, part.3);
        let (flip_vertical, flip_horizontal) = flips;
        let window = ResizeWindow { top, left, height, width, flip_vertical, flip_horizontal };
        let bytes_to = &byte_steps(channels)[steps];
        let steps = if floats { vec![normalize(channels)] } else { bytes_to.clone() };
        let mut scratch = ResizeScratch::default();
        check_resize(&view, [size.0, size.1], FILTERS[filter], None, &steps, &mut scratch);
        check_resize(&view, [size.0, size.1], FILTERS[filter], Some(window), &steps, &mut scratch);
    }
}
