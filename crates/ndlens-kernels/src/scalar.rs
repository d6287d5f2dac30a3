//! The oracle: one element at a time, as torch's documentation would say it. Every fast body is measured against it,
//! and the tables of one-byte sources are made by it.

use half::{bf16, f16};
use ndlens_core::DType;

use crate::program::{Float, Op, Program, Stage};

/// An element between two stages. Every float that is computed with is exact in an `f64`.
#[derive(Debug, Clone, Copy)]
enum Number {
    Integer(i128),
    Float(f64),
}

impl Program {
    /// What becomes of one element of channel `channel`: `element` in, `out` out, little-endian.
    ///
    /// # Panics
    ///
    /// Where `element` or `out` has not the size of its dtype, or the program has no stage for a dtype that is not a
    /// number.
    pub(crate) fn map_element(&self, element: &[u8], channel: usize, out: &mut [u8]) {
        let mut number = read(&self.source, element);
        for stage in &self.stages {
            number = Number::Float(stage.compute(number, channel));
        }
        let Number::Float(value) = number else { unreachable!("a program that computes ends in a float") };
        match self.dtype {
            DType::F16 => out.copy_from_slice(&f16::from_f32(value as f32).to_le_bytes()),
            DType::Bf16 => out.copy_from_slice(&bf16::from_f32(value as f32).to_le_bytes()),
            DType::F32 => out.copy_from_slice(&(value as f32).to_le_bytes()),
            _ => out.copy_from_slice(&value.to_le_bytes()),
        }
    }
}

impl Stage {
    fn compute(&self, number: Number, channel: usize) -> f64 {
        let value = match (number, self.dtype) {
            (Number::Float(value), _) => value,
            (Number::Integer(value), Float::F64) => value as f64,
            (Number::Integer(value), _) => f64::from(value as f32),
        };
        let computed = match &self.op {
            Op::Cast => value,
            Op::Scale(factor) => self.binary(value, *factor, |a, b| a * b, |a, b| a * b),
            Op::Sub(values) => self.binary(value, of_channel(values, channel), |a, b| a - b, |a, b| a - b),
            Op::Div(values) => self.binary(value, of_channel(values, channel), |a, b| a / b, |a, b| a / b),
        };
        self.dtype.round(computed)
    }

    fn binary(&self, a: f64, b: f64, single: fn(f32, f32) -> f32, double: fn(f64, f64) -> f64) -> f64 {
        match self.dtype {
            Float::F64 => double(a, b),
            _ => f64::from(single(a as f32, b as f32)),
        }
    }
}

/// The value of a channel, where one value may serve all.
pub(crate) fn of_channel(values: &[f64], channel: usize) -> f64 {
    values[if values.len() == 1 { 0 } else { channel }]
}

fn read(dtype: &DType, element: &[u8]) -> Number {
    macro_rules! number {
        ($kind:ident, $rust:ty) => {
            Number::$kind(<$rust>::from_le_bytes(element.try_into().expect("itemsize bytes")).into())
        };
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
        DType::F16 => number!(Float, f16),
        DType::Bf16 => number!(Float, bf16),
        DType::F32 => number!(Float, f32),
        DType::F64 => number!(Float, f64),
        _ => unreachable!("programs refuse {dtype}"),
    }
}
