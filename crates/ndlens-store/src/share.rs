//! Arrays on shared memory: where they are put, and how they get there.
//!
//! An arena costs a descriptor, of which a process has some thousand, and a few microseconds. So arrays that are shared together
//! lie in one arena; and what is small, alone or beside what is shared already, is put one after the other into an arena that has
//! room, the nursery:
//!
//! ```text
//!  nursery |a|b...|c|d.....|                              room for more |
//!                          ^next   ^reserved: what is set aside        len, as much as all that is shared, 64 MiB at least
//! ```
//!
//! Each nursery is as large as all before it that live, so their number grows with the logarithm of what is shared.
//!
//! # Rationale
//!
//! A place in a nursery is never used twice: another process may still look at it. The memory is given back when the last array
//! of the nursery is dropped; large arrays have arenas of their own, so that it is never much that one small array keeps.

use std::sync::{Arc, Weak};

use ndlens_core::{ALIGNMENT, DType, Layout, Order, View};

use crate::error::{Error, Result};
use crate::process::PerProcess;
use crate::shared::Arena;

/// What is at most as large goes to the nursery.
const SMALL_BYTES: usize = 1 << 20;

/// What is at most this part of all that is shared and lives, too.
const SMALL_PART: usize = 4;

/// A nursery's least room. It takes addresses, not memory.
const NURSERY_BYTES: usize = 64 << 20;

/// Memory for a nursery is set aside in pieces that grow with it from the first to the second of these.
const RESERVE_BYTES: (usize, usize) = (4096, 1 << 20);

/// Where small arrays go; a forked child has a nursery of its own, since the parent goes on filling its.
static SHARED: PerProcess<Shared> = PerProcess::new(|_| Shared::default());

#[derive(Debug, Default)]
struct Shared {
    nursery: Option<Nursery>,
    /// Other arenas that may live, and the bytes of each that arrays are on.
    arenas: Vec<(Weak<Arena>, usize)>,
}

#[derive(Debug)]
struct Nursery {
    arena: Weak<Arena>,
    next: usize,
    reserved: usize,
}

/// Zeroed arrays of these shapes and dtypes, packed in C order, at multiples of [`ALIGNMENT`], all in one arena.
///
/// # Errors
///
/// [`Error::SharedMemoryExhausted`] where there is not as much memory; [`Error::SharedMemory`] where the system says no;
/// [`Error::Core`] for shapes that no array can have.
pub fn empty_shared(arrays: &[(&[usize], DType)]) -> Result<Vec<View>> {
    let plan = Plan::new(arrays)?;
    let (arena, start) = find_room(plan.len)?;
    plan.views(&arena, start)
}

/// The arrays, copied to shared memory, packed in C order, at multiples of [`ALIGNMENT`], all in one arena.
///
/// # Errors
///
/// As [`empty_shared`], and what [`Owner::verify`](ndlens_core::Owner::verify) says of the arrays.
///
/// ```
/// use ndlens_core::View;
/// use ndlens_store::share;
///
/// let rows = View::from_vec(vec![1.5f32; 6]).reshape(&[2, 3])?;
/// let shared = share(&[rows])?.remove(0);
/// assert_eq!(shared.shape(), [2, 3]);
/// assert_eq!(shared.to_vec::<f32>()?, [1.5; 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn share(views: &[View]) -> Result<Vec<View>> {
    let arrays: Vec<_> = views.iter().map(|view| (view.shape(), view.dtype().clone())).collect();
    let plan = Plan::new(&arrays)?;
    let (arena, start) = find_room(plan.len)?;
    arena.populate(start, plan.len);
    let shared = plan.views(&arena, start)?;
    for (target, source) in shared.iter().zip(views) {
        target.assign(source)?;
    }
    Ok(shared)
}

/// Where arrays lie in an arena, from the byte on that they are given.
#[derive(Debug)]
pub(crate) struct Plan {
    arrays: Vec<(usize, Layout, DType)>,
    /// Bytes of all.
    pub(crate) len: usize,
}

impl Plan {
    pub(crate) fn new(arrays: &[(&[usize], DType)]) -> Result<Self> {
        let mut plan = Plan { arrays: vec![], len: 0 };
        for (shape, dtype) in arrays {
            let itemsize = dtype.itemsize();
            let layout = Layout::contiguous(shape, itemsize, Order::C)?;
            let nbytes = layout.len() * itemsize;
            let too_large = || ndlens_core::Error::SizeOverflow { shape: shape.to_vec(), itemsize };
            let start = plan.len.checked_next_multiple_of(ALIGNMENT).ok_or_else(too_large)?;
            plan.len = start.checked_add(nbytes).ok_or_else(too_large)?;
            plan.arrays.push((start, layout, dtype.clone()));
        }
        Ok(plan)
    }

    /// The byte each array starts at.
    pub(crate) fn starts(&self) -> impl Iterator<Item = usize> + '_ {
        self.arrays.iter().map(|(start, ..)| *start)
    }

    pub(crate) fn views(self, arena: &Arena, start: usize) -> Result<Vec<View>> {
        let view = |(offset, layout, dtype): (usize, Layout, DType)| {
            let buffer = arena.buffer(start + offset, layout.len() * dtype.itemsize())?;
            Ok(View::new(buffer, layout, dtype)?)
        };
        self.arrays.into_iter().map(view).collect()
    }
}

