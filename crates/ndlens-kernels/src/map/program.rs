//! Steps as arithmetic: the numbers, the operations and their operands.
//!
//! torch computes element-wise operations on half-width floats in `f32` and rounds each result, so
//! "the dtype at this point" decides both how an operation is computed and how its result is
//! rounded. A [`MapProgram`] resolves this: every [`Stage`] names its dtype, and its operands
//! are already rounded to it, as `torch.as_tensor(mean, dtype=image.dtype)` rounds them.

use ndlens_core::DType;

use crate::error::{Error, Result};
use crate::map::integer::Integer;
use crate::map::step::MapStep;
use crate::simd::half::{Bf16, F16, Half};

/// The dtypes of arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

/// The form of an element after one operation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stage {
    /// A float, by an operation computed in `dtype`.
    Float { dtype: Float, op: Op },
    /// An integer: a float truncated, or an integer shifted to the left, or to the right if `shift`
    /// is negative, and cut to its width.
    Integer { dtype: Integer, shift: i32 },
}

/// An operation on a float. Operands are exact in an `f64`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    /// Converts to the stage's dtype.
    Cast,
    /// Multiplies by an `f32`, or by an `f64` if that is the dtype.
    Scale(f64),
    /// Subtracts the channel's value; a single value serves all channels.
    Sub(Vec<f64>),
    /// Divides by the channel's value; a single value serves all channels.
    Div(Vec<f64>),
}

/// The operations on each element between its source and its destination.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MapProgram {
    pub(crate) source: DType,
    pub(crate) dtype: DType,
    pub(crate) stages: Vec<Stage>,
}

impl Float {
    /// This dtype, if it is one of arithmetic.
    pub(crate) fn from_dtype(dtype: &DType) -> Option<Float> {
        match dtype {
            DType::F16 => Some(Float::F16),
            DType::Bf16 => Some(Float::Bf16),
            DType::F32 => Some(Float::F32),
            DType::F64 => Some(Float::F64),
            DType::Bool
            | DType::U8
            | DType::I8
            | DType::U16
            | DType::I16
            | DType::U32
            | DType::I32
            | DType::U64
            | DType::I64
            | DType::C64
            | DType::C128
            | DType::F8E4M3FN
            | DType::F8E5M2
            | DType::F8E4M3FNUZ
            | DType::F8E5M2FNUZ
            | DType::F8E8M0FNU
            | DType::F4E2M1FNx2
            | DType::Opaque(_) => None,
        }
    }

    /// The nearest value of this dtype. Half-width floats are rounded by way of `f32`, as in torch.
    pub(crate) fn round(self, value: f64) -> f64 {
        match self {
            Float::F64 => value,
            Float::F16 | Float::Bf16 | Float::F32 => f64::from(self.round_single(value as f32)),
        }
    }

    /// The nearest value of this dtype, which is not `F64`.
    pub(crate) fn round_single(self, value: f32) -> f32 {
        match self {
            Float::F16 => F16::round(value),
            Float::Bf16 => Bf16::round(value),
            Float::F32 | Float::F64 => value,
        }
    }
}

impl MapProgram {
    /// Resolves steps, one after the other, for elements of `source`.
    ///
    /// # Errors
    ///
    /// As [`ValueMap::new`](crate::ValueMap::new).
    pub(crate) fn new(source: &DType, channels: usize, steps: &[MapStep]) -> Result<Self> {
        let mut program =
            MapProgram { source: source.clone(), dtype: source.clone(), stages: Vec::new() };
        for step in steps {
            match step {
                MapStep::ToDtype { dtype, .. } if *dtype == program.dtype => {}
                MapStep::ToDtype { dtype, scale } => program.push_to_dtype(dtype, *scale)?,
                MapStep::Normalize { mean, std } => program.push_normalize(channels, mean, std)?,
            }
        }
        Ok(program)
    }

