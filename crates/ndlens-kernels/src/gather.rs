//! Copies of packed rows at any places, one after another.
//!
//! A row of a few hundred bytes at a random place in gigabytes takes longer to reach than to copy:
//! it misses every cache, its page misses the TLB, and the processor cannot predict the next row.
//! But the list of places is known. So rows are prefetched ahead of the copy, far enough that
//! memory answers in time and near enough that the line is still in the cache:
//!
//! ```text
//!  places     17  4  99  3  58  ..
//!  copied      ^
//!  prefetched            ^        AHEAD_BYTES further on
//! ```

#![expect(unsafe_code, reason = "copies from raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a copy of a size known to the compiler is a few instructions, or a call"
)]

use std::ops::Range;
use std::ptr;

use ndlens_core::{Index, Order, View};

use crate::error::{Error, Result};
#[cfg(target_arch = "x86_64")]
use crate::simd::level::Isa;
use crate::simd::level::{Body, Level};
#[cfg(target_arch = "x86_64")]
use crate::simd::stores::prefetch;
use crate::simd::stores::{LINE, Stores, fence, prefetch_second_level};

/// Bytes to prefetch ahead for short rows: as many as one core reads from memory, at about 20 GB/s,
/// in four times its latency of 100 ns. They wait in the second-level cache.
const AHEAD_BYTES: usize = 8192;

/// The same for a long row, along which the processor itself prefetches, except at its start and at
/// the end of each page.
const AHEAD_ALONG_BYTES: usize = 1024;

/// The same in each run of a row that is copied in two, into the second-level cache.
const AHEAD_IN_RUN_BYTES: usize = 2048;

/// Rows of these sizes are copied in two runs; in shorter rows a second run does not pay off.
const TWO_RUNS_BYTES: Range<usize> = 2 * AHEAD_IN_RUN_BYTES..FOUR_RUNS_BYTES;

/// Rows of at least this many bytes are copied in four runs, each long enough for the processor's
/// own prefetch; no further prefetch is needed.
const FOUR_RUNS_BYTES: usize = 16 << 10;

/// The most rows to prefetch ahead: beyond these the processor drops requests.
const MAX_ROWS_AHEAD: usize = 48;

/// Shorter rows are always written through the cache: short stores past the cache wait between
/// reads of scattered memory, and take twice as long.
const MIN_STREAM_ROW_BYTES: usize = 1024;

/// The rows of a view, each packed in C order, any of which can be copied.
#[derive(Debug, Clone)]
pub struct Take {
    view: View,
    count: usize,
    row_bytes: usize,
    stride_bytes: isize,
}

impl Take {
    /// The rows of `view` along axis 0; None if their elements are not packed, or there are no
    /// rows.
    pub fn new(view: &View) -> Option<Self> {
        let (&count, &stride_bytes) = view.shape().first().zip(view.strides().first())?;
        let first = view.as_ref().index(&[Index::At(0)]).ok()?;
        let row_bytes = first.nbytes();
        let packed = first.layout().is_contiguous(view.itemsize(), Order::C);
        (packed && row_bytes > 0).then(|| Take {
            view: view.clone(),
            count,
            row_bytes,
            stride_bytes,
        })
    }

