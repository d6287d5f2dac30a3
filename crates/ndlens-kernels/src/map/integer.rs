//! Numbers as integers of a given width: torch's casts, with what C leaves undefined defined.
//!
//! A float is truncated towards zero and an integer keeps its low bits, so -1 becomes 255 as
//! `uint8`. C leaves undefined the cast of NaN and of a float whose truncation does not fit, torch
//! promises nothing, and CPUs differ. Here the result is that of torch on x86-64, wherever torch is
//! consistent there. The float first becomes an integer of 32 or 64 bits, the lowest one if it is
//! NaN or does not fit. That integer keeps its low bits.
//! | to | by way of | result for NaN, infinity and numbers as large |
//! |---|---|---|
//! | `bool` | | true, as all but 0 does |
//! | `uint8` | `int64` | 0 |
//! | `int8`, `uint16`, `int16` | `int32` | 0 |
//! | `int32`, `int64` | themselves | the lowest number |
//! | `uint32` | `int64` | 0 |
//! | `uint64` | `int64`, and 2^63 more from 2^63 on | 2^63; from 2^64 on 0 |

use ndlens_core::DType;

/// The dtypes whose elements are integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
}

impl Integer {
    /// This dtype, if its elements are integers.
    pub(crate) fn from_dtype(dtype: &DType) -> Option<Integer> {
        Some(match dtype {
            DType::Bool => Integer::Bool,
            DType::U8 => Integer::U8,
            DType::I8 => Integer::I8,
            DType::U16 => Integer::U16,
            DType::I16 => Integer::I16,
            DType::U32 => Integer::U32,
            DType::I32 => Integer::I32,
            DType::U64 => Integer::U64,
            DType::I64 => Integer::I64,
            DType::F16
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
            | DType::Opaque(_) => return None,
        })
    }

    /// torchvision's `_max_value`: the number for 1.0. torchvision has none for `bool`, `uint32`
    /// and `uint64`.
    pub(crate) fn max_value(self) -> f64 {
        match self {
            Integer::U8 => 255.0,
            Integer::I8 => 127.0,
            Integer::U16 => 65_535.0,
            Integer::I16 => 32_767.0,
            Integer::I32 => f64::from(i32::MAX),
            // 2^63 - 1 rounds to 2^63, and 1 over either to 2^-63.
            Integer::I64 => i64::MAX as f64,
            Integer::Bool | Integer::U32 | Integer::U64 => 1.0,
        }
    }

    /// torchvision's `_num_value_bits`: the bits of the largest number; None if torchvision has
    /// none.
    pub(crate) fn value_bits(self) -> Option<i32> {
        match self {
            Integer::I8 => Some(7),
            Integer::U8 => Some(8),
            Integer::I16 => Some(15),
            Integer::U16 => Some(16),
            Integer::I32 => Some(31),
            Integer::I64 => Some(63),
            Integer::Bool | Integer::U32 | Integer::U64 => None,
        }
    }

    /// The number with the low bits of `value`.
    pub(crate) fn wrap(self, value: i128) -> i128 {
        match self {
            Integer::Bool => (value != 0).into(),
            Integer::U8 => (value as u8).into(),
            Integer::I8 => (value as i8).into(),
            Integer::U16 => (value as u16).into(),
            Integer::I16 => (value as i16).into(),
            Integer::U32 => (value as u32).into(),
            Integer::I32 => (value as i32).into(),
            Integer::U64 => (value as u64).into(),
            Integer::I64 => (value as i64).into(),
        }
    }

    /// The integer for a float, by the table above.
    pub(crate) fn truncate(self, value: f64) -> i128 {
        match self {
            Integer::Bool => (value != 0.0).into(),
            Integer::I8 | Integer::U16 | Integer::I16 | Integer::I32 => {
                self.wrap(truncate_to_i32(value).into())
            }
            Integer::U8 | Integer::U32 | Integer::I64 => self.wrap(truncate_to_i64(value).into()),
            Integer::U64 => truncate_to_u64(value).into(),
        }
    }
}

/// 2^31 and 2^63, of which the negatives are the lowest integers.
pub(crate) const LIMIT_32: f64 = (1u64 << 31) as f64;
pub(crate) const LIMIT_64: f64 = (1u64 << 63) as f64;

/// `value` towards zero, or the lowest integer.
pub(crate) fn truncate_to_i32(value: f64) -> i32 {
    if value.abs() < LIMIT_32 { value as i32 } else { i32::MIN }
}

/// As [`truncate_to_i32`].
pub(crate) fn truncate_to_i64(value: f64) -> i64 {
    if value.abs() < LIMIT_64 { value as i64 } else { i64::MIN }
}

/// Numbers below 2^63 are truncated as an `i64`; larger ones are 2^63 plus the truncated rest.
pub(crate) fn truncate_to_u64(value: f64) -> u64 {
    if value >= LIMIT_64 {
        truncate_to_i64(value - LIMIT_64) as u64 ^ (1 << 63)
    } else {
        truncate_to_i64(value) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_numbers_wrap_and_larger_ones_follow_the_table() {
        use Integer::{Bool, I8, I16, I32, I64, U8, U16, U32, U64};
        let all = [Bool, U8, I8, U16, I16, U32, I32, U64, I64];
        let of = |value: f64| all.map(|integer| integer.truncate(value));
        let low = [i128::from(i32::MIN), i128::from(i64::MIN), 1 << 63];
        assert_eq!(of(0.9), [1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(of(-1.9), [1, 255, -1, 65_535, -1, (1 << 32) - 1, -1, (1 << 64) - 1, -1]);
        assert_eq!(of(300.5), [1, 44, 44, 300, 300, 300, 300, 300, 300]);
        assert_eq!(of(70_000.0), [1, 112, 112, 4464, 4464, 70_000, 70_000, 70_000, 70_000]);
        assert_eq!(of(-2_147_483_648.9)[6], low[0]);
        assert_eq!(of(5e9), [1, 0, 0, 0, 0, 705_032_704, low[0], 5_000_000_000, 5_000_000_000]);
        assert_eq!(of(1.5 * LIMIT_64), [1, 0, 0, 0, 0, 0, low[0], 3 << 62, low[1]]);
        assert_eq!(of(f64::NAN), [1, 0, 0, 0, 0, 0, low[0], low[2], low[1]]);
        assert_eq!(of(f64::INFINITY), [1, 0, 0, 0, 0, 0, low[0], 0, low[1]]);
        assert_eq!(of(f64::NEG_INFINITY), [1, 0, 0, 0, 0, 0, low[0], low[2], low[1]]);
    }

    #[test]
    fn the_dtypes_of_integers_are_those_with_a_width() {
        assert_eq!(Integer::from_dtype(&DType::U16), Some(Integer::U16));
        assert_eq!(Integer::from_dtype(&DType::F16), None);
        assert_eq!(Integer::from_dtype(&DType::C64), None);
    }
}
