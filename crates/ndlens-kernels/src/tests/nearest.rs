//! Resizing by the nearest pixel, of any dtype.

use ndlens_core::{DType, Index, View, s};
use proptest::prelude::*;

use crate::{
    Filter, Interpolation, MapStep, ResizeOutput, ResizeScratch, ResizeWindow, Resizer, Stores,
    ValueMap,
};

const BOTH: [Interpolation; 2] = [Interpolation::Nearest, Interpolation::NearestExact];

fn apply(
    view: &View,
    resize: &Resizer,
    window: ResizeWindow,
    steps: &[MapStep],
    first: bool,
) -> Vec<u8> {
    let map = ValueMap::new(view.dtype(), resize.channels(), steps).unwrap();
    let mut out =
        vec![0; window.height * window.width * resize.channels() * map.dtype().itemsize()];
    let output = ResizeOutput { window, map: &map, channels_first: first, stores: Stores::Cached };
    resize.apply(&view.as_ref(), &output, &mut out, &mut ResizeScratch::default()).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Compares a resize of 64-bit integers that are their places with the same resize of
    /// `float32`.
    #[test]
    fn the_nearest_pixels_of_any_dtype_are_those_of_floats(
        (height, width, channels) in (1usize..40, 1usize..40, 1usize..5),
        (to_height, to_width) in (1usize..60, 1usize..60),
        (flip_vertical, flip_horizontal, first, backwards) in any::<(bool, bool, bool, bool)>(),
        exact in 0usize..2,
    ) {
        let places: Vec<u32> = (0..(height * width * channels) as u32).collect();
        let shape = [height as isize, width as isize, channels as isize];
        let filter = Filter { interpolation: BOTH[exact], antialias: true };
        let view = |view: View| {
            let view = view.reshape(&shape).unwrap();
            let reversed = Index::Slice { start: None, stop: None, step: -1 };
            if backwards { view.index(&[s(..), reversed]).unwrap() } else { view }
        };
        let floats = view(View::from_vec(places.iter().map(|&place| place as f32).collect()));
        let of = |dtype: &DType| {
            Resizer::new(to_height, to_width, channels, dtype, filter).unwrap()
        };
        let resize = of(&DType::F32);
        let (top, left) = (to_height / 3, to_width / 4);
        let window = ResizeWindow {
            top,
            left,
            height: to_height - top,
            width: to_width - left,
            flip_vertical,
            flip_horizontal,
        };
        let picked = apply(&floats, &resize, window, &[], first);
        let picked: Vec<usize> =
            picked.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes) as usize).collect();
        macro_rules! meets {
            ($rust:ty, $value:expr) => {{
                let values: Vec<$rust> = places.iter().map($value).collect();
                let expected: Vec<u8> =
                    picked.iter().flat_map(|&place| values[place].to_le_bytes()).collect();
                let ints = view(View::from_vec(values));
                prop_assert_eq!(apply(&ints, &of(ints.dtype()), window, &[], first), expected);
            }};
        }
        // No float has these values.
        meets!(i64, |&place| (1i64 << 62) + i64::from(place));
        meets!(u64, |&place| u64::MAX - u64::from(place));
        meets!(i32, |&place| i32::MIN + 1 + place as i32);
        meets!(u32, |&place| u32::MAX - place);
        meets!(i16, |&place| place as i16);
        meets!(u16, |&place| place as u16 ^ 0x8000);
        meets!(i8, |&place| place as i8);
        meets!(f64, |&place| 1.0 / f64::from(place + 1));
    }
}

#[test]
fn picked_elements_go_through_the_map() {
    let view = View::from_vec((0..24i64).map(|i| i << 40).collect()).reshape(&[2, 4, 3]).unwrap();
    let filter = Filter { interpolation: Interpolation::Nearest, antialias: false };
    let resize = Resizer::new(1, 2, 3, &DType::I64, filter).unwrap();
    let steps = [
        MapStep::ToDtype { dtype: DType::F64, scale: false },
        MapStep::Normalize { mean: vec![0.0, 1.0, 2.0], std: vec![1.0, 2.0, 4.0] },
    ];
    let expected = |order: [usize; 6]| -> Vec<u8> {
        order
            .iter()
            .flat_map(|&place| {
                let channel = place % 3;
                let value = ((place as i64) << 40) as f64;
                ((value - channel as f64) / f64::from(1u8 << channel)).to_le_bytes()
            })
            .collect()
    };
    assert_eq!(apply(&view, &resize, resize.whole(), &steps, false), expected([0, 1, 2, 6, 7, 8]));
    assert_eq!(apply(&view, &resize, resize.whole(), &steps, true), expected([0, 6, 1, 7, 2, 8]));
}
