//! Comparison of every body of a map with the reference, over one table of cases and over random
//! ones, and of the reference with torch.

#![expect(unsafe_code, reason = "the reference reads bytes the plain way")]

use ndlens_core::{Buffer, DType, Index, Layout, Order, View, s};
use proptest::prelude::*;

use crate::map::program::MapProgram;
use crate::simd::level::Level;
use crate::tests::{FLOATS, NUMBERS, Placement, STORES, bytes, check, fnv, normalize, packed, to};
use crate::{Error, MapStep, Stores, ValueMap};

/// The oracle's results for a view, one element at a time.
fn oracle(view: &View, channel_axis: Option<usize>, channels: usize, steps: &[MapStep]) -> Vec<u8> {
    let program = MapProgram::new(view.dtype(), channels, steps).unwrap();
    let inner: usize = channel_axis.map_or(1, |axis| view.shape()[axis + 1..].iter().product());
    let itemsize = program.dtype.itemsize();
    let mut out = vec![0; view.len() * itemsize];
    for (i, offset) in view.layout().offsets().enumerate() {
        let channel = channel_axis.map_or(0, |axis| i / inner % view.shape()[axis]);
        let element: Vec<u8> = (0..view.itemsize())
            // SAFETY: the view's offsets and their elements are in its buffer.
            .map(|byte| unsafe { view.buffer().as_ptr().add(offset + byte).read() })
            .collect();
        let to = &mut out[i * itemsize..][..itemsize];
        if program.stages.is_empty() {
            to.copy_from_slice(&element);
        } else {
            program.map_element(&element, channel, to);
        }
    }
    out
}

/// Applies the steps with both kinds of store, at several alignments of the destination.
pub(crate) fn check_map(
    view: &View,
    channel_axis: Option<usize>,
    channels: usize,
    steps: &[MapStep],
) {
    let placements: Vec<Placement> = STORES
        .into_iter()
        .flat_map(|stores| [0, 4, 28, 1, 2].map(|misaligned| (stores, misaligned)))
        .collect();
    let expected = oracle(view, channel_axis, channels, steps);
    let dtype = ValueMap::new(view.dtype(), channels, steps).unwrap().dtype().clone();
    let context = (view.layout(), view.dtype(), steps);
    check(&expected, &dtype, &placements, &context, |level, stores, out| {
        let map = ValueMap::at_level(view.dtype(), channels, steps, level).unwrap();
        map.apply(&view.as_ref(), channel_axis, out, stores).unwrap();
    });
}

/// The chains of the vector bodies: scaled or not, by inverse, and by division; to floats of both
/// widths, rounded once or each time.
pub(crate) fn byte_chains(channels: usize) -> Vec<Vec<MapStep>> {
    let awkward = MapStep::Normalize { mean: vec![f64::from(1e-40f32)], std: vec![1e-39] };
    let endless = MapStep::Normalize { mean: vec![0.5], std: vec![f64::NAN] };
    let single = [
        vec![to(&DType::F32, true)],
        vec![to(&DType::F32, false), normalize(channels)],
        vec![to(&DType::F32, true), normalize(channels)],
        vec![to(&DType::F32, true), normalize(1)],
        vec![to(&DType::F32, true), awkward.clone()],
    ];
    let mut chains = single.to_vec();
    for half in [DType::F16, DType::Bf16] {
        let last = single[2..].iter().map(|steps| [&steps[..], &[to(&half, false)]].concat());
        chains.extend(last);
        chains.push(vec![to(&half, true)]);
        chains.push(vec![to(&half, false), normalize(channels)]);
        chains.push(vec![to(&half, true), normalize(1)]);
        // The half of 1e-39 is 0 in float16, and a denormal in bfloat16.
        chains.push(vec![to(&half, true), awkward.clone()]);
        chains.push(vec![to(&half, true), endless.clone()]);
    }
    chains
}

#[test]
fn bytes_become_floats_alike_in_every_body_layout_and_width() {
    let reversed = Index::Slice { start: None, stop: None, step: -1 };
    for width in (0..=35).chain([47, 48, 63, 64, 65, 95, 127, 128, 129, 130]) {
        for channels in 1..=5 {
            let image = packed(&[3, width + 2, channels], DType::U8);
            let crop = image.index(&[s(1..), s(1..1 + width as isize)]).unwrap();
            for flips in [&[][..], &[1], &[0], &[0, 1]] {
                let flipped = crop.flip(flips).unwrap();
                let planes = flipped.permute(&[2, 0, 1]).unwrap();
                let bgr = planes.index(&[reversed]).unwrap();
                for steps in byte_chains(channels) {
                    check_map(&planes, Some(0), channels, &steps);
                    check_map(&flipped, Some(2), channels, &steps);
                    check_map(&bgr, Some(0), channels, &steps);
                }
            }
        }
    }
}

