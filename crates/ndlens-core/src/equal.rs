//! Whether two views hold the same elements.
//!
//! Elements are compared as numbers, so -0.0 equals 0.0 and NaN equals nothing. Opaque formats are
//! compared by their bytes.

use crate::dtype::DType;
use crate::error::Result;
use crate::room;
use crate::view::{View, ViewRef};
use crate::watch::Meter;

/// Bytes of each view that are compared at once.
const BLOCK_BYTES: usize = 1 << 16;

/// The bits of a float that decide equality if bytes alone do not: two zeros are equal, and a
/// NaN is not.
struct FloatBits {
    /// Bytes of one float; a complex number is two.
    size: usize,
    sign: u64,
    is_nan: fn(u64) -> bool,
    /// The bits of each float, if several together have `size` bytes.
    parts: &'static [u64],
}

/// The bits of a single float.
const WHOLE: &[u64] = &[u64::MAX];

impl FloatBits {
    fn of(dtype: &DType) -> Option<Self> {
        macro_rules! ieee {
            ($size:literal, $infinity:literal) => {
                FloatBits {
                    size: $size,
                    sign: 1 << (8 * $size - 1),
                    is_nan: |bits| bits & !(1 << (8 * $size - 1)) > $infinity,
                    parts: WHOLE,
                }
            };
        }
        Some(match dtype {
            DType::F16 => ieee!(2, 0x7C00),
            DType::Bf16 => ieee!(2, 0x7F80),
            DType::F32 | DType::C64 => ieee!(4, 0x7F80_0000),
            DType::F64 | DType::C128 => ieee!(8, 0x7FF0_0000_0000_0000),
            DType::F8E5M2 => ieee!(1, 0x7C),
            // No infinity: one NaN of either sign.
            DType::F8E4M3FN => {
                FloatBits { size: 1, sign: 0x80, is_nan: |bits| bits & 0x7F == 0x7F, parts: WHOLE }
            }
            // No negative zero: its bits are the NaN.
            DType::F8E4M3FNUZ | DType::F8E5M2FNUZ => {
                FloatBits { size: 1, sign: 0, is_nan: |bits| bits == 0x80, parts: WHOLE }
            }
            DType::F8E8M0FNU => {
                FloatBits { size: 1, sign: 0, is_nan: |bits| bits == 0xFF, parts: WHOLE }
            }
            // No NaN either.
            DType::F4E2M1FNx2 => {
                FloatBits { size: 1, sign: 0x88, is_nan: |_| false, parts: &[0x0F, 0xF0] }
            }
            DType::Bool
            | DType::U8
            | DType::I8
            | DType::U16
            | DType::I16
            | DType::U32
            | DType::I32
            | DType::U64
            | DType::I64
            | DType::Opaque(_) => return None,
        })
    }

    fn equal(&self, a: &[u8], b: &[u8]) -> bool {
        let bits =
            |bytes: &[u8]| bytes.iter().rev().fold(0u64, |bits, &byte| bits << 8 | u64::from(byte));
        a.chunks_exact(self.size).zip(b.chunks_exact(self.size)).all(|(a, b)| {
            let (a, b) = (bits(a), bits(b));
            if a == b {
                return !(self.is_nan)(a);
            }
            self.parts.iter().all(|part| (a ^ b) & part == 0 || (a | b) & part & !self.sign == 0)
        })
    }
}

/// Two views of one shape, compared block by block.
struct Comparison<'a> {
    /// Dtype of both, in this machine's byte order.
    dtype: &'a DType,
    /// Whether each of the two has the other byte order.
    swapped: [bool; 2],
    floats: Option<FloatBits>,
    own: Vec<u8>,
    others: Vec<u8>,
    meter: Meter,
}

