//! The choice of a map's body, and the safe interface of the fast bodies.

#![expect(unsafe_code, reason = "calls bodies with raw pointers; see UNSAFE.md")]

use ndlens_core::{ViewRef, room};

use crate::error::Result;
use crate::map::affine::affine;
use crate::map::generic;
#[cfg(target_arch = "x86_64")]
use crate::map::packed::{SplitTables, map_pixels, map_rows};
use crate::map::program::MapProgram;
use crate::map::rows::ElementRows;
use crate::map::table::{Table, run_table};
use crate::map::vector::{ByteRow, row_body};
#[cfg(target_arch = "x86_64")]
use crate::pixels::avx512::{BLOCK, Mapping};
use crate::pixels::{self, PixelRow};
#[cfg(target_arch = "x86_64")]
use crate::simd::affine::Rounding;
use crate::simd::affine::{Affine, MAX_LANES};
#[cfg(target_arch = "x86_64")]
use crate::simd::level::Isa;
use crate::simd::level::Level;
use crate::simd::stores::{LINE, Stores, fence, stream_copy};
use crate::simd::vector::STRIDES;

/// Splitting in registers does not pay off for rows of fewer pixels.
const MIN_SPLIT: usize = 16;

/// Shorter rows are computed if their results are affine. Of other results, rows shorter than
/// `BLOCK` are looked up one by one.
#[cfg(target_arch = "x86_64")]
const MIN_LOOKED_UP: usize = 1024;

/// The bodies that were prepared when the map was compiled.
#[derive(Debug, Clone)]
pub(crate) struct MapBodies {
    level: Level,
    table: Option<Table>,
    /// The table, if there is a body that looks up in registers.
    #[cfg(target_arch = "x86_64")]
    split_tables: Option<SplitTables>,
    affine: Option<Affine>,
}

impl MapBodies {
    pub(crate) fn new(program: &MapProgram, channels: usize, level: Level) -> Self {
        let channels = if program.tells_channels_apart() { channels } else { 1 };
        let table = Table::new(program, channels);
        MapBodies {
            level,
            #[cfg(target_arch = "x86_64")]
            split_tables: table
                .as_ref()
                .filter(|_| level.isa() == Isa::Avx512)
                .and_then(SplitTables::new),
            table,
            affine: affine(program, channels),
        }
    }

    /// Writes the results for the elements of `src`, which is not empty, to `dst`, which has their
    /// exact size. `channel_axis` is None if channels need not be distinguished.
    pub(crate) fn run(
        &self,
        program: &MapProgram,
        src: &ViewRef<'_>,
        channel_axis: Option<usize>,
        dst: &mut [u8],
        stores: Stores,
    ) -> Result<()> {
        #[cfg(target_arch = "x86_64")]
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
        let rows = ElementRows::new(src.shape(), src.strides(), channel_axis);
        // SAFETY: by invariant 1 of `ElementRows` its elements are `src`'s, which are readable.
        unsafe { self.run_rows(program, src.as_ptr(), &rows, dst, stores) };
        Ok(())
    }

    /// Writes the results for a row of packed elements to `dst`, which has their exact size. The
    /// elements are of channel `channel`, or of channels `0..cycle` in turn if `cycle` is above 1,
    /// or of channel 0 if channels need not be distinguished.
    pub(crate) fn run_packed(
        &self,
        program: &MapProgram,
        src: &[u8],
        channel: usize,
        cycle: usize,
        dst: &mut [u8],
    ) {
        if program.stages.is_empty() {
            return dst.copy_from_slice(src);
        }
        let itemsize = program.source.itemsize();
        let rows = ElementRows::single(src.len() / itemsize, itemsize, channel, cycle);
        // SAFETY: the row's elements are those of the slice.
        unsafe { self.run_rows(program, src.as_ptr(), &rows, dst, Stores::Cached) };
    }

