//! A block of a nursery as the owner of buffers: this process's claim on it, and the block's name
//! for messages.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ndlens_core::{Buffer, Owner};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::os::{forks, shared};
use crate::shm::arena::Arena;
use crate::shm::claims::Claims;
use crate::shm::nursery::{BLOCK_HEADER, BlockPlace, Nursery};

/// A part of an arena that ends before it: the owner of buffers that hold both.
#[derive(Debug)]
pub(crate) struct ArenaPart<T> {
    claim: T,
    arena: Arc<Arena>,
}

impl<T: Send + Sync + 'static> Owner for ArenaPart<T> {
    fn description(&self) -> String {
        self.arena.description()
    }
}

impl<T: Send + Sync + 'static> ArenaPart<T> {
    pub(crate) fn new(arena: Arc<Arena>, claim: T) -> Self {
        ArenaPart { claim, arena }
    }

    pub(crate) fn arena(&self) -> &Arc<Arena> {
        &self.arena
    }

    pub(crate) fn claim(&self) -> &T {
        &self.claim
    }

    /// `len` bytes of the arena from `offset` on, owned by the part.
    pub(crate) fn buffer(part: &Arc<Self>, offset: usize, len: usize) -> Result<Buffer> {
        part.arena.buffer_of(offset, len, Arc::clone(part) as Arc<dyn Owner>)
    }
}

/// The name of a block of an arena in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlockName {
    at: usize,
    id: u64,
}

/// A claim on a block; it ends when the last buffer that it owns is dropped.
#[derive(Debug)]
pub(crate) struct BlockClaim {
    arena: Arc<Arena>,
    at: usize,
    id: u64,
    /// The nursery and the place, in the process that made the block.
    created: Option<(Arc<Nursery>, BlockPlace)>,
    /// Whether a message named it, and it is held until that message is received.
    is_sent: AtomicBool,
    /// A fork copies the claim: the process that made it, and its number of forks then.
    process: u32,
    forks: u64,
}

/// The owner of the buffers on a block.
pub(crate) type Block = ArenaPart<BlockClaim>;

/// A new block of `len` bytes; None if it does not fit the nursery.
pub(crate) fn create(nursery: &Arc<Nursery>, len: usize) -> Result<Option<Arc<Block>>> {
    // Before the block is taken: a fork in between counts.
    let forks = forks::count();
    let Some(place) = nursery.take(len)? else { return Ok(None) };
    let arena = Arc::clone(nursery.arena());
    let claim = BlockClaim {
        arena: Arc::clone(&arena),
        at: place.at,
        id: place.id,
        created: Some((Arc::clone(nursery), place)),
        is_sent: AtomicBool::new(false),
        process: process::id(),
        forks,
    };
    Ok(Some(Arc::new(ArenaPart::new(arena, claim))))
}

/// The block that a message names; None if it is gone.
pub(crate) fn open(arena: &Arc<Arena>, name: BlockName) -> Option<Arc<Block>> {
    let forks = forks::count();
    if !arena.block_header(name.at)?.open(name.id) {
        return None;
    }
    let claim = BlockClaim {
        arena: Arc::clone(arena),
        at: name.at,
        id: name.id,
        created: None,
        is_sent: AtomicBool::new(false),
        process: process::id(),
        forks,
    };
    Some(Arc::new(ArenaPart::new(Arc::clone(arena), claim)))
}

impl BlockClaim {
    fn claims(&self) -> Option<Claims<'_>> {
        Some(Claims::new(self.arena.block_header(self.at)?.claims, self.id))
    }

    /// The first of its bytes in the arena.
    pub(crate) fn start(&self) -> usize {
        self.at + BLOCK_HEADER
    }

    /// Whether its bytes were never used before, so that they are zeros.
    pub(crate) fn is_fresh(&self) -> bool {
        self.created.as_ref().is_some_and(|(_, place)| place.is_fresh)
    }

    /// The nursery to keep until a message about it is received.
    pub(crate) fn nursery(&self) -> Option<Arc<Nursery>> {
        self.created
            .as_ref()
            .map(|(nursery, _)| Arc::clone(nursery))
            .filter(|nursery| nursery.is_own())
    }

    /// Its name for a message or a plain pickle, which counts as one claim; `sent` means that it is
    /// for a message.
    pub(crate) fn name(&self, sent: bool) -> BlockName {
        if sent {
            // Relaxed: read when the claim ends, after all uses of it.
            self.is_sent.store(true, Ordering::Relaxed);
        }
        if let Some(claims) = self.claims() {
            claims.send();
        }
        BlockName { at: self.at, id: self.id }
    }
}

impl Drop for BlockClaim {
    fn drop(&mut self) {
        if self.process != process::id() {
            return;
        }
        let forked = self.forks != forks::count();
        if let Some((nursery, place)) = self.created.take() {
            // Relaxed: the claim is dropped after all uses of it.
            nursery.give_back(place, forked, self.is_sent.load(Ordering::Relaxed));
        } else if let Some(claims) = self.claims() {
            if forked {
                claims.make_lasting();
            }
            claims.release();
        }
    }
}

/// The block that a buffer is on, if it is on one.
pub(crate) fn block_of(buffer: &Buffer) -> Option<&Block> {
    buffer.owner::<Block>()
}

/// The other processes of this user that hold the shared memory that a buffer is on, as far as the
/// system shows them; None if the buffer is not on shared memory.
///
/// # Errors
///
/// The system does not show which processes hold a file.
pub fn sharers(buffer: &Buffer) -> Option<io::Result<Vec<u32>>> {
    let arena = arena_of(buffer)?;
    Some(shared::processes_with(arena.device(), arena.inode()))
}

/// The arena that a buffer is on, if it is on one.
pub(crate) fn arena_of(buffer: &Buffer) -> Option<Arc<Arena>> {
    match block_of(buffer) {
        Some(block) => Some(Arc::clone(block.arena())),
        None => buffer.owner::<Arena>()?.to_arc(),
    }
}
