//! The corner of Python's literal syntax that `.npy` headers are written in: strings, integers,
//! booleans, tuples, lists and dicts.
//!
//! A recursive descent over bytes. It reads what `repr` writes and little more, holds memory in
//! proportion to the bytes it is given, and goes at most [`MAX_DEPTH`] levels down, so no header
//! overflows the stack.

use ndlens_core::room;

use crate::error::{Flaw, HeaderProblem};

/// The most brackets inside brackets. A record takes two levels per record inside it; the dict and
/// the shape one each.
const MAX_DEPTH: usize = 64;

/// The meaning of bytes beyond ASCII.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Versions 1 and 2, which may also have Python 2's `3L`.
    Latin1,
    /// Version 3.
    Utf8,
}

/// A value and the byte it starts at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) at: usize,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Str(String),
    Int(i64),
    Bool(bool),
    Tuple(Vec<Node>),
    List(Vec<Node>),
    Dict(Vec<(Node, Node)>),
}

impl Node {
    /// The flaw of not being `expected`.
    pub(crate) fn unexpected(&self, expected: &'static str) -> Flaw {
        let got = match self.value {
            Value::Str(_) => "a string",
            Value::Int(_) => "an integer",
            Value::Bool(_) => "a bool",
            Value::Tuple(_) => "a tuple",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dict",
        };
        let problem = HeaderProblem::Unexpected { expected, got: got.to_owned() };
        Flaw::Header { at: self.at, problem }
    }
}