/// An arena and the place in it from which `len` bytes are free and set aside.
fn find_room(len: usize) -> Result<(Arc<Arena>, usize)> {
    {
        let mut shared = SHARED.lock();
        let live = shared.live_bytes();
        if len <= SMALL_BYTES || len <= live / SMALL_PART {
            if let Some(room) = shared.take_from_nursery(len)? {
                return Ok(room);
            }
            // As much as there is already; where that many addresses or such a long file cannot be had, one of its own.
            if let Ok(arena) = Arena::create_sparse("ndlens", live.max(len).max(NURSERY_BYTES)) {
                arena.set_ready();
                shared.retire_nursery();
                shared.nursery = Some(Nursery { arena: Arc::downgrade(&arena), next: 0, reserved: 0 });
                if let Some(room) = shared.take_from_nursery(len)? {
                    return Ok(room);
                }
            }
        }
    }
    // Not under the lock: it takes long for a large one.
    let arena = Arena::create(len)?;
    SHARED.lock().arenas.push((Arc::downgrade(&arena), len));
    Ok((arena, 0))
}

impl Shared {
    /// Bytes of all arrays in arenas that live.
    fn live_bytes(&mut self) -> usize {
        self.arenas.retain(|(arena, _)| arena.strong_count() > 0);
        let in_nursery = match &self.nursery {
            Some(nursery) if nursery.arena.strong_count() > 0 => nursery.next,
            _ => 0,
        };
        self.arenas.iter().map(|(_, len)| len).sum::<usize>() + in_nursery
    }

    fn take_from_nursery(&mut self, len: usize) -> Result<Option<(Arc<Arena>, usize)>> {
        let Some(nursery) = &mut self.nursery else { return Ok(None) };
        let Some(arena) = nursery.arena.upgrade() else { return Ok(None) };
        let start = nursery.next.next_multiple_of(ALIGNMENT);
        let Some(end) = start.checked_add(len).filter(|&end| end <= arena.len()) else { return Ok(None) };
        if end > nursery.reserved {
            let ahead = (nursery.reserved / 4).clamp(RESERVE_BYTES.0, RESERVE_BYTES.1);
            let until = end.max(nursery.reserved + ahead).min(arena.len());
            arena.reserve(nursery.reserved, until - nursery.reserved).map_err(|error| match error {
                // What was asked for, not what was to be set aside for it.
                Error::SharedMemoryExhausted { available, .. } => {
                    Error::SharedMemoryExhausted { len_bytes: len, available }
                }
                other => other,
            })?;
            nursery.reserved = until;
        }
        nursery.next = end;
        Ok(Some((arena, start)))
    }

    /// What lives in the nursery stays; nothing more comes in.
    fn retire_nursery(&mut self) {
        if let Some(nursery) = self.nursery.take() {
            self.arenas.push((nursery.arena, nursery.next));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::arena_of;
    use std::collections::HashSet;

    fn bytes(len: usize) -> View {
        View::from_vec((0..len).map(|i| (i * 7 + i / 251) as u8).collect())
    }

    fn arenas(views: &[View]) -> HashSet<crate::ArenaId> {
        views.iter().map(|view| *arena_of(view.buffer()).unwrap().id()).collect()
    }

    #[test]
    fn arrays_that_are_shared_together_lie_aligned_in_one_arena() {
        let sources = [
            bytes(7),
            View::from_vec((0..12u32).collect()).reshape(&[3, 4]).unwrap().permute(&[1, 0]).unwrap(),
            bytes(0),
            View::zeros(&[], DType::C128, Order::C).unwrap(),
            View::zeros(&[3, 0, 2], DType::Bf16, Order::C).unwrap(),
            bytes(100).to_read_only(),
        ];
        let shared = share(&sources).unwrap();
        assert_eq!(arenas(&shared).len(), 1);
        for (shared, source) in shared.iter().zip(&sources) {
            assert_eq!((shared.shape(), shared.dtype()), (source.shape(), source.dtype()));
            assert_eq!(shared.as_ptr().addr() % ALIGNMENT, 0);
            assert!(shared.is_contiguous(Order::C) && !shared.is_read_only());
            let read = |view: &View| {
                let mut bytes = vec![0; view.nbytes()];
                view.read_into(&mut bytes).unwrap();
                bytes
            };
            assert_eq!(read(shared), read(source));
            assert!(!shared.shares_memory(source));
        }
        for (i, a) in shared.iter().enumerate() {
            assert!(shared[..i].iter().all(|b| !a.shares_memory(b)));
        }
        assert!(share(&[]).unwrap().is_empty());
    }

    #[test]
    fn ten_thousand_small_arrays_take_few_arenas() {
        let shared: Vec<_> = (0..10_000).map(|i| share(&[bytes(i % 3000)]).unwrap().remove(0)).collect();
        assert!(arenas(&shared).len() <= 16, "{}", arenas(&shared).len());
        for (i, view) in shared.iter().enumerate().step_by(97) {
            assert_eq!(view.to_vec::<u8>().unwrap(), bytes(i % 3000).to_vec::<u8>().unwrap());
        }
    }

    #[test]
    fn many_large_arrays_take_few_arenas() {
        // Sparse, as it were: nobody writes them, but all are set aside.
        let shape: &[usize] = &[SMALL_BYTES + 1];
        let shared: Vec<_> =
            (0..200).map(|_| empty_shared(&[(shape, DType::U8)]).unwrap().remove(0)).collect();
        assert!(arenas(&shared).len() <= 16, "{}", arenas(&shared).len());
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        let shape: &[usize] = &[1 << 62];
        let half = (shape, DType::U8);
        assert!(matches!(
            empty_shared(&[half.clone(), half.clone(), half.clone(), half]),
            Err(Error::Core(_))
        ));
        assert!(matches!(empty_shared(&[(&[1 << 40, 1 << 40], DType::U8)]), Err(Error::Core(_))));
    }
}
