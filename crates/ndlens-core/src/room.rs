//! Lists whose length depends on the data, with an error if memory runs out.
//!
//! `Vec::with_capacity`, `collect` and `push` end the process if memory runs out. Lists that grow
//! with the data use these functions instead, which return [`Error::OutOfMemory`].
//!
//! Each of them also asks whether a small allocation came from [`Reserve`](crate::Reserve), so that
//! a loop that makes an `Arc` for each element ends with the same error.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

/// Memory that must be there before a shortage is over: more than any block of the reserve.
const ENOUGH_BYTES: usize = 64 << 10;

/// Whether an allocation came from the reserve, and memory was not seen to be back since.
static SHORT: AtomicBool = AtomicBool::new(false);

/// Makes every function of this module fail until there is memory again.
pub(crate) fn note_shortage() {
    // Relaxed, as in `check`: a flag alone. The thread that sets it sees it, and others may later.
    SHORT.store(true, Ordering::Relaxed);
}

/// Ends a loop that makes small allocations, if memory has run out.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
#[inline]
pub fn check() -> Result<()> {
    if SHORT.load(Ordering::Relaxed) { check_again() } else { Ok(()) }
}

#[cold]
fn check_again() -> Result<()> {
    let mut block = Vec::<u8>::new();
    let there = block.try_reserve_exact(ENOUGH_BYTES);
    // The compiler may leave out an allocation that nobody uses.
    black_box(&mut block);
    there.map_err(|_| Error::OutOfMemory { len_bytes: ENOUGH_BYTES })?;
    SHORT.store(false, Ordering::Relaxed);
    Ok(())
}

/// An empty list with memory for `count` elements.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn with_room_for<T>(count: usize) -> Result<Vec<T>> {
    check()?;
    let mut list = Vec::new();
    list.try_reserve_exact(count)
        .map_err(|_| Error::OutOfMemory { len_bytes: count.saturating_mul(size_of::<T>()) })?;
    Ok(list)
}

/// Makes room for `more` elements, growing the list as `Vec::reserve` does.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<()> {
    check()?;
    list.try_reserve(more).map_err(|_| {
        let count = list.len().saturating_add(more);
        Error::OutOfMemory { len_bytes: count.saturating_mul(size_of::<T>()) }
    })
}

/// Makes a list `len` long, with copies of `element` at its new places: `Vec::resize`.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn resize<T: Clone>(list: &mut Vec<T>, len: usize, element: T) -> Result<()> {
    reserve(list, len.saturating_sub(list.len()))?;
    list.resize(len, element);
    Ok(())
}

/// Appends an element, growing the list as `Vec::push` does.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn push<T>(list: &mut Vec<T>, element: T) -> Result<()> {
    check()?;
    if list.len() == list.capacity() {
        reserve(list, 1)?;
    }
    list.push(element);
    Ok(())
}

/// All elements of an iterator as a list: `collect`.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn list_of<T>(elements: impl IntoIterator<Item = T>) -> Result<Vec<T>> {
    try_list_of(elements.into_iter().map(Ok::<T, Error>))
}

/// All elements of an iterator as a list, or the first error.
///
/// # Errors
/// The first error of the iterator; [`Error::OutOfMemory`].
pub fn try_list_of<T, E: From<Error>>(
    elements: impl IntoIterator<Item = Result<T, E>>,
) -> Result<Vec<T>, E> {
    let elements = elements.into_iter();
    let mut list = with_room_for(elements.size_hint().0)?;
    for element in elements {
        push(&mut list, element?)?;
    }
    Ok(list)
}

/// `count` equal elements: `vec![element; count]`.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn repeated<T: Clone>(element: T, count: usize) -> Result<Vec<T>> {
    let mut list = with_room_for(count)?;
    list.resize(count, element);
    Ok(list)
}

/// Adds an element to a set, and returns whether it is new.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn insert<T: Eq + Hash, S: BuildHasher>(set: &mut HashSet<T, S>, element: T) -> Result<bool> {
    check()?;
    let len_bytes = (set.len() + 1).saturating_mul(size_of::<T>());
    set.try_reserve(1).map_err(|_| Error::OutOfMemory { len_bytes })?;
    Ok(set.insert(element))
}

/// Adds a key with its value to a map, and returns the previous value of the key.
///
/// # Errors
///
/// [`Error::OutOfMemory`].
pub fn insert_key<K: Eq + Hash, V, S: BuildHasher>(
    map: &mut HashMap<K, V, S>,
    key: K,
    value: V,
) -> Result<Option<V>> {
    check()?;
    let len_bytes = (map.len() + 1).saturating_mul(size_of::<(K, V)>());
    map.try_reserve(1).map_err(|_| Error::OutOfMemory { len_bytes })?;
    Ok(map.insert(key, value))
}

/// Text that grows with the data.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Appends a text.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub fn push(&mut self, more: &str) -> Result<()> {
        check()?;
        let len_bytes = self.0.len().saturating_add(more.len());
        self.0.try_reserve(more.len()).map_err(|_| Error::OutOfMemory { len_bytes })?;
        self.0.push_str(more);
        Ok(())
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps the first `len` bytes, which must end with a whole character.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_larger_than_memory_is_an_error_that_says_its_size() {
        let message = |result: Result<Vec<u64>>| result.unwrap_err().to_string();
        assert_eq!(message(with_room_for(1 << 59)), "cannot allocate 4611686018427387904 bytes");
        assert_eq!(
            message(with_room_for(usize::MAX)),
            format!("cannot allocate {} bytes", usize::MAX)
        );
        assert_eq!(
            message(repeated(0, 1 << 60)),
            format!("cannot allocate {} bytes", 1usize << 63)
        );
        assert_eq!(message(list_of(0..1 << 59)), "cannot allocate 4611686018427387904 bytes");
    }

    #[test]
    fn a_shortage_lasts_until_there_is_memory() {
        // There is memory here: the first question ends it.
        note_shortage();
        assert_eq!(check(), Ok(()));
        note_shortage();
        assert_eq!(list_of([1, 2]).unwrap(), [1, 2]);
    }

    #[test]
    fn a_list_holds_what_the_iterator_gives() {
        assert_eq!(list_of((0..100).filter(|n| n % 7 == 0)).unwrap().len(), 15);
        assert_eq!(repeated(3u8, 4).unwrap(), [3; 4]);
        let mut set = HashSet::new();
        assert_eq!([1, 2, 1].map(|n| insert(&mut set, n).unwrap()), [true, true, false]);
        let mut map = HashMap::new();
        assert_eq!(
            ["a", "b", "a"].map(|key| insert_key(&mut map, key, 7).unwrap()),
            [None, None, Some(7)]
        );
        let odd = [Ok(1), Err(Error::ZeroStep), Ok(3)];
        assert_eq!(try_list_of(odd), Err(Error::ZeroStep));
    }
}
