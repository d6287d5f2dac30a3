//! Ranges and alternatives in braces, as shells have them: `shard-{000..099}.tar` is a hundred
//! names, `{train,val}/*.jpg` two patterns.

use ndlens_core::room;

use crate::error::Result;

/// What a pair of braces stands for.
enum Choices<'a> {
    /// The numbers from one to another, in steps of 1, with leading zeros to this width.
    Range { from: u64, to: u64, width: usize },
    /// Texts, separated by commas.
    Texts(&'a str),
}

/// The text before the first pair of braces, what it stands for, and the text after it; None if
/// there is none. Braces of one text without a comma stand for themselves, as in a shell.
fn first_pair(text: &str) -> Option<(&str, Choices<'_>, &str)> {
    let mut start = 0;
    while let Some(open) = text[start..].find('{').map(|at| start + at) {
        let close = text[open..].find('}').map(|at| open + at)?;
        // The innermost of nested braces.
        let open = text[..close].rfind('{').unwrap_or(open);
        let inside = &text[open + 1..close];
        if let Some(choices) = choices_of(inside) {
            return Some((&text[..open], choices, &text[close + 1..]));
        }
        start = close + 1;
    }
    None
}

fn choices_of(inside: &str) -> Option<Choices<'_>> {
    if let Some((from, to)) = inside.split_once("..") {
        let digits = |text: &str| {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if is_number { text.parse::<u64>().ok() } else { None }
        };
        let padded = [from, to].iter().any(|text| text.len() > 1 && text.starts_with('0'));
        let width = if padded { from.len().max(to.len()) } else { 0 };
        return Some(Choices::Range { from: digits(from)?, to: digits(to)?, width });
    }
    inside.contains(',').then_some(Choices::Texts(inside))
}

/// The texts that a text with braces stands for, in their order; None if it has none.
///
/// # Errors
///
/// [`Error::Core`](crate::Error::Core) if there is no memory for the list.
pub(crate) fn expand(text: &str) -> Result<Option<Vec<String>>> {
    if first_pair(text).is_none() {
        return Ok(None);
    }
    let (mut expanded, mut todo) = (vec![], vec![text.to_owned()]);
    while let Some(text) = todo.pop() {
        let Some((before, choices, after)) = first_pair(&text) else {
            room::push(&mut expanded, text)?;
            continue;
        };
        let made = todo.len();
        let mut push = |choice: &str| {
            room::check()?;
            room::push(&mut todo, format!("{before}{choice}{after}"))
        };
        match choices {
            Choices::Range { from, to, width } => {
                for step in 0..=from.abs_diff(to) {
                    let number = if from <= to { from + step } else { from - step };
                    push(&format!("{number:0width$}"))?;
                }
            }
            Choices::Texts(texts) => texts.split(',').try_for_each(push)?,
        }
        // The first choice is taken first.
        todo[made..].reverse();
    }
    Ok(Some(expanded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Vec<String> {
        expand(text).unwrap().unwrap_or_else(|| vec![text.to_owned()])
    }

    #[test]
    fn braces_stand_for_what_they_stand_for_in_a_shell() {
        assert_eq!(expanded("s-{008..010}.tar"), ["s-008.tar", "s-009.tar", "s-010.tar"]);
        assert_eq!(expanded("{9..11}"), ["9", "10", "11"]);
        assert_eq!(expanded("{2..0}"), ["2", "1", "0"]);
        assert_eq!(expanded("{a,b}/{0..1}"), ["a/0", "a/1", "b/0", "b/1"]);
        assert_eq!(expanded("{train,}x"), ["trainx", "x"]);
        for text in ["plain", "{x}", "{}", "{1..}", "{a..c}", "{", "}{", "{1"] {
            assert_eq!(expanded(text), [text], "{text}");
        }
        assert_eq!(expanded("{x}{0..1}"), ["{x}0", "{x}1"]);
    }
}
