//! The files that a pattern matches, in natural order.

use std::cmp::Ordering;
use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, PatternError};
use ndlens_core::room;

use crate::error::{Error, Result};

/// The rules by which a part of a pattern matches a name: a wildcard does not match a dot at its
/// start.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The files that a pattern matches, in the natural order of their names; None if the path is not a
/// pattern.
///
/// # Errors
///
/// [`Error::BadPattern`], [`Error::NoMatch`]; [`Error::Io`] for a directory that cannot be listed;
/// [`Error::Core`] if there is no memory for the list.
pub(crate) fn matches(pattern: &Path) -> Result<Option<Vec<PathBuf>>> {
    let Some(text) = pattern.to_str().filter(|text| text.contains(['*', '?', '['])) else {
        return Ok(None);
    };
    if fs::symlink_metadata(pattern).is_ok() {
        return Ok(None);
    }
    let bad = |source| Error::BadPattern { pattern: pattern.to_owned(), source };
    // The whole pattern first, since its errors count letters from its start.
    Pattern::new(text).map_err(bad)?;
    let parts = text.split('/').filter(|part| !part.is_empty()).map(Part::of);
    let mut parts = room::try_list_of(parts.map(|part| part.map_err(bad)))?;
    parts.dedup_by(|next, last| matches!((next, last), (Part::AnyDepth, Part::AnyDepth)));
    let mut paths = walk(if text.starts_with('/') { "/" } else { "" }, &parts)?;
    if text.ends_with('/') {
        paths.retain(|path| path.is_dir());
    }
    if paths.is_empty() {
        return Err(Error::NoMatch { pattern: pattern.to_owned() });
    }
    // Not a stable sort, which takes memory; names that are equal as numbers are in alphabetical
    // order.
    paths.sort_unstable_by(|a, b| {
        natural_order(a.as_os_str().as_encoded_bytes(), b.as_os_str().as_encoded_bytes())
            .then_with(|| a.cmp(b))
    });
    // Two `**` find a path in two ways.
    paths.dedup();
    Ok(Some(paths))
}

/// A part of a pattern, between two slashes.
#[derive(Debug)]
enum Part<'a> {
    /// A name without wildcards.
    Name(&'a str),
    /// A name with wildcards.
    Names(Pattern),
    /// `**`: no directory, or any number of them.
    AnyDepth,
}

impl<'a> Part<'a> {
    fn of(text: &'a str) -> Result<Self, PatternError> {
        match text {
            "**" => Ok(Part::AnyDepth),
            _ if !text.contains(['*', '?', '[']) => Ok(Part::Name(text)),
            _ => Pattern::new(text).map(Part::Names),
        }
    }
}

/// The paths below `root` that match all parts, in any order.
///
/// The walk of the crate `glob` ends the process if there is no memory for a directory's list; this
/// one returns an error.
fn walk(root: &str, parts: &[Part<'_>]) -> Result<Vec<PathBuf>> {
    let (mut found, mut todo) = (vec![], vec![]);
    room::push(&mut todo, (PathBuf::from(root), 0))?;
    while let Some((path, at)) = todo.pop() {
        let Some(part) = parts.get(at) else {
            room::push(&mut found, path)?;
            continue;
        };
        match part {
            Part::Name(name) => {
                let next = path.join(name);
                if fs::metadata(&next).is_ok() {
                    room::push(&mut todo, (next, at + 1))?;
                }
            }
            Part::Names(pattern) => each_entry(&path, |entry| {
                let name = entry.file_name();
                if name.to_str().is_some_and(|name| pattern.matches_with(name, OPTIONS)) {
                    room::push(&mut todo, (path.join(name), at + 1))?;
                }
                Ok(())
            })?,
            Part::AnyDepth => {
                each_entry(&path, |entry| {
                    let name = entry.file_name();
                    let next = path.join(&name);
                    if !name.as_encoded_bytes().starts_with(b".") && next.is_dir() {
                        room::push(&mut todo, (next, at))?;
                    }
                    Ok(())
                })?;
                room::push(&mut todo, (path, at + 1))?;
            }
        }
    }
    Ok(found)
}

/// Calls `take` with each entry of a directory; other files have no entries.
fn each_entry(path: &Path, mut take: impl FnMut(DirEntry) -> Result<()>) -> Result<()> {
    let listed = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let io = |source| Error::Io { path: listed.to_owned(), source };
    let entries = match fs::read_dir(listed) {
        Ok(entries) => entries,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) =>
        {
            return Ok(());
        }
        Err(error) => return Err(io(error)),
    };
    for entry in entries {
        take(entry.map_err(io)?)?;
    }
    Ok(())
}

