//! The samples of an archive, kept beside it so that it need not be walked again.
//!
//! A walk reads a header for each member, from everywhere in the archive: minutes for a large one
//! on a cold disk. So the result is written to `.NAME.ndlens-index` in the archive's directory, and
//! read from there while the archive has the same size and times and is the same file.
//!
//! ```text
//!  | magic, stamp | counts | key ends | keys | ends | names .. | members .. | CRC-32 |
//! ```
//!
//! It is only a cache. One that is stale, damaged or of another version is made anew, and it is not
//! written, without an error, where the directory cannot be written to. It is not written either
//! for an archive that was modified in the last two seconds, since the same time could then stand
//! for other contents, nor through a link. Its name starts with a dot, so that a pattern such as
//! `shards/*` does not match it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ndlens_core::room;

use crate::error::{Error, Result};
use crate::file::regular::open_regular;
use crate::file::replacement::Replacement;
use crate::format::samples::{ByteNames, Grouping, SampleTable};
use crate::format::tar::{self, BLOCK};
use crate::mode::MapMode;
use crate::os::reading::{Section, read_fully};

/// The first bytes of an index. The last is the version of its layout and of the grouping.
const MAGIC: [u8; 8] = *b"NDLSMPL\x01";

/// Numbers before the lists: those of the stamp, and five counts.
const NUMBERS: usize = 11;

/// Time after which an archive that is modified again has another time of modification, also on
/// file systems with coarse clocks.
const SETTLED: Duration = Duration::from_secs(2);

/// The path of the index of an archive.
fn index_path(path: &Path) -> Option<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name()?);
    name.push(".ndlens-index");
    Some(path.with_file_name(name))
}

/// The size of an archive, the time of its modification, and the file itself: by its number and the
/// time of its last change, which no program sets. A copy with the time of another file, as
/// `rsync --times` and `cp -p` make it, has another stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    size: u64,
    seconds: i64,
    nanoseconds: i64,
    inode: u64,
    changed_seconds: i64,
    changed_nanoseconds: i64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Stamp {
            size: metadata.len(),
            seconds: metadata.mtime(),
            nanoseconds: metadata.mtime_nsec(),
            inode: metadata.ino(),
            changed_seconds: metadata.ctime(),
            changed_nanoseconds: metadata.ctime_nsec(),
        }
    }
}

/// The samples of an archive: those of its index if that is good, otherwise of a walk.
///
/// # Errors
///
/// Those of [`tar::each_member`] and [`Grouping::take`].
pub(crate) fn read_or_make(file: &File, path: &Path) -> Result<SampleTable> {
    let metadata = || file.metadata().map_err(|source| Error::Io { path: path.to_owned(), source });
    let before = metadata()?;
    let stamp = Stamp::of(&before);
    let index = index_path(path);
    if let Some(table) = index.as_ref().and_then(|index| read(index, stamp)) {
        return Ok(table);
    }
    let mut grouping = Grouping::default();
    tar::each_member(file, path, stamp.size, |member| grouping.take(path, member))?;
    let table = grouping.finish();
    let after = metadata()?;
    let settled = after
        .modified()
        .ok()
        .and_then(|modified| SystemTime::now().duration_since(modified).ok())
        .is_some_and(|age| age >= SETTLED);
    if let (Some(index), true) = (index, settled && Stamp::of(&after) == stamp) {
        write(&index, stamp, &table);
    }
    Ok(table)
}

/// The samples in an index; None if there is none that is good.
fn read(index: &Path, stamp: Stamp) -> Option<SampleTable> {
    // A member takes a block at least, and less than that in the index.
    let longest = stamp.size.saturating_mul(2).saturating_add(BLOCK as u64);
    let is_file = fs::symlink_metadata(index).is_ok_and(|metadata| metadata.is_file());
    let (file, len) = is_file.then(|| open_regular(index, MapMode::Read).ok()).flatten()?;
    if len > longest {
        return None;
    }
    let mut bytes = vec![];
    room::resize(&mut bytes, usize::try_from(len).ok()?, 0).ok()?;
    let there = read_fully(&mut Section::new(&file, 0, len), &mut bytes).ok()?;
    bytes.truncate(there);
    decode(&bytes, stamp)
}