    /// The bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// Copies the rows `items`, in this order, to `destination`; short ones through the cache,
    /// for all values of `stores`.
    ///
    /// The caller checks that their bytes still exist, with
    /// [`Buffer::verify`](ndlens_core::Buffer::verify).
    ///
    /// # Errors
    ///
    /// [`Error::DestinationSize`] if `destination` does not have the size of these rows;
    /// [`Error::View`] for an item that is not below the number of rows; [`Error::UnknownLevel`].
    pub fn rows(&self, items: &[usize], destination: &mut [u8], stores: Stores) -> Result<()> {
        let expected = items.len().saturating_mul(self.row_bytes);
        if destination.len() != expected {
            return Err(Error::DestinationSize { got: destination.len(), expected });
        }
        if let Some(&item) = items.iter().find(|&&item| item >= self.count) {
            let (index, size) = (item as isize, self.count);
            return Err(ndlens_core::Error::IndexOutOfBounds { index, axis: 0, size }.into());
        }
        let copy = Copy { from: self.view.as_ptr(), stride_bytes: self.stride_bytes, items };
        let row_bytes = self.row_bytes;
        let stream = stores == Stores::Stream && row_bytes >= MIN_STREAM_ROW_BYTES;
        let level = Level::chosen()?;
        let to = destination.as_mut_ptr();
        // SAFETY: row `item` of `count` is `row_bytes` packed bytes at `item` strides from the
        // view's first element, and in the view's buffer, by the invariant of views; the view holds
        // it. `to` has room for all rows and is exclusive, so apart from the view, as nothing forms
        // a `&mut` over a view's memory.
        unsafe {
            match row_bytes {
                1 => copy.fixed::<1>(to),
                2 => copy.fixed::<2>(to),
                4 => copy.fixed::<4>(to),
                8 => copy.fixed::<8>(to),
                16 => copy.fixed::<16>(to),
                32 => copy.fixed::<32>(to),
                _ if stream && row_bytes >= FOUR_RUNS_BYTES => copy.stream::<4>(row_bytes, to),
                _ if stream && TWO_RUNS_BYTES.contains(&row_bytes) => {
                    copy.stream::<2>(row_bytes, to);
                }
                _ if stream => copy.stream::<1>(row_bytes, to),
                64 => copy.wide::<64>(level, to),
                128 => copy.wide::<128>(level, to),
                256 => copy.wide::<256>(level, to),
                _ => copy.any(row_bytes, to),
            }
        }
        if stream {
            fence();
        }
        Ok(())
    }
}

/// Checked rows, and the places of those to copy.
#[derive(Clone, Copy)]
struct Copy<'a> {
    from: *const u8,
    stride_bytes: isize,
    items: &'a [usize],
}

impl Copy<'_> {
    /// The row at a place of the list; past the list, its last row.
    #[inline(always)]
    fn row(&self, place: usize) -> *const u8 {
        let item = self.items[place.min(self.items.len() - 1)];
        self.from.wrapping_offset(self.stride_bytes.wrapping_mul(item as isize))
    }

    /// Copies rows of a size that the compiler knows.
    ///
    /// # Safety
    ///
    /// Each row must be readable, and `to` writable for all of them, apart from any.
    #[inline(always)]
    unsafe fn fixed<const N: usize>(self, to: *mut u8) {
        let ahead = (AHEAD_BYTES / N).min(MAX_ROWS_AHEAD);
        self.ask_for_first(ahead, N);
        for place in 0..self.items.len() {
            ask_for_short(self.row(place + ahead), N);
            // SAFETY: passed on.
            unsafe { ptr::copy_nonoverlapping(self.row(place), to.add(place * N), N) };
        }
    }

    /// As [`fixed`](Self::fixed), with the registers of AVX2 if the machine has it: half as many
    /// instructions for a row, so the processor looks more rows ahead.
    ///
    /// # Safety
    ///
    /// As [`fixed`](Self::fixed).
    unsafe fn wide<const N: usize>(self, level: Level, to: *mut u8) {
        #[cfg(target_arch = "x86_64")]
        let level = level.at_most(Isa::Avx2);
        level.run(Fixed::<N> { copy: self, to });
    }

    /// Prefetches the first rows, which no earlier row prefetches.
    #[inline(always)]
    fn ask_for_first(self, rows: usize, len: usize) {
        (0..rows.min(self.items.len())).for_each(|place| ask_for_short(self.row(place), len));
    }

    /// Copies rows of any size.
    ///
    /// # Safety
    ///
    /// As [`fixed`](Self::fixed).
    unsafe fn any(self, row_bytes: usize, to: *mut u8) {
        let ahead = (AHEAD_BYTES / row_bytes).clamp(1, MAX_ROWS_AHEAD);
        self.ask_for_first(ahead, row_bytes.min(AHEAD_ALONG_BYTES));
        for place in 0..self.items.len() {
            ask_for_short(self.row(place + ahead), row_bytes.min(AHEAD_ALONG_BYTES));
            // SAFETY: passed on.
            unsafe {
                ptr::copy_nonoverlapping(self.row(place), to.add(place * row_bytes), row_bytes);
            };
        }
    }

    /// Copies rows of any size, past the cache except for partial lines of the destination. A fence
    /// must follow.
    ///
    /// A row is copied in `RUNS` runs at once, one line of each in turn: a core waits less for a
    /// row whose prefetch has not started yet if it reads at several places.
    ///
    /// # Safety
    ///
    /// As [`fixed`](Self::fixed).
    #[cfg(target_arch = "x86_64")]
    unsafe fn stream<const RUNS: usize>(self, row_bytes: usize, to: *mut u8) {
        let ahead_bytes = if RUNS == 2 { AHEAD_IN_RUN_BYTES } else { AHEAD_ALONG_BYTES };
        let ahead = (ahead_bytes * RUNS / row_bytes).max(1);
        for place in 0..self.items.len() {
            let (from, soon, to) =
                (self.row(place), self.row(place + ahead), to.wrapping_add(place * row_bytes));
            let head = to.align_offset(LINE).min(row_bytes);
            let run = (row_bytes - head) / LINE / RUNS * LINE;
            let lead = ahead_bytes.min(run);
            let end = head + run * RUNS;
            // SAFETY: head, runs and the rest are the row's bytes, which the caller guarantees;
            // from `head` on, each line of the destination is aligned.
            unsafe {
                ptr::copy_nonoverlapping(from, to, head);
                for at in (0..run).step_by(LINE) {
                    for start in (0..RUNS).map(|number| head + number * run) {
                        let next = at + lead;
                        let (row, next) =
                            if next < run { (from, next) } else { (soon, next - run) };
                        let line = row.wrapping_add(start + next);
                        if RUNS == 2 {
                            prefetch_second_level(line);
                        } else {
                            prefetch(line);
                        }
                        stream_line(from.add(start + at), to.add(start + at));
                    }
                }
                ptr::copy_nonoverlapping(from.add(end), to.add(end), row_bytes - end);
            }
        }
    }

    /// The same for architectures without known stores past the cache.
    ///
    /// # Safety
    ///
    /// As [`fixed`](Self::fixed).
    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn stream<const RUNS: usize>(self, row_bytes: usize, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { self.any(row_bytes, to) }
    }
}

