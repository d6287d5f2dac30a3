//! Registers of floats of AVX2 and AVX-512.

#![expect(unsafe_code, reason = "CPU intrinsics and raw pointers; see UNSAFE.md")]
#![expect(
    clippy::inline_always,
    reason = "a function that is not inlined into a body is compiled without its instructions"
)]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;

use crate::simd::vector::{SHUFFLES, Vector, byte_of_lane, shuffle_index};

/// The methods of [`Vector`] that are one intrinsic.
macro_rules! plain {
    (
        $floats:ty, $splat:ident, $load:ident, $store:ident, $mul:ident, $sub:ident, $div:ident,
        $mul_add:ident, $negated_mul_add:ident
    ) => {
        #[inline(always)]
        unsafe fn splat(value: f32) -> $floats {
            // SAFETY: touches no memory; the caller guarantees the instruction.
            unsafe { $splat(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> $floats {
            // SAFETY: the caller guarantees a register's floats; they need not be aligned.
            unsafe { $load(from) }
        }
        #[inline(always)]
        unsafe fn store(to: *mut f32, floats: $floats) {
            // SAFETY: the caller guarantees a register's floats; they need not be aligned.
            unsafe { $store(to, floats) }
        }
        #[inline(always)]
        unsafe fn mul(a: $floats, b: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $mul(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: $floats, b: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $sub(a, b) }
        }
        #[inline(always)]
        unsafe fn div(a: $floats, b: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $div(a, b) }
        }
        #[inline(always)]
        unsafe fn mul_add(a: $floats, b: $floats, c: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $mul_add(a, b, c) }
        }
        #[inline(always)]
        unsafe fn negated_mul_add(a: $floats, b: $floats, c: $floats) -> $floats {
            // SAFETY: as `splat`.
            unsafe { $negated_mul_add(a, b, c) }
        }
    };
}

#[derive(Clone, Copy)]
pub(crate) struct Avx512;

#[derive(Clone, Copy)]
pub(crate) struct Avx512Shuffle {
    /// For each byte of the register, the block's byte it comes from; only every fourth is used.
    bytes: __m512i,
    /// The bytes from a block's first element to its last.
    readable: __mmask64,
}

impl Vector for Avx512 {
    const LANES: usize = 16;
    type Floats = __m512;
    type Shuffle = Avx512Shuffle;

    #[inline(always)]
    unsafe fn shuffle(stride: isize) -> Avx512Shuffle {
        /// For each stride and lane, the block's byte that becomes the lane's lowest.
        static BYTES: [[u32; 16]; SHUFFLES] = {
            let mut bytes = [[0; 16]; SHUFFLES];
            let mut stride = -4;
            while stride <= 4 {
                let mut lane = 0;
                while lane < 16 {
                    bytes[shuffle_index(stride)][lane] = byte_of_lane(lane, 16, stride) as u32;
                    lane += 1;
                }
                stride += 1;
            }
            bytes
        };
        // At most 15 * 4 + 1 = 61 bits.
        let readable = (1 << (15 * stride.unsigned_abs() + 1)) - 1;
        // SAFETY: the row of the table is 64 bytes long.
        let bytes = unsafe { _mm512_loadu_si512(BYTES[shuffle_index(stride)].as_ptr().cast()) };
        Avx512Shuffle { bytes, readable }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8, shuffle: &Avx512Shuffle) -> __m512 {
        /// The lowest byte of each lane; the others become 0, which widens it.
        const LOWEST: __mmask64 = 0x1111_1111_1111_1111;
        // SAFETY: a masked load touches no byte but those of its mask, which the caller
        // guarantees.
        unsafe {
            let block = _mm512_maskz_loadu_epi8(shuffle.readable, from.cast());
            _mm512_cvtepi32_ps(_mm512_maskz_permutexvar_epi8(LOWEST, shuffle.bytes, block))
        }
    }

    plain! {
        __m512, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_mul_ps, _mm512_sub_ps,
        _mm512_div_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps
    }

    #[inline(always)]
    unsafe fn stream(to: *mut f32, floats: __m512) {
        // SAFETY: the caller guarantees 16 aligned floats, and the face ends with a fence.
        unsafe { _mm512_stream_ps(to, floats) }
    }

    #[inline(always)]
    unsafe fn store_lanes(to: *mut f32, floats: __m512, start: usize, end: usize) {
        let lanes = ((1u32 << end) - (1u32 << start)) as __mmask16;
        // SAFETY: a masked store touches no lane but those of its mask, which the caller
        // guarantees.
        unsafe { _mm512_mask_storeu_ps(to, lanes, floats) }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Avx2;

#[derive(Clone, Copy)]
pub(crate) struct Avx2Shuffle {
    /// For each byte of a half, the byte of that half's load it comes from; 0x80 makes a 0.
    bytes: __m256i,
    /// Starts of the loads of the lower and the upper half.
    starts: [usize; 2],
    /// Whether a half is loaded as 16 bytes, or as 8.
    long: bool,
}

impl Avx2Shuffle {
    /// One load starts with the block, the other ends with it; each covers its four elements:
    ///
    /// | stride | block | load | first load | needs | second load | needs |
    /// |---|---|---|---|---|---|---|
    /// | 1 | 0..8 | 8 | 0..8 | 0..4 | 0..8 | 4..8 |
    /// | 2 | 0..15 | 8 | 0..8 | 0..7 | 7..15 | 8..15 |
    /// | 3 | 0..22 | 16 | 0..16 | 0..10 | 6..22 | 12..22 |
    /// | 4 | 0..29 | 16 | 0..16 | 0..13 | 13..29 | 16..29 |
    #[inline(always)]
    const fn starts(stride: isize) -> [usize; 2] {
        let len = if Avx2Shuffle::is_long(stride) { 16 } else { 8 };
        let second = (7 * stride.unsigned_abs() + 1).saturating_sub(len);
        // Backwards, the lower lanes need the end of the block.
        if stride > 0 { [0, second] } else { [second, 0] }
    }

    #[inline(always)]
    const fn is_long(stride: isize) -> bool {
        stride.unsigned_abs() > 2
    }
}

impl Vector for Avx2 {
    const LANES: usize = 8;
    type Floats = __m256;
    type Shuffle = Avx2Shuffle;

    #[inline(always)]
    unsafe fn shuffle(stride: isize) -> Avx2Shuffle {
        /// The three upper bytes of a lane become 0, which widens the lowest.
        const ZEROS: u32 = 0x8080_8000;
        /// For each stride and lane, the half's byte that becomes the lane's lowest.
        static BYTES: [[u32; 8]; SHUFFLES] = {
            let mut bytes = [[ZEROS; 8]; SHUFFLES];
            let mut stride = -4;
            while stride <= 4 {
                let starts = Avx2Shuffle::starts(stride);
                let mut lane = 0;
                while lane < 8 && stride != 0 {
                    let byte = byte_of_lane(lane, 8, stride) - starts[lane / 4];
                    bytes[shuffle_index(stride)][lane] |= byte as u32;
                    lane += 1;
                }
                stride += 1;
            }
            bytes
        };
        // SAFETY: the row of the table is 32 bytes long.
        let bytes = unsafe { _mm256_loadu_si256(BYTES[shuffle_index(stride)].as_ptr().cast()) };
        Avx2Shuffle {
            bytes,
            starts: Avx2Shuffle::starts(stride),
            long: Avx2Shuffle::is_long(stride),
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8, shuffle: &Avx2Shuffle) -> __m256 {
        // SAFETY: by the table above both loads lie between the block's first byte and its last,
        // which the caller guarantees.
        unsafe {
            let [lower, upper] = shuffle.starts.map(|start| from.add(start).cast());
            let [lower, upper] = if shuffle.long {
                [_mm_loadu_si128(lower), _mm_loadu_si128(upper)]
            } else {
                [_mm_loadl_epi64(lower), _mm_loadl_epi64(upper)]
            };
            let halves = _mm256_inserti128_si256::<1>(_mm256_castsi128_si256(lower), upper);
            _mm256_cvtepi32_ps(_mm256_shuffle_epi8(halves, shuffle.bytes))
        }
    }

    plain! {
        __m256, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_mul_ps, _mm256_sub_ps,
        _mm256_div_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps
    }

    #[inline(always)]
    unsafe fn stream(to: *mut f32, floats: __m256) {
        // SAFETY: the caller guarantees 8 aligned floats, and the face ends with a fence.
        unsafe { _mm256_stream_ps(to, floats) }
    }

    #[inline(always)]
    unsafe fn store_lanes(to: *mut f32, floats: __m256, start: usize, end: usize) {
        let lanes: [i32; 8] = std::array::from_fn(|lane| -i32::from((start..end).contains(&lane)));
        // SAFETY: the array is 32 bytes long; a masked store touches no lane but those of its mask,
        // which the caller guarantees.
        unsafe { _mm256_maskstore_ps(to, _mm256_loadu_si256(lanes.as_ptr().cast()), floats) }
    }
}
