//! Registers of 32-bit integers.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;

use crate::simd::vector::Words;
use crate::simd::x86_64::vector::{Avx2, Avx512};

/// The methods of [`Words`] that are the same intrinsics at another width.
macro_rules! plain {
    (
        $ints:ty, $floats:ty, $load:ident, $store:ident, $splat:ident, $add:ident,
        $multiply:ident, $or:ident, $left:ident, $to_floats:ident, $clamped:ident
    ) => {
        #[inline(always)]
        unsafe fn load_words(from: *const u32) -> $ints {
            // SAFETY: the caller guarantees a register's words; they need not be aligned.
            unsafe { $load(from.cast()) }
        }
        #[inline(always)]
        unsafe fn store_words(to: *mut u32, words: $ints) {
            // SAFETY: the caller guarantees a register's words; they need not be aligned.
            unsafe { $store(to.cast(), words) }
        }
        #[inline(always)]
        unsafe fn splat_word(word: i32) -> $ints {
            // SAFETY: touches no memory; the caller guarantees the instruction.
            unsafe { $splat(word) }
        }
        #[inline(always)]
        unsafe fn add_products(sum: $ints, a: $ints, b: $ints) -> $ints {
            // SAFETY: as `splat_word`.
            unsafe { $add(sum, $multiply(a, b)) }
        }
        #[inline(always)]
        unsafe fn shift(bits: u32) -> __m128i {
            // SAFETY: as `splat_word`.
            unsafe { _mm_cvtsi32_si128(bits.cast_signed()) }
        }
        #[inline(always)]
        unsafe fn splat_pair(pair: u32) -> $ints {
            // SAFETY: as `splat_word`.
            unsafe { $splat(pair.cast_signed()) }
        }
        #[inline(always)]
        unsafe fn join(first: $ints, second: $ints, shift: Self::Shift) -> $ints {
            // SAFETY: as `splat_word`.
            unsafe { $or($clamped(first, shift), $left::<16>($clamped(second, shift))) }
        }
        #[inline(always)]
        unsafe fn to_floats(sum: $ints, shift: Self::Shift) -> $floats {
            // SAFETY: as `splat_word`.
            unsafe { $to_floats($clamped(sum, shift)) }
        }
    };
}

impl Words for Avx512 {
    type Ints = __m512i;
    type Shift = __m128i;
    const LOADS: usize = 1;
    const PAIR_DISTANCE: usize = 1;

    plain! {
        __m512i, __m512, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi32,
        _mm512_add_epi32, _mm512_madd_epi16, _mm512_or_si512, _mm512_slli_epi32,
        _mm512_cvtepi32_ps, clamped_512
    }

    #[inline(always)]
    unsafe fn load_window(row: *const u8, bases: *const u32) -> __m512i {
        // SAFETY: the caller guarantees a base and 64 bytes from it on.
        unsafe { _mm512_loadu_si512(row.add(*bases as usize).cast()) }
    }
    #[inline(always)]
    unsafe fn pick(window: __m512i, shuffle: __m512i) -> __m512i {
        /// Every second byte is 0.
        const LOWER: __mmask64 = 0x5555_5555_5555_5555;
        // SAFETY: touches no memory; the caller guarantees the instruction.
        unsafe { _mm512_maskz_permutexvar_epi8(LOWER, shuffle, window) }
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, sum: __m512i, shift: __m128i) {
        // SAFETY: the caller guarantees 16 bytes.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(clamped_512(sum, shift))) }
    }
}

impl Words for Avx2 {
    type Ints = __m256i;
    type Shift = __m128i;
    const LOADS: usize = 2;
    const PAIR_DISTANCE: usize = 1;

    plain! {
        __m256i, __m256, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi32,
        _mm256_add_epi32, _mm256_madd_epi16, _mm256_or_si256, _mm256_slli_epi32,
        _mm256_cvtepi32_ps, clamped_256
    }

    #[inline(always)]
    unsafe fn load_window(row: *const u8, bases: *const u32) -> __m256i {
        // SAFETY: the caller guarantees two bases and 16 bytes from each on.
        unsafe {
            let lower = _mm_loadu_si128(row.add(*bases as usize).cast());
            let upper = _mm_loadu_si128(row.add(*bases.add(1) as usize).cast());
            _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(lower), upper)
        }
    }
    #[inline(always)]
    unsafe fn pick(window: __m256i, shuffle: __m256i) -> __m256i {
        // SAFETY: touches no memory; the caller guarantees the instruction. 0x80 in a shuffle
        // makes a 0.
        unsafe { _mm256_shuffle_epi8(window, shuffle) }
    }
    #[inline(always)]
    unsafe fn store_bytes(to: *mut u8, sum: __m256i, shift: __m128i) {
        // SAFETY: the caller guarantees 8 bytes.
        unsafe {
            let words = clamped_256(sum, shift);
            let halves = _mm_packs_epi32(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(halves, halves));
        }
    }
}

/// Shifts right and clamps to 0..=255.
///
/// # Safety
///
/// The machine must have AVX-512 F.
#[inline(always)]
unsafe fn clamped_512(sum: __m512i, shift: __m128i) -> __m512i {
    // SAFETY: arithmetic on registers.
    unsafe {
        let above = _mm512_max_epi32(_mm512_sra_epi32(sum, shift), _mm512_setzero_si512());
        _mm512_min_epi32(above, _mm512_set1_epi32(255))
    }
}

/// As [`clamped_512`].
///
/// # Safety
///
/// The machine must have AVX2.
#[inline(always)]
unsafe fn clamped_256(sum: __m256i, shift: __m128i) -> __m256i {
    // SAFETY: arithmetic on registers.
    unsafe {
        let above = _mm256_max_epi32(_mm256_sra_epi32(sum, shift), _mm256_setzero_si256());
        _mm256_min_epi32(above, _mm256_set1_epi32(255))
    }
}
