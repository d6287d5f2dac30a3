//! Long operations that can be interrupted.
//!
//! A copy of a view that repeats one byte 2^40 times takes an hour. A thread that starts such an
//! operation can set a watch: a function that is called about every 50 ms and says whether the
//! operation must end. If so, it ends with [`Error::Interrupted`]. Threads without a watch, such as
//! the workers of a loader, never ask.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// Time between two calls of the watch.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// Work between two looks at the clock: 4 MB copied, or 65,536 elements with strides; each takes a
/// few milliseconds.
const LOOK_COST: usize = 1 << 16;
/// Contiguous bytes that take as long to copy as one element with a stride.
const BYTES_OF_COST: usize = 64;

/// The watch of a thread, and the time of its last call.
#[derive(Clone, Copy)]
struct Watch {
    is_interrupted: fn() -> bool,
    asked: Instant,
}

thread_local! {
    static WATCH: Cell<Option<Watch>> = const { Cell::new(None) };
}

/// Does `work` on this thread, which ends with [`Error::Interrupted`] once `is_interrupted` returns
/// true.
pub fn watched<R>(is_interrupted: fn() -> bool, work: impl FnOnce() -> R) -> R {
    /// Restores the previous watch, also if the work panics.
    struct Before(Option<Watch>);
    impl Drop for Before {
        fn drop(&mut self) {
            WATCH.set(self.0);
        }
    }
    let _before = Before(WATCH.replace(Some(Watch { is_interrupted, asked: Instant::now() })));
    work()
}

/// The work done since the last call of the watch.
#[derive(Debug, Default)]
pub(crate) struct Meter(usize);

impl Meter {
    /// The largest number of elements of `itemsize` bytes to move between two looks at the clock.
    pub(crate) fn row_limit(itemsize: usize, packed: bool) -> usize {
        let cost_of_one = if packed { itemsize } else { itemsize + BYTES_OF_COST };
        (LOOK_COST * BYTES_OF_COST).div_ceil(cost_of_one.max(1))
    }

    /// Counts a row of moved elements, and calls the watch if it is due.
    #[inline]
    pub(crate) fn count_row(&mut self, count: usize, itemsize: usize, packed: bool) -> Result<()> {
        self.0 += 1 + count * itemsize / BYTES_OF_COST + if packed { 0 } else { count };
        if self.0 < LOOK_COST { Ok(()) } else { self.look() }
    }

    #[cold]
    fn look(&mut self) -> Result<()> {
        self.0 = 0;
        let Some(watch) = WATCH.get() else { return Ok(()) };
        if watch.asked.elapsed() < INTERVAL {
            return Ok(());
        }
        if (watch.is_interrupted)() {
            return Err(Error::Interrupted);
        }
        WATCH.set(Some(Watch { asked: Instant::now(), ..watch }));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_ends_with_its_work() {
        watched(|| true, || assert!(WATCH.get().is_some()));
        assert!(WATCH.get().is_none());
    }

    #[test]
    fn no_more_than_some_megabytes_are_moved_between_two_looks() {
        for packed in [false, true] {
            for itemsize in [1, 3, 16, 1000, 1 << 20, 1 << 30] {
                let most = Meter::row_limit(itemsize, packed);
                assert!(most >= 1 && (most - 1) * itemsize < 4 << 20, "{itemsize} {packed}");
                assert!(packed || most <= LOOK_COST);
                let mut meter = Meter(0);
                meter.count_row(most, itemsize, packed).unwrap();
                // The clock was read, or will be with the next row.
                assert!(
                    meter.0 == 0 || meter.0 >= LOOK_COST / 2,
                    "{itemsize} {packed} {}",
                    meter.0
                );
            }
        }
    }
}