#[test]
fn planes_of_whole_lines_and_others_are_the_same_streamed_or_cached() {
    for (height, width) in
        [(2, 96), (4, 224), (1, 256), (64, 19), (64, 67), (3, 257), (4, 320), (2, 544)]
    {
        for channels in 2..=4 {
            let image = packed(&[height, width + 1, channels], DType::U8);
            let crop = image.index(&[s(..), s(1..)]).unwrap();
            for view in [crop.clone(), crop.flip(&[1]).unwrap(), crop.flip(&[0]).unwrap()] {
                let planes = view.permute(&[2, 0, 1]).unwrap();
                for steps in byte_chains(channels).into_iter().chain([
                    vec![],
                    vec![to(&DType::I16, true)],
                    vec![to(&DType::I8, true)],
                ]) {
                    check_map(&planes, Some(0), channels, &steps);
                }
            }
        }
    }
}

#[test]
fn an_image_wider_than_a_chunk_is_read_in_pieces() {
    for width in [4095, 4096, 8191, 8192, 8193, 12_300] {
        let planes = packed(&[1, width, 3], DType::U8).permute(&[2, 0, 1]).unwrap();
        for steps in byte_chains(3) {
            check_map(&planes, Some(0), 3, &steps);
        }
    }
}

#[test]
fn batches_and_clips_of_images_keep_their_channels() {
    let clip = packed(&[2, 3, 4, 21, 3], DType::U8);
    for steps in byte_chains(3) {
        check_map(&clip.permute(&[0, 1, 4, 2, 3]).unwrap(), Some(2), 3, &steps);
        check_map(&clip.permute(&[4, 3, 2, 1, 0]).unwrap(), Some(0), 3, &steps);
        check_map(&clip.permute(&[1, 4, 0, 2, 3]).unwrap(), Some(1), 3, &steps);
        check_map(&clip, Some(4), 3, &steps);
    }
    let same = vec![to(&DType::F32, true), normalize(1)];
    check_map(&clip, None, 1, &same);
}

#[test]
fn a_view_that_repeats_or_skips_bytes_is_read_as_it_says() {
    let rgba = packed(&[5, 19, 4], DType::U8);
    let rgb = rgba.index(&[s(..), s(..), s(..3)]).unwrap();
    let every_second =
        rgba.index(&[s(..), Index::Slice { start: None, stop: None, step: 2 }]).unwrap();
    for steps in byte_chains(3) {
        check_map(&rgb, Some(2), 3, &steps);
        check_map(&rgb.permute(&[2, 0, 1]).unwrap(), Some(0), 3, &steps);
    }
    for steps in byte_chains(4) {
        check_map(&every_second, Some(2), 4, &steps);
        check_map(&every_second.permute(&[2, 0, 1]).unwrap(), Some(0), 4, &steps);
    }
    let layout = Layout::new(&[3, 40], &[0, 1], 7, 1, 100).unwrap();
    let repeated = View::new(Buffer::from_vec(bytes(100)), layout, DType::U8).unwrap();
    for steps in byte_chains(3) {
        check_map(&repeated, Some(0), 3, &steps);
    }
}

#[test]
fn more_channels_than_tables_are_told_apart() {
    for (rows, features) in [(3, 65), (2, 1200)] {
        let view = packed(&[rows, features], DType::U8);
        for dtype in FLOATS {
            check_map(&view, Some(1), features, &[to(&dtype, true), normalize(features)]);
        }
        check_map(
            &view.permute(&[1, 0]).unwrap(),
            Some(0),
            features,
            &[to(&DType::F32, true), normalize(features)],
        );
    }
}

#[test]
fn every_dtype_converts_to_every_float_as_the_oracle_says() {
    for source in NUMBERS {
        let image = packed(&[2, 173, 3], source.clone());
        let layouts =
            [(image.clone(), 2), (image.flip(&[1]).unwrap().permute(&[2, 0, 1]).unwrap(), 0)];
        for target in FLOATS {
            for (view, axis) in &layouts {
                check_map(view, Some(*axis), 3, &[to(&target, false)]);
                check_map(view, Some(*axis), 3, &[to(&target, true), normalize(3)]);
                for last in FLOATS {
                    check_map(
                        view,
                        Some(*axis),
                        3,
                        &[to(&target, true), normalize(3), to(&last, true), normalize(1)],
                    );
                }
            }
        }
    }
}

