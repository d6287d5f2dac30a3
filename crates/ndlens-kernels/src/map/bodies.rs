//! Which body runs: the safe face of the fast ones.

#![expect(
    unsafe_code,
    reason = "reads elements through raw pointers and calls vector bodies; see UNSAFE.md"
)]

use std::ptr;

use ndlens_core::{DType, ViewRef, room};

use crate::error::Result;
use crate::map::Stores;
use crate::map::generic;
#[cfg(target_arch = "x86_64")]
use crate::map::packed::{Lookups, map_pixels, map_rows};
use crate::map::program::{Float, Op, Program, Stage};
use crate::map::rows::Rows;
#[cfg(target_arch = "x86_64")]
use crate::pixels::avx512::{BLOCK, Values};
use crate::resize::source::Source;
use crate::simd::level::Isa;
#[cfg(target_arch = "x86_64")]
use crate::simd::x86_64::vector;

/// Beyond this many channels with values of their own, tables would not stay in the second-level
/// cache.
const MAX_TABLES: usize = 64;

/// Rows of fewer pixels are not worth splitting in registers.
const MIN_SPLIT: usize = 16;

/// Shorter rows of results that are affine are computed, and shorter ones of others than `BLOCK`
/// are looked up one by one.
#[cfg(target_arch = "x86_64")]
const MIN_LOOKED_UP: usize = 1024;

/// The most lanes of a vector, and so how far [`Affine`]'s cyclic values reach beyond one cycle.
pub(crate) const MAX_LANES: usize = 16;

/// What was prepared when the map was compiled.
#[derive(Debug, Clone)]
pub(crate) struct Body {
    isa: Isa,
    table: Option<Table>,
    /// The table, where there is a body that looks up in registers.
    #[cfg(target_arch = "x86_64")]
    lookups: Option<Lookups>,
    affine: Option<Affine>,
}

/// All results of one-byte elements, by channel and byte, by the size of a result.
#[derive(Debug, Clone)]
pub(crate) enum Table {
    One(Vec<[[u8; 1]; 256]>),
    Two(Vec<[[u8; 2]; 256]>),
    Four(Vec<[[u8; 4]; 256]>),
    Eight(Vec<[[u8; 8]; 256]>),
}

/// `(x * scale - mean) / std` in `f32`, for `uint8` x.
#[derive(Debug, Clone)]
pub(crate) struct Affine {
    pub(crate) rounding: Rounding,
    pub(crate) scale: f32,
    pub(crate) normalize: Option<Normalize>,
}

/// What results are rounded to: only the last, or that of `each` operation. None of a bfloat16 is
/// NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rounding {
    Single,
    Float16 { each: bool },
    Bfloat16 { each: bool },
}

/// Values by channel. Each vector goes on cyclically for [`MAX_LANES`] more values, so that a
/// register can be loaded from any channel on.
#[derive(Debug, Clone)]
pub(crate) struct Normalize {
    pub(crate) mean: Vec<f32>,
    pub(crate) std: Vec<f32>,
    pub(crate) inverse: Vec<f32>,
    /// Whether multiply, residual, correct gives the bits of a division for every input.
    pub(crate) by_inverse: bool,
}

impl Body {
    pub(crate) fn new(program: &Program, channels: usize, isa: Isa) -> Self {
        let channels = if program.tells_channels_apart() { channels } else { 1 };
        let table = Table::new(program, channels);
        Body {
            isa,
            #[cfg(target_arch = "x86_64")]
            lookups: table.as_ref().filter(|_| isa == Isa::Avx512).and_then(Lookups::new),
            table,
            affine: Affine::new(program, channels),
        }
    }

    /// Writes what becomes of the elements of `src`, of which there are some, to `dst`, which has
    /// room for just them. `channel_axis` is None where channels need not be told apart.
    pub(crate) fn run(
        &self,
        program: &Program,
        src: &ViewRef<'_>,
        channel_axis: Option<usize>,
        dst: &mut [u8],
        stores: Stores,
    ) -> Result<()> {
        if self.run_pixels(program, src, channel_axis, dst, stores) {
            return Ok(());
        }
        if program.stages.is_empty() {
            if !(stores == Stores::Stream && self.stream_copy(src, dst)
                || self.split_pixels(src, dst))
            {
                src.read_into(dst)?;
            }
            return Ok(());
        }
        let rows = Rows::new(src.shape(), src.strides(), channel_axis);
        // SAFETY: by invariant 1 of `Rows` its elements are `src`'s, which are readable.
        unsafe { self.run_rows(program, src.as_ptr(), &rows, dst, stores) };
        Ok(())
    }

