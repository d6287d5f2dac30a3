//! Any chain on any dtype: rows are read in blocks, and each stage passes over a block while it stays in the
//! first-level cache.
//!
//! One loop per stage over an array of floats is what compilers turn into vector code, and a handful of loops serves
//! every combination of source, target and chain, which one loop per combination would not.

#![expect(unsafe_code, reason = "reads elements through raw pointers; see UNSAFE.md")]

use std::ptr;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use ndlens_core::DType;

use crate::program::{Float, Op, Program, Stage};
use crate::rows::Rows;
use crate::scalar::of_channel;

/// Elements of a block: 2 KiB of `f32` and 4 KiB of `f64`.
const LEN: usize = 512;

/// A block on its way through the stages: in `double` where its dtype is `f64`, in `single` for narrower floats.
struct Block {
    single: [f32; LEN],
    double: [f64; LEN],
}

/// The channels of a block's elements.
#[derive(Clone, Copy)]
struct Channels {
    first: usize,
    cycle: usize,
}

/// Writes what becomes of the elements of `rows`, relative to `first`, to `dst`, which has room for just them.
///
/// # Safety
///
/// They must be readable and of the program's source.
pub(crate) unsafe fn run(program: &Program, first: *const u8, rows: &Rows, dst: &mut [u8]) {
    let itemsize = program.dtype.itemsize();
    let mut block = Block { single: [0.0; LEN], double: [0.0; LEN] };
    let source = Float::from_dtype(&program.source).or(program.stages.first().map(|stage| stage.dtype));
    let wide = source == Some(Float::F64);
    rows.for_each(|row| {
        let to = &mut dst[row.at * itemsize..][..row.count * itemsize];
        for (i, to) in to.chunks_mut(LEN * itemsize).enumerate() {
            let (done, count) = (i * LEN, to.len() / itemsize);
            let from = first.wrapping_offset(row.offset + done as isize * rows.stride_bytes);
            // SAFETY: by invariant 1 of `Rows` these are `count` of its elements, for which the caller vouches.
            unsafe { block.load(&program.source, wide, from, rows.stride_bytes, count) };
            let channel = if rows.cycle > 1 { done % rows.cycle } else { row.channel };
            let channels = Channels { first: channel, cycle: rows.cycle };
            let mut in_double = wide;
            for (i, stage) in program.stages.iter().enumerate() {
                // Between two stages; after the last, `store` rounds.
                if i > 0 {
                    block.round(program.stages[i - 1].dtype, count);
                }
                block.compute(stage, in_double, count, channels);
                in_double = stage.dtype == Float::F64;
            }
            block.store(&program.dtype, to);
        }
    });
}

impl Block {
    /// Reads `count` elements that stand `stride` bytes apart, into `double` if `wide`.
    ///
    /// # Safety
    ///
    /// Each must be readable and of dtype `source`; `count` must be at most [`LEN`].
    unsafe fn load(&mut self, source: &DType, wide: bool, from: *const u8, stride: isize, count: usize) {
        macro_rules! load {
            ($rust:ty, $element:ident => $single:expr, $double:expr) => {
                if wide {
                    for (i, out) in self.double[..count].iter_mut().enumerate() {
                        // SAFETY: the caller vouches for element i; it need not be aligned.
                        let $element = unsafe { element::<$rust>(from, stride, i) };
                        *out = $double;
                    }
                } else {
                    for (i, out) in self.single[..count].iter_mut().enumerate() {
                        // SAFETY: as above.
                        let $element = unsafe { element::<$rust>(from, stride, i) };
                        *out = $single;
                    }
                }
            };
        }
        match source {
            DType::Bool => load!(u8, x => f32::from(x != 0), f64::from(x != 0)),
            DType::U8 => load!(u8, x => x.into(), x.into()),
            DType::I8 => load!(i8, x => x.into(), x.into()),
            DType::U16 => load!(u16, x => x.into(), x.into()),
            DType::I16 => load!(i16, x => x.into(), x.into()),
            DType::U32 => load!(u32, x => x as f32, x.into()),
            DType::I32 => load!(i32, x => x as f32, x.into()),
            DType::U64 => load!(u64, x => x as f32, x as f64),
            DType::I64 => load!(i64, x => x as f32, x as f64),
            DType::F16 => load!(u16, x => f16::from_bits(x).to_f32(), f16::from_bits(x).to_f64()),
            DType::Bf16 => load!(u16, x => bf16::from_bits(x).to_f32(), bf16::from_bits(x).to_f64()),
            DType::F32 => load!(f32, x => x, x.into()),
            DType::F64 => load!(f64, x => x as f32, x),
            _ => unreachable!("programs refuse {source}"),
        }
    }

