//! Scaling and normalising of bytes in registers.
//!
//! A row of bytes with a stride of 1 to 4, in either direction, is read as a block of one
//! register's lanes at a time: the bytes from the block's first element to its last, and none
//! beyond, are loaded and shuffled so that each lane gets its own. So one body serves interleaved,
//! planar and mirrored bytes, with different shuffles:
//!
//! ```text
//!  stride 3     |R..R..R..R..|      stride -3    |..R..R..R..R|
//!  lane          0  1  2  3         lane           3  2  1  0
//! ```
//!
//! Streaming stores need the destination aligned to the register, and a line of the cache written
//! by both kinds of store costs more than either. So a row's head and tail are masked stores of
//! just their lanes, of blocks that begin at the row's start and end at its end.

#![expect(unsafe_code, reason = "bodies over registers and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]

use crate::simd::affine::arithmetic::{BY_INVERSE, DIVIDE, SCALE};
use crate::simd::affine::{Affine, Constants, Rounding};
use crate::simd::level::{Level, vector_body};
use crate::simd::stores::prefetch;
use crate::simd::vector::{Bfloat16, Float16, Form, Halves, Single, Vector};

/// A row of bytes that becomes a row of floats.
#[derive(Clone, Copy)]
pub(crate) struct ByteRow {
    pub(crate) from: *const u8,
    pub(crate) stride: isize,
    /// The channel of the first element.
    pub(crate) channel: usize,
    /// Number of elements after which the channels repeat; 1 if all are of one channel.
    pub(crate) cycle: usize,
    /// Distance from an element to the byte to prefetch, which may be anywhere.
    pub(crate) ahead_bytes: isize,
}

/// A body: maps a row of bytes to the little-endian floats of its third argument, past the cache if
/// the fourth says so.
///
/// # Safety
///
/// The machine must have the body's instructions. Each of the row's elements, as many as floats fit
/// the destination, must be readable, with all bytes between; there must be at least [`MAX_LANES`];
/// the stride must be among [`STRIDES`], or minus one. The affine's values must have been made for
/// more than `channel` channels, and for `cycle` of them if that is above 1.
pub(crate) type RowBody = unsafe fn(&Affine, ByteRow, &mut [u8], bool);

/// The body of a level for these values, if it has one.
pub(crate) fn row_body(level: Level, affine: &Affine, cyclic: bool) -> Option<RowBody> {
    let by_inverse = affine.normalize.as_ref().map(|normalize| normalize.by_inverse);
    match affine.rounding {
        Rounding::Single => body::<Single>(level, by_inverse, cyclic),
        Rounding::Float16 { each: false } => body::<Float16<false>>(level, by_inverse, cyclic),
        Rounding::Float16 { each: true } => body::<Float16<true>>(level, by_inverse, cyclic),
        Rounding::Bfloat16 { each: false } => body::<Bfloat16<false>>(level, by_inverse, cyclic),
        Rounding::Bfloat16 { each: true } => body::<Bfloat16<true>>(level, by_inverse, cyclic),
    }
}

fn body<F: Form>(level: Level, by_inverse: Option<bool>, cyclic: bool) -> Option<RowBody> {
    match (by_inverse, cyclic) {
        (None, _) => compiled::<F, SCALE, false>(level),
        (Some(true), false) => compiled::<F, BY_INVERSE, false>(level),
        (Some(true), true) => compiled::<F, BY_INVERSE, true>(level),
        (Some(false), false) => compiled::<F, DIVIDE, false>(level),
        (Some(false), true) => compiled::<F, DIVIDE, true>(level),
    }
}

vector_body! {
    fn compiled[F: Form, const ARITHMETIC: u8, const CYCLIC: bool][F, ARITHMETIC, CYCLIC]
        -> RowBody;
    map_row(affine: &Affine, row: ByteRow, to: &mut [u8], stream: bool)
}

