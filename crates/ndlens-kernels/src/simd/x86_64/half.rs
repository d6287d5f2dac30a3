//! Registers of floats of 16 bits.
//!
//! AVX-512 has an instruction for bfloat16, but it treats denormals as zeros. So an addition rounds
//! off the low bits: to the nearest, or to the even one of two equally near.
//!
//! ```text
//!  f32       s eeeeeeee mmmmmmm llllllllllllllll
//!          +                    0111111111111111     and 1 more if the lowest m is 1
//!  bfloat16  s eeeeeeee mmmmmmm              NaN would overflow: maps with one have no vector body
//! ```

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;
use std::ptr;

use crate::simd::level::{Isa, Level, avx2};
use crate::simd::vector::Halves;
use crate::simd::x86_64::vector::{Avx2, Avx512};

/// All but the 16 bits that a bfloat16 has, and the half of its last place less a bit.
const UPPER: i32 = 0xffff_0000u32.cast_signed();
const HALF: i32 = 0x7fff;

/// The bits of the nearest float16 of each float, at a level that has the instruction.
#[inline(always)]
pub(crate) fn nearest_float16<const N: usize>(level: Level, from: &[f32; N], to: &mut [u16; N]) {
    assert!(level.isa() >= Isa::Avx2, "the level has no instruction for float16");
    // SAFETY: by the check and invariant 1 of `Level`, the machine has the features of AVX2's
    // level, with which the function is compiled.
    unsafe { nearest_float16_avx2(from, to) }
}

avx2! {
    #[inline]
    fn nearest_float16_avx2<const N: usize>(from: &[f32; N], to: &mut [u16; N]) {
        const { assert!(N.is_multiple_of(8)) };
        for (to, from) in to.as_chunks_mut::<8>().0.iter_mut().zip(from.as_chunks::<8>().0) {
            // SAFETY: both arrays have 8 elements; they need not be aligned.
            unsafe {
                let floats = _mm256_loadu_ps(from.as_ptr());
                Avx2::store_halves(to.as_mut_ptr().cast(), Avx2::to_float16(floats));
            }
        }
    }
}

impl Halves for Avx512 {
    type Halves = __m256i;

    #[inline(always)]
    unsafe fn to_float16(floats: __m512) -> __m256i {
        // SAFETY: touches no memory; the caller guarantees the instruction.
        unsafe { _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(floats) }
    }
    #[inline(always)]
    unsafe fn round_to_float16(floats: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_cvtph_ps(Self::to_float16(floats)) }
    }
    #[inline(always)]
    unsafe fn to_bfloat16(floats: __m512) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded_512(floats))) }
    }
    #[inline(always)]
    unsafe fn round_to_bfloat16(floats: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe {
            _mm512_castsi512_ps(_mm512_and_si512(rounded_512(floats), _mm512_set1_epi32(UPPER)))
        }
    }
    #[inline(always)]
    unsafe fn store_halves(to: *mut u8, halves: __m256i) {
        // SAFETY: the caller guarantees 16 halves; they need not be aligned.
        unsafe { _mm256_storeu_si256(to.cast(), halves) }
    }
    #[inline(always)]
    unsafe fn stream_halves(to: *mut u8, halves: __m256i) {
        // SAFETY: the caller guarantees 16 aligned halves, and the face ends with a fence.
        unsafe { _mm256_stream_si256(to.cast(), halves) }
    }
    #[inline(always)]
    unsafe fn store_half_lanes(to: *mut u8, halves: __m256i, start: usize, end: usize) {
        let lanes = ((1u32 << end) - (1u32 << start)) as __mmask16;
        // SAFETY: a masked store touches no lane but those of its mask, which the caller
        // guarantees.
        unsafe { _mm256_mask_storeu_epi16(to.cast(), lanes, halves) }
    }
}

/// The bits of floats that are rounded to bfloat16, with unspecified lower bits.
///
/// # Safety
///
/// The machine must have AVX-512 F.
#[inline(always)]
unsafe fn rounded_512(floats: __m512) -> __m512i {
    // SAFETY: arithmetic on registers.
    unsafe {
        let bits = _mm512_castps_si512(floats);
        let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
        _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(HALF)))
    }
}

impl Halves for Avx2 {
    type Halves = __m128i;

    #[inline(always)]
    unsafe fn to_float16(floats: __m256) -> __m128i {
        // SAFETY: touches no memory; the caller guarantees the instruction.
        unsafe { _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(floats) }
    }
    #[inline(always)]
    unsafe fn round_to_float16(floats: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_cvtph_ps(Self::to_float16(floats)) }
    }
    #[inline(always)]
    unsafe fn to_bfloat16(floats: __m256) -> __m128i {
        // SAFETY: as above.
        unsafe {
            let upper = _mm256_srli_epi32::<16>(rounded_256(floats));
            // Each half of the register is packed by itself, twice.
            let packed = _mm256_packus_epi32(upper, upper);
            _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b10_00>(packed))
        }
    }
    #[inline(always)]
    unsafe fn round_to_bfloat16(floats: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe {
            _mm256_castsi256_ps(_mm256_and_si256(rounded_256(floats), _mm256_set1_epi32(UPPER)))
        }
    }
    #[inline(always)]
    unsafe fn store_halves(to: *mut u8, halves: __m128i) {
        // SAFETY: the caller guarantees 8 halves; they need not be aligned.
        unsafe { _mm_storeu_si128(to.cast(), halves) }
    }
    #[inline(always)]
    unsafe fn stream_halves(to: *mut u8, halves: __m128i) {
        // SAFETY: the caller guarantees 8 aligned halves, and the face ends with a fence.
        unsafe { _mm_stream_si128(to.cast(), halves) }
    }
    #[inline(always)]
    unsafe fn store_half_lanes(to: *mut u8, halves: __m128i, start: usize, end: usize) {
        // AVX2 has no masked store of 16-bit lanes.
        let mut lanes = [0u16; 8];
        // SAFETY: the array is 16 bytes long; of it lanes `start..end` are copied, which the caller
        // guarantees.
        unsafe {
            _mm_storeu_si128(lanes.as_mut_ptr().cast(), halves);
            let from = lanes.as_ptr().add(start).cast::<u8>();
            ptr::copy_nonoverlapping(from, to.add(2 * start), 2 * (end - start));
        }
    }
}

/// As [`rounded_512`].
///
/// # Safety
///
/// The machine must have AVX2.
#[inline(always)]
unsafe fn rounded_256(floats: __m256) -> __m256i {
    // SAFETY: arithmetic on registers.
    unsafe {
        let bits = _mm256_castps_si256(floats);
        let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(HALF)))
    }
}