/// The one value that `bytes` hold, with white space around it.
pub(crate) fn parse(bytes: &[u8], encoding: Encoding) -> Result<Node, Flaw> {
    let mut parser = Parser { bytes, at: 0, encoding };
    let node = parser.value(0)?;
    parser.skip_space();
    if parser.at < bytes.len() {
        return Err(parser.unexpected("the end of the header"));
    }
    Ok(node)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')) {
            self.at += 1;
        }
    }

    fn flaw(&self, problem: HeaderProblem) -> Flaw {
        Flaw::Header { at: self.at, problem }
    }

    fn unexpected(&self, expected: &'static str) -> Flaw {
        let got = match self.peek() {
            Some(byte) => format!("'{}'", byte.escape_ascii()),
            None => "the end of the header".to_owned(),
        };
        self.flaw(HeaderProblem::Unexpected { expected, got })
    }

    fn value(&mut self, depth: usize) -> Result<Node, Flaw> {
        if depth > MAX_DEPTH {
            return Err(self.flaw(HeaderProblem::TooDeep { max: MAX_DEPTH }));
        }
        self.skip_space();
        let at = self.at;
        let value = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => Value::Str(self.string(quote)?),
            Some(b'-' | b'0'..=b'9') => Value::Int(self.integer()?),
            Some(b'(') => {
                let (mut items, comma) = self.items(b')', "',' or ')'", depth)?;
                match items.pop() {
                    // Brackets around one value are only brackets; the comma makes the tuple.
                    Some(item) if items.is_empty() && !comma => item.value,
                    last => {
                        items.extend(last);
                        Value::Tuple(items)
                    }
                }
            }
            Some(b'[') => Value::List(self.items(b']', "',' or ']'", depth)?.0),
            Some(b'{') => Value::Dict(self.pairs(depth)?),
            _ => Value::Bool(self.boolean()?),
        };
        Ok(Node { at, value })
    }

    fn boolean(&mut self) -> Result<bool, Flaw> {
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            let rest = self.bytes.get(self.at..).and_then(|rest| rest.strip_prefix(word));
            let ends = |rest: &[u8]| {
                !rest.first().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
            };
            if rest.is_some_and(ends) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn integer(&mut self) -> Result<i64, Flaw> {
        let start = self.at;
        let negative = self.eat(b'-');
        let first = self.at;
        let mut magnitude = 0i64;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let more =
                magnitude.checked_mul(10).and_then(|m| m.checked_add(i64::from(digit - b'0')));
            magnitude =
                more.ok_or(Flaw::Header { at: start, problem: HeaderProblem::IntegerTooLarge })?;
            self.at += 1;
        }
        let leading_zero = self.bytes.get(first) == Some(&b'0') && self.at > first + 1;
        if self.at == first || leading_zero {
            self.at = first;
            return Err(self.unexpected("a decimal integer"));
        }
        if self.encoding == Encoding::Latin1 {
            self.eat(b'L');
        }
        Ok(if negative { -magnitude } else { magnitude })
    }

    fn string(&mut self, quote: u8) -> Result<String, Flaw> {
        let start = self.at;
        let unterminated = Flaw::Header { at: start, problem: HeaderProblem::UnterminatedString };
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|b| *b == quote || matches!(b, b'\\' | b'\n'));
            let Some(plain) = plain else { return Err(unterminated) };
            match self.encoding {
                Encoding::Latin1 => text.extend(rest[..plain].iter().copied().map(char::from)),
                Encoding::Utf8 => {
                    let decoded = std::str::from_utf8(&rest[..plain]);
                    text.push_str(decoded.map_err(|_| self.flaw(HeaderProblem::NotUtf8))?);
                }
            }
            self.at += plain;
            if self.eat(quote) {
                return Ok(text);
            }
            if !self.eat(b'\\') {
                return Err(unterminated);
            }
            text.push(self.escape()?);
        }
    }

    /// One character behind a backslash, as `repr` writes it.
    fn escape(&mut self) -> Result<char, Flaw> {
        let bad = Flaw::Header { at: self.at.saturating_sub(1), problem: HeaderProblem::BadEscape };
        let Some(letter) = self.peek() else { return Err(bad) };
        self.at += 1;
        let digits = match letter {
            b'\\' | b'\'' | b'"' => return Ok(char::from(letter)),
            b'n' => return Ok('\n'),
            b'r' => return Ok('\r'),
            b't' => return Ok('\t'),
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            _ => return Err(bad),
        };
        let Some(hex) = self.bytes.get(self.at..self.at + digits) else { return Err(bad) };
        let mut code = 0u32;
        for &byte in hex {
            let Some(digit) = char::from(byte).to_digit(16) else { return Err(bad) };
            code = code << 4 | digit;
        }
        self.at += digits;
        char::from_u32(code).ok_or(bad)
    }

    /// Values between commas up to `close`, and whether a comma came last.
    fn items(
        &mut self,
        close: u8,
        expected: &'static str,
        depth: usize,
    ) -> Result<(Vec<Node>, bool), Flaw> {
        self.at += 1;
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            self.skip_space();
            if self.eat(close) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                return Err(self.unexpected(expected));
            }
            let item = self.value(depth + 1)?;
            room::push(&mut items, item)?;
            self.skip_space();
            comma = self.eat(b',');
        }
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(Node, Node)>, Flaw> {
        self.at += 1;
        let mut pairs = Vec::new();
        let mut comma = false;
        loop {
            self.skip_space();
            if self.eat(b'}') {
                return Ok(pairs);
            }
            if !pairs.is_empty() && !comma {
                return Err(self.unexpected("',' or '}'"));
            }
            let key = self.value(depth + 1)?;
            self.skip_space();
            if !self.eat(b':') {
                return Err(self.unexpected("':'"));
            }
            let pair = (key, self.value(depth + 1)?);
            room::push(&mut pairs, pair)?;
            self.skip_space();
            comma = self.eat(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &[u8]) -> Value {
        parse(text, Encoding::Latin1).unwrap().value
    }

    fn flaw(text: &[u8], encoding: Encoding) -> (usize, String) {
        match parse(text, encoding).unwrap_err() {
            Flaw::Header { at, problem } => (at, problem.to_string()),
            flaw => panic!("{flaw:?}"),
        }
    }

    #[test]
    fn literals_mean_what_python_says() {
        assert_eq!(value(b" True\n"), Value::Bool(true));
        assert_eq!(value(b"-12"), Value::Int(-12));
        assert_eq!(value(b"3L"), Value::Int(3));
        assert_eq!(value(b"(3)"), Value::Int(3));
        assert_eq!(value(b"()"), Value::Tuple(vec![]));
        assert_eq!(value(b"( 3 , )"), Value::Tuple(vec![Node { at: 2, value: Value::Int(3) }]));
        assert_eq!(value(b"[]"), Value::List(vec![]));
        assert_eq!(
            value(br#"'it\'s "x"\\\n\t\xe9\u6f22\U0001f600'"#),
            Value::Str("it's \"x\"\\\n\té漢😀".into())
        );
        assert_eq!(value(b"'\xe9'"), Value::Str("é".into()));
        let parsed = parse("'é'".as_bytes(), Encoding::Utf8).unwrap();
        assert_eq!(parsed.value, Value::Str("é".into()));
    }

    #[test]
    fn what_is_no_literal_is_refused_with_its_place() {
        let unexpected = |expected: &str, got: &str| format!("expected {expected}, got {got}");
        for (text, at, message) in [
            (&b""[..], 0, unexpected("a value", "the end of the header")),
            (b"(,)", 1, unexpected("a value", "','")),
            (b"(1,,)", 3, unexpected("a value", "','")),
            (b"(1 2)", 3, unexpected("',' or ')'", "'2'")),
            (b"[1)", 2, unexpected("',' or ']'", "')'")),
            (b"{'a' 1}", 5, unexpected("':'", "'1'")),
            (b"{'a': 1 'b': 2}", 8, unexpected("',' or '}'", "'\\''")),
            (b"1 1", 2, unexpected("the end of the header", "'1'")),
            (b"Truey", 0, unexpected("a value", "'T'")),
            (b"None", 0, unexpected("a value", "'N'")),
            (b"007", 0, unexpected("a decimal integer", "'0'")),
            (b"-", 1, unexpected("a decimal integer", "the end of the header")),
            (b"1.5", 1, unexpected("the end of the header", "'.'")),
            (b"9223372036854775808", 0, "integer does not fit 64 bits".into()),
            (b" 'a", 1, "string does not end".into()),
            (b"'a\n'", 0, "string does not end".into()),
            (b"'\\q'", 1, "unknown escape in a string".into()),
            (b"'\\xg0'", 1, "unknown escape in a string".into()),
            (b"'\\ud800'", 1, "unknown escape in a string".into()),
            (b"'\\", 1, "unknown escape in a string".into()),
        ] {
            assert_eq!(flaw(text, Encoding::Latin1), (at, message), "{}", text.escape_ascii());
        }
        assert_eq!(flaw(b"'\xff'", Encoding::Utf8), (1, "string is not UTF-8".into()));
        assert_eq!(flaw(b"3L", Encoding::Utf8), (1, unexpected("the end of the header", "'L'")));
    }

    #[test]
    fn brackets_go_as_deep_as_the_limit_and_no_deeper() {
        let nested = |depth| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(parse(&nested(MAX_DEPTH + 1), Encoding::Utf8).is_ok());
        let message = "nested deeper than 64 levels".to_owned();
        assert_eq!(flaw(&nested(MAX_DEPTH + 2), Encoding::Utf8), (MAX_DEPTH + 1, message.clone()));
        assert_eq!(flaw(&b"(".repeat(1 << 20), Encoding::Utf8), (MAX_DEPTH + 1, message));
    }
}
