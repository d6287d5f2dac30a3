//! Braces in paths, as shells and WebDataset write them: `shard-{000..099}.tar`,
//! `{train,test}.npy`.
//!
//! A range counts up or down in steps of one, with as many digits as the wider end has. A brace
//! without a comma or two dots is a letter of a name. Braces in braces are refused.

use std::fmt::Write;
use std::path::Path;

use ndlens_core::room;

use crate::error::{Error, Result};

/// Maximum number of names that one path stands for.
const MOST_NAMES: u64 = 1 << 20;

/// The part of a path that a pair of braces stands for.
enum Part<'a> {
    Text(&'a str),
    Words(Vec<&'a str>),
    Range { first: u64, last: u64, digits: usize },
}

impl Part<'_> {
    fn count(&self) -> u64 {
        match self {
            Part::Text(_) => 1,
            Part::Words(words) => words.len() as u64,
            Part::Range { first, last, .. } => first.abs_diff(*last).saturating_add(1),
        }
    }

    fn push(&self, at: u64, name: &mut String) {
        match self {
            Part::Text(text) => name.push_str(text),
            Part::Words(words) => name.push_str(words[at as usize]),
            Part::Range { first, last, digits } => {
                let number = if first <= last { first + at } else { first - at };
                // A string takes whatever is written.
                let _ = write!(name, "{number:0digits$}");
            }
        }
    }
}

/// The names that a path stands for, in order; None if it has no braces that stand for names.
///
/// # Errors
///
/// [`Error::BadBraces`]; [`Error::Core`] if there is no memory for the names.
pub(crate) fn expand(path: &Path, text: &str) -> Result<Option<Vec<String>>> {
    let bad = |problem| Error::BadBraces { pattern: path.to_owned(), problem };
    let (mut parts, mut rest) = (vec![], text);
    while let Some(open) = rest.find('{') {
        let Some(len) = rest[open..].find('}') else { break };
        let inside = &rest[open + 1..open + len];
        if inside.contains('{') {
            return Err(bad("braces in braces; write the names out"));
        }
        let part = part_of(inside);
        let before = if part.is_some() { &rest[..open] } else { &rest[..=open + len] };
        parts.push(Part::Text(before));
        parts.extend(part);
        rest = &rest[open + len + 1..];
    }
    if parts.iter().all(|part| matches!(part, Part::Text(_))) {
        return Ok(None);
    }
    parts.push(Part::Text(rest));
    let names = parts.iter().try_fold(1u64, |names, part| names.checked_mul(part.count()));
    let names = names.filter(|&names| names <= MOST_NAMES);
    let names = names.ok_or_else(|| bad("it stands for more than 1,048,576 names"))?;
    let mut all = room::with_room_for(names as usize)?;
    for number in 0..names {
        room::check()?;
        // The last braces count fastest.
        let (mut name, mut left, mut below) = (String::new(), number, names);
        for part in &parts {
            below /= part.count();
            part.push(left / below, &mut name);
            left %= below;
        }
        all.push(name);
    }
    Ok(Some(all))
}

/// What is between braces; None if it is text.
fn part_of(inside: &str) -> Option<Part<'_>> {
    if inside.contains(',') {
        return Some(Part::Words(inside.split(',').collect()));
    }
    let (first, last) = inside.split_once("..")?;
    let number = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<u64>().ok()).flatten()
    };
    let is_padded = |text: &str| text.len() > 1 && text.starts_with('0');
    let digits = if is_padded(first) || is_padded(last) { first.len().max(last.len()) } else { 0 };
    Some(Part::Range { first: number(first)?, last: number(last)?, digits })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Option<Vec<String>> {
        expand(Path::new(text), text).unwrap()
    }

    #[test]
    fn braces_stand_for_what_shells_make_of_them() {
        for (text, expected) in [
            ("x-{000..002}.tar", &["x-000.tar", "x-001.tar", "x-002.tar"][..]),
            ("{8..10}", &["8", "9", "10"]),
            ("{08..10}", &["08", "09", "10"]),
            ("{2..0}", &["2", "1", "0"]),
            ("{5..5}", &["5"]),
            ("{train,test}/{0..1}", &["train/0", "train/1", "test/0", "test/1"]),
            ("a{,b}", &["a", "ab"]),
            ("{x}{0..1}{", &["{x}0{", "{x}1{"]),
        ] {
            assert_eq!(expanded(text).unwrap(), expected, "{text}");
        }
        for text in
            ["x", "{x}", "{", "}", "}{", "{..}", "{a..c}", "{1..}", "{1...2}", "{-1..1}", ""]
        {
            assert_eq!(expanded(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_counted_before_there_are_any() {
        let refused = |text: &str| expand(Path::new(text), text).unwrap_err().to_string();
        assert_eq!(
            refused("{0..1048576}"),
            "bad pattern {0..1048576}: it stands for more than 1,048,576 names"
        );
        for text in ["{0..18446744073709551615}", "{0..9999}{0..9999}{0..9999}{0..9999}{0..9999}"] {
            assert!(refused(text).ends_with("it stands for more than 1,048,576 names"), "{text}");
        }
        assert_eq!(
            refused("{a,{b,c}}"),
            "bad pattern {a,{b,c}}: braces in braces; write the names out"
        );
        assert_eq!(expanded("{99999999999999999999..0}"), None);
    }
}
