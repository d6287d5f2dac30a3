//! Arrays on shared memory: the choice of the arena, and the copy.
//!
//! An arena costs a descriptor, of which a process has some thousand, and a few microseconds. So
//! arrays that are shared together are in one arena. Arrays that are small, by themselves or
//! relative to the memory shared already, are in blocks of a nursery.
//!
//! | one call shares | it goes to | descriptors |
//! |---|---|---|
//! | up to 1 MiB | a nursery for such, 64 MiB | one for 64 MiB |
//! | up to 16 MiB, and a quarter of what is shared and lives | another nursery, of larger blocks | one for 64 MiB |
//! | more | an arena of its own | one |
//!
//! # Rationale
//!
//! Both limits are absolute, and only live bytes count: memory that was shared and dropped makes no
//! later array "small". Larger blocks have their own nurseries, so that a few bytes never keep the
//! arena of a large block.

use std::sync::{Arc, Weak};

use ndlens_core::{ALIGNMENT, Buffer, DType, Layout, Order, View, room};

use crate::error::Result;
use crate::os::process::PerProcess;
use crate::shm::arena::Arena;
use crate::shm::block::{self, ArenaPart, Block};
use crate::shm::nursery::Nursery;

/// Maximum size of arrays that always go to a nursery.
const SMALL_BYTES: usize = 1 << 20;

/// Larger arrays go to a nursery if they are at most this part of all live shared bytes,
const SMALL_PART: usize = 4;

/// and at most this large.
const MEDIUM_BYTES: usize = NURSERY_BYTES / 4;

/// The size of a nursery. It takes addresses, not memory.
const NURSERY_BYTES: usize = 64 << 20;

/// The arenas and nurseries of this process. A forked child has its own nurseries, since the parent
/// goes on filling its.
static SHARED: PerProcess<Shared> = PerProcess::new(|_| Shared::default());

#[derive(Debug, Default)]
struct Shared {
    small: Nurseries,
    medium: Nurseries,
    alone: Alone,
}

/// Arenas of one call each, which may be gone.
#[derive(Debug, Default)]
struct Alone {
    /// Each arena, with the number of bytes of its arrays.
    arenas: Vec<(Weak<Arena>, usize)>,
    /// Number of entries at which those of dropped arenas are removed.
    sweep_at: usize,
}

/// Nurseries for blocks of one kind, which may be gone. The last one made is tried first.
#[derive(Debug, Default)]
struct Nurseries(Vec<Weak<Nursery>>);

/// Zeroed arrays of these shapes and dtypes, packed in C order, at multiples of [`ALIGNMENT`], all
/// in one arena.
///
/// # Errors
///
/// - [`Error::SharedMemoryExhausted`](crate::Error::SharedMemoryExhausted) if there is too little
///   memory;
/// - [`Error::SharedMemory`](crate::Error::SharedMemory) where the system refuses;
/// - [`Error::Core`](crate::Error::Core) for shapes that no array can have.
pub fn empty_shared(arrays: &[(&[usize], DType)]) -> Result<Vec<View>> {
    let plan = ArenaPlan::new(arrays)?;
    let room = find_room(plan.len)?;
    room.make_zeros(plan.len);
    plan.views(|offset, len| room.buffer(offset, len))
}

/// The arrays, copied to shared memory, packed in C order, at multiples of [`ALIGNMENT`], all in
/// one arena.
///
/// # Errors
///
/// As [`empty_shared`], and as [`Owner::verify`](ndlens_core::Owner::verify) for the arrays.
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
    let arrays = room::list_of(views.iter().map(|view| (view.shape(), view.dtype().clone())))?;
    let plan = ArenaPlan::new(&arrays)?;
    let room = find_room(plan.len)?;
    room.populate(plan.len);
    let shared = plan.views(|offset, len| room.buffer(offset, len))?;
    for (target, source) in shared.iter().zip(views) {
        target.assign(source)?;
    }
    Ok(shared)
}

/// The layout of arrays in an arena, relative to their first byte.
#[derive(Debug)]
pub(crate) struct ArenaPlan {
    arrays: Vec<(usize, Layout, DType)>,
    /// Bytes of all arrays.
    pub(crate) len: usize,
}

impl ArenaPlan {
    pub(crate) fn new(arrays: &[(&[usize], DType)]) -> Result<Self> {
        let mut plan = ArenaPlan { arrays: room::with_room_for(arrays.len())?, len: 0 };
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

    /// The arrays, on the bytes that `buffer` gives from an offset on.
    pub(crate) fn views(
        self,
        buffer: impl Fn(usize, usize) -> Result<Buffer>,
    ) -> Result<Vec<View>> {
        let view = |(offset, layout, dtype): (usize, Layout, DType)| {
            let buffer = buffer(offset, layout.len() * dtype.itemsize())?;
            Ok(View::new(buffer, layout, dtype)?)
        };
        room::try_list_of(self.arrays.into_iter().map(view))
    }
}

/// Free bytes that are set aside.
enum Room {
    Block(Arc<Block>),
    Arena(Arc<Arena>),
}

impl Room {
    fn buffer(&self, offset: usize, len: usize) -> Result<Buffer> {
        match self {
            Room::Block(block) => ArenaPart::buffer(block, block.claim().start() + offset, len),
            Room::Arena(arena) => arena.buffer(offset, len),
        }
    }