    /// Writes what becomes of a row of packed elements to `dst`, which has room for just them. They
    /// are of channel `channel`, or of channels `0..cycle` again and again where `cycle` is above
    /// 1; of channel 0 where channels need not be told apart.
    pub(crate) fn run_packed(
        &self,
        program: &Program,
        src: &[u8],
        channel: usize,
        cycle: usize,
        dst: &mut [u8],
    ) {
        if program.stages.is_empty() {
            return dst.copy_from_slice(src);
        }
        let itemsize = program.source.itemsize();
        let rows = Rows::single(src.len() / itemsize, itemsize, channel, cycle);
        // SAFETY: the row's elements are those of the slice.
        unsafe { self.run_rows(program, src.as_ptr(), &rows, dst, Stores::Cached) };
    }

    /// What becomes of a `uint8` value, if that is affine.
    pub(crate) fn affine(&self) -> Option<&Affine> {
        self.affine.as_ref()
    }

    /// # Safety
    ///
    /// The elements of `rows`, relative to `first`, must be readable and of the program's source.
    unsafe fn run_rows(
        &self,
        program: &Program,
        first: *const u8,
        rows: &Rows,
        dst: &mut [u8],
        stores: Stores,
    ) {
        // SAFETY: the caller vouches for the elements.
        unsafe {
            if self.run_vectors(first, rows, dst, stores) {
                return;
            }
            match &self.table {
                Some(Table::One(tables)) => run_table(tables, first, rows, dst),
                Some(Table::Two(tables)) => run_table(tables, first, rows, dst),
                Some(Table::Four(tables)) => run_table(tables, first, rows, dst),
                Some(Table::Eight(tables)) => run_table(tables, first, rows, dst),
                None => generic::run(self.isa, program, first, rows, dst),
            }
        }
    }

