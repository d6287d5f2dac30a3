//! The oracle: one element at a time, as torch's documentation defines it. Every fast body is
//! compared with it, and it computes the tables of one-byte sources.

use ndlens_core::DType;

use crate::map::program::{Float, MapProgram, Op, Stage, of_channel};
use crate::simd::half::{Bf16, F16, Half};

/// An element between two stages. Every float of arithmetic is exact in an `f64`, and every integer
/// in an `i128`, also after a shift.
#[derive(Debug, Clone, Copy)]
enum Number {
    Integer(i128),
    Float(f64),
}

impl MapProgram {
    /// Writes the result for `element`, of channel `channel`, to `out`; both are little-endian.
    ///
    /// # Panics
    ///
    /// If `element` or `out` has not the size of its dtype, or the program has no stage for a
    /// dtype that is not a number.
    pub(crate) fn map_element(&self, element: &[u8], channel: usize, out: &mut [u8]) {
        let mut number = read(&self.source, element);
        for stage in &self.stages {
            number = stage.compute(number, channel);
        }
        match (number, &self.dtype) {
            // The first bytes are the lowest.
            (Number::Integer(value), _) => out.copy_from_slice(&value.to_le_bytes()[..out.len()]),
            (Number::Float(value), DType::F16) => {
                out.copy_from_slice(&F16::nearest(value as f32).to_le_bytes());
            }
            (Number::Float(value), DType::Bf16) => {
                out.copy_from_slice(&Bf16::nearest(value as f32).to_le_bytes());
            }
            (Number::Float(value), DType::F32) => {
                out.copy_from_slice(&(value as f32).to_le_bytes());
            }
            (Number::Float(value), _) => out.copy_from_slice(&value.to_le_bytes()),
        }
    }
}

impl Stage {
    fn compute(&self, number: Number, channel: usize) -> Number {
        match (self, number) {
            (&Stage::Integer { dtype, .. }, Number::Float(value)) => {
                Number::Integer(dtype.truncate(value))
            }
            (&Stage::Integer { dtype, shift }, Number::Integer(value)) => {
                let shifted = if shift < 0 { value >> -shift } else { value << shift };
                Number::Integer(dtype.wrap(shifted))
            }
            (Stage::Float { dtype, op }, Number::Float(value)) => {
                Number::Float(dtype.compute(op, value, channel))
            }
            (Stage::Float { dtype, op }, Number::Integer(value)) => {
                let value =
                    if *dtype == Float::F64 { value as f64 } else { f64::from(value as f32) };
                Number::Float(dtype.compute(op, value, channel))
            }
        }
    }
}

impl Float {
    fn compute(self, op: &Op, value: f64, channel: usize) -> f64 {
        self.round(match op {
            Op::Cast => value,
            Op::Scale(factor) => self.binary(value, *factor, |a, b| a * b, |a, b| a * b),
            Op::Sub(values) => {
                self.binary(value, of_channel(values, channel), |a, b| a - b, |a, b| a - b)
            }
            Op::Div(values) => {
                self.binary(value, of_channel(values, channel), |a, b| a / b, |a, b| a / b)
            }
        })
    }

    fn binary(
        self,
        a: f64,
        b: f64,
        single: fn(f32, f32) -> f32,
        double: fn(f64, f64) -> f64,
    ) -> f64 {
        match self {
            Float::F64 => double(a, b),
            Float::F16 | Float::Bf16 | Float::F32 => f64::from(single(a as f32, b as f32)),
        }
    }
}

fn read(dtype: &DType, element: &[u8]) -> Number {
    macro_rules! number {
        ($kind:ident, $rust:ty) => {
            Number::$kind(
                <$rust>::from_le_bytes(element.try_into().expect("itemsize bytes")).into(),
            )
        };
    }
    macro_rules! half {
        ($half:ty) => {{
            let bits = u16::from_le_bytes(element.try_into().expect("itemsize bytes"));
            Number::Float(<$half>::widen(bits).into())
        }};
    }
    match dtype {
        DType::Bool => Number::Integer((element[0] != 0).into()),
        DType::U8 => number!(Integer, u8),
        DType::I8 => number!(Integer, i8),
        DType::U16 => number!(Integer, u16),
        DType::I16 => number!(Integer, i16),
        DType::U32 => number!(Integer, u32),
        DType::I32 => number!(Integer, i32),
        DType::U64 => number!(Integer, u64),
        DType::I64 => number!(Integer, i64),
        DType::F16 => half!(F16),
        DType::Bf16 => half!(Bf16),
        DType::F32 => number!(Float, f32),
        DType::F64 => number!(Float, f64),
        _ => unreachable!("programs refuse {dtype}"),
    }
}
