//! Integers as targets: comparison of every body with the oracle, over all pairs of dtypes and over
//! random chains.

use ndlens_core::{Buffer, DType, Layout, Order, View};
use proptest::prelude::*;

use crate::tests::map::check_map;
use crate::tests::{FLOATS, NUMBERS, normalize, packed, to};
use crate::{MapStep, Stores, ValueMap};

fn is_float(dtype: &DType) -> bool {
    FLOATS.contains(dtype)
}

/// Whether torchvision scales from one dtype to the other.
fn scales(from: &DType, to: &DType) -> bool {
    const UNRANGED: [DType; 3] = [DType::Bool, DType::U32, DType::U64];
    match (is_float(from), is_float(to)) {
        (_, true) => true,
        (true, false) => {
            !matches!((from, to), (DType::F32, DType::I32 | DType::I64) | (DType::F64, DType::I64))
        }
        (false, false) => from == to || !UNRANGED.contains(from) && !UNRANGED.contains(to),
    }
}

/// Floats around the limits of all integers, and numbers outside of all integers.
fn edges(dtype: &DType) -> View {
    let mut values =
        vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, 1e300, f64::MIN_POSITIVE];
    for bits in [0, 1, 7, 8, 15, 16, 24, 31, 32, 33, 40, 47, 53, 62, 63, 64, 65, 100] {
        let limit = 2f64.powi(bits);
        for near in [
            limit,
            limit - 1.0,
            limit + 1.0,
            limit - 0.5,
            limit * 1.5,
            limit * (1.0 - 2f64.powi(-24)),
        ] {
            values.extend([near, -near, 1.0 / near, 1.0 - 1.0 / near]);
        }
    }
    let values: Vec<u8> = match dtype {
        DType::F16 => {
            values.iter().flat_map(|&x| half::f16::from_f32(x as f32).to_le_bytes()).collect()
        }
        DType::Bf16 => {
            values.iter().flat_map(|&x| half::bf16::from_f32(x as f32).to_le_bytes()).collect()
        }
        DType::F32 => values.iter().flat_map(|&x| (x as f32).to_le_bytes()).collect(),
        _ => values.iter().flat_map(|&x| x.to_le_bytes()).collect(),
    };
    let layout =
        Layout::contiguous(&[values.len() / dtype.itemsize()], dtype.itemsize(), Order::C).unwrap();
    View::new(Buffer::from_vec(values), layout, dtype.clone()).unwrap()
}

#[test]
fn every_dtype_converts_to_every_number_as_the_oracle_says() {
    for source in NUMBERS {
        let image = packed(&[2, 173, 3], source.clone());
        let planes = image.flip(&[1]).unwrap().permute(&[2, 0, 1]).unwrap();
        for target in NUMBERS {
            for scale in [false, true] {
                if scale && !scales(&source, &target) {
                    assert!(ValueMap::new(&source, 3, &[to(&target, true)]).is_err());
                    continue;
                }
                let step = to(&target, scale);
                check_map(&image, Some(2), 3, std::slice::from_ref(&step));
                check_map(
                    &planes,
                    Some(0),
                    3,
                    &[step.clone(), to(&DType::F32, scale), normalize(3)],
                );
                check_map(
                    &planes,
                    Some(0),
                    3,
                    &[step, to(&DType::F16, false), to(&DType::U8, scale)],
                );
            }
        }
    }
}

#[test]
fn floats_of_every_size_become_integers_as_the_oracle_says() {
    for source in FLOATS {
        let view = edges(&source);
        for target in NUMBERS {
            check_map(&view, None, 1, &[to(&target, false)]);
            check_map(
                &view,
                None,
                1,
                &[to(&target, false), to(&DType::F32, false), to(&DType::I16, false)],
            );
            if scales(&source, &target) {
                check_map(&view, None, 1, &[to(&target, true)]);
            }
        }
    }
}

#[test]
fn bytes_go_through_floats_and_come_back_as_they_were() {
    let view = packed(&[256], DType::U8);
    for through in
        [&[DType::F32][..], &[DType::F64], &[DType::I16], &[DType::I64, DType::U16, DType::I32]]
    {
        let mut steps: Vec<MapStep> = through.iter().map(|dtype| to(dtype, true)).collect();
        steps.push(to(&DType::U8, true));
        let map = ValueMap::new(&DType::U8, 1, &steps).unwrap();
        let mut out = vec![0; 256];
        map.apply(&view.as_ref(), None, &mut out, Stores::Cached).unwrap();
        assert!(
            out.iter().enumerate().all(|(i, &byte)| usize::from(byte) == i),
            "{through:?}: {out:?}"
        );
    }
}

#[test]
fn a_scale_that_torchvision_refuses_is_refused_by_name() {
    let text = |source: &DType, target: &DType| {
        ValueMap::new(source, 1, &[to(target, true)]).unwrap_err().to_string()
    };
    assert_eq!(
        text(&DType::F32, &DType::I64),
        "cannot scale float32 to int64 safely: int64 has more digits than float32; scale to a \
         narrower integer, or convert with scale=False"
    );
    assert_eq!(
        text(&DType::Bool, &DType::U8),
        "cannot scale bool to uint8: of the integers only uint8, int8, uint16, int16, int32 and \
         int64 have a range to scale; convert with scale=False"
    );
    let chain = [to(&DType::F32, true), to(&DType::U8, true), normalize(1)];
    assert_eq!(
        ValueMap::new(&DType::U8, 1, &chain).unwrap_err().to_string(),
        "normalize needs a floating-point dtype, got uint8; put ToDtype(\"float32\", scale=True) \
         before it"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_chain_of_dtypes_is_mapped_as_the_oracle_says(
        dims in prop::collection::vec((0usize..40, -70isize..70), 1..4),
        source in 0usize..13,
        chain in prop::collection::vec((0usize..13, prop::bool::ANY, prop::bool::ANY), 1..6),
    ) {
        let source = NUMBERS[source].clone();
        let itemsize = source.itemsize() as isize;
        let shape: Vec<usize> = dims.iter().map(|&(n, _)| n).collect();
        let strides: Vec<isize> = dims.iter().map(|&(_, stride)| stride * itemsize).collect();
        let (low, high) = Layout::reach(&shape, &strides, source.itemsize()).unwrap();
        let layout = Layout::new(&shape, &strides, low, source.itemsize(), low + high).unwrap();
        let buffer = Buffer::from_vec(crate::tests::bytes(low + high));
        let view = View::new(buffer, layout, source.clone()).unwrap();
        let channels = shape[0];
        prop_assume!(channels > 0);
        let mut dtype = source;
        let mut steps = vec![];
        for (target, scale, normalized) in chain {
            let target = NUMBERS[target].clone();
            steps.push(to(&target, scale && scales(&dtype, &target)));
            dtype = target;
            if normalized && is_float(&dtype) {
                steps.push(normalize(channels));
            }
        }
        check_map(&view, Some(0), channels, &steps);
    }
}
