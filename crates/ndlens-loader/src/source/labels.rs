//! Labels of items or steps: an id for each step of a series, a group or a class for each item.
//!
//! Only the equality of labels matters here, not whether they are numbers or names. So each label
//! gets a code, the number of different labels before it:
//!
//! ```text
//!  labels  Oslo Oslo Bergen Oslo Bergen Bodø
//!  codes   0    0    1      0    1      2
//! ```

use std::collections::HashMap;

use ndlens_core::room::{self, with_room_for};
use ndlens_core::{DType, View};

use crate::error::{Error, Result};
use crate::source::numbers::each_element;

/// Codes of labels.
#[derive(Debug, Default)]
pub struct Labels {
    codes: Vec<u32>,
    /// For each code, the place of the first label that has it.
    first: Vec<usize>,
}

impl Labels {
    /// Labels that are the elements of a view of one axis, equal if their bytes are; None if
    /// they are floats of a kind whose equal numbers may have other bytes. Errors call them `name`.
    ///
    /// # Errors
    ///
    /// [`Error::LabelsShape`], [`Error::MissingLabel`], [`Error::TooManyLabels`]; [`Error::Core`]
    /// if there is no memory.
    pub fn from_view(view: &View, name: &'static str) -> Result<Option<Self>> {
        if view.ndim() != 1 {
            return Err(Error::LabelsShape { name, got: view.shape().to_vec() });
        }
        let mut labels = Labels { codes: with_room_for(view.len())?, first: vec![] };
        let mut codes: HashMap<Box<[u8]>, u32> = HashMap::new();
        let mut last: Option<(Box<[u8]>, u32)> = None;
        let mut add = |bytes: &[u8]| {
            // Equal labels are mostly adjacent.
            if let Some((_, code)) = last.as_ref().filter(|(label, _)| **label == *bytes) {
                return labels.push(Some(*code)).map(drop);
            }
            let code = labels.push(codes.get(bytes).copied())?;
            codes.entry(bytes.into()).or_insert(code);
            last = Some((bytes.into(), code));
            Ok(())
        };
        // Both zeros are equal, and a NaN is a missing label.
        macro_rules! add_floats {
            ($type:ty) => {{
                let mut place = 0;
                each_element(view, |bytes| {
                    let number =
                        bytes.try_into().map(<$type>::from_ne_bytes).unwrap_or(<$type>::NAN);
                    if number.is_nan() {
                        return Err(Error::MissingLabel { name, place });
                    }
                    place += 1;
                    add(&(if number == 0.0 { 0.0 } else { number }).to_ne_bytes())
                })?;
            }};
        }
        match view.dtype() {
            DType::F32 => add_floats!(f32),
            DType::F64 => add_floats!(f64),
            DType::F16
            | DType::Bf16
            | DType::C64
            | DType::C128
            | DType::F8E4M3FN
            | DType::F8E5M2
            | DType::F8E4M3FNUZ
            | DType::F8E5M2FNUZ
            | DType::F8E8M0FNU => return Ok(None),
            DType::Bool
            | DType::U8
            | DType::I8
            | DType::U16
            | DType::I16
            | DType::U32
            | DType::I32
            | DType::U64
            | DType::I64
            | DType::F4E2M1FNx2
            | DType::Opaque(_) => each_element(view, add)?,
        }
        Ok(Some(labels))
    }

    /// Adds a label that has this code, or None for one that was not seen before. Returns its code.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyLabels`]; [`Error::Core`] if there is no memory.
    pub fn push(&mut self, code: Option<u32>) -> Result<u32> {
        let code = if let Some(code) = code {
            code
        } else {
            let code = u32::try_from(self.first.len()).map_err(|_| Error::TooManyLabels)?;
            room::push(&mut self.first, self.codes.len())?;
            code
        };
        room::push(&mut self.codes, code)?;
        Ok(code)
    }

    /// The number of labels.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// The number of different labels.
    pub fn kinds(&self) -> usize {
        self.first.len()
    }

    /// The code of each label.
    pub(crate) fn codes(&self) -> &[u32] {
        &self.codes
    }

    /// The place of the first label of a code.
    pub(crate) fn first(&self, code: usize) -> usize {
        self.first[code]
    }

    /// The number of labels of each code.
    pub(crate) fn counts(&self) -> Result<Vec<usize>> {
        let mut counts = with_room_for(self.first.len())?;
        counts.resize(self.first.len(), 0);
        self.codes.iter().for_each(|&code| counts[code as usize] += 1);
        Ok(counts)
    }

    /// The lengths of runs of equal labels.
    ///
    /// # Errors
    ///
    /// [`Error::LabelAgain`] if a label comes again after others; [`Error::Core`] if there is
    /// no memory.
    pub fn runs(&self) -> Result<Vec<usize>> {
        let mut lengths = with_room_for::<usize>(self.first.len())?;
        for (place, &code) in self.codes.iter().enumerate() {
            match (code as usize + 1).cmp(&lengths.len()) {
                // Codes count up, so a run is of the last one or of a new one.
                std::cmp::Ordering::Equal => lengths[code as usize] += 1,
                std::cmp::Ordering::Greater => lengths.push(1),
                std::cmp::Ordering::Less => {
                    let (first, code) = (self.first[code as usize], code as usize);
                    return Err(Error::LabelAgain {
                        place,
                        first,
                        last: first + lengths[code] - 1,
                    });
                }
            }
        }
        Ok(lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(view: &View) -> Vec<u32> {
        Labels::from_view(view, "ids").unwrap().unwrap().codes
    }

    #[test]
    fn equal_labels_have_one_code_in_the_order_they_come() {
        assert_eq!(codes(&View::from_vec(vec![7i64, 7, -1, 7, -1, 3])), [0, 0, 1, 0, 1, 2]);
        assert_eq!(codes(&View::from_vec(vec![0.0f64, -0.0, 2.5])), [0, 0, 1]);
        assert_eq!(codes(&View::from_vec(vec![2u8, 1, 2]).flip(&[0]).unwrap()), [0, 1, 0]);
        assert!(codes(&View::from_vec(Vec::<i32>::new())).is_empty());
        let message = |view: View| Labels::from_view(&view, "ids").unwrap_err().to_string();
        assert_eq!(
            message(View::from_vec(vec![1.0f32, f32::NAN])),
            "ids: the one at place 1 is missing (NaN)"
        );
        assert_eq!(
            message(View::from_vec(vec![0u8; 4]).reshape(&[2, 2]).unwrap()),
            "ids must be of one axis, got shape [2, 2]"
        );
    }

    #[test]
    fn runs_are_of_labels_that_stand_together() {
        let runs =
            |ids: Vec<i64>| Labels::from_view(&View::from_vec(ids), "ids").unwrap().unwrap().runs();
        assert_eq!(runs(vec![4, 4, 9, 1, 1, 1]).unwrap(), [2, 1, 3]);
        assert_eq!(runs(vec![]).unwrap(), [0usize; 0]);
        assert_eq!(
            runs(vec![4, 4, 9, 4]).unwrap_err().to_string(),
            "ids: the one at step 3 is that of steps 0 to 1 again, after others: a series must \
             stand together and in order; sort it \
             first, as with order = numpy.argsort(ids, kind=\"stable\"), series[order] and \
             ids[order]"
        );
    }
}
