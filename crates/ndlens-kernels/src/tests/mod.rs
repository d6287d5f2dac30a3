//! Comparison of every body with the reference, at every level of this machine, over one table of
//! cases and over random ones. The reference is compared with torch.

mod colour;
#[cfg(target_os = "linux")]
mod guard;
mod integer;
mod map;
mod nearest;
mod resize;

use ndlens_core::{Buffer, DType, Layout, Order, View};

use crate::simd::level::Level;
use crate::{MapStep, Stores};

pub(crate) const STORES: [Stores; 2] = [Stores::Cached, Stores::Stream];
pub(crate) const NUMBERS: [DType; 13] = [
    DType::Bool,
    DType::U8,
    DType::I8,
    DType::U16,
    DType::I16,
    DType::U32,
    DType::I32,
    DType::U64,
    DType::I64,
    DType::F16,
    DType::Bf16,
    DType::F32,
    DType::F64,
];
pub(crate) const FLOATS: [DType; 4] = [DType::F16, DType::Bf16, DType::F32, DType::F64];
const MEAN: [f64; 5] = [0.485, 0.456, 0.406, 0.5, 0.25];
const STD: [f64; 5] = [0.229, 0.224, 0.225, -3.0, 1e-3];

pub(crate) fn to(dtype: &DType, scale: bool) -> MapStep {
    MapStep::ToDtype { dtype: dtype.clone(), scale }
}

pub(crate) fn normalize(channels: usize) -> MapStep {
    let values = |values: &[f64]| values.iter().copied().cycle().take(channels).collect();
    MapStep::Normalize { mean: values(&MEAN), std: values(&STD) }
}

/// Bytes in which every value of one byte occurs, and wider numbers of every magnitude.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..len).map(|i| if i % 1021 < 256 { i as u8 } else { next() }).collect()
}

pub(crate) fn packed(shape: &[usize], dtype: DType) -> View {
    let layout = Layout::contiguous(shape, dtype.itemsize(), Order::C).unwrap();
    View::new(Buffer::from_vec(bytes(layout.len() * dtype.itemsize())), layout, dtype).unwrap()
}

/// Equal bytes, or both NaN.
pub(crate) fn assert_same(
    got: &[u8],
    expected: &[u8],
    dtype: &DType,
    context: &dyn std::fmt::Debug,
) {
    if got == expected {
        return;
    }
    let size = dtype.itemsize();
    for (i, (got, expected)) in got.chunks(size).zip(expected.chunks(size)).enumerate() {
        let nan = |bytes: &[u8]| match dtype {
            DType::F16 => half::f16::from_le_bytes(bytes.try_into().unwrap()).is_nan(),
            DType::Bf16 => half::bf16::from_le_bytes(bytes.try_into().unwrap()).is_nan(),
            DType::F32 => f32::from_le_bytes(bytes.try_into().unwrap()).is_nan(),
            DType::F64 => f64::from_le_bytes(bytes.try_into().unwrap()).is_nan(),
            _ => false,
        };
        assert!(
            got == expected || nan(got) && nan(expected),
            "{context:?}: element {i}: {got:?}, {expected:?}"
        );
    }
}

/// A kind of store, and the distance in bytes of the results from the start of a cache line.
pub(crate) type Placement = (Stores, usize);

/// The one check: runs a body at every level of this machine, with its results at several places,
/// compares them with those of the reference, and checks the bytes before and after them.
pub(crate) fn check(
    expected: &[u8],
    dtype: &DType,
    placements: &[Placement],
    context: &dyn std::fmt::Debug,
    mut body: impl FnMut(Level, Stores, &mut [u8]),
) {
    const FILL: u8 = 0xa5;
    const MARGIN: usize = 64;
    for level in Level::all() {
        for &(stores, misaligned) in placements {
            let mut out = vec![FILL; expected.len() + 4 * MARGIN];
            let start = MARGIN + out[MARGIN..].as_ptr().align_offset(64) + misaligned;
            let end = start + expected.len();
            body(level, stores, &mut out[start..end]);
            let context = (level, stores, misaligned, context);
            assert_same(&out[start..end], expected, dtype, &context);
            assert!(
                out[..start].iter().chain(&out[end..]).all(|&byte| byte == FILL),
                "{context:?}: wrote outside"
            );
        }
    }
}

pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
