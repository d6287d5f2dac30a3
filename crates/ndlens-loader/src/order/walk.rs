//! Many walks through the network of an order, side by side.
//!
//! One walk after another waits for each multiplication, and stops at each walk that is longer than
//! the processor guessed. So all take their first step, those that are not there yet their second,
//! and so on: no step waits for another, no branch is guessed, and a vector takes eight at once.

#![expect(
    unsafe_code,
    reason = "calls a body with instructions that were probed for; see UNSAFE.md"
)]

use crate::order::feistel::Network;
#[cfg(target_arch = "x86_64")]
use crate::order::walk_ifma;

/// Walks at a time; their state stays in the first-level cache.
const AT_ONCE: usize = 256;

/// Lanes of the widest vector: so many walks are always stepped, and those that nobody asked for
/// forgotten.
const LANES: usize = 8;

/// Replaces each place by the first below `n` that its walk comes to.
pub(crate) fn walk_all(network: &Network, places: &mut [usize], n: usize) {
    #[cfg(target_arch = "x86_64")]
    if walk_ifma::can_walk(network) {
        // SAFETY: as it says.
        unsafe { walk_ifma::walk(network, places, n) };
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the machine has it.
        unsafe { walk_with_avx512(network, places, n) };
        return;
    }
    walk(network, places, n);
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512vl")
}

/// The same body; AVX-512 DQ multiplies 64 bits in eight lanes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn walk_with_avx512(network: &Network, places: &mut [usize], n: usize) {
    walk(network, places, n);
}

#[expect(
    clippy::inline_always,
    reason = "what is not inlined has not its caller's instructions enabled"
)]
#[inline(always)]
fn walk(network: &Network, places: &mut [usize], n: usize) {
    let mut at = [0; AT_ONCE];
    // Whose walk it is.
    let mut whose = [0; AT_ONCE];
    for places in places.chunks_mut(AT_ONCE) {
        let mut left = places.len();
        for (i, &place) in places.iter().enumerate() {
            at[i] = place as u64;
            whose[i] = i as u8;
        }
        while left > 0 {
            for lanes in at[..left.next_multiple_of(LANES)].as_chunks_mut::<LANES>().0 {
                *lanes = network.encipher(*lanes);
            }
            let mut still = 0;
            for i in 0..left {
                // Written whether it counts or not.
                let (to, owner) = (at[i] as usize, whose[i]);
                places[usize::from(owner)] = to;
                (at[still], whose[still]) = (at[i], owner);
                still += usize::from(to >= n);
            }
            left = still;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn walks_side_by_side_end_where_each_would_alone(
            keys: [u64; 8],
            n in prop_oneof![1025usize..100_000, Just(1 << 40), Just((1 << 40) + 1), 1usize << 30..1 << 44],
            len in 0usize..3000,
        ) {
            let network = Network::new(n as u64, keys);
            let places: Vec<usize> = (0..len).map(|i| i * 7919 % n).collect();
            let alone = |&place: &usize| {
                let mut at = network.encipher([place as u64])[0];
                while at >= n as u64 {
                    at = network.encipher([at])[0];
                }
                at as usize
            };
            let expected: Vec<usize> = places.iter().map(alone).collect();
            let (mut all, mut plain) = (places.clone(), places.clone());
            walk_all(&network, &mut all, n);
            walk(&network, &mut plain, n);
            prop_assert_eq!(&all, &expected);
            prop_assert_eq!(&plain, &expected);
            #[cfg(target_arch = "x86_64")]
            if has_avx512() {
                let mut wide = places;
                // SAFETY: the machine has what is asked for.
                unsafe { walk_with_avx512(&network, &mut wide, n) };
                prop_assert_eq!(&wide, &expected);
            }
        }
    }
}
