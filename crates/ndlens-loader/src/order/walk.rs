//! Many walks through the network of an order, side by side.
//!
//! One walk after another waits for each multiplication, and stops at each walk that is longer than
//! the processor guessed. So all take their first step, those that are not there yet their second,
//! and so on: no step waits for another, no branch is guessed, and a vector takes eight at once.

#[cfg(target_arch = "x86_64")]
use ndlens_kernels::Isa;
use ndlens_kernels::{Body, Level};

use crate::order::feistel::Network;
#[cfg(target_arch = "x86_64")]
use crate::order::walk_ifma;

/// Walks at a time; their state stays in the first-level cache.
const AT_ONCE: usize = 256;

/// Lanes of the widest vector: so many walks are always stepped, and the results of those beyond
/// the places are not used.
const LANES: usize = 8;

/// Replaces each place by the first below `n` that its walk comes to.
pub(crate) fn walk_all(network: &Network, places: &mut [usize], n: usize) {
    // Where `NDLENS_ISA` names no level, the maps of a loader say so.
    let level = Level::chosen().unwrap_or(Level::SCALAR);
    #[cfg(target_arch = "x86_64")]
    if walk_ifma::walk(level, network, places, n) {
        return;
    }
    // AVX-512 multiplies 64 bits in eight lanes; what is below it has no such instruction.
    #[cfg(target_arch = "x86_64")]
    let level = match level.isa() {
        Isa::Scalar | Isa::Avx2 => Level::SCALAR,
        Isa::Avx512 => level,
    };
    walk_at_level(level, network, places, n);
}

fn walk_at_level(level: Level, network: &Network, places: &mut [usize], n: usize) {
    level.run(Walk { network, places, n });
}

struct Walk<'a> {
    network: &'a Network,
    places: &'a mut [usize],
    n: usize,
}

impl Body for Walk<'_> {
    type Output = ();

    #[expect(
        clippy::inline_always,
        reason = "a function that is not inlined is compiled without its caller's instructions"
    )]
    #[inline(always)]
    fn run(self) {
        let Walk { network, places, n } = self;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn walks_side_by_side_end_where_each_would_alone(
            keys: [u64; 8],
            n in prop_oneof![
                1025usize..100_000, Just(1 << 40), Just((1 << 40) + 1), 1usize << 30..1 << 44
            ],
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
            let mut all = places.clone();
            walk_all(&network, &mut all, n);
            prop_assert_eq!(&all, &expected);
            for level in Level::all() {
                let mut walked = places.clone();
                walk_at_level(level, &network, &mut walked, n);
                prop_assert_eq!(&walked, &expected);
            }
        }
    }
}