/// [`Copy::fixed`], to be compiled for each level.
///
/// # Invariants
///
/// 1. Each row of the copy is readable, and `to` writable for all of them, apart from any.
struct Fixed<'a, const N: usize> {
    copy: Copy<'a>,
    to: *mut u8,
}

impl<const N: usize> Body for Fixed<'_, N> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        // SAFETY: invariant 1.
        unsafe { self.copy.fixed::<N>(self.to) }
    }
}

/// Prefetches an element of a list into the second-level cache. This is a hint, so the place may be
/// outside of the list. A caller that looks up many scattered elements prefetches all of them
/// first.
#[inline]
pub fn ask_for_element<T>(list: &[T], place: usize) {
    prefetch_second_level(list.as_ptr().wrapping_add(place).cast());
}

/// Prefetches the first bytes of a row into the second-level cache, with the line of the last byte.
/// This is a hint, so the pointer may be anything. Large arrays of NumPy begin 16 bytes after a
/// line does, so each of their rows ends in one line more.
#[inline(always)]
fn ask_for_short(row: *const u8, len: usize) {
    for at in (0..len).step_by(LINE) {
        prefetch_second_level(row.wrapping_add(at));
    }
    if len > LINE / 4 {
        prefetch_second_level(row.wrapping_add(len - 1));
    }
}

