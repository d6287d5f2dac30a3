//! Rust's numbers as elements of dtypes.

#![expect(unsafe_code, reason = "guarantees what elements of dtypes are; see UNSAFE.md")]

use crate::dtype::table::DType;

/// A Rust type that is the element of a [`DType`] and for which every bit pattern is a value.
///
/// `bool` is not such a type: foreign memory may hold the byte 2, which is not a `bool`.
///
/// # Safety
///
/// The type must be as long as an element of [`DTYPE`](Self::DTYPE), have no padding, and take
/// every bit pattern.
pub unsafe trait Element: Copy + Send + Sync + 'static {
    /// The dtype whose element the type is.
    const DTYPE: DType;
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),* $(,)?) => {
        $(
            // SAFETY: a plain number of the dtype's size; the table's test compares the two.
            unsafe impl Element for $rust { const DTYPE: DType = DType::$dtype; }
        )*
    };
}

elements! {
    u8 => U8, i8 => I8, u16 => U16, i16 => I16, u32 => U32, i32 => I32, u64 => U64, i64 => I64,
    f32 => F32, f64 => F64,
}
