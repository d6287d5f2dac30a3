//! Numbers as hostile callers choose them: mostly small ones, so that requests often make sense,
//! and at times those at the ends of their range.

use arbitrary::{Arbitrary, Result, Unstructured};

/// An integer: most often from -4 to 11.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Small(pub(crate) isize);

/// A size: most often from 0 to 7.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent(pub(crate) usize);

/// A floating-point number: most often a round one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Real(pub(crate) f64);

impl<'a> Arbitrary<'a> for Small {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Small(match u8::arbitrary(u)? {
            255 => isize::MIN,
            254 => isize::MAX,
            253 => isize::MIN + 1,
            252 => isize::MAX - 1,
            248..=251 => isize::arbitrary(u)?,
            240..=247 => i16::arbitrary(u)?.into(),
            small => isize::from(small % 16) - 4,
        }))
    }
}

impl<'a> Arbitrary<'a> for Extent {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Extent(match u8::arbitrary(u)? {
            255 => usize::MAX,
            254 => isize::MAX as usize,
            253 => 1 << 62,
            248..=252 => usize::arbitrary(u)?,
            240..=247 => u16::arbitrary(u)?.into(),
            small => usize::from(small % 8),
        }))
    }
}

impl<'a> Arbitrary<'a> for Real {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Real(match u8::arbitrary(u)? {
            255 => f64::NAN,
            254 => f64::INFINITY,
            253 => f64::NEG_INFINITY,
            252 => -0.0,
            251 => f64::MAX,
            250 => f64::MIN_POSITIVE,
            246..=249 => f64::arbitrary(u)?,
            small => f64::from(small % 32) / 8.0 - 1.0,
        }))
    }
}

/// Runs a target on the request that the bytes describe. Bytes that end within it describe none.
pub(crate) fn read(data: &[u8], run: fn(&mut Unstructured<'_>) -> Result<()>) {
    let _ended: Result<()> = run(&mut Unstructured::new(data));
}

/// At most `most` values.
pub(crate) fn list<'a, T: Arbitrary<'a>>(u: &mut Unstructured<'a>, most: usize) -> Result<Vec<T>> {
    let len = u.int_in_range(0..=most)?;
    (0..len).map(|_| T::arbitrary(u)).collect()
}

/// The integers of a list of them.
pub(crate) fn integers(list: &[Small]) -> Vec<isize> {
    list.iter().map(|number| number.0).collect()
}
