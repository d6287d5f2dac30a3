//! torch's shuffled orders, bit for bit: `torch.randperm` of a CPU generator, which `RandomSampler`
//! and `DistributedSampler` give.
//!
//! A run that was begun with torch's samplers goes on here with the same batches, and two
//! implementations of a training loop can be compared step by step. The order is then a list that
//! is made for each epoch. It takes 8 bytes and about a tenth of a microsecond an item; the order
//! of ndlens takes neither.
//!
//! torch shuffles in place (Fisher and Yates) with numbers of the Mersenne Twister (Matsumoto and
//! Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudo-random number
//! generator", 1998), seeded with the low 32 bits of the seed.

use ndlens_core::room::with_room_for;

use crate::error::Result;

/// Length of the twister's state, in numbers.
const STATE: usize = 624;
/// Distance of the two numbers that a new one is computed from.
const SHIFT: usize = 397;

/// From this number of items on torch draws 64 bits for each and fills the list from inside out:
/// `UINT32_MAX / 20`.
const MANY: usize = u32::MAX as usize / 20;

/// mt19937.
struct Twister {
    state: [u32; STATE],
    next: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; STATE];
        for at in 1..STATE {
            let last = state[at - 1];
            state[at] = (last ^ last >> 30).wrapping_mul(1_812_433_253).wrapping_add(at as u32);
        }
        Twister { state, next: STATE }
    }

    fn twist(&mut self) {
        for at in 0..STATE {
            let joined = self.state[at] & 1 << 31 | self.state[(at + 1) % STATE] & !(1 << 31);
            let odd = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
            self.state[at] = self.state[(at + SHIFT) % STATE] ^ joined >> 1 ^ odd;
        }
        self.next = 0;
    }

    fn next_u32(&mut self) -> u32 {
        if self.next == STATE {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= y << 7 & 0x9D2C_5680;
        y ^= y << 15 & 0xEFC6_0000;
        y ^ y >> 18
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }
}

/// The first `samples` numbers of successive `torch.randperm(n, generator=generator)`, with
/// `generator = torch.Generator().manual_seed(seed + epoch)`.
///
/// # Errors
///
/// [`Error::Core`](crate::Error::Core) if there is no memory for the list.
pub(crate) fn randperm(seed: u64, epoch: u32, n: usize, samples: usize) -> Result<Vec<usize>> {
    let mut twister = Twister::new(seed.wrapping_add(u64::from(epoch)) as u32);
    let shuffle = if n < MANY { shuffle } else { shuffle_inside_out };
    let mut lap = with_room_for(n)?;
    shuffle(&mut twister, &mut lap, n);
    if samples <= n {
        lap.truncate(samples);
        return Ok(lap);
    }
    let mut order = with_room_for(samples)?;
    while order.len() < samples && n > 0 {
        order.extend_from_slice(&lap[..n.min(samples - order.len())]);
        lap.clear();
        shuffle(&mut twister, &mut lap, n);
    }
    Ok(order)
}

fn shuffle(twister: &mut Twister, order: &mut Vec<usize>, n: usize) {
    order.extend(0..n);
    for at in 0..n.saturating_sub(1) {
        order.swap(at, at + twister.next_u32() as usize % (n - at));
    }
}

fn shuffle_inside_out(twister: &mut Twister, order: &mut Vec<usize>, n: usize) {
    for item in 0..n {
        let at = (twister.next_u64() % (item as u64 + 1)) as usize;
        order.push(item);
        order.swap(at, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twister_gives_the_published_number() {
        // The C++ standard, [rand.predef]: the 10,000th of mt19937, whose seed is 5489.
        let mut twister = Twister::new(5489);
        assert_eq!((0..10_000).map(|_| twister.next_u32()).last(), Some(4_123_659_995));
    }

    #[test]
    fn orders_are_torchs() {
        const TEN: [usize; 10] = [4, 1, 7, 5, 3, 9, 0, 8, 6, 2];
        const TEN_OF_42: [usize; 10] = [2, 6, 1, 8, 4, 5, 0, 9, 3, 7];
        let randperm = |seed, epoch, n| randperm(seed, epoch, n, n).unwrap();
        // torch.randperm(n, generator=torch.Generator().manual_seed(seed)) of torch 2.15, on the
        // CPU.
        assert_eq!(randperm(0, 0, 10), TEN);
        assert_eq!(randperm(40, 2, 10), TEN_OF_42);
        // Only the low 32 bits of the seed count, and the sum wraps round.
        assert_eq!(randperm((1 << 32) + 40, 2, 10), TEN_OF_42);
        assert_eq!(randperm(u64::MAX, 1, 10), TEN);
        assert_eq!(randperm(0, 0, 0), [0usize; 0]);
        assert_eq!(randperm(0, 0, 1), [0]);
        assert_eq!(super::randperm(0, 0, 10, 4).unwrap(), TEN[..4]);
        assert_eq!(super::randperm(0, 0, 10, 12).unwrap()[..10], TEN);
    }

    #[test]
    fn both_ways_of_shuffling_give_each_item_once() {
        for shuffle in [shuffle, shuffle_inside_out] {
            let mut order = Vec::with_capacity(1000);
            shuffle(&mut Twister::new(3), &mut order, 1000);
            assert_ne!(order, (0..1000).collect::<Vec<_>>());
            order.sort_unstable();
            assert_eq!(order, (0..1000).collect::<Vec<_>>());
        }
    }
}
