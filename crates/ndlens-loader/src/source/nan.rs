//! Steps of series that hold NaN. A model that gets a NaN learns nothing from then on, and reports
//! no cause.
//!
//! A series may be larger than memory, so the search goes on piece by piece, and the caller may
//! stop it between two pieces.

use ndlens_core::{DType, View, room};

use crate::error::{Error, Result};
use crate::source::numbers::each_element;

/// The steps of each series that hold NaN, in ascending order.
#[derive(Debug, Default)]
pub struct NanSteps {
    found: Vec<Vec<usize>>,
}

impl NanSteps {
    /// The steps of one series; none of a series that was not searched.
    pub(crate) fn of(&self, series: usize) -> &[usize] {
        self.found.get(series).map_or(&[], Vec::as_slice)
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.found.iter().all(Vec::is_empty)
    }

    #[cfg(test)]
    pub(crate) fn of_steps(found: Vec<Vec<usize>>) -> Self {
        NanSteps { found }
    }
}

/// Whether one of the elements in these bytes is NaN.
type NanTest = fn(&[u8]) -> bool;

/// A search through series, from their first step on.
#[derive(Debug)]
pub struct NanSearch {
    series: Vec<View>,
    /// The series and the step that come next.
    next: (usize, usize),
    found: NanSteps,
    is_nan: NanTest,
}

impl NanSearch {
    /// A search; None if the elements are not floats, so that none can be NaN.
    ///
    /// # Errors
    ///
    /// [`Error::NanOfOpaque`] if only the producer of the elements knows what they are.
    pub fn new(series: &[View]) -> Result<Option<Self>> {
        let Some(first) = series.first() else { return Ok(None) };
        let Some(is_nan) = nan_test(first.dtype())? else { return Ok(None) };
        Ok(Some(NanSearch {
            series: series.to_vec(),
            next: (0, 0),
            found: NanSteps::default(),
            is_nan,
        }))
    }

    /// Searches about `bytes` bytes more. Returns whether there is more to search.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] if the series cannot be read or there is no memory for the list.
    pub fn advance(&mut self, mut bytes: usize) -> Result<bool> {
        while let Some(series) = self.series.get(self.next.0) {
            if self.found.found.len() <= self.next.0 {
                room::push(&mut self.found.found, vec![])?;
            }
            let steps = series.shape()[0];
            let step_bytes = (series.nbytes().checked_div(steps).unwrap_or(0)).max(1);
            let count = (bytes / step_bytes).max(1).min(steps - self.next.1);
            let part = ndlens_core::Index::Slice {
                start: Some(self.next.1 as isize),
                stop: Some((self.next.1 + count) as isize),
                step: 1,
            };
            let found = &mut self.found.found[self.next.0];
            let mut step = self.next.1;
            each_element(&series.index(&[part])?, |row| {
                if (self.is_nan)(row) {
                    room::push(found, step)?;
                }
                step += 1;
                Ok(())
            })?;
            self.next.1 = step;
            if step == steps {
                self.next = (self.next.0 + 1, 0);
            }
            bytes = bytes.saturating_sub(count * step_bytes);
            if bytes == 0 {
                break;
            }
        }
        Ok(self.next.0 < self.series.len())
    }

    /// The steps found so far.
    pub fn into_found(self) -> NanSteps {
        self.found
    }
}