/// Writes an index, if that is possible.
fn write(index: &Path, stamp: Stamp, table: &SampleTable) {
    let is_free = match fs::symlink_metadata(index) {
        Ok(there) => there.is_file(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if !is_free {
        return;
    }
    let Ok(bytes) = encode(stamp, table) else { return };
    // What fails here leaves no file, and the next walk tries again.
    let _ = Replacement::new(index).and_then(|replacement| {
        let written = replacement.file().write_all(&bytes);
        written.map_err(|source| Error::Io { path: index.to_owned(), source })?;
        replacement.finish()
    });
}

fn encode(stamp: Stamp, table: &SampleTable) -> ndlens_core::Result<Vec<u8>> {
    let (samples, members) = (table.ends.len(), table.lens.len());
    let (keys, names) = (&table.keys, &table.names);
    let len = MAGIC.len()
        + 8 * NUMBERS
        + 12 * samples
        + 16 * members
        + 8 * names.len()
        + keys.bytes().len()
        + names.bytes().len()
        + 4;
    let mut bytes = room::with_room_for(len)?;
    let counts = [samples, keys.bytes().len(), names.len(), names.bytes().len(), members];
    bytes.extend(MAGIC);
    bytes.extend(stamp.size.to_le_bytes());
    bytes.extend(stamp.seconds.to_le_bytes());
    bytes.extend(stamp.nanoseconds.to_le_bytes());
    bytes.extend(stamp.inode.to_le_bytes());
    bytes.extend(stamp.changed_seconds.to_le_bytes());
    bytes.extend(stamp.changed_nanoseconds.to_le_bytes());
    bytes.extend(counts.iter().flat_map(|&count| (count as u64).to_le_bytes()));
    let wide = |bytes: &mut Vec<u8>, list: &[u64]| {
        bytes.extend(list.iter().flat_map(|number| number.to_le_bytes()));
    };
    let narrow = |bytes: &mut Vec<u8>, list: &[u32]| {
        bytes.extend(list.iter().flat_map(|number| number.to_le_bytes()));
    };
    wide(&mut bytes, keys.ends());
    bytes.extend(keys.bytes());
    narrow(&mut bytes, &table.ends);
    wide(&mut bytes, names.ends());
    bytes.extend(names.bytes());
    narrow(&mut bytes, &table.extensions);
    narrow(&mut bytes, &table.blocks);
    wide(&mut bytes, &table.lens);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend(checksum.to_le_bytes());
    Ok(bytes)
}

/// The table in these bytes; None unless it is whole, of an archive with this stamp, and keeps the
/// invariant of [`SampleTable`].
fn decode(bytes: &[u8], stamp: Stamp) -> Option<SampleTable> {
    let (bytes, checksum) = bytes.split_last_chunk::<4>()?;
    if !bytes.starts_with(&MAGIC) || crc32fast::hash(bytes) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut rest = Rest(&bytes[MAGIC.len()..]);
    let got = Stamp {
        size: rest.number()?,
        seconds: rest.number()? as i64,
        nanoseconds: rest.number()? as i64,
        inode: rest.number()?,
        changed_seconds: rest.number()? as i64,
        changed_nanoseconds: rest.number()? as i64,
    };
    if got != stamp {
        return None;
    }
    let mut count = || rest.number().and_then(|count| usize::try_from(count).ok());
    let [samples, key_bytes, names, name_bytes, members] =
        [count()?, count()?, count()?, count()?, count()?];
    let key_ends = rest.wide(samples)?;
    let keys = ByteNames::new(rest.bytes(key_bytes)?, key_ends)?;
    let ends = rest.narrow(samples)?;
    let name_ends = rest.wide(names)?;
    let names = ByteNames::new(rest.bytes(name_bytes)?, name_ends)?;
    let (extensions, blocks) = (rest.narrow(members)?, rest.narrow(members)?);
    let lens = rest.wide(members)?;
    let fits = |(&block, &len): (&u32, &u64)| {
        let start = u64::from(block) * BLOCK as u64;
        block > 0 && start.checked_add(len).is_some_and(|end| end <= stamp.size)
    };
    let good = rest.0.is_empty()
        && ends.is_sorted()
        && ends.last().copied().unwrap_or(0) as usize == members
        && extensions.iter().all(|&extension| (extension as usize) < names.len())
        && blocks.iter().zip(&lens).all(fits);
    good.then_some(SampleTable { keys, ends, names, extensions, blocks, lens })
}

/// What is left of an index.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize, size: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count.checked_mul(size)?)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(1, 8)?.first_chunk().map(|&bytes| u64::from_le_bytes(bytes))
    }

    fn bytes(&mut self, count: usize) -> Option<Vec<u8>> {
        list(self.take(count, 1)?.iter().copied())
    }

    fn wide(&mut self, count: usize) -> Option<Vec<u64>> {
        list(self.take(count, 8)?.as_chunks().0.iter().map(|&bytes| u64::from_le_bytes(bytes)))
    }

    fn narrow(&mut self, count: usize) -> Option<Vec<u32>> {
        list(self.take(count, 4)?.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)))
    }
}

