//! Views as bytes: a handle of their memory, or its contents.
//!
//! | the memory | what is sent | what comes out |
//! |---|---|---|
//! | an [`Arena`](crate::Arena) | [`ViewHandle`]: a handle to it, and the layout | a view of the same memory |
//! | a mapped file | [`ViewHandle`]: path, identity, layout | a view of the file, mapped once in a process |
//! | any other | [`PackedView`]: shape, dtype and order; and the elements' bytes | a view of the bytes that came |
//!
//! Received bytes are not trusted. Views made of them pass the checks of every view.

use ndlens_core::{Buffer, Layout, Order, View};
use serde::{Deserialize, Serialize};

use crate::encoding::{DTypeName, from_bytes, to_bytes};
use crate::error::{Error, Result};
use crate::file::array_file::bytes_of;
use crate::file::map::MappedFile;
use crate::handle::arena::Handle;
use crate::handle::file::FileHandle;
use crate::shm::arena::offset_in;
use crate::shm::block::{self, ArenaPart, BlockClaim, BlockName, arena_of, block_of};
use crate::shm::transit::{self, Ticket};

/// A view of shared memory or of a mapped file, as some hundred bytes.
///
/// ```
/// use ndlens_core::{View, s};
/// use ndlens_store::{ViewHandle, share};
///
/// let rows = share(&[View::from_vec(vec![0u8; 12]).reshape(&[3, 4])?])?.remove(0);
/// let row: Vec<u8> = ViewHandle::of(&rows.index(&[s(1)])?)?.expect("it is shared").to_bytes();
/// // .. in any process of the same user, while this one holds the memory:
/// let row = ViewHandle::from_bytes(&row)?.open()?;
/// assert!(row.shares_memory(&rows));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewHandle {
    memory: MemoryHandle,
    dtype: DTypeName,
    shape: Vec<usize>,
    strides: Vec<isize>,
    offset: usize,
    read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum MemoryHandle {
    Shared {
        handle: Handle,
        /// The buffer, within the arena.
        start: usize,
        len: usize,
        /// The block of the array, in an arena that holds several, each with its own owner.
        block: Option<BlockName>,
        ticket: Option<Ticket>,
    },
    File(FileHandle),
}

impl ViewHandle {
    /// The handle of a view; None if its memory has none.
    ///
    /// # Errors
    ///
    /// [`Error::FileReplaced`] and [`Error::Io`] for a mapped file that no other process can open;
    /// the errors of [`Arena::handle`].
    ///
    /// [`Arena::handle`]: crate::Arena::handle
    pub fn of(view: &View) -> Result<Option<Self>> {
        ViewHandle::new(view, false)
    }

    /// As [`of`](Self::of), for a message that one process will receive: shared memory is held here
    /// until that process has it, or an hour has passed, even if no other owner holds it.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn sent(view: &View) -> Result<Option<Self>> {
        ViewHandle::new(view, true)
    }

    fn new(view: &View, sent: bool) -> Result<Option<Self>> {
        let buffer = view.buffer();
        let memory = if let Some(arena) = arena_of(buffer) {
            let (handle, start) = (arena.handle()?, offset_in(&arena, buffer));
            let claim = block_of(buffer).map(ArenaPart::claim);
            let nursery = claim.and_then(BlockClaim::nursery);
            let ticket = if sent { transit::send(&arena, nursery)? } else { None };
            let block = claim.map(|claim| claim.name(sent));
            MemoryHandle::Shared { handle, start, len: buffer.len(), block, ticket }
        } else if let Some(file) = buffer.owner::<MappedFile>() {
            MemoryHandle::File(FileHandle::of(file)?)
        } else {
            return Ok(None);
        };
        Ok(Some(ViewHandle {
            memory,
            dtype: DTypeName::of(view.dtype()),
            shape: view.shape().to_vec(),
            strides: view.strides().to_vec(),
            offset: view.layout().offset(),
            read_only: view.is_read_only(),
        }))
    }

    /// The handle as bytes to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The handle of bytes that were sent.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedHandle`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        from_bytes(bytes)
    }

    /// The view.
    ///
    /// # Errors
    ///
    /// As [`Handle::open`] for shared memory; [`Error::FileChanged`], [`Error::Io`] and
    /// [`Error::NotRegular`] for a file; [`Error::DamagedHandle`] and [`Error::Core`] if the handle
    /// contradicts itself.
    pub fn open(&self) -> Result<View> {
        let dtype = self.dtype.dtype()?;
        let buffer = match &self.memory {
            MemoryHandle::Shared { handle, start, len, block, ticket } => {
                let arena = handle.open()?;
                let block = match block {
                    Some(name) => Some(block::open(&arena, *name).ok_or_else(|| handle.gone())?),
                    None => None,
                };
                // After the block is claimed: its sender then releases the arena.
                if let Some(ticket) = ticket {
                    transit::receive(&arena, *ticket);
                }
                match block {
                    Some(block) => ArenaPart::buffer(&block, *start, *len)?,
                    None => arena.buffer(*start, *len)?,
                }
            }
            MemoryHandle::File(file) => file.open()?.buffer(),
        };
        let layout =
            Layout::new(&self.shape, &self.strides, self.offset, dtype.itemsize(), buffer.len())?;
        let view = View::new(buffer, layout, dtype)?;
        Ok(if self.read_only { view.to_read_only() } else { view })
    }
}