    fn make_zeros(&self, len: usize) {
        // A new arena is zeros, and so is a part of one that was never used.
        if let Room::Block(block) = self
            && !block.claim().is_fresh()
        {
            block.arena().zero(block.claim().start(), len);
        }
    }

    fn populate(&self, len: usize) {
        match self {
            Room::Block(block) => block.arena().populate(block.claim().start(), len),
            Room::Arena(arena) => arena.populate(0, len),
        }
    }
}

fn find_room(len: usize) -> Result<Room> {
    {
        let mut shared = SHARED.lock();
        let nurseries = if len <= SMALL_BYTES {
            Some(&mut shared.small)
        } else if len <= MEDIUM_BYTES && len <= shared.live_bytes() / SMALL_PART {
            Some(&mut shared.medium)
        } else {
            None
        };
        if let Some(nurseries) = nurseries
            && let Some(block) = nurseries.take(len)?
        {
            return Ok(Room::Block(block));
        }
    }
    // Not under the lock: it takes long for a large one.
    let arena = Arena::create(len)?;
    SHARED.lock().alone.push(&arena, len)?;
    Ok(Room::Arena(arena))
}

impl Shared {
    /// Bytes of all live arrays.
    fn live_bytes(&mut self) -> usize {
        self.alone.live_bytes() + self.small.live_bytes() + self.medium.live_bytes()
    }
}

impl Alone {
    fn push(&mut self, arena: &Arc<Arena>, len: usize) -> Result<()> {
        if self.arenas.len() >= self.sweep_at {
            self.sweep();
        }
        Ok(room::push(&mut self.arenas, (Arc::downgrade(arena), len))?)
    }

    fn sweep(&mut self) {
        self.arenas.retain(|(arena, _)| arena.strong_count() > 0);
        self.sweep_at = 2 * self.arenas.len() + 16;
    }

    fn live_bytes(&mut self) -> usize {
        self.sweep();
        self.arenas.iter().map(|(_, len)| len).sum()
    }
}

impl Nurseries {
    /// A block of a live nursery, or of a new one. None if no new one can be made: the process has
    /// too few addresses, or may not make a file of that length.
    fn take(&mut self, len: usize) -> Result<Option<Arc<Block>>> {
        self.0.retain(|nursery| nursery.strong_count() > 0);
        for nursery in self.0.iter().rev().filter_map(Weak::upgrade) {
            if let Some(block) = block::create(&nursery, len)? {
                return Ok(Some(block));
            }
        }
        let Ok(nursery) = Nursery::new(NURSERY_BYTES).map(Arc::new) else { return Ok(None) };
        room::push(&mut self.0, Arc::downgrade(&nursery))?;
        block::create(&nursery, len)
    }

    fn live_bytes(&self) -> usize {
        self.0.iter().filter_map(Weak::upgrade).map(|nursery| nursery.live_bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::shm::block::{arena_of, block_of};
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
            View::from_vec((0..12u32).collect())
                .reshape(&[3, 4])
                .unwrap()
                .permute(&[1, 0])
                .unwrap(),
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
        let shared: Vec<_> =
            (0..10_000).map(|i| share(&[bytes(i % 3000)]).unwrap().remove(0)).collect();
        assert!(arenas(&shared).len() <= 16, "{}", arenas(&shared).len());
        for (i, view) in shared.iter().enumerate().step_by(97) {
            assert_eq!(view.to_vec::<u8>().unwrap(), bytes(i % 3000).to_vec::<u8>().unwrap());
        }
    }

    #[test]
    fn many_large_arrays_take_few_arenas() {
        // The pages are set aside, although nothing writes them.
        let shape: &[usize] = &[SMALL_BYTES + 1];
        let shared: Vec<_> =
            (0..200).map(|_| empty_shared(&[(shape, DType::U8)]).unwrap().remove(0)).collect();
        assert!(arenas(&shared).len() <= 16, "{}", arenas(&shared).len());
    }

    #[test]
    fn zeros_are_zeros_where_others_were_before() {
        for len in [10, 5000, 600_000] {
            let shape: &[usize] = &[len];
            let _neighbour = share(&[bytes(1)]).unwrap();
            for _ in 0..20 {
                drop(share(&[bytes(len)]).unwrap());
                let zeros = empty_shared(&[(shape, DType::U8)]).unwrap().remove(0);
                assert!(zeros.to_vec::<u8>().unwrap().iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn what_was_dropped_makes_nothing_small() {
        // It is the only live array, and would be small relative to earlier ones.
        for _ in 0..8 {
            drop(empty_shared(&[(&[40 << 20], DType::U8)]).unwrap());
        }
        let medium: &[usize] = &[MEDIUM_BYTES - 100];
        let kept = empty_shared(&[(medium, DType::U8)]).unwrap().remove(0);
        // Other tests may share meanwhile, but not as much.
        assert!(block_of(kept.buffer()).is_none() || SHARED.lock().live_bytes() > 4 * MEDIUM_BYTES);
    }

    #[test]
    fn nothing_is_kept_of_arrays_that_were_dropped() {
        // Each has its own arena, and is too large for the relative limit.
        for _ in 0..40 {
            drop(empty_shared(&[(&[MEDIUM_BYTES + 1], DType::U8)]).unwrap());
        }
        // Other tests share meanwhile.
        let kept = SHARED.lock().alone.arenas.len();
        assert!(kept < 40, "{kept}");
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
