//! Labels that are numbers of classes, and their conversion to probabilities.

use std::ops::Range;

use ndlens_core::DType;

/// The labels as packed integers.
fn numbers<'a>(labels: &'a [u8], dtype: &DType) -> Box<dyn Iterator<Item = i128> + 'a> {
    macro_rules! numbers {
        ($rust:ty) => {
            Box::new(labels.as_chunks().0.iter().map(|&bytes| <$rust>::from_le_bytes(bytes).into()))
        };
    }
    match dtype {
        DType::U8 => numbers!(u8),
        DType::I8 => numbers!(i8),
        DType::U16 => numbers!(u16),
        DType::I16 => numbers!(i16),
        DType::U32 => numbers!(u32),
        DType::I32 => numbers!(i32),
        DType::U64 => numbers!(u64),
        DType::I64 => numbers!(i64),
        // Refused as labels that are numbers of classes.
        DType::Bool
        | DType::F16
        | DType::Bf16
        | DType::F32
        | DType::F64
        | DType::C64
        | DType::C128
        | DType::F8E4M3FN
        | DType::F8E5M2
        | DType::F8E4M3FNUZ
        | DType::F8E5M2FNUZ
        | DType::F8E8M0FNU
        | DType::F4E2M1FNx2
        | DType::Opaque(_) => Box::new(std::iter::empty()),
    }
}

/// The place and the value of the first label that is not the number of a class.
pub(super) fn first_outside(labels: &[u8], dtype: &DType, classes: usize) -> Option<(usize, i128)> {
    numbers(labels, dtype).enumerate().find(|&(_, label)| !(0..classes as i128).contains(&label))
}

/// Writes the probabilities of these items: `share` for their own class, the rest for the class of
/// their neighbour. The sum is that of torch, of the two rounded shares.
pub fn soften(
    labels: &[u8],
    dtype: &DType,
    items: Range<usize>,
    share: f64,
    rows: &mut [u8],
    row_bytes: usize,
) {
    let (own_share, other_share) = (share as f32, (1.0 - share) as f32);
    let itemsize = dtype.itemsize();
    let count = labels.len() / itemsize;
    let label = |item: usize| numbers(&labels[item * itemsize..][..itemsize], dtype).next();
    for (item, row) in items.zip(rows.chunks_exact_mut(row_bytes)) {
        row.fill(0);
        let entries = row.as_chunks_mut().0;
        let neighbour = if item == 0 { count - 1 } else { item - 1 };
        for (class, share) in [(label(neighbour), other_share), (label(item), own_share)] {
            // Labels were checked to be classes when they were made.
            if let Some(entry) =
                class.and_then(|class| entries.get_mut(usize::try_from(class).ok()?))
            {
                *entry = (f32::from_le_bytes(*entry) + share).to_le_bytes();
            }
        }
    }
}