/// Natural order: runs of digits count as numbers, so that 2 is before 10.
fn natural_order(mut a: &[u8], mut b: &[u8]) -> Ordering {
    let (whole_a, whole_b) = (a, b);
    while let (Some(&first_a), Some(&first_b)) = (a.first(), b.first()) {
        let order = if first_a.is_ascii_digit() && first_b.is_ascii_digit() {
            let (number_a, number_b) = (take_number(&mut a), take_number(&mut b));
            number_a.len().cmp(&number_b.len()).then(number_a.cmp(number_b))
        } else {
            (a, b) = (&a[1..], &b[1..]);
            first_a.cmp(&first_b)
        };
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len()).then(whole_a.cmp(whole_b))
}

/// Removes the digits at the start, and returns them without leading zeros.
fn take_number<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let digits = text.iter().take_while(|letter| letter.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    *text = rest;
    let zeros = number.iter().take_while(|&&digit| digit == b'0').count();
    &number[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of these names below a directory; the paths that a pattern matches, without it.
    fn matched(names: &[&str], pattern: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let inside = |path: PathBuf| {
            path.strip_prefix(directory.path()).unwrap().to_str().unwrap().to_owned()
        };
        match matches(&directory.path().join(pattern)) {
            Ok(paths) => paths.unwrap().into_iter().map(inside).collect(),
            Err(Error::NoMatch { .. }) => vec![],
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn patterns_match_what_the_crate_glob_says() {
        let names = [
            "a.npy",
            "b.npy",
            "c.txt",
            ".d.npy",
            "d/a.npy",
            "d/e/a.npy",
            "d/e/f/b.npy",
            ".g/a.npy",
            "[x].npy",
        ];
        for (pattern, expected) in [
            ("*.npy", &["[x].npy", "a.npy", "b.npy"][..]),
            ("?.*", &["a.npy", "b.npy", "c.txt"]),
            ("[ab].npy", &["a.npy", "b.npy"]),
            ("[[]x].npy", &["[x].npy"]),
            (".*.npy", &[".d.npy"]),
            ("*/a.npy", &["d/a.npy"]),
            ("**/a.npy", &["a.npy", "d/a.npy", "d/e/a.npy"]),
            ("d/**/*.npy", &["d/a.npy", "d/e/a.npy", "d/e/f/b.npy"]),
            ("**/e/**/*.npy", &["d/e/a.npy", "d/e/f/b.npy"]),
            ("**/**/f/*", &["d/e/f/b.npy"]),
            ("*/e/../*.npy", &["d/e/../a.npy"]),
            ("*.npy/*", &[]),
            ("nothing/*.npy", &[]),
            ("*.npy/", &[]),
        ] {
            assert_eq!(matched(&names, pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn a_name_that_is_not_text_is_not_matched() {
        use std::os::unix::ffi::OsStrExt;

        let directory = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"\xff.npy");
        fs::write(directory.path().join(name), "").unwrap();
        fs::write(directory.path().join("a.npy"), "").unwrap();
        assert_eq!(matches(&directory.path().join("*.npy")).unwrap().unwrap().len(), 1);
    }

    #[test]
    fn names_are_ordered_as_people_number_them() {
        let mut names = [
            "s10.npy", "s2.npy", "S1.npy", "s1.npy", "s01.npy", "s.npy", "s2a10", "s2a9", "t/1",
            "s",
        ];
        names.sort_by(|a, b| natural_order(a.as_bytes(), b.as_bytes()));
        assert_eq!(
            names,
            [
                "S1.npy", "s", "s.npy", "s01.npy", "s1.npy", "s2.npy", "s2a9", "s2a10", "s10.npy",
                "t/1"
            ]
        );
        let huge = format!("s1{}", "0".repeat(400));
        assert_eq!(natural_order(b"s9", huge.as_bytes()), Ordering::Less);
    }
}
