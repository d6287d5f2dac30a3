//! The samples of an archive in the layout of WebDataset: members that follow each other and have
//! one key.
//!
//! ```text
//!  train/0001.jpg       key train/0001, extension jpg     sample 0
//!  train/0001.seg.png   key train/0001, extension seg.png
//!  train/0002.jpg       key train/0002, extension jpg     sample 1
//! ```
//!
//! The key of a member is its name up to the first dot of its last part; the extension is the rest,
//! in lower case. Members without an extension, hidden ones (`.x.jpg`) and those of WebDataset's
//! own (`__x__`) are in no sample.
//!
//! An archive may hold millions of members. They take 16 bytes each, and each sample takes its
//! key's letters and 12 bytes.

use std::collections::HashMap;
use std::path::Path;

use ndlens_core::room;

use crate::error::{Error, Result, TarProblem};
use crate::format::tar::{BLOCK, TarMember};

/// Names of any bytes, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ByteNames {
    bytes: Vec<u8>,
    /// For each, the end of its bytes.
    ends: Vec<u64>,
}

impl ByteNames {
    /// Names of these bytes that end at these places; None if the places are not ascending, or
    /// beyond the bytes.
    pub(crate) fn new(bytes: Vec<u8>, ends: Vec<u64>) -> Option<Self> {
        let last = ends.last().copied().unwrap_or(0);
        let ascend = ends.is_sorted() && last == bytes.len() as u64;
        ascend.then_some(ByteNames { bytes, ends })
    }

    fn push(&mut self, name: &[u8]) -> ndlens_core::Result<()> {
        room::reserve(&mut self.bytes, name.len())?;
        room::push(&mut self.ends, (self.bytes.len() + name.len()) as u64)?;
        self.bytes.extend_from_slice(name);
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[at] as usize]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|at| self.get(at))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn ends(&self) -> &[u64] {
        &self.ends
    }
}

/// The samples of one archive.
///
/// # Invariant
///
/// `extensions`, `blocks` and `lens` have an entry for each member, `ends` and `keys` one for each
/// sample. `ends` ascends, and its last entry is the number of members. Each extension is one of
/// `names`; no sample has one twice.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct SampleTable {
    pub(crate) keys: ByteNames,
    /// For each sample, the end of its members.
    pub(crate) ends: Vec<u32>,
    /// The extensions, in the order in which they first occur.
    pub(crate) names: ByteNames,
    /// For each member, the place of its extension in `names`.
    pub(crate) extensions: Vec<u32>,
    /// For each member, the block in which its data starts.
    pub(crate) blocks: Vec<u32>,
    /// For each member, the bytes of its data.
    pub(crate) lens: Vec<u64>,
}

/// The key and the extension of a member; None if it is in no sample.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let base = name.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let dot = name[base..].iter().position(|&byte| byte == b'.')?;
    let (key, extension) = (&name[..base + dot], &name[base + dot + 1..]);
    (dot > 0 && !extension.is_empty() && !is_meta(name)).then_some((key, extension))
}

/// Whether the first part of a name is between two pairs of underscores.
fn is_meta(name: &[u8]) -> bool {
    let first = name.split(|&byte| byte == b'/').next().unwrap_or_default();
    first.len() >= 4 && first.starts_with(b"__") && first.ends_with(b"__")
}

impl SampleTable {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The members of a sample.
    pub(crate) fn members(&self, sample: usize) -> std::ops::Range<usize> {
        let start = sample.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[sample] as usize
    }

    /// The place of an extension in `names`.
    pub(crate) fn extension(&self, name: &[u8]) -> Option<u32> {
        self.names.iter().position(|own| own == name).map(|at| at as u32)
    }

    /// The first byte and the number of bytes of a sample's member with an extension.
    pub(crate) fn find(&self, sample: usize, extension: u32) -> Option<(u64, u64)> {
        let at = self.members(sample).find(|&member| self.extensions[member] == extension)?;
        Some((u64::from(self.blocks[at]) * BLOCK as u64, self.lens[at]))
    }
}

/// Makes the samples of members that come one after the other.
#[derive(Debug, Default)]
pub(crate) struct Grouping {
    table: SampleTable,
    by_name: HashMap<Vec<u8>, u32>,
    /// For each extension, one more than the last sample that has it.
    last: Vec<u32>,
    lower: Vec<u8>,
}

