//! The body for any chain on any dtype: rows are read in blocks, and each stage passes over a block
//! while it stays in the first-level cache.
//!
//! Compilers turn one loop over an array of floats for each stage into vector code. A few loops
//! serve all combinations of source, target and chain, instead of one loop for each combination.

#![expect(unsafe_code, reason = "reads elements through raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use std::ptr;

use ndlens_core::DType;

use crate::map::integer::{Integer, LIMIT_32, truncate_to_i64, truncate_to_u64};
use crate::map::program::of_channel;
use crate::map::program::{Float, MapProgram, Op, Stage};
use crate::map::rows::{ElementRows, Group, Row};
use crate::simd::half::{Bf16, F16, Half, write_bfloat16, write_float16};
use crate::simd::level::{Body, Level};

/// Elements of a block: 1 KiB of `f32`, and 2 KiB of `f64` and of integers.
const LEN: usize = 256;

/// A block in the middle of the stages, in one of its arrays.
struct Block<const HALVES: bool> {
    level: Level,
    /// Floats of up to 32 bits.
    single: [f32; LEN],
    double: [f64; LEN],
    /// Integers, those of `uint64` by their bits.
    integer: [i64; LEN],
    place: Place,
}

/// The array that a block's elements are in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Single,
    Double,
    Signed,
    /// In the array of integers, as `uint64`.
    Unsigned,
}

impl Place {
    /// The place that elements of `source` are loaded to: that of integers if the source has
    /// integers and the first stage is not one of floats.
    fn of_source(program: &MapProgram) -> Place {
        match (Float::from_dtype(&program.source), program.stages.first()) {
            (Some(float), _) | (None, Some(&Stage::Float { dtype: float, .. })) => {
                Place::of_float(float)
            }
            (None, Some(Stage::Integer { .. }) | None) => {
                match Integer::from_dtype(&program.source) {
                    Some(Integer::U64) => Place::Unsigned,
                    Some(
                        Integer::Bool
                        | Integer::U8
                        | Integer::I8
                        | Integer::U16
                        | Integer::I16
                        | Integer::U32
                        | Integer::I32
                        | Integer::I64,
                    )
                    // Programs have sources of numbers only.
                    | None => Place::Signed,
                }
            }
        }
    }

    fn of_float(dtype: Float) -> Place {
        if dtype == Float::F64 { Place::Double } else { Place::Single }
    }
}

/// The channels of a block's elements.
#[derive(Clone, Copy)]
struct ChannelCycle {
    first: usize,
    cycle: usize,
}

/// Writes the results for the elements of `rows`, relative to `first`, to `dst`, which has their
/// exact size.
///
/// # Safety
///
/// They must be readable and of the program's source.
pub(crate) unsafe fn run(
    level: Level,
    program: &MapProgram,
    first: *const u8,
    rows: &ElementRows,
    dst: &mut [u8],
) {
    if program.has_halves() {
        run_blocks::<true>(level, program, first, rows, dst);
    } else {
        run_blocks::<false>(level, program, first, rows, dst);
    }
}

/// As [`run`], with or without the code for floats of 16 bits, which makes the rest slower.
fn run_blocks<const HALVES: bool>(
    level: Level,
    program: &MapProgram,
    first: *const u8,
    rows: &ElementRows,
    dst: &mut [u8],
) {
    let block = Block::<HALVES>::new(level, program);
    let mut blocks = Blocks { block, program, first, rows, dst };
    // A closure is a function of its own, which would be compiled without the level's
    // instructions. So it is each group of rows that runs at the level.
    rows.for_each_group(|group| level.run(BlockRows { blocks: &mut blocks, group: &group }));
}

/// Rows that go through the stages.
///
/// # Invariants
///
/// 1. The elements of `rows`, relative to `first`, are readable and of the program's source.
struct Blocks<'a, const HALVES: bool> {
    block: Block<HALVES>,
    program: &'a MapProgram,
    first: *const u8,
    rows: &'a ElementRows,
    dst: &'a mut [u8],
}

/// Maps some of the rows, block by block.
struct BlockRows<'a, 'b, const HALVES: bool> {
    blocks: &'a mut Blocks<'b, HALVES>,
    group: &'a Group,
}

