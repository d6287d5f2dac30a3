//! The header of a `.npy` file, as NumPy would write it: the other way of `mod.rs` and `descr.rs`.
//!
//! A format of the buffer protocol that is not a plain number, such as `T{<f:x:2x>i:y:}`, is read
//! letter by letter and said again as a `descr`: `[('x', '<f4'), ('', '|V2'), ('y', '>i4')]`.
//!
//! # Rationale
//!
//! After `@`, which is how a format begins, fields are aligned as in C, and padding for it need not
//! be spelled out. Padding at the end of a record never is, in NumPy's formats: the element's size
//! says how much there is. Where records with such padding are repeated, nothing says it, and the
//! format is refused.

use std::fmt::Write;

use ndlens_core::{DType, Order};

use crate::format::npy::MAGIC;

/// The data starts at a multiple of this, as NumPy has it.
const DATA_ALIGNMENT: usize = 64;

/// Bytes before the header's text in version 1, where its length is a `u16`, and later, where it is
/// a `u32`.
const PREFIX_BYTES: (usize, usize) = (10, 12);

/// Deeper records than any header that is read.
const MAX_DEPTH: usize = 60;

/// The start of a file, up to its data; None for a dtype that NumPy's format has no name for.
pub(crate) fn header(dtype: &DType, order: Order, shape: &[usize]) -> Option<Vec<u8>> {
    let descr = match dtype.typestr() {
        Some(typestr) => format!("'{typestr}'"),
        None => descr(dtype)?,
    };
    let fortran_order = if order == Order::F { "True" } else { "False" };
    let comma = if shape.len() == 1 { "," } else { "" };
    let sizes: Vec<_> = shape.iter().map(usize::to_string).collect();
    let shape = format!("({}{comma})", sizes.join(", "));
    let mut text =
        format!("{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}, }}");
    let short = (text.len() + PREFIX_BYTES.0 + 1).next_multiple_of(DATA_ALIGNMENT) - PREFIX_BYTES.0;
    let short = u16::try_from(short).ok().filter(|_| text.is_ascii());
    let prefix = if short.is_some() { PREFIX_BYTES.0 } else { PREFIX_BYTES.1 };
    let spaces =
        (prefix + text.len() + 1).next_multiple_of(DATA_ALIGNMENT) - prefix - text.len() - 1;
    text.extend(std::iter::repeat_n(' ', spaces));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    if let Some(len) = short {
        bytes.extend([1, 0]);
        bytes.extend(len.to_le_bytes());
    } else {
        bytes.extend([3, 0]);
        bytes.extend(u32::try_from(text.len()).ok()?.to_le_bytes());
    }
    bytes.extend(text.bytes());
    Some(bytes)
}

/// NumPy's literal for the elements of a format.
fn descr(dtype: &DType) -> Option<String> {
    let mut format = Format { rest: dtype.format()?.to_str().ok()?, order: '@' };
    let element = format.element(MAX_DEPTH)?;
    let padding = dtype.itemsize().checked_sub(element.nbytes)?;
    if !format.rest.is_empty() || !element.shape.is_empty() || dtype.itemsize() == 0 {
        return None;
    }
    match padding {
        0 => Some(element.descr),
        _ => Some(format!("{}, ('', '|V{padding}')]", element.descr.strip_suffix(']')?)),
    }
}

/// A type and how often it is repeated, both as Python writes them.
struct Element {
    descr: String,
    shape: String,
    /// All its bytes.
    nbytes: usize,
    alignment: usize,
    is_padding: bool,
}

/// The rest of a format to read, and its last byte order.
struct Format<'a> {
    rest: &'a str,
    order: char,
}

