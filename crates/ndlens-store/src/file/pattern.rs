//! The files that a pattern matches, in the order in which people number them.

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use glob::MatchOptions;
use ndlens_core::room;

use crate::error::{Error, Result};

/// The files that a pattern matches, in the natural order of their names; None where the path is no
/// pattern.
pub(crate) fn matches(pattern: &Path) -> Result<Option<Vec<PathBuf>>> {
    let Some(text) = pattern.to_str().filter(|text| text.contains(['*', '?', '['])) else {
        return Ok(None);
    };
    if fs::symlink_metadata(pattern).is_ok() {
        return Ok(None);
    }
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob::glob_with(text, options)
        .map_err(|source| Error::BadPattern { pattern: pattern.to_owned(), source })?;
    let io =
        |error: glob::GlobError| Error::Io { path: error.path().to_owned(), source: error.into() };
    let mut paths: Vec<PathBuf> = room::try_list_of(found.map(|path| path.map_err(io)))?;
    if paths.is_empty() {
        return Err(Error::NoMatch { pattern: pattern.to_owned() });
    }
    // Not a stable sort, which takes memory; names that are equal as numbers are in alphabetical
    // order.
    paths.sort_unstable_by(|a, b| {
        natural_order(a.as_os_str().as_encoded_bytes(), b.as_os_str().as_encoded_bytes())
            .then_with(|| a.cmp(b))
    });
    Ok(Some(paths))
}

/// The order in which people number files: runs of digits count as numbers, so that 2 is before 10.
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

/// Takes the digits at the start; gives them without leading zeros.
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