    /// What becomes of bytes side by side, if there is a body for that and the machine has its
    /// instructions.
    #[cfg(target_arch = "x86_64")]
    fn values(&self) -> Option<Values<'_>> {
        let single =
            |affine: &&Affine| affine.rounding == Rounding::Single && self.isa == Isa::Avx512;
        let floats = || self.affine.as_ref().filter(single).map(Values::Floats);
        self.lookups.as_ref().map(Lookups::values).or_else(floats)
    }

    /// Maps pixels of bytes to planes, if these are the pixels' channels and there is a body for
    /// it.
    #[cfg(target_arch = "x86_64")]
    fn run_pixels(
        &self,
        program: &Program,
        src: &ViewRef<'_>,
        channel_axis: Option<usize>,
        dst: &mut [u8],
        stores: Stores,
    ) -> bool {
        let is_copy = program.stages.is_empty();
        let values =
            if is_copy && self.isa == Isa::Avx512 { Some(Values::Same) } else { self.values() };
        let (apart, stream) = (channel_axis == Some(0), stores == Stores::Stream);
        match values {
            // SAFETY: the machine has the instructions, as it was asked. Channels that differ are
            // the view's, which were counted.
            Some(values) if apart || channel_axis.is_none() => unsafe {
                map_pixels(values, src, apart, dst, stream)
            },
            _ => false,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn run_pixels(
        &self,
        _: &Program,
        _: &ViewRef<'_>,
        _: Option<usize>,
        _: &mut [u8],
        _: Stores,
    ) -> bool {
        false
    }

    /// Runs a vector body, if there is one for these rows.
    ///
    /// # Safety
    ///
    /// As [`run_rows`](Self::run_rows).
    #[cfg(target_arch = "x86_64")]
    unsafe fn run_vectors(
        &self,
        first: *const u8,
        rows: &Rows,
        dst: &mut [u8],
        stores: Stores,
    ) -> bool {
        // Rows are streamed if they are whole lines, or there is but one; why, `all_rows` of
        // `pixels/avx512.rs` says.
        let aligned = dst.as_ptr().addr().is_multiple_of(vector::LINE);
        let stream = |size: usize| {
            let in_lines = rows.is_single() || aligned && rows.are_multiples(vector::LINE / size);
            stores == Stores::Stream && in_lines
        };
        // Looking up has nothing to win where floats are computed, until rows are long.
        let least = if self.affine.is_some() { MIN_LOOKED_UP } else { BLOCK };
        let lookups = self.lookups.as_ref().filter(|_| rows.shortest() >= least);
        if let Some(values) = lookups.map(Lookups::values) {
            // SAFETY: there are lookups where the machine has the instructions. The caller vouches
            // for the elements; what has a table is of one byte. Who applies a map compares the
            // number of its channels with the axis.
            if unsafe { map_rows(values, first, rows, dst, stream(values.size())) } {
                return true;
            }
        }
        let Some(affine) = &self.affine else { return false };
        let Some(body) = vector::row_body(self.isa, affine, rows.cycle > 1) else { return false };
        if !vector::STRIDES.contains(&rows.stride_bytes.unsigned_abs())
            || rows.shortest() < MAX_LANES
        {
            return false;
        }
        let size = affine.rounding.size();
        let stream = stream(size);
        rows.for_each(|row| {
            let to = &mut dst[row.at * size..][..row.count * size];
            let from = first.wrapping_offset(row.offset);
            let row = vector::ByteRow {
                from,
                stride: rows.stride_bytes,
                channel: row.channel,
                cycle: rows.cycle,
                ahead_bytes: rows.ahead_bytes,
            };
            // SAFETY: `Isa` says that the machine has the body's instructions. The caller vouches
            // for the elements, and they are of one buffer, so the bytes from the first to the last
            // are readable; there are at least MAX_LANES, as `shortest` says; the stride was just
            // looked at. The channel is below the number of channels, for which the affine's values
            // were made: who applies a map compares it with the axis.
            unsafe { body(affine, row, to, stream) };
        });
        if stream {
            vector::fence();
        }
        true
    }

    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn run_vectors(&self, _: *const u8, _: &Rows, _: &mut [u8], _: Stores) -> bool {
        false
    }

    /// Copies pixels of bytes to planes with AVX2, if these are the pixels' channels.
    fn split_pixels(&self, src: &ViewRef<'_>, dst: &mut [u8]) -> bool {
        let (&[channels, height, width], &[apart, _, pixel]) = (src.shape(), src.strides()) else {
            return false;
        };
        let is_split =
            src.dtype().itemsize() == 1 && apart == 1 && pixel.unsigned_abs() == channels;
        if self.isa != Isa::Avx2 || !is_split || !(2..=4).contains(&channels) || width < MIN_SPLIT {
            return false;
        }
        let Ok(pixels) = src.permute(&[1, 2, 0]) else { return false };
        let source = Source::new(&pixels);
        let plane = width.next_multiple_of(64);
        // Without memory for a row of planes, by a body that needs none.
        let Ok(mut row) = room::repeated(0, channels * plane) else { return false };
        for y in 0..height {
            source.split(self.isa, y, &mut row, plane);
            for (channel, from) in row.chunks_exact(plane).enumerate() {
                let to = &mut dst[(channel * height + y) * width..][..width];
                to.copy_from_slice(&from[..width]);
                if source.mirrored {
                    to.reverse();
                }
            }
        }
        true
    }

    /// Copies past the cache, if the elements lie in long rows.
    #[cfg(target_arch = "x86_64")]
    fn stream_copy(&self, src: &ViewRef<'_>, dst: &mut [u8]) -> bool {
        /// A row shorter than this is mostly head and tail, which go through the cache.
        const MIN_ROW_BYTES: usize = 1024;
        let itemsize = src.dtype().itemsize();
        if self.isa < Isa::Avx2 || src.nbytes() < MIN_ROW_BYTES {
            return false;
        }
        let rows = Rows::new(src.shape(), src.strides(), None);
        if rows.stride_bytes != itemsize as isize
            || rows.shortest().saturating_mul(itemsize) < MIN_ROW_BYTES
        {
            return false;
        }
        rows.for_each(|row| {
            let to = &mut dst[row.at * itemsize..][..row.count * itemsize];
            // SAFETY: `Isa` says that the machine has AVX2. By invariant 1 of `Rows` the row's
            // elements are `src`'s, and packed, so as many bytes as `to` has are readable.
            unsafe { vector::stream_copy(src.as_ptr().wrapping_offset(row.offset), to) };
        });
        vector::fence();
        true
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn stream_copy(&self, _: &ViewRef<'_>, _: &mut [u8]) -> bool {
        false
    }
}

impl Table {
    /// Asks the oracle about every byte of every channel, if elements are of one byte.
    fn new(program: &Program, channels: usize) -> Option<Self> {
        let itemsizes = (program.source.itemsize(), program.dtype.itemsize());
        if program.stages.is_empty() || channels > MAX_TABLES {
            return None;
        }
        match itemsizes {
            (1, 1) => Some(Table::One(tables(program, channels))),
            (1, 2) => Some(Table::Two(tables(program, channels))),
            (1, 4) => Some(Table::Four(tables(program, channels))),
            (1, 8) => Some(Table::Eight(tables(program, channels))),
            _ => None,
        }
    }
}

fn tables<const N: usize>(program: &Program, channels: usize) -> Vec<[[u8; N]; 256]> {
    let table = |channel| {
        let mut table = [[0; N]; 256];
        (0u8..=255)
            .zip(&mut table)
            .for_each(|(byte, out)| program.map_element(&[byte], channel, out));
        table
    };
    (0..channels).map(table).collect()
}

/// # Safety
///
/// As [`Body::run_rows`].
unsafe fn run_table<const N: usize>(
    tables: &[[[u8; N]; 256]],
    first: *const u8,
    rows: &Rows,
    dst: &mut [u8],
) {
    let dst = dst.as_chunks_mut::<N>().0;
    rows.for_each(|row| {
        let to = &mut dst[row.at..][..row.count];
        let byte = |i: usize| {
            let offset = row.offset + i as isize * rows.stride_bytes;
            // SAFETY: the caller vouches for the elements, each of one byte.
            usize::from(unsafe { ptr::read(first.wrapping_offset(offset)) })
        };
        if rows.cycle == 1 {
            let table = &tables[row.channel];
            to.iter_mut().enumerate().for_each(|(i, out)| *out = table[byte(i)]);
        } else {
            for (cycle, to) in to.chunks_mut(rows.cycle).enumerate() {
                for (channel, (table, out)) in tables.iter().zip(to).enumerate() {
                    *out = table[byte(cycle * rows.cycle + channel)];
                }
            }
        }
    });
}

impl Affine {
    /// This chain as one affine map, if it is one.
    fn new(program: &Program, channels: usize) -> Option<Self> {
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
        // Where only the end is half-width, only the end is rounded.
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
                Some(Normalize::new(scale, mean, std, rounding, channels)?)
            }
            _ => return None,
        };
        Some(Affine { rounding, scale, normalize })
    }
}