    fn push_to_dtype(&mut self, to: &DType, scale: bool) -> Result<()> {
        let from = self.dtype.clone();
        if let Some(swapped) = [&from, to].into_iter().find(|dtype| dtype.swapped().is_some()) {
            return Err(swapped.unsupported_by("a conversion").into());
        }
        let refuse = |reason| {
            let (from, to) = (from.to_string(), to.to_string());
            Err(Error::UnsupportedConversion { from, to, reason })
        };
        let Some(source) = Number::from_dtype(&from) else {
            return refuse("only bool, integers and floats of 16 to 64 bits can be converted");
        };
        let Some(target) = Number::from_dtype(to) else {
            return refuse("the target must be bool, an integer or a float of 16 to 64 bits");
        };
        match (source, target) {
            (_, Number::Float(dtype)) => {
                self.stages.push(Stage::Float { dtype, op: Op::Cast });
                // A factor of 1 changes nothing; torch uses it for bool, uint32 and uint64.
                if let Number::Integer(source) = source
                    && scale
                    && source.max_value() > 1.0
                {
                    self.push_scale(dtype, 1.0 / source.max_value());
                }
            }
            (Number::Float(float), Number::Integer(integer)) => {
                if scale && too_wide(float, integer) {
                    return Err(Error::UnsafeScale { from: from.to_string(), to: to.to_string() });
                }
                if scale {
                    // Almost a whole step above the largest number, so that each number gets an
                    // equal part of 0..1.
                    self.push_scale(float, integer.max_value() + 1.0 - 1e-3);
                }
                self.stages.push(Stage::Integer { dtype: integer, shift: 0 });
            }
            (Number::Integer(source), Number::Integer(dtype)) => {
                let shift = match (dtype.value_bits(), source.value_bits()) {
                    _ if !scale => 0,
                    (Some(to), Some(from)) => to - from,
                    _ => return Err(Error::NoRange { from: from.to_string(), to: to.to_string() }),
                };
                self.stages.push(Stage::Integer { dtype, shift });
            }
        }
        self.dtype = to.clone();
        Ok(())
    }

    /// A factor, which torch rounds to `f32` for all dtypes but `f64`.
    fn push_scale(&mut self, dtype: Float, factor: f64) {
        let factor = if dtype == Float::F64 { factor } else { f64::from(factor as f32) };
        self.stages.push(Stage::Float { dtype, op: Op::Scale(factor) });
    }

    fn push_normalize(&mut self, channels: usize, mean: &[f64], std: &[f64]) -> Result<()> {
        let Some(dtype) = Float::from_dtype(&self.dtype) else {
            return Err(Error::NormalizeDType { got: self.dtype.to_string() });
        };
        for (name, values) in [("mean", mean), ("std", std)] {
            if values.len() != 1 && (values.is_empty() || values.len() != channels) {
                return Err(Error::StatisticsLength {
                    name,
                    got: values.len(),
                    expected: channels,
                });
            }
        }
        if let Some(position) = std.iter().position(|&std| std == 0.0) {
            return Err(Error::ZeroStd { position });
        }
        let rounded = |values: &[f64]| values.iter().map(|&value| dtype.round(value)).collect();
        self.stages.push(Stage::Float { dtype, op: Op::Sub(rounded(mean)) });
        self.stages.push(Stage::Float { dtype, op: Op::Div(rounded(std)) });
        Ok(())
    }

    /// Whether floats of 16 bits are read, computed with or written.
    pub(crate) fn has_halves(&self) -> bool {
        let is_half = |float| matches!(float, Float::F16 | Float::Bf16);
        let ends = [&self.source, &self.dtype];
        ends.into_iter().filter_map(Float::from_dtype).any(is_half)
            || self.stages.iter().any(|stage| match stage {
                Stage::Float { dtype, .. } => is_half(*dtype),
                Stage::Integer { .. } => false,
            })
    }

    /// Whether the operations differ between channels.
    pub(crate) fn tells_channels_apart(&self) -> bool {
        self.stages.iter().any(|stage| match stage {
            Stage::Float { op: Op::Sub(values) | Op::Div(values), .. } => values.len() > 1,
            Stage::Float { .. } | Stage::Integer { .. } => false,
        })
    }
}

/// The dtypes that can be converted.
#[derive(Debug, Clone, Copy)]
enum Number {
    Float(Float),
    Integer(Integer),
}

impl Number {
    fn from_dtype(dtype: &DType) -> Option<Number> {
        let float = Float::from_dtype(dtype).map(Number::Float);
        float.or_else(|| Integer::from_dtype(dtype).map(Number::Integer))
    }
}

/// Whether an integer has more digits than a float that is scaled to its range, by torchvision's
/// rule.
fn too_wide(float: Float, integer: Integer) -> bool {
    matches!(
        (float, integer),
        (Float::F32, Integer::I32 | Integer::I64) | (Float::F64, Integer::I64)
    )
}

/// The value of a channel; a single value serves all channels.
pub(crate) fn of_channel(values: &[f64], channel: usize) -> f64 {
    values[if values.len() == 1 { 0 } else { channel }]
}