    fn compute(&mut self, stage: &Stage, in_double: bool, count: usize, channels: Channels) {
        let (single, double) = (&mut self.single[..count], &mut self.double[..count]);
        if stage.dtype == Float::F64 {
            match &stage.op {
                Op::Cast if in_double => {}
                Op::Cast => double.iter_mut().zip(single).for_each(|(d, s)| *d = f64::from(*s)),
                Op::Scale(factor) => double.iter_mut().for_each(|x| *x *= factor),
                Op::Sub(values) => channels.each(double, values, |x, mean| *x -= mean),
                Op::Div(values) => channels.each(double, values, |x, std| *x /= std),
            }
            return;
        }
        match &stage.op {
            Op::Cast if in_double => single.iter_mut().zip(double).for_each(|(s, d)| *s = *d as f32),
            Op::Cast => {}
            Op::Scale(factor) => single.iter_mut().for_each(|x| *x *= *factor as f32),
            Op::Sub(values) => channels.each(single, values, |x, mean| *x -= mean as f32),
            Op::Div(values) => channels.each(single, values, |x, std| *x /= std as f32),
        }
    }

    /// Gives up what `dtype` has no bits for.
    fn round(&mut self, dtype: Float, count: usize) {
        if matches!(dtype, Float::F16 | Float::Bf16) {
            self.single[..count].iter_mut().for_each(|x| *x = dtype.round_single(*x));
        }
    }

    /// Writes as many elements as `to` has room for.
    fn store(&self, dtype: &DType, to: &mut [u8]) {
        match dtype {
            DType::F16 => {
                let mut halves = [f16::ZERO; LEN];
                halves.convert_from_f32_slice(&self.single);
                store(&halves, to, f16::to_le_bytes);
            }
            DType::Bf16 => {
                let mut halves = [bf16::ZERO; LEN];
                halves.convert_from_f32_slice(&self.single);
                store(&halves, to, bf16::to_le_bytes);
            }
            DType::F32 => store(&self.single, to, f32::to_le_bytes),
            _ => store(&self.double, to, f64::to_le_bytes),
        }
    }
}

impl Channels {
    /// Calls `f` with each element and its channel's value.
    fn each<T>(self, elements: &mut [T], values: &[f64], f: impl Fn(&mut T, f64)) {
        if self.cycle == 1 || values.len() == 1 {
            let value = of_channel(values, self.first);
            return elements.iter_mut().for_each(|x| f(x, value));
        }
        let mut channel = self.first;
        for x in elements {
            f(x, values[channel]);
            channel = if channel + 1 == self.cycle { 0 } else { channel + 1 };
        }
    }
}

/// Element `i` of those that stand `stride` bytes apart from `from` on.
///
/// # Safety
///
/// It must be readable and a T, for which every bit pattern is a value.
unsafe fn element<T: Copy>(from: *const u8, stride: isize, i: usize) -> T {
    // SAFETY: the caller vouches for the element; it need not be aligned.
    unsafe { ptr::read_unaligned(from.wrapping_offset(i as isize * stride).cast()) }
}

fn store<T: Copy, const N: usize>(from: &[T], to: &mut [u8], bytes: impl Fn(T) -> [u8; N]) {
    for (to, &x) in to.as_chunks_mut().0.iter_mut().zip(from) {
        *to = bytes(x);
    }
}