impl Grouping {
    /// # Errors
    ///
    /// [`Error::BadTar`] for an extension that a sample has twice, and for more members or bytes
    /// than there are numbers for; [`Error::Core`] if there is no memory.
    pub(crate) fn take(&mut self, path: &Path, member: TarMember<'_>) -> Result<()> {
        let Some((key, extension)) = split_name(member.name) else { return Ok(()) };
        let bad = |problem| Error::BadTar { path: path.to_owned(), problem: Box::new(problem) };
        let too_large = |what, max: u64| bad(TarProblem::TooLarge { what, max });
        let max_bytes = u64::from(u32::MAX) * BLOCK as u64;
        let block = u32::try_from(member.start / BLOCK as u64)
            .map_err(|_| too_large("bytes", max_bytes))?;
        let table = &mut self.table;
        let members = u32::try_from(table.lens.len() + 1)
            .map_err(|_| too_large("members", u32::MAX.into()))?;
        if table.keys.len() == 0 || table.keys.get(table.keys.len() - 1) != key {
            table.keys.push(key)?;
            room::push(&mut table.ends, members)?;
        }
        let sample = table.ends.len() as u32;
        if let Some(end) = table.ends.last_mut() {
            *end = members;
        }
        self.lower.clear();
        room::reserve(&mut self.lower, extension.len())?;
        self.lower.extend(extension.iter().map(u8::to_ascii_lowercase));
        let at = if let Some(&at) = self.by_name.get(&self.lower) {
            at
        } else {
            let at = self.last.len() as u32;
            room::push(&mut self.last, 0)?;
            table.names.push(&self.lower)?;
            room::insert_key(&mut self.by_name, room::list_of(self.lower.iter().copied())?, at)?;
            at
        };
        if std::mem::replace(&mut self.last[at as usize], sample) == sample {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let (key, extension) = (text(key), text(&self.lower));
            return Err(bad(TarProblem::Twice { key, extension, start: member.start }));
        }
        room::push(&mut table.extensions, at)?;
        room::push(&mut table.blocks, block)?;
        room::push(&mut table.lens, member.len)?;
        Ok(())
    }

    pub(crate) fn finish(self) -> SampleTable {
        self.table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_as_webdataset_splits_them() {
        for (name, expected) in [
            ("0001.jpg", Some(("0001", "jpg"))),
            ("a.b/0001.seg.png", Some(("a.b/0001", "seg.png"))),
            ("./0001.cls", Some(("./0001", "cls"))),
            ("n01440764/n01440764_10026.JPEG", Some(("n01440764/n01440764_10026", "JPEG"))),
            ("0001", None),
            ("0001.", None),
            (".hidden", None),
            ("a/.hidden.jpg", None),
            ("._0001.jpg", None),
            ("a.b/0001", None),
            ("__meta__.json", Some(("__meta__", "json"))),
            ("__meta__", None),
            ("__meta.x__", None),
            ("__meta__/0001.jpg", None),
            ("", None),
        ] {
            let got = split_name(name.as_bytes());
            let expected =
                expected.map(|(key, rest): (&str, &str)| (key.as_bytes(), rest.as_bytes()));
            assert_eq!(got, expected, "{name}");
        }
    }

    fn grouped(names: &[&str]) -> Result<SampleTable> {
        let mut grouping = Grouping::default();
        for (at, name) in names.iter().enumerate() {
            let start = (2 * at as u64 + 1) * BLOCK as u64;
            grouping.take(
                Path::new("x.tar"),
                TarMember { name: name.as_bytes(), start, len: at as u64 },
            )?;
        }
        Ok(grouping.finish())
    }

    #[test]
    fn members_that_follow_each_other_with_one_key_are_a_sample() {
        let table = grouped(&["a.jpg", "skipped", "a.CLS", "b.cls", "b.jpg", "a.jpg"]).unwrap();
        assert_eq!(table.keys.iter().collect::<Vec<_>>(), [&b"a"[..], b"b", b"a"]);
        assert_eq!(table.names.iter().collect::<Vec<_>>(), [&b"jpg"[..], b"cls"]);
        let (jpg, cls) = (table.extension(b"jpg").unwrap(), table.extension(b"cls").unwrap());
        assert_eq!(table.find(0, jpg), Some((512, 0)));
        assert_eq!(table.find(0, cls), Some((5 * 512, 2)));
        assert_eq!(table.find(1, jpg), Some((9 * 512, 4)));
        assert_eq!((table.find(2, jpg), table.find(2, cls)), (Some((11 * 512, 5)), None));
        assert_eq!(table.extension(b"png"), None);
    }

    #[test]
    fn a_sample_has_an_extension_once() {
        assert_eq!(
            grouped(&["a.jpg", "b.jpg", "b.cls", "b.JPG"]).unwrap_err().to_string(),
            "x.tar: bad archive: sample \"b\" has two members with the extension \"jpg\"; the \
             second is at byte 3584"
        );
    }
}