#[test]
fn floats_are_normalised_without_a_conversion_before_it() {
    for dtype in FLOATS {
        let series = packed(&[3, 1031], dtype);
        check_map(&series, Some(0), 3, &[normalize(3), normalize(1)]);
        check_map(&series.permute(&[1, 0]).unwrap(), Some(1), 3, &[normalize(3)]);
    }
}

#[test]
fn without_a_step_every_dtype_passes_through() {
    let opaque = DType::from_format("T{<f:x:<i:y:}", 8).unwrap();
    let all = DType::table().iter().map(|row| row.dtype.clone()).chain([opaque]);
    for dtype in all {
        let view = packed(&[3, 700, 2], dtype.clone());
        let views = [
            view.clone(),
            view.permute(&[2, 0, 1]).unwrap(),
            view.index(&[s(..), s(3..697)]).unwrap(),
        ];
        for view in views {
            let map = ValueMap::new(&dtype, 2, &[to(&dtype, true)]).unwrap();
            assert!(map.is_identity() && *map.dtype() == dtype);
            let mut expected = vec![0; view.nbytes()];
            view.read_into(&mut expected).unwrap();
            for level in Level::all() {
                let map = ValueMap::at_level(&dtype, 2, &[], level).unwrap();
                for stores in STORES {
                    for misaligned in [0, 1, 63] {
                        let mut out = vec![0; expected.len() + misaligned];
                        map.apply(&view.as_ref(), None, &mut out[misaligned..], stores).unwrap();
                        assert!(out[misaligned..] == expected);
                    }
                }
            }
        }
    }
}

#[test]
fn empty_views_and_single_elements_are_views_too() {
    for steps in byte_chains(3) {
        check_map(&packed(&[0, 5, 3], DType::U8), Some(2), 3, &steps);
        check_map(&packed(&[3], DType::U8), Some(0), 3, &steps);
    }
    let scalar = packed(&[3], DType::U8).index(&[s(1)]).unwrap();
    check_map(&scalar, None, 1, &[to(&DType::F32, true), normalize(1)]);
    check_map(&packed(&[0], DType::F64), None, 1, &[normalize(1)]);
}

#[test]
fn a_division_by_its_inverse_has_the_bits_of_a_division() {
    let imagenet = [to(&DType::F32, true), normalize(3)];
    let view = packed(&[256, 3], DType::U8);
    check_map(&view, Some(1), 3, &imagenet);
    // Any std may round badly; the map finds those that do.
    for i in 1..200 {
        let std = vec![f64::from(i) * 0.005_13];
        let steps = [
            to(&DType::F32, i % 2 == 0),
            MapStep::Normalize { mean: vec![0.1 * f64::from(i)], std },
        ];
        check_map(&packed(&[256], DType::U8), None, 1, &steps);
    }
}