/// The one body.
///
/// # Safety
///
/// As [`RowBody`], with `V`'s instructions. It must be inlined into a function that has them
/// enabled.
#[inline(always)]
unsafe fn map_row<V: Halves, F: Form, const ARITHMETIC: u8, const CYCLIC: bool>(
    affine: &Affine,
    row: ByteRow,
    to: &mut [u8],
    stream: bool,
) {
    let count = to.len() / F::SIZE;
    let to = to.as_mut_ptr();
    debug_assert!(count >= V::LANES);
    // SAFETY: every block lies in `0..count`: `x + V::LANES <= count` is the loop's condition, the
    // head is the block at 0, the tail the one at `count - V::LANES`, and `count` is at least
    // MAX_LANES. So the bytes that `Blocks::map` loads, from a block's first element to its last,
    // are the caller's readable ones, and all stores are within `to`; the streaming ones are
    // aligned, since `x` starts at the first aligned lane and blocks are as long as a register.
    unsafe {
        let blocks = Blocks::<V>::new::<ARITHMETIC>(affine, row);
        let channel_at = |x: usize| if CYCLIC { x % row.cycle } else { row.channel };

        let misaligned = to.addr() % (V::LANES * F::SIZE);
        let stream = stream && misaligned.is_multiple_of(F::SIZE);
        let mut x = 0;
        if stream && misaligned != 0 {
            x = V::LANES - misaligned / F::SIZE;
            let block = blocks.map::<F, ARITHMETIC, CYCLIC>(affine, 0, channel_at(0));
            F::store_lanes::<V>(to, block, 0, x);
        }
        let mut channel = channel_at(x);
        let advance = if CYCLIC { V::LANES % row.cycle } else { 0 };
        while x + V::LANES <= count {
            let block = blocks.map::<F, ARITHMETIC, CYCLIC>(affine, x, channel);
            if stream {
                F::stream::<V>(to.add(x * F::SIZE), block);
            } else {
                F::store::<V>(to.add(x * F::SIZE), block);
            }
            x += V::LANES;
            channel += advance;
            if CYCLIC && channel >= row.cycle {
                channel -= row.cycle;
            }
        }
        if x < count {
            let last = count - V::LANES;
            let block = blocks.map::<F, ARITHMETIC, CYCLIC>(affine, last, channel_at(last));
            F::store_lanes::<V>(to.add(last * F::SIZE), block, x - last, V::LANES);
        }
    }
}

/// A row on its way through registers.
#[derive(Clone, Copy)]
struct Blocks<V: Vector> {
    row: ByteRow,
    shuffle: V::Shuffle,
    scale: V::Floats,
    constants: Constants<V>,
}

// No closures here: they cannot be told to be inlined.
impl<V: Halves> Blocks<V> {
    /// # Safety
    ///
    /// As [`map_row`].
    #[inline(always)]
    unsafe fn new<const ARITHMETIC: u8>(affine: &Affine, row: ByteRow) -> Self {
        // SAFETY: the caller guarantees the stride and for the channel.
        unsafe {
            Blocks {
                row,
                shuffle: V::shuffle(row.stride),
                scale: V::splat(affine.scale),
                constants: Constants::new::<ARITHMETIC, false>(affine, row.channel),
            }
        }
    }

    /// The results for elements `x..x + V::LANES`; `channel` is the first's.
    ///
    /// # Safety
    ///
    /// As [`map_row`]; the elements must be the row's.
    #[inline(always)]
    unsafe fn map<F: Form, const ARITHMETIC: u8, const CYCLIC: bool>(
        &self,
        affine: &Affine,
        x: usize,
        channel: usize,
    ) -> V::Floats {
        // The end of the block with the lowest address.
        let low = if self.row.stride > 0 { x } else { x + V::LANES - 1 };
        // SAFETY: the caller guarantees the elements and the channel.
        unsafe {
            let bytes = self.row.from.offset(low as isize * self.row.stride);
            prefetch(bytes.wrapping_offset(self.row.ahead_bytes));
            let scaled = V::mul(V::load_bytes(bytes, &self.shuffle), self.scale);
            let scaled = if ARITHMETIC == SCALE { scaled } else { F::round::<V>(scaled) };
            let constants = if CYCLIC {
                Constants::new::<ARITHMETIC, true>(affine, channel)
            } else {
                self.constants
            };
            constants.normalize::<F, ARITHMETIC>(scaled)
        }
    }
}