impl<const HALVES: bool> Body for BlockRows<'_, '_, HALVES> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let &mut Blocks { ref mut block, program, first, rows, ref mut dst } = self.blocks;
        let group = *self.group;
        for i in 0..group.count() {
            // SAFETY: by invariant 1 of `ElementRows` the row's elements are some of those of
            // invariant 1 of `Blocks`.
            unsafe { block.run(program, first, rows, group.row(i), dst) }
        }
    }
}

impl<const HALVES: bool> Block<HALVES> {
    #[inline(always)]
    fn new(level: Level, program: &MapProgram) -> Self {
        let place = Place::of_source(program);
        Block { level, single: [0.0; LEN], double: [0.0; LEN], integer: [0; LEN], place }
    }

    /// Takes a row through the stages, block by block.
    ///
    /// # Safety
    ///
    /// The row's elements, relative to `first`, must be readable and of the program's source.
    #[inline(always)]
    unsafe fn run(
        &mut self,
        program: &MapProgram,
        first: *const u8,
        rows: &ElementRows,
        row: Row,
        dst: &mut [u8],
    ) {
        let itemsize = program.dtype.itemsize();
        let to = &mut dst[row.at * itemsize..][..row.count * itemsize];
        for (i, to) in to.chunks_mut(LEN * itemsize).enumerate() {
            let (done, count) = (i * LEN, to.len() / itemsize);
            let from = first.wrapping_offset(row.offset + done as isize * rows.stride_bytes);
            self.place = Place::of_source(program);
            // SAFETY: these are `count` of the row's elements, which the caller guarantees.
            unsafe { self.load(&program.source, from, rows.stride_bytes, count) };
            let channel = if rows.cycle > 1 { done % rows.cycle } else { row.channel };
            let channels = ChannelCycle { first: channel, cycle: rows.cycle };
            for (i, stage) in program.stages.iter().enumerate() {
                // Between two stages; after the last, `store` rounds.
                if i > 0
                    && let Stage::Float { dtype, .. } = program.stages[i - 1]
                {
                    self.round(dtype, count);
                }
                match stage {
                    Stage::Float { dtype, op } => self.compute(*dtype, op, count, channels),
                    Stage::Integer { dtype, shift } => self.cut(*dtype, *shift, count),
                }
            }
            self.store(&program.dtype, to);
        }
    }

    /// Reads `count` elements that stand `stride` bytes apart to their place.
    ///
    /// # Safety
    ///
    /// Each must be readable and of dtype `source`; `count` must be at most [`LEN`].
    #[inline(always)]
    unsafe fn load(&mut self, source: &DType, from: *const u8, stride: isize, count: usize) {
        macro_rules! load {
            ($rust:ty, $element:ident => $single:expr, $double:expr $(, $integer:expr)?) => {
                // SAFETY: the caller guarantees the elements.
                unsafe {
                    match self.place {
                        Place::Single => {
                            read(from, stride, &mut self.single[..count], |$element: $rust| {
                                $single
                            });
                        }
                        Place::Double => {
                            read(from, stride, &mut self.double[..count], |$element: $rust| {
                                $double
                            });
                        }
                        // Floats are never loaded as integers.
                        Place::Signed | Place::Unsigned => {
                            $(read(
                                from,
                                stride,
                                &mut self.integer[..count],
                                |$element: $rust| $integer,
                            );)?
                        }
                    }
                }
            };
        }
        match source {
            DType::Bool => load!(u8, x => f32::from(x != 0), f64::from(x != 0), i64::from(x != 0)),
            DType::U8 => load!(u8, x => x.into(), x.into(), x.into()),
            DType::I8 => load!(i8, x => x.into(), x.into(), x.into()),
            DType::U16 => load!(u16, x => x.into(), x.into(), x.into()),
            DType::I16 => load!(i16, x => x.into(), x.into(), x.into()),
            DType::U32 => load!(u32, x => x as f32, x.into(), x.into()),
            DType::I32 => load!(i32, x => x as f32, x.into(), x.into()),
            DType::U64 => load!(u64, x => x as f32, x as f64, x.cast_signed()),
            DType::I64 => load!(i64, x => x as f32, x as f64, x),
            DType::F16 if HALVES => load!(u16, x => F16::widen(x), F16::widen(x).into()),
            DType::Bf16 if HALVES => load!(u16, x => Bf16::widen(x), Bf16::widen(x).into()),
            DType::F32 => load!(f32, x => x, x.into()),
            DType::F64 => load!(f64, x => x as f32, x),
            DType::F16
            | DType::Bf16
            | DType::C64
            | DType::C128
            | DType::F8E4M3FN
            | DType::F8E5M2
            | DType::F8E4M3FNUZ
            | DType::F8E5M2FNUZ
            | DType::F8E8M0FNU
            | DType::F4E2M1FNx2
            | DType::Opaque(_) => unreachable!("programs refuse {source}"),
        }
    }