impl Rounding {
    /// The bytes of a result.
    fn size(self) -> usize {
        if self == Rounding::Single { 4 } else { 2 }
    }

    /// The last result.
    fn last(self, value: f32) -> f32 {
        match self {
            Rounding::Single => value,
            Rounding::Float16 { .. } => Float::F16.round_single(value),
            Rounding::Bfloat16 { .. } => Float::Bf16.round_single(value),
        }
    }

    /// Those before it.
    fn each(self, value: f32) -> f32 {
        match self {
            Rounding::Float16 { each: true } | Rounding::Bfloat16 { each: true } => {
                self.last(value)
            }
            _ => value,
        }
    }
}

impl Normalize {
    /// None where results are NaN that cannot be rounded.
    fn new(
        scale: f32,
        mean: &[f64],
        std: &[f64],
        rounding: Rounding,
        channels: usize,
    ) -> Option<Self> {
        let cyclic = |values: &[f64]| -> Vec<f32> {
            let values = values.iter().map(|&value| value as f32);
            values.cycle().take(channels + MAX_LANES).collect()
        };
        let (mean, std) = (cyclic(mean), cyclic(std));
        let inverse: Vec<f32> = std.iter().map(|std| 1.0 / std).collect();
        let (mut by_inverse, mut numbers) = (true, true);
        for channel in 0..channels {
            let (mean, std, inverse) = (mean[channel], std[channel], inverse[channel]);
            for byte in 0u8..=255 {
                let scaled = rounding.each(f32::from(byte) * scale);
                let centered = rounding.each(scaled - mean);
                let divided = rounding.last(centered / std);
                let quotient = centered * inverse;
                let residual = (-quotient).mul_add(std, centered);
                let corrected = rounding.last(residual.mul_add(inverse, quotient));
                by_inverse &= corrected.to_bits() == divided.to_bits();
                numbers &= !divided.is_nan();
            }
        }
        let rounds = !matches!(rounding, Rounding::Bfloat16 { .. }) || numbers;
        rounds.then_some(Normalize { mean, std, inverse, by_inverse })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;

    fn affine(steps: &[Step]) -> Option<Affine> {
        Affine::new(&Program::new(&DType::U8, 3, steps).unwrap(), 3)
    }

    fn to(dtype: DType) -> Step {
        Step::ToDtype { dtype, scale: true }
    }

    fn normalize(mean: &[f64], std: &[f64]) -> Step {
        Step::Normalize { mean: mean.to_vec(), std: std.to_vec() }
    }

    #[test]
    fn imagenets_division_is_done_by_its_inverse_and_an_awkward_one_is_not() {
        let imagenet = normalize(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);
        let by_inverse =
            |step| affine(&[to(DType::F32), step]).unwrap().normalize.unwrap().by_inverse;
        assert!(by_inverse(imagenet));
        // 1 / std overflows, so a product with it cannot be right.
        assert!(!by_inverse(normalize(&[0.5], &[1e-39])));
    }

    #[test]
    fn only_one_scale_and_one_normalize_in_one_float_are_an_affine_map() {
        let half = normalize(&[0.5], &[0.5]);
        let rounding = |steps: &[Step]| affine(steps).map(|affine| affine.rounding);
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
        assert!(affine(&[to(DType::Bf16), endless.clone()]).is_none());
        assert!(affine(&[to(DType::F16), endless]).is_some());
        assert!(affine(&[to(DType::Bf16), normalize(&[1e38], &[1e-38])]).is_some());
    }
}
