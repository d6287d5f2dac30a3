//! A permutation of a power of two, as a Feistel network: any place in constant time, without a
//! table.

/// Half-rounds of the network; each half of the bits is replaced four times.
pub(crate) const ROUNDS: usize = 8;

/// A permutation of a power of two, at least as many as there are items.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    pub(crate) left_bits: u32,
    pub(crate) right_bits: u32,
    pub(crate) keys: [u64; ROUNDS],
}

impl Network {
    /// The bits of a left half and of a right one, each from bit 0 on.
    #[inline]
    pub(crate) fn masks(&self) -> (u64, u64) {
        ((1 << self.left_bits) - 1, (1 << self.right_bits) - 1)
    }

    /// The network of `n` items, more than one.
    pub(crate) fn new(n: u64, keys: [u64; ROUNDS]) -> Self {
        let bits = u64::BITS - (n - 1).leading_zeros();
        Network { left_bits: bits / 2, right_bits: bits - bits / 2, keys }
    }

    #[expect(
        clippy::inline_always,
        reason = "what is not inlined has not its caller's instructions enabled"
    )]
    #[inline(always)]
    pub(crate) fn encipher<const LANES: usize>(&self, values: [u64; LANES]) -> [u64; LANES] {
        let (left_mask, right_mask) = self.masks();
        let (mut left, mut right) = (values, values);
        for lane in 0..LANES {
            left[lane] >>= self.right_bits;
            right[lane] &= right_mask;
        }
        for pair in self.keys.chunks_exact(2) {
            for lane in 0..LANES {
                left[lane] ^= mix(right[lane] ^ pair[0]) & left_mask;
            }
            for lane in 0..LANES {
                right[lane] ^= mix(left[lane] ^ pair[1]) & right_mask;
            }
        }
        for lane in 0..LANES {
            left[lane] = left[lane] << self.right_bits | right[lane];
        }
        left
    }
}

/// The factors of [`mix`].
pub(crate) const MIX_FACTORS: [u64; 2] = [0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB];

/// The finaliser of `SplitMix64` (Steele, Lea and Flood, 2014): every input bit moves every output
/// bit.
#[expect(clippy::inline_always, reason = "as for its caller")]
#[inline(always)]
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 30).wrapping_mul(MIX_FACTORS[0]);
    x = (x ^ x >> 27).wrapping_mul(MIX_FACTORS[1]);
    x ^ x >> 31
}