    /// An operation in a float.
    #[inline(always)]
    fn compute(&mut self, dtype: Float, op: &Op, count: usize, channels: ChannelCycle) {
        self.move_to(Place::of_float(dtype), count);
        if dtype == Float::F64 {
            let double = &mut self.double[..count];
            match op {
                Op::Cast => {}
                Op::Scale(factor) => double.iter_mut().for_each(|x| *x *= factor),
                Op::Sub(values) => channels.each(double, values, |x, mean| *x -= mean),
                Op::Div(values) => channels.each(double, values, |x, std| *x /= std),
            }
            return;
        }
        let single = &mut self.single[..count];
        match op {
            Op::Cast => {}
            Op::Scale(factor) => single.iter_mut().for_each(|x| *x *= *factor as f32),
            Op::Sub(values) => channels.each(single, values, |x, mean| *x -= mean as f32),
            Op::Div(values) => channels.each(single, values, |x, std| *x /= std as f32),
        }
    }

    /// Moves elements to a place of floats.
    #[inline(always)]
    fn move_to(&mut self, place: Place, count: usize) {
        fn convert<T: Copy, U>(from: &[T], to: &mut [U], f: impl Fn(T) -> U) {
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = f(from));
        }
        let (single, double) = (&mut self.single[..count], &mut self.double[..count]);
        let integer = &self.integer[..count];
        match (self.place, place) {
            (Place::Double, Place::Single) => convert(double, single, |x| x as f32),
            (Place::Single, Place::Double) => convert(single, double, f64::from),
            (Place::Signed, Place::Single) => convert(integer, single, |x| x as f32),
            (Place::Signed, Place::Double) => convert(integer, double, |x| x as f64),
            (Place::Unsigned, Place::Single) => {
                convert(integer, single, |x| x.cast_unsigned() as f32);
            }
            (Place::Unsigned, Place::Double) => {
                convert(integer, double, |x| x.cast_unsigned() as f64);
            }
            (Place::Single, Place::Single) | (Place::Double, Place::Double) => {}
            (_, Place::Signed | Place::Unsigned) => unreachable!("no stage of floats has integers"),
        }
        self.place = place;
    }

    /// Converts the elements to integers, cut to their width. Integers are shifted first.
    #[inline(always)]
    fn cut(&mut self, dtype: Integer, shift: i32, count: usize) {
        let integer = &mut self.integer[..count];
        match self.place {
            Place::Single => {
                // From 2^31 on, the low byte of an f32 is 0: 32 bits do, which vectors have an
                // instruction for.
                let by = if dtype == Integer::U8 { Integer::I32 } else { dtype };
                truncate(&self.single[..count], integer, by, f64::from);
            }
            Place::Double => truncate(&self.double[..count], integer, dtype, |x| x),
            Place::Signed | Place::Unsigned if shift < 0 => {
                for x in integer.iter_mut() {
                    *x >>= -shift;
                }
            }
            Place::Signed | Place::Unsigned if shift > 0 => {
                for x in integer.iter_mut() {
                    *x <<= shift;
                }
            }
            Place::Signed | Place::Unsigned => {}
        }
        match dtype {
            Integer::Bool => integer.iter_mut().for_each(|x| *x = (*x != 0).into()),
            Integer::U8 => integer.iter_mut().for_each(|x| *x = (*x as u8).into()),
            Integer::I8 => integer.iter_mut().for_each(|x| *x = (*x as i8).into()),
            Integer::U16 => integer.iter_mut().for_each(|x| *x = (*x as u16).into()),
            Integer::I16 => integer.iter_mut().for_each(|x| *x = (*x as i16).into()),
            Integer::U32 => integer.iter_mut().for_each(|x| *x = (*x as u32).into()),
            Integer::I32 => integer.iter_mut().for_each(|x| *x = (*x as i32).into()),
            Integer::U64 | Integer::I64 => {}
        }
        self.place = if dtype == Integer::U64 { Place::Unsigned } else { Place::Signed };
    }

    /// Rounds to `dtype`.
    #[inline(always)]
    fn round(&mut self, dtype: Float, count: usize) {
        if HALVES && matches!(dtype, Float::F16 | Float::Bf16) {
            self.single[..count].iter_mut().for_each(|x| *x = dtype.round_single(*x));
        }
    }

    /// Writes as many elements as `to` has room for.
    #[inline(always)]
    fn store(&self, dtype: &DType, to: &mut [u8]) {
        match dtype {
            DType::F16 if HALVES => write_float16(self.level, &self.single, to),
            DType::Bf16 if HALVES => write_bfloat16(&self.single, to),
            DType::F32 => store(&self.single, to, f32::to_le_bytes),
            DType::F64 => store(&self.double, to, f64::to_le_bytes),
            DType::Bool | DType::U8 | DType::I8 => store(&self.integer, to, |x| [x as u8]),
            DType::U16 | DType::I16 => store(&self.integer, to, |x| (x as u16).to_le_bytes()),
            DType::U32 | DType::I32 => store(&self.integer, to, |x| (x as u32).to_le_bytes()),
            DType::U64 | DType::I64 => store(&self.integer, to, i64::to_le_bytes),
            DType::F16
            | DType::Bf16
            | DType::C64
            | DType::C128
            | DType::F8E4M3FN
            | DType::F8E5M2
            | DType::F8E4M3FNUZ
            | DType::F8E5M2FNUZ
            | DType::F8E8M0FNU
            | DType::F4E2M1FNx2
            | DType::Opaque(_) => unreachable!("programs refuse {dtype}"),
        }
    }
}

