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
    ($ints:ty, $floats:ty, $load:ident, $store:ident, $splat:ident, $add:ident, $multiply:ident, $shift:ident, $max:ident,
    $min:ident, $or:ident, $left:ident, $to_floats:ident) => {
        #[inline(always)]
        unsafe fn load_words(from: *const u32) -> $ints {
            // SAFETY: the caller vouches for a register's words; they need not be aligned.
            unsafe { $load(from.cast()) }
        }
        #[inline(always)]
        unsafe fn store_words(to: *mut u32, words: $ints) {
            // SAFETY: the caller vouches for a register's words; they need not be aligned.
            unsafe { $store(to.cast(), words) }
        }
        #[inline(always)]
        unsafe fn splat_word(word: i32) -> $ints {
            // SAFETY: touches no memory; the caller vouches for the instruction.
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
        unsafe fn to_bytes(sum: $ints, shift: Self::Shift) -> $ints {
            // SAFETY: as `splat_word`.
            unsafe { $min($max($shift(sum, shift), $splat(0)), $splat(255)) }
        }
        #[inline(always)]
        unsafe fn join(lower: $ints, upper: $ints) -> $ints {
            // SAFETY: as `splat_word`.
            unsafe { $or(lower, $left::<16>(upper)) }
        }
        #[inline(always)]
        unsafe fn to_floats(words: $ints) -> $floats {
            // SAFETY: as `splat_word`.
            unsafe { $to_floats(words) }
        }
    };
}

impl Words for Avx512 {
    type Ints = __m512i;
    type Shift = __m128i;
    const LOADS: usize = 1;

    plain! { __m512i, __m512, _mm512_loadu_si512, _mm512_storeu_si512, _mm512_set1_epi32, _mm512_add_epi32,
    _mm512_madd_epi16, _mm512_sra_epi32, _mm512_max_epi32, _mm512_min_epi32, _mm512_or_si512, _mm512_slli_epi32,
    _mm512_cvtepi32_ps }

    #[inline(always)]
    unsafe fn load_window(row: *const u8, bases: *const u32) -> __m512i {
        // SAFETY: the caller vouches for a base and 64 bytes from it on.
        unsafe { _mm512_loadu_si512(row.add(*bases as usize).cast()) }
    }
    #[inline(always)]
    unsafe fn pick(window: __m512i, shuffle: __m512i) -> __m512i {
        /// Every second byte is 0.
        const LOWER: __mmask64 = 0x5555_5555_5555_5555;
        // SAFETY: touches no memory; the caller vouches for the instruction.
        unsafe { _mm512_maskz_permutexvar_epi8(LOWER, shuffle, window) }
    }
    #[inline(always)]
    unsafe fn store_low_bytes(to: *mut u8, words: __m512i) {
        // SAFETY: the caller vouches for 16 bytes.
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtepi32_epi8(words)) }
    }
}

impl Words for Avx2 {
    type Ints = __m256i;
    type Shift = __m128i;
    const LOADS: usize = 2;

    plain! { __m256i, __m256, _mm256_loadu_si256, _mm256_storeu_si256, _mm256_set1_epi32, _mm256_add_epi32,
    _mm256_madd_epi16, _mm256_sra_epi32, _mm256_max_epi32, _mm256_min_epi32, _mm256_or_si256, _mm256_slli_epi32,
    _mm256_cvtepi32_ps }

    #[inline(always)]
    unsafe fn load_window(row: *const u8, bases: *const u32) -> __m256i {
        // SAFETY: the caller vouches for two bases and 16 bytes from each on.
        unsafe {
            let lower = _mm_loadu_si128(row.add(*bases as usize).cast());
            let upper = _mm_loadu_si128(row.add(*bases.add(1) as usize).cast());
            _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(lower), upper)
        }
    }
    #[inline(always)]
    unsafe fn pick(window: __m256i, shuffle: __m256i) -> __m256i {
        // SAFETY: touches no memory; the caller vouches for the instruction. 0x80 in a shuffle
        // makes a 0.
        unsafe { _mm256_shuffle_epi8(window, shuffle) }
    }
    #[inline(always)]
    unsafe fn store_low_bytes(to: *mut u8, words: __m256i) {
        // SAFETY: the caller vouches for 8 bytes.
        unsafe {
            let halves = _mm_packs_epi32(
                _mm256_castsi256_si128(words),
                _mm256_extracti128_si256::<1>(words),
            );
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(halves, halves));
        }
    }
}
