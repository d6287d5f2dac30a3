//! The files that a pattern matches, in natural order.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs::{self, DirEntry};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, PatternError};
use ndlens_core::room;

use crate::error::{Error, Result};
use crate::file::braces::expand;

/// The rules by which a part of a pattern matches a name: a wildcard does not match a dot at its
/// start.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The files that a pattern matches, in the natural order of their names; None if the path is not a
/// pattern. Names of ranges and alternatives in braces, such as `s-{00..19}.npy`, are taken as they
/// are, in their order.
///
/// # Errors
///
/// [`Error::BadPattern`], [`Error::BadBraces`], [`Error::NoMatch`]; [`Error::Io`] for a directory
/// that cannot be listed; [`Error::Core`] if there is no memory for the list.
pub(crate) fn matches(pattern: &Path) -> Result<Option<Vec<PathBuf>>> {
    let Some(text) = pattern.to_str().filter(|text| text.contains(['*', '?', '[', '{'])) else {
        return Ok(None);
    };
    if fs::symlink_metadata(pattern).is_ok() {
        return Ok(None);
    }
    let Some(patterns) = expand(pattern, text)? else { return matches_one(pattern, text) };
    let mut paths = vec![];
    for text in patterns {
        match matches_one(Path::new(&text), &text)? {
            Some(matched) => {
                room::reserve(&mut paths, matched.len())?;
                paths.extend(matched);
            }
            None => room::push(&mut paths, PathBuf::from(text))?,
        }
    }
    Ok(Some(paths))
}

/// The files that a path or a pattern names: those of a pattern in natural order, those of braces
/// in the order of the braces.
///
/// # Errors
///
/// [`Error::BadPattern`], [`Error::NoMatch`], [`Error::Io`], [`Error::Core`].
pub fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    Ok(matches(path)?.unwrap_or_else(|| vec![path.to_owned()]))
}

