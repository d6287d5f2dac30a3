//! Tar archives: the names and places of their files.
//!
//! An archive has no directory: a header says how long a member is, and so where the next header
//! is. The walk reads the headers alone, some KB at a time, and no memory is taken for what a
//! header claims. It knows Unix v7, `ustar` (POSIX.1-1988), `pax` (POSIX.1-2001) and GNU's format.
//! Members that are no regular files are left out.

mod header;
mod pax;

use std::fs::File;
use std::path::Path;

use ndlens_core::room;

use crate::error::{Error, Result, TarProblem};
use crate::os::reading::{Section, read_fully};

pub(crate) use header::BLOCK;
use header::{MemberKind, TarHeader, until_nul};

/// Bytes that are read at a time: the header of a large member, or some small members. More would
/// read most of an archive of photographs.
const WINDOW: usize = 8 * BLOCK;

/// Maximum length of what stands before a member: its long name or its records.
const MAX_EXTENSION_BYTES: u64 = 1 << 20;

/// Bytes after the end that must be zeros. Writers fill up a record, of 10 KiB by default.
const TRAILER_BYTES: u64 = 1 << 20;

/// Whether these first bytes are those of an archive; archives of Unix v7 need the name too.
pub(crate) fn is_start(start: &[u8], is_named_tar: bool) -> bool {
    let header = start.first_chunk::<BLOCK>().map(TarHeader::of);
    is_named_tar || matches!(header, Some(Ok(header)) if header.has_magic())
}

/// A file in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TarMember<'a> {
    pub(crate) name: &'a [u8],
    /// The first byte of its data in the archive.
    pub(crate) start: u64,
    pub(crate) len: u64,
}

/// Calls `take` with each regular file of an archive of `len` bytes, in order.
///
/// # Errors
///
/// [`Error::BadTar`]; [`Error::Io`]; [`Error::Core`] if there is no memory for a name; the errors
/// of `take`.
pub(crate) fn each_member(
    file: &File,
    path: &Path,
    len: u64,
    mut take: impl FnMut(TarMember<'_>) -> Result<()>,
) -> Result<()> {
    let mut walk = Walk { blocks: Blocks::new(file, path, len), path, at: 0, last: vec![] };
    let mut before = Before::default();
    loop {
        let Some(at) = walk.next(&mut before)? else { return Ok(()) };
        take(TarMember { name: &walk.last, start: at.start, len: at.len })?;
    }
}

/// What stood before a member's header.
#[derive(Debug, Default)]
struct Before {
    /// The member's name; empty if its header has it.
    name: Vec<u8>,
    size: Option<u64>,
    is_sparse: bool,
    /// Whether there was anything.
    any: bool,
}

/// The data of a member.
struct Data {
    start: u64,
    len: u64,
}

struct Walk<'a> {
    blocks: Blocks<'a>,
    path: &'a Path,
    /// The byte of the next header.
    at: u64,
    /// The name of the last member that is whole.
    last: Vec<u8>,
}

