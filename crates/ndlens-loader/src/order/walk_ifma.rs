//! The walk of `walk.rs` with the 52-bit multiplications of AVX-512 IFMA, for fewer than 2^40
//! places.
//!
//! A half `r` of a place has at most [`MAX_HALF_BITS`] bits, and of what it is mixed to no more are
//! wanted. So [`mix`](crate::order::feistel::mix) of `r ^ key` takes three narrow multiplications
//! instead of two of 64 bits, each of which is three narrow ones one after another:
//!
//! ```text
//!  x ^ x >> 30        =  r ^ K              K = key ^ key >> 30, as r has no bit from 30 on
//!  (r ^ K) * C1       =  A + q * C1         A = K's high bits times C1; q = r ^ K's low 20 bits
//!                     =  A + q * (C1 mod 2^32) + (q * (C1 / 2^32) << 32)
//!  z * C2, and >> 31  :  only bits 0..51 of the product matter, which those of z and of C2 make
//! ```
//!
//! The walks are the same, to the bit.

#![expect(unsafe_code, reason = "loads, stores and scatters vectors; see UNSAFE.md")]
#![allow(clippy::wildcard_imports, reason = "intrinsics carry their own prefix")]

use std::arch::x86_64::*;

use ndlens_kernels::{Isa, Level};

use crate::order::feistel::{MIX_FACTORS, Network, ROUNDS};

// Where these were no features of the level, the call of `walk_in_vectors` would be unsound.
const _: () = assert!(
    Isa::Avx512.has_feature("avx512f") && Isa::Avx512.has_feature("avx512ifma"),
    "functions of this file are compiled with features that the level does not have"
);

/// The longest half: the first product then has 52 bits, and the last is wanted up to bit 51.
const MAX_HALF_BITS: u32 = 20;

/// Walks at a time. The more, the seldomer a few last walks have vectors for themselves.
const AT_ONCE: usize = 1024;

/// The lanes of a vector.
const LANES: usize = 8;

/// First bit of a walk's number, above its place.
const OWNER_SHIFT: u32 = 2 * MAX_HALF_BITS;

/// A network in vectors.
struct Vectors {
    /// For each round, what `q` and `A` are made with.
    rounds: [(__m512i, __m512i); ROUNDS],
    first_low: __m512i,
    first_high: __m512i,
    second: __m512i,
    left_mask: __m512i,
    right_mask: __m512i,
    right_bits: __m512i,
}

impl Vectors {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn new(network: &Network) -> Self {
        let (left_mask, right_mask) = network.masks();
        let all = |value: u64| _mm512_set1_epi64(value as i64);
        let [first, second] = MIX_FACTORS;
        let mut rounds = [(all(0), all(0)); ROUNDS];
        for (number, (round, key)) in rounds.iter_mut().zip(network.keys).enumerate() {
            let low = if number % 2 == 0 { right_mask } else { left_mask };
            let key = key ^ key >> 30;
            *round = (all(key & low), all((key & !low).wrapping_mul(first)));
        }
        Vectors {
            rounds,
            first_low: all(first & u64::from(u32::MAX)),
            first_high: all(first >> 32),
            second: all(second),
            left_mask: all(left_mask),
            right_mask: all(right_mask),
            right_bits: all(network.right_bits.into()),
        }
    }

    /// One step of eight walks.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn step(&self, places: __m512i) -> __m512i {
        let mut left = _mm512_and_si512(_mm512_srlv_epi64(places, self.right_bits), self.left_mask);
        let mut right = _mm512_and_si512(places, self.right_mask);
        for pair in self.rounds.as_chunks::<2>().0 {
            left = self.mixed(left, right, pair[0], self.left_mask);
            right = self.mixed(right, left, pair[1], self.right_mask);
        }
        _mm512_or_si512(_mm512_sllv_epi64(left, self.right_bits), right)
    }

    /// One half, with the other mixed into those of its bits that the mask has.
    #[inline]
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mixed(
        &self,
        half: __m512i,
        other: __m512i,
        (flips, added): (__m512i, __m512i),
        mask: __m512i,
    ) -> __m512i {
        let q = _mm512_xor_si512(other, flips);
        let low = _mm512_madd52lo_epu64(added, q, self.first_low);
        let high = _mm512_slli_epi64::<32>(_mm512_mul_epu32(q, self.first_high));
        let y = _mm512_add_epi64(low, high);
        let z = _mm512_xor_si512(y, _mm512_srli_epi64::<27>(y));
        let w = _mm512_madd52lo_epu64(_mm512_setzero_si512(), z, self.second);
        let mixed = _mm512_xor_si512(w, _mm512_srli_epi64::<31>(w));
        _mm512_xor_si512(half, _mm512_and_si512(mixed, mask))
    }
}