#[test]
fn results_are_torchs_to_the_bit() {
    /// Source, target, and FNV-1a hashes of the bytes that torch 2.15 and torchvision 0.29.2 give
    /// for the 256 elements of `elements`: `to_dtype(scale=False)`, `to_dtype(scale=True)`, and the
    /// latter in three channels, normalised with `MEAN` and `STD`.
    const KNOWN: [(&str, &str, u64, u64, u64); 36] = [
        ("bool", "float16", 0xb3ed_7871_4f1a_7325, 0xb3ed_7871_4f1a_7325, 0x33d6_659e_46ff_5825),
        ("bool", "bfloat16", 0x889c_9070_9a74_b725, 0x889c_9070_9a74_b725, 0x68dd_4f16_4851_df25),
        ("bool", "float32", 0xe648_48a1_56a4_0b25, 0xe648_48a1_56a4_0b25, 0x6b3e_b76c_e67e_4d25),
        ("bool", "float64", 0x1cb8_57db_b4d0_7325, 0x1cb8_57db_b4d0_7325, 0x3a31_b080_ae84_dc25),
        ("uint8", "float16", 0xc977_60f2_6b16_240b, 0x33ce_0560_8ff0_94a4, 0xfdc6_f8c2_1acc_4431),
        ("uint8", "bfloat16", 0xc6b2_2196_05b7_37f8, 0x36f0_1b15_8dfc_bb55, 0x054c_302e_bd2d_0e25),
        ("uint8", "float32", 0xf977_be1b_f8be_6a08, 0xaf13_01c3_5b66_c4a5, 0x757d_dfe7_ccc8_bfa3),
        ("uint8", "float64", 0x1f71_3dd6_56f2_fa10, 0x093f_40df_de26_e5f6, 0x35fb_3f10_8385_c738),
        ("int8", "float16", 0x2517_c957_6760_275d, 0x7f8f_dc70_870a_af21, 0x59ff_f629_788e_64b6),
        ("int8", "bfloat16", 0x0f54_b42a_5b2a_9a04, 0x38ab_ef49_4139_0b15, 0x8743_dc46_8055_7ce2),
        ("int8", "float32", 0xb5c3_dd83_e4fb_0b3c, 0x5a39_6d0b_5cd5_0aff, 0x9a6c_b22f_27fb_600a),
        ("int8", "float64", 0xf23f_02ee_d789_9585, 0x69e0_e919_44fa_ab0d, 0xa4da_3505_d394_d3fb),
        ("uint16", "float16", 0xd8f1_7bc4_d359_85ba, 0x7ef5_a1e7_6f40_a8ba, 0xa828_cb28_33d6_47de),
        ("uint16", "bfloat16", 0x154d_ed8d_4c8e_9504, 0x5b60_55fb_c7b0_b444, 0x859d_34bb_3369_9fbd),
        ("uint16", "float32", 0x2d50_967e_3627_062e, 0xfbca_cc90_3c45_1c80, 0x892a_4125_fb76_fa54),
        ("uint16", "float64", 0x4a47_fa90_d79f_37ce, 0xdc00_95cc_8aae_5bb1, 0x6ebd_1ba4_2444_cf1a),
        ("int16", "float16", 0xf13d_38dc_f781_bd25, 0xf650_bd43_da8f_6455, 0x0845_178b_7d56_b147),
        ("int16", "bfloat16", 0xb9a6_68d2_77b6_6896, 0xafa4_3787_1a2f_152f, 0x030a_eb79_6f87_38c6),
        ("int16", "float32", 0x4cb4_bf37_9354_af65, 0x76f6_caee_dfd5_5424, 0x371c_ed81_a521_a461),
        ("int16", "float64", 0x560c_562e_d5bb_40ff, 0xf9df_5e87_6265_13df, 0xa786_399f_1fc4_1986),
        ("uint32", "float16", 0x9e98_b111_e24b_66fb, 0x9e98_b111_e24b_66fb, 0xecc3_c1c9_fca9_e77e),
        ("uint32", "bfloat16", 0xf817_5611_b055_1764, 0xf817_5611_b055_1764, 0x2a09_295d_af33_2744),
        ("uint32", "float32", 0xe4de_0fdc_ff3f_e6c9, 0xe4de_0fdc_ff3f_e6c9, 0x20dc_416b_ff48_4f5a),
        ("uint32", "float64", 0xfe11_6ac9_bfba_2ce5, 0xfe11_6ac9_bfba_2ce5, 0x286d_1aff_f3d5_0bc6),
        ("int32", "float16", 0xa7a3_7fa0_422b_08fb, 0x8593_194c_d5e3_9a26, 0xc573_224a_b8e9_fa05),
        ("int32", "bfloat16", 0x43ef_673a_4d84_aa97, 0x351a_c0de_e656_0aa4, 0x5789_cbc9_96e4_bb6c),
        ("int32", "float32", 0xd685_f99a_52d9_fd46, 0x577a_786e_bd71_124c, 0xfb8c_4190_1654_c337),
        ("int32", "float64", 0x4fa6_aa4e_865d_2e2a, 0x506a_b041_d664_417e, 0x59dc_b846_7078_d1f4),
        ("uint64", "float16", 0x9e98_b111_e24b_66fb, 0x9e98_b111_e24b_66fb, 0xecc3_c1c9_fca9_e77e),
        ("uint64", "bfloat16", 0x2ccf_eabb_d44f_2ae5, 0x2ccf_eabb_d44f_2ae5, 0x2386_491a_0dde_edc1),
        ("uint64", "float32", 0xb536_dd15_19fa_895d, 0xb536_dd15_19fa_895d, 0xd63c_6137_a754_1e12),
        ("uint64", "float64", 0xb8a6_2fce_0d52_1977, 0xb8a6_2fce_0d52_1977, 0xe289_f7e9_5453_cbf4),
        ("int64", "float16", 0xa8c1_6f14_1996_f0fb, 0xb1fb_645a_05bd_3295, 0xbb58_d7b7_1b5e_9105),
        ("int64", "bfloat16", 0x7876_63de_4168_c620, 0x0c1f_3ea8_f7ab_301b, 0x8b7d_eab6_7376_ad53),
        ("int64", "float32", 0x012a_94e1_a2b1_c2df, 0x5fbf_617a_00ab_55d0, 0x7061_7e3e_e583_f512),
        ("int64", "float64", 0x9ef5_3ae6_d198_e5de, 0xa7dc_cf8c_f594_6c8e, 0x3921_342a_b871_ca35),
    ];
    for (source, target, plain, scaled, normalised) in KNOWN {
        let (source, target) =
            (DType::from_name(source).unwrap(), DType::from_name(target).unwrap());
        let view = elements(&source);
        let three = {
            let strides = [0, source.itemsize() as isize];
            let layout =
                Layout::new(&[3, 256], &strides, 0, source.itemsize(), view.nbytes()).unwrap();
            View::new(view.buffer().clone(), layout, source.clone()).unwrap()
        };
        let chains = [
            (&view, None, 1, vec![to(&target, false)], plain),
            (&view, None, 1, vec![to(&target, true)], scaled),
            (&three, Some(0), 3, vec![to(&target, true), normalize(3)], normalised),
        ];
        for (view, axis, channels, steps, expected) in chains {
            for level in Level::all() {
                let map = ValueMap::at_level(&source, channels, &steps, level).unwrap();
                let mut out = vec![0; view.len() * target.itemsize()];
                map.apply(&view.as_ref(), axis, &mut out, Stores::Cached).unwrap();
                assert_eq!(fnv(&out), expected, "{source} to {target}, {steps:?}, {level:?}");
            }
        }
    }
}

