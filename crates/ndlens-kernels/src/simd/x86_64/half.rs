//! What a register of floats is stored as: itself, or floats of half its width.
//!
//! torch computes with half-width floats in `f32` and rounds each result. Where a chain is
//! half-width from its start, so does its body, by going to the half and back; where it becomes so
//! at its end, the last result alone is rounded. AVX-512 has an instruction for bfloat16, but it
//! takes denormals for zeros, so there the low bits are rounded off by an addition: to the nearest,
//! to the even one of two.
//!
//! ```text
//!  f32       s eeeeeeee mmmmmmm llllllllllllllll
//!          +                    0111111111111111     and 1 more if the lowest m is 1
//!  bfloat16  s eeeeeeee mmmmmmm                      NaN would overflow: maps with one have no vector body
//! ```

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "what is not inlined into a body has not its instructions enabled and passes registers through memory"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;
use std::ptr;

use crate::simd::x86_64::vector::{Avx2, Avx512, Vector};

/// A kind of result.
///
/// # Safety
///
/// All methods need the machine to have `V`'s instructions, and pointers valid for what they say.
pub(crate) trait Form {
    /// The bytes of a result.
    const SIZE: usize;

    /// What an operation's result is, if it is not the last.
    unsafe fn round<V: Halves>(floats: V::Floats) -> V::Floats;
    /// A register's results; `to` need not be aligned.
    unsafe fn store<V: Halves>(to: *mut u8, floats: V::Floats);
    /// Past the cache; `to` must be aligned to a register of results.
    unsafe fn stream<V: Halves>(to: *mut u8, floats: V::Floats);
    /// Lanes `start..end` to results `start..end` of `to`; touches nothing else.
    unsafe fn store_lanes<V: Halves>(to: *mut u8, floats: V::Floats, start: usize, end: usize);
}

/// `float32`.
pub(crate) struct Single;

/// `float16`, rounded after `EACH` operation or only after the last.
pub(crate) struct Float16<const EACH: bool>;

/// `bfloat16`, likewise.
pub(crate) struct Bfloat16<const EACH: bool>;

impl Form for Single {
    const SIZE: usize = 4;

    #[inline(always)]
    unsafe fn round<V: Halves>(floats: V::Floats) -> V::Floats {
        floats
    }
    #[inline(always)]
    unsafe fn store<V: Halves>(to: *mut u8, floats: V::Floats) {
        // SAFETY: the caller vouches for the instructions and the room.
        unsafe { V::store(to.cast(), floats) }
    }
    #[inline(always)]
    unsafe fn stream<V: Halves>(to: *mut u8, floats: V::Floats) {
        // SAFETY: as above, and for the alignment.
        unsafe { V::stream(to.cast(), floats) }
    }
    #[inline(always)]
    unsafe fn store_lanes<V: Halves>(to: *mut u8, floats: V::Floats, start: usize, end: usize) {
        // SAFETY: as above.
        unsafe { V::store_lanes(to.cast(), floats, start, end) }
    }
}

/// A half-width form: by what a register becomes halves, and what it is when it has been one.
macro_rules! half_width {
    ($form:ident, $narrow:ident, $round:ident) => {
        impl<const EACH: bool> Form for $form<EACH> {
            const SIZE: usize = 2;

            #[inline(always)]
            unsafe fn round<V: Halves>(floats: V::Floats) -> V::Floats {
                // SAFETY: arithmetic on registers.
                if EACH { unsafe { V::$round(floats) } } else { floats }
            }
            #[inline(always)]
            unsafe fn store<V: Halves>(to: *mut u8, floats: V::Floats) {
                // SAFETY: the caller vouches for the instructions and the room.
                unsafe { V::store_halves(to, V::$narrow(floats)) }
            }
            #[inline(always)]
            unsafe fn stream<V: Halves>(to: *mut u8, floats: V::Floats) {
                // SAFETY: as above, and for the alignment.
                unsafe { V::stream_halves(to, V::$narrow(floats)) }
            }
            #[inline(always)]
            unsafe fn store_lanes<V: Halves>(
                to: *mut u8,
                floats: V::Floats,
                start: usize,
                end: usize,
            ) {
                // SAFETY: as above.
                unsafe { V::store_half_lanes(to, V::$narrow(floats), start, end) }
            }
        }
    };
}

half_width!(Float16, to_float16, round_to_float16);
half_width!(Bfloat16, to_bfloat16, round_to_bfloat16);

/// A register of floats as half-width ones.
///
/// # Safety
///
/// As [`Vector`]; no float that becomes a `bfloat16` may be NaN.
pub(crate) trait Halves: Vector {
    type Halves: Copy;

    unsafe fn to_float16(floats: Self::Floats) -> Self::Halves;
    unsafe fn round_to_float16(floats: Self::Floats) -> Self::Floats;
    unsafe fn to_bfloat16(floats: Self::Floats) -> Self::Halves;
    unsafe fn round_to_bfloat16(floats: Self::Floats) -> Self::Floats;
    unsafe fn store_halves(to: *mut u8, halves: Self::Halves);
    /// Past the cache; `to` must be aligned to the register.
    unsafe fn stream_halves(to: *mut u8, halves: Self::Halves);
    /// Lanes `start..end` to halves `start..end` of `to`; touches nothing else.
    unsafe fn store_half_lanes(to: *mut u8, halves: Self::Halves, start: usize, end: usize);
}

/// All but the 16 bits that a bfloat16 has, and the half of its last place less a bit.
const UPPER: i32 = 0xffff_0000u32.cast_signed();
const HALF: i32 = 0x7fff;

impl Halves for Avx512 {
    type Halves = __m256i;

    #[inline(always)]
    unsafe fn to_float16(floats: __m512) -> __m256i {
        // SAFETY: touches no memory; the caller vouches for the instruction.
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
        // SAFETY: the caller vouches for 16 halves; they need not be aligned.
        unsafe { _mm256_storeu_si256(to.cast(), halves) }
    }
    #[inline(always)]
    unsafe fn stream_halves(to: *mut u8, halves: __m256i) {
        // SAFETY: the caller vouches for 16 aligned halves, and the face ends with a fence.
        unsafe { _mm256_stream_si256(to.cast(), halves) }
    }
    #[inline(always)]
    unsafe fn store_half_lanes(to: *mut u8, halves: __m256i, start: usize, end: usize) {
        let lanes = ((1u32 << end) - (1u32 << start)) as __mmask16;
        // SAFETY: a masked store touches no lane but those of its mask, for which the caller
        // vouches.
        unsafe { _mm256_mask_storeu_epi16(to.cast(), lanes, halves) }
    }
}

/// The bits of floats that are rounded to bfloat16, with whatever is below.
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
        // SAFETY: touches no memory; the caller vouches for the instruction.
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
        // SAFETY: the caller vouches for 8 halves; they need not be aligned.
        unsafe { _mm_storeu_si128(to.cast(), halves) }
    }
    #[inline(always)]
    unsafe fn stream_halves(to: *mut u8, halves: __m128i) {
        // SAFETY: the caller vouches for 8 aligned halves, and the face ends with a fence.
        unsafe { _mm_stream_si128(to.cast(), halves) }
    }
    #[inline(always)]
    unsafe fn store_half_lanes(to: *mut u8, halves: __m128i, start: usize, end: usize) {
        // AVX2 has no masked store of 16-bit lanes.
        let mut lanes = [0u16; 8];
        // SAFETY: the array is 16 bytes long; of it lanes `start..end` are copied, for which the
        // caller vouches.
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
