//! What is wrong with a tar archive.

use std::fmt;

use crate::error::text::Shown;

/// The reason why the files of a tar archive cannot be listed.
#[expect(missing_docs, reason = "the fields are named by the message above them")]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarProblem {
    /// Bytes that are no header, where one must be.
    #[error(
        "the header at byte {at} has the checksum {got:o}, but says {}{}",
        Octal(*expected),
        After(last.as_deref())
    )]
    Checksum { at: u64, got: u32, expected: Option<u64>, last: Option<String> },
    /// A size that is not a number.
    #[error("the header at byte {at} has a size that is not a number of 64 bits")]
    Size { at: u64 },
    /// A member of which bytes are missing.
    #[error(
        "truncated: member {} has {len} bytes from byte {start} on, but the archive has \
         {got}{}",
        Shown(member),
        After(last.as_deref())
    )]
    Truncated { member: String, start: u64, len: u64, got: u64, last: Option<String> },
    /// No zeros, which end an archive.
    #[error(
        "truncated: it ends at byte {at} without the block of zeros that ends an archive{}; if no \
         member is missing, add them: head -c 1024 /dev/zero >> ARCHIVE",
        After(last.as_deref())
    )]
    NoEnd { at: u64, last: Option<String> },
    /// A long name or records, and then the end.
    #[error("at byte {at} it ends, where a member must follow that was announced")]
    NoMember { at: u64 },
    /// A name or records that are longer than any.
    #[error("the header at byte {at} announces {got} bytes about a member, expected at most {max}")]
    LongExtension { at: u64, got: u64, max: u64 },
    /// Records that are not those of POSIX.
    #[error("the PAX records of the header at byte {at} are malformed")]
    Records { at: u64 },
    /// A name or size for all members that follow.
    #[error(
        "the PAX header at byte {at} gives all members one name or size, which is not supported; \
         pack it anew: tar xf ARCHIVE, then tar cf"
    )]
    GlobalRecords { at: u64 },
    /// A file of which holes are left out.
    #[error(
        "member {} is stored as a sparse file, whose bytes are not all in the archive; pack it \
         anew: tar xf ARCHIVE, then tar cf without --sparse",
        Shown(name)
    )]
    Sparse { name: String },
    /// A part of a file.
    #[error(
        "member {} began in another archive of several volumes; unpack them with tar xfM",
        Shown(name)
    )]
    Continued { name: String },
    /// Another archive after the end of the first.
    #[error(
        "has data at byte {at}, after its end, which tar leaves out; if archives were appended \
         with cat, unpack them all with tar xif ARCHIVE, or keep each by itself"
    )]
    AfterEnd { at: u64 },
    /// Two members of one sample with one extension.
    #[error(
        "sample {} has two members with the extension {}; the second is at byte {start}",
        Shown(key),
        Shown(extension)
    )]
    Twice { key: String, extension: String, start: u64 },
    /// More than there are numbers for.
    #[error("has more than {max} {what}; divide it into several archives")]
    TooLarge { what: &'static str, max: u64 },
}

/// ` (the last whole member is "a.jpg")`, or nothing.
struct After<'a>(Option<&'a str>);

impl fmt::Display for After<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => write!(f, " (the last whole member is {})", Shown(name)),
            None => Ok(()),
        }
    }
}

/// An octal number, or what is there instead.
struct Octal(Option<u64>);

impl fmt::Display for Octal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => write!(f, "{number:o}"),
            None => f.write_str("something that is not a number"),
        }
    }
}