/// As many numbers as an iterator says it has, copied in one go.
fn list<T>(numbers: impl ExactSizeIterator<Item = T>) -> Option<Vec<T>> {
    let mut list = room::with_room_for(numbers.len()).ok()?;
    list.extend(numbers);
    Some(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::tar::TarMember;

    const STAMP: Stamp = Stamp {
        size: 10_240,
        seconds: -7,
        nanoseconds: 123,
        inode: 11,
        changed_seconds: 9,
        changed_nanoseconds: 456,
    };

    fn table() -> SampleTable {
        let mut grouping = Grouping::default();
        for (name, start, len) in
            [("a.jpg", 512, 3), ("a.cls", 1536, 1), ("b.jpg", 2560, 0), ("\u{fc}.cls", 3584, 9)]
        {
            let member = TarMember { name: name.as_bytes(), start, len };
            grouping.take(Path::new("x.tar"), member).unwrap();
        }
        grouping.finish()
    }

    #[test]
    fn an_index_gives_the_samples_that_were_written() {
        for table in [table(), SampleTable::default()] {
            let bytes = encode(STAMP, &table).unwrap();
            assert_eq!(bytes.capacity(), bytes.len());
            assert_eq!(decode(&bytes, STAMP).as_ref(), Some(&table));
        }
    }

    #[test]
    fn a_stale_or_damaged_index_is_none() {
        let bytes = encode(STAMP, &table()).unwrap();
        for stamp in [
            Stamp { size: 10_241, ..STAMP },
            Stamp { seconds: 7, ..STAMP },
            Stamp { nanoseconds: 124, ..STAMP },
            Stamp { inode: 12, ..STAMP },
            Stamp { changed_seconds: 10, ..STAMP },
            Stamp { changed_nanoseconds: 457, ..STAMP },
        ] {
            assert_eq!(decode(&bytes, stamp), None);
        }
        for len in 0..bytes.len() {
            assert_eq!(decode(&bytes[..len], STAMP), None);
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&damaged, STAMP), None, "byte {at}");
        }
        // Bytes that pass the checksum are checked too: an index may come with an archive.
        let sealed = |mut bytes: Vec<u8>| {
            bytes.truncate(bytes.len() - 4);
            let checksum = crc32fast::hash(&bytes);
            bytes.extend(checksum.to_le_bytes());
            bytes
        };
        for at in MAGIC.len()..bytes.len() - 4 {
            for byte in [0xff, 0x7f, bytes[at].wrapping_add(1)] {
                let mut other = bytes.clone();
                other[at] = byte;
                let Some(table) = decode(&sealed(other), STAMP) else { continue };
                for sample in 0..table.len() {
                    let _ = table.keys.get(sample);
                    for member in table.members(sample) {
                        let end = u64::from(table.blocks[member]) * 512 + table.lens[member];
                        assert!(end <= STAMP.size);
                        let _ = table.names.get(table.extensions[member] as usize);
                    }
                }
            }
        }
    }
}