/// Truncates floats as [`Integer::truncate`] does, up to the width of the integers.
#[inline(always)]
fn truncate<T: Copy>(from: &[T], to: &mut [i64], dtype: Integer, wide: impl Fn(T) -> f64) {
    let each = from.iter().zip(to);
    match dtype {
        Integer::Bool => each.for_each(|(&x, to)| *to = (wide(x) != 0.0).into()),
        Integer::I8 | Integer::U16 | Integer::I16 | Integer::I32 => each.for_each(|(&x, to)| {
            let x = wide(x);
            let fitting = if x.abs() < LIMIT_32 { x } else { -LIMIT_32 };
            // SAFETY: `fitting` is a number of which an i32 holds the whole part.
            *to = unsafe { fitting.to_int_unchecked::<i32>() }.into();
        }),
        Integer::U8 | Integer::U32 | Integer::I64 => {
            each.for_each(|(&x, to)| *to = truncate_to_i64(wide(x)));
        }
        Integer::U64 => each.for_each(|(&x, to)| *to = truncate_to_u64(wide(x)).cast_signed()),
    }
}

impl ChannelCycle {
    /// Calls `f` with each element and its channel's value.
    #[inline(always)]
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

/// Reads elements that stand `stride` bytes apart from `from` on.
///
/// # Safety
///
/// As many as `to` has must be readable there, and a T, for which every bit pattern is a value.
#[inline(always)]
unsafe fn read<T: Copy, U>(from: *const u8, stride: isize, to: &mut [U], f: impl Fn(T) -> U) {
    let packed = size_of::<T>() as isize;
    // Twice the same: with a stride that it knows, the compiler loads vectors.
    if stride == packed {
        for (i, to) in to.iter_mut().enumerate() {
            // SAFETY: the caller guarantees element i; it need not be aligned.
            *to =
                f(unsafe { ptr::read_unaligned(from.wrapping_offset(i as isize * packed).cast()) });
        }
        return;
    }
    for (i, to) in to.iter_mut().enumerate() {
        // SAFETY: as above.
        *to = f(unsafe { ptr::read_unaligned(from.wrapping_offset(i as isize * stride).cast()) });
    }
}

#[inline(always)]
fn store<T: Copy, const N: usize>(from: &[T], to: &mut [u8], bytes: impl Fn(T) -> [u8; N]) {
    for (to, &x) in to.as_chunks_mut().0.iter_mut().zip(from) {
        *to = bytes(x);
    }
}