/// As [`matches`], of a pattern without braces.
fn matches_one(pattern: &Path, text: &str) -> Result<Option<Vec<PathBuf>>> {
    if !text.contains(['*', '?', '[']) || fs::symlink_metadata(pattern).is_ok() {
        return Ok(None);
    }
    let bad = |source| Error::BadPattern { pattern: pattern.to_owned(), source };
    // The whole pattern first, since its errors count letters from its start.
    Pattern::new(text).map_err(bad)?;
    let parts = text.split('/').filter(|part| !part.is_empty()).map(PatternPart::of);
    let mut parts = room::try_list_of(parts.map(|part| part.map_err(bad)))?;
    parts.dedup_by(|next, last| {
        matches!((next, last), (PatternPart::AnyDepth, PatternPart::AnyDepth))
    });
    let mut paths = walk(if text.starts_with('/') { "/" } else { "." }, &parts)?;
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
enum PatternPart<'a> {
    /// A name without wildcards.
    Name(&'a str),
    /// A name with wildcards.
    Names(Pattern),
    /// `**`: no directory, or any number of them.
    AnyDepth,
}

impl<'a> PatternPart<'a> {
    fn of(text: &'a str) -> Result<Self, PatternError> {
        match text {
            "**" => Ok(PatternPart::AnyDepth),
            _ if !text.contains(['*', '?', '[']) => Ok(PatternPart::Name(text)),
            _ => Pattern::new(text).map(PatternPart::Names),
        }
    }
}

/// A path that a walk has reached.
struct Reached {
    path: PathBuf,
    /// The number of parts that it has matched.
    matched: usize,
    /// The number of directories that led to it by parts `**`.
    depth: usize,
}

/// The paths below `root` that match all parts, in any order.
///
/// The walk of the crate `glob` lists a directory into memory that it does not ask for; this one
/// asks. It also ends if links lead in circles: `**` does not enter a directory that it is in.
fn walk(root: &str, parts: &[PatternPart<'_>]) -> Result<Vec<PathBuf>> {
    let (mut found, mut todo) = (vec![], vec![]);
    // The directories, entered by `**`, that lead to the path in hand. The walk goes down before it
    // goes on, so the first `depth` of them are those of any path in `todo`.
    let mut entered = vec![];
    room::push(&mut todo, Reached { path: PathBuf::from(root), matched: 0, depth: 0 })?;
    while let Some(Reached { path, matched, depth }) = todo.pop() {
        let Some(part) = parts.get(matched) else {
            room::push(&mut found, path)?;
            continue;
        };
        let next = |path| Reached { path, matched: matched + 1, depth };
        match part {
            PatternPart::Name(name) => {
                let path = join(&path, name.as_ref());
                // A link that leads nowhere is a match.
                if fs::symlink_metadata(&path).is_ok() {
                    room::push(&mut todo, next(path))?;
                }
            }
            PatternPart::Names(pattern) => each_entry(&path, |entry| {
                let name = entry.file_name();
                if name.to_str().is_some_and(|name| pattern.matches_with(name, OPTIONS)) {
                    room::push(&mut todo, next(join(&path, &name)))?;
                }
                Ok(())
            })?,
            PatternPart::AnyDepth => {
                let Some(directory) = directory_of(&path) else { continue };
                entered.truncate(depth);
                room::push(&mut entered, directory)?;
                let depth = entered.len();
                let is_last = matched + 1 == parts.len();
                each_entry(&path, |entry| {
                    let (name, kind) = (entry.file_name(), entry.file_type());
                    let may_be_one = kind.is_ok_and(|kind| kind.is_dir() || kind.is_symlink());
                    if !may_be_one || name.as_encoded_bytes().starts_with(b".") {
                        return Ok(());
                    }
                    let path = join(&path, &name);
                    if directory_of(&path).is_none_or(|inner| entered.contains(&inner)) {
                        return Ok(());
                    }
                    if is_last {
                        room::push(&mut found, path.clone())?;
                    }
                    room::push(&mut todo, Reached { path, matched, depth }).map_err(Error::from)
                })?;
                // A last `**` matches the directories below the one that it starts from.
                if !is_last {
                    let matched = matched + 1;
                    room::push(&mut todo, Reached { path, matched, depth })?;
                }
            }
        }
    }
    Ok(found)
}

/// The path of an entry; that of one in the working directory is its name.
fn join(directory: &Path, name: &OsStr) -> PathBuf {
    if directory == Path::new(".") { PathBuf::from(name) } else { directory.join(name) }
}

/// The device and inode of a directory; None for anything else.
fn directory_of(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

/// Takes each entry of a directory; of anything else there is none.
fn each_entry(path: &Path, mut take: impl FnMut(DirEntry) -> Result<()>) -> Result<()> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
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
    use std::ffi::OsString;

    use super::*;

    /// A directory of files of these names, empty.
    fn directory_of_files(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        directory
    }

    /// The paths that a pattern matches.
    fn matched(pattern: &Path) -> Vec<PathBuf> {
        match matches(pattern) {
            Ok(paths) => paths.unwrap(),
            Err(Error::NoMatch { .. }) => vec![],
            Err(error) => panic!("{error}"),
        }
    }

    /// The paths below a directory that a pattern matches, without the directory.
    fn matched_below(directory: &Path, pattern: &str) -> Vec<String> {
        let inside =
            |path: PathBuf| path.strip_prefix(directory).unwrap().to_str().map(String::from);
        matched(&directory.join(pattern)).into_iter().map(|path| inside(path).unwrap()).collect()
    }

    /// The paths, as they are spelled, that the crate `glob` finds, each once.
    fn found_by_glob(pattern: &str) -> Vec<OsString> {
        let paths = glob::glob_with(pattern, OPTIONS).unwrap();
        let mut paths: Vec<_> = paths.map(|path| path.unwrap().into_os_string()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    #[track_caller]
    fn assert_as_glob(pattern: &str) {
        let paths = matched(Path::new(pattern)).into_iter().map(PathBuf::into_os_string);
        let mut paths: Vec<_> = paths.collect();
        paths.sort();
        assert_eq!(paths, found_by_glob(pattern), "{pattern}");
    }

    #[test]
    fn patterns_match_what_the_crate_glob_finds() {
        // So deep that `..` stays inside.
        let outside = directory_of_files(&[
            "o/o/a.npy",
            "o/o/b.npy",
            "o/o/c.txt",
            "o/o/.h.npy",
            "o/o/d/a.npy",
            "o/o/d/e/a.npy",
            "o/o/d/e/e/b.npy",
            "o/o/d/.g/a.npy",
            "o/o/.g/a.npy",
            "o/o/e/a.npy",
            "o/o/[x].npy",
        ]);
        let directory = outside.path().join("o/o");
        for (target, link) in [("d/e", "l"), ("a.npy", "la.npy"), ("nowhere", "dangling.npy")] {
            std::os::unix::fs::symlink(target, directory.join(link)).unwrap();
        }
        let directory = directory.to_str().unwrap();
        let parts = [
            "*",
            "**",
            "?",
            "[de]",
            "[[]x].npy",
            "*.npy",
            "d",
            "e",
            "l",
            ".g",
            ".",
            "..",
            "a.npy",
            "dangling.npy",
            "nothing",
        ];
        // What the crate never finds below `**`, and here is found.
        let differs = |parts: &[&str]| {
            parts.windows(2).any(|pair| pair[0] == "**" && pair[1].starts_with('.'))
        };
        let mut compared = 0;
        let mut compare = |parts: &[&str]| {
            let pattern = parts.join("/");
            if pattern.contains(['*', '?', '[']) && !differs(parts) {
                assert_as_glob(&format!("{directory}/{pattern}"));
                assert_as_glob(&format!("{directory}/{pattern}/"));
                compared += 2;
            }
        };
        for first in parts {
            compare(&[first]);
            for second in parts {
                compare(&[first, second]);
                for third in parts {
                    compare(&[first, second, third]);
                }
            }
        }
        assert!(compared > 4000, "{compared}");
        for pattern in ["d//*.npy", "**/e/**/*.npy", "**/**/e/**", "d/**/**/*/", "*/e/../*.npy"] {
            assert_as_glob(&format!("{directory}/{pattern}"));
        }
    }

    #[test]
    fn paths_below_the_working_directory_are_spelled_as_the_crate_glob_spells_them() {
        // That of this crate's tests.
        for pattern in [
            "*",
            "**",
            "**/",
            "./*",
            "./src/*.rs",
            "src/*/../*.rs",
            "./**/mod.rs",
            "*/./*.rs",
            "src//*.rs",
            "../*/Cargo.toml",
            "src/**",
            "**/file/**",
            "././*",
            "./?rc/**/*.rs",
        ] {
            assert_as_glob(pattern);
        }
    }

    #[test]
    fn a_name_that_begins_with_a_dot_is_matched_where_the_pattern_has_the_dot() {
        let directory = directory_of_files(&[".h.npy", "a.npy", "d/.g/a.npy", ".g/a.npy"]);
        for (pattern, expected) in [
            ("*.npy", &["a.npy"][..]),
            ("?h.npy", &[]),
            ("[.]h.npy", &[]),
            (".*.npy", &[".h.npy"]),
            (".?/a.npy", &[".g/a.npy"]),
            ("**/.g/a.npy", &[".g/a.npy", "d/.g/a.npy"]),
            // Neither `.` nor `..`, which are no entries.
            ("d/.*/a.npy", &["d/.g/a.npy"]),
        ] {
            assert_eq!(matched_below(directory.path(), pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn links_that_lead_in_circles_are_followed_once() {
        let directory = directory_of_files(&["a.npy", "d/a.npy", "d/e/a.npy"]);
        for (target, link) in [(".", "self"), (".", "self2"), ("..", "d/up"), ("../..", "d/e/up")] {
            std::os::unix::fs::symlink(target, directory.path().join(link)).unwrap();
        }
        for (pattern, expected) in [
            ("**/a.npy", &["a.npy", "d/a.npy", "d/e/a.npy"][..]),
            ("**/*.npy", &["a.npy", "d/a.npy", "d/e/a.npy"]),
            ("**", &["d", "d/e"]),
            ("**/**/e/**/a.npy", &["d/e/a.npy"]),
            ("**/up/a.npy", &["d/e/up/a.npy", "d/up/a.npy"]),
            // Links that the pattern names.
            ("self/*.npy", &["self/a.npy"]),
            ("self/**/a.npy", &["self/a.npy", "self/d/a.npy", "self/d/e/a.npy"]),
            ("d/up/d/*.npy", &["d/up/d/a.npy"]),
        ] {
            assert_eq!(matched_below(directory.path(), pattern), expected, "{pattern}");
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