/// Replaces each place by the first below `n` that its walk comes to, if the level can walk through
/// this network here; says whether it can. Places are below `n`.
pub(crate) fn walk(level: Level, network: &Network, places: &mut [usize], n: usize) -> bool {
    if network.right_bits > MAX_HALF_BITS {
        return false;
    }
    match level.isa() {
        Isa::Scalar | Isa::Avx2 => false,
        Isa::Avx512 => {
            // SAFETY: the machine has the features of a level. Those of AVX-512 include this
            // function's, as is asserted at the top of this file.
            unsafe { walk_in_vectors(network, places, n) };
            true
        }
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn walk_in_vectors(network: &Network, places: &mut [usize], n: usize) {
    let vectors = Vectors::new(network);
    let all = |value: usize| _mm512_set1_epi64(value as i64);
    let (end, place_mask) = (all(n), all((1 << OWNER_SHIFT) - 1));
    let first_owners = _mm512_slli_epi64::<OWNER_SHIFT>(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
    // Walks that go on, each a place and whose it is; room for the vector that holds the last.
    let mut on = [0u64; AT_ONCE + LANES];
    for places in places.chunks_mut(AT_ONCE) {
        let mut left = 0;
        for (number, places) in places.chunks_mut(LANES).enumerate() {
            let lanes = 0xFF >> (LANES - places.len());
            // SAFETY: as many lanes as there are places; `left` is at most as far as the places so
            // far.
            unsafe {
                let to = vectors.step(_mm512_maskz_loadu_epi64(lanes, places.as_ptr().cast()));
                _mm512_mask_storeu_epi64(places.as_mut_ptr().cast(), lanes, to);
                let beyond = _mm512_mask_cmpge_epu64_mask(lanes, to, end);
                let owners = _mm512_add_epi64(first_owners, all((number * LANES) << OWNER_SHIFT));
                let walks = _mm512_maskz_compress_epi64(beyond, _mm512_or_si512(to, owners));
                _mm512_storeu_epi64(on.as_mut_ptr().add(left).cast(), walks);
                left += beyond.count_ones() as usize;
            }
        }
        while left > 0 {
            let mut still = 0;
            for start in (0..left).step_by(LANES) {
                let lanes = 0xFF >> LANES.saturating_sub(left - start);
                // SAFETY: `start` is below `left`, which is at most AT_ONCE, and `still` is not
                // above `start`; owners are numbers of places.
                unsafe {
                    let walks = _mm512_loadu_epi64(on.as_ptr().add(start).cast());
                    let to = vectors.step(walks);
                    let beyond = _mm512_mask_cmpge_epu64_mask(lanes, to, end);
                    let owners = _mm512_srli_epi64::<OWNER_SHIFT>(walks);
                    let there = lanes & !beyond;
                    _mm512_mask_i64scatter_epi64::<8>(
                        places.as_mut_ptr().cast(),
                        there,
                        owners,
                        to,
                    );
                    let walks = _mm512_or_si512(to, _mm512_andnot_si512(place_mask, walks));
                    let walks = _mm512_maskz_compress_epi64(beyond, walks);
                    _mm512_storeu_epi64(on.as_mut_ptr().add(still).cast(), walks);
                    still += beyond.count_ones() as usize;
                }
            }
            left = still;
        }
    }
}
