//! Steps as arithmetic: which float, which operation, which operands.
//!
//! torch computes element-wise operations on half-width floats in `f32` and rounds each result, so "the dtype at this
//! point" decides both how an operation is computed and how its result is rounded. A [`Program`] has that resolved:
//! every [`Stage`] names its dtype, and its operands are already rounded to it, as
//! `torch.as_tensor(mean, dtype=image.dtype)` rounds them.

use half::{bf16, f16};
use ndlens_core::DType;

use crate::error::{Error, Result};
use crate::value::Step;

/// The dtypes that are computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Float {
    F16,
    Bf16,
    F32,
    F64,
}

/// One operation, computed in `dtype`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stage {
    pub(crate) dtype: Float,
    pub(crate) op: Op,
}

/// What is done to an element. Operands are exact in an `f64`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Op {
    /// Becomes the stage's dtype.
    Cast,
    /// Times an `f32`, or an `f64` where the dtype is one.
    Scale(f64),
    /// Minus the channel's value; one value serves all channels.
    Sub(Vec<f64>),
    /// Divided by the channel's value; one value serves all channels.
    Div(Vec<f64>),
}

/// What happens to each element between its source and its destination.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Program {
    pub(crate) source: DType,
    pub(crate) dtype: DType,
    pub(crate) stages: Vec<Stage>,
}

impl Float {
    /// This dtype, if it is one that is computed with.
    pub(crate) fn from_dtype(dtype: &DType) -> Option<Float> {
        match dtype {
            DType::F16 => Some(Float::F16),
            DType::Bf16 => Some(Float::Bf16),
            DType::F32 => Some(Float::F32),
            DType::F64 => Some(Float::F64),
            _ => None,
        }
    }

    /// The nearest value of this dtype. The half-width floats are reached by way of `f32`, as in torch.
    pub(crate) fn round(self, value: f64) -> f64 {
        match self {
            Float::F64 => value,
            single => f64::from(single.round_single(value as f32)),
        }
    }

    /// The nearest value of this dtype, which is not `F64`.
    pub(crate) fn round_single(self, value: f32) -> f32 {
        match self {
            Float::F16 => f16::from_f32(value).to_f32(),
            Float::Bf16 => bf16::from_f32(value).to_f32(),
            Float::F32 | Float::F64 => value,
        }
    }
}

impl Program {
    /// Resolves steps, one after the other, for elements of `source`.
    ///
    /// # Errors
    ///
    /// As [`ValueMap::new`](crate::ValueMap::new).
    pub(crate) fn new(source: &DType, channels: usize, steps: &[Step]) -> Result<Self> {
        let mut program = Program { source: source.clone(), dtype: source.clone(), stages: Vec::new() };
        for step in steps {
            match step {
                Step::ToDtype { dtype, .. } if *dtype == program.dtype => {}
                Step::ToDtype { dtype, scale } => program.push_to_dtype(dtype, *scale)?,
                Step::Normalize { mean, std } => program.push_normalize(channels, mean, std)?,
            }
        }
        Ok(program)
    }

    fn push_to_dtype(&mut self, to: &DType, scale: bool) -> Result<()> {
        let refuse = |reason| {
            let (from, to) = (self.dtype.to_string(), to.to_string());
            Err(Error::UnsupportedConversion { from, to, reason })
        };
        let Some(max) = max_value(&self.dtype) else {
            return refuse("only bool, integers and floats of 16 to 64 bits can be converted");
        };
        let Some(dtype) = Float::from_dtype(to) else {
            return refuse("the target must be float16, bfloat16, float32 or float64");
        };
        let from_integer = Float::from_dtype(&self.dtype).is_none();
        self.stages.push(Stage { dtype, op: Op::Cast });
        // Times 1 changes nothing; torch does it for bool, uint32 and uint64.
        if scale && from_integer && max > 1.0 {
            let factor = 1.0 / max;
            let factor = if dtype == Float::F64 { factor } else { f64::from(factor as f32) };
            self.stages.push(Stage { dtype, op: Op::Scale(factor) });
        }
        self.dtype = to.clone();
        Ok(())
    }

    fn push_normalize(&mut self, channels: usize, mean: &[f64], std: &[f64]) -> Result<()> {
        let Some(dtype) = Float::from_dtype(&self.dtype) else {
            return Err(Error::NormalizeDType { got: self.dtype.to_string() });
        };
        for (name, values) in [("mean", mean), ("std", std)] {
            if values.len() != 1 && (values.is_empty() || values.len() != channels) {
                return Err(Error::StatisticsLength { name, got: values.len(), expected: channels });
            }
        }
        if let Some(position) = std.iter().position(|&std| std == 0.0) {
            return Err(Error::ZeroStd { position });
        }
        let rounded = |values: &[f64]| values.iter().map(|&value| dtype.round(value)).collect();
        self.stages.push(Stage { dtype, op: Op::Sub(rounded(mean)) });
        self.stages.push(Stage { dtype, op: Op::Div(rounded(std)) });
        Ok(())
    }

    /// Whether channels differ in what is done to them.
    pub(crate) fn tells_channels_apart(&self) -> bool {
        self.stages.iter().any(|stage| match &stage.op {
            Op::Sub(values) | Op::Div(values) => values.len() > 1,
            Op::Cast | Op::Scale(_) => false,
        })
    }
}

/// torchvision's `_max_value`; None where nothing can be converted from.
fn max_value(dtype: &DType) -> Option<f64> {
    Some(match dtype {
        DType::U8 => 255.0,
        DType::I8 => 127.0,
        DType::U16 => 65_535.0,
        DType::I16 => 32_767.0,
        DType::I32 => f64::from(i32::MAX),
        // 2^63 - 1 rounds to 2^63, and 1 over either to 2^-63.
        DType::I64 => i64::MAX as f64,
        DType::Bool | DType::U32 | DType::U64 | DType::F16 | DType::Bf16 | DType::F32 | DType::F64 => 1.0,
        _ => return None,
    })
}
