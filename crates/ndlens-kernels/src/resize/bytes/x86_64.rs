//! Horizontal filters for x86-64, for images that get so much smaller that a register's lanes are
//! not in one load.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;

use crate::resize::bytes::lanes::{LONG, Lanes, PADDING};
use crate::resize::bytes::vector::FilterBody;
use crate::simd::level::{Isa, Level, avx2, avx512};

/// The body of a level for these lanes, if they are long or picked from several loads.
pub(crate) fn filter_far(level: Level, lanes: &Lanes) -> Option<FilterBody> {
    match (level.isa(), lanes.pairs, lanes.windows) {
        (Isa::Scalar, ..) => None,
        (_, 0, _) => Some(filter_long),
        // One load has all lanes, or is the only one.
        (_, _, 0 | 1) | (Isa::Avx2, ..) => None,
        (Isa::Avx512, _, 2) => Some(filter_windows::<2>),
        (Isa::Avx512, _, 3) => Some(filter_windows::<3>),
        (Isa::Avx512, ..) => Some(filter_windows::<4>),
    }
}

avx512! {
    /// # Safety
    ///
    /// As [`FilterBody`]; `W` must be the lanes' windows.
    unsafe fn filter_windows<const W: usize>(
        lanes: &Lanes,
        upper: &[u8],
        lower: &[u8],
        words: &mut [u32],
    ) {
        const LANES: usize = 16;
        assert!(words.len() == lanes.groups * LANES && lanes.windows == W);
        const { assert!(W * 64 <= PADDING) };
        let shift = _mm_cvtsi32_si128(lanes.precision as i32);
        let half = _mm512_set1_epi32(1 << lanes.precision >> 1);
        let (zero, most) = (_mm512_setzero_si512(), _mm512_set1_epi32(255));
        for (group, words) in words.chunks_exact_mut(LANES).enumerate() {
            // SAFETY: by invariant 2 of `Lanes` each group has a base, a pixel of the row, behind
            // which are PADDING bytes; and a register of shuffles and weights, and W masks, for
            // each pair.
            unsafe {
                let base = *lanes.bases.as_ptr().add(group) as usize;
                let load = |row: &[u8], window: usize| {
                    _mm512_loadu_si512(row.as_ptr().add(base + window * 64).cast())
                };
                let (mut above, mut below) = ([zero; W], [zero; W]);
                for window in 0..W {
                    above[window] = load(upper, window);
                    below[window] = load(lower, window);
                }
                let (mut sum_above, mut sum_below) = (half, half);
                for pair in group * lanes.pairs..(group + 1) * lanes.pairs {
                    let shuffle =
                        _mm512_loadu_si512(lanes.shuffles.as_ptr().add(pair * LANES).cast());
                    let weight =
                        _mm512_loadu_si512(lanes.weights.as_ptr().add(pair * LANES).cast());
                    let (mut picked_above, mut picked_below) = (zero, zero);
                    for window in 0..W {
                        let mask = *lanes.masks.as_ptr().add(pair * W + window);
                        picked_above = _mm512_mask_permutexvar_epi8(
                            picked_above,
                            mask,
                            shuffle,
                            above[window],
                        );
                        picked_below = _mm512_mask_permutexvar_epi8(
                            picked_below,
                            mask,
                            shuffle,
                            below[window],
                        );
                    }
                    sum_above =
                        _mm512_add_epi32(sum_above, _mm512_madd_epi16(picked_above, weight));
                    sum_below =
                        _mm512_add_epi32(sum_below, _mm512_madd_epi16(picked_below, weight));
                }
                let to_bytes = |sum| {
                    _mm512_min_epi32(_mm512_max_epi32(_mm512_sra_epi32(sum, shift), zero), most)
                };
                let joined = _mm512_or_si512(
                    to_bytes(sum_above),
                    _mm512_slli_epi32::<16>(to_bytes(sum_below)),
                );
                _mm512_storeu_si512(words.as_mut_ptr().cast(), joined);
            }
        }
    }
}

avx2! {
    /// Long lanes, one after the other.
    ///
    /// # Safety
    ///
    /// As [`FilterBody`].
    unsafe fn filter_long(lanes: &Lanes, upper: &[u8], lower: &[u8], words: &mut [u32]) {
        debug_assert!(
            words.len() == lanes.starts.len() && lanes.long.len() == words.len() * lanes.stride
        );
        let half = _mm_set1_epi32(1 << lanes.precision >> 1);
        let shift = _mm_cvtsi32_si128(lanes.precision as i32);
        for (lane, word) in words.iter_mut().enumerate() {
            let start = lanes.starts[lane] as usize;
            // SAFETY: by invariant 3 of `Lanes` there are `stride` weights, a multiple of LONG, of
            // which none but zeros reach beyond the row; so less than LONG bytes beyond it are
            // read, and there are PADDING.
            let [above, below] = unsafe {
                const { assert!(LONG == 16 && LONG < PADDING) };
                let weights = lanes.long.as_ptr().add(lane * lanes.stride);
                let mut sums = [_mm256_setzero_si256(); 2];
                for tap in (0..lanes.stride).step_by(LONG) {
                    let weight = _mm256_loadu_si256(weights.add(tap).cast());
                    for (sum, row) in sums.iter_mut().zip([upper, lower]) {
                        let bytes = _mm_loadu_si128(row.as_ptr().add(start + tap).cast());
                        *sum = _mm256_add_epi32(
                            *sum,
                            _mm256_madd_epi16(_mm256_cvtepu8_epi16(bytes), weight),
                        );
                    }
                }
                sums
            };
            let sums = _mm256_hadd_epi32(above, below);
            let sums = _mm256_hadd_epi32(sums, sums);
            let sums =
                _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
            let values = _mm_sra_epi32(_mm_add_epi32(sums, half), shift);
            let values = _mm_max_epi16(_mm_packs_epi32(values, values), _mm_setzero_si128());
            *word = _mm_cvtsi128_si32(_mm_min_epi16(values, _mm_set1_epi16(255))).cast_unsigned();
        }
    }
}
