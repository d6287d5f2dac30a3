//! Long work that may be told to stop.
//!
//! A copy of a view that repeats one byte 2^40 times takes an hour. Code that starts such work on a
//! thread may give it a watch, a function that is asked every 50 ms or so whether the work shall
//! end; it then ends in [`Error::Interrupted`]. Threads without a watch, such as a loader's
//! workers, never ask.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How often the watch is asked.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// Work between two looks at the clock: 4 MB copied, or so many elements at strides, some ms of
/// either.
const LOOK_COST: usize = 1 << 16;
/// Bytes copied in a row that cost what one element at a stride does.
const BYTES_OF_COST: usize = 64;

/// Whether a thread's work shall end, and when that was asked last.
#[derive(Clone, Copy)]
struct Watch {
    is_interrupted: fn() -> bool,
    asked: Instant,
}

thread_local! {
    static WATCH: Cell<Option<Watch>> = const { Cell::new(None) };
}

/// Does `work` on this thread, and ends it with [`Error::Interrupted`] once `is_interrupted` says
/// so.
pub fn watched<R>(is_interrupted: fn() -> bool, work: impl FnOnce() -> R) -> R {
    /// Puts back what was there, also where the work panics.
    struct Before(Option<Watch>);
    impl Drop for Before {
        fn drop(&mut self) {
            WATCH.set(self.0);
        }
    }
    let _before = Before(WATCH.replace(Some(Watch { is_interrupted, asked: Instant::now() })));
    work()
}

/// How much work was done since the watch was last asked.
#[derive(Debug, Default)]
pub(crate) struct Meter(usize);

impl Meter {
    /// The most elements of a row, so many bytes each, to be moved between two looks.
    pub(crate) fn row_limit(itemsize: usize, packed: bool) -> usize {
        let cost_of_one = if packed { itemsize } else { itemsize + BYTES_OF_COST };
        (LOOK_COST * BYTES_OF_COST).div_ceil(cost_of_one.max(1))
    }

    /// Counts a row of elements that were moved, and asks the watch if it is time.
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
                // It looked, or will with the next row.
                assert!(
                    meter.0 == 0 || meter.0 >= LOOK_COST / 2,
                    "{itemsize} {packed} {}",
                    meter.0
                );
            }
        }
    }
}