impl Comparison<'_> {
    /// Whether the elements are equal; all axes before `axis` have size 1, or the whole is one
    /// block.
    fn equal(&mut self, own: &ViewRef<'_>, other: &ViewRef<'_>, axis: usize) -> Result<bool> {
        let nbytes = own.nbytes();
        if nbytes <= self.own.len() {
            return self.block(own, other, nbytes);
        }
        // The part is larger than one element, so an axis is left; it is not empty, so the axis has
        // a size.
        let size = own.shape()[axis];
        let count = self.own.len() / (nbytes / size);
        for start in (0..size).step_by(count.max(1)) {
            let count = count.max(1).min(size - start);
            let (own, other) = (own.narrow(axis, start, count)?, other.narrow(axis, start, count)?);
            if !self.equal(&own, &other, axis + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn block(&mut self, own: &ViewRef<'_>, other: &ViewRef<'_>, nbytes: usize) -> Result<bool> {
        let (a, b) = (&mut self.own[..nbytes], &mut self.others[..nbytes]);
        own.read_counted(a, &mut self.meter)?;
        other.read_counted(b, &mut self.meter)?;
        for (bytes, is_swapped) in [&mut *a, &mut *b].into_iter().zip(self.swapped) {
            if is_swapped {
                self.dtype.swap_bytes(bytes);
            }
        }
        Ok(match &self.floats {
            Some(floats) => floats.equal(a, b),
            None => a == b,
        })
    }
}

impl View {
    /// Whether the two have the same shape and equal elements; None if their dtypes differ in more
    /// than byte order.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory); the errors of
    /// [`Owner::verify`](crate::Owner::verify) of either.
    pub fn equals(&self, other: &View) -> Result<Option<bool>> {
        let (own, others) = (self.dtype().swapped(), other.dtype().swapped());
        let dtype = own.as_ref().unwrap_or(self.dtype());
        if dtype != others.as_ref().unwrap_or(other.dtype()) {
            return Ok(None);
        }
        if self.shape() != other.shape() {
            return Ok(Some(false));
        }
        self.buffer().verify()?;
        other.buffer().verify()?;
        let room = BLOCK_BYTES.max(self.itemsize()).min(self.nbytes());
        let mut comparison = Comparison {
            floats: FloatBits::of(dtype),
            dtype,
            swapped: [own.is_some(), others.is_some()],
            own: room::repeated(0, room)?,
            others: room::repeated(0, room)?,
            meter: Meter::default(),
        };
        let equal = comparison.equal(&self.as_ref(), &other.as_ref(), 0)?;
        self.buffer().verify_read()?;
        other.buffer().verify_read()?;
        Ok(Some(equal))
    }

    /// The elements' bytes in C order.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory); the errors of
    /// [`Owner::verify`](crate::Owner::verify).
    pub fn packed_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = room::repeated(0, self.nbytes())?;
        self.read_into(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Buffer, Layout, Order};

    #[test]
    fn floats_are_equal_as_numbers() {
        let floats = |a: [f32; 3]| View::from_vec(a.to_vec());
        let equal = |a, b| floats(a).equals(&floats(b)).unwrap().unwrap();
        assert!(equal([0.0, 1.0, f32::INFINITY], [-0.0, 1.0, f32::INFINITY]));
        assert!(!equal([f32::NAN; 3], [f32::NAN; 3]));
        assert!(!equal([1.0; 3], [-1.0; 3]));
    }

    #[test]
    fn every_small_float_equals_itself_unless_it_is_no_number() {
        let nans = [
            (DType::F8E5M2, 6),
            (DType::F8E4M3FN, 2),
            (DType::F8E4M3FNUZ, 1),
            (DType::F8E5M2FNUZ, 1),
            (DType::F8E8M0FNU, 1),
        ];
        for (dtype, expected) in nans {
            let one = |bits: u8| {
                let layout = Layout::contiguous(&[], 1, Order::C).unwrap();
                View::new(Buffer::from_vec(vec![bits]), layout, dtype.clone()).unwrap()
            };
            let unequal = (0..=255)
                .filter(|&bits| one(bits).equals(&one(bits)).unwrap() == Some(false))
                .count();
            assert_eq!(unequal, expected, "{dtype}");
        }
    }

    #[test]
    fn one_byte_that_differs_is_found_in_any_block() {
        // Rows that fill a block and more, many short rows, one long row, axes of size 1 before
        // them.
        for shape in [&[3, 70_000][..], &[70_000, 3], &[210_000], &[1, 1, 7, 30_000]] {
            let bytes = |changed: Option<usize>| {
                let bytes = (0..210_000).map(|at| (at % 251) as u8 ^ u8::from(changed == Some(at)));
                View::from_vec(bytes.collect::<Vec<_>>()).reshape(shape).unwrap()
            };
            assert_eq!(bytes(None).equals(&bytes(None)), Ok(Some(true)));
            for at in [0, 65_535, 65_536, 69_999, 131_072, 209_999] {
                assert_eq!(bytes(None).equals(&bytes(Some(at))), Ok(Some(false)), "{shape:?} {at}");
            }
        }
    }

    #[test]
    fn both_zeros_of_a_4_bit_float_are_equal() {
        let value = |bits: u8| [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0][usize::from(bits & 7)];
        let signed = |bits: u8| if bits & 8 == 0 { value(bits) } else { -value(bits) };
        let pair = |byte: u8| {
            let view = View::from_vec(vec![byte]).reinterpret(DType::F4E2M1FNx2).unwrap();
            (view, (signed(byte & 15), signed(byte >> 4)))
        };
        for a in (0..=255).map(pair) {
            for b in (0..=255).map(pair) {
                assert_eq!(a.0.equals(&b.0), Ok(Some(a.1 == b.1)), "{:?} {:?}", a.1, b.1);
            }
        }
    }

    #[test]
    fn the_byte_order_does_not_count() {
        let big_endian = |bytes: Vec<u8>, format: &str, itemsize: usize| {
            let layout = Layout::contiguous(&[bytes.len() / itemsize], itemsize, Order::C).unwrap();
            let dtype = DType::from_format(format, itemsize).unwrap();
            View::new(Buffer::from_vec(bytes), layout, dtype).unwrap()
        };
        let numbers = [1.5f32, -0.0, 3.0];
        let swapped = big_endian(numbers.iter().flat_map(|n| n.to_be_bytes()).collect(), ">f", 4);
        assert_eq!(swapped.equals(&View::from_vec(numbers.to_vec())), Ok(Some(true)));
        assert_eq!(View::from_vec(numbers.to_vec()).equals(&swapped), Ok(Some(true)));
        assert_eq!(swapped.equals(&View::from_vec(vec![1.5f32, 0.0, 4.0])), Ok(Some(false)));
        assert_eq!(swapped.equals(&View::from_vec(vec![1i32, 0, 3])), Ok(None));
        let nan = big_endian(f32::NAN.to_be_bytes().to_vec(), ">f", 4);
        assert_eq!(nan.equals(&nan), Ok(Some(false)));
    }

    #[test]
    fn shapes_and_dtypes_count() {
        let view = View::from_vec(vec![1u8, 2, 3, 4]);
        assert_eq!(view.equals(&view.reshape(&[2, 2]).unwrap()), Ok(Some(false)));
        assert_eq!(view.equals(&View::from_vec(vec![1i8, 2, 3, 4])), Ok(None));
        assert_eq!(
            view.flip(&[0]).unwrap().equals(&View::from_vec(vec![4u8, 3, 2, 1])),
            Ok(Some(true))
        );
    }
}
