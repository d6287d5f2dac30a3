//! The chains of stages that consist of scale and normalise only.

use ndlens_core::DType;

use crate::map::program::{Float, MapProgram, Op, Stage};
use crate::simd::affine::{Affine, AffineNormalize, Rounding};

/// This chain as one affine map, if it is one.
pub(crate) fn affine(program: &MapProgram, channels: usize) -> Option<Affine> {
    if program.source != DType::U8 {
        return None;
    }
    let op = |stage| match stage {
        &Stage::Float { dtype, ref op } => Some((dtype, op)),
        Stage::Integer { .. } => None,
    };
    let mut ops = program.stages.iter().map(op).collect::<Option<Vec<_>>>()?;
    let computed = ops.first()?.0;
    let (last, op) = *ops.last()?;
    // If only the end is half-width, only the end is rounded.
    if *op == Op::Cast && ops.len() > 1 && computed == Float::F32 {
        ops.pop();
    }
    if ops.iter().any(|&(dtype, _)| dtype != computed) {
        return None;
    }
    let each = computed != Float::F32;
    let rounding = match last {
        Float::F16 => Rounding::Float16 { each },
        Float::Bf16 => Rounding::Bfloat16 { each },
        Float::F32 => Rounding::Single,
        Float::F64 => return None,
    };
    let mut ops = ops.into_iter().map(|(_, op)| op).peekable();
    ops.next_if_eq(&&Op::Cast)?;
    let mut scale = 1.0;
    if let Some(Op::Scale(factor)) = ops.next_if(|op| matches!(op, Op::Scale(_))) {
        scale = *factor as f32;
    }
    let normalize = match (ops.next(), ops.next(), ops.next()) {
        (None, ..) => None,
        (Some(Op::Sub(mean)), Some(Op::Div(std)), None) => {
            Some(AffineNormalize::new(scale, mean, std, rounding, channels)?)
        }
        _ => return None,
    };
    Some(Affine { rounding, scale, normalize })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::step::MapStep;

    fn of(steps: &[MapStep]) -> Option<Affine> {
        affine(&MapProgram::new(&DType::U8, 3, steps).unwrap(), 3)
    }

    fn to(dtype: DType) -> MapStep {
        MapStep::ToDtype { dtype, scale: true }
    }

    fn normalize(mean: &[f64], std: &[f64]) -> MapStep {
        MapStep::Normalize { mean: mean.to_vec(), std: std.to_vec() }
    }

    #[test]
    fn imagenets_division_is_done_by_its_inverse_and_an_awkward_one_is_not() {
        let imagenet = normalize(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);
        let by_inverse = |step| of(&[to(DType::F32), step]).unwrap().normalize.unwrap().by_inverse;
        assert!(by_inverse(imagenet));
        // 1 / std overflows, so a product with it cannot be right.
        assert!(!by_inverse(normalize(&[0.5], &[1e-39])));
    }

    #[test]
    fn only_one_scale_and_one_normalize_in_one_float_are_an_affine_map() {
        let half = normalize(&[0.5], &[0.5]);
        let rounding = |steps: &[MapStep]| of(steps).map(|affine| affine.rounding);
        assert_eq!(rounding(&[to(DType::F32)]), Some(Rounding::Single));
        assert_eq!(rounding(&[to(DType::F32), half.clone()]), Some(Rounding::Single));
        assert_eq!(
            rounding(&[to(DType::F16), half.clone()]),
            Some(Rounding::Float16 { each: true })
        );
        let last = [to(DType::F32), half.clone(), to(DType::Bf16)];
        assert_eq!(rounding(&last), Some(Rounding::Bfloat16 { each: false }));
        assert_eq!(rounding(&[to(DType::F32), half.clone(), half.clone()]), None);
        assert_eq!(rounding(&[to(DType::F16), half.clone(), to(DType::F32)]), None);
        assert_eq!(rounding(&[to(DType::F32), to(DType::F64)]), None);
        assert_eq!(rounding(&[to(DType::F64), half]), None);
        assert_eq!(rounding(&[to(DType::F32), to(DType::U8)]), None);
        assert_eq!(rounding(&[]), None);
    }

    #[test]
    fn a_map_to_bfloat16_whose_results_are_no_numbers_is_no_affine_one() {
        let endless = normalize(&[f64::INFINITY], &[f64::INFINITY]);
        assert!(of(&[to(DType::Bf16), endless.clone()]).is_none());
        assert!(of(&[to(DType::F16), endless]).is_some());
        assert!(of(&[to(DType::Bf16), normalize(&[1e38], &[1e-38])]).is_some());
    }
}