impl Walk<'_> {
    fn bad(&self, problem: TarProblem) -> Error {
        Error::BadTar { path: self.path.to_owned(), problem: Box::new(problem) }
    }

    /// The last whole member, for messages.
    fn after(&self) -> Option<String> {
        (!self.last.is_empty()).then(|| String::from_utf8_lossy(&self.last).into_owned())
    }

    /// The data of the next file, whose name is `last` from then on; None at the end.
    fn next(&mut self, before: &mut Before) -> Result<Option<Data>> {
        loop {
            let at = self.at;
            let Some(&block) = self.blocks.get(at)? else {
                return Err(self.bad(TarProblem::NoEnd { at, last: self.after() }));
            };
            if block == [0; BLOCK] {
                if before.any {
                    return Err(self.bad(TarProblem::NoMember { at }));
                }
                return self.check_end().map(|()| None);
            }
            let header = TarHeader::of(&block).map_err(|wrong| {
                let (got, expected) = (wrong.got, wrong.expected);
                self.bad(TarProblem::Checksum { at, got, expected, last: self.after() })
            })?;
            let kind = header.kind(&before.name);
            let claimed =
                before.size.filter(|_| kind == MemberKind::File).or_else(|| header.size());
            let len = match (kind, claimed) {
                (MemberKind::NoData, _) => 0,
                (_, Some(len)) => len,
                (_, None) => return Err(self.bad(TarProblem::Size { at })),
            };
            let start = at + BLOCK as u64;
            let (mut name, own) = (vec![], header.name());
            if kind == MemberKind::File && before.name.is_empty() {
                let parts = [own.0, if own.0.is_empty() { &b""[..] } else { b"/" }, own.1];
                for part in parts {
                    room::reserve(&mut name, part.len())?;
                    name.extend_from_slice(part);
                }
            } else if kind == MemberKind::File {
                name = std::mem::take(&mut before.name);
            }
            let end = start.checked_add(len).filter(|&end| end <= self.blocks.len);
            let Some(end) = end else {
                let member = if kind == MemberKind::File { &name[..] } else { own.1 };
                let member = String::from_utf8_lossy(member).into_owned();
                let (got, last) = (self.blocks.len, self.after());
                return Err(self.bad(TarProblem::Truncated { member, start, len, got, last }));
            };
            // The last member's data may be followed by nothing.
            self.at = end.next_multiple_of(BLOCK as u64);
            match kind {
                MemberKind::File => {
                    let (any, sparse) = (before.any, before.is_sparse);
                    *before = Before::default();
                    if any && sparse {
                        let name = String::from_utf8_lossy(&name).into_owned();
                        return Err(self.bad(TarProblem::Sparse { name }));
                    }
                    self.last = name;
                    return Ok(Some(Data { start, len }));
                }
                MemberKind::Sparse => {
                    let name = String::from_utf8_lossy(own.1).into_owned();
                    return Err(self.bad(TarProblem::Sparse { name }));
                }
                MemberKind::Continued => {
                    let name = String::from_utf8_lossy(own.1).into_owned();
                    return Err(self.bad(TarProblem::Continued { name }));
                }
                MemberKind::NoData | MemberKind::Other => *before = Before::default(),
                MemberKind::LongName | MemberKind::Records | MemberKind::GlobalRecords => {
                    self.take_extension(kind, at, len, before)?;
                }
            }
        }
    }

    /// Reads what stands before a member.
    fn take_extension(
        &self,
        kind: MemberKind,
        at: u64,
        len: u64,
        before: &mut Before,
    ) -> Result<()> {
        if len > MAX_EXTENSION_BYTES {
            let max = MAX_EXTENSION_BYTES;
            return Err(self.bad(TarProblem::LongExtension { at, got: len, max }));
        }
        let bytes = self.blocks.read(at + BLOCK as u64, len as usize)?;
        if kind == MemberKind::LongName {
            before.name = bytes;
            let end = until_nul(&before.name).len();
            before.name.truncate(end);
            before.any = true;
            return Ok(());
        }
        let malformed = || self.bad(TarProblem::Records { at });
        let records = pax::parse(&bytes).ok_or_else(malformed)?;
        if kind == MemberKind::GlobalRecords {
            // Git and others write a comment here. What would count for each member is of no use.
            return if records == pax::Records::default() {
                Ok(())
            } else {
                Err(self.bad(TarProblem::GlobalRecords { at }))
            };
        }
        if let Some(name) = records.path {
            before.name.clear();
            room::reserve(&mut before.name, name.len())?;
            before.name.extend_from_slice(name);
        }
        before.size = records.size.or(before.size);
        before.is_sparse |= records.is_sparse;
        before.any = true;
        Ok(())
    }

    /// Refuses data after the end, which tools leave out without a word.
    fn check_end(&self) -> Result<()> {
        let mut at = self.at;
        let end = self.blocks.len.min(at + TRAILER_BYTES);
        let mut bytes = [0; WINDOW];
        while at < end {
            let there = self.blocks.read_into(at, &mut bytes)?;
            if there == 0 {
                break;
            }
            if let Some(place) = bytes[..there].iter().position(|&byte| byte != 0) {
                return Err(self.bad(TarProblem::AfterEnd { at: at + place as u64 }));
            }
            at += there as u64;
        }
        Ok(())
    }
}

/// The blocks of an archive, read some at a time.
struct Blocks<'a> {
    file: &'a File,
    path: &'a Path,
    len: u64,
    window: [u8; WINDOW],
    /// The first byte of the window, and its bytes.
    start: u64,
    there: usize,
}

impl<'a> Blocks<'a> {
    fn new(file: &'a File, path: &'a Path, len: u64) -> Self {
        Blocks { file, path, len, window: [0; WINDOW], start: 0, there: 0 }
    }

    /// The block at a byte; None if the archive ends before the block does.
    fn get(&mut self, at: u64) -> Result<Option<&[u8; BLOCK]>> {
        let in_window = |start: u64, there: usize| {
            let offset = usize::try_from(at.checked_sub(start)?).ok()?;
            (offset + BLOCK <= there).then_some(offset)
        };
        let offset = if let Some(offset) = in_window(self.start, self.there) {
            offset
        } else {
            let mut window = self.window;
            (self.start, self.there) = (at, self.read_into(at, &mut window)?);
            self.window = window;
            0
        };
        Ok(self.window[offset..self.there.max(offset)].first_chunk())
    }

    fn read_into(&self, at: u64, bytes: &mut [u8]) -> Result<usize> {
        read_fully(&mut Section::new(self.file, at, self.len), bytes)
            .map_err(|source| Error::Io { path: self.path.to_owned(), source })
    }

    /// Bytes in memory of their own, which the archive has.
    fn read(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![];
        room::resize(&mut bytes, len, 0)?;
        let there = self.read_into(at, &mut bytes)?;
        bytes.truncate(there);
        Ok(bytes)
    }
}
