//! Lists so long that there may be no memory for them.

use crate::error::{Error, Result};

/// An empty list with memory for so many, or an error where there is none: `Vec` would end the
/// process.
pub(crate) fn with_room_for<T>(count: usize) -> Result<Vec<T>> {
    let mut list = Vec::new();
    make_room_for(&mut list, count)?;
    Ok(list)
}

/// Makes room for so many more, as [`with_room_for`].
pub(crate) fn make_room_for<T>(list: &mut Vec<T>, count: usize) -> Result<()> {
    list.try_reserve_exact(count).map_err(|_| {
        let len_bytes = count.saturating_mul(size_of::<T>());
        Error::Core(ndlens_core::Error::OutOfMemory { len_bytes })
    })
}