impl<'a> Format<'a> {
    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn until(&mut self, end: char) -> Option<&'a str> {
        let (text, rest) = self.rest.split_once(end)?;
        self.rest = rest;
        Some(text)
    }

    fn element(&mut self, depth: usize) -> Option<Element> {
        self.marks();
        let sizes: Vec<usize> = if self.take("(") {
            self.until(')')?
                .split(',')
                .map(|size| size.trim().parse().ok())
                .collect::<Option<_>>()?
        } else {
            vec![]
        };
        self.marks();
        let repeated = sizes.iter().try_fold(1usize, |all, &size| all.checked_mul(size))?;
        let element =
            if self.take("T{") { self.record(depth.checked_sub(1)?)? } else { self.scalar()? };
        if sizes.is_empty() {
            return Some(element);
        }
        if element.nbytes % element.alignment != 0 {
            return None;
        }
        let sizes: Vec<_> = sizes.iter().map(|size| format!("{size},")).collect();
        let (shape, nbytes) =
            (format!("({})", sizes.join(" ")), repeated.checked_mul(element.nbytes)?);
        Some(Element { shape, nbytes, ..element })
    }

    fn marks(&mut self) {
        while let Some(mark @ ('@' | '=' | '<' | '>' | '^' | '!')) = self.rest.chars().next() {
            self.order = mark;
            self.rest = &self.rest[1..];
        }
    }

    fn record(&mut self, depth: usize) -> Option<Element> {
        let (mut descr, mut end, mut alignment) = (String::from("["), 0usize, 1);
        loop {
            self.marks();
            if self.take("}") {
                break;
            }
            let field = self.element(depth)?;
            let start = end.checked_next_multiple_of(field.alignment)?;
            if start > end {
                write!(descr, "('', '|V{}'), ", start - end).ok()?;
            }
            end = start.checked_add(field.nbytes)?;
            alignment = alignment.max(field.alignment);
            let name = if self.take(":") { self.until(':')? } else { "" };
            if name.is_empty() != field.is_padding {
                return None;
            }
            let name = name.replace('\\', "\\\\").replace('\'', "\\'");
            let separator = if field.shape.is_empty() { "" } else { ", " };
            write!(descr, "('{name}', {}{separator}{}), ", field.descr, field.shape).ok()?;
        }
        let descr = format!("{}]", descr.strip_suffix(", ").unwrap_or(&descr));
        Some(Element { descr, shape: String::new(), nbytes: end, alignment, is_padding: false })
    }

    fn scalar(&mut self) -> Option<Element> {
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (count, rest) = self.rest.split_at(digits);
        let count: usize = if count.is_empty() { 1 } else { count.parse().ok()? };
        let letters = if rest.starts_with('Z') { 2 } else { 1 };
        let (code, rest) = rest.split_at_checked(letters)?;
        self.rest = rest;
        let order = if matches!(self.order, '>' | '!') { '>' } else { '<' };
        let long = if matches!(self.order, '@' | '^') { 8 } else { 4 };
        let native = |alignment| if self.order == '@' { alignment } else { 1 };
        let element = |descr, nbytes, alignment| {
            let shape = String::new();
            Some(Element { descr, shape, nbytes, alignment, is_padding: code == "x" })
        };
        let (kind, itemsize) = match code {
            "s" => return element(format!("'|S{count}'"), count, 1),
            "x" => return element(format!("'|V{count}'"), count, 1),
            "w" => return element(format!("'{order}U{count}'"), count.checked_mul(4)?, native(4)),
            _ if count != 1 => return None,
            "?" => ('b', 1),
            "b" => ('i', 1),
            "B" => ('u', 1),
            "h" => ('i', 2),
            "H" => ('u', 2),
            "i" => ('i', 4),
            "I" => ('u', 4),
            "l" => ('i', long),
            "L" => ('u', long),
            "q" => ('i', 8),
            "Q" => ('u', 8),
            "e" => ('f', 2),
            "f" => ('f', 4),
            "d" => ('f', 8),
            "Zf" => ('c', 8),
            "Zd" => ('c', 16),
            "c" => ('S', 1),
            _ => return None,
        };
        let order = if itemsize == 1 { '|' } else { order };
        let alignment = native(if kind == 'c' { itemsize / 2 } else { itemsize });
        element(format!("'{order}{kind}{itemsize}'"), itemsize, alignment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(format: &str, itemsize: usize, expected: Option<&str>) {
        let dtype = DType::from_format(format, itemsize).unwrap();
        assert_eq!(descr(&dtype).as_deref(), expected);
    }

    #[test]
    fn formats_are_said_as_numpy_says_them() {
        says(">f", 4, Some("'>f4'"));
        says("5s", 5, Some("'|S5'"));
        says("=7w", 28, Some("'<U7'"));
        says("T{i:a:d:b:}", 16, Some("[('a', '<i4'), ('', '|V4'), ('b', '<f8')]"));
        says("T{=i:a:d:b:}", 12, Some("[('a', '<i4'), ('b', '<f8')]"));
        says(
            "T{b:a:xxxxxxxd:b:h:c:}",
            24,
            Some(concat!(
                "[('a', '|i1'), ('', '|V1'), ('', '|V1'), ('', '|V1'), ('', '|V1'), ('', '|V1'), \
                 ('', '|V1'), ",
                "('', '|V1'), ('b', '<f8'), ('c', '<i2'), ('', '|V6')]"
            )),
        );
        says("T{<f:x:2x>i:y:}", 10, Some("[('x', '<f4'), ('', '|V2'), ('y', '>i4')]"));
        says(
            "T{B:a:T{(2,1)>d:c':Zf:d:}:b:}",
            25,
            Some("[('a', '|u1'), ('b', [('c\\'', '>f8', (2, 1,)), ('d', '>c8')])]"),
        );
    }

    #[test]
    fn what_numpy_cannot_say_is_not_said() {
        for (format, itemsize) in [
            ("g", 16),
            ("T{i:a:d:b:}", 15),
            ("3s", 4),
            ("T{(2)T{i:a:b:b:}:c:}", 16),
            ("T{i:a", 4),
            ("T{i:a:}x", 5),
            ("T{(9999999999,9999999999)d:a:}", 8),
            ("T{99999999999999999999s:a:}", 8),
            ("T{3f:a:}", 12),
            ("T{f}", 4),
            ("T{ü:a:}", 1),
            ("&f", 8),
        ] {
            says(format, itemsize, None);
        }
        let deep = format!("{}f{}", "T{".repeat(100_000), ":a:}".repeat(100_000));
        says(&deep, 4, None);
    }

    #[test]
    fn a_long_header_is_of_version_3() {
        let fields = "f:field:".repeat(5000);
        let dtype = DType::from_format(&format!("T{{{fields}}}"), 20_000).unwrap();
        let header = header(&dtype, Order::C, &[1]).unwrap();
        assert_eq!((header[6], header.len() % 64), (3, 0));
    }
}