    /// The result for a `uint8` value, if the map is affine.
    pub(crate) fn affine(&self) -> Option<&Affine> {
        self.affine.as_ref()
    }

    /// # Safety
    ///
    /// The elements of `rows`, relative to `first`, must be readable and of the program's source.
    unsafe fn run_rows(
        &self,
        program: &MapProgram,
        first: *const u8,
        rows: &ElementRows,
        dst: &mut [u8],
        stores: Stores,
    ) {
        // SAFETY: the caller guarantees the elements.
        unsafe {
            if self.run_vectors(first, rows, dst, stores) {
                return;
            }
            match &self.table {
                Some(Table::One(tables)) => run_table(tables, first, rows, dst),
                Some(Table::Two(tables)) => run_table(tables, first, rows, dst),
                Some(Table::Four(tables)) => run_table(tables, first, rows, dst),
                Some(Table::Eight(tables)) => run_table(tables, first, rows, dst),
                None => generic::run(self.level, program, first, rows, dst),
            }
        }
    }

    /// The mapping of adjacent bytes, if there is a body for it and the machine has its
    /// instructions.
    #[cfg(target_arch = "x86_64")]
    fn mapping(&self) -> Option<Mapping<'_>> {
        let single = |affine: &&Affine| {
            affine.rounding == Rounding::Single && self.level.isa() == Isa::Avx512
        };
        let floats = || self.affine.as_ref().filter(single).map(Mapping::Floats);
        self.split_tables.as_ref().map(SplitTables::mapping).or_else(floats)
    }

    /// Maps pixels of bytes to planes, if these are the pixels' channels and there is a body for
    /// it.
    #[cfg(target_arch = "x86_64")]
    fn run_pixels(
        &self,
        program: &MapProgram,
        src: &ViewRef<'_>,
        channel_axis: Option<usize>,
        dst: &mut [u8],
        stores: Stores,
    ) -> bool {
        let is_copy = program.stages.is_empty();
        let mapping = if is_copy && self.level.isa() == Isa::Avx512 {
            Some(Mapping::Same)
        } else {
            self.mapping()
        };
        let (apart, stream) = (channel_axis == Some(0), stores == Stores::Stream);
        match mapping {
            // SAFETY: there is a mapping only if the level is AVX-512, which the machine has by
            // invariant 1 of `Level`. Channels that differ are the view's, which were counted.
            Some(mapping) if apart || channel_axis.is_none() => unsafe {
                map_pixels(mapping, src, apart, dst, stream)
            },
            _ => false,
        }
    }

    /// Runs a body over registers, if there is one for these rows.
    ///
    /// # Safety
    ///
    /// As [`run_rows`](Self::run_rows).
    unsafe fn run_vectors(
        &self,
        first: *const u8,
        rows: &ElementRows,
        dst: &mut [u8],
        stores: Stores,
    ) -> bool {
        // Rows are streamed if they are whole lines, or there is but one; `simd/stores.rs` says
        // why.
        let aligned = dst.as_ptr().addr().is_multiple_of(LINE);
        let stream = |size: usize| {
            let in_lines = rows.is_single() || aligned && rows.are_multiples(LINE / size);
            stores == Stores::Stream && in_lines
        };
        #[cfg(target_arch = "x86_64")]
        {
            // A look-up is not faster than computed floats, unless rows are long.
            let least = if self.affine.is_some() { MIN_LOOKED_UP } else { BLOCK };
            let tables = self.split_tables.as_ref().filter(|_| rows.shortest() >= least);
            if let Some(mapping) = tables.map(SplitTables::mapping) {
                // SAFETY: there are split tables only if the level is AVX-512, which the machine
                // has by invariant 1 of `Level`. The caller guarantees the elements; what has a
                // table is of one byte. `ValueMap::apply` compares the number of the map's channels
                // with the axis.
                if unsafe { map_rows(mapping, first, rows, dst, stream(mapping.size())) } {
                    return true;
                }
            }
        }
        let Some(affine) = &self.affine else { return false };
        let Some(body) = row_body(self.level, affine, rows.cycle > 1) else { return false };
        if !STRIDES.contains(&rows.stride_bytes.unsigned_abs()) || rows.shortest() < MAX_LANES {
            return false;
        }
        let size = affine.rounding.size();
        let stream = stream(size);
        rows.for_each(|row| {
            let to = &mut dst[row.at * size..][..row.count * size];
            let from = first.wrapping_offset(row.offset);
            let row = ByteRow {
                from,
                stride: rows.stride_bytes,
                channel: row.channel,
                cycle: rows.cycle,
                ahead_bytes: rows.ahead_bytes,
            };
            // SAFETY: the body is the level's, so the machine has its instructions by invariant 1
            // of `Level`. The caller guarantees the elements, and they are of one buffer, so the
            // bytes from the first to the last are readable; there are at least MAX_LANES, as
            // `shortest` says; the stride was just compared. The channel is below the number of
            // channels, for which the affine's values were made: `ValueMap::apply` compares it with
            // the axis.
            unsafe { body(affine, row, to, stream) };
        });
        if stream {
            fence();
        }
        true
    }

    /// Copies pixels of bytes to planes, if these are the pixels' channels and the level has
    /// registers for it.
    fn split_pixels(&self, src: &ViewRef<'_>, dst: &mut [u8]) -> bool {
        let (&[channels, height, width], &[channel, row, pixel]) = (src.shape(), src.strides())
        else {
            return false;
        };
        let is_split =
            src.dtype().itemsize() == 1 && channel == 1 && pixel.unsigned_abs() == channels;
        if !is_split || width < MIN_SPLIT || !pixels::has_split(self.level, channels) {
            return false;
        }
        let mirrored = pixel < 0;
        let lowest = if mirrored { pixel * (width as isize - 1) } else { 0 };
        let plane = width.next_multiple_of(pixels::BLOCK);
        // Without memory for a row of planes, a body that needs none runs.
        let Ok(mut planes) = room::repeated(0, channels * plane) else { return false };
        for y in 0..height {
            let from = src.as_ptr().wrapping_offset(lowest).wrapping_offset(row * y as isize);
            let pixels = PixelRow {
                from,
                width,
                channels,
                pixel: channels as isize,
                channel: 1,
                row_stride: row,
            };
            // SAFETY: these are the view's elements, which are readable, each of one byte.
            unsafe { pixels.split(self.level, &mut planes, plane) };
            for (channel, from) in planes.chunks_exact(plane).enumerate() {
                let to = &mut dst[(channel * height + y) * width..][..width];
                to.copy_from_slice(&from[..width]);
                if mirrored {
                    to.reverse();
                }
            }
        }
        true
    }

    /// Copies past the cache, if the elements are in long rows and the level has such a copy.
    fn stream_copy(&self, src: &ViewRef<'_>, dst: &mut [u8]) -> bool {
        /// A row shorter than this is mostly head and tail, which go through the cache.
        const MIN_ROW_BYTES: usize = 1024;
        let itemsize = src.dtype().itemsize();
        let Some(copy) = stream_copy(self.level) else { return false };
        if src.nbytes() < MIN_ROW_BYTES {
            return false;
        }
        let rows = ElementRows::new(src.shape(), src.strides(), None);
        if rows.stride_bytes != itemsize as isize
            || rows.shortest().saturating_mul(itemsize) < MIN_ROW_BYTES
        {
            return false;
        }
        rows.for_each(|row| {
            let to = &mut dst[row.at * itemsize..][..row.count * itemsize];
            // SAFETY: the body is the level's, so the machine has its instructions by invariant 1
            // of `Level`. By invariant 1 of `ElementRows` the row's elements are `src`'s, and
            // packed, so as many bytes as `to` has are readable.
            unsafe { copy(src.as_ptr().wrapping_offset(row.offset), to) };
        });
        fence();
        true
    }
}
