//! Names of arrays, up to millions of them, and the place of each.
//!
//! A header of 90 MB can hold 1.7 million names. As strings of their own in a map they would take
//! several times the header's memory; here they take their letters and 12 bytes each.

use std::cmp::Ordering;

use ndlens_core::{Error, room};

/// Names in the order in which they were pushed.
#[derive(Debug, Default)]
pub(crate) struct NameList {
    /// All names, concatenated.
    text: String,
    /// For each, the end of its text.
    ends: Vec<usize>,
    /// The places in the order of the names; equal names in the order of their places. Empty until
    /// `index`.
    sorted: Vec<u32>,
}

impl NameList {
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn push(&mut self, name: &str) -> Result<(), Error> {
        let len_bytes = self.text.len() + name.len();
        let out_of_memory = |_| Error::OutOfMemory { len_bytes };
        self.text.try_reserve(name.len()).map_err(out_of_memory)?;
        self.text.push_str(name);
        room::push(&mut self.ends, self.text.len())
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, at: usize) -> &str {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[at]]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|at| self.get(at))
    }

    /// Sorts the names, so that `find` works. Returns the first that occurs twice.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`], also for more names than a `u32` counts.
    pub(crate) fn index(&mut self) -> Result<Option<&str>, Error> {
        let out_of_memory = || Error::OutOfMemory { len_bytes: 4 * self.len() };
        let len = u32::try_from(self.len()).map_err(|_| out_of_memory())?;
        let mut sorted = room::list_of(0..len)?;
        sorted.sort_unstable_by(|&a, &b| {
            self.get(a as usize).cmp(self.get(b as usize)).then(a.cmp(&b))
        });
        self.sorted = sorted;
        let twice = self
            .sorted
            .windows(2)
            .find(|pair| self.get(pair[0] as usize) == self.get(pair[1] as usize))
            .map(|pair| pair[1] as usize);
        Ok(twice.map(|at| self.get(at)))
    }

    /// The last place of a name, once they are indexed.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        let is_at_most = |&at: &u32| self.get(at as usize).cmp(name) != Ordering::Greater;
        let end = self.sorted.partition_point(is_at_most);
        let last = self.sorted[..end].last().map(|&at| at as usize)?;
        (self.get(last) == name).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_where_they_were_pushed() {
        let mut names = NameList::default();
        for name in ["b", "", "größe", "a"] {
            names.push(name).unwrap();
        }
        assert_eq!(names.index().unwrap(), None);
        assert_eq!(names.iter().collect::<Vec<_>>(), ["b", "", "größe", "a"]);
        assert_eq!(
            ["b", "", "größe", "a", "c"].map(|name| names.find(name)),
            [0, 1, 2, 3, 9].map(|at| Some(at).filter(|&at| at < 4))
        );
        names.push("").unwrap();
        assert_eq!(names.index().unwrap(), Some(""));
        assert_eq!(names.find(""), Some(4));
    }

    #[test]
    fn no_names_hold_none() {
        let mut names = NameList::default();
        assert_eq!(names.index().unwrap(), None);
        assert_eq!((names.find(""), names.len()), (None, 0));
    }
}
