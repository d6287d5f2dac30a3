//! The division of a batch into chunks. A thread makes one chunk at a time.
//!
//! Large chunks come first, since each takes a lock. Smaller ones follow towards the end of the
//! batch, so that all threads finish it at about the same time: guided self-scheduling
//! (Polychronopoulos and Kuck, "Guided Self-Scheduling: A Practical Scheduling Scheme for Parallel
//! Supercomputers", 1987), between two bounds.

/// Minimum bytes of output of a chunk. Its claim, a lock and a few stores, is then a negligible
/// part of its time.
const MIN_BYTES: usize = 256 << 10;

/// Maximum bytes of output of a chunk of several items. Its claim is then about a hundredth of its
/// time, and larger chunks would only finish less evenly.
const MAX_BYTES: usize = 1 << 20;

/// Number of chunks for each thread into which the rest of a batch is divided.
const PARTS_PER_THREAD: usize = 2;

/// The sizes of chunks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunks {
    least: usize,
    most: usize,
    parts: usize,
}

impl Chunks {
    /// The sizes for items of `item_bytes` bytes, made by `threads` threads.
    pub(crate) fn new(item_bytes: usize, threads: usize) -> Self {
        let items = |bytes: usize| (bytes / item_bytes.max(1)).max(1);
        Chunks {
            least: items(MIN_BYTES),
            most: items(MAX_BYTES),
            parts: PARTS_PER_THREAD * threads.max(1),
        }
    }

    /// The number of items of the next chunk, if `left` items of a batch are left.
    pub(crate) fn next(&self, left: usize) -> usize {
        (left / self.parts).clamp(self.least, self.most).min(left)
    }

    /// The number of items of the smallest chunk, which a waiting thread may make; None if that is
    /// a single item, which may be large and take any time.
    pub(crate) fn short(&self) -> Option<usize> {
        (self.least > 1).then_some(self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter;

    fn cut(batch_size: usize, item_bytes: usize, threads: usize) -> Vec<usize> {
        let (chunks, mut left) = (Chunks::new(item_bytes, threads), batch_size);
        iter::from_fn(|| {
            let chunk = chunks.next(left);
            left -= chunk;
            (chunk > 0).then_some(chunk)
        })
        .collect()
    }

    #[test]
    fn chunks_are_all_of_the_batch_and_get_smaller_towards_its_end() {
        assert_eq!(cut(256, 32 << 10, 2)[..6], [32, 32, 32, 32, 32, 24]);
        for (batch_size, item_bytes, threads) in
            [(256, 32 << 10, 2), (1, 1, 7), (100_000, 3, 1), (33, 5 << 20, 2)]
        {
            let chunks = cut(batch_size, item_bytes, threads);
            assert_eq!(chunks.iter().sum::<usize>(), batch_size);
            assert!(chunks.is_sorted_by(|one, next| one >= next), "{chunks:?}");
        }
    }

    #[test]
    fn large_items_go_one_by_one_and_small_ones_by_the_thousand() {
        assert_eq!(cut(5, 5 << 20, 2), [1; 5]);
        assert_eq!(cut(8192, 64, 2), [4096; 2]);
        assert_eq!(cut(100, 0, 2), [100]);
        assert_eq!(
            [5 << 20, 64].map(|item_bytes| Chunks::new(item_bytes, 2).short()),
            [None, Some(4096)]
        );
    }
}