/// Copies a line past the cache.
///
/// # Safety
///
/// A line can be read at `from` and written at `to`, which is aligned to it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn stream_line(from: *const u8, to: *mut u8) {
    use std::arch::x86_64::{__m128i, _mm_loadu_si128, _mm_stream_si128};
    const LANES: usize = size_of::<__m128i>();
    // SAFETY: passed on; each vector is aligned as the line is. Every x86-64 has SSE2.
    unsafe {
        let vectors: [__m128i; LINE / LANES] =
            std::array::from_fn(|i| _mm_loadu_si128(from.add(i * LANES).cast()));
        for (i, vector) in vectors.into_iter().enumerate() {
            _mm_stream_si128(to.add(i * LANES).cast(), vector);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndlens_core::{DType, s};
    use proptest::prelude::*;

    fn numbered(len: usize) -> View {
        View::from_vec((0..len).map(|i| (i * 31 + i / 251) as u8).collect())
    }

    /// The rows one after another, copied by the view.
    fn oracle(view: &View, items: &[usize]) -> Vec<u8> {
        let row = |&item: &usize| {
            view.index(&[Index::At(item as isize)]).unwrap().to_vec::<u8>().unwrap()
        };
        items.iter().flat_map(row).collect()
    }

    fn check(view: &View, items: &[usize], misaligned: usize) {
        let take = Take::new(view).unwrap();
        let len = items.len() * take.row_bytes();
        for stores in [Stores::Cached, Stores::Stream] {
            let mut out = vec![0xEE; len + 2 * misaligned + 1];
            take.rows(items, &mut out[misaligned..misaligned + len], stores).unwrap();
            assert!(
                out[misaligned..misaligned + len] == oracle(view, items),
                "{stores:?}, {:?}",
                view.shape()
            );
            assert!(
                out[..misaligned].iter().chain(&out[misaligned + len..]).all(|&byte| byte == 0xEE)
            );
        }
    }

    proptest! {
        #[test]
        fn rows_of_any_size_are_those_of_the_view(
            row_bytes in prop_oneof![
                1usize..70, 1000usize..1100, Just(128), Just(256), Just(512), 4000usize..5000,
                16_300usize..16_500
            ],
            gap in 0usize..3,
            count in 1usize..50,
            items in prop::collection::vec(any::<prop::sample::Index>(), 0..100),
            backwards: bool,
            misaligned in 0usize..65,
        ) {
            let width = (row_bytes + gap) as isize;
            let rows = numbered(count * (row_bytes + gap));
            let rows = rows.reshape(&[count as isize, width]).unwrap();
            let rows = rows.index(&[s(..), s(..row_bytes as isize)]).unwrap();
            let rows = if backwards { rows.flip(&[0]).unwrap() } else { rows };
            let items: Vec<usize> = items.iter().map(|item| item.index(count)).collect();
            check(&rows, &items, misaligned);
        }
    }

    #[test]
    fn windows_and_repeated_rows_are_rows_too() {
        let windows = numbered(3000 * 2).reshape(&[3000, 2]).unwrap().windows(600, 1, 0).unwrap();
        check(&windows, &[0, 2400, 17, 17, 1], 0);
        check(&numbered(64).broadcast_to(&[5, 64]).unwrap(), &[4, 0, 4], 0);
        check(&numbered(9), &[8, 0, 3], 1);
    }

    #[test]
    fn views_without_packed_rows_are_refused() {
        assert!(
            Take::new(&numbered(12).reshape(&[3, 4]).unwrap().permute(&[1, 0]).unwrap()).is_none()
        );
        assert!(Take::new(&numbered(12).reshape(&[3, 4]).unwrap().flip(&[1]).unwrap()).is_none());
        assert!(Take::new(&numbered(0)).is_none());
        assert!(
            Take::new(&numbered(12).reshape(&[3, 4]).unwrap().index(&[s(..), s(0..0)]).unwrap())
                .is_none()
        );
        assert!(Take::new(&View::from_vec(vec![0u8; 5]).reinterpret(DType::I8).unwrap()).is_some());
    }

    #[test]
    fn a_missing_row_and_a_destination_of_another_size_are_refused() {
        let take = Take::new(&numbered(12).reshape(&[3, 4]).unwrap()).unwrap();
        let message = |items: &[usize], len| {
            take.rows(items, &mut vec![0; len], Stores::Cached).unwrap_err().to_string()
        };
        assert_eq!(message(&[0, 3], 8), "index 3 is out of bounds for axis 0 with size 3");
        assert_eq!(message(&[0, 2], 9), "destination has 9 bytes, expected 8");
    }
}