/// All bytes; or 256 numbers of a linear congruential generator, shifted right by `i % 57` and cut
/// to their size.
fn elements(dtype: &DType) -> View {
    let itemsize = dtype.itemsize();
    let mut state = 1u64;
    let mut bytes = Vec::new();
    for i in 0..256usize {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        match dtype {
            DType::Bool => bytes.push((i % 2) as u8),
            DType::U8 | DType::I8 => bytes.push(i as u8),
            _ => bytes.extend(&(state >> (i % 57)).to_le_bytes()[..itemsize]),
        }
    }
    View::new(
        Buffer::from_vec(bytes),
        Layout::contiguous(&[256], itemsize, Order::C).unwrap(),
        dtype.clone(),
    )
    .unwrap()
}

#[test]
fn halves_are_rounded_by_way_of_single_precision_as_in_torch() {
    // Rounded at once this would be the next half up.
    let view = View::from_vec(vec![1.0 + 2f64.powi(-11) + 2f64.powi(-40)]);
    let map = ValueMap::new(&DType::F64, 1, &[to(&DType::F16, false)]).unwrap();
    let mut out = [0; 2];
    map.apply(&view.as_ref(), None, &mut out, Stores::Cached).unwrap();
    assert_eq!(out, half::f16::ONE.to_le_bytes());
}

#[test]
fn any_byte_but_zero_is_true() {
    let bytes = Buffer::from_vec(vec![0u8, 1, 2, 255]);
    let view =
        View::new(bytes, Layout::contiguous(&[4], 1, Order::C).unwrap(), DType::Bool).unwrap();
    check_map(&view, None, 1, &[to(&DType::F32, true)]);
    let map = ValueMap::new(&DType::Bool, 1, &[to(&DType::F16, true)]).unwrap();
    let mut out = [0; 8];
    map.apply(&view.as_ref(), None, &mut out, Stores::Cached).unwrap();
    assert_eq!(out, [0, 0, 0, 0x3c, 0, 0x3c, 0, 0x3c]);
}