/// The shape, dtype and order of a view, which with the bytes of its elements make the view again.
///
/// ```
/// use ndlens_core::{Order, View};
/// use ndlens_store::PackedView;
///
/// let view = View::from_vec(vec![1.0f32, 2.0, 3.0]).flip(&[0])?;
/// let (packed, bytes) = PackedView::of(&view)?;
/// let again = PackedView::from_bytes(&packed.to_bytes())?.open(&bytes)?;
/// assert_eq!(again.to_vec::<f32>()?, [3.0, 2.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedView {
    dtype: DTypeName,
    shape: Vec<usize>,
    fortran_order: bool,
    read_only: bool,
}

impl PackedView {
    /// The description of a view, and its bytes as a view of rank 1. The bytes are the view's own
    /// memory if its elements are packed in C or Fortran order, and a copy in C order otherwise.
    ///
    /// # Errors
    ///
    /// As [`View::copy`] and [`Owner::verify`](ndlens_core::Owner::verify).
    pub fn of(view: &View) -> Result<(Self, View)> {
        let order = if view.is_contiguous(Order::C) { Order::C } else { Order::F };
        let packed = if view.is_contiguous(order) {
            view.buffer().verify()?;
            view.clone()
        } else {
            let copy = view.copy(Order::C)?;
            if view.is_read_only() { copy.to_read_only() } else { copy }
        };
        let order = if packed.is_contiguous(Order::C) { Order::C } else { Order::F };
        let says = PackedView {
            dtype: DTypeName::of(view.dtype()),
            shape: view.shape().to_vec(),
            fortran_order: order == Order::F,
            read_only: view.is_read_only(),
        };
        Ok((says, bytes_of(&packed)?))
    }

    /// The description as bytes to send.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// The description of bytes that were sent.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedHandle`] for other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        from_bytes(bytes)
    }

    /// The view, over the memory of `bytes`. It is read-only if that memory is, or if the packed
    /// view was.
    ///
    /// # Errors
    ///
    /// [`Error::DamagedHandle`] and [`Error::Core`] if the bytes do not fit the description.
    pub fn open(&self, bytes: &View) -> Result<View> {
        let dtype = self.dtype.dtype()?;
        let order = if self.fortran_order { Order::F } else { Order::C };
        let packed = Layout::contiguous(&self.shape, dtype.itemsize(), order)?;
        let expected = packed.len() * dtype.itemsize();
        if bytes.nbytes() != expected || !bytes.is_contiguous(Order::C) {
            let problem =
                format!("it comes with {} bytes, expected {expected} in a row", bytes.nbytes());
            return Err(Error::DamagedHandle { problem });
        }
        let (buffer, offset) = if packed.is_empty() {
            (Buffer::zeroed(0)?, 0)
        } else {
            (bytes.buffer().clone(), bytes.layout().offset())
        };
        let layout =
            Layout::new(packed.shape(), packed.strides(), offset, dtype.itemsize(), buffer.len())?;
        let view = View::new(buffer, layout, dtype)?;
        Ok(if self.read_only { view.to_read_only() } else { view })
    }
}