/// The test for NaN of a dtype; None for integers.
fn nan_test(dtype: &DType) -> Result<Option<NanTest>> {
    // A float is NaN where its bits, without the sign, are more than those of infinity. `|` instead
    // of `any`: without a branch, the compiler tests several at once.
    macro_rules! above {
        ($bits:ty, $infinity:expr) => {
            Some(|bytes| {
                let numbers = bytes.as_chunks().0.iter().map(|&bits| <$bits>::from_ne_bytes(bits));
                numbers.fold(false, |found, bits| found | (bits & (<$bits>::MAX >> 1) > $infinity))
            })
        };
    }
    Ok(match dtype {
        DType::F16 => above!(u16, 0x7C00),
        DType::Bf16 => above!(u16, 0x7F80),
        DType::F32 | DType::C64 => above!(u32, 0x7F80_0000),
        DType::F64 | DType::C128 => above!(u64, 0x7FF0_0000_0000_0000),
        DType::F8E4M3FN => above!(u8, 0x7E),
        DType::F8E5M2 => above!(u8, 0x7C),
        DType::F8E4M3FNUZ | DType::F8E5M2FNUZ => Some(|bytes| bytes.contains(&0x80)),
        DType::F8E8M0FNU => Some(|bytes| bytes.contains(&0xFF)),
        DType::Opaque(_) => return Err(Error::NanOfOpaque { dtype: dtype.to_string() }),
        DType::Bool
        | DType::U8
        | DType::I8
        | DType::U16
        | DType::I16
        | DType::U32
        | DType::I32
        | DType::U64
        | DType::I64
        | DType::F4E2M1FNx2 => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(series: &[View], piece: usize) -> Vec<Vec<usize>> {
        let mut search = NanSearch::new(series).unwrap().unwrap();
        while search.advance(piece).unwrap() {}
        search.into_found().found
    }

    #[test]
    fn every_step_with_a_nan_is_found_whatever_the_pieces() {
        let mut numbers: Vec<f32> = (0..3000).map(|i| i as f32).collect();
        for at in [0, 1, 2, 700, 1501, 2999] {
            numbers[at] = if at % 2 == 0 { f32::NAN } else { -f32::NAN };
        }
        numbers[10] = f32::INFINITY;
        let whole = View::from_vec(numbers).reshape(&[1000, 3]).unwrap();
        let turned = whole.flip(&[0]).unwrap();
        let ends: Vec<usize> = vec![0, 233, 500, 999];
        for piece in [1, 12, 100, 1 << 20] {
            let turned_ends: Vec<usize> = ends.iter().rev().map(|step| 999 - step).collect();
            assert_eq!(found(&[whole.clone(), turned.clone()], piece), [ends.clone(), turned_ends]);
        }
        let empty = whole.index(&[ndlens_core::s(..0)]).unwrap();
        assert_eq!(found(&[empty.clone(), whole.clone(), empty], 64), [vec![], ends, vec![]]);
    }

    #[test]
    fn nan_is_what_each_dtype_has_it_to_be() {
        let nan = |dtype: DType, bytes: &[u8]| {
            let view = View::from_vec(bytes.to_vec()).reinterpret(dtype).unwrap();
            found(&[view], 1 << 20)[0].clone()
        };
        assert_eq!(nan(DType::F64, &[f64::INFINITY, f64::NAN].map(f64::to_ne_bytes).concat()), [1]);
        assert_eq!(nan(DType::C64, &[0.0, 1.0, 0.0, f32::NAN].map(f32::to_ne_bytes).concat()), [1]);
        assert_eq!(
            nan(DType::F16, &[0x7C00u16, 0xFC01, 0x7E00].map(u16::to_ne_bytes).concat()),
            [1, 2]
        );
        assert_eq!(
            nan(DType::Bf16, &[0x7F80u16, 0xFFC0, 0x7E00].map(u16::to_ne_bytes).concat()),
            [1]
        );
        // The definitions of the OCP and of the "FNUZ" formats, whose one NaN has the bits of -0.
        assert_eq!(nan(DType::F8E4M3FN, &[0x7E, 0x7F, 0xFF, 0x80]), [1, 2]);
        assert_eq!(nan(DType::F8E5M2, &[0x7C, 0x7D, 0xFF, 0x80]), [1, 2]);
        assert_eq!(nan(DType::F8E4M3FNUZ, &[0x7F, 0x80, 0xFF]), [1]);
        assert_eq!(nan(DType::F8E8M0FNU, &[0x7F, 0x80, 0xFF]), [2]);
        assert!(NanSearch::new(&[View::from_vec(vec![0i32])]).unwrap().is_none());
    }
}