#[test]
fn each_error_says_what_was_got_and_expected() {
    let text = |source: &DType, channels, steps: &[MapStep]| {
        ValueMap::new(source, channels, steps).unwrap_err().to_string()
    };
    assert_eq!(
        text(&DType::U8, 1, &[to(&DType::C64, false)]),
        "cannot convert uint8 to complex64: the target must be bool, an integer or a float of 16 \
         to 64 bits"
    );
    assert_eq!(
        text(&DType::C64, 1, &[to(&DType::F32, false)]),
        "cannot convert complex64 to float32: only bool, integers and floats of 16 to 64 bits can \
         be converted"
    );
    assert_eq!(
        text(&DType::U8, 3, &[normalize(3)]),
        "normalize needs a floating-point dtype, got uint8; put ToDtype(\"float32\", scale=True) \
         before it"
    );
    assert_eq!(
        text(&DType::F32, 3, &[normalize(2)]),
        "normalize got 2 values of mean, expected 1 or 3"
    );
    assert_eq!(text(&DType::F32, 1, &[normalize(2)]), "normalize got 2 values of mean, expected 1");
    let step = MapStep::Normalize { mean: vec![0.0], std: vec![] };
    assert_eq!(text(&DType::F32, 3, &[step]), "normalize got 0 values of std, expected 1 or 3");
    let step = MapStep::Normalize { mean: vec![0.0], std: vec![1.0, -0.0, 1.0] };
    assert_eq!(
        text(&DType::F32, 3, &[step]),
        "normalize needs a std other than 0, got 0 at position 1"
    );

    let map = ValueMap::new(&DType::U8, 3, &[to(&DType::F32, true), normalize(3)]).unwrap();
    let apply = |view: &View, axis, len| {
        map.apply(&view.as_ref(), axis, &mut vec![0; len], Stores::Cached).unwrap_err().to_string()
    };
    let view = packed(&[2, 3], DType::U8);
    assert_eq!(
        apply(&packed(&[3], DType::F32), Some(0), 12),
        "view has dtype float32, expected uint8"
    );
    assert_eq!(apply(&view, Some(1), 23), "destination has 23 bytes, expected 24");
    assert_eq!(apply(&view, Some(0), 24), "view has 2 channels, expected 3");
    assert_eq!(apply(&view, None, 24), "view has 1 channels, expected 3");
    assert_eq!(
        apply(&view, Some(2), 24),
        "channel axis 2 is out of bounds for view of dimension 2"
    );
    let identity = ValueMap::new(&DType::U8, 1, &[]).unwrap();
    let error = identity.apply(&view.as_ref(), None, &mut [0; 5], Stores::Stream).unwrap_err();
    assert_eq!(error, Error::DestinationSize { got: 5, expected: 6 });
}

#[test]
fn maps_are_shared_between_threads() {
    fn shareable<T: Send + Sync + Clone + std::fmt::Debug>() {}
    shareable::<ValueMap>();
}

#[test]
fn pixels_of_bytes_become_planes() {
    for dtype in [DType::U8, DType::I8, DType::Bool] {
        for channels in 1..=5 {
            for width in [1, 15, 16, 17, 63, 64, 65, 130, 256] {
                let wide = packed(&[5, width + 3, channels], dtype.clone());
                let crop = wide.index(&[s(1..4), s(2..2 + width as isize)]).unwrap();
                for view in [crop.clone(), crop.flip(&[0]).unwrap(), crop.flip(&[1]).unwrap()] {
                    check_map(&view.permute(&[2, 0, 1]).unwrap(), Some(0), channels, &[]);
                }
                let repeated =
                    crop.index(&[s(..1)]).unwrap().broadcast_to(&[4, width, channels]).unwrap();
                check_map(&repeated.permute(&[2, 0, 1]).unwrap(), Some(0), channels, &[]);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_layout_is_mapped_as_the_oracle_says(
        dims in prop::collection::vec((0usize..40, -70isize..70), 1..4),
        near in prop::bool::ANY,
        axis in 0usize..4,
        chain in 0usize..21,
        source in 0usize..13,
    ) {
        let source = if near { DType::U8 } else { NUMBERS[source].clone() };
        let itemsize = source.itemsize() as isize;
        let shape: Vec<usize> = dims.iter().map(|&(n, _)| n).collect();
        let mut strides: Vec<isize> = dims.iter().map(|&(_, stride)| stride * itemsize).collect();
        if near && let Some(last) = strides.last_mut() {
            *last %= 6;
        }
        let (low, high) = Layout::reach(&shape, &strides, source.itemsize()).unwrap();
        let layout = Layout::new(&shape, &strides, low, source.itemsize(), low + high).unwrap();
        let view = View::new(Buffer::from_vec(bytes(low + high)), layout, source.clone()).unwrap();
        let axis = Some(axis).filter(|&axis| axis < shape.len());
        let channels = axis.map_or(1, |axis| shape[axis]);
        prop_assume!(channels > 0);
        check_map(&view, axis, channels, &byte_chains(channels)[chain]);
    }
}
